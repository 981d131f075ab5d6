//! Noise: white, coloured, hum, tones, babble and environments; its mix with speech.
//!
//! The level of a noise has no meaning until [`mix_at_snr`] scales it.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::level::{mean_power, scale_to_power};
use super::spectrum;
use crate::random::normals;

/// Length in seconds of the frames in which the power of speech is measured.
const FRAME_SECONDS: f64 = 0.02;

/// Frames with less than this share of the power of the loudest frame, 40 dB below it, count as
/// pauses. It is the threshold with which the default recipe trims silence.
const ACTIVE_SHARE: f64 = 1e-4;

/// Below this frequency, in hertz, the spectrum of coloured noise is level.
const LOWEST_COLOURED_HZ: f32 = 20.0;

/// White noise: independent samples of the standard normal distribution.
pub fn white(samples: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut noise = Vec::with_capacity(samples);
    normals(rng, samples, &mut noise);
    noise
}

/// Noise whose power falls with the frequency to the power of `exponent`, 3 dB per octave for each
/// 1: 0 is white, 1 pink, 2 brown; −1 is blue. White noise is filtered in the frequency domain
/// (Timmer & König 1995). Below 20 Hz the spectrum is level.
pub fn coloured(samples: usize, sample_rate: u32, exponent: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut noise = white(spectrum::fast_length(samples), rng);
    spectrum::shape(&mut noise, sample_rate, 0, |hz| {
        hz.max(LOWEST_COLOURED_HZ).powf(-0.5 * exponent)
    });
    noise.truncate(samples);
    noise
}

/// Pink noise: −3 dB per octave.
pub fn pink(samples: usize, sample_rate: u32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    coloured(samples, sample_rate, 1.0, rng)
}

/// A sine wave with an amplitude of 1 and a random phase.
pub fn tone(samples: usize, sample_rate: u32, hz: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut tone = vec![0.0; samples];
    let phase = TAU * f64::from(rng.random::<f32>());
    Oscillator::new(sample_rate, hz, phase).add(&mut tone, 1.0);
    tone
}

/// The hum of the mains: `mains_hz`, 50 or 60 hertz, and its next nine harmonics. The amplitude of
/// harmonic k is random, at most 1 / k.
pub fn hum(samples: usize, sample_rate: u32, mains_hz: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut hum = vec![0.0; samples];
    for harmonic in 1..=10 {
        let amplitude = rng.random_range(0.3..1.0) / harmonic as f32;
        let phase = TAU * f64::from(rng.random::<f32>());
        Oscillator::new(sample_rate, harmonic as f32 * mains_hz, phase).add(&mut hum, amplitude);
    }
    hum
}

/// The talk of several people: the sum of all `voices`, each with the same power while it speaks.
/// Every voice starts at a random position and is repeated.
pub fn babble(
    voices: &[&[f32]],
    samples: usize,
    sample_rate: u32,
    rng: &mut ChaCha8Rng,
) -> Vec<f32> {
    let mut babble = vec![0.0; samples];
    for voice in voices {
        let power = active_power(voice, sample_rate);
        let scale = if power > 0.0 {
            power.sqrt().recip()
        } else {
            0.0
        };
        for (sum, sample) in babble.iter_mut().zip(excerpt(voice, samples, rng)) {
            *sum += scale as f32 * sample;
        }
    }
    babble
}

/// `samples` samples of a recording from a random position on, which starts again at its end. If these
/// would be digital silence, such as the padding of a short sound, they begin with the next sound. No
/// samples give silence.
pub fn excerpt(recording: &[f32], samples: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    if recording.is_empty() {
        return vec![0.0; samples];
    }
    // A recording that is long enough is not started again.
    let starts = match recording.len().checked_sub(samples) {
        Some(last) => last + 1,
        None => recording.len(),
    };
    let start = rng.random_range(0..starts as u64) as usize;
    let excerpt = repeated_from(recording, start, samples);
    if excerpt.iter().any(|&sample| sample != 0.0) {
        return excerpt;
    }
    let mut positions = (start..recording.len()).chain(0..start);
    match positions.find(|&position| recording[position] != 0.0) {
        Some(sound) => repeated_from(recording, sound, samples),
        None => excerpt,
    }
}

