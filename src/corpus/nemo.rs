//! nEMO (Christop 2024): `speaker_emotion_sentence`, as in `EB0_anger_1`, in the folder `samples`.
//! The file `data.tsv` beside this folder has the same information and more; it can be used as a
//! manifest.

use super::{Labels, Sex, digits, emotion};

const EMOTIONS: [&str; 6] = [
    "anger",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprised",
];
/// Speakers and their sex, from `data.tsv`.
const SPEAKERS: [(&str, Sex); 9] = [
    ("EB0", Sex::Female),
    ("IC0", Sex::Female),
    ("KD0", Sex::Female),
    ("KS0", Sex::Male),
    ("MK0", Sex::Female),
    ("MP0", Sex::Male),
    ("SM0", Sex::Male),
    ("TP0", Sex::Male),
    ("WR0", Sex::Male),
];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('_').collect();
    let &[speaker, word, sentence] = fields.as_slice() else {
        return None;
    };
    let number = sentence.parse().unwrap_or(0);
    let known = SPEAKERS.iter().any(|(name, _)| *name == speaker)
        && EMOTIONS.contains(&word)
        && (1..=90).contains(&number)
        && digits(sentence, sentence.len()).is_some();
    known.then(|| Labels::new(emotion::common(word), word, speaker, sentence))
}

pub(super) fn sex(speaker: &str) -> Option<Sex> {
    SPEAKERS
        .iter()
        .find(|(name, _)| *name == speaker)
        .map(|&(_, sex)| sex)
}
