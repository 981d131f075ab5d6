//! The run folder: the names and formats of its files. No other module knows them.
//!
//! ```text
//! runs/NAME/
//!   config.toml      every setting; together with the weights enough to predict or resume
//!   split.csv        clip, corpus (if several), speaker, label, label of the corpus, subset, hash
//!   skipped.csv      recordings that were left out, with the reason
//!   ancestors.csv    training recordings of the initial weights (only with --init-weights)
//!   init.ot          the initial weights (only with --init-weights)
//!   last.ot          the whole state of the training, from which it resumes
//!   previous.ot      the state that was saved before last.ot
//!   broken.ot        a last.ot that could not be read, renamed
//!   metrics.csv      one line per epoch
//!   best.ot          the weights with the best validation score
//!   predictions.csv  predictions for every test clip
//!   report.txt       the scores of the test subset, for people
//!   report.json      the same, for programs
//!   confusion.csv    the confusion matrix as counts
//!   curves.png       accuracy and loss over the epochs
//!   confusion.png    the confusion matrix, as counts and fractions
//!   recall.png       recall by class and by speaker, with intervals
//!   reliability.png  accuracy by predicted probability
//!   stress.csv       scores of disturbed clips (only after `emovox stress`, like the next three)
//!   stress-groups.csv  scores of the sexes, languages and corpora
//!   stress.json      the same, for programs
//!   stress.png       change of the UAR by each disturbance
//!   report.html      all of it for a browser (only after `emovox report`)
//!   events.out.tfevents.emovox  the curves for TensorBoard (only with --tensorboard)
//! ```
//!
//! If clips are segments of files, the tables of clips have two more columns at the end: start and end
//! in seconds.
//!
//! During a training, `last.ot` is authoritative: `metrics.csv` and `best.ot` are written after it
//! and from it, and a resumed training writes them again. The hidden files are the lock (`.lock`)
//! and temporary files (`.writing-…`).

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

use crate::escape::shell_word;
use crate::io;

pub use journal::{read_metrics, write_metrics};
pub use lineage::{
    LearnedClip, Lineage, kind_of, parse_lineage, print_lineage, read_lineage, write_lineage,
};
pub use lock::RunLock;
pub use output::{Outputs, beginning};
pub use tables::{
    ClipPrediction, PredictionsByTraining, SavedPredictions, parse_split, print_split,
    read_fold_predictions, read_predictions, read_skipped, read_split, read_test_predictions,
    write_confusion, write_predictions, write_skipped, write_split,
};
pub use tensorboard::EventFile;

/// A run folder and the paths of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    folder: PathBuf,
}

impl RunFolder {
    /// Checks that `name` can be the name of a new run below `runs`. An existing run is never
    /// overwritten.
    ///
    /// # Errors
    /// Fails if the name is not valid or not free.
    pub fn check_free(runs: &Path, name: &str) -> Result<()> {
        RunFolder::check_name(name)?;
        let folder = runs.join(name);
        if folder.exists() {
            return Err(name_in_use(&folder, name));
        }
        Ok(())
    }

    /// Checks that `name` is the name of a single visible folder.
    ///
    /// # Errors
    /// Fails if it is not.
    pub fn check_name(name: &str) -> Result<()> {
        if !io::is_file_name(name) {
            bail!(
                "'{}' cannot be the name of a run: {} (--runs-dir selects the folder that contains the \
                 runs)",
                name.escape_debug(),
                io::FILE_NAME_RULE
            );
        }
        Ok(())
    }

    /// Makes and locks the folder of a new run below `runs`, with the files that `fill` writes. The
    /// folder gets its name after `fill`, so that the run is either complete or does not exist.
    ///
    /// # Errors
    /// Fails if the name is not valid or not free, if the folder cannot be made, or if `fill`
    /// fails.
    pub fn create(
        runs: &Path,
        name: &str,
        fill: impl FnOnce(&RunFolder) -> Result<()>,
    ) -> Result<(RunFolder, RunLock)> {
        RunFolder::check_free(runs, name)?;
        create_as(runs, name, 1, fill)
    }

