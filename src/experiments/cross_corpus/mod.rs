//! Cross-corpus matrix: a model is trained on each of several corpora and tested on all of them.
//! On its own corpus, it is tested on speakers that are not in its training subset.
//!
//! ```text
//! runs/NAME/
//!   cross-corpus.toml      the plan: settings, corpora and their labels
//!   ravdess-seed-1/ …      the runs of the trials: each trained on one corpus
//!   ravdess-seed-1.log …   their output
//!   ravdess-to-emodb-seed-1.csv …   predictions of a trial for another corpus
//!   pairs.csv              scores of each pair of corpora and seed
//!   report.txt             results as text
//!   report.json            results as JSON
//!   matrix.png             UAR of each pair
//!   ravdess-to-emodb.png … confusion matrix of each pair
//! ```

mod predict;
mod summary;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub use predict::predict_corpus;
pub use summary::{CorpusPair, CrossCorpusSummary, SeedScores};

use super::plan::{Plan, Study};
use super::run::absolute_lists;
use super::trial::{Subject, Trial};
use crate::config::{CalibrationConfig, DataConfig, RunConfig};
use crate::corpus::split::{SplitKind, split};
use crate::corpus::{self, Clip, Corpus};
use crate::leakage::{Comparison, refuse_leak};
use crate::run::Lineage;

/// A cross-corpus matrix.
pub type CrossCorpus = Study<CorpusPlan>;

/// Plan of a cross-corpus matrix: the content of `cross-corpus.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusPlan {
    /// Seeds: each corpus is trained on with each of them.
    pub seeds: Vec<u64>,
    /// Labels of all trials.
    pub labels: Vec<String>,
    /// The corpora.
    pub corpus: Vec<CorpusEntry>,
    /// Settings that all trials have in common.
    pub config: RunConfig,
}

/// One of the corpora of a matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusEntry {
    /// Name of the corpus.
    pub name: String,
    /// Number of recordings with one of the labels.
    pub clips: usize,
    /// Recordings and label aliases.
    pub data: DataConfig,
}

impl CorpusPlan {
    /// A plan for the corpora that are merged in `merged`, with its labels.
    ///
    /// # Errors
    /// If there is only one corpus, if a corpus lacks a label or cannot be split, or if a setting is
    /// invalid.
    pub fn new(mut config: RunConfig, merged: &Corpus, seeds: Vec<u64>) -> Result<CorpusPlan> {
        config.validate()?;
        ensure!(
            merged.sources.len() > 1,
            "a cross-corpus matrix needs two or more corpora, for example --data ravdess=DIR \
             --data emodb=DIR"
        );
        let folder = fs::canonicalize(&merged.folder)
            .with_context(|| format!("cannot find {}", merged.folder.display()))?;
        let labels = corpus::classes(&merged.clips);
        let mut settings = absolute_lists(DataConfig {
            sources: merged.sources.clone(),
            label_map: config.data.label_map,
            columns: config.data.columns,
            subset_words: config.data.subset_words,
            layout: config.data.layout,
            ..DataConfig::default()
        })?;
        let sources = std::mem::take(&mut settings.sources);
        let mut corpora = Vec::new();
        for (index, source) in merged.sources.iter().enumerate() {
            let clips = merged.clips.iter();
            let clips =
                clips.filter(|clip| corpus::source_of(&merged.sources, clip) == Some(index));
            let has = |label: &String| clips.clone().any(|clip| clip.label == *label);
            if let Some(label) = labels.iter().find(|&label| !has(label)) {
                bail!(
                    "{} has no clip of {label}, so it cannot be trained on with the other corpora; \
                     leave the label out with --labels",
                    source.name
                );
            }
            let own: Vec<Clip> = clips.map(alone).collect();
            // Subsets of a manifest are known only when this corpus is opened alone.
            if config.split.kind != SplitKind::Given {
                split(&own, &config.split, &BTreeMap::new())
                    .with_context(|| source.name.clone())?;
            }
            corpora.push(CorpusEntry {
                name: source.name.clone(),
                clips: own.len(),
                data: DataConfig {
                    folder: folder.join(&source.folder),
                    corpus: source.corpus,
                    labels: labels.clone(),
                    counts_as: merged.counts_as.get(index).cloned().unwrap_or_default(),
                    manifest: sources[index].manifest.clone(),
                    ..settings.clone()
                },
            });
        }
        config.data = DataConfig::default();
        config.calibration = CalibrationConfig::default();
        Ok(CorpusPlan {
            seeds,
            labels,
            corpus: corpora,
            config,
        })
    }
}

