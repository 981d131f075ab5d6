//! Trained on one corpus, tested on another: every pair of some corpora, and on the diagonal speakers
//! of the same corpus who were never heard.
//!
//! ```text
//! runs/NAME/
//!   cross-corpus.toml      the settings, the corpora and their labels
//!   ravdess-seed-1/ …      the trainings: each on one corpus, tested on some of its own speakers
//!   ravdess-seed-1.log …   what they printed
//!   ravdess-to-emodb-seed-1.csv …   what a training said of another corpus
//!   pairs.csv              the scores of each pair and seed
//!   report.txt             the results, for people
//!   report.json            the same, for programs
//!   matrix.png             the UAR of each pair
//!   ravdess-to-emodb.png … the confusion of each pair
//! ```

mod hear;
mod results;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

pub use hear::hear_others;
pub use results::{Pair, Results, read_results, write_results};

use crate::bounded;
use crate::config::{CalibrationConfig, DataConfig, RunConfig};
use crate::corpus::{self, Corpus};
use crate::cross_validation::{
    begun, check_recordings, differing_settings, holds_something, keep_begun,
};
use crate::dataset::{FeatureCache, read_contents};
use crate::experiment::open_corpus;
use crate::leakage::{Comparison, lineage_of_weights, refuse_leak};
use crate::run::{RunLock, write_bytes};

/// What is trained and heard, and where it goes.
#[derive(Debug)]
pub struct CrossCorpus {
    /// Where everything goes. No other process works on it.
    pub folder: PathBuf,
    /// What stands in its `cross-corpus.toml`.
    pub plan: Plan,
    _lock: RunLock,
}

/// The settings and the corpora.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Each corpus is trained on with each of these.
    pub seeds: Vec<u64>,
    /// The labels that all trainings tell apart.
    pub labels: Vec<String>,
    /// The corpora.
    pub corpus: Vec<Member>,
    /// The settings that all trainings have in common.
    pub config: RunConfig,
}

/// One of the corpora.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// What it is called.
    pub name: String,
    /// How many recordings of the labels it has.
    pub clips: usize,
    /// Which recordings, and what their labels count as.
    pub data: DataConfig,
}

/// One training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training<'a> {
    /// On which corpus.
    pub on: &'a Member,
    /// By which seed.
    pub seed: u64,
}

impl Training<'_> {
    /// The name of its run.
    pub fn name(&self) -> String {
        format!("{}-seed-{}", self.on.name, self.seed)
    }
}

impl Plan {
    /// From a corpus of several, whose labels are chosen.
    pub fn new(mut config: RunConfig, union: &Corpus, seeds: Vec<u64>) -> Result<Plan> {
        config.validate()?;
        if union.sources.len() < 2 {
            bail!(
                "one corpus alone has nothing to be crossed with; give two or more, as in --data \
                 ravdess=DIR --data emodb=DIR"
            );
        }
        let folder = std::fs::canonicalize(&union.folder)
            .with_context(|| format!("cannot find {}", union.folder.display()))?;
        let labels = corpus::classes(&union.clips);
        let of_source = |place: usize| {
            let clips = union.clips.iter();
            clips.filter(move |clip| corpus::source_of(&union.sources, clip) == Some(place))
        };
        let member = |(place, source): (usize, &corpus::Source)| Member {
            name: source.name.clone(),
            clips: of_source(place).count(),
            data: DataConfig {
                folder: folder.join(&source.folder),
                corpus: source.corpus,
                labels: labels.clone(),
                counts_as: union.counts_as.get(place).cloned().unwrap_or_default(),
                ..DataConfig::default()
            },
        };
        let members: Vec<Member> = union.sources.iter().enumerate().map(member).collect();
        for (place, source) in union.sources.iter().enumerate() {
            let has = |label: &String| of_source(place).any(|clip| clip.label == *label);
            if let Some(label) = labels.iter().find(|&label| !has(label)) {
                bail!(
                    "{} has no clip of {label}, so it cannot be trained on with the others; leave the \
                     label out with --labels",
                    source.name
                );
            }
        }
        config.data = DataConfig::default();
        config.calibration = CalibrationConfig::default();
        Ok(Plan {
            seeds,
            labels,
            corpus: members,
            config,
        })
    }

