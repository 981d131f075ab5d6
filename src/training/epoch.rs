//! Plan of an epoch: the batches of this process, in order, their random numbers, and the learning
//! rate of each step.

use std::ops::Range;

use anyhow::Result;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::TrainData;
use super::balance;
use super::fit::Setup;
use crate::augment::{self, Augmentation, RandomNumbers};
use crate::config::{Balance, TrainingConfig};
use crate::dataset::{Batch, BatchPlan, SampleSpec};
use crate::distributed::{ProcessGroup, local_slice};
use crate::random::{self, ClipSeed, Purpose};

/// The batches of an epoch. Order and speeds of the clips depend on the seed and the epoch only.
pub(super) struct EpochPlan<'a> {
    data: &'a TrainData,
    config: &'a TrainingConfig,
    /// Number of the epoch, from 1.
    pub epoch: usize,
    batches: BatchPlan<'a>,
    pub augmentation: Augmentation<'a>,
    networks: usize,
    /// On a GPU, the random numbers of all steps, one after the other, so that a step uploads none.
    numbers: Option<RandomNumbers>,
}

/// The clips of a batch that one process computes.
pub(super) struct RankBatch {
    /// The clips, as indices in the training subset.
    pub clips: Vec<i64>,
    /// Class indices of these clips.
    pub labels: Tensor,
    /// Number of clips of this process.
    pub local_size: usize,
    /// Number of clips of all processes.
    pub global_size: usize,
}

impl<'a> EpochPlan<'a> {
    /// Draws the order and the speeds of the clips of an epoch, and for a GPU the random numbers of all
    /// steps.
    pub fn draw(setup: &Setup<'a>, augmentation: Augmentation<'a>, epoch: usize) -> EpochPlan<'a> {
        let &Setup {
            data,
            config,
            group,
            model,
        } = setup;
        let mut plan = EpochPlan {
            data,
            config,
            epoch,
            batches: shared(data, group, &draw_batches(data, config, epoch)),
            augmentation,
            networks: model.ensemble_size(),
            numbers: None,
        };
        if model.device() != Device::Cpu {
            plan.draw_numbers(model.device());
        }
        plan
    }

    /// Draws the random numbers of all steps at once.
    pub fn draw_numbers(&mut self, device: Device) {
        let (mut seeds, mut partners) = (Vec::new(), Vec::new());
        for step in 0..self.steps() {
            let clips = self.positions(step);
            let of_step = self.seeds(0..self.networks, clips.clone());
            partners.extend(augment::partners(of_step.len(), clips.len()));
            seeds.extend(of_step);
        }
        self.numbers = Some(self.augmentation.draw(&seeds, &partners, device));
    }

    /// Random numbers for the augmentation of a step or of a piece of it. `seeds` are those of its rows, a
    /// row for each of `clips` clips and each network.
    pub fn numbers(&self, step: usize, seeds: &[ClipSeed], clips: usize) -> RandomNumbers {
        match &self.numbers {
            Some(numbers) => {
                let before = (0..step).map(|step| self.positions(step).len());
                let first = self.networks * before.sum::<usize>();
                numbers.narrow(first..first + seeds.len())
            }
            None => {
                let partners = augment::partners(seeds.len(), clips);
                self.augmentation.draw(seeds, &partners, Device::Cpu)
            }
        }
    }

    /// Seeds of some networks' clips, network by network.
    pub fn seeds(&self, networks: Range<usize>, clips: Range<usize>) -> Vec<ClipSeed> {
        let seeds = networks.flat_map(|network| {
            let clips = clips.clone();
            clips.map(move |clip| ClipSeed::new(self.config.seed, self.epoch, clip, network))
        });
        seeds.collect()
    }

    /// Number of steps of the epoch.
    pub fn steps(&self) -> usize {
        self.batches.batches()
    }

    /// Number of clips of the epoch, over all processes.
    pub fn clips(&self) -> f64 {
        self.data.train.clips() as f64
    }

    /// The clips of this process in a step (from 0).
    pub fn batch(&self, step: usize) -> RankBatch {
        RankBatch {
            clips: self.batches.planned(step).map(|clip| clip as i64).collect(),
            labels: self.batches.labels(step),
            local_size: self.batches.size(step),
            global_size: self.batches.whole_size(step),
        }
    }

    /// Positions of the clips of this process in the order of the epoch. If the batch has fewer
    /// clips than there are processes, this may be a stand-in of one clip that does not count, so
    /// that every process computes the same operations.
    pub fn positions(&self, step: usize) -> Range<usize> {
        self.batches.positions(step)
    }

    /// Gathers the clips at some positions of the epoch's order.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn gather(&self, positions: Range<usize>) -> Result<Batch> {
        self.batches.gather(positions)
    }

    /// Learning rate of a step (from 0).
    pub fn learning_rate(&self, step: usize) -> f64 {
        let TrainingConfig {
            schedule,
            learning_rate,
            epochs,
            ..
        } = *self.config;
        let steps = self.steps();
        schedule.learning_rate(
            learning_rate,
            (self.epoch - 1) * steps + step,
            epochs * steps,
        )
    }

    /// Names of the clips of this process in a step (from 0).
    pub fn clip_names(&self, step: usize) -> Vec<String> {
        self.batches
            .clips(step)
            .map(|clip| self.data.train_names[clip].clone())
            .collect()
    }
}

