//! Cross-validation: one trial for each fold and seed, so that every speaker is a test speaker
//! once, and the scores of all trials together.
//!
//! ```text
//! runs/NAME/
//!   cross-validation.toml  the plan: settings and folds
//!   fold-1-seed-1/ …       the runs of the trials
//!   fold-1-seed-1.log …    their output
//!   predictions.csv        predictions for all test clips, with fold and seed
//!   folds.csv              scores of each trial
//!   speakers.csv           scores of each speaker
//!   report.txt             results as text
//!   report.json            results as JSON
//!   confusion.csv          confusion matrix of all trials: counts
//!   confusion.png          confusion matrix as a picture
//!   recall.png             recall of each class and speaker, with the first seed
//!   reliability.png        accuracy over confidence
//! ```

mod summary;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub use summary::CrossValidationSummary;

use super::plan::{Plan, Study};
use super::run::absolute_lists;
use super::trial::{Subject, Trial};
use crate::config::{CalibrationConfig, DataConfig, RunConfig};
use crate::corpus::folds::{Fold, Folds, folds};
use crate::corpus::split::{Split, SplitKind, Subset, split};
use crate::corpus::{self, Clip, Corpus};
use crate::leakage::{Comparison, refuse_leak};
use crate::run::Lineage;

/// [`FoldPlan::folds`] of a plan without folds.
const ONE_SPLIT: &str = "one split";

/// A cross-validation.
pub type CrossValidation = Study<FoldPlan>;

/// Plan of a cross-validation: the content of `cross-validation.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldPlan {
    /// Kind of folds, in the format of [`Folds`], or `one split`.
    pub folds: String,
    /// Seeds: each fold is trained with each of them.
    pub seeds: Vec<u64>,
    /// Corpora whose speakers are tested; all others are in the training subset of every fold. Empty
    /// if all corpora are tested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_corpora: Vec<String>,
    /// Number of recordings.
    pub clips: usize,
    /// Labels of the recordings.
    pub classes: Vec<String>,
    /// Test and validation speakers of each fold.
    pub fold: Vec<Fold>,
    /// Settings that all trials have in common.
    pub config: RunConfig,
}

impl FoldPlan {
    /// A plan with folds of a corpus, which are drawn with the seed of the split. Of several corpora,
    /// only the speakers of the `test_corpora` are tested and validated, or of all if it is empty.
    ///
    /// # Errors
    /// If the corpus cannot be divided into such folds, if a fold has no training clip of a class, or
    /// if a setting is invalid.
    pub fn new(
        mut config: RunConfig,
        corpus: &Corpus,
        kind: Folds,
        test_corpora: Vec<String>,
        seeds: Vec<u64>,
    ) -> Result<FoldPlan> {
        config.split.kind = SplitKind::Speaker;
        let is_tested = |name: &String| test_corpora.is_empty() || test_corpora.contains(name);
        let names = || corpus.sources.iter().map(|source| &source.name);
        if let Some(unknown) = test_corpora
            .iter()
            .find(|&test| !names().any(|name| name == test))
        {
            ensure!(
                !corpus.sources.is_empty(),
                "--test-corpora needs several corpora, as in --data ravdess=DIR --data emodb=DIR"
            );
            bail!(
                "there is no corpus '{unknown}' to test; name one of those of --data NAME=FOLDER: {}",
                names().map(String::as_str).collect::<Vec<_>>().join(", ")
            );
        }
        for (index, name) in names().enumerate() {
            let mut clips = corpus.clips.iter();
            let own = clips.find(|clip| corpus::source_of(&corpus.sources, clip) == Some(index));
            let is_alone = test_corpora.contains(name);
            if let Some(own) = own.filter(|own| is_alone && !is_tested(&own.corpus)) {
                bail!(
                    "the speakers of {name} are those of {0}, so they are tested with all their recordings; \
                     name {0} instead",
                    own.corpus
                );
            }
        }
        let tested = corpus.clips.iter().filter(|clip| is_tested(&clip.corpus));
        let tested: Vec<Clip> = tested.cloned().collect();
        let fold = folds(&tested, kind, config.split.seed)?;
        let plan = FoldPlan::with_folds(config, corpus, kind.to_string(), fold, seeds)?;
        Ok(FoldPlan {
            test_corpora,
            ..plan
        })
    }

