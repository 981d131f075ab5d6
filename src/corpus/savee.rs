//! SAVEE (Haq & Jackson 2009): four English speakers, DC, JE, JK and KL; an emotion of one or two
//! letters and the number of the sentence, 01 to 15 (neutral: to 30). The speaker is in the file
//! name, `DC_a01`, or is the folder, `DC/a01`, as in the published corpus.

use std::path::Path;

use super::{Labels, Sex, digits};

const SPEAKERS: [&str; 4] = ["DC", "JE", "JK", "KL"];
const EMOTIONS: [(&str, &str); 7] = [
    ("a", "anger"),
    ("d", "disgust"),
    ("f", "fear"),
    ("h", "happiness"),
    ("n", "neutral"),
    ("sa", "sadness"),
    ("su", "surprise"),
];

pub(super) fn parse(file: &Path) -> Option<Labels> {
    let stem = file.file_stem()?.to_str()?;
    let (speaker, code) = match stem.split_once('_') {
        Some(parts) => parts,
        None => (file.parent()?.file_name()?.to_str()?, stem),
    };
    let (emotion, number) = code.split_at_checked(code.len().checked_sub(2)?)?;
    let (_, label) = EMOTIONS.iter().find(|(letters, _)| *letters == emotion)?;
    let last = if *label == "neutral" { 30 } else { 15 };
    let known =
        SPEAKERS.contains(&speaker) && (1..=last).contains(&digits(number, 2).unwrap_or_default());
    known.then(|| Labels::new(*label, emotion, speaker, code))
}

pub(super) fn sex(_speaker: &str) -> Option<Sex> {
    Some(Sex::Male)
}
