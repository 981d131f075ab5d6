//! The run folder: the one place that knows the names and formats of its files.
//!
//! ```text
//! runs/NAME/
//!   config.toml      every setting; with the weights all that is needed to predict or resume
//!   split.csv        clip, speaker, label, part
//!   metrics.csv      one line an epoch
//!   best.ot          the weights with the best validation score
//!   last.ot          the weights, the optimizer and the place in the training: resumes from here
//!   predictions.csv  what the best weights said of every test clip
//!   report.txt       the scores of the test part, for people
//!   report.json      the same, for programs
//!   confusion.csv    the confusion matrix, counts
//!   curves.png       accuracy and loss over the epochs
//!   confusion.png    the confusion matrix, counts and shares
//! ```

mod atomic;
mod journal;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use atomic::{write_atomically, write_by_name, write_bytes};
pub use journal::{EpochRecord, Journal, is_better};
pub use tables::{ClipPrediction, read_split, write_confusion, write_predictions, write_split};

/// A run folder and the places of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    folder: PathBuf,
}

impl RunFolder {
    /// Refuses a name that no new run below `runs` can have. A run that is there is never touched.
    pub fn check_free(runs: &Path, name: &str) -> Result<()> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            bail!(
                "'{name}' cannot name a run: take letters, digits, '-' and '_' (--runs-dir chooses \
                 the folder that holds the runs)"
            );
        }
        let folder = runs.join(name);
        if folder.exists() {
            bail!(
                "{} exists, and no run is ever overwritten; go on with it by --resume {name}, or \
                 choose another name with --run",
                folder.display()
            );
        }
        Ok(())
    }

    /// Makes the folder of a new run below `runs`.
    pub fn create(runs: &Path, name: &str) -> Result<RunFolder> {
        RunFolder::check_free(runs, name)?;
        let folder = runs.join(name);
        // The last step fails where another process has just made the same folder.
        let made = fs::create_dir_all(runs).and_then(|()| fs::create_dir(&folder));
        made.with_context(|| {
            format!(
                "cannot make {}; --runs-dir chooses another place",
                folder.display()
            )
        })?;
        Ok(RunFolder { folder })
    }

    /// The run of this name below `runs`, or the run whose folder this is.
    pub fn open(runs: &Path, run: &str) -> Result<RunFolder> {
        let candidates = [PathBuf::from(run), runs.join(run)];
        for folder in &candidates {
            let run = RunFolder {
                folder: folder.clone(),
            };
            if run.config_toml().is_file() {
                return Ok(run);
            }
        }
        if let Some(folder) = candidates.iter().find(|folder| folder.is_dir()) {
            bail!(
                "{} is no run folder: it has no config.toml",
                folder.display()
            );
        }
        let names = names(runs);
        let known = match names.as_slice() {
            [] => format!(
                "there are none in {} yet; `emovox train` makes one",
                runs.display()
            ),
            _ => format!("the runs in {} are {}", runs.display(), names.join(", ")),
        };
        bail!("there is no run '{run}'; {known}")
    }

    /// The first name of `base`, `base-2`, `base-3` … that no run below `runs` has.
    pub fn free_name(runs: &Path, base: &str) -> String {
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        std::iter::once(base.to_string())
            .chain(numbered)
            .find(|name| !runs.join(name).exists())
            .unwrap_or_else(|| base.to_string())
    }

    /// The run's name: that of its folder.
    pub fn name(&self) -> String {
        let absolute = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        absolute
            .file_name()
            .unwrap_or(absolute.as_os_str())
            .to_string_lossy()
            .into_owned()
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.folder
    }
    /// Every setting.
    pub fn config_toml(&self) -> PathBuf {
        self.folder.join("config.toml")
    }
    /// Each clip's part.
    pub fn split_csv(&self) -> PathBuf {
        self.folder.join("split.csv")
    }
    /// A line an epoch.
    pub fn metrics_csv(&self) -> PathBuf {
        self.folder.join("metrics.csv")
    }
    /// The weights with the best validation score.
    pub fn best_ot(&self) -> PathBuf {
        self.folder.join("best.ot")
    }
    /// The place that a training resumes from.
    pub fn last_ot(&self) -> PathBuf {
        self.folder.join("last.ot")
    }
    /// What was said of every test clip.
    pub fn predictions_csv(&self) -> PathBuf {
        self.folder.join("predictions.csv")
    }
    /// The scores of the test part, for people.
    pub fn report_txt(&self) -> PathBuf {
        self.folder.join("report.txt")
    }
    /// The same, for programs.
    pub fn report_json(&self) -> PathBuf {
        self.folder.join("report.json")
    }
    /// The confusion matrix, counts.
    pub fn confusion_csv(&self) -> PathBuf {
        self.folder.join("confusion.csv")
    }
    /// Accuracy and loss over the epochs.
    pub fn curves_png(&self) -> PathBuf {
        self.folder.join("curves.png")
    }
    /// The confusion matrix as a picture.
    pub fn confusion_png(&self) -> PathBuf {
        self.folder.join("confusion.png")
    }
}

/// The runs below a folder, sorted.
fn names(runs: &Path) -> Vec<String> {
    let entries = fs::read_dir(runs)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("config.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_run_is_never_overwritten() {
        let runs = tempfile::tempdir().unwrap();
        RunFolder::create(runs.path(), "mine").unwrap();
        let error = RunFolder::create(runs.path(), "mine")
            .unwrap_err()
            .to_string();
        assert!(error.contains("--resume mine"), "{error}");
        assert_eq!(RunFolder::free_name(runs.path(), "mine"), "mine-2");
        assert_eq!(RunFolder::free_name(runs.path(), "other"), "other");
    }

    #[test]
    fn a_name_stays_below_the_runs() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["", "..", "../x", "a/b", ".hidden"] {
            assert!(RunFolder::create(runs.path(), name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_unknown_run_is_answered_with_those_there_are() {
        let runs = tempfile::tempdir().unwrap();
        let error = RunFolder::open(runs.path(), "x").unwrap_err().to_string();
        assert!(error.contains("`emovox train` makes one"), "{error}");
        let run = RunFolder::create(runs.path(), "mine").unwrap();
        fs::write(run.config_toml(), "").unwrap();
        let error = RunFolder::open(runs.path(), "x").unwrap_err().to_string();
        assert!(error.contains("are mine"), "{error}");
        assert_eq!(RunFolder::open(runs.path(), "mine").unwrap().name(), "mine");
    }
}
