//! Random variation of the training clips. `dataset` changes the speed when it gathers a batch; all
//! other variations are computed here, on the device.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::loss::one_hot;
use super::spectrum::Spectrum;
use crate::config::{AugmentationConfig, TrainingConfig};
use crate::dataset::{Batch, PlannedClip};

/// Draws the order and the speeds of the clips of an epoch; `lengths` are in frames.
pub(super) fn plan_epoch(
    lengths: &[i64],
    config: &TrainingConfig,
    rng: &mut ChaCha8Rng,
) -> Vec<PlannedClip> {
    let mut order: Vec<PlannedClip> = (0..lengths.len())
        .map(|clip| {
            let drawn: f64 = rng.random_range(-1.0..=1.0);
            PlannedClip {
                clip,
                speed: 1.0 + config.augmentation.speed * drawn,
            }
        })
        .collect();
    order.shuffle(rng);
    // The clips of a batch have similar lengths, which reduces padding. The shuffle before makes
    // the batches different in every epoch.
    let batch_size = config.batch_size;
    for bucket in order.chunks_mut(config.sorted_batches.saturating_mul(batch_size)) {
        bucket.sort_by_key(|planned| (lengths[planned.clip] as f64 / planned.speed) as i64);
    }
    // Complete batches are shuffled, so that a bucket does not always begin with its shortest
    // clips. An incomplete batch remains last.
    let whole = order.len() / batch_size * batch_size;
    let mut batches: Vec<Vec<PlannedClip>> = order[..whole]
        .chunks(batch_size)
        .map(<[PlannedClip]>::to_vec)
        .collect();
    batches.shuffle(rng);
    let rest = order.split_off(whole);
    batches.into_iter().flatten().chain(rest).collect()
}

/// A batch after augmentation.
pub(super) struct Augmented {
    /// Normalised features `[batch, frames, coefficients]`.
    pub features: Tensor,
    /// Class probabilities `[batch, classes]`; each row sums to 1.
    pub targets: Tensor,
}

/// Augments a batch: frequency warp and masks, cepstral offset, mixup, noise, time masks, in this
/// order. The random numbers come from libtorch's generator.
pub(super) fn augment(
    batch: &Batch,
    classes: i64,
    spectrum: Option<&Spectrum>,
    config: &AugmentationConfig,
) -> Augmented {
    let mut features = match spectrum {
        Some(spectrum) => spectrum.apply(&batch.features, config),
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn an_epoch_has_every_clip_once() {
        let lengths: Vec<i64> = (0..101).map(|clip| 10 + (clip * 37) % 90).collect();
        for epoch in 0..5 {
            let mut rng = ChaCha8Rng::seed_from_u64(epoch);
            let config = TrainingConfig {
                batch_size: 8,
                ..TrainingConfig::default()
            };
            let plan = plan_epoch(&lengths, &config, &mut rng);
            let mut clips: Vec<usize> = plan.iter().map(|planned| planned.clip).collect();
            clips.sort_unstable();
            assert_eq!(clips, (0..101).collect::<Vec<_>>());
            assert!(
                plan.iter()
                    .all(|planned| (0.85..=1.15).contains(&planned.speed))
            );
        }
    }

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
