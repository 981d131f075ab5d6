//! JL-Corpus (James et al. 2018): `speaker_emotion_sentence_take`, as in `female1_angry_10a_1`: two
//! women and two men, five primary emotions and five secondary ones, sentences 1a to 15b.

use super::{Labels, Sex, digits, emotion};

const SPEAKERS: [&str; 4] = ["female1", "female2", "male1", "male2"];
/// The emotions; the secondary ones are the last five.
const EMOTIONS: [&str; 10] = [
    "angry",
    "excited",
    "happy",
    "neutral",
    "sad",
    "anxious",
    "apologetic",
    "assertive",
    "concerned",
    "encouraging",
];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('_').collect();
    let &[speaker, word, sentence, take] = fields.as_slice() else {
        return None;
    };
    let number = sentence.strip_suffix(['a', 'b'])?;
    let known = SPEAKERS.contains(&speaker)
        && EMOTIONS.contains(&word)
        && digits(number, number.len().min(2)).is_some()
        && digits(take, 1).is_some();
    known.then(|| Labels::new(emotion::common(word), word, speaker, sentence))
}

pub(super) fn sex(speaker: &str) -> Option<Sex> {
    Sex::of_initial(speaker)
}
