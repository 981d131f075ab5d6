//! ShEMO (Mohamad Nezami et al. 2019): sex, number of the speaker, emotion and number of the
//! utterance without separators, as in `F01A01`.

use super::{Labels, Sex};

const EMOTIONS: [(u8, &str); 6] = [
    (b'A', "anger"),
    (b'F', "fear"),
    (b'H', "happiness"),
    (b'N', "neutral"),
    (b'S', "sadness"),
    (b'W', "surprise"),
];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let &[b'F' | b'M', s1, s2, emotion, u1, u2, ref more @ ..] = stem.as_bytes() else {
        return None;
    };
    let numbers = [&[s1, s2, u1, u2], more].concat();
    if more.len() > 1 || !numbers.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (_, label) = EMOTIONS.iter().find(|(letter, _)| *letter == emotion)?;
    Some(Labels::new(*label, &stem[3..4], &stem[..3], ""))
}

pub(super) fn sex(speaker: &str) -> Option<Sex> {
    Sex::of_initial(speaker)
}
