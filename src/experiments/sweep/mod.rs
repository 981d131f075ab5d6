//! Sweep: a cross-validation (or one split) for each combination of values of some settings. The
//! trials are independent of each other, so any number of processes on any number of machines can
//! train them.
//!
//! ```text
//! runs/NAME/
//!   grid.toml              the sweep file of the last training of a trial
//!   SETTING/ …             the cross-validation of each combination of values
//!   SETTING/fold-1-seed-1/ …      the run of a trial
//!   SETTING/fold-1-seed-1.error   the reason of its failure, if it failed
//!   grid.txt               results of the finished trials as text
//!   grid.json              results as JSON
//!   settings.csv           scores, intervals and difference to the baseline of each combination
//!   cells.csv              state and scores of each trial
//!   grid.png               the combinations as a picture
//! ```
//!
//! Trials have nothing in common except the feature cache. A trial can be trained on any machine
//! that has access to the same folders; a lock excludes a second process. A finished trial is not
//! trained again, and a stopped trial continues from its last checkpoint.

mod file;
mod summary;
mod values;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

pub use file::{Combination, SweepFile};
pub use summary::{BaselineDifference, HyperParamsRow, SweepSummary, TrialRow};

use super::cross_validation::{CrossValidation, FoldPlan};
use super::plan::{check, create_folder, has_content, write_if_changed};
use super::trial::Trial;
use crate::bounded;
use crate::config::{DataConfig, RunConfig};
use crate::corpus::Corpus;
use crate::dataset::FeatureCache;
use crate::run::RunFolder;

/// A sweep and its folder.
#[derive(Debug)]
pub struct Sweep {
    /// Name of the sweep.
    pub name: String,
    /// Folder of the results; the trials are below it.
    pub folder: PathBuf,
    /// Keys of the settings that differ.
    pub keys: Vec<String>,
    /// Every combination of values.
    pub hyper_params: Vec<HyperParams>,
    /// Index of the combination that all others are compared with.
    pub baseline: Option<usize>,
    /// Text of the sweep file.
    text: String,
}

/// One combination of values, and its trials.
#[derive(Debug)]
pub struct HyperParams {
    /// Name of the combination and of its folder.
    pub name: String,
    /// The values, in the order of [`Sweep::keys`], as tables show them.
    pub values: Vec<String>,
    /// Cross-validation with these values.
    pub study: CrossValidation,
}

/// One trial of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct SweepTrial<'a> {
    /// Combination of values of the trial.
    pub hyper_params: &'a HyperParams,
    /// Fold and seed of the trial.
    pub trial: Trial<'a>,
}

impl SweepTrial<'_> {
    /// Name of the trial in the sweep. It does not change when values are added.
    pub fn name(&self) -> String {
        format!("{}/{}", self.hyper_params.name, self.trial.name())
    }
}

impl Sweep {
    /// The sweep that `file` describes, with a folder below `runs`. Nothing is written.
    /// `open_corpus` finds the recordings of a configuration.
    ///
    /// # Errors
    /// If the file is invalid, if the folder contains something else, or if a trial was trained
    /// with other settings.
    pub fn open(
        file: &Path,
        runs: &Path,
        open_corpus: impl Fn(&DataConfig) -> Result<Corpus>,
    ) -> Result<Sweep> {
        let text = bounded::read_text(file, bounded::SETTINGS)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let described = SweepFile::read(file)?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = described.name.clone().unwrap_or(stem.into_owned());
        RunFolder::check_name(&name)?;
        let folder = runs.join(&name);
        ensure!(
            folder.join("grid.toml").exists() || !has_content(&folder),
            "{} exists and is not a sweep; choose another name (name = \"…\" in {})",
            folder.display(),
            file.display()
        );
        let (folds, seeds) = (described.folds()?, described.seeds()?);
        let combinations = described.combinations()?;
        let configs: Vec<RunConfig> = combinations
            .iter()
            .map(|one| described.config_of(one, file))
            .collect::<Result<_>>()?;
        let baseline = described.baseline(&combinations, &configs)?;
        let keys = combinations
            .first()
            .map(|one| one.values.keys().cloned().collect());

        // Each corpus is searched once, for any number of combinations.
        let mut corpora: Vec<(DataConfig, Corpus)> = Vec::new();
        let mut hyper_params = Vec::new();
        for (combination, config) in combinations.into_iter().zip(configs) {
            if !corpora.iter().any(|(data, _)| *data == config.data) {
                corpora.push((config.data.clone(), open_corpus(&config.data)?));
            }
            let corpus = corpora.iter().find(|(data, _)| *data == config.data);
            let corpus = &corpus.context("just opened")?.1;
            let plan = match folds {
                Some(folds) => FoldPlan::new(config, corpus, folds, Vec::new(), seeds.clone()),
                None => FoldPlan::of_one_split(config, corpus, seeds.clone()),
            };
            let plan = plan.with_context(|| format!("setting {}", combination.name))?;
            hyper_params.push(HyperParams {
                study: CrossValidation::open_shared(&folder.join(&combination.name), plan)?,
                values: combination.values.values().map(values::text).collect(),
                name: combination.name,
            });
        }
        Ok(Sweep {
            name,
            folder,
            keys: keys.unwrap_or_default(),
            hyper_params,
            baseline,
            text,
        })
    }

    /// All trials, in the order of the combinations.
    pub fn trials(&self) -> Vec<SweepTrial<'_>> {
        let of = |hyper_params| {
            let trials = HyperParams::trials(hyper_params).into_iter();
            trials.map(move |trial| SweepTrial {
                hyper_params,
                trial,
            })
        };
        self.hyper_params.iter().flat_map(of).collect()
    }

    /// The trial with a name or a number; numbers start from 0.
    ///
    /// # Errors
    /// If there is no such trial.
    pub fn trial(&self, named: &str) -> Result<SweepTrial<'_>> {
        let trials = self.trials();
        let by_name = trials.iter().find(|trial| trial.name() == named);
        let by_number = || {
            named
                .parse()
                .ok()
                .and_then(|index: usize| trials.get(index))
        };
        match by_name.or_else(by_number) {
            Some(&trial) => Ok(trial),
            None => bail!(
                "there is no trial '{named}': trials are numbered from 0 to {}, and `emovox grid \
                 FILE` lists their names",
                trials.len().saturating_sub(1)
            ),
        }
    }

    /// Creates the folder with the sweep file in it.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn create(&self) -> Result<()> {
        create_folder(&self.folder)?;
        write_if_changed(
            &self.folder.join("grid.toml"),
            &self.text,
            bounded::SETTINGS,
        )
    }
}

impl HyperParams {
    /// Checks the recordings and the initial weights before a training, see
    /// [`check`](crate::experiments::check).
    ///
    /// # Errors
    /// The error names the combination and the recordings.
    pub fn check(&self, cache: Option<&FeatureCache>) -> Result<()> {
        check(&self.study.plan, &self.study.folder, cache)
            .with_context(|| format!("setting {}", self.name))
    }

    fn trials(&self) -> Vec<Trial<'_>> {
        self.study.trials()
    }
}
