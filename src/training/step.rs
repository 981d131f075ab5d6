//! One optimisation step: forward pass, loss, backward pass, update of the weights.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::{Training, augment, gather, loss};
use crate::dataset::Batch;
use crate::model::TrainOutput;

/// The clips of a batch that one process computes.
pub(super) struct Share<'a> {
    /// The clips of this process; none if the batch is smaller than the number of processes.
    pub(super) own: Option<&'a Batch>,
    /// Number of clips of all processes.
    pub(super) whole: usize,
}

/// Actions after a step, requested by one process or agreed between all processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    /// Stop the training.
    pub(super) stop: bool,
    /// Save a checkpoint.
    pub(super) save: bool,
}

impl Training<'_> {
    /// Runs one optimisation step. Returns this process's term of the loss (a scalar), the number
    /// of correct predictions summed over the networks of the ensemble (a scalar), and the actions
    /// that all processes agree on.
    ///
    /// # Errors
    /// If the communication between processes fails.
    pub(super) fn step(
        &mut self,
        batch: &Share,
        learning_rate: f64,
        wishes: Wishes,
    ) -> Result<(Tensor, Tensor, Wishes)> {
        let Training {
            model,
            data,
            config,
            ranks,
            ..
        } = *self;
        let members = model.members();
        let forward = |own: &Batch| {
            // Each network of the ensemble gets its own augmentation of the batch.
            let repeated = own.repeated(members);
            let augmented = augment::augment(
                &repeated,
                model.classes().len() as i64,
                data.spectrum.as_ref(),
                &config.augmentation,
            );
            let output = model.training(&augmented.features, &repeated.lengths);
            (
                repeated,
                loss::smooth(&augmented.targets, config.label_smoothing),
                output,
            )
        };
        let output = batch.own.map(forward);
        let own = output.as_ref().zip(batch.own);
        let class_weights = self.class_weights.as_ref();
        let targets = output.as_ref().map(|(_, targets, _)| targets);
        let share = gather::share_of(ranks, targets, class_weights, batch.whole as i64 * members)?;
        let loss = match &output {
            Some((_, targets, TrainOutput { logits, .. })) => {
                loss::cross_entropy(logits, targets, class_weights)
            }
            None => Tensor::from(0f32).to_device(model.device()),
        };
        let loss = match share {
            Some(share) => loss * share,
            None => loss,
        };
        let contrastive = match config.contrastive {
            0.0 => None,
            _ => {
                let own = own.map(|((.., output), own)| (&output.embeddings, &own.labels));
                gather::embeddings(ranks, model.device(), own, members, batch.whole)?
                    .map(|(embeddings, labels)| loss::contrastive(&embeddings, &labels))
            }
        };
        let minimised = match contrastive {
            None => loss.shallow_clone(),
            Some(contrastive) => &loss + contrastive * config.contrastive,
        };
        // These factors train each network as if it were alone: the loss is its mean over the
        // batch, and the gradient norm of an ensemble of n similar networks is √n times that of
        // one.
        let members = members as f64;
        if output.is_some() {
            (minimised * members).backward();
        }
        let agreed = gather::gradients(ranks, &mut self.optimizer, wishes)?;
        let clip_norm = config.clip_norm * members.sqrt();
        self.optimizer.step(learning_rate, clip_norm);
        let hits = match &output {
            Some((repeated, _, TrainOutput { logits, .. })) => logits
                .argmax(-1, false)
                .eq_tensor(&repeated.labels)
                .sum(Kind::Int64),
            None => Tensor::from(0i64).to_device(model.device()),
        };
        Ok((loss.detach(), hits, agreed))
    }
}
