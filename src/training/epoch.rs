//! Plan of an epoch: the batches of this process, in order, and the learning rate of each step.

use anyhow::Result;

use super::Data;
use super::augment;
use super::balance;
use super::fit::Setup;
use super::random::{self, Purpose};
use crate::config::{Balance, TrainingConfig};
use crate::dataset::{Batch, Plan, PlannedClip};
use crate::distributed::{Ranks, share};

/// The batches of an epoch. Order and speeds of the clips depend on the seed and the epoch only.
pub(super) struct EpochPlan<'a> {
    data: &'a Data,
    config: &'a TrainingConfig,
    /// Number of the epoch, from 1.
    pub epoch: usize,
    batches: Plan<'a>,
}

/// The clips of a batch that one process computes.
pub(super) struct RankBatch {
    /// The clips of this process. If the batch has fewer clips than there are processes, this may
    /// be a stand-in of one clip that does not count (`local_size` is 0), so that every process
    /// computes the same operations.
    pub local: Batch,
    /// Number of clips of this process.
    pub local_size: usize,
    /// Number of clips of all processes.
    pub global_size: usize,
}

impl<'a> EpochPlan<'a> {
    /// Draws the order and the speeds of the clips of an epoch.
    pub fn draw(setup: &Setup<'a>, epoch: usize) -> EpochPlan<'a> {
        let &Setup {
            data,
            config,
            group,
            ..
        } = setup;
        EpochPlan {
            data,
            config,
            epoch,
            batches: batches(data, config, group, draw_order(data, config, epoch)),
        }
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
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn batch(&self, step: usize) -> Result<RankBatch> {
        let remaining = self.data.train.clips() - step * self.config.batch_size;
        Ok(RankBatch {
            local: self.batches.batch(step)?,
            local_size: self.batches.size(step),
            global_size: remaining.min(self.config.batch_size),
        })
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

impl RankBatch {
    /// The batch with `times` copies of its clips, one copy after the other.
    pub fn repeated(self, times: i64) -> RankBatch {
        RankBatch {
            local: self.local.repeated(times),
            ..self
        }
    }
}

/// The clips of an epoch in their order.
fn draw_order(data: &Data, config: &TrainingConfig, epoch: usize) -> Vec<PlannedClip> {
    let generator = |purpose| random::generator(config.seed, purpose, epoch);
    let lengths = data.train.lengths();
    if config.balance == Balance::None {
        return augment::plan_epoch(lengths, config, &mut generator(Purpose::Order));
    }
    let drawn = balance::draw(&data.groups, &mut generator(Purpose::Draw));
    let lengths: Vec<i64> = drawn.iter().map(|&clip| lengths[clip]).collect();
    let mut order = augment::plan_epoch(&lengths, config, &mut generator(Purpose::Order));
    for planned in &mut order {
        planned.clip = drawn[planned.clip];
    }
    order
}

/// The batches of this process.
fn batches<'a>(
    data: &'a Data,
    config: &TrainingConfig,
    group: &Ranks,
    order: Vec<PlannedClip>,
) -> Plan<'a> {
    let local = |clips| share(clips, group.rank(), group.size());
    Plan::shared(&data.train, order, config.batch_size, group.size(), local)
}
