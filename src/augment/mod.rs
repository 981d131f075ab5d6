//! Augmentation: random variation of the training clips. Disturbed copies of the recordings are made
//! before the training; `dataset` changes the speed when it gathers a batch; all other variations
//! are computed here, on the device.

mod disturbed;
mod spec_augment;
mod vtlp;

pub use disturbed::{CopyRecipe, disturbed_copies};
pub use spec_augment::SpecAugment;
pub use vtlp::VtlpWarps;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use crate::config::AugmentationConfig;
use crate::dataset::Batch;
use crate::device;
use crate::parallel;
use crate::random::{self, ClipSeed};

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
    /// this order. The seeds draw the numbers of each row. `clips` is the number of rows of one
    /// network: mixup does not mix the rows of two networks.
    pub fn apply(&self, batch: &Batch, seeds: &[ClipSeed], clips: usize) -> Augmented {
        let config = self.config;
        let mut features = match self.spec_augment {
            Some(spec_augment) => spec_augment.apply(&batch.features, seeds, config),
            None => batch.features.shallow_clone(),
        };
        let mut targets = one_hot(&batch.labels, self.classes);
        let draws = Draws {
            seeds,
            device: features.device(),
        };

        if config.mixup > 0.0 {
            // The share of a clip itself is at least one half, and its length does not change.
            let drawn = draws.uniform(Stream::Mixup, 2);
            let mixed = drawn.select(1, 0).lt(config.mixup).to_kind(Kind::Float);
            let share: Tensor = mixed * drawn.select(1, 1) * 0.5;
            let partners = Tensor::from_slice(&partners(seeds.len(), clips));
            let partners = device::upload(&partners, features.device());
            let partner = |x: &Tensor| x.index_select(0, &partners);
            features = features.lerp_tensor(&partner(&features), &share.view([-1, 1, 1]));
            targets = targets.lerp_tensor(&partner(&targets), &share.view([-1, 1]));
        }
        if config.noise > 0.0 {
            let noise = draws.normal(Stream::Noise, features.numel() / seeds.len().max(1));
            features = &features + noise.view_as(&features) * config.noise;
        }
        if config.time_masks > 0 && config.time_mask_frames > 0 {
            // On a CPU, a product takes a fraction of the time of `masked_fill`.
            let kept = time_masks(batch, &draws, config).logical_not();
            features = &features * kept.unsqueeze(-1).to_kind(Kind::Float);
        }
        Augmented { features, targets }
    }
}

/// The row that each row is mixed with: its neighbour in a group of at most [`MIXUP_GROUP`] clips.
fn partners(rows: usize, clips: usize) -> Vec<i64> {
    let partner = |row: usize| {
        let (first, clip) = (row - row % clips, row % clips);
        let group = clip - clip % MIXUP_GROUP;
        let size = MIXUP_GROUP.min(clips - group);
        (first + group + (clip - group + size - 1) % size) as i64
    };
    (0..rows).map(partner).collect()
}

/// Mask `[batch, frames]`, true where a time mask removes a frame.
fn time_masks(batch: &Batch, draws: &Draws, config: &AugmentationConfig) -> Tensor {
    let float = (Kind::Float, batch.features.device());
    let time = Tensor::arange(batch.features.size()[1], float).unsqueeze(0);
    let lengths = batch.lengths.to_kind(Kind::Float).unsqueeze(1);
    let drawn = draws.uniform(Stream::TimeMasks, 2 * config.time_masks);
    let mut masked = Tensor::zeros_like(&time).to_kind(Kind::Bool);
    for mask in 0..config.time_masks as i64 {
        // A mask covers at most a quarter of a clip.
        let longest = (&lengths * 0.25).clamp_max(config.time_mask_frames as f64);
        let width = drawn.narrow(1, 2 * mask, 1) * longest;
        let start = (drawn.narrow(1, 2 * mask + 1, 1) * (&lengths - &width)).floor();
        let within = time
            .ge_tensor(&start)
            .logical_and(&time.lt_tensor(&(start + width)));
        masked = masked.logical_or(&within);
    }
    masked
}

/// Uses of a clip's random numbers. Dropout uses the streams from 16 on.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Spectrum,
    Offset,
    Mixup,
    Noise,
    TimeMasks,
}

/// Random numbers of the rows of a batch. They are drawn on the CPU, so that they are the same on
/// every device.
struct Draws<'a> {
    seeds: &'a [ClipSeed],
    device: Device,
}

impl Draws<'_> {
    /// Uniform numbers from 0 to 1: `[batch, count]`.
    fn uniform(&self, stream: Stream, count: usize) -> Tensor {
        self.draw(stream, count, |rng, numbers| {
            numbers.extend((0..count).map(|_| rng.random::<f32>()));
        })
    }

    /// Numbers of the standard normal distribution: `[batch, count]`.
    fn normal(&self, stream: Stream, count: usize) -> Tensor {
        self.draw(stream, count, |rng, numbers| {
            random::normals(rng, count, numbers)
        })
    }

    fn draw(
        &self,
        stream: Stream,
        count: usize,
        append: impl Fn(&mut ChaCha8Rng, &mut Vec<f32>) + Sync,
    ) -> Tensor {
        let numbers = parallel::rows(self.seeds, self.device, count, |seed, numbers| {
            append(&mut seed.generator(stream as u64), numbers);
        });
        let numbers = Tensor::from_slice(&numbers);
        let numbers = numbers.view([self.seeds.len() as i64, count as i64]);
        device::upload(&numbers, self.device)
    }
}

/// One-hot targets `[batch, classes]` of labels `[batch]`.
pub fn one_hot(labels: &Tensor, classes: i64) -> Tensor {
    labels.one_hot(classes).to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        augmentation.apply(batch, seeds, seeds.len())
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

    #[test]
    fn a_clip_is_mixed_with_its_neighbour_in_its_group_and_its_network() {
        let expected: Vec<i64> = (0..48)
            .map(|row| {
                let first = row / 24 * 24;
                match row - first {
                    0 => first + 15,
                    16 => first + 23,
                    _ => row - 1,
                }
            })
            .collect();
        assert_eq!(partners(48, 24), expected);
        assert_eq!(partners(1, 1), [0]);
    }
}
