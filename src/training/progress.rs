//! How far a training has come.

use super::config::TrainingConfig;
use crate::run::EpochRecord;

/// How far a training has come: the epochs behind it, and the steps of the one that it is in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// The epochs behind it.
    pub epochs: Vec<EpochRecord>,
    /// What is behind it of the next one.
    pub partial: PartialEpoch,
}

/// An epoch that is not over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartialEpoch {
    /// Steps done.
    pub steps: usize,
    /// Sum of the losses of the clips trained on.
    pub loss_sum: f64,
    /// How many of them were classified right, by each member of a committee on its own.
    pub hits: i64,
    /// Time that it took.
    pub seconds: f64,
}

impl Progress {
    /// The epoch with the highest validation UAR so far.
    pub fn best(&self) -> Option<&EpochRecord> {
        EpochRecord::best(&self.epochs)
    }

    /// The epoch whose weights count so far: the one that `best.ot` is of.
    pub fn kept(&self, config: &TrainingConfig) -> Option<&EpochRecord> {
        config.keep.of(&self.epochs)
    }

    /// True where all epochs are done, or the last ones brought nothing better.
    pub fn is_over(&self, config: &TrainingConfig) -> bool {
        self.epochs.len() >= config.epochs || self.is_stopped_early(config)
    }

    /// True where the last `early_stopping` epochs brought nothing better.
    pub fn is_stopped_early(&self, config: &TrainingConfig) -> bool {
        let best = self.best().map_or(0, |best| best.epoch);
        config.early_stopping > 0
            && self.epochs.len() < config.epochs
            && self.epochs.len() - best >= config.early_stopping
    }
}
