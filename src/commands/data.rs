//! Which recordings a command is to take.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::CorpusName;
use super::evaluate::pair;
use super::list::{ListArgs, check_list};
use emovox::config::{DataConfig, RunConfig};
use emovox::corpus::{CorpusKind, Source};

#[derive(Args)]
pub(super) struct DataArgs {
    /// The folder with the recordings, or `demo`; NAME=DIR, given several times, for several corpora
    #[arg(long = "data", id = "data", value_name = "DIR", value_parser = Place::read)]
    places: Vec<Place>,
    /// What corpus it is, if emovox does not recognise it by the file names
    #[arg(long, value_enum)]
    corpus: Option<CorpusName>,
    #[command(flatten)]
    list: ListArgs,
    /// A second list, whose recordings test
    #[arg(long, value_name = "FILE", requires = "manifest")]
    test_manifest: Option<PathBuf>,
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
        let chosen = match (self.list.data()?, self.places.as_slice()) {
            (Some(listed), _) => {
                self.test_manifest.as_deref().map_or(Ok(()), check_list)?;
                Some(DataConfig {
                    test_manifest: self.test_manifest.clone(),
                    ..listed
                })
            }
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
        self.specify(config);
        Ok(())
    }

    /// Puts in what is said of the recordings, wherever they are.
    pub(super) fn specify(&self, config: &mut RunConfig) {
        if let Some(corpus) = self.corpus {
            config.data.corpus = Some(corpus.into());
        }
        if !self.labels.is_empty() {
            config.data.labels = self.labels.clone();
        }
        for (from, to) in &self.map {
            config.data.counts_as.insert(from.clone(), to.clone());
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

    /// True where a list says which recordings, of which some may be said to test.
    pub(super) fn is_list(&self) -> bool {
        self.list.is_given()
    }

    /// True where a second list says which recordings test.
    pub(super) fn has_test_list(&self) -> bool {
        self.test_manifest.is_some()
    }
}
