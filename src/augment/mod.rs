//! Augmentation: random variation of the training clips. Disturbed copies of the recordings are made
//! before the training; `dataset` changes the speed when it gathers a batch; all other variations
//! are computed here, on the device.

mod disturbed;
mod random_numbers;
mod spec_augment;
mod vtlp;

pub use disturbed::{CopyRecipe, disturbed_copies};
pub use random_numbers::{RandomNumbers, partners};
pub use spec_augment::SpecAugment;
pub use vtlp::VtlpWarps;

use tch::{Kind, Tensor};

use crate::config::AugmentationConfig;
use crate::dataset::Batch;
use crate::device;
use crate::random::ClipSeed;
use random_numbers::Stream;

/// Number of clips that are mixed with each other. It is the number of clips of one piece of work
/// on a CPU, so that the result does not depend on the pieces.
pub const MIXUP_GROUP: usize = 16;

/// A batch after augmentation.
#[derive(Debug)]
pub struct Augmented {
    /// Normalised features `[batch, frames, coefficients]`.
    pub features: Tensor,
    /// Class probabilities `[batch, classes]`; each row sums to 1.
    pub targets: Tensor,
}

/// The augmentation of a training.
#[derive(Debug, Clone, Copy)]
pub struct Augmentation<'a> {
    /// Number of classes.
    pub classes: i64,
    /// `None` if the configuration has neither warps, masks nor offsets.
    pub spec_augment: Option<&'a SpecAugment>,
    /// Settings.
    pub config: &'a AugmentationConfig,
}

impl Augmentation<'_> {
    /// Augments a batch: frequency warp and masks, cepstral offset, mixup, noise, time masks, in
    /// this order. `numbers` are the random numbers of the rows, and the seeds draw their noise.
    pub fn apply(&self, batch: &Batch, numbers: &RandomNumbers, seeds: &[ClipSeed]) -> Augmented {
        let config = self.config;
        let mut features = match self.spec_augment {
            Some(spec_augment) => {
                let [spectrum, offset] =
                    [Stream::Spectrum, Stream::Offset].map(|stream| self.columns(numbers, stream));
                spec_augment.apply(&batch.features, &spectrum, &offset, config)
            }
            None => batch.features.shallow_clone(),
        };
        let mut targets = one_hot(&batch.labels, self.classes);

        if config.mixup > 0.0 {
            // The share of a clip itself is at least one half, and its length does not change.
            let drawn = self.columns(numbers, Stream::Mixup);
            let mixed = drawn.select(1, 0).lt(config.mixup).to_kind(Kind::Float);
            let share: Tensor = mixed * drawn.select(1, 1) * 0.5;
            let partner = |x: &Tensor| x.index_select(0, &numbers.partners);
            features = features.lerp_tensor(&partner(&features), &share.view([-1, 1, 1]));
            targets = targets.lerp_tensor(&partner(&targets), &share.view([-1, 1]));
        }
        if config.noise > 0.0 {
            let width = features.numel() / seeds.len().max(1);
            let noise = random_numbers::draw_noise(seeds, width, features.device());
            features = &features + noise.view_as(&features) * config.noise;
        }
        if config.time_masks > 0 && config.time_mask_frames > 0 {
            // On a CPU, a product takes a fraction of the time of `masked_fill`.
            let drawn = self.columns(numbers, Stream::TimeMasks);
            features = &features * time_masks(batch, &drawn, config).unsqueeze(-1);
        }
        Augmented { features, targets }
    }
}

/// Factors that are 0 in the frames of a time mask, and 1 elsewhere: `[batch, frames]`.
fn time_masks(batch: &Batch, drawn: &Tensor, config: &AugmentationConfig) -> Tensor {
    let frames = batch.features.size()[1];
    let lengths = batch.lengths.to_kind(Kind::Float).unsqueeze(1);
    // A mask covers at most a quarter of a clip.
    let longest = (&lengths * 0.25).clamp_max(config.time_mask_frames as f64);
    outside_masks(drawn, &longest, &lengths, frames)
}

