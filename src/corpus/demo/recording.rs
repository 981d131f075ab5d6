//! Room, microphone, level and background: what lies between a mouth and a WAV file.

use super::RATE;
use super::dice::Dice;
use super::filter::LowPass;
use super::score::decibels;
use super::voice::Voice;

/// RMS level of a neutral recording, dB full scale.
const LEVEL: f64 = -25.0;
/// Nothing is recorded above this, so nothing clips.
const PEAK: f64 = 0.9;
/// What the low-pass that turns hiss into room noise loses at 3 kHz, in dB, and the RMS it leaves
/// of [`Dice::noise`].
const MUFFLING: f64 = 12.0;
const MUFFLED_RMS: f64 = 0.218;

pub fn record(
    dry: Vec<f64>,
    voice: &Voice,
    loudness: f64,
    room: &mut Dice,
    take: &mut Dice,
) -> Vec<f32> {
    let mut samples = microphone(echoes(dry, voice.room, room), voice.treble);

    let power = samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64;
    let wanted = decibels(LEVEL + voice.level + loudness + 1.5 * take.bell());
    let peak = samples
        .iter()
        .fold(f64::MIN_POSITIVE, |peak, sample| peak.max(sample.abs()));
    let gain = (wanted / power.sqrt().max(f64::MIN_POSITIVE)).min(PEAK / peak);

    let mut rumble = LowPass::losing(MUFFLING, 3000.0);
    let background = decibels(voice.noise + 1.5 * take.bell()) / MUFFLED_RMS;
    for sample in &mut samples {
        *sample = *sample * gain + background * rumble.pass(take.noise());
    }
    samples.into_iter().map(|sample| sample as f32).collect()
}

/// The first reflections from floor, walls and ceiling.
fn echoes(dry: Vec<f64>, strength: f64, room: &mut Dice) -> Vec<f64> {
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

/// More or less treble, and nothing below the voice: no hum, no DC.
fn microphone(mut samples: Vec<f64>, treble: f64) -> Vec<f64> {
    let mut below_treble = LowPass::losing(3.0, 2000.0);
    let mut below_voice = LowPass::losing(3.0, 60.0);
    let boost = decibels(treble) - 1.0;
    for sample in &mut samples {
        let bright = *sample + boost * (*sample - below_treble.pass(*sample));
        *sample = bright - below_voice.pass(bright);
    }
    samples
}
