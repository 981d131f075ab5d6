//! Writers of scores and pictures into a run folder.

use anyhow::Result;

use super::scores::{joined_notes, scored_set};
use super::{Curves, Report, confusion_png, curves_png, recall_png, reliability_png};
use crate::corpus::Clip;
use crate::evaluation::EpochMetrics;
use crate::evaluation::Predictions;
use crate::io::write_bytes;
use crate::run::{ClipPrediction, RunFolder, write_confusion, write_predictions};

/// Writes `predictions.csv`, `report.txt`, `report.json`, `reliability.png`, `recall.png`,
/// `confusion.csv` and finally `confusion.png`. `clips` are the clips of the predictions, in the
/// same order.
///
/// # Errors
/// If a file cannot be written.
pub fn write_results(
    run: &RunFolder,
    report: &Report,
    clips: &[&Clip],
    predictions: &Predictions,
) -> Result<()> {
    let rows = clips
        .iter()
        .zip(predictions.predicted())
        .zip(&predictions.probabilities);
    let rows: Vec<ClipPrediction> = rows
        .map(|((clip, class), probabilities)| ClipPrediction {
            clip,
            prediction: &predictions.classes[class],
            probabilities,
        })
        .collect();
    write_predictions(&run.predictions_csv(), &predictions.classes, &rows)?;
    write_bytes(&run.report_txt(), report.text().as_bytes())?;
    write_bytes(&run.report_json(), report.json()?.as_bytes())?;
    write_confusion(
        &run.confusion_csv(),
        &report.metrics.classes,
        &report.metrics.confusion,
    )?;
    let title = format!("{}: {}", report.run, scored_set(&report.subset));
    let note = report.note();
    let reliability = reliability_png(&report.calibration, &title, note.as_deref())?;
    write_bytes(&run.reliability_png(), &reliability)?;
    let speakers: Vec<String> = clips
        .iter()
        .map(|clip| clip.speaker_id().to_string())
        .collect();
    let speakers: Vec<&str> = speakers.iter().map(String::as_str).collect();
    let recall = recall_png(predictions, &speakers, &title, note.as_deref())?;
    write_bytes(&run.recall_png(), &recall)?;
    let confusion = confusion_png(&report.metrics, &title, note.as_deref())?;
    write_bytes(&run.confusion_png(), &confusion)
}

/// Writes `curves.png`, with a mark at the epoch `selected`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_curves(
    run: &RunFolder,
    epochs: &[EpochMetrics],
    selected: Option<&EpochMetrics>,
    notes: &[String],
) -> Result<()> {
    let curves = Curves {
        name: run.name(),
        epochs: epochs.to_vec(),
        kept_epoch: selected.map(|selected| selected.epoch),
        note: joined_notes(notes),
    };
    write_bytes(&run.curves_png(), &curves_png(&[curves])?)
}
