//! Every speaker tests once: a training for each fold and seed, each a run of its own, and what they
//! come to together.
//!
//! ```text
//! runs/NAME/
//!   cross-validation.toml  the settings and the folds
//!   fold-1-seed-1/ …       the runs (cells)
//!   fold-1-seed-1.log …    what they printed
//!   predictions.csv        what was said of every test clip, with fold and seed
//!   folds.csv              the scores of each cell
//!   speakers.csv           the scores of each speaker
//!   report.txt             the results, for people
//!   report.json            the same, for programs
//!   confusion.csv          the confusion matrix over all cells, counts
//!   confusion.png          the same as a picture
//!   reliability.png        how often the models are right, by how sure they are
//! ```

mod check;
mod results;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

pub(crate) use check::{begun, check_recordings, refuse_pooling};
pub use results::{CellScores, MeanStdScores, Results, heard, read_results, write_results};

use crate::bounded;
use crate::config::{CalibrationConfig, RunConfig};
use crate::corpus::folds::{Fold, Folds, folds};
use crate::corpus::split::SplitKind;
use crate::corpus::{self, Corpus};
use crate::experiment::absolute_lists;
use crate::run::{RunLock, write_bytes};
use crate::training::TrainingConfig;

/// What is trained, and where it goes.
#[derive(Debug)]
pub struct CrossValidation {
    /// Where everything goes.
    pub folder: PathBuf,
    /// What stands in its `cross-validation.toml`.
    pub plan: Plan,
    /// Where no other process may work on it.
    _lock: Option<RunLock>,
}

/// The settings of a cross-validation and its folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Which folds, as [`Folds`] are written, or `one split`.
    pub folds: String,
    /// Each fold is trained with each of these.
    pub seeds: Vec<u64>,
    /// How many recordings there are.
    pub clips: usize,
    /// The labels that occur.
    pub classes: Vec<String>,
    /// Who tests and who validates in each fold.
    pub fold: Vec<Fold>,
    /// The settings that all trainings have in common.
    pub config: RunConfig,
}

/// One training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell<'a> {
    /// Who tests and validates.
    pub fold: &'a Fold,
    /// The training's seed.
    pub seed: u64,
}

impl Cell<'_> {
    /// The name of its run.
    pub fn name(&self) -> String {
        match self.fold.name.as_str() {
            "" => format!("seed-{}", self.seed),
            fold => format!("fold-{fold}-seed-{}", self.seed),
        }
    }
}

impl Plan {
    /// Draws the folds of a corpus by the split's seed.
    pub fn new(
        mut config: RunConfig,
        corpus: &Corpus,
        kind: Folds,
        seeds: Vec<u64>,
    ) -> Result<Plan> {
        config.split.kind = SplitKind::Speaker;
        let fold = folds(&corpus.clips, kind, config.split.seed)?;
        Plan::over(config, corpus, kind.to_string(), fold, seeds)
    }

    /// One split, as the settings have it, and no folds.
    pub fn of_one_split(config: RunConfig, corpus: &Corpus, seeds: Vec<u64>) -> Result<Plan> {
        let fold = Fold {
            name: String::new(),
            test: config.split.test_speakers.clone(),
            validation: config.split.validation_speakers.clone(),
        };
        Plan::over(config, corpus, "one split".into(), vec![fold], seeds)
    }

    fn over(
        mut config: RunConfig,
        corpus: &Corpus,
        folds: String,
        fold: Vec<Fold>,
        seeds: Vec<u64>,
    ) -> Result<Plan> {
        config.validate()?;
        config.data.folder = std::fs::canonicalize(&corpus.folder)
            .with_context(|| format!("cannot find {}", corpus.folder.display()))?;
        config.data.corpus = Some(corpus.kind);
        config.data.sources.clone_from(&corpus.sources);
        config.data = absolute_lists(config.data)?;
        config.calibration = CalibrationConfig::default();
        Ok(Plan {
            folds,
            seeds,
            clips: corpus.clips.len(),
            classes: corpus::classes(&corpus.clips),
            fold,
            config,
        })
    }

    /// Every fold with every seed; the first seed of all folds comes first.
    pub fn cells(&self) -> Vec<Cell<'_>> {
        let with = |&seed| self.fold.iter().map(move |fold| Cell { fold, seed });
        self.seeds.iter().flat_map(with).collect()
    }

    /// The settings of one training.
    pub fn config_of(&self, cell: Cell) -> RunConfig {
        let mut config = self.config.clone();
        config.split.test_speakers = cell.fold.test.clone();
        config.split.validation_speakers = cell.fold.validation.clone();
        config.training.seed = cell.seed;
        config
    }

    /// Speakers of published folds whom this corpus lacks: its numbers are not those of the whole.
    pub fn absent(&self, speakers: &[String]) -> Vec<&'static str> {
        let published = self.folds.parse().map_or(&[][..], Folds::published);
        let mut absent: Vec<&str> = published
            .iter()
            .flat_map(|fold| fold.iter().copied())
            .collect();
        absent.retain(|&name| !speakers.iter().any(|speaker| speaker == name));
        absent.sort_unstable();
        absent
    }

    /// Cells that are trained already belong to these settings, folds and recordings.
    fn refuse_another(&self, asked: &Plan, folder: &Path) -> Result<()> {
        let mut differences = differing_settings(&self.config, &asked.config)?;
        if self.folds != asked.folds {
            differences.push(format!("the folds are {}, not {}", self.folds, asked.folds));
        } else if (self.clips, &self.classes) != (asked.clips, &asked.classes) {
            differences.push(format!(
                "it was begun on {} recordings of {} classes, and there are {} of {} now",
                self.clips,
                self.classes.len(),
                asked.clips,
                asked.classes.len()
            ));
        } else if self.fold != asked.fold {
            differences.push(
                "other speakers test or validate in its folds: the recordings are others, or the \
                 program's version is"
                    .into(),
            );
        }
        if !differences.is_empty() {
            bail!(
                "{} would become another cross-validation: {}; choose another --name",
                folder.display(),
                differences.join("; ")
            );
        }
        Ok(())
    }

    fn read(path: &Path) -> Result<Plan> {
        let text = bounded::read_text(path, bounded::RESULTS)
            .with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text)
            .map_err(|error| anyhow!("{} is no plan of emovox:\n{error}", path.display()))
    }
}