/// `samples` samples of a recording from `start` on, which starts again at its end.
fn repeated_from(recording: &[f32], start: usize, samples: usize) -> Vec<f32> {
    let repeated = recording.iter().cycle().skip(start);
    repeated.take(samples).copied().collect()
}

/// A synthetic environment: wind or traffic (coloured noise of a random slope, with gusts), rain in
/// half of the cases (drops, short damped tones), and one to three knocks a second (longer damped
/// tones).
pub fn environmental(samples: usize, sample_rate: u32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let exponent = rng.random_range(0.5..2.0);
    let mut noise = coloured(samples, sample_rate, exponent, rng);
    scale_to_power(&mut noise, 1.0);
    add_gusts(&mut noise, sample_rate, rng);
    let seconds = samples as f32 / sample_rate as f32;
    if rng.random::<bool>() {
        let drops = (seconds * rng.random_range(20.0..200.0)) as usize;
        for _ in 0..drops {
            let hz = rng.random_range(1500.0..6000.0);
            let decay = rng.random_range(0.001..0.003);
            add_knock(
                &mut noise,
                sample_rate,
                Knock {
                    hz,
                    decay,
                    amplitude: 2.0,
                },
                rng,
            );
        }
    }
    let knocks = (seconds * rng.random_range(1.0..3.0)).ceil() as usize;
    for _ in 0..knocks {
        let hz = rng.random_range(150.0..2500.0);
        let decay = rng.random_range(0.01..0.08);
        add_knock(
            &mut noise,
            sample_rate,
            Knock {
                hz,
                decay,
                amplitude: 4.0,
            },
            rng,
        );
    }
    noise
}

/// Multiplies by a random gain of −10 to +6 dB, which changes linearly from one quarter second to
/// the next.
fn add_gusts(noise: &mut [f32], sample_rate: u32, rng: &mut ChaCha8Rng) {
    let mut draw = || 10.0_f32.powf(rng.random_range(-10.0..6.0) / 20.0);
    let quarter = (sample_rate as usize / 4).max(1);
    let mut from = draw();
    for piece in noise.chunks_mut(quarter) {
        let to = draw();
        for (n, sample) in piece.iter_mut().enumerate() {
            *sample *= from + (to - from) * n as f32 / quarter as f32;
        }
        from = to;
    }
}

/// A damped sine wave.
struct Knock {
    hz: f32,
    /// Time in seconds after which the amplitude is 1 / e.
    decay: f32,
    /// Maximum of the amplitude at the start.
    amplitude: f32,
}

/// Adds a knock of a random amplitude at a random position.
fn add_knock(noise: &mut [f32], sample_rate: u32, knock: Knock, rng: &mut ChaCha8Rng) {
    if noise.is_empty() {
        return;
    }
    let start = rng.random_range(0..noise.len() as u64) as usize;
    let amplitude = knock.amplitude * rng.random::<f32>();
    let phase = TAU * f64::from(rng.random::<f32>());
    let decay = knock.decay * sample_rate as f32;
    // Behind seven times the decay time, the amplitude is 60 dB lower.
    let end = noise.len().min(start + (7.0 * decay) as usize);
    let mut oscillator = Oscillator::new(sample_rate, knock.hz, phase);
    oscillator.damp((-1.0 / f64::from(decay)).exp());
    oscillator.add(&mut noise[start..end], amplitude);
}

/// A sine wave by rotation of a vector: one sine and cosine for all samples.
struct Oscillator {
    vector: [f64; 2],
    step: [f64; 2],
}

impl Oscillator {
    fn new(sample_rate: u32, hz: f32, phase: f64) -> Oscillator {
        let angle = TAU * f64::from(hz) / f64::from(sample_rate);
        Oscillator {
            vector: [phase.cos(), phase.sin()],
            step: [angle.cos(), angle.sin()],
        }
    }

