//! The table of emotions: the words that corpora use and their common labels, and the default
//! aliases of labels that another corpus does not have.

/// Words and their common labels. A word that is not in this table stays unchanged.
const WORDS: [(&str, &str); 26] = [
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

/// The label for a word that a user chose: the common label if the table has the word, otherwise
/// the word itself in lower case.
pub(super) fn common(word: &str) -> String {
    let word = word.trim().to_lowercase();
    label(&word).map_or(word, str::to_string)
}
