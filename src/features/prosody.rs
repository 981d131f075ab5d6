//! Prosody: how high, how voiced and how loud speech is, frame by frame.
//!
//! Pitch is where the autocorrelation of a window peaks, divided by the window's own autocorrelation,
//! which would else favour short lags; how high that peak is tells how voiced the frame is (Boersma,
//! "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
//! sampled sound", 1993). Nothing follows the pitch from frame to frame: a network that reads the
//! frames in order can tell a jump from a melody.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Columns of a frame: pitch, voicing, loudness.
pub(super) const COLUMNS: usize = 3;

/// Seconds under the Hann window: nearly four periods of the lowest voice.
const WINDOW: f64 = 0.064;
/// The range of pitch, in hertz.
const LOWEST: f64 = 60.0;
const HIGHEST: f64 = 500.0;
/// What a peak loses for each octave below the highest pitch: of equal peaks, one at twice the period
/// is the same voice again.
const OCTAVE_COST: f32 = 0.01;
/// From this voicing on a frame has a pitch.
const VOICED: f32 = 0.55;
/// The quietest power that loudness tells apart, and its range below the loudest frame in decibels.
const LEAST_POWER: f32 = 1e-10;
const LOUDNESS_RANGE: f32 = 80.0;

/// The tables for waveforms of one sample rate.
pub(super) struct Prosody {
    sample_rate: f32,
    hop_length: usize,
    window: Vec<f32>,
    /// For each lag one over the window's own autocorrelation, which is 1 at lag 0.
    correction: Vec<f32>,
    /// The period of the highest pitch, in samples.
    shortest: usize,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

/// The buffers that one thread needs for its frames.
struct Scratch {
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    fft: Vec<Complex<f32>>,
}

/// What is found in one frame.
#[derive(Clone, Copy)]
struct Frame {
    /// log₂ of the pitch in hertz, also where nothing is voiced.
    octaves: f32,
    voicing: f32,
    power: f32,
}

impl Prosody {
    pub(super) fn new(sample_rate: u32, hop_length: usize) -> Prosody {
        let rate = f64::from(sample_rate);
        let half = (rate * WINDOW / 2.0).round().max(1.0) as usize;
        let length = 2 * half;
        let shortest = ((rate / HIGHEST) as usize).max(1);
        let longest = (rate / LOWEST) as usize + 1;
        let window: Vec<f32> = (0..length)
            .map(|n| (0.5 - 0.5 * (TAU * n as f64 / length as f64).cos()) as f32)
            .collect();
        let mut planner = RealFftPlanner::new();
        // Room for the lags, so that the ends of a window do not meet.
        let n_fft = (length + longest + 1).next_power_of_two();
        let mut prosody = Prosody {
            sample_rate: sample_rate as f32,
            hop_length,
            correction: Vec::new(),
            window: vec![1.0; length],
            shortest,
            forward: planner.plan_fft_forward(n_fft),
            inverse: planner.plan_fft_inverse(n_fft),
        };
        let mut scratch = prosody.scratch();
        scratch.frame[..length].copy_from_slice(&window);
        prosody.autocorrelate(&mut scratch);
        let energy = scratch.frame[0];
        prosody.correction = scratch.frame[..=longest]
            .iter()
            // At the longest lag nearly two thirds of it are left.
            .map(|&r| energy / r)
            .collect();
        prosody.window = window;
        prosody
    }

