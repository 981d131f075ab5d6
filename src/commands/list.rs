//! Manifest flags, for every command that accepts a manifest instead of a folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use emovox::config::DataConfig;
use emovox::corpus::manifest::Role;
use emovox::corpus::{CorpusKind, SubsetUse, SubsetWords};
use emovox::run::Outputs;

#[derive(Args)]
pub(super) struct ListArgs {
    /// Manifest instead of a folder: CSV, TSV, XLSX or JSON; a training also takes several as NAME=FILE
    #[arg(long, value_name = "FILE", value_parser = NamedPath::read)]
    manifest: Vec<NamedPath>,
    /// Folder of the files of a manifest, with several as NAME=DIR [default: folder of the manifest]
    #[arg(long, value_name = "DIR", value_parser = NamedPath::read, requires = "manifest")]
    root: Vec<NamedPath>,
    /// JSON file that maps labels of the manifest [default: label_map.json beside JSON Lines]
    #[arg(long, value_name = "FILE", requires = "manifest")]
    label_map: Option<PathBuf>,
    /// Column of a manifest for a role, as in speaker=actor or start=onset; can be repeated
    #[arg(long, value_name = "ROLE=NAME", value_parser = column, requires = "manifest")]
    column: Vec<(Role, String)>,
    /// Meaning of a word for a subset, as in Test1=test or eval=none; can be repeated
    #[arg(long, value_name = "WORD=SUBSET", value_parser = subset_word)]
    map_split: Vec<(String, SubsetUse)>,
}

/// A path, and the name of its corpus if there are several.
#[derive(Clone)]
pub(super) struct NamedPath {
    pub name: Option<String>,
    pub path: PathBuf,
}

impl NamedPath {
    /// Parses a path, or a name and a path. An existing path may contain an equals sign.
    pub(super) fn read(word: &str) -> Result<NamedPath, String> {
        let plain = |name: &str| {
            let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letters)
        };
        match word.split_once('=') {
            Some((name, path)) if !Path::new(word).exists() && plain(name) => Ok(NamedPath {
                name: Some(name.into()),
                path: path.into(),
            }),
            Some((name, _)) if !Path::new(word).exists() => Err(format!(
                "'{name}' cannot be the name of a corpus: use the letters a to z, digits, '-', '_' and '.', with a \
                 letter or a digit at the start"
            )),
            _ => Ok(NamedPath {
                name: None,
                path: word.into(),
            }),
        }
    }
}

impl ListArgs {
    /// True if a manifest is given.
    pub(super) fn is_given(&self) -> bool {
        !self.manifest.is_empty()
    }

    /// Protects the manifests and the file of labels, which are inputs.
    pub(super) fn protect(&self, outputs: &mut Outputs) {
        let manifests = self.manifest.iter().map(|manifest| &manifest.path);
        for file in manifests.chain(&self.label_map) {
            outputs.protect(file);
        }
    }

    /// The manifests of several corpora.
    pub(super) fn named(&self) -> impl Iterator<Item = &NamedPath> {
        self.manifest.iter().filter(|list| list.name.is_some())
    }

    /// The folder of the files of one of several manifests.
    pub(super) fn root_of(&self, list: &NamedPath) -> Result<PathBuf> {
        check_list(&list.path)?;
        let root = self.root.iter().find(|root| root.name == list.name);
        let root = root.map_or(own_folder(&list.path), |root| &root.path);
        if !root.is_dir() {
            bail!(
                "there is no folder {}; --root must be the folder to which the files of a manifest are \
                 relative",
                root.display()
            );
        }
        Ok(root.into())
    }

    /// Rejects a folder for which there is no manifest of several.
    pub(super) fn check_roots(&self) -> Result<()> {
        let has_manifest = |root: &NamedPath| self.named().any(|list| list.name == root.name);
        match self.root.iter().find(|root| !has_manifest(root)) {
            None => Ok(()),
            Some(NamedPath {
                name: Some(name), ..
            }) => {
                bail!("--root {name}=… needs --manifest {name}=FILE")
            }
            Some(NamedPath { name: None, path }) => bail!(
                "--root {} needs a name here, as in --root NAME=DIR for --manifest NAME=FILE",
                path.display()
            ),
        }
    }

    /// The meanings of words for subsets.
    pub(super) fn subset_words(&self) -> SubsetWords {
        self.map_split.iter().cloned().collect()
    }

    /// Ends the program with a message if a single manifest is given together with `other`, as any
    /// other conflict of flags does.
    pub(super) fn check_conflict(&self, other: Option<&str>) {
        if let (Some(other), Some(_)) = (other, self.manifest.iter().find(|l| l.name.is_none())) {
            let message = format!(
                "the argument '--manifest <FILE>' cannot be used with '{other}'; several corpora need \
                 names, as in --manifest mine=FILE --data ravdess=DIR\n"
            );
            clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message).exit();
        }
    }

    /// The data settings of the manifest, if a single one is given.
    pub(super) fn data(&self) -> Result<Option<DataConfig>> {
        let manifest = match self.manifest.as_slice() {
            [] => return Ok(None),
            [only] => only,
            _ => bail!(
                "several manifests are several corpora, which need names, as in --manifest mine=FILE (in \
                 train, cross-validate and cross-corpus); other commands read one manifest at a time"
            ),
        };
        if manifest.name.is_some() || self.root.iter().any(|root| root.name.is_some()) {
            bail!(
                "a single manifest has no name here; use --manifest {}",
                manifest.path.display()
            );
        }
        let root = self.root_of(manifest)?;
        Ok(Some(DataConfig {
            folder: root,
            corpus: Some(CorpusKind::Manifest),
            manifest: Some(manifest.path.clone()),
            ..self.settings()
        }))
    }

    /// The settings of all manifests, without their files.
    pub(super) fn settings(&self) -> DataConfig {
        DataConfig {
            label_map: self.label_map.clone(),
            columns: self.column.iter().cloned().collect(),
            subset_words: self.subset_words(),
            ..DataConfig::default()
        }
    }
}

/// Checks that a manifest exists.
pub(super) fn check_list(list: &Path) -> Result<()> {
    // The reading of a pipe fails later, with the reason.
    if !list.exists() || list.is_dir() {
        bail!(
            "there is no file {}; a manifest is a list of recordings in CSV, TSV, XLSX or JSON",
            list.display()
        );
    }
    Ok(())
}

/// Parses ROLE=NAME.
fn column(word: &str) -> Result<(Role, String), String> {
    match word.split_once('=') {
        Some((role, name)) if !name.is_empty() => Ok((role.parse()?, name.into())),
        _ => Err("must be a role and a name, as in speaker=actor".into()),
    }
}

/// Parses WORD=SUBSET.
fn subset_word(word: &str) -> Result<(String, SubsetUse), String> {
    match word.split_once('=') {
        Some((word, subset)) if !word.is_empty() => Ok((word.into(), subset.parse()?)),
        _ => Err("must be a word and a subset, as in Test1=test".into()),
    }
}

/// The folder of a manifest, to which its files are relative by default.
pub(super) fn own_folder(list: &Path) -> &Path {
    match list.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
