//! The loss that a step minimises.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::TrainData;
use super::all_reduce;
use super::epoch::RankBatch;
use super::loss;
use crate::config::TrainingConfig;
use crate::device;
use crate::distributed::ProcessGroup;
use crate::model::{EmotionModel, TrainOutput};

/// Cross-entropy with label smoothing and class weights, plus the supervised contrastive loss.
pub(super) struct Criterion {
    label_smoothing: f64,
    /// Weight of the contrastive loss.
    contrastive: f64,
    /// `[classes]`.
    class_weights: Option<Tensor>,
    /// Classes that the corpus of each training clip has, `[clips, classes]`, 0 or 1; `None` if all
    /// corpora have all classes.
    possible: Option<Tensor>,
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
            possible: possible_classes(data, config, model.classes().len())
                .map(|possible| possible.to_device(model.device())),
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
        let possible = self.possible_of(targets, batch);
        let targets = loss::smooth(targets, self.label_smoothing, possible.as_ref());
        let logits = loss::masked(&output.logits.flatten(0, 1), possible.as_ref());
        let local = loss::cross_entropy(&logits, &targets, class_weights);
        let cross_entropy = all_reduce::weighted(group, batch, &targets, class_weights, local)?;
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

    /// The classes that each clip of a batch may have, `[networks × batch, classes]`: those of its
    /// corpus, and of the clip that it is mixed with.
    fn possible_of(&self, targets: &Tensor, batch: &RankBatch) -> Option<Tensor> {
        let possible = self.possible.as_ref()?;
        let clips = device::upload(&Tensor::from_slice(&batch.clips), possible.device());
        let rows = possible.index_select(0, &clips);
        let rows = rows.repeat([self.ensemble_size as i64, 1]);
        Some(rows.maximum(&targets.gt(0.0).to_kind(Kind::Float)))
    }
}

/// The classes that the corpus of each training clip has, `[clips, classes]`. A clip of a corpus
/// without a class is no evidence against this class. `None` if this makes no difference, or if
/// the setting is off.
fn possible_classes(data: &TrainData, config: &TrainingConfig, classes: usize) -> Option<Tensor> {
    if !config.mask_absent_classes || data.corpora.is_empty() {
        return None;
    }
    let labels = data.train.labels();
    let corpora = 1 + data.corpora.iter().copied().max().unwrap_or(0);
    let mut has = vec![vec![0.0f32; classes]; corpora];
    for (&corpus, &label) in data.corpora.iter().zip(&labels) {
        has[corpus][label] = 1.0;
    }
    let own = |&corpus: &usize| has[corpus].as_slice();
    let rows: Vec<f32> = data.corpora.iter().flat_map(own).copied().collect();
    if rows.iter().all(|&possible| possible == 1.0) {
        return None;
    }
    Some(Tensor::from_slice(&rows).view([labels.len() as i64, classes as i64]))
}