    /// Every corpus with every seed; the first seed of all comes first.
    pub fn trainings(&self) -> Vec<Training<'_>> {
        let with = |&seed| self.corpus.iter().map(move |on| Training { on, seed });
        self.seeds.iter().flat_map(with).collect()
    }

    /// Refuses recordings that differ from those of a training below `folder`, and initial weights that
    /// have learned from any of the corpora: each of them tests.
    ///
    /// # Errors
    /// Names the recordings.
    pub fn check(&self, folder: &Path, cache: Option<&FeatureCache>) -> Result<()> {
        let file = folder.join("cross-corpus.toml");
        let goes_on = file.exists() && Plan::read(&file)?.has_settings_of(self)?;
        let weights = self.config.training.init_weights.as_deref();
        let lineage = weights.map(lineage_of_weights).transpose()?;
        let mut known = Comparison::default();
        for member in &self.corpus {
            let runs = match goes_on {
                true => begun(folder, &format!("{}-seed-", member.name)),
                false => Vec::new(),
            };
            if runs.is_empty() && lineage.is_none() {
                continue;
            }
            let mut corpus = open_corpus(&member.data)?;
            read_contents(&mut corpus, cache);
            if let Some(run) = runs.first() {
                check_recordings(run, &member.data, &corpus)?;
            }
            if let Some(lineage) = &lineage {
                known.merge(Comparison::of(lineage, &member.data, &corpus.clips));
            }
        }
        refuse_leak(&known, &self.config)
    }

    /// The settings of one training.
    pub fn config_of(&self, training: Training) -> RunConfig {
        let mut config = self.config.clone();
        config.data = training.on.data.clone();
        config.training.seed = training.seed;
        config
    }

    /// True where the settings and the places of the corpora are those of another plan. Others are refused
    /// later, and their recordings may differ.
    fn has_settings_of(&self, other: &Plan) -> Result<bool> {
        let places = |plan: &Plan| -> Vec<DataConfig> {
            plan.corpus
                .iter()
                .map(|member| member.data.clone())
                .collect()
        };
        let differences = differing_settings(&self.config, &other.config)?;
        Ok(differences.is_empty() && places(self) == places(other))
    }

    fn read(file: &Path) -> Result<Plan> {
        let text = bounded::read_text(file, bounded::RESULTS)
            .with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text)
            .map_err(|error| anyhow!("{} is no plan of emovox:\n{error}", file.display()))
    }

    /// What is trained already belongs to these settings and recordings.
    fn refuse_another(&self, asked: &Plan, folder: &Path) -> Result<()> {
        let mut differences = differing_settings(&self.config, &asked.config)?;
        if self.labels != asked.labels {
            differences.push(format!(
                "the labels are {}, not {}",
                self.labels.join(", "),
                asked.labels.join(", ")
            ));
        }
        let told = |corpora: &[Member]| -> String {
            let each = corpora
                .iter()
                .map(|member| format!("{} of {} clips", member.name, member.clips));
            each.collect::<Vec<_>>().join(", ")
        };
        if told(&self.corpus) != told(&asked.corpus) {
            differences.push(format!(
                "the corpora are {}, not {}",
                told(&self.corpus),
                told(&asked.corpus)
            ));
        } else if self.corpus != asked.corpus {
            differences.push("the corpora lie elsewhere".into());
        }
        if !differences.is_empty() {
            bail!(
                "{} would become another matrix: {}; choose another --name",
                folder.display(),
                differences.join("; ")
            );
        }
        Ok(())
    }
}

impl CrossCorpus {
    /// Begins a matrix in a folder, or goes on with the one that is there. Seeds may be added; with other
    /// settings it would be another one.
    pub fn open(folder: &Path, mut plan: Plan) -> Result<CrossCorpus> {
        let file = folder.join("cross-corpus.toml");
        let is_new = !file.exists();
        if is_new && holds_something(folder) {
            bail!(
                "{} exists and is no matrix of corpora; choose another --name",
                folder.display()
            );
        }
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = RunLock::take(folder)?;
        if !is_new {
            let begun = Plan::read(&file)?;
            begun.refuse_another(&plan, folder)?;
            keep_begun(&mut plan.config, &begun.config);
            plan.seeds.extend(begun.seeds);
            plan.seeds.sort_unstable();
            plan.seeds.dedup();
        }
        let text = toml::to_string(&plan).context("the plan cannot be written as TOML")?;
        write_bytes(&file, text.as_bytes())?;
        Ok(CrossCorpus {
            folder: folder.into(),
            plan,
            _lock: lock,
        })
    }

    /// Where a training's run is.
    pub fn run_of(&self, training: Training) -> PathBuf {
        self.folder.join(training.name())
    }

    /// True where it is trained and scored on speakers of its own corpus.
    pub fn is_trained(&self, training: Training) -> bool {
        // The last file of the results.
        self.run_of(training).join("confusion.png").exists()
    }

    /// What a training said of a corpus: of its own, of the test part; of another, of all clips.
    pub fn predictions_of(&self, training: Training, of: &Member) -> PathBuf {
        match training.on.name == of.name {
            true => self.run_of(training).join("predictions.csv"),
            false => self.folder.join(format!(
                "{}-to-{}-seed-{}.csv",
                training.on.name, of.name, training.seed
            )),
        }
    }

    /// True where it has predicted a corpus: after its own training, and after the training on that corpus with
    /// the same seed, whose recordings may have been replaced before.
    pub fn has_heard(&self, training: Training, of: &Member) -> bool {
        let modified = |path: PathBuf| path.metadata().and_then(|file| file.modified()).ok();
        let Some(predicted) = modified(self.predictions_of(training, of)) else {
            return false;
        };
        let there = Training { on: of, ..training };
        let before = [
            self.run_of(training).join("best.ot"),
            self.run_of(there).join("split.csv"),
        ];
        let newer = |path: PathBuf| modified(path).is_some_and(|time| time > predicted);
        self.is_trained(training) && !before.into_iter().any(newer)
    }
}
