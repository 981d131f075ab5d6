//! MELD (Poria et al. 2019): `dia0_utt0`, in a folder for each subset (`train_splits`,
//! `dev_splits_complete`, `output_repeated_splits_test`), because the numbers repeat. Labels and
//! speakers are in `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`. The published split
//! is by dialogue, and shares its speakers.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Entry, Labels, columns};
use crate::corpus::split::Subset;
use crate::corpus::{digits, emotion};

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let (dialogue, utterance) = stem.strip_prefix("dia")?.split_once("_utt")?;
    let is_number = |text: &str| !text.is_empty() && digits(text, text.len()).is_some();
    (is_number(dialogue) && is_number(utterance)).then(|| Labels::new("", "", "", ""))
}

/// The subset in a folder of a recording, or in the name of a table.
pub(in crate::corpus) fn subset_of(file: &Path) -> Option<Subset> {
    let parts: Vec<String> = file
        .components()
        .map(|part| part.as_os_str().to_string_lossy().to_lowercase())
        .collect();
    parts.iter().rev().find_map(|part| {
        let mut words = part.split(|letter: char| !letter.is_alphanumeric());
        words.find_map(|word| match word {
            "train" => Some(Subset::Train),
            "dev" | "val" | "valid" => Some(Subset::Validation),
            "test" => Some(Subset::Test),
            _ => None,
        })
    })
}

/// The key of a recording: its name, with its subset.
pub(super) fn key(subset: Subset, stem: &str) -> String {
    format!("{subset}/{stem}")
}

pub(super) fn entries(text: &str, table: &Path) -> BTreeMap<String, Entry> {
    let Some(subset) = table
        .file_name()
        .and_then(|name| subset_of(Path::new(name)))
    else {
        return BTreeMap::new();
    };
    let names = ["Dialogue_ID", "Utterance_ID", "Speaker", "Emotion"];
    let entry = |[dialogue, utterance, speaker, word]: [String; 4]| {
        let entry = Entry {
            labels: Labels::new(emotion::common(&word), word, speaker, ""),
            subset: Some(subset),
            unused: None,
        };
        (key(subset, &format!("dia{dialogue}_utt{utterance}")), entry)
    };
    columns(text, names).into_iter().map(entry).collect()
}
