//! Clips of a page, in the form that its script reads.

use serde::Serialize;

use super::ClipSound;
use crate::audio::Excerpt;
use crate::run::SavedPredictions;

/// Clips with their predictions and sounds.
#[derive(Debug, Serialize)]
pub struct Clips {
    /// Class names, in the order of the probabilities.
    pub classes: Vec<String>,
    /// One row for each prediction.
    pub clips: Vec<ClipRow>,
    /// Recordings; several rows may share one.
    pub sounds: Vec<ClipSound>,
}

/// Prediction for a clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipRow {
    /// Path in the corpus folder, and the times of a segment.
    pub file: String,
    /// Name of the speaker; empty if unknown.
    pub speaker: String,
    /// Index of the true class.
    pub truth: usize,
    /// Index of the predicted class. Rounded probabilities may be equal, so the page cannot compute
    /// it.
    pub predicted: usize,
    /// Probability of each class, in ten thousandths.
    pub probabilities: Vec<u16>,
    /// Fold and seed of the model; empty if there is only one model.
    pub training: String,
    /// Index of the recording in [`Clips::sounds`].
    pub sound: usize,
}

/// The speaker of each clip; empty if unknown.
pub(super) fn speakers(saved: &SavedPredictions) -> Vec<&str> {
    let clips = saved.clips.iter();
    clips.map(|clip| clip.speaker.as_str()).collect()
}

/// A row for each prediction. `sound` maps the file or segment of a clip to the index of its
/// recording.
pub(super) fn rows(
    saved: &SavedPredictions,
    training: &str,
    mut sound: impl FnMut(&Excerpt) -> usize,
) -> Vec<ClipRow> {
    let predictions = &saved.predictions;
    let in_ten_thousandths = |row: &Vec<f32>| {
        let rounded = |p: &f32| (p.clamp(0.0, 1.0) * 10_000.0).round() as u16;
        row.iter().map(rounded).collect()
    };
    let predicted = predictions.predicted();
    let rows = saved
        .clips
        .iter()
        .zip(&predictions.truth)
        .zip(&predictions.probabilities)
        .zip(predicted);
    rows.map(|(((clip, &truth), row), predicted)| ClipRow {
        file: clip.file.to_string(),
        speaker: clip.speaker.clone(),
        truth,
        predicted,
        probabilities: in_ten_thousandths(row),
        training: training.into(),
        sound: sound(&clip.file),
    })
    .collect()
}
