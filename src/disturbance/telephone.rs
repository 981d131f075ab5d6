//! A telephone line: compressor, band limits, line noise, and the coding of ITU-T G.711.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{filter, level, noise};
use crate::audio::{self, AudioError, Waveform};

/// Sample rate of a telephone line in hertz.
const LINE_RATE: u32 = 8000;

/// Level of the peak on the line in decibels of full scale. The level of the recording itself has no
/// effect, because telephones control it.
const LINE_PEAK_DB: f32 = -6.0;

/// Settings of a telephone line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Telephone {
    /// Level above which the compressor works, in decibels of the peak.
    pub threshold_db: f32,
    /// Ratio of the compressor: decibels of the input for each decibel of the output.
    pub ratio: f32,
    /// Lowest and highest frequency of the line in hertz.
    pub band_hz: [f32; 2],
    /// Signal-to-noise ratio of the pink noise on the line in decibels.
    pub snr_db: f32,
}

impl Default for Telephone {
    fn default() -> Self {
        Telephone {
            threshold_db: -20.0,
            ratio: 4.0,
            band_hz: [300.0, 3400.0],
            snr_db: 30.0,
        }
    }
}

impl Telephone {
    /// Draws a line: another telephone, network and noise each time. The default line is one of them.
    pub fn draw(rng: &mut ChaCha8Rng) -> Telephone {
        Telephone {
            threshold_db: rng.random_range(-30.0..-10.0),
            ratio: rng.random_range(1.0..6.0),
            band_hz: [
                rng.random_range(150.0..400.0),
                rng.random_range(3000.0..3800.0),
            ],
            snr_db: rng.random_range(15.0..45.0),
        }
    }

    /// Sends a clip over the line: compressor, 8 kHz, band limits (24 dB per octave), pink noise,
    /// µ-law, and back to the sample rate and the peak of the clip.
    ///
    /// # Errors
    /// If the sample rate is not supported, or if the memory does not suffice.
    pub fn send(&self, waveform: &mut Waveform, rng: &mut ChaCha8Rng) -> Result<(), AudioError> {
        let peak = level::peak(&waveform.samples);
        if peak == 0.0 {
            return Ok(());
        }
        compress(&mut waveform.samples, waveform.sample_rate, self, peak);
        let mut line = audio::resample(waveform, LINE_RATE)?;
        let [lowest, highest] = self.band_hz;
        filter::band_pass(&mut line.samples, LINE_RATE, lowest, highest, 4);
        let hiss = noise::pink(line.samples.len(), LINE_RATE, rng);
        noise::mix_at_snr(&mut line.samples, &hiss, LINE_RATE, self.snr_db);
        scale_to_peak(&mut line.samples, 10.0_f32.powf(LINE_PEAK_DB / 20.0));
        line.samples
            .iter_mut()
            .for_each(|sample| *sample = mu_law(*sample));

        let length = waveform.samples.len();
        waveform.samples = audio::resample(&line, waveform.sample_rate)?.samples;
        waveform.samples.resize(length, 0.0);
        scale_to_peak(&mut waveform.samples, peak);
        Ok(())
    }
}

fn scale_to_peak(samples: &mut [f32], peak: f32) {
    let now = level::peak(samples);
    if now > 0.0 {
        samples.iter_mut().for_each(|sample| *sample *= peak / now);
    }
}

/// A feed-forward compressor with an attack time of 5 ms and a release time of 50 ms (Giannoulis et
/// al. 2012, with a hard knee).
fn compress(samples: &mut [f32], sample_rate: u32, settings: &Telephone, peak: f32) {
    /// The gain is computed once for this number of samples, because it changes slowly.
    const STEP: usize = 16;
    let smoothing = |seconds: f32| (-1.0 / (seconds * sample_rate as f32)).exp();
    let (attack, release) = (smoothing(0.005), smoothing(0.05));
    let threshold = peak * 10.0_f32.powf(settings.threshold_db / 20.0);
    let exponent = 1.0 / settings.ratio - 1.0;
    let mut envelope = 0.0_f32;
    for step in samples.chunks_mut(STEP) {
        for sample in step.iter() {
            let magnitude = sample.abs();
            let keep = if magnitude > envelope {
                attack
            } else {
                release
            };
            envelope = magnitude + keep * (envelope - magnitude);
        }
        if envelope > threshold {
            let gain = (envelope / threshold).powf(exponent);
            step.iter_mut().for_each(|sample| *sample *= gain);
        }
    }
}

