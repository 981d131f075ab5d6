//! The clips of a page, as its script reads them.

use serde::Serialize;

use super::ClipSound;
use crate::run::SavedPredictions;

/// Clips, what they are called, and how they sound.
#[derive(Debug, Serialize)]
pub struct Clips {
    /// The labels that the probabilities are of.
    pub classes: Vec<String>,
    /// What was said of each clip.
    pub clips: Vec<ClipRow>,
    /// Recordings, which several rows may have in common.
    pub sounds: Vec<ClipSound>,
}

/// What was said of a clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipRow {
    /// Its place in the corpus folder.
    pub file: String,
    /// Who speaks; empty where nobody knows.
    pub speaker: String,
    /// The label's place among the classes.
    pub truth: usize,
    /// What was said. Rounded probabilities may not tell it.
    pub said: usize,
    /// The probability of each class, in ten thousandths.
    pub chances: Vec<u16>,
    /// Fold and seed of the model that said it; empty where there is one model.
    pub training: String,
    /// Place among the sounds.
    pub sound: usize,
}

/// A row for each prediction; `sound` gives the place of a clip's sound.
pub(super) fn rows(
    saved: &SavedPredictions,
    training: &str,
    mut sound: impl FnMut(&std::path::Path) -> usize,
) -> Vec<ClipRow> {
    let predictions = &saved.predictions;
    let chances = |row: &Vec<f32>| {
        let chance = |p: &f32| (p.clamp(0.0, 1.0) * 10_000.0).round() as u16;
        row.iter().map(chance).collect()
    };
    let said = predictions.predicted();
    let rows = saved
        .clips
        .iter()
        .zip(&predictions.truth)
        .zip(&predictions.probabilities)
        .zip(said);
    rows.map(|(((clip, &truth), row), said)| ClipRow {
        file: clip.file.to_string_lossy().into_owned(),
        speaker: clip.speaker.clone(),
        truth,
        said,
        chances: chances(row),
        training: training.into(),
        sound: sound(&clip.file),
    })
    .collect()
}
