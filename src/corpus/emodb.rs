//! EmoDB (Burkhardt et al. 2005): two digits of speaker, three of text, the initial of the German
//! emotion word and a letter for the version, as in `03a01Fa`.

use super::{Labels, Sex};

/// Ärger (Wut), Langeweile, Ekel, Angst, Freude, Trauer, neutral.
const EMOTIONS: [(u8, &str); 7] = [
    (b'W', "anger"),
    (b'L', "boredom"),
    (b'E', "disgust"),
    (b'A', "fear"),
    (b'F', "happiness"),
    (b'T', "sadness"),
    (b'N', "neutral"),
];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let bytes = stem.as_bytes();
    let &[s1, s2, text, t1, t2, emotion, ref version @ ..] = bytes else {
        return None;
    };
    let well_formed = [s1, s2, t1, t2].iter().all(u8::is_ascii_digit)
        && text.is_ascii_lowercase()
        && version.len() <= 1
        && version.iter().all(u8::is_ascii_lowercase);
    if !well_formed {
        return None;
    }
    let (_, label) = EMOTIONS.iter().find(|(initial, _)| *initial == emotion)?;
    Some(Labels::new(*label, &stem[5..6], &stem[..2], &stem[2..5]))
}

/// Sex of a speaker: 08, 09, 13, 14 and 16 are women.
pub(super) fn sex(speaker: &str) -> Option<Sex> {
    Some(match speaker {
        "08" | "09" | "13" | "14" | "16" => Sex::Female,
        _ => Sex::Male,
    })
}
