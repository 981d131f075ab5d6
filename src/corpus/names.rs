//! Corpora whose file names are fields between separators, as tables.

use super::{Labels, Sex, digits, emotion};

/// Rule for the file names of a corpus.
pub(super) struct NameRule {
    separator: char,
    fields: &'static [Field],
}

/// A field of a file name.
enum Field {
    /// The speaker: a number with so many digits, from 1 to a last number.
    Speaker(usize, u32),
    /// The speaker: a number with any count of digits.
    AnySpeaker,
    /// The emotion: a code and the word for it, which may be a common label.
    Emotion(&'static [(&'static str, &'static str)]),
    /// The emotion: a letter of any case, followed by a number.
    EmotionLetter(&'static [(&'static str, &'static str)]),
    /// The sentence: a number with so many digits, up to a last number.
    Sentence(usize, u32),
    /// A word that is the sentence.
    Word,
    /// A number without meaning here: so many digits, up to a last number.
    Number(usize, u32),
    /// A number with any count of digits, without meaning here.
    AnyNumber,
    /// One of some words, without meaning here.
    OneOf(&'static [&'static str]),
}

/// CaFE (Gournay, Lahaie & Lefebvre 2018): `actor-emotion-intensity-sentence`, as in `01-C-1-1`, from
/// the readme of the corpus: actors 01 to 12, the initial of the French word, 1 weak or 2 strong.
pub(super) const CAFE: NameRule = NameRule {
    separator: '-',
    fields: &[
        Field::Speaker(2, 12),
        Field::Emotion(&[
            ("C", "anger"),
            ("D", "disgust"),
            ("J", "happiness"),
            ("N", "neutral"),
            ("P", "fear"),
            ("S", "surprise"),
            ("T", "sadness"),
        ]),
        Field::Number(1, 2),
        Field::Sentence(1, 6),
    ],
};

/// ASED (Retta et al. 2022): `emotion-sentence-repetition-gender-speaker`, as in `a5-03-01-02-50`, from
/// the readme of the corpus: the initial of the emotion with the number of the folder, 01 female or 02
/// male, and speakers 01 to 65. One name has a capital letter.
pub(super) const ASED: NameRule = NameRule {
    separator: '-',
    fields: &[
        Field::EmotionLetter(&[
            ("a", "anger"),
            ("f", "fear"),
            ("h", "happiness"),
            ("n", "neutral"),
            ("s", "sadness"),
        ]),
        Field::Sentence(2, 99),
        Field::Number(2, 99),
        Field::Number(2, 2),
        Field::Speaker(2, 65),
    ],
};

/// TurEV-DB (Canpolat et al. 2020): `speaker_emotion_word`, as in `1157_kz_acik`, from the files of the
/// repository: kızgın, sakin, mutlu and hüzünlü, in folders with the English words.
pub(super) const TUREV_DB: NameRule = NameRule {
    separator: '_',
    fields: &[
        Field::Speaker(4, 9999),
        Field::Emotion(&[
            ("kz", "anger"),
            ("sk", "calm"),
            ("mt", "happiness"),
            ("hl", "sadness"),
        ]),
        Field::Word,
    ],
};

/// BAVED (Aouf 2019): `speaker-gender-age-word-level-record`, as in `12-F-23-1-0-245`, from the readme
/// of the corpus. The level is how much emotion is in the voice, and not which one.
pub(super) const BAVED: NameRule = NameRule {
    separator: '-',
    fields: &[
        Field::AnySpeaker,
        Field::OneOf(&["M", "F", "m", "f"]),
        Field::AnyNumber,
        Field::Sentence(1, 6),
        Field::Emotion(&[("0", "low"), ("1", "normal"), ("2", "high")]),
        Field::AnyNumber,
    ],
};

impl NameRule {
    pub fn parse(&self, stem: &str) -> Option<Labels> {
        let values: Vec<&str> = stem.split(self.separator).collect();
        if values.len() != self.fields.len() {
            return None;
        }
        let mut labels = Labels::new("", "", "", "");
        for (field, value) in self.fields.iter().zip(values) {
            let is_number = !value.is_empty() && digits(value, value.len()).is_some();
            let within = |count, first, last| {
                digits(value, count).is_some_and(|number| (first..=last).contains(&number))
            };
            let is_valid = match *field {
                Field::Speaker(count, last) => {
                    labels.speaker = value.into();
                    within(count, 1, last)
                }
                Field::AnySpeaker => {
                    labels.speaker = value.into();
                    is_number
                }
                Field::Emotion(codes) => {
                    let (code, word) = codes.iter().find(|(code, _)| *code == value)?;
                    labels.corpus_label = (*code).into();
                    labels.label = emotion::common(word);
                    true
                }
                Field::EmotionLetter(codes) => {
                    let (letter, number) = value.split_at_checked(1)?;
                    let letter = letter.to_lowercase();
                    let (code, word) = codes.iter().find(|(code, _)| *code == letter)?;
                    labels.corpus_label = (*code).into();
                    labels.label = emotion::common(word);
                    digits(number, number.len()).is_some()
                }
                Field::Sentence(count, last) => {
                    labels.sentence = value.into();
                    within(count, 0, last)
                }
                Field::Word => {
                    labels.sentence = value.into();
                    !value.is_empty() && value.chars().all(char::is_alphabetic)
                }
                Field::Number(count, last) => within(count, 1, last),
                Field::AnyNumber => is_number,
                Field::OneOf(words) => words.contains(&value),
            };
            if !is_valid {
                return None;
            }
        }
        Some(labels)
    }
}

/// Sex of an actor of CaFE: actors with odd numbers are men.
pub(super) fn cafe_sex(actor: &str) -> Option<Sex> {
    let number: u32 = actor.parse().ok()?;
    Some(if number.is_multiple_of(2) {
        Sex::Female
    } else {
        Sex::Male
    })
}
