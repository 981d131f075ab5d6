//! EMOVO (Costantini et al. 2014): `emotion-speaker-sentence`, as in `dis-f1-b1`: three letters of
//! the Italian word, speakers f1 to f3 and m1 to m3, and one of fourteen sentences.

use super::{Labels, Sex, digits};

/// Disgusto, gioia, neutro, paura, rabbia, sorpresa, tristezza.
const EMOTIONS: [(&str, &str); 7] = [
    ("dis", "disgust"),
    ("gio", "happiness"),
    ("neu", "neutral"),
    ("pau", "fear"),
    ("rab", "anger"),
    ("sor", "surprise"),
    ("tri", "sadness"),
];
const SPEAKERS: [&str; 6] = ["f1", "f2", "f3", "m1", "m2", "m3"];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('-').collect();
    let &[emotion, speaker, sentence] = fields.as_slice() else {
        return None;
    };
    let number = sentence.strip_prefix(['b', 'd', 'l', 'n'])?;
    if !SPEAKERS.contains(&speaker) || digits(number, 1).is_none() {
        return None;
    }
    let (_, label) = EMOTIONS.iter().find(|(letters, _)| *letters == emotion)?;
    Some(Labels::new(*label, emotion, speaker, sentence))
}

pub(super) fn sex(speaker: &str) -> Option<Sex> {
    Sex::of_initial(speaker)
}
