//! The run folder: the one place that knows the names and formats of its files.
//!
//! ```text
//! runs/NAME/
//!   config.toml      every setting; with the weights all that is needed to predict or resume
//!   split.csv        clip, corpus (of several), speaker, label, what the corpus calls it, part, hash
//!   skipped.csv      recordings that were left out, with the reason
//!   ancestors.csv    the recordings behind those that the training started from, where it was given some
//!   init.ot          the weights that the training started from, where it was given some
//!   last.ot          the whole state of the training: resumes from here
//!   previous.ot      the state that was saved before that
//!   broken.ot        a last.ot that could not be read, set aside
//!   metrics.csv      one line an epoch
//!   best.ot          the weights with the best validation score
//!   predictions.csv  what the best weights said of every test clip
//!   report.txt       the scores of the test part, for people
//!   report.json      the same, for programs
//!   confusion.csv    the confusion matrix, counts
//!   curves.png       accuracy and loss over the epochs
//!   confusion.png    the confusion matrix, counts and shares
//!   recall.png       recall class by class and speaker by speaker, with intervals
//!   reliability.png  how often the model is right, by how sure it is
//!   report.html      all of it for a browser, where `emovox report` was asked for it
//!   events.out.tfevents.emovox  the curves for TensorBoard, where it was asked for
//! ```
//!
//! While it is trained, `last.ot` is the truth: `metrics.csv` and `best.ot` are written after it and
//! from it, and a resumed training writes them again. Hidden files are the lock (`.lock`) and what is
//! being written (`.writing-…`).

mod journal;
mod lineage;
mod lock;
mod output;
mod tables;
mod tensorboard;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::io;
pub use crate::io::{write_atomically, write_bytes, write_keeping_previous, write_output};
pub use journal::{EpochRecord, read_metrics, write_metrics};
pub use lineage::{
    LearnedClip, Lineage, kind_of, parse_lineage, print_lineage, read_lineage, write_lineage,
};
pub use lock::RunLock;
pub use output::{Outputs, beginning};
pub use tables::{
    ClipPrediction, SavedPredictions, parse_split, print_split, read_predictions, read_skipped,
    read_split, write_confusion, write_predictions, write_skipped, write_split,
};
pub use tensorboard::EventFile;

/// A run folder and the places of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    folder: PathBuf,
}

impl RunFolder {
    /// Refuses a name that no new run below `runs` can have. A run that is there is never touched.
    pub fn check_free(runs: &Path, name: &str) -> Result<()> {
        RunFolder::check_name(name)?;
        let folder = runs.join(name);
        if folder.exists() {
            return Err(taken(&folder, name));
        }
        Ok(())
    }

    /// Refuses a name that would not be a folder of its own below the runs.
    pub fn check_name(name: &str) -> Result<()> {
        if !io::is_file_name(name) {
            bail!(
                "'{}' cannot name a run: take letters, digits, '-' and '_' (--runs-dir chooses \
                 the folder that holds the runs)",
                name.escape_debug()
            );
        }
        Ok(())
    }

    /// The folder that another process makes and writes to.
    pub fn of_another_process(runs: &Path, name: &str) -> RunFolder {
        RunFolder {
            folder: runs.join(name),
        }
    }

    /// Makes the folder of a new run below `runs`, locked, with what `fill` puts into it. The folder
    /// has its name once it is filled, so that a run is whole or not there.
    pub fn create(
        runs: &Path,
        name: &str,
        fill: impl FnOnce(&RunFolder) -> Result<()>,
    ) -> Result<(RunFolder, RunLock)> {
        RunFolder::check_free(runs, name)?;
        create_as(runs, name, 1, fill)
    }

    /// Makes the folder of a new run under the first name of `base`, `base-2`, `base-3` … that is free,
    /// also if other processes do the same at this moment.
    pub fn create_numbered(
        runs: &Path,
        base: &str,
        fill: impl FnOnce(&RunFolder) -> Result<()>,
    ) -> Result<(RunFolder, RunLock)> {
        RunFolder::check_name(base)?;
        create_as(runs, base, u32::MAX, fill)
    }

