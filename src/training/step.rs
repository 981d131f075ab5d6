//! One step: a batch forward and backward, and the weights moved.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::{Training, augment, gather, loss};
use crate::dataset::Batch;
use crate::model::Heard;

/// A process's share of a batch.
pub(super) struct Share<'a> {
    /// Its own clips, if it has some.
    pub(super) own: Option<&'a Batch>,
    /// How many clips all processes have together.
    pub(super) whole: usize,
}

/// What a process would have done after a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    pub(super) stop: bool,
    pub(super) save: bool,
}

impl Training<'_> {
    /// One step: its loss, and how many clips were classified right, by each member on its own. Of
    /// several processes each gives its part of the loss, and hears what all of them wish.
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
            // Each member of a committee learns from a variation of the batch of its own.
            let repeated = own.repeated(members);
            let augmented = augment::augment(
                &repeated,
                model.classes().len() as i64,
                data.spectrum.as_ref(),
                &config.augmentation,
            );
            let heard = model.training(&augmented.features, &repeated.lengths);
            (
                repeated,
                loss::smooth(&augmented.targets, config.label_smoothing),
                heard,
            )
        };
        let heard = batch.own.map(forward);
        let own = heard.as_ref().zip(batch.own);
        let class_weights = self.class_weights.as_ref();
        let targets = heard.as_ref().map(|(_, targets, _)| targets);
        let share = gather::share_of(ranks, targets, class_weights, batch.whole as i64 * members)?;
        let loss = match &heard {
            Some((_, targets, Heard { logits, .. })) => {
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
                let own = own.map(|((.., heard), own)| (&heard.embeddings, &own.labels));
                gather::embeddings(ranks, model.device(), own, members, batch.whole)?
                    .map(|(embeddings, labels)| loss::contrastive(&embeddings, &labels))
            }
        };
        let minimised = match contrastive {
            None => loss.shallow_clone(),
            Some(contrastive) => &loss + contrastive * config.contrastive,
        };
        // Each as if it learnt alone: its own mean over the batch, and its own part of the norm.
        let members = members as f64;
        if heard.is_some() {
            (minimised * members).backward();
        }
        let agreed = gather::gradients(ranks, &mut self.optimizer, wishes)?;
        let clip_norm = config.clip_norm * members.sqrt();
        self.optimizer.step(learning_rate, clip_norm);
        let hits = match &heard {
            Some((repeated, _, Heard { logits, .. })) => logits
                .argmax(-1, false)
                .eq_tensor(&repeated.labels)
                .sum(Kind::Int64),
            None => Tensor::from(0i64).to_device(model.device()),
        };
        Ok((loss.detach(), hits, agreed))
    }
}