/// A clip of several corpora as a clip of its own corpus alone.
fn alone(clip: &Clip) -> Clip {
    Clip {
        corpus: String::new(),
        ..clip.clone()
    }
}

impl Plan for CorpusPlan {
    const FILE: &'static str = "cross-corpus.toml";
    const KIND: &'static str = "cross-corpus matrix";

    fn config(&self) -> &RunConfig {
        &self.config
    }

    fn config_mut(&mut self) -> &mut RunConfig {
        &mut self.config
    }

    fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    fn seeds_mut(&mut self) -> &mut Vec<u64> {
        &mut self.seeds
    }

    fn subjects(&self) -> Vec<Subject<'_>> {
        self.corpus.iter().map(Subject::Corpus).collect()
    }

    fn data(&self) -> Vec<&DataConfig> {
        self.corpus.iter().map(|corpus| &corpus.data).collect()
    }

    fn has_same_source(&self, other: &CorpusPlan) -> bool {
        self.data() == other.data()
    }

    fn differences(&self, requested: &CorpusPlan) -> Vec<String> {
        let mut differences = Vec::new();
        if self.labels != requested.labels {
            differences.push(format!(
                "the labels are {}, not {}",
                self.labels.join(", "),
                requested.labels.join(", ")
            ));
        }
        let listed = |plan: &CorpusPlan| -> String {
            let corpora = plan.corpus.iter();
            let corpora = corpora.map(|entry| format!("{} of {} clips", entry.name, entry.clips));
            corpora.collect::<Vec<_>>().join(", ")
        };
        let (existing, requested_corpora) = (listed(self), listed(requested));
        if existing != requested_corpora {
            differences.push(format!(
                "the corpora are {existing}, not {requested_corpora}"
            ));
        } else if self.corpus != requested.corpus {
            differences.push("the corpora are in other folders".into());
        }
        differences
    }

    /// Each corpus is a test corpus as a whole.
    fn check_weights(&self, lineage: &Lineage, corpora: &[(&DataConfig, Corpus)]) -> Result<()> {
        let mut known = Comparison::default();
        for (data, corpus) in corpora {
            known.merge(Comparison::of(lineage, data, &corpus.clips));
        }
        refuse_leak(&known, &self.config)
    }
}

impl CrossCorpus {
    /// The trials on one corpus, one for each seed.
    pub fn trials_on(&self, corpus: &CorpusEntry) -> Vec<Trial<'_>> {
        let mut trials = self.trials();
        trials.retain(|trial| trial.subject == Subject::Corpus(corpus));
        trials
    }

    /// File with the predictions of a trial for a corpus: for the test subset of its own corpus, or
    /// for all clips of another corpus.
    pub fn predictions_path(&self, trial: &Trial, tested: &CorpusEntry) -> PathBuf {
        match trial.subject {
            Subject::Corpus(own) if own.name != tested.name => self.folder.join(format!(
                "{}-to-{}-seed-{}.csv",
                own.name, tested.name, trial.seed
            )),
            _ => trial.files().predictions_csv(),
        }
    }

    /// True if a trial has predicted a corpus, with its present weights, and after the training on
    /// that corpus with the same seed: its recordings may have been replaced before that training.
    pub fn has_predicted(&self, trial: &Trial, tested: &CorpusEntry) -> bool {
        let modified = |path: PathBuf| path.metadata().and_then(|file| file.modified()).ok();
        let Some(predicted) = modified(self.predictions_path(trial, tested)) else {
            return false;
        };
        let on_tested = Trial {
            subject: Subject::Corpus(tested),
            ..*trial
        };
        let inputs = [trial.files().best_ot(), on_tested.files().split_csv()];
        let is_newer = |path: PathBuf| modified(path).is_some_and(|time| time > predicted);
        trial.is_done() && !inputs.into_iter().any(is_newer)
    }
}