    /// A plan with the one split that the settings describe.
    ///
    /// # Errors
    /// If the clips cannot be split, or if a setting is invalid.
    pub fn of_one_split(config: RunConfig, corpus: &Corpus, seeds: Vec<u64>) -> Result<FoldPlan> {
        let fold = Fold {
            name: String::new(),
            test: config.split.test_speakers.clone(),
            validation: config.split.validation_speakers.clone(),
        };
        FoldPlan::with_folds(config, corpus, ONE_SPLIT.into(), vec![fold], seeds)
    }

    fn with_folds(
        mut config: RunConfig,
        corpus: &Corpus,
        folds: String,
        fold: Vec<Fold>,
        seeds: Vec<u64>,
    ) -> Result<FoldPlan> {
        config.validate()?;
        config.data.folder = fs::canonicalize(&corpus.folder)
            .with_context(|| format!("cannot find {}", corpus.folder.display()))?;
        config.data.corpus = Some(corpus.kind);
        config.data.sources.clone_from(&corpus.sources);
        config.data = absolute_lists(config.data)?;
        config.calibration = CalibrationConfig::default();
        let plan = FoldPlan {
            folds,
            seeds,
            test_corpora: Vec::new(),
            clips: corpus.clips.len(),
            classes: corpus::classes(&corpus.clips),
            fold,
            config,
        };
        // An impossible split must not end the last trial after hours of training.
        for fold in &plan.fold {
            plan.split(fold, corpus)?;
        }
        Ok(plan)
    }

    /// The split of a fold. It does not depend on the seed of the training.
    fn split(&self, fold: &Fold, corpus: &Corpus) -> Result<Split> {
        let trial = Trial {
            subject: Subject::Fold(fold),
            seed: 0,
            folder: Path::new(""),
            shared: &self.config,
        };
        let split = split(&corpus.clips, &trial.config().split, &corpus.given);
        match self.folds.as_str() {
            ONE_SPLIT => Ok(split?),
            _ => split.with_context(|| format!("fold {}", fold.name)),
        }
    }

    /// Speakers of published folds that are not among `speakers`. Without them, the scores are not
    /// those of the whole corpus.
    pub fn missing_speakers(&self, speakers: &[String]) -> Vec<&'static str> {
        let published = self.folds.parse().map_or(&[][..], Folds::published);
        let mut missing: Vec<&str> = published
            .iter()
            .flat_map(|fold| fold.iter().copied())
            .collect();
        let is_of = |speaker: &String, name: &str| {
            speaker == name || speaker.rsplit_once(':').is_some_and(|(_, own)| own == name)
        };
        missing.retain(|&name| !speakers.iter().any(|speaker| is_of(speaker, name)));
        missing.sort_unstable();
        missing
    }
}

impl Plan for FoldPlan {
    const FILE: &'static str = "cross-validation.toml";
    const KIND: &'static str = "cross-validation";

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
        self.fold.iter().map(Subject::Fold).collect()
    }

    fn data(&self) -> Vec<&DataConfig> {
        vec![&self.config.data]
    }

    fn has_same_source(&self, other: &FoldPlan) -> bool {
        self.folds == other.folds && self.test_corpora == other.test_corpora
    }

    fn differences(&self, requested: &FoldPlan) -> Vec<String> {
        let difference = if self.folds != requested.folds {
            format!("the folds are {}, not {}", self.folds, requested.folds)
        } else if self.test_corpora != requested.test_corpora {
            "other corpora are tested (--test-corpora)".into()
        } else if (self.clips, &self.classes) != (requested.clips, &requested.classes) {
            format!(
                "it was started with {} recordings of {} classes, and now there are {} of {}",
                self.clips,
                self.classes.len(),
                requested.clips,
                requested.classes.len()
            )
        } else if self.fold != requested.fold {
            "the test or validation speakers of its folds differ: the recordings changed, or the \
             version of the program did"
                .into()
        } else {
            return Vec::new();
        };
        vec![difference]
    }

    fn check_weights(&self, lineage: &Lineage, corpora: &[(&DataConfig, Corpus)]) -> Result<()> {
        let mut all = Comparison::default();
        let mut known_folds = 0;
        for (data, corpus) in corpora {
            for fold in &self.fold {
                let test = self.split(fold, corpus)?.indices(Subset::Test);
                let test: Vec<&Clip> = test.iter().map(|&index| &corpus.clips[index]).collect();
                let known = Comparison::of(lineage, data, test);
                known_folds += usize::from(known.is_leak());
                all.merge(known);
            }
        }
        refuse_leak(&all, &self.config).with_context(|| match self.folds.as_str() {
            ONE_SPLIT => "the test subset".to_string(),
            _ => format!("{known_folds} of {} folds", self.fold.len()),
        })
    }
}
