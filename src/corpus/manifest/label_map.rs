//! Meanings of the labels of a manifest: the `label_map.json` of EmoBox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::columns::some;
use super::error::ManifestError;
use super::table::{Cell, Table};
use crate::bounded;
use crate::corpus::spelling::without_zero_fraction;

/// File names of the label map in EmoBox.
const NAMES: [&str; 2] = ["label_map.json", "label_dict.json"];

/// Letters for the labels of MSP-Podcast, from the README of its labels (Lotfian & Busso 2019). X, no
/// agreement of the annotators, is not a label.
pub(in crate::corpus) const MSP_PODCAST: [(&str, &str); 10] = [
    ("A", "anger"),
    ("C", "contempt"),
    ("D", "disgust"),
    ("F", "fear"),
    ("H", "happiness"),
    ("N", "neutral"),
    ("O", "other"),
    ("S", "sadness"),
    ("U", "surprise"),
    ("X", "unknown"),
];

/// Labels and their meanings. Without a file, labels mean themselves.
pub(super) struct LabelMap {
    file: Option<PathBuf>,
    meanings: BTreeMap<String, String>,
}

impl LabelMap {
    /// Reads the given file. Without one, reads the file in the folder of a manifest in JSON Lines,
    /// or in the folder above, if it exists.
    pub fn of(given: Option<&Path>, table: &Table) -> Result<LabelMap, ManifestError> {
        let file = given.map(Path::to_path_buf).or_else(|| {
            let folders = table.path.ancestors().skip(1).take(2);
            let mut candidates = folders.flat_map(|folder| NAMES.map(|name| folder.join(name)));
            candidates.find(|file| table.is_json && file.is_file())
        });
        let meanings = match &file {
            None if table.is_msp_podcast => MSP_PODCAST
                .map(|(letter, label)| (letter.to_string(), label.to_string()))
                .into(),
            None => BTreeMap::new(),
            Some(file) => read(file)?,
        };
        Ok(LabelMap { file, meanings })
    }

    /// True if the file has this label.
    pub fn has(&self, label: &Cell) -> bool {
        self.get(label).is_some()
    }

    /// Meaning of a label in the file. The label `2.0` of a table is the `2` of the file.
    fn get(&self, label: &Cell) -> Option<&String> {
        let number = without_zero_fraction(&label.text);
        let exact = self.meanings.get(&label.text);
        exact.or_else(|| self.meanings.get(number))
    }

    /// Meaning of a label. A label that is not in the file is an error.
    pub fn meaning<'a>(&'a self, label: &'a Cell) -> Result<&'a str, ManifestError> {
        match (&self.file, self.get(label)) {
            (None, meaning) => Ok(meaning.unwrap_or(&label.text)),
            (Some(file), Some(meaning)) if meaning.trim().is_empty() => Err(label.wrong(format!(
                "{} has an empty meaning for '{}'",
                file.display(),
                label.text
            ))),
            (Some(_), Some(meaning)) => Ok(meaning),
            (Some(file), None) => {
                let known: Vec<&str> = self.meanings.keys().map(String::as_str).collect();
                Err(label.wrong(format!(
                    "{} has no meaning for '{}', only for {}",
                    file.display(),
                    label.text,
                    some(&known)
                )))
            }
        }
    }

    /// A note about the file that is used, if any.
    pub fn note(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(format!(
            "the meanings of labels are read from {}",
            file.display()
        ))
    }
}

fn read(file: &Path) -> Result<BTreeMap<String, String>, ManifestError> {
    let text =
        bounded::read_text(file, bounded::RESULTS).map_err(|source| ManifestError::Unreadable {
            file: file.into(),
            source,
        })?;
    serde_json::from_str(&text).map_err(|error| ManifestError::Wrong {
        place: file.display().to_string(),
        what: format!("this is not a JSON object that maps labels to labels: {error}"),
    })
}
