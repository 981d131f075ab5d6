//! ESD (Zhou et al. 2021): `speaker_number`, as in `0011_000351`, in folders `0011/Angry` and in some
//! archives `train`, `test` and `evaluation` below. The readme of the corpus: speakers 0001 to 0010
//! speak Chinese, 0011 to 0020 English; the numbers 1 to 1750 are five emotions with the same 350
//! sentences; of each emotion, the first 20 sentences are for evaluation and the next 30 for the test.

use super::split::Subset;
use super::{Labels, Sex, digits};

const EMOTIONS: [(&str, &str); 5] = [
    ("Neutral", "neutral"),
    ("Angry", "anger"),
    ("Happy", "happiness"),
    ("Sad", "sadness"),
    ("Surprise", "surprise"),
];
const SENTENCES: u32 = 350;
const EVALUATED: u32 = 20;
const TESTED: u32 = 30;
const WOMEN: [&str; 10] = [
    "0001", "0002", "0003", "0007", "0009", "0015", "0016", "0017", "0018", "0019",
];

/// The speaker, and the number of the clip from 0.
fn fields(stem: &str) -> Option<(&str, u32)> {
    let (speaker, number) = stem.split_once('_')?;
    let is_known = digits(speaker, 4).is_some_and(|number| (1..=20).contains(&number));
    let number = digits(number, 6).filter(|_| is_known)?;
    Some((speaker, number.checked_sub(1)?))
}

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let (speaker, number) = fields(stem)?;
    let (word, label) = EMOTIONS.get((number / SENTENCES) as usize)?;
    let sentence = format!("{:03}", number % SENTENCES + 1);
    Some(Labels::new(*label, *word, speaker, sentence))
}

/// The subset of a clip in the published split, which shares the speakers between its subsets.
pub(super) fn published_subset(stem: &str) -> Option<Subset> {
    let (_, number) = fields(stem)?;
    Some(match number % SENTENCES {
        place if place < EVALUATED => Subset::Validation,
        place if place < EVALUATED + TESTED => Subset::Test,
        _ => Subset::Train,
    })
}

pub(super) fn sex(speaker: &str) -> Option<Sex> {
    Some(if WOMEN.contains(&speaker) {
        Sex::Female
    } else {
        Sex::Male
    })
}