    /// Removes the results of an earlier end: the training goes on, and they would be of other weights.
    pub fn forget_results(&self) -> Result<()> {
        let results = [
            self.predictions_csv(),
            self.report_txt(),
            self.report_json(),
            self.confusion_csv(),
            self.confusion_png(),
            self.reliability_png(),
            self.recall_png(),
            self.report_html(),
        ];
        for file in results {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Puts a `last.ot` that cannot be read out of the way of `previous.ot`.
    pub fn set_aside_last(&self) -> Result<()> {
        if self.last_ot().exists() {
            fs::rename(self.last_ot(), self.broken_ot())
                .with_context(|| format!("cannot rename {}", self.last_ot().display()))?;
        }
        Ok(())
    }

    /// Keeps other processes from training in this folder, and clears away what a killed one was
    /// writing.
    pub fn lock(&self) -> Result<RunLock> {
        let lock = RunLock::take(&self.folder)?;
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(io::TEMPORARY) {
                // It does no harm if it stays.
                let _ = io::remove_if_abandoned(&entry.path());
            }
        }
        Ok(lock)
    }

    /// The run of this name below `runs`, or the run whose folder this is.
    pub fn open(runs: &Path, run: &str) -> Result<RunFolder> {
        let candidates = [PathBuf::from(run), runs.join(run)];
        for folder in &candidates {
            if let Some(run) = RunFolder::at(folder) {
                return Ok(run);
            }
        }
        if let Some(folder) = candidates.iter().find(|folder| folder.is_dir()) {
            let what = [
                (
                    "cross-validation.toml",
                    "a cross-validation; its runs are the folders in it",
                ),
                (
                    "grid.toml",
                    "a sweep; `emovox collect FILE` tells of it, and its runs lie in it",
                ),
                (
                    "cross-corpus.toml",
                    "a cross-corpus matrix; its runs are the folders in it",
                ),
            ];
            let what = what
                .iter()
                .find(|(file, _)| folder.join(file).is_file())
                .map_or("it has no config.toml".into(), |(_, what)| {
                    format!("it is {what}")
                });
            bail!("{} is no run folder: {what}", folder.display());
        }
        if candidates[0].is_file() {
            bail!("{run} is a file, and this needs the folder of a run");
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

    /// The run's name: that of its folder.
    pub fn name(&self) -> String {
        let absolute = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        absolute
            .file_name()
            .unwrap_or(absolute.as_os_str())
            .to_string_lossy()
            .into_owned()
    }

    /// The run in this folder, if it is one.
    pub fn at(folder: &Path) -> Option<RunFolder> {
        let run = RunFolder {
            folder: folder.into(),
        };
        run.config_toml().is_file().then_some(run)
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
    /// Recordings that were left out.
    pub fn skipped_csv(&self) -> PathBuf {
        self.folder.join("skipped.csv")
    }
    /// The recordings behind the weights that the training started from, where it was given some.
    pub fn ancestors_csv(&self) -> PathBuf {
        self.folder.join("ancestors.csv")
    }
    /// The weights that the training started from, where it was given some.
    pub fn init_ot(&self) -> PathBuf {
        self.folder.join("init.ot")
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
    /// The one that was saved before it.
    pub fn previous_ot(&self) -> PathBuf {
        self.folder.join("previous.ot")
    }
    /// A `last.ot` that could not be read, set aside.
    pub fn broken_ot(&self) -> PathBuf {
        self.folder.join("broken.ot")
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
    /// Recall class by class and speaker by speaker.
    pub fn recall_png(&self) -> PathBuf {
        self.folder.join("recall.png")
    }
    /// All of it for a browser.
    pub fn report_html(&self) -> PathBuf {
        self.folder.join("report.html")
    }
    /// The curves for TensorBoard.
    pub fn events(&self) -> PathBuf {
        self.folder.join("events.out.tfevents.emovox")
    }
    /// The reliability diagram of the test part.
    pub fn reliability_png(&self) -> PathBuf {
        self.folder.join("reliability.png")
    }
}

/// Files by which the folder of a run, and of many runs, is told from others.
const MARKS: [&[&str]; 4] = [
    &["config.toml", "split.csv"],
    &["cross-validation.toml"],
    &["grid.toml", "grid.json"],
    &["cross-corpus.toml"],
];

/// Files that emovox itself writes into such a folder, and no output of the user's may replace.
const OWN: [&str; 31] = [
    "config.toml",
    "split.csv",
    "skipped.csv",
    "ancestors.csv",
    "init.ot",
    "last.ot",
    "previous.ot",
    "broken.ot",
    "metrics.csv",
    "best.ot",
    "predictions.csv",
    "report.txt",
    "report.json",
    "confusion.csv",
    "curves.png",
    "confusion.png",
    "recall.png",
    "reliability.png",
    "events.out.tfevents.emovox",
    "cross-validation.toml",
    "folds.csv",
    "speakers.csv",
    "grid.toml",
    "grid.txt",
    "grid.json",
    "grid.png",
    "settings.csv",
    "cells.csv",
    "cross-corpus.toml",
    "pairs.csv",
    "matrix.png",
];

/// True for a file of a run, a cross-validation, a sweep or a matrix of corpora, whether it is there or
/// not.
fn is_own_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let has_all = |mark: &&[&str]| mark.iter().all(|file| folder.join(file).is_file());
    OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) && MARKS.iter().any(has_all)
}

/// What a run's folder is called until everything that belongs to a new run is in it.
const UNFINISHED: &str = ".making-";

/// The error for a name that an existing folder has.
fn taken(folder: &Path, name: &str) -> anyhow::Error {
    anyhow!(
        "{} exists, and no run is ever overwritten; go on with it by --resume {name}, or choose another \
         name with --run",
        folder.display()
    )
}

/// Makes and fills the folder of a new run, under the first free name of `name`, `name-2` … `name-LAST`.
fn create_as(
    runs: &Path,
    name: &str,
    last: u32,
    fill: impl FnOnce(&RunFolder) -> Result<()>,
) -> Result<(RunFolder, RunLock)> {
    let place = || {
        format!(
            "cannot make {}; --runs-dir chooses another place",
            runs.join(name).display()
        )
    };
    fs::create_dir_all(runs).with_context(place)?;
    remove_unfinished(runs);
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    let temporary = builder
        .prefix(UNFINISHED)
        .tempdir_in(runs)
        .with_context(place)?;
    let unfinished = RunFolder {
        folder: temporary.path().into(),
    };
    let lock = unfinished.lock()?;
    fill(&unfinished)?;
    let folders = (1..=last).map(|number| match number {
        1 => runs.join(name),
        _ => runs.join(format!("{name}-{number}")),
    });
    for folder in folders.filter(|folder| !folder.exists()) {
        match fs::rename(temporary.path(), &folder) {
            // Another process has just made a run of this name.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
                ) =>
            {
                continue;
            }
            renamed => renamed.with_context(place)?,
        }
        #[cfg(unix)]
        fs::File::open(runs)
            .and_then(|runs| runs.sync_all())
            .with_context(place)?;
        // It is not there any more under its temporary name.
        let _ = temporary.keep();
        return Ok((RunFolder { folder }, lock));
    }
    Err(taken(&runs.join(name), name))
}

/// Removes folders that killed processes left unfinished. Making one takes far less than an hour.
fn remove_unfinished(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|modified| modified.elapsed().ok());
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && age.is_some_and(|age| age > Duration::from_secs(3600))
            && !entry.path().join("last.ot").exists()
        {
            // They do no harm if they stay.
            let _ = fs::remove_dir_all(entry.path());
        }
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
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(runs: &Path, name: &str) -> Result<(RunFolder, RunLock)> {
        RunFolder::create(runs, name, |run| Ok(fs::write(run.config_toml(), "")?))
    }

    #[test]
    fn every_file_of_a_run_is_its_own() {
        let run = RunFolder::of_another_process(Path::new("runs"), "mine");
        let files = [
            run.config_toml(),
            run.split_csv(),
            run.skipped_csv(),
            run.ancestors_csv(),
            run.init_ot(),
            run.metrics_csv(),
            run.best_ot(),
            run.last_ot(),
            run.previous_ot(),
            run.broken_ot(),
            run.predictions_csv(),
            run.report_txt(),
            run.report_json(),
            run.confusion_csv(),
            run.curves_png(),
            run.confusion_png(),
            run.recall_png(),
            run.reliability_png(),
            run.events(),
        ];
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(OWN.contains(&name), "{name}");
        }
    }

    #[test]
    fn an_existing_run_is_never_overwritten() {
        let runs = tempfile::tempdir().unwrap();
        create(runs.path(), "mine").unwrap();
        let error = create(runs.path(), "mine").unwrap_err().to_string();
        assert!(error.contains("--resume mine"), "{error}");
    }

    #[test]
    fn runs_that_begin_at_once_under_one_name_are_numbered() {
        let runs = tempfile::tempdir().unwrap();
        let begin = |thread: usize| {
            let (run, lock) = RunFolder::create_numbered(runs.path(), "mine", |run| {
                Ok(fs::write(run.config_toml(), thread.to_string())?)
            })
            .unwrap();
            assert!(run.lock().is_err(), "the lock is its own");
            drop(lock);
            let own = fs::read_to_string(run.config_toml()).unwrap();
            assert_eq!(own, thread.to_string());
            run.name()
        };
        let mut names: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| scope.spawn(move || begin(thread)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        names.sort();
        let mut wanted: Vec<String> = (2..=8).map(|number| format!("mine-{number}")).collect();
        wanted.insert(0, "mine".into());
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_name_that_was_given_is_not_numbered() {
        let runs = tempfile::tempdir().unwrap();
        let begin = || create(runs.path(), "mine");
        let begun: Vec<Result<_>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let (made, refused): (Vec<_>, Vec<_>) = begun.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        for error in refused {
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("mine exists, and no run is ever overwritten"),
                "{error}"
            );
        }
        assert_eq!(fs::read_dir(runs.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_run_that_cannot_be_filled_is_not_there() {
        let runs = tempfile::tempdir().unwrap();
        let failed = RunFolder::create(runs.path(), "mine", |run| {
            fs::write(run.split_csv(), "")?;
            bail!("the disk is full")
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read_dir(runs.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_process_at_a_time() {
        let runs = tempfile::tempdir().unwrap();
        let (run, lock) = create(runs.path(), "mine").unwrap();
        let error = run.lock().unwrap_err().to_string();
        let process = std::process::id().to_string();
        assert!(
            error.contains("mine is being trained") && error.contains(&process),
            "{error}"
        );
        drop(lock);
        fs::write(run.path().join(".writing-x"), "half").unwrap();
        let _lock = run.lock().unwrap();
        assert!(!run.path().join(".writing-x").exists());
    }

    #[test]
    fn a_name_stays_below_the_runs() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["", "..", "../x", "a/b", ".hidden"] {
            assert!(create(runs.path(), name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_unknown_run_is_answered_with_those_there_are() {
        let runs = tempfile::tempdir().unwrap();
        let error = RunFolder::open(runs.path(), "x").unwrap_err().to_string();
        assert!(error.contains("`emovox train` makes one"), "{error}");
        create(runs.path(), "mine").unwrap();
        let error = RunFolder::open(runs.path(), "x").unwrap_err().to_string();
        assert!(error.contains("are mine"), "{error}");
        assert_eq!(RunFolder::open(runs.path(), "mine").unwrap().name(), "mine");
    }
}
