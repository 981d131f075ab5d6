//! An ensemble of networks of the same shape, which are trained independently; their
//! log-probabilities are averaged.
//!
//! With few training speakers, the score of one network depends much on its initial weights and on
//! the order of the clips. The mean of several networks varies less and is better than most of
//! them. The networks are independent: each is trained on its own augmentation of the batch.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::TrainOutput;
use super::bilstm::Bilstm;
use crate::config::BilstmConfig;

/// An ensemble of one or more networks.
#[derive(Debug)]
pub(super) struct Ensemble {
    networks: Vec<Bilstm>,
}

impl Ensemble {
    pub(super) fn new(root: &Path, c: &BilstmConfig, coefficients: i64, classes: i64) -> Self {
        let network = |path: &Path| Bilstm::new(path, c, coefficients, classes);
        let networks = match c.ensemble_size {
            1 => vec![network(root)],
            count => (0..count)
                .map(|number| network(&(root / format!("member{number}"))))
                .collect(),
        };
        Ensemble { networks }
    }

    /// Number of networks.
    pub(super) fn len(&self) -> i64 {
        self.networks.len() as i64
    }

    /// Forward pass of a training step. `features` `[networks × batch, frames, coefficients]` and
    /// `lengths` `[networks × batch]` hold a batch for each network, one after the other.
    pub(super) fn forward_train(&self, features: &Tensor, lengths: &Tensor) -> TrainOutput {
        let features = features.chunk(self.len(), 0);
        let lengths = lengths.chunk(self.len(), 0);
        let batches = features.iter().zip(&lengths);
        let (embeddings, logits): (Vec<Tensor>, Vec<Tensor>) = self
            .networks
            .iter()
            .zip(batches)
            .map(|(network, (features, lengths))| {
                let embedded = network.embed(features, lengths, true);
                let logits = network.classify(&embedded, true);
                (embedded, logits)
            })
            .unzip();
        TrainOutput {
            embeddings: Tensor::stack(&embeddings, 0),
            logits: Tensor::cat(&logits, 0),
        }
    }

    /// Mean of the networks' log-probabilities, normalised: `[batch, frames, coefficients]` and
    /// `[batch]` → `[batch, classes]`.
    pub(super) fn log_probabilities(&self, features: &Tensor, lengths: &Tensor) -> Tensor {
        let predict = |network: &Bilstm| {
            let embedded = network.embed(features, lengths, false);
            let logits = network.classify(&embedded, false);
            logits.log_softmax(-1, Kind::Float)
        };
        let predictions: Vec<Tensor> = self.networks.iter().map(predict).collect();
        Tensor::stack(&predictions, 0)
            .mean_dim(0, false, Kind::Float)
            .log_softmax(-1, Kind::Float)
    }
}
