//! One trial: a training of a cross-validation, a cross-corpus matrix or a sweep. Each trial has a
//! run folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::cross_corpus::CorpusEntry;
use super::identity::fixed_settings;
use crate::bounded;
use crate::config::{DataConfig, RunConfig};
use crate::corpus::Clip;
use crate::corpus::folds::Fold;
use crate::corpus::split::SplitKind;
use crate::io::write_bytes;
use crate::run::{RunFolder, RunLock, read_split, trial_name};

/// One training of a study.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// Fold or corpus of the trial.
    pub subject: Subject<'a>,
    /// Random seed of the training.
    pub seed: u64,
    /// Folder of the study, in which the run folder is.
    pub folder: &'a Path,
    /// Settings that all trials of the study have in common.
    pub shared: &'a RunConfig,
}

/// The difference between the trials of a study, apart from the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Subject<'a> {
    /// A fold: its speakers are the test and validation speakers.
    Fold(&'a Fold),
    /// A corpus: the trial is trained on it.
    Corpus(&'a CorpusEntry),
}

/// Progress of a trial, according to its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialState {
    /// Trained and scored.
    Done,
    /// Failed, with the error message.
    Failed(String),
    /// The run folder exists: the trial is in training, or it was stopped or killed.
    Started,
    /// There is no run folder yet.
    Waiting,
}

impl TrialState {
    /// The state as tables show it: `done`, `failed`, `begun` or `waiting`.
    pub fn as_str(&self) -> &'static str {
        match self {
            TrialState::Done => "done",
            TrialState::Failed(_) => "failed",
            TrialState::Started => "begun",
            TrialState::Waiting => "waiting",
        }
    }
}

impl<'a> Trial<'a> {
    /// Name of the run folder, for example `fold-1-seed-2`, `ravdess-seed-1`, or `seed-1` for a
    /// study without folds.
    pub fn name(&self) -> String {
        match self.subject {
            Subject::Fold(fold) => trial_name(&fold.name, self.seed),
            Subject::Corpus(corpus) => format!("{}-seed-{}", corpus.name, self.seed),
        }
    }

    /// Recordings of the trial, and their labels.
    pub fn data(&self) -> &'a DataConfig {
        match self.subject {
            Subject::Fold(_) => &self.shared.data,
            Subject::Corpus(corpus) => &corpus.data,
        }
    }

    /// All settings of the training.
    pub fn config(&self) -> RunConfig {
        let mut config = self.shared.clone();
        match self.subject {
            Subject::Fold(fold) => {
                config.split.test_speakers.clone_from(&fold.test);
                config
                    .split
                    .validation_speakers
                    .clone_from(&fold.validation);
            }
            Subject::Corpus(corpus) => config.data.clone_from(&corpus.data),
        }
        config.training.seed = self.seed;
        config
    }

    /// Path of the run folder.
    pub fn run_path(&self) -> PathBuf {
        self.folder.join(self.name())
    }

    /// Paths of the files of the run, which need not exist.
    pub fn files(&self) -> RunFolder {
        RunFolder::in_folder(&self.run_path())
    }

    /// The run folder.
    ///
    /// # Errors
    /// If the run does not exist.
    pub fn run(&self) -> Result<RunFolder> {
        let path = self.run_path();
        RunFolder::at(&path).with_context(|| format!("there is no run {}", path.display()))
    }

    /// True if the run folder exists and is complete enough to be resumed.
    pub fn has_started(&self) -> bool {
        RunFolder::at(&self.run_path()).is_some_and(|run| run.split_csv().is_file())
    }

    /// True if the trial is trained and scored. If a file is lost that the results of the study
    /// need, the trial is not done: its training is resumed, which writes the results again.
    pub fn is_done(&self) -> bool {
        let files = self.files();
        // The picture is the last file of the results.
        let results = [files.confusion_png(), files.predictions_csv()];
        results.iter().all(|file| file.exists()) && self.lost_file().is_none()
    }

    /// Compares the settings of the run with those of the trial: the folder may be a copy of another
    /// run.
    ///
    /// # Errors
    /// If the settings of the run cannot be read, or if they differ.
    pub(super) fn check_settings(&self) -> Result<()> {
        let (run, planned) = (RunConfig::read(&self.files().config_toml())?, self.config());
        let settings = |config: &RunConfig| {
            let mut settings = fixed_settings(config);
            settings.split.kind = SplitKind::default(); // depends on the recordings
            settings.training.early_stopping = config.training.early_stopping;
            // A training chooses their number if it is 0.
            if planned.training.epochs > 0 {
                settings.training.epochs = config.training.epochs;
            }
            settings
        };
        let differences = settings(&run).difference_texts(&settings(&planned), |_| true)?;
        ensure!(
            differences.is_empty(),
            "{} is another training than the one that its study planned: {}. Move this folder to another \
             place; then the command that made the study trains it again",
            self.run_path().display(),
            differences.join("; ")
        );
        Ok(())
    }

    /// A missing file without which the training in an existing run folder cannot be resumed.
    pub(super) fn lost_file(&self) -> Option<PathBuf> {
        let files = self.files();
        let needed = [files.config_toml(), files.split_csv()];
        let mut lost = needed.into_iter().filter(|file| !file.exists());
        lost.next().filter(|_| self.run_path().is_dir())
    }

    /// Progress of the trial.
    pub fn state(&self) -> TrialState {
        if self.is_done() {
            return TrialState::Done;
        }
        match bounded::read_text(&self.error_path(), bounded::SETTINGS) {
            Ok(reason) => TrialState::Failed(reason.trim().to_string()),
            Err(_) if self.run_path().exists() => TrialState::Started,
            Err(_) => TrialState::Waiting,
        }
    }

    /// True if a process trains this trial now.
    pub fn is_in_training(&self) -> bool {
        RunLock::is_held(&self.run_path())
    }

    /// Saves the reason of a failure beside the run folder, until
    /// [`clear_failure`](Self::clear_failure).
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_failure(&self, reason: &str) -> Result<()> {
        write_bytes(&self.error_path(), format!("{reason}\n").as_bytes())
    }

    /// Removes the saved reason of a failure.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn clear_failure(&self) -> Result<()> {
        let file = self.error_path();
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// Path of the output of the training, if a [`Runner`](super::Runner) starts it.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name()))
    }

    fn error_path(&self) -> PathBuf {
        self.folder.join(format!("{}.error", self.name()))
    }

    /// Recordings of the run, with the content hashes of the time of the training.
    ///
    /// # Errors
    /// If the split of the run cannot be read.
    pub fn recordings(&self) -> Result<Vec<Clip>> {
        let split = self.files().split_csv();
        Ok(read_split(&split, &self.data().sources)?.0)
    }
}
