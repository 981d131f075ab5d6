//! TESS (Pichora-Fuller & Dupuis 2020): `SPEAKER_word_emotion`, as in `OAF_back_angry`, with two
//! speakers, `OAF` (older) and `YAF` (younger). In the published corpus, one name has no F
//! (`OA_bite_neutral`), and the case of some names differs.

use super::{Labels, Sex, emotion};

const EMOTIONS: [&str; 7] = ["angry", "disgust", "fear", "happy", "neutral", "ps", "sad"];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let (speaker, rest) = stem.split_once('_')?;
    let (word, emotion) = rest.rsplit_once('_')?;
    let speaker = match speaker.to_ascii_uppercase().as_str() {
        "OAF" | "OA" => "OAF",
        "YAF" | "YA" => "YAF",
        _ => return None,
    };
    let emotion = emotion.to_ascii_lowercase();
    if !EMOTIONS.contains(&emotion.as_str()) {
        return None;
    }
    Some(Labels::new(
        emotion::label(&emotion)?,
        emotion,
        speaker,
        word.to_lowercase(),
    ))
}

/// Sex of a speaker: both are women.
pub(super) fn sex(_speaker: &str) -> Option<Sex> {
    Some(Sex::Female)
}
