//! Augmentation: random variation of the training clips. `dataset` changes the speed when it gathers
//! a batch; all other variations are computed here, on the device.

mod spec_augment;
mod vtlp;

pub use spec_augment::SpecAugment;
pub use vtlp::VtlpWarps;

use tch::{Kind, Tensor};

use crate::config::AugmentationConfig;
use crate::dataset::Batch;

/// A batch after augmentation.
#[derive(Debug)]
pub struct Augmented {
    /// Normalised features `[batch, frames, coefficients]`.
    pub features: Tensor,
    /// Class probabilities `[batch, classes]`; each row sums to 1.
    pub targets: Tensor,
}

/// Augments a batch: frequency warp and masks, cepstral offset, mixup, noise, time masks, in this
/// order. `spec_augment` is `None` if the configuration has neither warps, masks nor offsets. The
/// random numbers come from libtorch's generator.
pub fn augment(
    batch: &Batch,
    classes: i64,
    spec_augment: Option<&SpecAugment>,
    config: &AugmentationConfig,
) -> Augmented {
    let mut features = match spec_augment {
        Some(spec_augment) => spec_augment.apply(&batch.features, config),
        None => batch.features.shallow_clone(),
    };
    let mut targets = one_hot(&batch.labels, classes);
    let clips = features.size()[0];
    let device = features.device();
    let float = (Kind::Float, device);

    if config.mixup > 0.0 {
        // Each clip is mixed with its neighbour in the batch. Its own share is at least one half,
        // and its length does not change.
        let mixed = Tensor::rand([clips], float)
            .lt(config.mixup)
            .to_kind(Kind::Float);
        let share: Tensor = mixed * Tensor::rand([clips], float) * 0.5;
        let partner = |x: &Tensor| x.roll([1], [0]);
        features = features.lerp_tensor(&partner(&features), &share.view([-1, 1, 1]));
        targets = targets.lerp_tensor(&partner(&targets), &share.view([-1, 1]));
    }
    if config.noise > 0.0 {
        features = &features + features.randn_like() * config.noise;
    }
    if config.time_masks > 0 && config.time_mask_frames > 0 {
        let time = Tensor::arange(features.size()[1], float).unsqueeze(0);
        let lengths = batch.lengths.to_kind(Kind::Float).unsqueeze(1);
        let mut masked = Tensor::zeros_like(&time).to_kind(Kind::Bool);
        for _ in 0..config.time_masks {
            // A mask covers at most a quarter of a clip.
            let longest = (&lengths * 0.25).clamp_max(config.time_mask_frames as f64);
            let width = Tensor::rand([clips, 1], float) * longest;
            let start = (Tensor::rand([clips, 1], float) * (&lengths - &width)).floor();
            let within = time
                .ge_tensor(&start)
                .logical_and(&time.lt_tensor(&(start + width)));
            masked = masked.logical_or(&within);
        }
        features = features.masked_fill(&masked.unsqueeze(-1), 0.0);
    }
    Augmented { features, targets }
}

/// One-hot targets `[batch, classes]` of labels `[batch]`.
pub fn one_hot(labels: &Tensor, classes: i64) -> Tensor {
    labels.one_hot(classes).to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_augmentation_a_batch_is_unchanged() {
        let features = Tensor::rand([3, 7, 2], (Kind::Float, tch::Device::Cpu));
        let batch = Batch {
            features: features.shallow_clone(),
            lengths: Tensor::from_slice(&[7i64, 3, 5]),
            labels: Tensor::from_slice(&[1i64, 0, 1]),
        };
        let augmented = augment(&batch, 2, None, &AugmentationConfig::none());
        assert_eq!(augmented.features, features);
        assert_eq!(augmented.targets, one_hot(&batch.labels, 2));
    }

    #[test]
    fn mixed_targets_are_distributions_with_the_clips_class_on_top() {
        tch::manual_seed(3);
        let batch = Batch {
            features: Tensor::rand([64, 7, 2], (Kind::Float, tch::Device::Cpu)),
            lengths: Tensor::full([64], 7, (Kind::Int64, tch::Device::Cpu)),
            labels: Tensor::arange(64, (Kind::Int64, tch::Device::Cpu)).remainder(4),
        };
        let Augmented { targets, .. } = augment(&batch, 4, None, &AugmentationConfig::default());
        let sums: Vec<f32> = targets.sum_dim_intlist(1, false, None).try_into().unwrap();
        assert!(sums.iter().all(|sum: &f32| (sum - 1.0).abs() < 1e-6));
        assert_eq!(targets.argmax(1, false), batch.labels);
    }
}
