//! RAVDESS (Livingstone & Russo 2018): seven two-digit fields,
//! `modality-channel-emotion-intensity-statement-repetition-actor`, as in `03-01-06-01-02-01-12`.

use super::{Labels, emotion};

/// The third field, from 01.
const EMOTIONS: [&str; 8] = [
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
];
const SPEECH: &str = "01";

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('-').collect();
    let &[
        _modality,
        channel,
        emotion,
        _intensity,
        statement,
        _repetition,
        actor,
    ] = fields.as_slice()
    else {
        return None;
    };
    let two_digits = |field: &&str| field.len() == 2 && field.bytes().all(|b| b.is_ascii_digit());
    if channel != SPEECH || !fields.iter().all(two_digits) {
        return None;
    }
    if !(1..=24).contains(&actor.parse::<u32>().ok()?) {
        return None;
    }
    let word = EMOTIONS.get(emotion.parse::<usize>().ok()?.checked_sub(1)?)?;
    Some(Labels::new(emotion::label(word)?, actor, statement))
}
