//! What the labels of a list mean: EmoBox's `label_map.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::columns::some;
use super::error::ManifestError;
use super::table::{Cell, Table};
use crate::bounded;

/// As EmoBox calls it.
const NAMES: [&str; 2] = ["label_map.json", "label_dict.json"];

/// Labels and what they mean; without a file each is what it says.
pub(super) struct LabelMap {
    file: Option<PathBuf>,
    meanings: BTreeMap<String, String>,
}

impl LabelMap {
    /// The given file, or the one that lies beside a list of JSON Lines or in the folder above it.
    pub fn of(given: Option<&Path>, table: &Table) -> Result<LabelMap, ManifestError> {
        let file = given.map(Path::to_path_buf).or_else(|| {
            let folders = table.path.ancestors().skip(1).take(2);
            let mut beside = folders.flat_map(|folder| NAMES.map(|name| folder.join(name)));
            beside.find(|file| table.is_json && file.is_file())
        });
        let meanings = match &file {
            None => BTreeMap::new(),
            Some(file) => read(file)?,
        };
        Ok(LabelMap { file, meanings })
    }

    /// True where the file lists a label.
    pub fn has(&self, label: &Cell) -> bool {
        self.meanings.contains_key(&label.text)
    }

    /// What a label means. One that the file does not know is an error.
    pub fn meaning<'a>(&'a self, label: &'a Cell) -> Result<&'a str, ManifestError> {
        match (&self.file, self.meanings.get(&label.text)) {
            (None, _) => Ok(&label.text),
            (Some(file), Some(meaning)) if meaning.trim().is_empty() => Err(label.wrong(format!(
                "{} says nothing for '{}'",
                file.display(),
                label.text
            ))),
            (Some(_), Some(meaning)) => Ok(meaning),
            (Some(file), None) => {
                let known: Vec<&str> = self.meanings.keys().map(String::as_str).collect();
                Err(label.wrong(format!(
                    "{} does not say what '{}' means, only {}",
                    file.display(),
                    label.text,
                    some(&known)
                )))
            }
        }
    }

    /// Which file was taken, if any.
    pub fn note(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(format!("labels mean what {} says", file.display()))
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
        what: format!("this is no JSON object from labels to labels: {error}"),
    })
}
