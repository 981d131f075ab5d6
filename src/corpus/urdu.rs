//! URDU (Latif et al. 2018): `speaker_file_emotion`, as in `SM1_F10_A010`: S, the sex and a number;
//! F and the number of the file of this speaker; the letter of the emotion and the number of the
//! file with this emotion. The recordings are of 38 people on television.

use super::{Labels, Sex};

const EMOTIONS: [(char, &str); 4] = [
    ('A', "anger"),
    ('H', "happiness"),
    ('N', "neutral"),
    ('S', "sadness"),
];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('_').collect();
    let &[speaker, file, emotion] = fields.as_slice() else {
        return None;
    };
    let number = |text: &str| (1..=4).contains(&text.len()) && text.parse::<u16>().is_ok();
    let who = speaker
        .strip_prefix("SM")
        .or_else(|| speaker.strip_prefix("SF"))?;
    let (letter, rest) = emotion.split_at_checked(1)?;
    let plain = [who, file.strip_prefix('F')?, rest]
        .iter()
        .all(|text| number(text) && text.bytes().all(|b| b.is_ascii_digit()));
    let (_, label) = EMOTIONS
        .iter()
        .find(|(known, _)| plain && letter.starts_with(*known))?;
    Some(Labels::new(*label, letter, speaker, ""))
}

pub(super) fn sex(speaker: &str) -> Option<Sex> {
    Sex::of_initial(speaker.strip_prefix('S')?)
}
