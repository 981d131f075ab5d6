//! From sentence and style to a score: what pitch, glottis and mouth do, frame by frame.

use super::dice::Dice;
use super::emotion::Style;
use super::phone::{self, Kind, Step};
use std::f64::consts::TAU;

/// Length of a frame in seconds.
pub const FRAME: f64 = 0.0025;
/// Time constants in seconds. Formants move no faster than jaw and tongue can; the breath valve is
/// quicker, and noise at a narrow passage starts at once.
const TONGUE: f64 = 0.016;
const GLOTTIS: f64 = 0.006;
const PASSAGE: f64 = 0.003;
const VELUM: f64 = 0.012;
/// Semitones that the pitch sinks in a second of speech.
const DECLINATION: f64 = 2.0;
/// How many dB the loudness trembles where the pitch trembles by a semitone.
const TREMBLING_LOUDNESS: f64 = 3.0;

/// The settings of the synthesiser for one frame.
pub struct Frame {
    /// Pitch relative to the voice's usual one.
    pub pitch: f64,
    pub voicing: f64,
    pub aspiration: f64,
    pub friction: f64,
    pub band: (f64, f64),
    pub formants: [f64; 3],
    pub nasal: f64,
}

pub fn score(sentence: &str, style: &Style, dice: &mut Dice) -> Vec<Frame> {
    let steps = timed(phone::steps(sentence, style.pause), style, dice);
    let onsets: Vec<f64> = steps
        .iter()
        .scan(0.0, |end, step| {
            let onset = *end;
            *end += step.seconds;
            Some(onset)
        })
        .collect();
    let (rate, start) = (dice.between(5.0, 7.5), dice.between(0.0, TAU));
    let trembling = |time: f64| style.tremor * (TAU * rate * time + start).sin();
    let melody = melody(&steps, &onsets, style, dice);

    let total: f64 = steps.iter().map(|step| step.seconds).sum();
    let at: Vec<&Step> = (0..(total / FRAME) as usize)
        .map(|frame| {
            let time = frame as f64 * FRAME;
            &steps[onsets.partition_point(|&onset| onset <= time) - 1]
        })
        .collect();
    let track = |value: fn(&Step) -> f64| at.iter().map(|step| value(step)).collect::<Vec<f64>>();

    let voicing = both_ways(track(|step| step.voicing), GLOTTIS);
    let aspiration = both_ways(track(|step| step.aspiration), GLOTTIS);
    let friction = onward(track(|step| step.friction), PASSAGE);
    let nasal = both_ways(track(|step| step.nasal), VELUM);
    let formants = [
        both_ways(track(|step| step.formants[0]), TONGUE),
        both_ways(track(|step| step.formants[1]), TONGUE),
        both_ways(track(|step| step.formants[2]), TONGUE),
    ];

    // A noise that dies away keeps the band it had.
    let mut band = at[0].band;
    at.iter()
        .enumerate()
        .map(|(i, step)| {
            if step.friction > 0.0 {
                band = step.band;
            }
            let time = i as f64 * FRAME;
            let tremble = trembling(time);
            Frame {
                pitch: ((melody(time) + tremble) / 12.0).exp2(),
                voicing: voicing[i] * decibels(TREMBLING_LOUDNESS * tremble),
                aspiration: aspiration[i],
                friction: friction[i],
                band,
                formants: [formants[0][i], formants[1][i], formants[2][i]],
                nasal: nasal[i].max(style.nasal),
            }
        })
        .collect()
}

/// Silence around the sentence, tempo, stress, final lengthening and what is never quite the same
/// twice.
fn timed(spoken: Vec<Step>, style: &Style, dice: &mut Dice) -> Vec<Step> {
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
    let before = silence(&spoken[0], dice.between(0.03, 0.08));
    let after = silence(&spoken[count - 1], dice.between(0.05, 0.11));

    let spoken = spoken.into_iter().enumerate().map(|(i, mut step)| {
        let lengthening = if i >= last_vowel { 1.35 } else { 1.0 };
        if step.kind != Kind::Pause {
            step.seconds *= lengthening * (1.0 + 0.07 * dice.bell()) / style.tempo;
        }
        if let Kind::Vowel { accented } = step.kind {
            let shape = |f: f64, schwa: f64| style.lips * (schwa + style.precision * (f - schwa));
            step.formants = std::array::from_fn(|k| shape(step.formants[k], phone::SCHWA[k]));
            let course = style.swell * i as f64 / count as f64;
            let stress = if accented { style.stress } else { 0.0 };
            step.voicing *= decibels(stress + course + 0.8 * dice.bell());
        }
        step
    });
    std::iter::once(before)
        .chain(spoken)
        .chain(std::iter::once(after))
        .collect()
}

/// Pitch over time, in semitones above the voice's usual one: declination, a hump on every accent,
/// the final movement.
fn melody(
    steps: &[Step],
    onsets: &[f64],
    style: &Style,
    dice: &mut Dice,
) -> impl Fn(f64) -> f64 + use<> {
    let total = steps.iter().map(|step| step.seconds).sum::<f64>();
    let accents: Vec<(f64, f64)> = steps
        .iter()
        .zip(onsets)
        .filter(|(step, _)| step.kind == Kind::Vowel { accented: true })
        .map(|(step, onset)| {
            (
                onset + step.seconds * dice.between(0.3, 0.7),
                style.range * (1.0 + 0.2 * dice.bell()),
            )
        })
        .collect();
    let (level, end) = (style.pitch, style.final_move);
    let final_start = total - 0.35;
    move |time| {
        let humps: f64 = accents
            .iter()
            .map(|(centre, height)| height * (-((time - centre) / 0.09).powi(2)).exp())
            .sum();
        let ending = end * ((time - final_start) / 0.25).clamp(0.0, 1.0);
        level + humps + ending + DECLINATION * (0.5 * total - time)
    }
}

pub fn decibels(level: f64) -> f64 {
    10.0_f64.powf(level / 20.0)
}

/// A target is neither reached nor left at once.
fn onward(mut track: Vec<f64>, seconds: f64) -> Vec<f64> {
    let keep = (-FRAME / seconds).exp();
    for i in 1..track.len() {
        track[i] = keep * track[i - 1] + (1.0 - keep) * track[i];
    }
    track
}

/// Coarticulation: a sound both lingers in the next and is prepared in the one before.
fn both_ways(track: Vec<f64>, seconds: f64) -> Vec<f64> {
    let mut track = onward(track, seconds);
    track.reverse();
    let mut track = onward(track, seconds);
    track.reverse();
    track
}
