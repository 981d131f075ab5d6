//! Which recordings a command is to take.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use super::CorpusName;
use emovox::config::{DataConfig, RunConfig};
use emovox::corpus::CorpusKind;
use emovox::corpus::manifest::Role;

#[derive(Args)]
pub(super) struct DataArgs {
    /// The folder with the recordings, or `demo`
    #[arg(long = "data", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// What corpus it is, if emovox does not recognise it by the file names
    #[arg(long, value_enum)]
    corpus: Option<CorpusName>,
    /// A list of recordings (CSV, TSV or JSON Lines: file, label, speaker, split) instead of a folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["folder", "corpus"])]
    manifest: Option<PathBuf>,
    /// A second list, whose recordings test
    #[arg(long, value_name = "FILE", requires = "manifest")]
    test_manifest: Option<PathBuf>,
    /// The folder that the files of a list are relative to [default: the list's own]
    #[arg(long, value_name = "DIR", requires = "manifest")]
    root: Option<PathBuf>,
    /// What the labels of a list mean, in JSON [default: label_map.json beside JSON Lines]
    #[arg(long, value_name = "FILE", requires = "manifest")]
    label_map: Option<PathBuf>,
    /// Which column of a list is which, as in speaker=actor; may be given several times
    #[arg(long, value_name = "ROLE=NAME", value_parser = column, requires = "manifest")]
    column: Vec<(Role, String)>,
}

impl DataArgs {
    /// The folder, where one is given.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Puts what the flags say in the place of what the settings say.
    pub(super) fn choose(&self, config: &mut RunConfig) -> Result<()> {
        if let Some(folder) = &self.folder {
            config.data = DataConfig {
                folder: folder.clone(),
                ..DataConfig::default()
            };
        }
        self.name_corpus(config);
        if let Some(manifest) = &self.manifest {
            config.data = self.listed(manifest)?;
        }
        Ok(())
    }

    /// Puts in what --corpus says.
    pub(super) fn name_corpus(&self, config: &mut RunConfig) {
        if let Some(corpus) = self.corpus {
            config.data.corpus = Some(corpus.into());
        }
    }

    fn listed(&self, manifest: &Path) -> Result<DataConfig> {
        let lists = [Some(manifest), self.test_manifest.as_deref()];
        for list in lists.into_iter().flatten() {
            if !list.is_file() {
                bail!(
                    "there is no file {}; a manifest is a list of recordings, in CSV or JSON Lines",
                    list.display()
                );
            }
        }
        let own = match manifest.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let root = self.root.as_deref().unwrap_or(own);
        if !root.is_dir() {
            bail!(
                "there is no folder {}; --root names the one that the files of a list are relative to",
                root.display()
            );
        }
        Ok(DataConfig {
            folder: root.into(),
            corpus: Some(CorpusKind::Manifest),
            manifest: Some(manifest.into()),
            test_manifest: self.test_manifest.clone(),
            label_map: self.label_map.clone(),
            columns: self.column.iter().cloned().collect::<BTreeMap<_, _>>(),
            ..DataConfig::default()
        })
    }

    /// True where a list says which recordings, of which some may be said to test.
    pub(super) fn is_list(&self) -> bool {
        self.manifest.is_some()
    }

    /// True where a second list says which recordings test.
    pub(super) fn has_test_list(&self) -> bool {
        self.test_manifest.is_some()
    }
}

/// What stands on both sides of `=`.
fn column(word: &str) -> Result<(Role, String), String> {
    match word.split_once('=') {
        Some((role, name)) if !name.is_empty() => Ok((role.parse()?, name.into())),
        _ => Err("must be a role and a name, as in speaker=actor".into()),
    }
}
