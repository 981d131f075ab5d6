//! Progress of a training, from which it can be resumed.

use crate::config::{CheckpointSelection, TrainingConfig};
use crate::evaluation::EpochMetrics;

/// Progress of a training: the completed epochs, and the completed steps of the current epoch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// Metrics of the completed epochs.
    pub epochs: Vec<EpochMetrics>,
    /// The current epoch.
    pub partial: PartialEpoch,
}

/// An epoch that is not complete.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartialEpoch {
    /// Number of completed steps.
    pub steps: usize,
    /// Sum of the losses of the clips trained on.
    pub loss_sum: f64,
    /// Number of correct predictions, summed over the networks of the ensemble.
    pub hits: i64,
    /// Time spent on these steps.
    pub seconds: f64,
}

impl Progress {
    /// The epoch with the highest validation UAR so far, and among those with the lowest loss.
    pub fn best(&self) -> Option<&EpochMetrics> {
        EpochMetrics::best(&self.epochs)
    }

    /// The selected epoch so far, whose weights are in `best.ot`.
    pub fn selected(&self, config: &TrainingConfig) -> Option<&EpochMetrics> {
        config.checkpoint_selection.of(&self.epochs)
    }

    /// True if all epochs are completed, or if the training stopped early.
    pub fn is_over(&self, config: &TrainingConfig) -> bool {
        self.epochs.len() >= config.epochs || self.is_stopped_early(config)
    }

    /// True if none of the last `early_stopping` epochs is the best one so far.
    pub fn is_stopped_early(&self, config: &TrainingConfig) -> bool {
        let best = self.best().map_or(0, |best| best.epoch);
        config.early_stopping > 0
            && self.epochs.len() < config.epochs
            && self.epochs.len() - best >= config.early_stopping
    }
}

impl CheckpointSelection {
    /// The selected epoch among the completed `epochs`.
    pub fn of(self, epochs: &[EpochMetrics]) -> Option<&EpochMetrics> {
        match self {
            CheckpointSelection::Best => EpochMetrics::best(epochs),
            CheckpointSelection::Last => epochs.last(),
        }
    }
}
