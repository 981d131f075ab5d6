//! The one table of emotions: the words that corpora use, and the label they become.

const WORDS: [(&str, &str); 10] = [
    ("neutral", "neutral"),
    ("calm", "calm"),
    ("happy", "happiness"),
    ("sad", "sadness"),
    ("angry", "anger"),
    ("fearful", "fear"),
    ("fear", "fear"),
    ("disgust", "disgust"),
    ("surprised", "surprise"),
    ("ps", "pleasant-surprise"),
];

/// The label for a word that a corpus uses.
pub(super) fn label(word: &str) -> Option<&'static str> {
    WORDS
        .iter()
        .find(|(known, _)| *known == word)
        .map(|&(_, label)| label)
}
