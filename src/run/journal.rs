//! `metrics.csv`: one line an epoch, on the disk as soon as the epoch is over.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::write_atomically;

/// One epoch. Losses are means per clip, accuracies and UAR fractions of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// What was minimised, as the epoch went on: with dropout and augmentation, against targets
    /// that are mixed and smoothed. So it may lie above the validation loss, which is plain.
    pub train_loss: f64,
    /// As `train_loss`, while the epoch goes on.
    pub train_accuracy: f64,
    /// Plain cross-entropy at the end of the epoch, clips as they are.
    pub validation_loss: f64,
    /// At the end of the epoch.
    pub validation_accuracy: f64,
    /// Unweighted average recall; the best epoch has the highest.
    pub validation_uar: f64,
    /// At the epoch's last step.
    pub learning_rate: f64,
    /// How long the epoch took, validation included.
    pub seconds: f64,
}

impl EpochRecord {
    /// The epoch whose weights are in `best.ot`.
    pub fn best(epochs: &[EpochRecord]) -> Option<usize> {
        let figures = |record: &EpochRecord| (record.validation_uar, record.validation_loss);
        let mut best: Option<&EpochRecord> = None;
        for record in epochs {
            if best.is_none_or(|best| is_better(figures(record), figures(best))) {
                best = Some(record);
            }
        }
        best.map(|record| record.epoch)
    }
}

/// Whether validation UAR and loss beat others: a higher UAR, or the same with a lower loss (a small
/// validation part gives the same UAR often).
pub fn is_better((uar, loss): (f64, f64), (best_uar, best_loss): (f64, f64)) -> bool {
    uar > best_uar || (uar == best_uar && loss < best_loss)
}

/// The open journal of a run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// Opens the journal of a run that has finished `epochs` epochs (0 for a new one). Lines
    /// beyond that belong to an epoch that was never saved; it is trained again, so they go.
    pub fn open(path: &Path, epochs: usize) -> Result<Journal> {
        let records = if epochs > 0 {
            read_first(path, epochs)?
        } else {
            Vec::new()
        };
        write_atomically(path, |file| {
            let mut writer = csv::WriterBuilder::new()
                .has_headers(false)
                .from_writer(file);
            writer.write_record([
                "epoch",
                "train_loss",
                "train_accuracy",
                "validation_loss",
                "validation_accuracy",
                "validation_uar",
                "learning_rate",
                "seconds",
            ])?;
            for record in &records {
                writer.serialize(record)?;
            }
            Ok(writer.flush()?)
        })?;
        Ok(Journal { path: path.into() })
    }

    /// Adds an epoch.
    pub fn append(&self, record: &EpochRecord) -> Result<()> {
        let place = || format!("cannot write {}", self.path.display());
        let mut line = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        line.serialize(record)?;
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .with_context(place)?;
        // One write, so that a kill leaves a whole line or none.
        std::io::Write::write_all(&mut file, &line.into_inner()?).with_context(place)?;
        file.sync_data().with_context(place)
    }

    /// All epochs of a journal.
    pub fn read(path: &Path) -> Result<Vec<EpochRecord>> {
        read_first(path, usize::MAX)
    }
}

/// The first `epochs` lines; those behind are not even looked at, so they may be broken.
fn read_first(path: &Path, epochs: usize) -> Result<Vec<EpochRecord>> {
    let place = || format!("cannot read {}", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(place)?;
    reader
        .deserialize()
        .take(epochs)
        .collect::<Result<_, _>>()
        .with_context(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: usize) -> EpochRecord {
        EpochRecord {
            epoch,
            train_loss: 1.5,
            train_accuracy: 0.25,
            validation_loss: f64::NAN,
            validation_accuracy: 0.5,
            validation_uar: 1.0 / 3.0,
            learning_rate: 1e-3,
            seconds: 0.125,
        }
    }

    #[test]
    fn epochs_come_back_and_lost_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let journal = Journal::open(&path, 0).unwrap();
        for epoch in 1..=3 {
            journal.append(&record(epoch)).unwrap();
        }
        let read = Journal::read(&path).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read[2].validation_uar, 1.0 / 3.0);
        assert!(read[2].validation_loss.is_nan());

        let journal = Journal::open(&path, 2).unwrap();
        journal.append(&record(3)).unwrap();
        let epochs: Vec<usize> = Journal::read(&path)
            .unwrap()
            .iter()
            .map(|r| r.epoch)
            .collect();
        assert_eq!(epochs, [1, 2, 3]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(
            "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,validation_uar,learning_rate,seconds\n"
        ));
    }
}
