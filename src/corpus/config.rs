//! Which recordings, as it stands in `config.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::CorpusKind;
use super::manifest::{Manifest, Role};

/// Which recordings. `classes`, `skipped` and `leaked` are found out by the training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The corpus folder, or `demo`; with a manifest, the folder that its files are relative to.
    pub folder: PathBuf,
    /// Recognised by the file names where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<CorpusKind>,
    /// A list of recordings that says what each of them is, instead of their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// A second list, whose clips test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_manifest: Option<PathBuf>,
    /// What the labels of the lists mean, as EmoBox writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_map: Option<PathBuf>,
    /// The labels in the order of the model's outputs.
    pub classes: Vec<String>,
    /// Recordings that could not be read.
    pub skipped: usize,
    /// Recordings that are in several parts, under several names.
    pub leaked: usize,
    /// Columns of the lists that go by other names than the usual.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<Role, String>,
}

impl DataConfig {
    /// True where the recordings were made by a machine.
    pub fn is_synthetic(&self) -> bool {
        self.corpus.is_some_and(CorpusKind::is_synthetic)
    }

    /// The lists, where the recordings come from some.
    pub fn manifest(&self) -> Option<Manifest> {
        Some(Manifest {
            file: self.manifest.clone()?,
            test: self.test_manifest.clone(),
            root: self.folder.clone(),
            label_map: self.label_map.clone(),
            columns: self.columns.clone(),
        })
    }
}
