//! Inference: probabilities from features and the weights of a trained run.

mod bundle;
mod ear;
mod hearing;
mod predictor;
mod recording;
mod segments;
mod trained;
mod windows;

pub use crate::config::InferenceConfig;
pub use ear::{Ear, Heard, Speech};
pub use hearing::Hearing;
pub use predictor::{Prediction, Predictor};
pub use recording::Segment;
pub use trained::Trained;
pub use windows::{Windowing, Windows};

use anyhow::Result;
use tch::{Kind, Tensor};
use thiserror::Error;

use crate::config::RunConfig;
use crate::corpus::Clip;
use crate::dataset::{Batch, PartTensors, Plan, VocalTracts};
use crate::distributed::Ranks;
use crate::model::EmotionModel;

/// Log-probabilities `[recordings][classes]` for each recording of a subset, in its order. They are
/// the normalised mean over the VTLP warps `tracts`, and over the pieces of a recording that was
/// cut.
///
/// # Errors
/// If the features cannot be read, or if libtorch fails, for example by a lack of memory.
pub fn log_probabilities(
    model: &EmotionModel,
    part: &PartTensors,
    tracts: Option<&VocalTracts>,
    batch_size: usize,
) -> Result<Vec<Vec<f32>>> {
    log_probabilities_by(&Ranks::alone(), model, part, tracts, batch_size)
}

/// Like [`log_probabilities`], with several processes: each predicts its share of the batches, and
/// all processes get all rows.
///
/// # Errors
/// As [`log_probabilities`], and if another process fails.
pub fn log_probabilities_by(
    ranks: &Ranks,
    model: &EmotionModel,
    part: &PartTensors,
    tracts: Option<&VocalTracts>,
    batch_size: usize,
) -> Result<Vec<Vec<f32>>> {
    let plan = Plan::by_length(part, batch_size);
    let is_local = |batch: &usize| batch % ranks.size() == ranks.rank();
    let predict =
        |batch: &Batch, features: &Tensor| model.log_probabilities(features, &batch.lengths);
    let outputs: Vec<Tensor> = tch::no_grad(|| {
        let forward = |index| {
            let batch = plan.batch(index)?;
            let Some(tracts) = tracts else {
                return Ok(predict(&batch, &batch.features));
            };
            let predict_warped = |warp: i64| {
                let chosen = Tensor::full_like(&batch.labels, warp);
                predict(&batch, &tracts.apply(&batch.features, &chosen))
            };
            let all: Vec<Tensor> = (0..tracts.count()).map(predict_warped).collect();
            let mean = Tensor::stack(&all, 0).mean_dim(0, false, Kind::Float);
            Ok(mean.log_softmax(-1, Kind::Float))
        };
        let classes = model.classes().len() as i64;
        let zeros = |index| {
            let rows = plan.size(index) as i64;
            Tensor::zeros([rows, classes], (Kind::Float, model.device()))
        };
        let each = |index| match is_local(&index) {
            true => forward(index),
            false => Ok(zeros(index)),
        };
        (0..plan.batches()).map(each).collect::<Result<_>>()
    })?;
    let mut sorted = Tensor::cat(&outputs, 0).to_device(tch::Device::Cpu);
    ranks.sum(&mut sorted)?;
    let sorted = Vec::<Vec<f32>>::try_from(sorted)?;
    let order = (0..plan.batches()).flat_map(|batch| plan.clips(batch));
    let mut rows = vec![Vec::new(); part.clips()];
    for (clip, row) in order.zip(sorted) {
        rows[clip] = row;
    }
    Ok(over_pieces(rows, part.recordings()))
}

/// One row for each recording: the normalised mean of the log-probabilities of its pieces. A
/// recording with one piece has the row of that piece.
fn over_pieces(rows: Vec<Vec<f32>>, recordings: &[usize]) -> Vec<Vec<f32>> {
    let mut merged = Vec::new();
    let mut rows = rows.into_iter();
    for pieces in recordings.chunk_by(|a, b| a == b) {
        let pieces: Vec<Vec<f32>> = rows.by_ref().take(pieces.len()).collect();
        merged.push(match <[Vec<f32>; 1]>::try_from(pieces) {
            Ok([only]) => only,
            Err(pieces) => normalised_mean(&pieces),
        });
    }
    merged
}

/// The mean of rows of log-probabilities, normalised to log-probabilities.
fn normalised_mean(rows: &[Vec<f32>]) -> Vec<f32> {
    let mean = |class: usize| {
        let sum: f64 = rows.iter().map(|row| f64::from(row[class])).sum();
        sum / rows.len() as f64
    };
    let means: Vec<f64> = (0..rows[0].len()).map(mean).collect();
    let highest = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = means.iter().map(|mean| (mean - highest).exp()).sum();
    let normaliser = highest + sum.ln();
    means
        .iter()
        .map(|mean| (mean - normaliser) as f32)
        .collect()
}

