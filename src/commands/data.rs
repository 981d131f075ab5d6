//! Selection of the recordings for a training.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::folder::FolderArgs;
use super::list::{ListArgs, NamedPath, check_list};
use super::scored::pair;
use emovox::config::{DataConfig, RunConfig};
use emovox::corpus::{CorpusKind, Source};

#[derive(Args)]
pub(super) struct DataArgs {
    /// Folder with the recordings, or `demo`; for several corpora, repeat as NAME=DIR
    #[arg(long = "data", id = "data", value_name = "DIR", value_parser = NamedPath::read)]
    corpora: Vec<NamedPath>,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    list: ListArgs,
    /// A second manifest, with the recordings of the test subset
    #[arg(long, value_name = "FILE", requires = "manifest")]
    test_manifest: Option<PathBuf>,
    /// Labels to train on; with several corpora, 'all' also uses labels that only some of them have
    /// [default: all; with several corpora, the labels common to all]
    #[arg(long, value_name = "LABEL,LABEL…", value_delimiter = ',')]
    labels: Vec<String>,
    /// Replace a label by another one, as in boredom=neutral; can be repeated
    #[arg(long, value_name = "LABEL=LABEL", value_parser = pair)]
    map: Vec<(String, String)>,
}

impl DataArgs {
    /// The new folder of a run's recordings, if they have moved.
    pub(super) fn moved(&self) -> Result<Option<&Path>> {
        match self.corpora.as_slice() {
            [] => Ok(None),
            [NamedPath { name: None, path }] => Ok(Some(path)),
            _ => bail!(
                "a run has its corpora already; --data must be the one folder that they have moved to, with \
                 the same folders in it"
            ),
        }
    }

    /// Replaces settings by the values of the flags.
    pub(super) fn choose(&self, config: &mut RunConfig) -> Result<()> {
        self.list
            .check_conflict(match (self.corpora.as_slice(), self.folder.corpus) {
                ([], None) => None,
                ([], Some(_)) => Some("--corpus <CORPUS>"),
                _ => Some("--data <DIR>"),
            });
        let has_named = self.list.named().next().is_some();
        let chosen = match self.corpora.as_slice() {
            [] if has_named => Some(self.several()?),
            [] => {
                self.test_manifest.as_deref().map_or(Ok(()), check_list)?;
                self.list.data()?.map(|manifest| DataConfig {
                    test_manifest: self.test_manifest.clone(),
                    ..manifest
                })
            }
            [NamedPath { name: None, path }] if !has_named => Some(DataConfig {
                folder: path.clone(),
                ..DataConfig::default()
            }),
            _ => Some(self.several()?),
        };
        if let Some(chosen) = chosen {
            let file = std::mem::replace(&mut config.data, chosen);
            // The flags name other recordings. The labels in a settings file apply to any recordings;
            // those of a run apply only to its own.
            let is_run = !file.classes.is_empty();
            if !is_run {
                config.data.labels = file.labels;
                config.data.counts_as = file.counts_as;
                config.data.subset_words = file.subset_words;
            }
        }
        self.specify(config);
        Ok(())
    }

    /// Sets kind of corpus, labels and label aliases, independently of the folder.
    pub(super) fn specify(&self, config: &mut RunConfig) {
        if let Some(corpus) = self.folder.corpus {
            config.data.corpus = Some(corpus);
        }
        if self.folder.layout.is_some() {
            config.data.layout.clone_from(&self.folder.layout);
        }
        config.data.subset_words.extend(self.list.subset_words());
        if !self.labels.is_empty() {
            config.data.labels = self.labels.clone();
        }
        for (from, to) in &self.map {
            config.data.counts_as.insert(from.clone(), to.clone());
        }
    }

    /// Several corpora, each of which is a folder or a manifest.
    fn several(&self) -> Result<DataConfig> {
        if let Some(manifest) = &self.test_manifest {
            bail!(
                "--test-manifest {} needs a single manifest; with several corpora, use --test-speakers",
                manifest.display()
            );
        }
        self.list.check_roots()?;
        let lists = self.list.named().map(|list| {
            let root = self.list.root_of(list)?;
            anyhow::Ok((list.name.clone(), root, Some(list.path.clone())))
        });
        let folders = self.corpora.iter();
        let folders = folders.map(|arg| anyhow::Ok((arg.name.clone(), arg.path.clone(), None)));
        let mut sources: Vec<Source> = Vec::new();
        for corpus in folders.chain(lists) {
            let (name, folder, manifest) = corpus?;
            let Some(name) = name else {
                bail!(
                    "several corpora need names, as in --data ravdess=data/ravdess --data \
                     emodb=data/emodb; {} has no name",
                    folder.display()
                );
            };
            if sources.iter().any(|source| source.name == name) {
                bail!("two corpora have the name {name}; give each corpus a different name");
            }
            // A name such as `ravdess` selects the kind of the corpus.
            let kind = CorpusKind::from_str(&name, false).ok();
            sources.push(Source {
                corpus: manifest
                    .as_ref()
                    .map_or(kind, |_| Some(CorpusKind::Manifest)),
                name,
                folder,
                manifest,
            });
        }
        if self.folder.corpus.is_some() {
            bail!(
                "--corpus is for a single corpus; with several corpora, the names select the kinds, \
                 as in --data ravdess=DIR"
            );
        }
        Ok(DataConfig {
            sources,
            ..self.list.settings()
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
