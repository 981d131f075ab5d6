//! Predictions of a whole subset, batch by batch, without dropout and without gradients.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::EmotionModel;
use crate::augment::VtlpWarps;
use crate::dataset::{Batch, BatchPlan, SplitTensors};
use crate::parallel::{self, Shared};

/// Usual number of clips in a batch on a GPU, which needs as long for a few clips as for many.
const GPU_BATCH: usize = 512;

/// Number of clips in a batch of predictions, at least `requested`. On a GPU it is 512, or less if
/// several processes divide the clips.
pub fn prediction_batch(requested: usize, device: Device, clips: usize, processes: usize) -> usize {
    match device {
        Device::Cpu => requested,
        _ if processes == 1 => requested.max(GPU_BATCH),
        _ => clips
            .div_ceil(processes)
            .clamp(requested, requested.max(GPU_BATCH)),
    }
}

/// Log-probabilities `[recordings][classes]` for each recording of a subset, in its order. They are
/// the normalised mean over the VTLP warps `warps`, and over the pieces of a recording that was
/// cut. On a GPU a batch may have more than `batch_size` clips.
///
/// # Errors
/// If the features cannot be read, or if libtorch fails, for example by a lack of memory.
pub fn log_probabilities(
    model: &EmotionModel,
    tensors: &SplitTensors,
    warps: Option<&VtlpWarps>,
    batch_size: usize,
) -> Result<Vec<Vec<f32>>> {
    let batch_size = prediction_batch(batch_size, model.device(), tensors.clips(), 1);
    log_probabilities_of(model, tensors, warps, batch_size, |_| true, |_| Ok(()))
}

/// Like [`log_probabilities`], of the batches for which `is_local` is true. `all_reduce` adds the rows
/// of the other batches, which other processes predict.
///
/// # Errors
/// As [`log_probabilities`], and the error of `all_reduce`.
pub fn log_probabilities_of(
    model: &EmotionModel,
    tensors: &SplitTensors,
    warps: Option<&VtlpWarps>,
    batch_size: usize,
    is_local: impl Fn(usize) -> bool,
    all_reduce: impl FnOnce(&mut Tensor) -> Result<()>,
) -> Result<Vec<Vec<f32>>> {
    let plan = BatchPlan::by_length(tensors, batch_size);
    let local: Vec<bool> = (0..plan.batches()).map(is_local).collect();
    let shared = Shared::new((model, &plan, warps));
    let predict = |(index, is_local): (usize, bool)| {
        let &(model, plan, warps) = shared.get();
        if !is_local {
            let shape = [plan.size(index), model.classes().len()].map(|size| size as i64);
            return Ok(Tensor::zeros(shape, (Kind::Float, model.device())));
        }
        tch::no_grad(|| predict_batch(model, &plan.batch(index)?, warps))
    };
    let batches = local.into_iter().enumerate();
    let outputs = match model.device() {
        Device::Cpu => parallel::map(batches.collect(), predict),
        // Threads would give their work to the same GPU, and each would take memory of it.
        _ => batches.map(predict).collect(),
    };
    let outputs: Vec<Tensor> = outputs.into_iter().collect::<Result<_>>()?;
    let mut sorted = Tensor::cat(&outputs, 0).to_device(Device::Cpu);
    all_reduce(&mut sorted)?;
    let sorted = Vec::<Vec<f32>>::try_from(sorted)?;
    let order = (0..plan.batches()).flat_map(|batch| plan.clips(batch));
    let mut rows = vec![Vec::new(); tensors.clips()];
    for (clip, row) in order.zip(sorted) {
        rows[clip] = row;
    }
    Ok(over_pieces(rows, tensors.recordings()))
}

/// Log-probabilities `[batch, classes]`: the normalised mean over the warps.
fn predict_batch(model: &EmotionModel, batch: &Batch, warps: Option<&VtlpWarps>) -> Result<Tensor> {
    let Some(warps) = warps else {
        return Ok(model.log_probabilities(&batch.features, &batch.lengths));
    };
    let predict_warped = |warp: i64| {
        let chosen = Tensor::full_like(&batch.labels, warp);
        let warped = warps.apply(&batch.features, &chosen);
        model.log_probabilities(&warped, &batch.lengths)
    };
    let all: Vec<Tensor> = (0..warps.count()).map(predict_warped).collect();
    let mean = Tensor::stack(&all, 0).mean_dim(0, false, Kind::Float);
    Ok(mean.log_softmax(-1, Kind::Float))
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

/// Converts log-probabilities to probabilities.
pub fn exponentials(log_probabilities: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let exponential = |row: Vec<f32>| row.into_iter().map(f32::exp).collect();
    log_probabilities.into_iter().map(exponential).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_predicts_large_batches_which_several_processes_share() {
        let gpu = Device::Cuda(0);
        assert_eq!(prediction_batch(32, Device::Cpu, 9000, 4), 32);
        for (clips, processes, expected) in [
            (240, 1, 512),
            (9000, 1, 512),
            (240, 4, 60),
            (9000, 4, 512),
            (40, 4, 32),
        ] {
            assert_eq!(prediction_batch(32, gpu, clips, processes), expected);
        }
        assert_eq!(prediction_batch(1024, gpu, 9000, 2), 1024);
    }

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
}
