//! The one table of emotions: the words that corpora use, the label they become, and what a label
//! counts as where another corpus has no such emotion.

/// A word that stands here becomes the common label; any other stays what the corpus calls it.
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

/// What a label counts as where only one side knows it and the other knows only its counterpart.
pub(crate) const COUNTS_AS: [(&str, &str); 3] = [
    ("calm", "neutral"),
    ("boredom", "neutral"),
    ("pleasant-surprise", "surprise"),
];

/// The label for a word that a corpus uses.
pub(super) fn label(word: &str) -> Option<&'static str> {
    WORDS
        .iter()
        .find(|(known, _)| *known == word)
        .map(|&(_, label)| label)
}

/// The label for a word that a person chose: a common one where the table has it, else the word itself
/// in small letters.
pub(super) fn common(word: &str) -> String {
    let word = word.trim().to_lowercase();
    label(&word).map_or(word, str::to_string)
}
