//! TESS (Pichora-Fuller & Dupuis 2020): `SPEAKER_word_emotion`, as in `OAF_back_angry`, with two
//! speakers, `OAF` (older) and `YAF` (younger). As published one name lacks its F
//! (`OA_bite_neutral`), and case differs here and there.

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

/// Two actresses.
pub(super) fn sex(_speaker: &str) -> Option<Sex> {
    Some(Sex::Female)
}
