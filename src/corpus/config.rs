//! Which recordings, as it stands in `config.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, Role};
use super::{CorpusKind, Source, name_of};

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
    /// The labels that are trained on, where not all are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The labels in the order of the model's outputs.
    pub classes: Vec<String>,
    /// Recordings that could not be read.
    pub skipped: usize,
    /// Recordings that are in several parts, under several names.
    pub leaked: usize,
    /// Columns of the lists that go by other names than the usual.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<Role, String>,
    /// What labels count as.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counts_as: BTreeMap<String, String>,
    /// Several corpora, whose folders are relative to `folder`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
}

impl DataConfig {
    /// True where the recordings were made by a machine.
    pub fn is_synthetic(&self) -> bool {
        let kinds = self.sources.iter().map(|source| source.corpus);
        kinds
            .chain([self.corpus])
            .flatten()
            .any(CorpusKind::is_synthetic)
    }

    /// `ravdess`, or `ravdess+emodb` of two; empty where nobody has looked yet.
    pub fn name(&self) -> String {
        self.corpus
            .map(|kind| name_of(kind, &self.sources))
            .unwrap_or_default()
    }

    /// The lists, where the recordings come from some.
    pub fn manifest(&self) -> Option<Manifest> {
        Some(Manifest {
            file: self.manifest.clone()?,
            test: self.test_manifest.clone(),
            root: self.folder.clone(),
            label_map: self.label_map.clone(),
            columns: self.columns.clone(),
            classes: self.counts_as.keys().chain(&self.labels).cloned().collect(),
        })
    }
}
