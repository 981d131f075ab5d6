//! Manifest flags, for every command that accepts a manifest instead of a folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use emovox::config::DataConfig;
use emovox::corpus::CorpusKind;
use emovox::corpus::manifest::Role;

#[derive(Args)]
pub(super) struct ListArgs {
    /// Manifest instead of a folder: CSV, TSV or JSON Lines with file, label, speaker, split
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "corpus"])]
    manifest: Option<PathBuf>,
    /// Folder to which the files of a manifest are relative [default: folder of the manifest]
    #[arg(long, value_name = "DIR", requires = "manifest")]
    root: Option<PathBuf>,
    /// JSON file that maps labels of the manifest [default: label_map.json beside JSON Lines]
    #[arg(long, value_name = "FILE", requires = "manifest")]
    label_map: Option<PathBuf>,
    /// Column of a manifest for a role, as in speaker=actor; can be repeated
    #[arg(long, value_name = "ROLE=NAME", value_parser = column, requires = "manifest")]
    column: Vec<(Role, String)>,
}

impl ListArgs {
    /// True if a manifest is given.
    pub(super) fn is_given(&self) -> bool {
        self.manifest.is_some()
    }

    /// The data settings of the manifest, if one is given.
    pub(super) fn data(&self) -> Result<Option<DataConfig>> {
        let Some(manifest) = &self.manifest else {
            return Ok(None);
        };
        check_list(manifest)?;
        let root = self.root.as_deref().unwrap_or(own_folder(manifest));
        if !root.is_dir() {
            bail!(
                "there is no folder {}; --root must be the folder to which the files of a manifest are \
                 relative",
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

/// Checks that a manifest exists.
pub(super) fn check_list(list: &Path) -> Result<()> {
    if !list.is_file() {
        bail!(
            "there is no file {}; a manifest is a list of recordings in CSV, TSV or JSON Lines",
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

/// The folder of a manifest, to which its files are relative by default.
pub(super) fn own_folder(list: &Path) -> &Path {
    match list.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
