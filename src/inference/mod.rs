//! Inference: probabilities from features and the weights of a trained run.

mod answer;
mod builtin;
mod bundle;
mod in_memory;
mod predictor;
mod recording;
mod segments;
mod speech;
mod streaming;
mod trained;
mod window_predictor;
mod windows;

pub use crate::config::InferenceConfig;
pub use answer::{Answer, NO_SPEECH};
pub use builtin::{BUILTIN, BuiltinModel, BuiltinScores};
pub use bundle::Precision;
pub use in_memory::{Answers, InMemory, NotNeeded};
pub use predictor::{Prediction, Predictor};
pub use recording::{Segment, Segments};
pub use streaming::{StreamPrediction, StreamSpeech, StreamingPredictor};
pub use trained::{Trained, Unfinished};
pub use window_predictor::WindowPredictor;
pub use windows::{Windowing, Windows};

use anyhow::Result;
use tch::Device;
use thiserror::Error;

use crate::augment::VtlpWarps;
use crate::config::RunConfig;
use crate::corpus::Clip;
use crate::dataset::Normalisation;

/// The VTLP warps for the test-time augmentation of a run, for features with a normalisation; `None`
/// without test-time augmentation.
///
/// # Errors
/// If recordings keep their own sample rates.
pub fn vtlp_warps(
    config: &RunConfig,
    normalisation: &Normalisation,
    device: Device,
) -> Result<Option<VtlpWarps>> {
    let factors = &config.inference.vtlp_warps;
    if factors.is_empty() {
        return Ok(None);
    }
    let (audio, features) = (&config.audio, &config.features);
    VtlpWarps::new(factors, features, audio.sample_rate, normalisation, device).map(Some)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::SplitTensors;
    use crate::features::Features;
    use crate::model::{self, BilstmConfig, EmotionModel, ModelConfig};
    use tch::{Kind, Tensor};

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
        let tensors =
            SplitTensors::new(&rows, &[0, 1], model.normalisation(), Device::Cpu).unwrap();
        let mut predict = |factors: &[f64]| {
            config.inference.vtlp_warps = factors.to_vec();
            let warps = vtlp_warps(&config, model.normalisation(), Device::Cpu).unwrap();
            model::log_probabilities(&model, &tensors, warps.as_ref(), 8).unwrap()
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
