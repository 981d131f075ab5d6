//! SUBESCO (Sultana et al. 2021): `sex_number_NAME_S_sentence_EMOTION_take`, as in
//! `F_01_OISHI_S_10_ANGRY_1`: ten women and ten men, each sex numbered from 01, ten sentences, five
//! takes.

use super::{Labels, Sex, digits, emotion};

const EMOTIONS: [&str; 7] = [
    "ANGRY", "DISGUST", "FEAR", "HAPPY", "NEUTRAL", "SAD", "SURPRISE",
];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('_').collect();
    let &[sex, number, name, "S", sentence, word, take] = fields.as_slice() else {
        return None;
    };
    let known = ["F", "M"].contains(&sex)
        && digits(number, 2).is_some()
        && !name.is_empty()
        && name.bytes().all(|letter| letter.is_ascii_uppercase())
        && digits(sentence, sentence.len().min(2)).is_some()
        && EMOTIONS.contains(&word)
        && digits(take, 1).is_some();
    // Women and men have the same numbers.
    known.then(|| {
        Labels::new(
            emotion::common(word),
            word,
            format!("{sex}{number}"),
            sentence.to_string(),
        )
    })
}

pub(super) fn sex(speaker: &str) -> Option<Sex> {
    Sex::of_initial(speaker)
}
