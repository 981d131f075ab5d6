//! Selection of the recordings for a training.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::evaluate::pair;
use super::list::{ListArgs, check_list};
use emovox::config::{DataConfig, RunConfig};
use emovox::corpus::{CorpusKind, Source};

#[derive(Args)]
pub(super) struct DataArgs {
    /// Folder with the recordings, or `demo`; for several corpora, repeat as NAME=DIR
    #[arg(long = "data", id = "data", value_name = "DIR", value_parser = CorpusArg::read)]
    corpora: Vec<CorpusArg>,
    /// Kind of the corpus, if emovox does not recognise it by the file names
    #[arg(long, value_enum)]
    corpus: Option<CorpusKind>,
    #[command(flatten)]
    list: ListArgs,
    /// A second manifest, with the recordings of the test subset
    #[arg(long, value_name = "FILE", requires = "manifest")]
    test_manifest: Option<PathBuf>,
    /// Labels to train on [default: all; with several corpora, the labels common to all]
    #[arg(long, value_name = "LABEL,LABEL…", value_delimiter = ',')]
    labels: Vec<String>,
    /// Replace a label by another one, as in boredom=neutral; can be repeated
    #[arg(long, value_name = "LABEL=LABEL", value_parser = pair)]
    map: Vec<(String, String)>,
}

/// The value of --data.
#[derive(Clone)]
struct CorpusArg {
    /// Name of the corpus, if there are several corpora.
    name: Option<String>,
    folder: PathBuf,
}

impl CorpusArg {
    /// Parses a folder, or a name and a folder. The name of an existing folder may contain an
    /// equals sign.
    fn read(word: &str) -> Result<CorpusArg, String> {
        let plain = |name: &str| {
            let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letters)
        };
        match word.split_once('=') {
            Some((name, folder)) if !Path::new(word).exists() && plain(name) => Ok(CorpusArg {
                name: Some(name.into()),
                folder: folder.into(),
            }),
            Some((name, _)) if !Path::new(word).exists() => Err(format!(
                "'{name}' cannot be the name of a corpus: use letters, digits, '-', '_' and '.'"
            )),
            _ => Ok(CorpusArg {
                name: None,
                folder: word.into(),
            }),
        }
    }
}

impl DataArgs {
    /// The new folder of a run's recordings, if they have moved.
    pub(super) fn moved(&self) -> Result<Option<&Path>> {
        match self.corpora.as_slice() {
            [] => Ok(None),
            [CorpusArg { name: None, folder }] => Ok(Some(folder)),
            _ => bail!(
                "a run has its corpora already; --data must be the one folder that they have moved to, with \
                 the same folders in it"
            ),
        }
    }

    /// Replaces settings by the values of the flags.
    pub(super) fn choose(&self, config: &mut RunConfig) -> Result<()> {
        let chosen = match (self.list.data()?, self.corpora.as_slice()) {
            (Some(manifest), _) => {
                self.test_manifest.as_deref().map_or(Ok(()), check_list)?;
                Some(DataConfig {
                    test_manifest: self.test_manifest.clone(),
                    ..manifest
                })
            }
            (None, []) => None,
            (None, [CorpusArg { name: None, folder }]) => Some(DataConfig {
                folder: folder.clone(),
                ..DataConfig::default()
            }),
            (None, corpora) => Some(self.several(corpora)?),
        };
        if let Some(chosen) = chosen {
            config.data = chosen;
        }
        self.specify(config);
        Ok(())
    }

    /// Sets kind of corpus, labels and label aliases, independently of the folder.
    pub(super) fn specify(&self, config: &mut RunConfig) {
        if let Some(corpus) = self.corpus {
            config.data.corpus = Some(corpus);
        }
        if !self.labels.is_empty() {
            config.data.labels = self.labels.clone();
        }
        for (from, to) in &self.map {
            config.data.counts_as.insert(from.clone(), to.clone());
        }
    }

    fn several(&self, corpora: &[CorpusArg]) -> Result<DataConfig> {
        let mut sources: Vec<Source> = Vec::new();
        for arg in corpora {
            let Some(name) = &arg.name else {
                bail!(
                    "several corpora need names, as in --data ravdess=data/ravdess --data \
                     emodb=data/emodb; {} has no name",
                    arg.folder.display()
                );
            };
            if sources.iter().any(|source| source.name == *name) {
                bail!("two corpora have the name {name}; give each corpus a different name");
            }
            // A name such as `ravdess` selects the kind of the corpus.
            let kind = CorpusKind::from_str(name, false).ok();
            sources.push(Source {
                name: name.clone(),
                folder: arg.folder.clone(),
                corpus: kind,
            });
        }
        if self.corpus.is_some() {
            bail!(
                "--corpus is for a single corpus; with several corpora, the names select the kinds, \
                 as in --data ravdess=DIR"
            );
        }
        Ok(DataConfig {
            sources,
            ..DataConfig::default()
        })
    }

    /// True if a manifest is given. It may define the subsets.
    pub(super) fn is_list(&self) -> bool {
        self.list.is_given()
    }

    /// True if a second manifest defines the test subset.
    pub(super) fn has_test_list(&self) -> bool {
        self.test_manifest.is_some()
    }
}
