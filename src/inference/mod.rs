//! Weights and features → probabilities.

mod bundle;
mod config;
mod ear;
mod hearing;
mod predictor;
mod recording;
mod segments;
mod trained;
mod windows;

pub use config::InferenceConfig;
pub use ear::{Ear, Heard, Speech};
pub use hearing::Hearing;
pub use predictor::{Prediction, Predictor};
pub use recording::Segment;
pub use trained::Trained;
pub use windows::{Windowing, Windows};

use anyhow::Result;
use tch::{Kind, Tensor};

use crate::config::RunConfig;
use crate::dataset::{Batch, PartTensors, Plan, VocalTracts};
use crate::distributed::Ranks;
use crate::model::EmotionModel;

/// Log-probabilities of the classes for each clip of a part, in the part's order. With vocal tracts it
/// is what the model says of each clip out of all of them, on the mean of the logarithms.
pub fn log_probabilities(
    model: &EmotionModel,
    part: &PartTensors,
    tracts: Option<&VocalTracts>,
    batch_size: usize,
) -> Result<Vec<Vec<f32>>> {
    log_probabilities_by(&Ranks::alone(), model, part, tracts, batch_size)
}

/// The same by several processes: each hears its share of the batches, and all get all rows.
pub fn log_probabilities_by(
    ranks: &Ranks,
    model: &EmotionModel,
    part: &PartTensors,
    tracts: Option<&VocalTracts>,
    batch_size: usize,
) -> Result<Vec<Vec<f32>>> {
    let plan = Plan::by_length(part, batch_size);
    let own = |batch: &usize| batch % ranks.size() == ranks.rank();
    let said = |batch: &Batch, features: &Tensor| model.log_probabilities(features, &batch.lengths);
    let outputs: Vec<Tensor> = tch::no_grad(|| {
        let forward = |index| {
            let batch = plan.batch(index)?;
            let Some(tracts) = tracts else {
                return Ok(said(&batch, &batch.features));
            };
            let out_of = |tract: i64| {
                let chosen = Tensor::full_like(&batch.labels, tract);
                said(&batch, &tracts.apply(&batch.features, &chosen))
            };
            let all: Vec<Tensor> = (0..tracts.count()).map(out_of).collect();
            let mean = Tensor::stack(&all, 0).mean_dim(0, false, Kind::Float);
            Ok(mean.log_softmax(-1, Kind::Float))
        };
        let classes = model.classes().len() as i64;
        let nothing = |index| {
            let rows = plan.size(index) as i64;
            Tensor::zeros([rows, classes], (Kind::Float, model.device()))
        };
        let each = |index| match own(&index) {
            true => forward(index),
            false => Ok(nothing(index)),
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
    Ok(rows)
}

/// The vocal tracts that a run's clips are heard out of; `None` where they are heard as they are.
pub fn vocal_tracts(config: &RunConfig, model: &EmotionModel) -> Result<Option<VocalTracts>> {
    let factors = &config.inference.vocal_tracts;
    if factors.is_empty() {
        return Ok(None);
    }
    let (audio, features) = (&config.audio, &config.features);
    let (normalisation, device) = (model.normalisation(), model.device());
    VocalTracts::new(factors, features, audio.sample_rate, normalisation, device).map(Some)
}

/// Probabilities of log-probabilities.
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
    fn several_tracts_are_the_mean_of_each_alone() {
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
        let mut said = |factors: &[f64]| {
            config.inference.vocal_tracts = factors.to_vec();
            let tracts = vocal_tracts(&config, &model).unwrap();
            log_probabilities(&model, &part, tracts.as_ref(), 8).unwrap()
        };
        let (plain, low, own, high) = (said(&[]), said(&[0.9]), said(&[1.0]), said(&[1.1]));
        let mean = said(&[0.9, 1.0, 1.1]);
        for clip in 0..2 {
            let of_three =
                |class: usize| (low[clip][class] + own[clip][class] + high[clip][class]) / 3.0;
            let normaliser = (0..3).map(|class| of_three(class).exp()).sum::<f32>().ln();
            for class in 0..3 {
                assert!((plain[clip][class] - own[clip][class]).abs() < 1e-4);
                assert!((mean[clip][class] - of_three(class) + normaliser).abs() < 1e-4);
            }
            assert!(
                (low[clip][0] - high[clip][0]).abs() > 1e-4,
                "a tract is heard"
            );
        }
    }
}
