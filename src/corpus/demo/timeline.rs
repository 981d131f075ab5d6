//! Timeline of a clip: sentence and style → pitch, source and articulation of every frame.

use super::emotion::Style;
use super::phone::{self, Kind, Step};
use super::rng::DemoRng;
use std::f64::consts::TAU;

/// Length of a frame in seconds.
pub const FRAME: f64 = 0.0025;
/// Time constants in seconds. Formants move as slowly as jaw and tongue; the glottis is faster, and
/// the noise of a constriction starts almost at once.
const TONGUE: f64 = 0.016;
const GLOTTIS: f64 = 0.006;
const PASSAGE: f64 = 0.003;
const VELUM: f64 = 0.012;
/// Fall of the pitch in semitones a second.
const DECLINATION: f64 = 2.0;
/// Tremor of the loudness in dB for each semitone of pitch tremor.
const LOUDNESS_TREMOR: f64 = 3.0;

/// Settings of the synthesiser for one frame. Fields without a comment are as in [`Step`].
pub struct Frame {
    /// Pitch relative to the usual pitch of the voice, a factor.
    pub pitch: f64,
    pub voicing: f64,
    pub aspiration: f64,
    pub friction: f64,
    pub band: (f64, f64),
    pub formants: [f64; 3],
    pub nasal: f64,
}

/// The frames of a clip, from the silence before the sentence to the silence after it.
pub fn frames(sentence: &str, style: &Style, rng: &mut DemoRng) -> Vec<Frame> {
    let steps = timed(phone::steps(sentence, style.pause), style, rng);
    let onsets: Vec<f64> = steps
        .iter()
        .scan(0.0, |end, step| {
            let onset = *end;
            *end += step.seconds;
            Some(onset)
        })
        .collect();
    let (rate, start) = (rng.between(5.0, 7.5), rng.between(0.0, TAU));
    let tremor = |time: f64| style.tremor * (TAU * rate * time + start).sin();
    let melody = melody(&steps, &onsets, style, rng);

    let total: f64 = steps.iter().map(|step| step.seconds).sum();
    let at: Vec<&Step> = (0..(total / FRAME) as usize)
        .map(|frame| {
            let time = frame as f64 * FRAME;
            &steps[onsets.partition_point(|&onset| onset <= time) - 1]
        })
        .collect();
    let track = |value: fn(&Step) -> f64| at.iter().map(|step| value(step)).collect::<Vec<f64>>();

    let voicing = smooth_both_ways(track(|step| step.voicing), GLOTTIS);
    let aspiration = smooth_both_ways(track(|step| step.aspiration), GLOTTIS);
    let friction = smooth_forward(track(|step| step.friction), PASSAGE);
    let nasal = smooth_both_ways(track(|step| step.nasal), VELUM);
    let formants = [
        smooth_both_ways(track(|step| step.formants[0]), TONGUE),
        smooth_both_ways(track(|step| step.formants[1]), TONGUE),
        smooth_both_ways(track(|step| step.formants[2]), TONGUE),
    ];

    // A noise that fades out keeps its band.
    let mut band = at[0].band;
    at.iter()
        .enumerate()
        .map(|(i, step)| {
            if step.friction > 0.0 {
                band = step.band;
            }
            let time = i as f64 * FRAME;
            let tremor = tremor(time);
            Frame {
                pitch: ((melody(time) + tremor) / 12.0).exp2(),
                voicing: voicing[i] * decibels(LOUDNESS_TREMOR * tremor),
                aspiration: aspiration[i],
                friction: friction[i],
                band,
                formants: [formants[0][i], formants[1][i], formants[2][i]],
                nasal: nasal[i].max(style.nasal),
            }
        })
        .collect()
}

/// Adds silence around the sentence, tempo, stress, final lengthening and random variation.
fn timed(spoken: Vec<Step>, style: &Style, rng: &mut DemoRng) -> Vec<Step> {
    let last_vowel = spoken
        .iter()
        .rposition(|step| matches!(step.kind, Kind::Vowel { .. }))
        .unwrap_or(0);
    let count = spoken.len();
    let silence = |like: &Step, seconds: f64| Step {
        seconds,
        voicing: 0.0,
        aspiration: 0.0,
        friction: 0.0,
        kind: Kind::Pause,
        ..like.clone()
    };
    let before = silence(&spoken[0], rng.between(0.03, 0.08));
    let after = silence(&spoken[count - 1], rng.between(0.05, 0.11));

    let spoken = spoken.into_iter().enumerate().map(|(i, mut step)| {
        let lengthening = if i >= last_vowel { 1.35 } else { 1.0 };
        if step.kind != Kind::Pause {
            step.seconds *= lengthening * (1.0 + 0.07 * rng.bell()) / style.tempo;
        }
        if let Kind::Vowel { accented } = step.kind {
            let shape = |f: f64, schwa: f64| style.lips * (schwa + style.precision * (f - schwa));
            step.formants = std::array::from_fn(|k| shape(step.formants[k], phone::SCHWA[k]));
            let course = style.swell * i as f64 / count as f64;
            let stress = if accented { style.stress } else { 0.0 };
            step.voicing *= decibels(stress + course + 0.8 * rng.bell());
        }
        step
    });
    std::iter::once(before)
        .chain(spoken)
        .chain(std::iter::once(after))
        .collect()
}

/// Pitch as a function of time in seconds, in semitones above the usual pitch of the voice:
/// declination, a bump at every accent, and the final movement.
fn melody(
    steps: &[Step],
    onsets: &[f64],
    style: &Style,
    rng: &mut DemoRng,
) -> impl Fn(f64) -> f64 + use<> {
    let total = steps.iter().map(|step| step.seconds).sum::<f64>();
    let accents: Vec<(f64, f64)> = steps
        .iter()
        .zip(onsets)
        .filter(|(step, _)| step.kind == Kind::Vowel { accented: true })
        .map(|(step, onset)| {
            (
                onset + step.seconds * rng.between(0.3, 0.7),
                style.range * (1.0 + 0.2 * rng.bell()),
            )
        })
        .collect();
    let (level, end) = (style.pitch, style.final_move);
    let final_start = total - 0.35;
    move |time| {
        let bumps: f64 = accents
            .iter()
            .map(|(centre, height)| height * (-((time - centre) / 0.09).powi(2)).exp())
            .sum();
        let ending = end * ((time - final_start) / 0.25).clamp(0.0, 1.0);
        level + bumps + ending + DECLINATION * (0.5 * total - time)
    }
}

/// The amplitude factor of a level in decibels.
pub fn decibels(level: f64) -> f64 {
    10.0_f64.powf(level / 20.0)
}

/// Smooths a track forward in time with a time constant of `seconds`.
fn smooth_forward(mut track: Vec<f64>, seconds: f64) -> Vec<f64> {
    let keep = (-FRAME / seconds).exp();
    for i in 1..track.len() {
        track[i] = keep * track[i - 1] + (1.0 - keep) * track[i];
    }
    track
}

/// Smooths a track forward and backward in time (coarticulation): a sound influences both the next
/// sound and the sound before.
fn smooth_both_ways(track: Vec<f64>, seconds: f64) -> Vec<f64> {
    let mut track = smooth_forward(track, seconds);
    track.reverse();
    let mut track = smooth_forward(track, seconds);
    track.reverse();
    track
}
