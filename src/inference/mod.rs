//! Weights and features → probabilities.

mod predictor;

pub use predictor::{Prediction, Predictor};

use anyhow::Result;
use tch::{Kind, Tensor};

use crate::dataset::{PartTensors, Plan};
use crate::model::EmotionModel;

/// Log-probabilities of the classes for each clip of a part, in the part's order.
pub fn log_probabilities(
    model: &EmotionModel,
    part: &PartTensors,
    batch_size: usize,
) -> Result<Vec<Vec<f32>>> {
    let plan = Plan::by_length(part, batch_size);
    let outputs: Vec<Tensor> = tch::no_grad(|| {
        let forward = |index| {
            let batch = plan.batch(index);
            model
                .forward(&batch.features, &batch.lengths, false)
                .log_softmax(-1, Kind::Float)
        };
        (0..plan.batches()).map(forward).collect()
    });
    let sorted = Vec::<Vec<f32>>::try_from(Tensor::cat(&outputs, 0).to_device(tch::Device::Cpu))?;
    let order = (0..plan.batches()).flat_map(|batch| plan.clips(batch));
    let mut rows = vec![Vec::new(); part.clips()];
    for (clip, row) in order.zip(sorted) {
        rows[clip] = row;
    }
    Ok(rows)
}

/// Probabilities of log-probabilities.
pub fn exponentials(log_probabilities: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let exponential = |row: Vec<f32>| row.into_iter().map(f32::exp).collect();
    log_probabilities.into_iter().map(exponential).collect()
}