impl CrossValidation {
    /// Begins a cross-validation in a folder, or goes on with the one that is there. Seeds may be
    /// added; with other settings it would be another one.
    pub fn open(folder: &Path, mut plan: Plan) -> Result<CrossValidation> {
        let file = folder.join("cross-validation.toml");
        if !file.exists() && holds_something(folder) {
            bail!(
                "{} exists and is no cross-validation; choose another --name",
                folder.display()
            );
        }
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = RunLock::take(folder)?;
        if file.exists() {
            let begun = Plan::read(&file)?;
            begun.refuse_another(&plan, folder)?;
            keep_begun(&mut plan.config, &begun.config);
            let missing = begun.seeds.iter().filter(|seed| !plan.seeds.contains(seed));
            let missing: Vec<u64> = missing.copied().collect();
            plan.seeds.extend(missing);
            plan.seeds.sort_unstable();
        }
        let text = toml::to_string(&plan).context("the plan cannot be written as TOML")?;
        write_bytes(&file, text.as_bytes())?;
        Ok(CrossValidation {
            folder: folder.into(),
            plan,
            _lock: Some(lock),
        })
    }

    /// The same for one of many processes, on other machines perhaps, each of which trains cells of
    /// its own or looks at those that are there: nobody is kept out, and nothing is written.
    pub fn beside_others(folder: &Path, mut plan: Plan) -> Result<CrossValidation> {
        let file = folder.join("cross-validation.toml");
        if file.exists() {
            let begun = Plan::read(&file)?;
            begun.refuse_another(&plan, folder)?;
            keep_begun(&mut plan.config, &begun.config);
        }
        Ok(CrossValidation {
            folder: folder.into(),
            plan,
            _lock: None,
        })
    }

    /// Makes the folder, if no other process has.
    pub fn make_folder(&self) -> Result<()> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let file = self.folder.join("cross-validation.toml");
        let mut plan = self.plan.clone();
        if file.exists() {
            let begun = Plan::read(&file)?;
            begun.refuse_another(&plan, &self.folder)?;
            plan.seeds.extend(begun.seeds);
            plan.seeds.sort_unstable();
            plan.seeds.dedup();
        }
        let text = toml::to_string(&plan).context("the plan cannot be written as TOML")?;
        match bounded::read_text(&file, bounded::RESULTS) {
            Ok(there) if there == text => Ok(()),
            _ => write_bytes(&file, text.as_bytes()),
        }
    }

    /// Where a cell's run is.
    pub fn run_of(&self, cell: Cell) -> PathBuf {
        self.folder.join(cell.name())
    }

    /// True where a cell is trained and scored.
    pub fn is_done(&self, cell: Cell) -> bool {
        // The last file of the results.
        self.run_of(cell).join("confusion.png").exists()
    }
}

/// Settings that differ and make another training. The device does not, nor the permission to train in spite
/// of a leak, which is noted beside every score.
pub(crate) fn differing_settings(begun: &RunConfig, asked: &RunConfig) -> Result<Vec<String>> {
    const SAME_TRAINING: [&str; 3] = ["training.device", "training.allow_leak", "emovox"];
    let mut asked = asked.clone();
    keep_begun(&mut asked, begun);
    let differences = begun.differences(&asked)?.into_iter();
    Ok(differences
        .filter(|(key, ..)| !SAME_TRAINING.contains(&key.as_str()))
        .map(|(key, begun, asked)| format!("{key} is {begun}, not {asked}"))
        .collect())
}

/// Keeps recordings whole in the trainings that an earlier version began, which could not divide them.
pub(crate) fn keep_begun(asked: &mut RunConfig, begun: &RunConfig) {
    let usual = TrainingConfig::default().piece_seconds;
    if begun.training.piece_seconds == 0.0 && asked.training.piece_seconds == usual {
        asked.training.piece_seconds = 0.0;
    }
}

/// True where a folder holds more than what a process leaves that was killed before its first file.
pub(crate) fn holds_something(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Arch;

    #[test]
    fn trainings_of_an_earlier_version_continue_with_whole_recordings() {
        let asked = RunConfig::recipe(Arch::Bilstm);
        let mut begun = asked.clone();
        begun.training.piece_seconds = 0.0;
        begun.training.allow_leak = true;
        assert!(differing_settings(&begun, &asked).unwrap().is_empty());
        let mut continued = asked.clone();
        keep_begun(&mut continued, &begun);
        assert_eq!(continued.training.piece_seconds, 0.0);
        // Another length was asked for, or begun with.
        let mut other = asked.clone();
        other.training.piece_seconds = 10.0;
        for (begun, asked) in [(&begun, &other), (&other, &asked)] {
            let differences = differing_settings(begun, asked).unwrap();
            assert!(differences[0].starts_with("training.piece_seconds is "));
        }
    }
}
