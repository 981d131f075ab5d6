//! Metrics of the epochs of a training.

use serde::{Deserialize, Serialize};

/// The metrics of one epoch. Losses are means per clip; accuracies and UAR are fractions of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// The minimised loss, averaged during the epoch: with dropout, augmentation, mixup and label
    /// smoothing. So it can be higher than the validation loss, which has none of these.
    pub train_loss: f64,
    /// Accuracy on the training subset, averaged during the epoch like `train_loss`.
    pub train_accuracy: f64,
    /// Cross-entropy on the validation subset at the end of the epoch, without augmentation.
    pub validation_loss: f64,
    /// Accuracy on the validation subset at the end of the epoch.
    pub validation_accuracy: f64,
    /// Unweighted average recall on the validation subset; the best epoch has the highest value.
    pub validation_uar: f64,
    /// Learning rate in the last step of the epoch.
    pub learning_rate: f64,
    /// Duration of the epoch in seconds, including the validation.
    pub seconds: f64,
}

impl EpochMetrics {
    /// The best epoch: the epoch with the highest validation UAR, and among equal ones the epoch
    /// with the lowest validation loss (with a small validation subset, equal UARs are frequent).
    /// Its weights are in `best.ot`. `None` if there is no epoch.
    pub fn best(epochs: &[EpochMetrics]) -> Option<&EpochMetrics> {
        epochs.iter().reduce(|best, epoch| {
            let better = epoch.validation_uar > best.validation_uar
                || (epoch.validation_uar == best.validation_uar
                    && epoch.validation_loss < best.validation_loss);
            if better { epoch } else { best }
        })
    }
}
