//! `metrics.csv`: one line per epoch, written at the end of each epoch.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::bounded;
use crate::evaluation::EpochMetrics;
use crate::io::write_atomically;

/// Writes `metrics.csv` atomically, with all epochs.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_metrics(path: &Path, epochs: &[EpochMetrics]) -> Result<()> {
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

/// Reads all epochs from `metrics.csv`.
///
/// # Errors
/// Fails if the file cannot be read, or if a line is not an [`EpochMetrics`].
pub fn read_metrics(path: &Path) -> Result<Vec<EpochMetrics>> {
    let context = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(context)?;
    // Before the first epoch it has its header.
    ensure!(
        !text.is_empty(),
        "{} is empty: it was damaged",
        path.display()
    );
    let mut reader = csv::Reader::from_reader(&text[..]);
    reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(context)
}

/// The header of `metrics.csv`, which is also written if there is no epoch yet.
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

    fn record(epoch: usize) -> EpochMetrics {
        EpochMetrics {
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
    fn epochs_are_read_back_bit_for_bit() {
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
