//! The table of emotions: the words that corpora use and their common labels, and the default
//! aliases of labels that another corpus does not have.

use unicode_normalization::UnicodeNormalization;

use super::spelling::{folded, without_zero_fraction};

/// Words and their common labels. A word that is not in this table stays unchanged.
pub(super) const WORDS: [(&str, &str); 26] = [
    ("neutral", "neutral"),
    ("neutrality", "neutral"),
    ("calm", "calm"),
    ("happy", "happiness"),
    ("happiness", "happiness"),
    ("joy", "happiness"),
    ("joyful", "happiness"),
    ("sad", "sadness"),
    ("sadness", "sadness"),
    ("angry", "anger"),
    ("anger", "anger"),
    ("fearful", "fear"),
    ("fear", "fear"),
    ("disgust", "disgust"),
    ("disgusted", "disgust"),
    ("surprised", "surprise"),
    ("surprise", "surprise"),
    ("ps", "pleasant-surprise"),
    ("pleasant_surprise", "pleasant-surprise"),
    ("pleasant_surprised", "pleasant-surprise"),
    ("bored", "boredom"),
    ("boredom", "boredom"),
    ("excited", "excitement"),
    ("excitement", "excitement"),
    ("anxious", "anxiety"),
    ("anxiety", "anxiety"),
];

/// Default label aliases `(from, to)`. They apply if one side has `from` and the other side has
/// only `to`.
pub(crate) const LABEL_ALIASES: [(&str, &str); 3] = [
    ("calm", "neutral"),
    ("boredom", "neutral"),
    ("pleasant-surprise", "surprise"),
];

/// The common label for a word of a corpus; `None` if the table does not have the word.
pub(super) fn label(word: &str) -> Option<&'static str> {
    WORDS
        .iter()
        .find(|(known, _)| *known == word)
        .map(|&(_, label)| label)
}

/// The label for a word that a user chose: the common label if the table has the word in some
/// spelling (`Pleasant Surprise`), otherwise the word itself, in lower case and in the composed form
/// of Unicode. A whole number that a program wrote as a fraction (`2.0`) is the number.
pub(crate) fn common(word: &str) -> String {
    if let Some(label) = label(&folded(word).replace([' ', '-'], "_")) {
        return label.to_string();
    }
    let word: String = word.trim().to_lowercase().nfc().collect();
    without_zero_fraction(&word).to_string()
}

/// True for a common label.
pub(super) fn is_common(label: &str) -> bool {
    WORDS.iter().any(|(_, common)| *common == label)
}

/// True for two labels that count as one, at least by default.
pub(super) fn are_alike(a: &str, b: &str) -> bool {
    let target = |label: &str| {
        let alias = LABEL_ALIASES.iter().find(|(from, _)| *from == label);
        alias.map_or(label.to_string(), |(_, to)| to.to_string())
    };
    target(a) == target(b)
}

/// Labels that papers use together, by the name of their convention, for `--labels`.
pub(super) struct Preset {
    /// Name of the convention.
    pub name: &'static str,
    /// The labels.
    pub labels: &'static [&'static str],
    /// Labels that count as another label.
    pub aliases: &'static [(&'static str, &'static str)],
}

/// The conventions. `iemocap-4` is the choice of most papers on IEMOCAP: four classes, and excitement
/// counts as happiness (5531 utterances).
pub(super) const PRESETS: [Preset; 1] = [Preset {
    name: "iemocap-4",
    labels: &["anger", "happiness", "neutral", "sadness"],
    aliases: &[("excitement", "happiness")],
}];