    /// Multiplies the amplitude by `factor` after each sample.
    fn damp(&mut self, factor: f64) {
        self.step = self.step.map(|part| part * factor);
    }

    fn add(&mut self, samples: &mut [f32], amplitude: f32) {
        let [a, b] = self.step;
        for sample in samples {
            let [x, y] = self.vector;
            *sample += amplitude * y as f32;
            self.vector = [a * x - b * y, b * x + a * y];
        }
    }
}

/// Adds noise to speech at a signal-to-noise ratio in decibels. Speech counts with its
/// [`active_power`], noise with the mean power of all its samples. Silent speech stays as it is. The
/// sum can exceed full scale, as samples in 32-bit floats may.
///
/// # Panics
/// If the noise is not as long as the speech.
pub fn mix_at_snr(speech: &mut [f32], noise: &[f32], sample_rate: u32, snr_db: f32) {
    assert_eq!(speech.len(), noise.len(), "samples of the noise");
    let (signal, disturbance) = (active_power(speech, sample_rate), mean_power(noise));
    if disturbance == 0.0 {
        return;
    }
    let ratio = 10.0_f64.powf(f64::from(snr_db) / 10.0);
    let scale = (signal / (disturbance * ratio)).sqrt() as f32;
    for (sample, noise) in speech.iter_mut().zip(noise) {
        *sample += scale * noise;
    }
}