/// One sample after coding and decoding by the µ-law of ITU-T G.711, with full scale at ±1.
///
/// The code has a sign, eight segments and sixteen steps in a segment. A magnitude is an integer of
/// 13 bits. With 33 added, its highest bit is the segment and the four bits behind it are the step;
/// the decoder returns the middle of the step.
pub fn mu_law(sample: f32) -> f32 {
    const BIAS: u32 = 33;
    const LARGEST: f32 = 8158.0;
    let magnitude = (sample.abs() * 8192.0).round().min(LARGEST) as u32 + BIAS;
    let segment = magnitude.ilog2() - 5;
    let step = magnitude >> (segment + 1) & 0xF;
    let decoded = ((2 * step + BIAS) << segment) - BIAS;
    (decoded as f32 / 8192.0).copysign(sample)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// Value of µ-law for a magnitude of 14 bits, by table 2a of ITU-T G.711: sixteen values in each
    /// segment, 2 apart in the first and twice as far in each next one, each in the middle of its
    /// interval.
    fn tabled(magnitude: i32) -> i32 {
        let starts = [0, 33, 99, 231, 495, 1023, 2079, 4191];
        let values = starts.into_iter().enumerate().flat_map(|(segment, start)| {
            let half = 1 << segment;
            (0..16).map(move |step| (start + 2 * step * half, half))
        });
        let mut values = values.filter(|(value, half)| magnitude < value + half);
        values.next().map_or(8031, |(value, _)| value)
    }

    #[test]
    fn mu_law_is_the_table_of_the_standard() {
        assert_eq!([0, 1, 31, 4062, 4063].map(tabled), [0, 2, 33, 3999, 4191]);
        for x in -8192..=8192_i32 {
            let ours = mu_law(x as f32 / 8192.0) * 8192.0;
            assert_eq!(ours, (x.signum() * tabled(x.abs())) as f32, "{x}");
        }
    }

    fn power_in_band(samples: &[f32], rate: u32, low: f32, high: f32) -> f64 {
        let mut band = samples.to_vec();
        filter::band_pass(&mut band, rate, low, high, 8);
        level::mean_power(&band)
    }

    #[test]
    fn a_telephone_passes_300_to_3400_hz_only() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let white = noise::white(32_000, &mut rng);
        let samples: Vec<f32> = white.iter().map(|x| 0.1 * x).collect();
        let mut waveform = Waveform {
            samples: samples.clone(),
            sample_rate: 16_000,
        };
        Telephone::default().send(&mut waveform, &mut rng).unwrap();
        assert_eq!(waveform.samples.len(), 32_000);
        let loss_db = |low, high| {
            let power = |samples: &[f32]| power_in_band(samples, 16_000, low, high);
            10.0 * (power(&samples) / power(&waveform.samples)).log10()
        };
        let middle = loss_db(500.0, 3000.0);
        assert!(
            loss_db(20.0, 120.0) - middle > 15.0,
            "{}",
            loss_db(20.0, 120.0)
        );
        assert!(
            loss_db(4300.0, 7500.0) - middle > 30.0,
            "{}",
            loss_db(4300.0, 7500.0)
        );
    }

    #[test]
    fn drawn_lines_surround_the_default_line() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let drawn: Vec<Telephone> = (0..200).map(|_| Telephone::draw(&mut rng)).collect();
        let default = Telephone::default();
        for setting in [
            |line: &Telephone| line.threshold_db,
            |line: &Telephone| line.ratio,
            |line: &Telephone| line.band_hz[0],
            |line: &Telephone| line.band_hz[1],
            |line: &Telephone| line.snr_db,
        ] {
            let lower = drawn
                .iter()
                .filter(|line| setting(line) < setting(&default));
            assert!((20..180).contains(&lower.count()));
        }
    }

    #[test]
    fn the_level_of_a_recording_has_no_effect_on_the_line() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let samples: Vec<f32> = noise::white(8000, &mut rng);
        let send = |factor: f32| {
            let mut waveform = Waveform {
                samples: samples.iter().map(|x| x * factor).collect(),
                sample_rate: 16_000,
            };
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            Telephone::default().send(&mut waveform, &mut rng).unwrap();
            waveform.samples
        };
        for (loud, quiet) in send(0.25).into_iter().zip(send(0.25 / 64.0)) {
            assert_eq!(loud, 64.0 * quiet);
        }
    }

    #[test]
    fn a_compressor_of_four_to_one_leaves_a_quarter_of_the_decibels_above_its_threshold() {
        let settings = Telephone::default();
        let output_db = |amplitude: f32| {
            let tone = |n: usize| amplitude * (n as f32 * 1.3).sin();
            let mut samples: Vec<f32> = (0..16_000).map(tone).collect();
            compress(&mut samples, 16_000, &settings, 1.0);
            20.0 * level::peak(&samples[8000..]).log10()
        };
        assert_eq!(output_db(0.05), 20.0 * 0.05_f32.log10());
        let difference = output_db(1.0) - output_db(0.25);
        assert!((difference - 12.04 / 4.0).abs() < 0.2, "{difference}");
    }

    #[test]
    fn silence_stays_silent() {
        let mut waveform = Waveform {
            samples: vec![0.0; 100],
            sample_rate: 16_000,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        Telephone::default().send(&mut waveform, &mut rng).unwrap();
        assert_eq!(waveform.samples, vec![0.0; 100]);
    }
}
