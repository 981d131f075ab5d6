//! Recording conditions: room, microphone, level and background noise.

use super::RATE;
use super::filter::LowPass;
use super::rng::DemoRng;
use super::timeline::decibels;
use super::voice::Voice;

/// RMS level of a neutral recording, in dB of full scale.
const LEVEL: f64 = -25.0;
/// Highest amplitude of a recording, so that no clip is distorted at full scale.
const PEAK: f64 = 0.9;
/// Attenuation at 3 kHz of the low-pass filter that turns white noise into room noise, in dB.
const ROOM_NOISE_TILT: f64 = 12.0;
/// RMS of [`DemoRng::noise`] after that filter.
const ROOM_NOISE_RMS: f64 = 0.218;

/// The recording of a `dry` voice. `loudness` is in dB; `room` draws the reflections of the room,
/// `take` draws the variations of one clip.
pub fn record(
    dry: Vec<f64>,
    voice: &Voice,
    loudness: f64,
    room: &mut DemoRng,
    take: &mut DemoRng,
) -> Vec<f32> {
    let mut samples = microphone(echoes(dry, voice.room, room), voice.treble);

    let power = samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64;
    let target_rms = decibels(LEVEL + voice.level + loudness + 1.5 * take.bell());
    let peak = samples
        .iter()
        .fold(f64::MIN_POSITIVE, |peak, sample| peak.max(sample.abs()));
    let gain = (target_rms / power.sqrt().max(f64::MIN_POSITIVE)).min(PEAK / peak);

    let mut room_noise = LowPass::with_loss(ROOM_NOISE_TILT, 3000.0);
    let background = decibels(voice.noise + 1.5 * take.bell()) / ROOM_NOISE_RMS;
    for sample in &mut samples {
        *sample = *sample * gain + background * room_noise.pass(take.noise());
    }
    samples.into_iter().map(|sample| sample as f32).collect()
}

/// Adds the first reflections from floor, walls and ceiling.
fn echoes(dry: Vec<f64>, strength: f64, room: &mut DemoRng) -> Vec<f64> {
    let mut wet = dry.clone();
    for reflection in 1..=6 {
        let delay = (RATE * 0.004 * f64::from(reflection) * room.between(0.7, 1.3)) as usize;
        let gain = strength * room.noise().signum() * 0.8_f64.powi(reflection);
        for (sample, earlier) in wet.iter_mut().skip(delay).zip(&dry) {
            *sample += gain * earlier;
        }
    }
    wet
}

/// Changes the treble by `treble` dB and removes frequencies below the voice, such as hum and DC.
fn microphone(mut samples: Vec<f64>, treble: f64) -> Vec<f64> {
    let mut below_treble = LowPass::with_loss(3.0, 2000.0);
    let mut below_voice = LowPass::with_loss(3.0, 60.0);
    let boost = decibels(treble) - 1.0;
    for sample in &mut samples {
        let bright = *sample + boost * (*sample - below_treble.pass(*sample));
        *sample = bright - below_voice.pass(bright);
    }
    samples
}
