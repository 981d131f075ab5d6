//! Which recordings a command is to take.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::{CorpusName, evaluate::pair};
use emovox::config::{DataConfig, RunConfig};
use emovox::corpus::manifest::Role;
use emovox::corpus::{CorpusKind, Source};

#[derive(Args)]
pub(super) struct DataArgs {
    /// The folder with the recordings, or `demo`; NAME=DIR, given several times, for several corpora
    #[arg(long = "data", value_name = "DIR", value_parser = Place::read)]
    places: Vec<Place>,
    /// What corpus it is, if emovox does not recognise it by the file names
    #[arg(long, value_enum)]
    corpus: Option<CorpusName>,
    /// A list of recordings (CSV, TSV or JSON Lines: file, label, speaker, split) instead of a folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["places", "corpus"])]
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
    /// The labels to train on [default: all; of several corpora, those that all have]
    #[arg(long, value_name = "LABEL,LABEL…", value_delimiter = ',')]
    labels: Vec<String>,
    /// What a label counts as; may be given several times
    #[arg(long, value_name = "LABEL=LABEL", value_parser = pair)]
    map: Vec<(String, String)>,
}

/// What --data names.
#[derive(Clone)]
struct Place {
    /// What it is called, where there are several.
    name: Option<String>,
    folder: PathBuf,
}

impl Place {
    /// A folder, or a name and a folder. A folder that is there may have an equals sign in its name.
    fn read(word: &str) -> Result<Place, String> {
        let plain = |name: &str| {
            let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letters)
        };
        match word.split_once('=') {
            Some((name, folder)) if !Path::new(word).exists() && plain(name) => Ok(Place {
                name: Some(name.into()),
                folder: folder.into(),
            }),
            Some((name, _)) if !Path::new(word).exists() => Err(format!(
                "'{name}' names no corpus: take letters, digits, '-', '_' and '.'"
            )),
            _ => Ok(Place {
                name: None,
                folder: word.into(),
            }),
        }
    }
}

impl DataArgs {
    /// Where a run's recordings are now, if they have moved.
    pub(super) fn moved(&self) -> Result<Option<&Path>> {
        match self.places.as_slice() {
            [] => Ok(None),
            [Place { name: None, folder }] => Ok(Some(folder)),
            _ => bail!(
                "a run knows its corpora; --data takes the one folder that they have moved to, in which \
                 they lie as they did before"
            ),
        }
    }

    /// Puts what the flags say in the place of what the settings say.
    pub(super) fn choose(&self, config: &mut RunConfig) -> Result<()> {
        let chosen = match (&self.manifest, self.places.as_slice()) {
            (Some(manifest), _) => Some(self.listed(manifest)?),
            (None, []) => None,
            (None, [Place { name: None, folder }]) => Some(DataConfig {
                folder: folder.clone(),
                ..DataConfig::default()
            }),
            (None, places) => Some(self.several(places)?),
        };
        if let Some(chosen) = chosen {
            config.data = chosen;
        }
        self.name_corpus(config);
        if !self.labels.is_empty() {
            config.data.labels = self.labels.clone();
        }
        for (from, to) in &self.map {
            config.data.counts_as.insert(from.clone(), to.clone());
        }
        Ok(())
    }

    /// Puts in what --corpus says.
    pub(super) fn name_corpus(&self, config: &mut RunConfig) {
        if let Some(corpus) = self.corpus {
            config.data.corpus = Some(corpus.into());
        }
    }

    fn several(&self, places: &[Place]) -> Result<DataConfig> {
        let mut sources: Vec<Source> = Vec::new();
        for place in places {
            let Some(name) = &place.name else {
                bail!(
                    "several corpora need names, as in --data ravdess=data/ravdess --data \
                     emodb=data/emodb; {} has none",
                    place.folder.display()
                );
            };
            if sources.iter().any(|source| source.name == *name) {
                bail!("two corpora are called {name}; give each a name of its own");
            }
            // A corpus' own name says by whose rule it is read.
            let kind = CorpusName::from_str(name, false).ok().map(CorpusKind::from);
            sources.push(Source {
                name: name.clone(),
                folder: place.folder.clone(),
                corpus: kind,
            });
        }
        if self.corpus.is_some() {
            bail!("of several corpora each is named with its folder, as in --data ravdess=DIR");
        }
        Ok(DataConfig {
            sources,
            ..DataConfig::default()
        })
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