/// The VTLP warps for the test-time augmentation of a run; `None` without test-time augmentation.
///
/// # Errors
/// If recordings keep their own sample rates.
pub fn vocal_tracts(config: &RunConfig, model: &EmotionModel) -> Result<Option<VocalTracts>> {
    let factors = &config.inference.vtlp_warps;
    if factors.is_empty() {
        return Ok(None);
    }
    let (audio, features) = (&config.audio, &config.features);
    let (normalisation, device) = (model.normalisation(), model.device());
    VocalTracts::new(factors, features, audio.sample_rate, normalisation, device).map(Some)
}

/// Error for a prediction that contains NaN or infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the prediction is not finite (NaN or infinite): the weights of the model or the samples of the recording \
     are too large; check the recording, or train the model again"
)]
pub struct NonFinitePrediction {
    /// Index of the clip among the predicted clips.
    pub clip: usize,
}

/// Checks predictions, one row for each clip.
///
/// # Errors
/// If a value is not finite.
pub fn check_predictions(rows: &[Vec<f32>]) -> Result<(), NonFinitePrediction> {
    let is_broken = |row: &Vec<f32>| !row.iter().all(|number| number.is_finite());
    match rows.iter().position(is_broken) {
        Some(clip) => Err(NonFinitePrediction { clip }),
        None => Ok(()),
    }
}

/// Adds the file name of the clip to an error of a prediction of `clips`, if it concerns one clip.
pub fn naming_clip(error: anyhow::Error, clips: &[&Clip]) -> anyhow::Error {
    let clip = error.downcast_ref::<NonFinitePrediction>();
    match clip.and_then(|found| clips.get(found.clip)) {
        Some(clip) => error.context(clip.file.display().to_string()),
        None => error,
    }
}

/// Converts log-probabilities to probabilities.
pub fn exponentials(log_probabilities: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let exponential = |row: Vec<f32>| row.into_iter().map(f32::exp).collect();
    log_probabilities.into_iter().map(exponential).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use crate::model::{BilstmConfig, ModelConfig};
    use tch::Device;

    #[test]
    fn a_recording_in_pieces_has_their_geometric_mean() {
        let rows = [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.3, 0.7]];
        let rows = rows.map(|row: [f32; 2]| row.map(f32::ln).to_vec()).to_vec();
        let merged = over_pieces(rows.clone(), &[0, 1, 1, 2]);
        assert_eq!(merged[0], rows[0]);
        assert_eq!(merged[2], rows[3]);
        let (a, b) = (0.1f64.sqrt(), 0.4f64.sqrt());
        let probability = f64::from(merged[1][0].exp());
        assert!((probability - a / (a + b)).abs() < 1e-6, "{probability}");
    }

    #[test]
    fn the_prediction_with_several_warps_is_the_mean_over_them() {
        tch::manual_seed(3);
        let mut config = RunConfig::recipe(Default::default());
        config.model = ModelConfig::Bilstm(BilstmConfig {
            input: 8,
            hidden: 8,
            ..BilstmConfig::default()
        });
        let width = config.features.coefficients();
        let classes = ["a", "b", "c"].map(String::from);
        let model = EmotionModel::new(&config.model, width, &classes, Device::Cpu);
        let clip = |frames: usize| {
            let values = Tensor::randn([(frames * width) as i64], (Kind::Float, Device::Cpu));
            Features::new(frames, width, values.try_into().unwrap()).unwrap()
        };
        let clips = [clip(30), clip(50)];
        let rows: Vec<&Features> = clips.iter().collect();
        let part = PartTensors::new(&rows, &[0, 1], model.normalisation(), Device::Cpu).unwrap();
        let mut predict = |factors: &[f64]| {
            config.inference.vtlp_warps = factors.to_vec();
            let tracts = vocal_tracts(&config, &model).unwrap();
            log_probabilities(&model, &part, tracts.as_ref(), 8).unwrap()
        };
        let (plain, low) = (predict(&[]), predict(&[0.9]));
        let (same, high) = (predict(&[1.0]), predict(&[1.1]));
        let mean = predict(&[0.9, 1.0, 1.1]);
        for clip in 0..2 {
            let mean_of_three =
                |class: usize| (low[clip][class] + same[clip][class] + high[clip][class]) / 3.0;
            let normaliser = (0..3)
                .map(|class| mean_of_three(class).exp())
                .sum::<f32>()
                .ln();
            for class in 0..3 {
                assert!((plain[clip][class] - same[clip][class]).abs() < 1e-4);
                assert!((mean[clip][class] - mean_of_three(class) + normaliser).abs() < 1e-4);
            }
            assert!(
                (low[clip][0] - high[clip][0]).abs() > 1e-4,
                "a warp changes the prediction"
            );
        }
    }
}