    /// Prosody of a waveform, frames × [`COLUMNS`], row-major. Frames are centred, with zeros beyond
    /// the ends, like those of the MFCCs.
    ///
    /// - pitch in octaves above the utterance's median, which takes the speaker's own height out;
    ///   0 where nothing is voiced;
    /// - voicing, about 0 (noise) to 1 (a tone);
    /// - loudness in decibels below the loudest frame, −80 at least.
    pub(super) fn track(&self, samples: &[f32], frames: usize) -> Vec<f32> {
        let mut scratch = self.scratch();
        let found: Vec<Frame> = (0..frames)
            .map(|frame| self.frame(samples, frame * self.hop_length, &mut scratch))
            .collect();
        let median = median(
            found
                .iter()
                .filter(|frame| frame.voicing > VOICED)
                .map(|frame| frame.octaves),
        );
        let loudest = found
            .iter()
            .fold(LEAST_POWER, |most, frame| most.max(frame.power));
        let row = |frame: &Frame| {
            let pitch = match median {
                Some(median) if frame.voicing > VOICED => frame.octaves - median,
                _ => 0.0,
            };
            let loudness = 10.0 * (frame.power.max(LEAST_POWER) / loudest).log10();
            [pitch, frame.voicing, loudness.max(-LOUDNESS_RANGE)]
        };
        found.iter().flat_map(row).collect()
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            frame: self.forward.make_input_vec(),
            spectrum: self.forward.make_output_vec(),
            fft: vec![
                Complex::default();
                self.forward
                    .get_scratch_len()
                    .max(self.inverse.get_scratch_len())
            ],
        }
    }

    fn frame(&self, samples: &[f32], centre: usize, scratch: &mut Scratch) -> Frame {
        let length = self.window.len();
        let at = |n: usize| {
            let place = (centre + n).checked_sub(length / 2);
            place.and_then(|place| samples.get(place)).copied()
        };
        let (sound, beyond) = scratch.frame.split_at_mut(length);
        for (n, out) in sound.iter_mut().enumerate() {
            *out = at(n).unwrap_or(0.0);
        }
        beyond.fill(0.0);
        // A constant is no sound.
        let mean = sound.iter().sum::<f32>() / length as f32;
        let mut power = 0.0;
        for (sample, weight) in sound.iter_mut().zip(&self.window) {
            let centred = *sample - mean;
            power += centred * centred;
            *sample = centred * weight;
        }
        power /= length as f32;

        self.autocorrelate(scratch);
        let energy = scratch.frame[0];
        if power <= LEAST_POWER || energy <= 0.0 {
            return Frame {
                octaves: 0.0,
                voicing: 0.0,
                power,
            };
        }
        let correlation = |lag: usize| scratch.frame[lag] / energy * self.correction[lag];
        // The highest peak, between the lags too: a short period is seldom a whole number of samples.
        let mut best: Option<(f32, Peak)> = None;
        for lag in self.shortest..self.correction.len() - 1 {
            if let Some(peak) = peak(lag, [lag - 1, lag, lag + 1].map(correlation)) {
                let octaves = (peak.lag / self.shortest as f32).log2();
                let strength = peak.height - OCTAVE_COST * octaves;
                if best.is_none_or(|(strongest, _)| strength > strongest) {
                    best = Some((strength, peak));
                }
            }
        }
        match best {
            Some((_, peak)) => Frame {
                octaves: (self.sample_rate / peak.lag).log2(),
                voicing: peak.height.clamp(0.0, 1.0),
                power,
            },
            None => Frame {
                octaves: 0.0,
                voicing: 0.0,
                power,
            },
        }
    }

    /// Turns the frame into its autocorrelation, in no unit: the power spectrum's inverse FFT.
    fn autocorrelate(&self, scratch: &mut Scratch) {
        let Scratch {
            frame,
            spectrum,
            fft,
        } = scratch;
        let made_here = "the plan made its buffers itself";
        self.forward
            .process_with_scratch(frame, spectrum, fft)
            .expect(made_here);
        for bin in spectrum.iter_mut() {
            *bin = Complex::new(bin.norm_sqr(), 0.0);
        }
        self.inverse
            .process_with_scratch(spectrum, frame, fft)
            .expect(made_here);
    }
}

/// A peak of the autocorrelation.
#[derive(Clone, Copy)]
struct Peak {
    lag: f32,
    height: f32,
}

/// The peak of a parabola through the correlations around a lag, if the middle one is the highest.
fn peak(lag: usize, [before, middle, after]: [f32; 3]) -> Option<Peak> {
    if middle <= before || middle < after {
        return None;
    }
    let from_middle = 0.5 * (before - after) / (before - 2.0 * middle + after);
    Some(Peak {
        lag: lag as f32 + from_middle,
        height: middle - 0.25 * (before - after) * from_middle,
    })
}

