//! A list of recordings, for every command that takes one instead of a folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use emovox::config::DataConfig;
use emovox::corpus::CorpusKind;
use emovox::corpus::manifest::Role;

#[derive(Args)]
pub(super) struct ListArgs {
    /// A list of recordings (CSV, TSV or JSON Lines: file, label, speaker, split) instead of a folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "corpus"])]
    manifest: Option<PathBuf>,
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

impl ListArgs {
    /// True where a list is given.
    pub(super) fn is_given(&self) -> bool {
        self.manifest.is_some()
    }

    /// The recordings of the list, where one is given.
    pub(super) fn data(&self) -> Result<Option<DataConfig>> {
        let Some(manifest) = &self.manifest else {
            return Ok(None);
        };
        check_list(manifest)?;
        let root = self.root.as_deref().unwrap_or(own_folder(manifest));
        if !root.is_dir() {
            bail!(
                "there is no folder {}; --root names the one that the files of a list are relative to",
                root.display()
            );
        }
        Ok(Some(DataConfig {
            folder: root.into(),
            corpus: Some(CorpusKind::Manifest),
            manifest: Some(manifest.into()),
            label_map: self.label_map.clone(),
            columns: self.column.iter().cloned().collect(),
            ..DataConfig::default()
        }))
    }
}

/// Refuses a list that is not there.
pub(super) fn check_list(list: &Path) -> Result<()> {
    if !list.is_file() {
        bail!(
            "there is no file {}; a manifest is a list of recordings, in CSV or JSON Lines",
            list.display()
        );
    }
    Ok(())
}

/// What stands on both sides of `=`.
fn column(word: &str) -> Result<(Role, String), String> {
    match word.split_once('=') {
        Some((role, name)) if !name.is_empty() => Ok((role.parse()?, name.into())),
        _ => Err("must be a role and a name, as in speaker=actor".into()),
    }
}

/// The folder that a list lies in, which its files are relative to where nobody says otherwise.
pub(super) fn own_folder(list: &Path) -> &Path {
    match list.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
