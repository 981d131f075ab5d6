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
    /// Its weights are in `best.ot`. `None` if there is no epoch with a validation.
    pub fn best(epochs: &[EpochMetrics]) -> Option<&EpochMetrics> {
        let validated = epochs.iter().filter(|epoch| !epoch.validation_uar.is_nan());
        validated.reduce(|best, epoch| {
            let better = epoch.validation_uar > best.validation_uar
                || (epoch.validation_uar == best.validation_uar
                    && epoch.validation_loss < best.validation_loss);
            if better { epoch } else { best }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_epoch_is_the_best_without_a_validation() {
        let record = |epoch, validation_uar| EpochMetrics {
            epoch,
            train_loss: 1.0,
            train_accuracy: 0.5,
            validation_loss: validation_uar,
            validation_accuracy: validation_uar,
            validation_uar,
            learning_rate: 1e-3,
            seconds: 1.0,
        };
        let mut epochs = vec![record(1, f64::NAN), record(2, f64::NAN)];
        assert_eq!(EpochMetrics::best(&epochs), None);
        epochs.push(record(3, 0.1));
        assert_eq!(EpochMetrics::best(&epochs).map(|best| best.epoch), Some(3));
    }
}
