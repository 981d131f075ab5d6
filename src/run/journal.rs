//! `metrics.csv`: one line an epoch, on the disk as soon as the epoch is over.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::write_atomically;
use crate::bounded;

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
    /// The best epoch: the one with the highest validation UAR, and of those the one with the lowest
    /// loss (a small validation part gives the same UAR often). Its weights are in `best.ot`.
    pub fn best(epochs: &[EpochRecord]) -> Option<&EpochRecord> {
        epochs.iter().reduce(|best, epoch| {
            let better = epoch.validation_uar > best.validation_uar
                || (epoch.validation_uar == best.validation_uar
                    && epoch.validation_loss < best.validation_loss);
            if better { epoch } else { best }
        })
    }
}

/// Writes all epochs, whole or not at all.
pub fn write_metrics(path: &Path, epochs: &[EpochRecord]) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(file);
        writer.write_record(COLUMNS)?;
        for epoch in epochs {
            writer.serialize(epoch)?;
        }
        Ok(writer.flush()?)
    })
}

/// Reads all epochs.
pub fn read_metrics(path: &Path) -> Result<Vec<EpochRecord>> {
    let place = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(place)?;
    let mut reader = csv::Reader::from_reader(&text[..]);
    reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(place)
}

/// Written even where there is no epoch yet.
const COLUMNS: [&str; 8] = [
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "validation_uar",
    "learning_rate",
    "seconds",
];

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
    fn epochs_come_back_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        write_metrics(&path, &[]).unwrap();
        assert!(read_metrics(&path).unwrap().is_empty());
        write_metrics(&path, &[record(1), record(2)]).unwrap();
        let read = read_metrics(&path).unwrap();
        assert_eq!((read.len(), read[1].epoch), (2, 2));
        assert_eq!(read[1].validation_uar, 1.0 / 3.0);
        assert!(read[1].validation_loss.is_nan());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(
            "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,validation_uar,learning_rate,seconds\n"
        ));
    }
}
