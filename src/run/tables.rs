//! The run's CSV tables: which clip is in which part, what was said of it, what was mixed up.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::write_atomically;
use crate::bounded;
use crate::corpus::split::Part;
use crate::corpus::{Clip, Skipped};
use crate::evaluation::Predictions;

/// A line of `split.csv`.
#[derive(Serialize, Deserialize)]
struct SplitLine {
    clip: String,
    speaker: String,
    label: String,
    /// Runs of before did not write it.
    #[serde(default)]
    corpus_label: String,
    part: Part,
}

/// Writes `split.csv`: each clip's place in the corpus folder, speaker, label, the corpus' own
/// word for it, and part.
pub fn write_split(path: &Path, clips: &[Clip], parts: &[Part]) -> Result<()> {
    write_atomically(path, |file| print_split(file, clips, parts))
}

/// What stands in `split.csv`.
pub fn print_split(out: impl Write, clips: &[Clip], parts: &[Part]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    for (clip, &part) in clips.iter().zip(parts) {
        writer.serialize(SplitLine {
            clip: clip.file.to_string_lossy().into_owned(),
            speaker: clip.speaker.clone(),
            label: clip.label.clone(),
            corpus_label: clip.corpus_label.clone(),
            part,
        })?;
    }
    Ok(writer.flush()?)
}

/// Reads `split.csv`. What is said in a clip is not written there, so it comes back empty.
pub fn read_split(path: &Path) -> Result<(Vec<Clip>, Vec<Part>)> {
    let place = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(place)?;
    parse_split(&text[..]).with_context(place)
}

/// The same from what [`print_split`] wrote.
pub fn parse_split(text: impl Read) -> Result<(Vec<Clip>, Vec<Part>)> {
    let mut reader = csv::Reader::from_reader(text);
    let mut clips = Vec::new();
    let mut parts = Vec::new();
    for line in reader.deserialize() {
        let line: SplitLine = line?;
        clips.push(Clip {
            file: line.clip.into(),
            label: line.label,
            corpus_label: line.corpus_label,
            speaker: line.speaker,
            sentence: String::new(),
        });
        parts.push(line.part);
    }
    Ok((clips, parts))
}

/// Writes `skipped.csv`: each recording that was left out, and why.
pub fn write_skipped(path: &Path, skipped: &[Skipped]) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(["file", "reason"])?;
        for Skipped { file, reason } in skipped {
            writer.write_record([file.to_string_lossy().as_ref(), reason])?;
        }
        Ok(writer.flush()?)
    })
}

/// What a model said of one clip.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipPrediction<'a> {
    /// Which one, and the truth about it.
    pub clip: &'a Clip,
    /// The class with the highest probability.
    pub prediction: &'a str,
    /// One for each class, in the order of the classes.
    pub probabilities: &'a [f32],
}

/// Writes `predictions.csv`: clip, speaker, truth, prediction, a probability per class.
pub fn write_predictions(
    path: &Path,
    classes: &[String],
    predictions: &[ClipPrediction],
) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        let fixed = ["clip", "speaker", "truth", "prediction"];
        writer.write_record(fixed.into_iter().chain(classes.iter().map(String::as_str)))?;
        for ClipPrediction {
            clip,
            prediction,
            probabilities,
        } in predictions
        {
            let mut line = vec![
                clip.file.to_string_lossy().into_owned(),
                clip.speaker.clone(),
                clip.label.clone(),
                prediction.to_string(),
            ];
            line.extend(
                probabilities
                    .iter()
                    .map(|probability| probability.to_string()),
            );
            writer.write_record(line)?;
        }
        Ok(writer.flush()?)
    })
}

/// What stands in a `predictions.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedPredictions {
    /// Each clip with its speaker and label. What is said in it is not written there.
    pub clips: Vec<Clip>,
    /// What was said of them, in the same order.
    pub predictions: Predictions,
}

/// Reads `predictions.csv`.
pub fn read_predictions(path: &Path) -> Result<SavedPredictions> {
    let place = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(place)?;
    let mut reader = csv::Reader::from_reader(&text[..]);
    let classes: Vec<String> = reader
        .headers()
        .with_context(place)?
        .iter()
        .skip(4)
        .map(str::to_string)
        .collect();
    let (mut clips, mut truth, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
    for line in reader.deserialize() {
        let (file, speaker, label, _, row): (PathBuf, String, String, String, Vec<f32>) =
            line.with_context(place)?;
        ensure!(
            row.iter().all(|probability| probability.is_finite()),
            "cannot read {}: a probability of {} is NaN or infinite; `emovox evaluate` predicts the clips \
             again",
            path.display(),
            file.display()
        );
        let class = classes.iter().position(|class| *class == label);
        truth.push(
            class
                .with_context(|| format!("no class '{label}'"))
                .with_context(place)?,
        );
        probabilities.push(row);
        clips.push(Clip {
            file,
            label,
            corpus_label: String::new(),
            speaker,
            sentence: String::new(),
        });
    }
    Ok(SavedPredictions {
        clips,
        predictions: Predictions {
            classes,
            truth,
            probabilities,
        },
    })
}

/// Writes `confusion.csv`: a line per true class, a column per predicted one, counts of clips.
pub fn write_confusion(path: &Path, classes: &[String], counts: &[Vec<u64>]) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(std::iter::once("truth").chain(classes.iter().map(String::as_str)))?;
        for (class, row) in classes.iter().zip(counts) {
            let counts = row.iter().map(u64::to_string);
            writer.write_record(std::iter::once(class.clone()).chain(counts))?;
        }
        Ok(writer.flush()?)
    })
}
