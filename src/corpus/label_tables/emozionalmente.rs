//! Emozionalmente (Catania, Wilke & Garzotto 2025): recordings in `audio`, and their actors and intended
//! emotions in `metadata/samples.csv`.

use std::collections::BTreeMap;

use super::{Entry, Labels, columns, stem};
use crate::corpus::emotion;

pub(super) fn entries(text: &str) -> BTreeMap<String, Entry> {
    let names = ["file_name", "actor", "emotion_expressed"];
    let entry = |[file, actor, word]: [String; 3]| {
        let entry = Entry {
            labels: Labels::new(emotion::common(&word), word, actor, ""),
            subset: None,
            unused: None,
        };
        (stem(&file), entry)
    };
    columns(text, names).into_iter().map(entry).collect()
}
