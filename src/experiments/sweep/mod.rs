//! A sweep: every combination of some values, each cross-validated (or trained on one split), by as
//! many processes on as many machines as there are.
//!
//! ```text
//! runs/NAME/
//!   grid.toml              the file that describes it, as it was when cells were last trained
//!   SETTING/ …             the cross-validation of each setting
//!   SETTING/fold-1-seed-1/ …      a cell: a run
//!   SETTING/fold-1-seed-1.error   why it failed last, where it did
//!   grid.txt               what it has come to so far, for people
//!   grid.json              the same, for programs
//!   settings.csv           a line for each setting: scores, intervals, how far above the baseline
//!   cells.csv              a line for each cell: its state and its scores
//!   grid.png               the settings over each other
//! ```
//!
//! A cell shares nothing with others but the cache of features: it runs alone, on any machine that
//! sees the same folders, and a second process finds the first one's lock. What is finished is not
//! done again, and what was begun goes on from its last checkpoint.

mod collect;
mod file;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

pub use collect::{CellRow, Collected, Comparison, SettingRow, collect, write_collected};
pub use file::{Combination, GridFile};

use crate::bounded;
use crate::config::{DataConfig, RunConfig};
use crate::corpus::Corpus;
use crate::cross_validation::{Cell, CrossValidation, Plan, holds_something};
use crate::dataset::{FeatureCache, read_contents};
use crate::experiment::open_corpus;
use crate::run::{RunFolder, write_bytes};

/// A sweep and the folder of its cells.
#[derive(Debug)]
pub struct Grid {
    /// What it is called.
    pub name: String,
    /// Where everything goes.
    pub folder: PathBuf,
    /// The keys that it varies.
    pub keys: Vec<String>,
    /// Every combination of their values.
    pub settings: Vec<Setting>,
    /// The setting that all others are compared with.
    pub baseline: Option<usize>,
    /// What describes it.
    text: String,
}

/// One combination of values.
#[derive(Debug)]
pub struct Setting {
    /// The name of its folder.
    pub name: String,
    /// Its values, in the order of the grid's keys, as tables show them.
    pub values: Vec<String>,
    /// Its trainings.
    pub all: CrossValidation,
}

/// One training of a grid.
#[derive(Debug, Clone, Copy)]
pub struct GridCell<'a> {
    /// With what.
    pub setting: &'a Setting,
    /// On which fold, by which seed.
    pub cell: Cell<'a>,
}

/// How far a cell has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Trained and scored.
    Done,
    /// The reason, as it printed it.
    Failed(String),
    /// Its folder is there: it is trained just now, or was stopped or killed.
    Begun,
    /// Nothing is there yet.
    Waiting,
}

impl Grid {
    /// The sweep that a file describes, with its cells below `runs`. Nothing is written. `corpus` finds
    /// the recordings of a configuration.
    pub fn open(
        file: &Path,
        runs: &Path,
        corpus: impl Fn(&DataConfig) -> Result<Corpus>,
    ) -> Result<Grid> {
        let text = bounded::read_text(file, bounded::SETTINGS)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let described = GridFile::read(file)?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = described.name.clone().unwrap_or(stem.into_owned());
        RunFolder::check_name(&name)?;
        let folder = runs.join(&name);
        ensure!(
            folder.join("grid.toml").exists() || !holds_something(&folder),
            "{} exists and is no grid; give this one another name (name = \"…\" in {})",
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

        // A corpus is looked through once, however many settings are trained on it.
        let mut found: Vec<(DataConfig, Corpus)> = Vec::new();
        let mut settings = Vec::new();
        for (one, config) in combinations.iter().zip(configs) {
            if !found.iter().any(|(data, _)| *data == config.data) {
                found.push((config.data.clone(), corpus(&config.data)?));
            }
            let corpus = found.iter().find(|(data, _)| *data == config.data);
            let corpus = &corpus.context("just found")?.1;
            let plan = match folds {
                Some(folds) => Plan::new(config, corpus, folds, seeds.clone()),
                None => Plan::of_one_split(config, corpus, seeds.clone()),
            };
            let plan = plan.with_context(|| format!("setting {}", one.name))?;
            settings.push(Setting {
                name: one.name.clone(),
                values: one.values.values().map(values::text).collect(),
                all: CrossValidation::beside_others(&folder.join(&one.name), plan)?,
            });
        }
        Ok(Grid {
            name,
            folder,
            keys: keys.unwrap_or_default(),
            settings,
            baseline,
            text,
        })
    }

    /// Every training, setting by setting.
    pub fn cells(&self) -> Vec<GridCell<'_>> {
        let of = |setting| {
            let cells = Setting::cells(setting).into_iter();
            cells.map(move |cell| GridCell { setting, cell })
        };
        self.settings.iter().flat_map(of).collect()
    }

    /// The cell of this name, or of this number counted from 0.
    pub fn cell(&self, named: &str) -> Result<GridCell<'_>> {
        let cells = self.cells();
        let by_name = cells.iter().find(|cell| cell.name() == named);
        let by_number = || named.parse().ok().and_then(|place: usize| cells.get(place));
        match by_name.or_else(by_number) {
            Some(&cell) => Ok(cell),
            None => bail!(
                "there is no cell '{named}': they are numbered from 0 to {}, and `emovox grid FILE` \
                 lists their names",
                cells.len().saturating_sub(1)
            ),
        }
    }

    /// Makes the folder, with the description in it.
    pub fn make_folder(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let file = self.folder.join("grid.toml");
        match bounded::read_text(&file, bounded::SETTINGS) {
            Ok(there) if there == self.text => Ok(()),
            _ => write_bytes(&file, self.text.as_bytes()),
        }
    }
}

impl Setting {
    /// Refuses recordings that differ from those of a training of this setting, and initial weights that
    /// have learned from what is tested.
    ///
    /// # Errors
    /// Names the recordings.
    pub fn check(&self, cache: Option<&FeatureCache>) -> Result<()> {
        let CrossValidation { folder, plan, .. } = &self.all;
        if !plan.compares_contents(folder) {
            return Ok(());
        }
        let mut corpus = open_corpus(&plan.config.data)?;
        read_contents(&mut corpus, cache);
        plan.check(folder, &corpus)
            .with_context(|| format!("setting {}", self.name))
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        self.all.plan.cells()
    }
}

impl GridCell<'_> {
    /// Its name among all cells; the same whatever else is in the grid.
    pub fn name(&self) -> String {
        format!("{}/{}", self.setting.name, self.cell.name())
    }

    /// How far it has come.
    pub fn state(&self) -> State {
        let all = &self.setting.all;
        if all.is_done(self.cell) {
            return State::Done;
        }
        match bounded::read_text(&self.error_file(), bounded::SETTINGS) {
            Ok(reason) => State::Failed(reason.trim().to_string()),
            Err(_) if all.run_of(self.cell).exists() => State::Begun,
            Err(_) => State::Waiting,
        }
    }

    /// Remembers why it failed, until it is trained again.
    pub fn fail(&self, reason: &str) -> Result<()> {
        write_bytes(&self.error_file(), format!("{reason}\n").as_bytes())
    }

    /// Forgets why it failed.
    pub fn forget_failure(&self) -> Result<()> {
        match fs::remove_file(self.error_file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let file = self.error_file();
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// Where it prints, where it has no terminal.
    pub fn log(&self) -> PathBuf {
        self.beside("log")
    }

    fn error_file(&self) -> PathBuf {
        self.beside("error")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let name = format!("{}.{ending}", self.cell.name());
        self.setting.all.folder.join(name)
    }
}
