//! Data settings of a run, as in `config.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::emotion;
use super::layout::Layout;
use super::manifest::{Manifest, Role};
use super::subset_words::SubsetWords;
use super::{ContentHash, CorpusKind, ScanOptions, Source, name_of};

/// Settings of the recordings. The training determines `classes`, `skipped`, `leaked` and
/// `noise_content`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The corpus folder, or `demo`; with a manifest, the folder that its paths are relative to.
    pub folder: PathBuf,
    /// The corpus; if it is not given, it is recognised by the file names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<CorpusKind>,
    /// A manifest, from which the labels are taken instead of from the file names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// A second manifest, with the clips of the test subset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_manifest: Option<PathBuf>,
    /// Meanings of the labels of the manifests: a JSON object in the format of EmoBox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_map: Option<PathBuf>,
    /// The requested labels; if there are none, all labels are used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The labels in the order of the model's outputs.
    pub classes: Vec<String>,
    /// Number of recordings that could not be read.
    pub skipped: usize,
    /// Number of recordings that are in several subsets, under different file names.
    pub leaked: usize,
    /// Identity of the recordings of noise that the disturbed copies are made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_content: Option<ContentHash>,
    /// Names of the columns of the manifests that differ from the usual names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<Role, String>,
    /// Meanings of words for the subsets, in manifests and in names of folders.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subset_words: SubsetWords,
    /// Meanings of the folders in a corpus folder; if it is not given, it is recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Label aliases: the labels that count as other labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counts_as: BTreeMap<String, String>,
    /// The corpora, if there are several; their folders are relative to `folder`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
}

impl DataConfig {
    /// True if some of the recordings are synthetic.
    pub fn is_synthetic(&self) -> bool {
        let kinds = self.sources.iter().map(|source| source.corpus);
        kinds
            .chain([self.corpus])
            .flatten()
            .any(CorpusKind::is_synthetic)
    }

    /// Name of the corpus: `ravdess`, or `ravdess+emodb` for two. Empty if it is not known yet.
    pub fn name(&self) -> String {
        self.corpus
            .map(|kind| name_of(kind, &self.sources))
            .unwrap_or_default()
    }

    /// The manifests, if the recordings are listed in a manifest.
    pub fn manifest(&self) -> Option<Manifest> {
        Some(Manifest {
            test: self.test_manifest.clone(),
            ..self.manifest_in(self.manifest.clone()?, self.folder.clone())
        })
    }

    /// The manifest of one of several corpora, whose files are relative to `root`.
    pub fn manifest_of(&self, source: &Source, root: PathBuf) -> Option<Manifest> {
        Some(self.manifest_in(source.manifest.clone()?, root))
    }

    fn manifest_in(&self, file: PathBuf, root: PathBuf) -> Manifest {
        let named = self.counts_as.keys().chain(&self.labels);
        Manifest {
            file,
            test: None,
            root,
            label_map: self.label_map.clone(),
            columns: self.columns.clone(),
            subset_words: self.subset_words.clone(),
            classes: named.map(|word| emotion::common(word)).collect(),
        }
    }

    /// The settings for a scan of a corpus folder.
    pub fn scan_options(&self, kind: Option<CorpusKind>) -> ScanOptions {
        ScanOptions {
            kind,
            layout: self.layout.clone(),
            subset_words: self.subset_words.clone(),
        }
    }
}
