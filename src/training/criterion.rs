//! The loss that a step minimises.

use anyhow::Result;
use tch::Tensor;

use super::TrainData;
use super::all_reduce;
use super::epoch::RankBatch;
use super::loss;
use crate::config::TrainingConfig;
use crate::distributed::ProcessGroup;
use crate::model::{EmotionModel, TrainOutput};

/// Cross-entropy with label smoothing and class weights, plus the supervised contrastive loss.
pub(super) struct Criterion {
    label_smoothing: f64,
    /// Weight of the contrastive loss.
    contrastive: f64,
    /// `[classes]`.
    class_weights: Option<Tensor>,
    ensemble_size: usize,
}

/// Losses of a step; both are scalars.
pub(super) struct Loss {
    /// Cross-entropy, averaged over the clips of the whole batch: the term of this process.
    pub cross_entropy: Tensor,
    /// The quantity whose gradient trains the model.
    pub total: Tensor,
}

impl Criterion {
    /// The loss of a training. Class weights are computed from the training subset.
    pub fn new(model: &EmotionModel, data: &TrainData, config: &TrainingConfig) -> Criterion {
        let class_weights = config.class_weights.then(|| {
            let weights = loss::balanced_weights(&data.train.labels(), model.classes().len());
            Tensor::from_slice(&weights).to_device(model.device())
        });
        Criterion {
            label_smoothing: config.label_smoothing,
            contrastive: config.contrastive,
            class_weights,
            ensemble_size: model.ensemble_size(),
        }
    }

    /// The losses of a batch, from the outputs for all networks and clips of this process.
    /// `targets` are class probabilities `[networks × batch, classes]`.
    ///
    /// The total is the mean loss times the number of networks, so that each network of an ensemble
    /// is trained as if it were alone.
    ///
    /// # Errors
    /// If the communication between processes fails.
    pub fn loss(
        &self,
        output: &TrainOutput,
        targets: &Tensor,
        batch: &RankBatch,
        group: &ProcessGroup,
    ) -> Result<Loss> {
        let class_weights = self.class_weights.as_ref();
        let targets = loss::smooth(targets, self.label_smoothing);
        let weight = all_reduce::batch_weight(group, batch, &targets, class_weights)?;
        let cross_entropy =
            loss::cross_entropy(&output.logits.flatten(0, 1), &targets, class_weights) * weight;
        let contrastive = match self.contrastive {
            0.0 => None,
            weight => {
                let (embeddings, labels) =
                    all_reduce::embeddings(group, &output.embeddings, batch)?;
                Some(loss::contrastive(&embeddings, &labels) * weight)
            }
        };
        let total = match contrastive {
            Some(contrastive) => &cross_entropy + contrastive,
            None => cross_entropy.shallow_clone(),
        };
        Ok(Loss {
            cross_entropy,
            total: total * self.ensemble_size as f64,
        })
    }
}
