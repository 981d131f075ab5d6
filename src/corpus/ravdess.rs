//! RAVDESS (Livingstone & Russo 2018): seven two-digit fields,
//! `modality-channel-emotion-intensity-statement-repetition-actor`, as in `03-01-06-01-02-01-12`.
//! Channel 01 is speech, 02 is song. The actors are the same, and each channel is a separate
//! corpus.

use super::{Labels, Sex, digits, emotion};

/// Values of the third field, from 01. Songs have only the first six.
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
const SUNG: usize = 6;

/// Values of the second field.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Channel {
    Speech = 1,
    Song = 2,
}

pub(super) fn parse(stem: &str, requested: Channel) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('-').collect();
    let &[
        modality,
        channel,
        emotion,
        intensity,
        statement,
        repetition,
        actor,
    ] = fields.as_slice()
    else {
        return None;
    };
    let within = |field: &str, last: u32| digits(field, 2).is_some_and(|n| (1..=last).contains(&n));
    let known = digits(channel, 2) == Some(requested as u32)
        && within(modality, 3)
        && [intensity, statement, repetition]
            .iter()
            .all(|field| within(field, 2))
        && within(actor, 24);
    let words = match requested {
        Channel::Speech => &EMOTIONS[..],
        Channel::Song => &EMOTIONS[..SUNG],
    };
    let place = digits(emotion, 2)?.checked_sub(1)? as usize;
    let word = words.get(place).filter(|_| known)?;
    Some(Labels::new(emotion::label(word)?, *word, actor, statement))
}

/// Sex of an actor: actors with odd numbers are men.
pub(super) fn sex(actor: &str) -> Option<Sex> {
    let number: u32 = actor.parse().ok()?;
    Some(match number % 2 {
        0 => Sex::Female,
        _ => Sex::Male,
    })
}

/// A value that RAVDESS does not have, in a name with seven fields of two digits that begins like its
/// audio recordings (`03-01-…`); `None` for all other names. BanglaSER has such names: its emotions
/// are 01 happy, 02 sad, 03 angry, 04 surprise and 05 neutral, with a third statement and repetition.
pub(super) fn foreign_value(stem: &str) -> Option<String> {
    const NAMES: [&str; 7] = [
        "modality",
        "channel",
        "emotion",
        "intensity",
        "statement",
        "repetition",
        "actor",
    ];
    let last = [3, 2, 8, 2, 2, 2, 24];
    let fields: Option<Vec<u32>> = stem.split('-').map(|field| digits(field, 2)).collect();
    let fields = fields.filter(|fields| fields.len() == NAMES.len())?;
    if fields[..2] != [3, 1] {
        return None;
    }
    let is_foreign = |place: &usize| !(1..=last[*place]).contains(&fields[*place]);
    if let Some(place) = (2..NAMES.len()).rev().find(is_foreign) {
        return Some(format!(
            "{} {:02}, and RAVDESS has 01 to {:02}",
            NAMES[place], fields[place], last[place]
        ));
    }
    (fields[2..4] == [1, 2])
        .then(|| "emotion 01 with the intensity 02, and neutral has only 01 in RAVDESS".into())
}