/// The middle of the values in their order, the upper one of two.
fn median(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;
    const HOP: usize = 200;

    /// Ten harmonics over a pitch that may change with time.
    fn voice(seconds: f64, pitch: impl Fn(f64) -> f64) -> Vec<f32> {
        let mut phase = 0.0;
        (0..(seconds * f64::from(RATE)) as usize)
            .map(|n| {
                phase += TAU * pitch(n as f64 / f64::from(RATE)) / f64::from(RATE);
                let harmonics = (1..=10).map(|h| (f64::from(h) * phase).sin() / f64::from(h));
                0.1 * harmonics.sum::<f64>() as f32
            })
            .collect()
    }

    fn track(samples: &[f32]) -> Vec<[f32; 3]> {
        let frames = 1 + samples.len() / HOP;
        let rows = Prosody::new(RATE, HOP).track(samples, frames);
        rows.chunks_exact(3)
            .map(|row| [row[0], row[1], row[2]])
            .collect()
    }

    #[test]
    fn a_step_of_a_fifth_is_a_step_of_a_fifth() {
        for low in [80.0, 133.3, 251.0] {
            let rows = track(&voice(1.0, |t| if t < 0.5 { low } else { 1.5 * low }));
            let step = rows[60][0] - rows[20][0];
            assert!((step - 1.5f32.log2()).abs() < 0.005, "{low} Hz: {step}");
            assert!(rows[20][1] > 0.95 && rows[60][1] > 0.95);
        }
    }

    #[test]
    fn a_glide_of_an_octave_rises_evenly() {
        let rows = track(&voice(1.0, |t| 120.0 * 2f64.powf(t)));
        for (frame, row) in rows.iter().enumerate().take(75).skip(5) {
            let expected = frame as f32 / 80.0 - 0.5;
            assert!((row[0] - expected).abs() < 0.02, "{frame}: {row:?}");
        }
    }

    #[test]
    fn how_loud_it_was_recorded_changes_nothing() {
        let samples = voice(0.5, |t| 200.0 - 80.0 * t);
        let quiet: Vec<f32> = samples.iter().map(|x| x / 64.0 + 0.25).collect();
        // The offset makes a step at both ends, where zeros are beyond, and so moves the median; what
        // lies between is the same.
        let (loud, quiet) = (track(&samples), track(&quiet));
        for frame in 4..36 {
            let step = |rows: &[[f32; 3]]| rows[frame][0] - rows[20][0];
            assert!((step(&loud) - step(&quiet)).abs() < 1e-3, "frame {frame}");
            assert!(
                (loud[frame][1] - quiet[frame][1]).abs() < 1e-3,
                "frame {frame}"
            );
        }
    }

    #[test]
    fn noise_is_not_voiced_and_silence_is_nothing() {
        let mut state = 1u32;
        let noise: Vec<f32> = (0..RATE)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state as f32 / u32::MAX as f32 - 0.5
            })
            .collect();
        let rows = track(&noise);
        assert!(rows.iter().all(|row| row[1] < VOICED && row[0] == 0.0));
        for silent in [vec![0.0; 5000], vec![0.3; 1], Vec::new()] {
            for row in track(&silent) {
                assert!(row.iter().all(|value| value.is_finite()), "{row:?}");
            }
        }
        assert_eq!(track(&[0.0; 400])[1], [0.0, 0.0, 0.0]);
    }

    #[test]
    fn every_sample_rate_has_lags() {
        for rate in [1_000, 8_000, 24_414, 192_000] {
            let samples: Vec<f32> = (0..rate / 2)
                .map(|n| (TAU * 200.0 * f64::from(n) / f64::from(rate)).sin() as f32)
                .collect();
            let hop = rate as usize / 80;
            let rows = Prosody::new(rate, hop).track(&samples, 1 + samples.len() / hop);
            assert!(rows[3 * 20 + 1] > 0.9, "{rate} Hz: {:?}", &rows[60..63]);
        }
    }
}