    /// Like [`RunFolder::create`], with the first free name of `base`, `base-2`, `base-3` …, also
    /// if other processes do the same at this moment.
    ///
    /// # Errors
    /// Fails if the name is not valid, if the folder cannot be made, or if `fill` fails.
    pub fn create_numbered(
        runs: &Path,
        base: &str,
        fill: impl FnOnce(&RunFolder) -> Result<()>,
    ) -> Result<(RunFolder, RunLock)> {
        RunFolder::check_name(base)?;
        create_as(runs, base, u32::MAX, fill)
    }

    /// Removes the results of an earlier training end. A training that continues has other weights.
    ///
    /// # Errors
    /// Fails if a file cannot be removed.
    pub fn forget_results(&self) -> Result<()> {
        let stress = SCORED.map(|subset| self.stress_files(subset));
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
        let results = results.iter().map(PathBuf::as_path);
        for file in results.chain(stress.iter().flat_map(StressFiles::all)) {
            match fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Renames a `last.ot` that cannot be read to `broken.ot`, so that `previous.ot` stays.
    ///
    /// # Errors
    /// Fails if the file cannot be renamed.
    pub fn set_aside_last(&self) -> Result<()> {
        if self.last_ot().exists() {
            fs::rename(self.last_ot(), self.broken_ot())
                .with_context(|| format!("cannot rename {}", self.last_ot().display()))?;
        }
        Ok(())
    }

    /// Locks the folder for the training of this process, and removes the temporary files of killed
    /// processes.
    ///
    /// # Errors
    /// Fails if another process trains in this folder.
    pub fn lock(&self) -> Result<RunLock> {
        let lock = RunLock::take(&self.folder)?;
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(io::TEMPORARY) {
                // A file that stays does no harm.
                let _ = io::remove_if_abandoned(&entry.path());
            }
        }
        Ok(lock)
    }

    /// Opens a run by its folder, or by its name below `runs`.
    ///
    /// # Errors
    /// Fails if there is no such run; the message lists the runs below `runs`.
    pub fn open(runs: &Path, run: &str) -> Result<RunFolder> {
        let candidates = [PathBuf::from(run), runs.join(run)];
        for folder in &candidates {
            if let Some(run) = RunFolder::at(folder) {
                return Ok(run);
            }
        }
        if let Some(folder) = candidates.iter().find(|folder| folder.is_dir()) {
            let reason = study(folder).map_or("it has no config.toml".into(), |(kind, advice)| {
                format!("it is {kind}; {advice}")
            });
            bail!("{} is not a run folder: {reason}", folder.display());
        }
        if candidates[0].is_file() {
            bail!("{run} is a file; this command needs the folder of a run");
        }
        let names = names(runs);
        let known = match names.as_slice() {
            [] => format!(
                "there are no runs in {} yet; `emovox train` makes one",
                runs.display()
            ),
            _ => format!("the runs in {} are {}", runs.display(), names.join(", ")),
        };
        bail!("there is no run '{run}'; {known}")
    }

    /// The name of the run, which is the name of its folder.
    pub fn name(&self) -> String {
        let absolute = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        absolute
            .file_name()
            .unwrap_or(absolute.as_os_str())
            .to_string_lossy()
            .into_owned()
    }

    /// The run in `folder`, or `None` if it is not a run folder.
    pub fn at(folder: &Path) -> Option<RunFolder> {
        let run = RunFolder::in_folder(folder);
        run.config_toml().is_file().then_some(run)
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The paths of a run's files in any folder. It need not exist, and a study has only some of
    /// the files.
    pub fn in_folder(folder: &Path) -> RunFolder {
        RunFolder {
            folder: folder.into(),
        }
    }

    /// Path of the settings.
    pub fn config_toml(&self) -> PathBuf {
        self.folder.join("config.toml")
    }
    /// Path of the table of clips with their subsets.
    pub fn split_csv(&self) -> PathBuf {
        self.folder.join("split.csv")
    }
    /// Path of the table of recordings that were left out.
    pub fn skipped_csv(&self) -> PathBuf {
        self.folder.join("skipped.csv")
    }
    /// Path of the lineage of the initial weights; only runs with `--init-weights` have the file.
    pub fn ancestors_csv(&self) -> PathBuf {
        self.folder.join("ancestors.csv")
    }
    /// Path of the initial weights; only runs with `--init-weights` have the file.
    pub fn init_ot(&self) -> PathBuf {
        self.folder.join("init.ot")
    }
    /// Path of the metrics, one line per epoch.
    pub fn metrics_csv(&self) -> PathBuf {
        self.folder.join("metrics.csv")
    }
    /// Path of the weights with the best validation score.
    pub fn best_ot(&self) -> PathBuf {
        self.folder.join("best.ot")
    }
    /// Path of the checkpoint that a training resumes from.
    pub fn last_ot(&self) -> PathBuf {
        self.folder.join("last.ot")
    }
    /// Path of the checkpoint that was saved before `last.ot`.
    pub fn previous_ot(&self) -> PathBuf {
        self.folder.join("previous.ot")
    }
    /// Path of a `last.ot` that could not be read.
    pub fn broken_ot(&self) -> PathBuf {
        self.folder.join("broken.ot")
    }
    /// Path of the predictions for every test clip.
    pub fn predictions_csv(&self) -> PathBuf {
        self.folder.join("predictions.csv")
    }
    /// Path of the scores of the test subset, for people.
    pub fn report_txt(&self) -> PathBuf {
        self.folder.join("report.txt")
    }
    /// Path of the scores of the test subset, for programs.
    pub fn report_json(&self) -> PathBuf {
        self.folder.join("report.json")
    }
    /// Path of the confusion matrix as counts.
    pub fn confusion_csv(&self) -> PathBuf {
        self.folder.join("confusion.csv")
    }
    /// Path of the picture of accuracy and loss over the epochs.
    pub fn curves_png(&self) -> PathBuf {
        self.folder.join("curves.png")
    }
    /// Path of the picture of the confusion matrix.
    pub fn confusion_png(&self) -> PathBuf {
        self.folder.join("confusion.png")
    }
    /// Path of the picture of the recall by class and by speaker.
    pub fn recall_png(&self) -> PathBuf {
        self.folder.join("recall.png")
    }
    /// Paths of the scores of the disturbed clips of a subset: `stress.csv` and so on for `test`,
    /// `stress-validation.csv` and so on for another one, so that the results of the test subset
    /// stay.
    pub fn stress_files(&self, subset: &str) -> StressFiles {
        let stem = match subset {
            "test" => "stress".to_string(),
            subset => format!("stress-{subset}"),
        };
        let file = |ending| self.folder.join(format!("{stem}.{ending}"));
        StressFiles {
            csv: file("csv"),
            groups_csv: self.folder.join(format!("{stem}-groups.csv")),
            json: file("json"),
            png: file("png"),
        }
    }
    /// Path of the scores of the disturbed clips of the test subset, for programs.
    pub fn stress_json(&self) -> PathBuf {
        self.stress_files("test").json
    }
    /// Path of the HTML report.
    pub fn report_html(&self) -> PathBuf {
        self.folder.join("report.html")
    }
    /// Path of the curves for TensorBoard.
    pub fn events(&self) -> PathBuf {
        self.folder.join("events.out.tfevents.emovox")
    }
    /// Path of the reliability diagram of the test subset.
    pub fn reliability_png(&self) -> PathBuf {
        self.folder.join("reliability.png")
    }
}

/// Name of the folder of a training within a study, for example `fold-1-seed-2`, or `seed-1` for a
/// study without folds.
pub fn trial_name(fold: &str, seed: u64) -> String {
    if fold.is_empty() {
        format!("seed-{seed}")
    } else {
        format!("fold-{fold}-seed-{seed}")
    }
}

/// Files of a stress test.
#[derive(Debug, Clone)]
pub struct StressFiles {
    /// The table of the scores.
    pub csv: PathBuf,
    /// The table of the groups of clips, such as the sexes.
    pub groups_csv: PathBuf,
    /// The scores for programs.
    pub json: PathBuf,
    /// The picture.
    pub png: PathBuf,
}

impl StressFiles {
    /// All of them, in this order.
    pub fn all(&self) -> [&Path; 4] {
        [&self.csv, &self.groups_csv, &self.json, &self.png].map(PathBuf::as_path)
    }
}

/// Sets of a run's own recordings that a stress test can score.
const SCORED: [&str; 4] = ["test", "validation", "train", "all"];

/// Files that identify the folder of a run, a cross-validation, a sweep or a cross-corpus matrix.
const MARKS: [&[&str]; 4] = [
    &["config.toml", "split.csv"],
    &["cross-validation.toml"],
    &["grid.toml", "grid.json"],
    &["cross-corpus.toml"],
];

/// Files that emovox writes into such a folder. An output of the user must not replace them.
const OWN: [&str; 47] = [
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
    "stress.csv",
    "stress-groups.csv",
    "stress.json",
    "stress.png",
    "stress-validation.csv",
    "stress-validation-groups.csv",
    "stress-validation.json",
    "stress-validation.png",
    "stress-train.csv",
    "stress-train-groups.csv",
    "stress-train.json",
    "stress-train.png",
    "stress-all.csv",
    "stress-all-groups.csv",
    "stress-all.json",
    "stress-all.png",
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

/// True for the path of a file of a run, a cross-validation, a sweep or a cross-corpus matrix. The
/// file does not need to exist.
fn is_own_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let has_all = |mark: &&[&str]| mark.iter().all(|file| folder.join(file).is_file());
    OWN.iter().any(|file| name.eq_ignore_ascii_case(file)) && MARKS.iter().any(has_all)
}

/// Prefix of the name of a new run folder until it is complete.
const UNFINISHED: &str = ".making-";

/// The error for a name that is not free.
fn name_in_use(folder: &Path, name: &str) -> anyhow::Error {
    let advice = if RunFolder::at(folder).is_some() {
        let name = shell_word(name);
        format!(
            "exists, and no run is ever overwritten; continue it with --resume {name}, or choose another \
             name with --run"
        )
    } else if let Some((kind, _)) = study(folder) {
        format!("is {kind}, not a run; choose another name with --run")
    } else {
        "exists and is not a run; choose another name with --run".to_string()
    };
    anyhow!("{} {advice}", folder.display())
}

/// Names of runs, given with their folders, for a picture or a table with all of them. If several have the
/// same name, the name of the folder that they are in is put before it.
pub fn distinct_names(runs: &[(&str, &Path)]) -> Vec<String> {
    let named = |&(name, folder): &(&str, &Path)| {
        let is_repeated = runs.iter().filter(|(other, _)| *other == name).count() > 1;
        let parent = folder.parent().and_then(Path::file_name);
        match parent.filter(|_| is_repeated) {
            Some(parent) => format!("{}/{name}", parent.to_string_lossy()),
            None => name.to_string(),
        }
    };
    runs.iter().map(named).collect()
}

/// The study in a folder that contains several runs, and the way to use its results. `None` for
/// other folders.
fn study(folder: &Path) -> Option<(&'static str, &'static str)> {
    let studies = [
        (
            "cross-validation.toml",
            "a cross-validation",
            "its runs are the folders in it",
        ),
        (
            "grid.toml",
            "a sweep",
            "its runs are the folders in it, and `emovox collect FILE` summarises them",
        ),
        (
            "cross-corpus.toml",
            "a cross-corpus matrix",
            "its runs are the folders in it",
        ),
    ];
    let found = studies
        .into_iter()
        .find(|(file, ..)| folder.join(file).is_file());
    found.map(|(_, kind, advice)| (kind, advice))
}

/// Makes and fills the folder of a new run, with the first free name of `name`, `name-2` … up to
/// number `last`.
fn create_as(
    runs: &Path,
    name: &str,
    last: u32,
    fill: impl FnOnce(&RunFolder) -> Result<()>,
) -> Result<(RunFolder, RunLock)> {
    let context = || {
        format!(
            "cannot make {}; --runs-dir selects another folder",
            runs.join(name).display()
        )
    };
    fs::create_dir_all(runs).with_context(context)?;
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
        .with_context(context)?;
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
            renamed => renamed.with_context(context)?,
        }
        #[cfg(unix)]
        fs::File::open(runs)
            .and_then(|runs| runs.sync_all())
            .with_context(context)?;
        // The folder has no temporary name any more, so it must not be removed.
        let _ = temporary.keep();
        return Ok((RunFolder { folder }, lock));
    }
    Err(name_in_use(&runs.join(name), name))
}

