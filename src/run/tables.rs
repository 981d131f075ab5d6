//! The run's CSV tables: which clip is in which part, what was said of it, what was mixed up.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::write_atomically;
use crate::corpus::Clip;
use crate::corpus::split::Part;

/// A line of `split.csv`.
#[derive(Serialize, Deserialize)]
struct SplitLine {
    clip: String,
    speaker: String,
    label: String,
    part: Part,
}

/// Writes `split.csv`: each clip's place in the corpus folder, speaker, label and part.
pub fn write_split(path: &Path, clips: &[Clip], parts: &[Part]) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        for (clip, &part) in clips.iter().zip(parts) {
            writer.serialize(SplitLine {
                clip: clip.file.to_string_lossy().into_owned(),
                speaker: clip.speaker.clone(),
                label: clip.label.clone(),
                part,
            })?;
        }
        Ok(writer.flush()?)
    })
}

/// Reads `split.csv`. What is said in a clip is not written there, so it comes back empty.
pub fn read_split(path: &Path) -> Result<(Vec<Clip>, Vec<Part>)> {
    let place = || format!("cannot read {}", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(place)?;
    let mut clips = Vec::new();
    let mut parts = Vec::new();
    for line in reader.deserialize() {
        let line: SplitLine = line.with_context(place)?;
        clips.push(Clip {
            file: line.clip.into(),
            label: line.label,
            speaker: line.speaker,
            sentence: String::new(),
        });
        parts.push(line.part);
    }
    Ok((clips, parts))
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