/// Factors that are 0 within random intervals, and 1 elsewhere: `[rows, positions]`. `drawn` `[rows,
/// 2 × intervals]` has two uniform numbers for each interval: the first times `longest` is its length,
/// and the second times `available` − length is its start.
fn outside_masks(drawn: &Tensor, longest: &Tensor, available: &Tensor, positions: i64) -> Tensor {
    let (rows, intervals) = (drawn.size()[0], drawn.size()[1] / 2);
    let drawn = drawn.reshape([rows, intervals, 2]);
    let length = drawn.select(2, 0) * longest;
    let start = (drawn.select(2, 1) * (available - &length)).floor();
    let end = &start + length;
    let position = device::range(positions, Kind::Float, drawn.device());
    let inside = position
        .ge_tensor(&start.unsqueeze(-1))
        .logical_and(&position.lt_tensor(&end.unsqueeze(-1)));
    inside.any_dim(1, false).logical_not().to_kind(Kind::Float)
}

/// One-hot targets `[batch, classes]` of labels `[batch]`.
pub fn one_hot(labels: &Tensor, classes: i64) -> Tensor {
    labels.one_hot(classes).to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn batch(clips: i64, classes: i64) -> (Batch, Vec<ClipSeed>) {
        tch::manual_seed(3);
        let batch = Batch {
            features: Tensor::rand([clips, 40, 2], (Kind::Float, Device::Cpu)),
            lengths: Tensor::full([clips], 40, (Kind::Int64, Device::Cpu)),
            labels: Tensor::arange(clips, (Kind::Int64, Device::Cpu)).remainder(classes),
        };
        let seeds = (0..clips as usize).map(|clip| ClipSeed::new(1, 1, clip, 0));
        (batch, seeds.collect())
    }

    fn augment(batch: &Batch, seeds: &[ClipSeed], config: &AugmentationConfig) -> Augmented {
        let augmentation = Augmentation {
            classes: 4,
            spec_augment: None,
            config,
        };
        let partners = partners(seeds.len(), seeds.len());
        let numbers = augmentation.draw(seeds, &partners, Device::Cpu);
        augmentation.apply(batch, &numbers, seeds)
    }

    #[test]
    fn without_augmentation_a_batch_is_unchanged() {
        let (batch, seeds) = batch(3, 2);
        let augmented = augment(&batch, &seeds, &AugmentationConfig::none());
        assert_eq!(augmented.features, batch.features);
        assert_eq!(augmented.targets, one_hot(&batch.labels, 4));
    }

    #[test]
    fn mixed_targets_are_distributions_with_the_clips_class_on_top() {
        let (batch, seeds) = batch(64, 4);
        let Augmented { targets, .. } = augment(&batch, &seeds, &AugmentationConfig::default());
        let sums: Vec<f32> = targets.sum_dim_intlist(1, false, None).try_into().unwrap();
        assert!(sums.iter().all(|sum: &f32| (sum - 1.0).abs() < 1e-6));
        assert_eq!(targets.argmax(1, false), batch.labels);
        let mixed = targets.max_dim(1, false).0.lt(1.0).sum(Kind::Int64);
        assert!((1..64).contains(&mixed.int64_value(&[])));
    }

    /// Pieces of a batch are augmented by different threads.
    #[test]
    fn a_group_of_clips_is_augmented_the_same_alone_and_in_a_batch() {
        let (batch, seeds) = batch(40, 4);
        let config = AugmentationConfig {
            noise: 0.1,
            ..AugmentationConfig::default()
        };
        let whole = augment(&batch, &seeds, &config);
        for (start, size) in [(0, 16), (16, 16), (32, 8)] {
            let rows = |x: &Tensor| x.narrow(0, start, size);
            let piece = Batch {
                features: rows(&batch.features),
                lengths: rows(&batch.lengths),
                labels: rows(&batch.labels),
            };
            let range = start as usize..(start + size) as usize;
            let alone = augment(&piece, &seeds[range], &config);
            assert_eq!(alone.features, rows(&whole.features));
            assert_eq!(alone.targets, rows(&whole.targets));
        }
    }
}