/// Removes the unfinished folders of killed processes: those older than an hour, since making one
/// takes far less.
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
            // A folder that stays does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The names of the runs below a folder, sorted.
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
    fn runs_with_the_same_name_are_told_apart_by_their_folders() {
        let runs = [
            ("fold-1", Path::new("runs/a/fold-1")),
            ("other", Path::new("runs/other")),
            ("fold-1", Path::new("runs/b/fold-1")),
        ];
        assert_eq!(distinct_names(&runs), ["a/fold-1", "other", "b/fold-1"]);
    }

    #[test]
    fn every_file_of_a_run_is_listed() {
        let run = RunFolder::in_folder(Path::new("runs/mine"));
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
        let stress = SCORED.map(|subset| run.stress_files(subset));
        let stress = stress.map(|files| [files.csv, files.json, files.png]);
        for file in files.iter().chain(stress.as_flattened()) {
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
    fn a_study_is_not_resumed_as_a_run() {
        let runs = tempfile::tempdir().unwrap();
        fs::create_dir_all(runs.path().join("sizes")).unwrap();
        fs::write(runs.path().join("sizes/grid.toml"), "").unwrap();
        let error = create(runs.path(), "sizes").unwrap_err().to_string();
        assert!(
            error.contains("sizes is a sweep, not a run") && !error.contains("--resume"),
            "{error}"
        );
        fs::create_dir_all(runs.path().join("other")).unwrap();
        let error = create(runs.path(), "other").unwrap_err().to_string();
        assert!(
            error.contains("other exists and is not a run") && !error.contains("--resume"),
            "{error}"
        );
    }

    #[test]
    fn simultaneous_runs_with_one_name_are_numbered() {
        let runs = tempfile::tempdir().unwrap();
        let begin = |thread: usize| {
            let (run, lock) = RunFolder::create_numbered(runs.path(), "mine", |run| {
                Ok(fs::write(run.config_toml(), thread.to_string())?)
            })
            .unwrap();
            assert!(run.lock().is_err(), "the run is locked");
            drop(lock);
            let content = fs::read_to_string(run.config_toml()).unwrap();
            assert_eq!(content, thread.to_string());
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
        let mut expected: Vec<String> = (2..=8).map(|number| format!("mine-{number}")).collect();
        expected.insert(0, "mine".into());
        assert_eq!(names, expected);
    }

    #[test]
    fn a_given_name_is_not_numbered() {
        let runs = tempfile::tempdir().unwrap();
        let begin = || create(runs.path(), "mine");
        let results: Vec<Result<_>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let (made, rejected): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        for error in rejected {
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("mine exists, and no run is ever overwritten"),
                "{error}"
            );
        }
        assert_eq!(fs::read_dir(runs.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_run_that_cannot_be_filled_does_not_exist() {
        let runs = tempfile::tempdir().unwrap();
        let failed = RunFolder::create(runs.path(), "mine", |run| {
            fs::write(run.split_csv(), "")?;
            bail!("the disk is full")
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read_dir(runs.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_process_trains_at_a_time() {
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
    fn a_name_outside_the_runs_is_rejected() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["", "..", "../x", "a/b", ".hidden"] {
            assert!(create(runs.path(), name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_error_for_an_unknown_run_lists_the_known_ones() {
        let runs = tempfile::tempdir().unwrap();
        let error = RunFolder::open(runs.path(), "x").unwrap_err().to_string();
        assert!(error.contains("`emovox train` makes one"), "{error}");
        create(runs.path(), "mine").unwrap();
        let error = RunFolder::open(runs.path(), "x").unwrap_err().to_string();
        assert!(error.contains("are mine"), "{error}");
        assert_eq!(RunFolder::open(runs.path(), "mine").unwrap().name(), "mine");
    }
}