/// The batches of an epoch, with each clip in one of its versions.
fn draw_batches(data: &TrainData, config: &TrainingConfig, epoch: usize) -> Vec<Vec<SampleSpec>> {
    let generator = |purpose| random::generator(config.seed, purpose, epoch);
    let train = &data.train;
    let clips: Vec<usize> = if config.balance == Balance::None {
        (0..train.clips()).collect()
    } else {
        balance::draw(&data.groups, &mut generator(Purpose::Draw))
    };
    let mut versions = generator(Purpose::Version);
    let drawn: Vec<(usize, usize)> = clips
        .into_iter()
        .map(|clip| (versions.random_range(0..train.versions()), clip))
        .collect();
    let length = |&(version, clip): &(usize, usize)| train.length(version, clip);
    let lengths: Vec<i64> = drawn.iter().map(length).collect();
    let mut batches = batches_of_epoch(&lengths, config, &mut generator(Purpose::Order));
    for planned in batches.iter_mut().flatten() {
        (planned.version, planned.clip) = drawn[planned.clip];
    }
    batches
}

/// The batches of this process.
fn shared<'a>(
    data: &'a TrainData,
    group: &ProcessGroup,
    batches: &[Vec<SampleSpec>],
) -> BatchPlan<'a> {
    let local = |clips| local_slice(clips, group.rank(), group.world_size());
    BatchPlan::shared(&data.train, batches, group.world_size(), local)
}

/// Draws the batches of an epoch and the speeds of its clips; `lengths` are in frames.
///
/// The loss of a step is a mean over its batch. So the batches have nearly the same number of clips:
/// in a small last batch, a clip would have a multiple of the weight of other clips.
fn batches_of_epoch(
    lengths: &[i64],
    config: &TrainingConfig,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<SampleSpec>> {
    let mut order: Vec<SampleSpec> = (0..lengths.len())
        .map(|clip| {
            let drawn: f64 = rng.random_range(-1.0..=1.0);
            SampleSpec {
                clip,
                version: 0,
                speed: 1.0 + config.augmentation.speed * drawn,
            }
        })
        .collect();
    order.shuffle(rng);
    // The clips of a batch have similar lengths, which reduces padding. The shuffle before makes
    // the batches different in every epoch.
    let steps = order.len().div_ceil(config.batch_size);
    let ranges: Vec<Range<usize>> = (0..steps)
        .map(|step| local_slice(order.len(), step, steps))
        .collect();
    let mut batches = Vec::with_capacity(steps);
    for bucket in ranges.chunks(config.sorted_batches) {
        let clips = bucket[0].start..bucket[bucket.len() - 1].end;
        order[clips].sort_by_key(|planned| (lengths[planned.clip] as f64 / planned.speed) as i64);
        batches.extend(bucket.iter().map(|range| order[range.clone()].to_vec()));
    }
    // So that a bucket does not always begin with its shortest clips.
    batches.shuffle(rng);
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Arch;
    use crate::training::fixture;
    use rand::SeedableRng;

    /// On a GPU the numbers are drawn for all steps at once.
    #[test]
    fn the_numbers_of_all_steps_are_those_of_each_step() {
        let model = fixture::model(Arch::Bilstm);
        let data = fixture::data(33, 0, &model);
        let config = TrainingConfig {
            batch_size: 8,
            ..TrainingConfig::default()
        };
        let setup = Setup {
            model: &model,
            data: &data,
            config: &config,
            group: &ProcessGroup::single(),
        };
        let augmentation = fixture::augmentation(&data, &config);
        let draw = |plan: &EpochPlan| -> Vec<RandomNumbers> {
            let numbers = |step| {
                let clips = plan.positions(step);
                plan.numbers(step, &plan.seeds(0..3, clips.clone()), clips.len())
            };
            (0..plan.steps()).map(numbers).collect()
        };
        // With more processes than clips in a batch, some have stand-ins.
        for (batch_size, processes) in [(8, 1), (8, 2), (8, 5), (2, 3)] {
            for rank in 0..processes {
                let mut plan = EpochPlan::draw(&setup, augmentation, 2);
                let config = TrainingConfig {
                    batch_size,
                    ..config.clone()
                };
                let batches = draw_batches(&data, &config, 2);
                let local = |clips| local_slice(clips, rank, processes);
                plan.batches = BatchPlan::shared(&data.train, &batches, processes, local);
                let of_steps = draw(&plan);
                assert_eq!(of_steps.len(), 33usize.div_ceil(batch_size));
                assert_ne!(of_steps[0], of_steps[1]);
                plan.draw_numbers(Device::Cpu);
                assert_eq!(draw(&plan), of_steps, "process {rank} of {processes}");
            }
        }
    }

    #[test]
    fn an_epoch_has_every_clip_once() {
        let lengths: Vec<i64> = (0..101).map(|clip| 10 + (clip * 37) % 90).collect();
        for epoch in 0..5 {
            let mut rng = ChaCha8Rng::seed_from_u64(epoch);
            let config = TrainingConfig {
                batch_size: 8,
                ..TrainingConfig::default()
            };
            let batches = batches_of_epoch(&lengths, &config, &mut rng);
            let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
            assert_eq!(sizes.len(), 13);
            assert!(sizes.iter().all(|size| [7, 8].contains(size)), "{sizes:?}");
            let plan: Vec<SampleSpec> = batches.concat();
            let mut clips: Vec<usize> = plan.iter().map(|planned| planned.clip).collect();
            clips.sort_unstable();
            assert_eq!(clips, (0..101).collect::<Vec<_>>());
            assert!(
                plan.iter()
                    .all(|planned| (0.85..=1.15).contains(&planned.speed))
            );
        }
    }
}
