//! Checks before anything is trained: the recordings are those of the trainings that are there, and the
//! initial weights have not learned from what is going to be tested.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{Cell, CrossValidation, Plan, differing_settings};
use crate::config::DataConfig;
use crate::corpus::split::{Subset, split};
use crate::corpus::{Changes, Clip, Corpus};
use crate::leakage::{Comparison, lineage_of_weights, refuse_leak};
use crate::run::{RunFolder, read_skipped, read_split};

impl Plan {
    /// True where [`Plan::check`] needs the content of each recording.
    pub fn compares_contents(&self, folder: &Path) -> bool {
        self.config.training.init_weights.is_some() || !begun(folder, "").is_empty()
    }

    /// Refuses recordings that differ from those of a training below `folder`, and initial weights that
    /// have learned from a recording or a speaker that a fold tests.
    ///
    /// # Errors
    /// Names the recordings, and the folds.
    pub fn check(&self, folder: &Path, corpus: &Corpus) -> Result<()> {
        if let Some(run) = begun(folder, "").first()
            && self.goes_on(folder)?
        {
            check_recordings(run, &self.config.data, corpus)?;
        }
        self.check_weights(corpus)
    }

    /// True where the plan in a folder has the same settings. With others it is refused later, and their
    /// recordings may differ.
    fn goes_on(&self, folder: &Path) -> Result<bool> {
        let file = folder.join("cross-validation.toml");
        if !file.exists() {
            return Ok(false);
        }
        let begun = Plan::read(&file)?;
        let settings = differing_settings(&begun.config, &self.config)?;
        Ok(settings.is_empty() && begun.folds == self.folds)
    }

    fn check_weights(&self, corpus: &Corpus) -> Result<()> {
        let Some(weights) = &self.config.training.init_weights else {
            return Ok(());
        };
        let lineage = lineage_of_weights(weights)?;
        let mut all = Comparison::default();
        let mut folds = Vec::new();
        // The parts of a fold are the same with every seed.
        for cell in self.cells().into_iter().take(self.fold.len()) {
            let config = self.config_of(cell);
            let parts = split(&corpus.clips, &config.split, &corpus.given)?;
            let test = parts.indices(Subset::Test);
            let test: Vec<&Clip> = test.iter().map(|&index| &corpus.clips[index]).collect();
            let known = Comparison::of(&lineage, &config.data, test);
            if known.is_leak() && !folds.contains(&cell.fold.name) {
                folds.push(cell.fold.name.clone());
            }
            all.merge(known);
        }
        refuse_leak(&all, &self.config).with_context(|| match folds.as_slice() {
            [only] if only.is_empty() => "the test part".to_string(),
            folds => format!("{} of {} folds", folds.len(), self.fold.len()),
        })
    }
}

/// Refuses recordings that are not those of a training that is there.
pub(crate) fn check_recordings(run: &RunFolder, data: &DataConfig, corpus: &Corpus) -> Result<()> {
    let (clips, _) = read_split(&run.split_csv(), &data.sources)?;
    let unreadable = read_skipped(&run.skipped_csv())?;
    let mut changes = Changes::between(&clips, &corpus.clips);
    changes
        .new
        .retain(|file| !unreadable.iter().any(|skipped| skipped.file == *file));
    ensure!(
        changes.is_empty(),
        "the recordings are not those that {} was trained on: {changes}. Scores on different \
         recordings are not pooled: put the recordings back as they were, or choose another name",
        run.path().display()
    );
    Ok(())
}

/// Refuses to put scores together that are of different recordings.
pub(crate) fn refuse_pooling(
    run: &Path,
    recordings: &[Clip],
    other: &Path,
    theirs: &[Clip],
) -> Result<()> {
    let changes = Changes::between(recordings, theirs);
    ensure!(
        changes.is_empty(),
        "{} was trained on other recordings than {}: {changes}. Scores on different recordings are not \
         pooled: remove the folder of the one whose recordings are not meant, and train it again",
        other.display(),
        run.display()
    );
    Ok(())
}

/// The trainings in a folder whose names begin so.
pub(crate) fn begun(folder: &Path, beginning: &str) -> Vec<RunFolder> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(beginning) && !name.starts_with('.')
    });
    let mut folders: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    folders.sort();
    let runs = folders.iter().filter_map(|folder| RunFolder::at(folder));
    runs.filter(|run| run.split_csv().is_file()).collect()
}

impl CrossValidation {
    /// Refuses to put scores together that are of different recordings. Gives the number of trainings
    /// whose recordings could not be compared, since a version without content hashes made them.
    ///
    /// # Errors
    /// Names the training and the recordings.
    pub(super) fn check_pooled(&self, cells: &[Cell]) -> Result<usize> {
        let Some((&first, others)) = cells.split_first() else {
            return Ok(0);
        };
        let recordings = self.recordings_of(first)?;
        let unknown = |clips: &[Clip]| clips.iter().any(|clip| clip.content.is_none());
        let mut not_compared = usize::from(unknown(&recordings));
        for &other in others {
            let theirs = self.recordings_of(other)?;
            not_compared += usize::from(unknown(&theirs));
            let runs = [first, other].map(|cell| self.run_of(cell));
            refuse_pooling(&runs[0], &recordings, &runs[1], &theirs)?;
        }
        Ok(not_compared)
    }

    /// The recordings of a training.
    pub(crate) fn recordings_of(&self, cell: Cell) -> Result<Vec<Clip>> {
        let split = self.run_of(cell).join("split.csv");
        Ok(read_split(&split, &self.plan.config.data.sources)?.0)
    }
}