/// Mean power of speech without its pauses: of the frames of 20 ms that are at most 40 dB below the
/// loudest frame. 0 for silence.
pub fn active_power(samples: &[f32], sample_rate: u32) -> f64 {
    let length = ((f64::from(sample_rate) * FRAME_SECONDS) as usize).max(1);
    let powers: Vec<f64> = samples.chunks(length).map(mean_power).collect();
    let loudest = powers.iter().copied().fold(0.0, f64::max);
    let active = powers
        .iter()
        .filter(|&&power| power >= ACTIVE_SHARE * loudest);
    let (sum, count) = active.fold((0.0, 0), |(sum, count), power| (sum + power, count + 1));
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::disturbance::filter;

    const RATE: u32 = 16_000;

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    #[test]
    fn the_ratio_of_speech_and_noise_is_exact() {
        let noise = white(16_000, &mut rng(1));
        for snr_db in [-5.0, 0.0, 20.0] {
            let mut speech: Vec<f32> = (0..16_000).map(|n| 0.3 * (n as f32).sin()).collect();
            let before = speech.clone();
            mix_at_snr(&mut speech, &noise, RATE, snr_db);
            let added: Vec<f32> = speech.iter().zip(&before).map(|(a, b)| a - b).collect();
            let measured = 10.0 * (mean_power(&before) / mean_power(&added)).log10();
            assert!((measured - f64::from(snr_db)).abs() < 0.01, "{measured}");
        }
    }

    #[test]
    fn pauses_do_not_count_as_speech() {
        let tone: Vec<f32> = (0..8000).map(|n| (n as f32).sin()).collect();
        let mut with_pause = tone.clone();
        with_pause.extend((0..24_000).map(|n| 1e-3 * (n as f32).sin()));
        let (tone, with_pause) = (active_power(&tone, RATE), active_power(&with_pause, RATE));
        assert!(
            (tone / with_pause - 1.0).abs() < 1e-6,
            "{tone} {with_pause}"
        );
    }

    #[test]
    fn silence_gets_no_noise() {
        let mut speech = vec![0.0; 100];
        mix_at_snr(&mut speech, &white(100, &mut rng(1)), RATE, 10.0);
        assert_eq!(speech, vec![0.0; 100]);
    }

    /// Power in an octave around a frequency.
    fn octave(noise: &[f32], centre: f32) -> f64 {
        let mut band = noise.to_vec();
        let half = std::f32::consts::SQRT_2;
        filter::band_pass(&mut band, RATE, centre / half, centre * half, 8);
        mean_power(&band)
    }

    #[test]
    fn coloured_noise_falls_by_three_decibels_an_octave_for_each_exponent() {
        for exponent in [0.0, 1.0, 2.0] {
            let noise = coloured(20 * 16_000, RATE, exponent, &mut rng(2));
            assert_eq!(noise.len(), 20 * 16_000);
            // An octave is twice as wide as the one below, which adds 3 dB to its power.
            let ratio = octave(&noise, 250.0) / octave(&noise, 2000.0);
            let slope = 10.0 * ratio.log10() / 3.0 + 3.01;
            let exact = 3.01 * f64::from(exponent);
            assert!((slope - exact).abs() < 0.25, "{exponent}: {slope}");
        }
    }

    #[test]
    fn hum_has_the_mains_frequency_and_its_harmonics_only() {
        let hum = hum(RATE as usize, RATE, 50.0, &mut rng(3));
        // A period of 20 ms.
        let period = RATE as usize / 50;
        for n in 0..period {
            assert!((hum[n] - hum[n + 40 * period]).abs() < 1e-3);
        }
        // No shorter period.
        for part in [2, 3, 5] {
            let differs = |n: usize| (hum[n] - hum[n + period / part]).abs() > 0.1;
            assert!((0..period).any(differs), "{part}");
        }
    }

    #[test]
    fn a_tone_is_a_sine_wave_of_its_frequency() {
        let tone = tone(16_000, RATE, 1000.0, &mut rng(4));
        assert!((mean_power(&tone) - 0.5).abs() < 1e-3);
        for n in 0..15_000 {
            assert!((tone[n] - tone[n + 16]).abs() < 1e-3);
            assert!((tone[n] + tone[n + 8]).abs() < 1e-3);
        }
    }

    #[test]
    fn all_voices_of_a_babble_are_equally_loud() {
        let low: Vec<f32> = (0..16_000)
            .map(|n| 0.01 * (n as f32 * 0.05).sin())
            .collect();
        let high: Vec<f32> = (0..5000).map(|n| 0.9 * (n as f32 * 2.0).sin()).collect();
        let babble = babble(&[&low, &high], 32_000, RATE, &mut rng(5));
        assert_eq!(babble.len(), 32_000);
        let mut below = babble.clone();
        filter::low_pass(&mut below, RATE, 1000.0, 8);
        let mut above = babble;
        filter::high_pass(&mut above, RATE, 1000.0, 8);
        let ratio = mean_power(&below) / mean_power(&above);
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
    }

    #[test]
    fn an_excerpt_of_a_short_recording_repeats_it() {
        let recording: Vec<f32> = (0..10).map(|n| n as f32).collect();
        let repeated = excerpt(&recording, 35, &mut rng(6));
        assert_eq!(repeated.len(), 35);
        for pair in repeated.windows(2) {
            assert_eq!(pair[1], (pair[0] + 1.0) % 10.0);
        }
        let inside = excerpt(&recording, 4, &mut rng(7));
        assert!(inside.windows(2).all(|pair| pair[1] == pair[0] + 1.0));
        assert_eq!(excerpt(&recording, 10, &mut rng(8)), recording);
        assert_eq!(excerpt(&[], 3, &mut rng(8)), [0.0; 3]);
    }

    #[test]
    fn an_excerpt_of_a_padded_sound_is_never_silent() {
        let mut padded = vec![0.0; 200];
        padded.extend([0.5; 10]);
        padded.extend([0.0; 500]);
        for seed in 0..100 {
            assert!(
                excerpt(&padded, 20, &mut rng(seed)).contains(&0.5),
                "{seed}"
            );
        }
        assert_eq!(excerpt(&[0.0; 30], 20, &mut rng(1)), [0.0; 20]);
    }

    #[test]
    fn the_same_generator_gives_the_same_environment() {
        let draw = |seed| environmental(16_000, RATE, &mut rng(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        for seed in 0..20 {
            let noise = draw(seed);
            assert_eq!(noise.len(), 16_000);
            assert!(noise.iter().all(|x| x.is_finite()) && mean_power(&noise) > 1e-3);
        }
        assert!(environmental(0, RATE, &mut rng(1)).is_empty());
    }
}
