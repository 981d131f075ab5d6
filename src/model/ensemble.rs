//! An ensemble of networks of the same shape, which are trained independently; their
//! log-probabilities are averaged.
//!
//! With few training speakers, the score of one network depends much on its initial weights and on
//! the order of the clips. The mean of several networks varies less and is better than most of
//! them. The networks are independent: each is trained on its own augmentation of the batch.

use std::ops::Range;
use std::slice;

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::TrainOutput;
use super::bilstm::{self, Bilstm};
use super::dropout::Dropout;
use crate::config::BilstmConfig;
use crate::random::ClipSeed;

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
    pub(super) fn len(&self) -> usize {
        self.networks.len()
    }

    /// Forward pass of a training step of some networks. `features` `[networks × batch, frames,
    /// coefficients]`, `lengths` and `seeds` `[networks × batch]` hold a batch for each of these
    /// networks, one after the other.
    pub(super) fn forward_train(
        &self,
        networks: Range<usize>,
        features: &Tensor,
        lengths: &Tensor,
        seeds: &[ClipSeed],
    ) -> TrainOutput {
        let networks = &self.networks[networks];
        let mut dropout = Dropout::training(seeds);
        let embedded = bilstm::embed(networks, features, lengths, &mut dropout);
        let logits = bilstm::classify(networks, &embedded, &mut dropout);
        let by_network = |x: Tensor| x.unflatten(0, [networks.len() as i64, -1]);
        TrainOutput {
            embeddings: by_network(embedded),
            logits: by_network(logits),
        }
    }

    /// Mean of the networks' log-probabilities, normalised: `[batch, frames, coefficients]` and
    /// `[batch]` → `[batch, classes]`.
    pub(super) fn log_probabilities(&self, features: &Tensor, lengths: &Tensor) -> Tensor {
        let predict = |network: &Bilstm| {
            let (network, mut dropout) = (slice::from_ref(network), Dropout::off());
            let embedded = bilstm::embed(network, features, lengths, &mut dropout);
            let logits = bilstm::classify(network, &embedded, &mut dropout);
            logits.log_softmax(-1, Kind::Float)
        };
        let predictions: Vec<Tensor> = self.networks.iter().map(predict).collect();
        Tensor::stack(&predictions, 0)
            .mean_dim(0, false, Kind::Float)
            .log_softmax(-1, Kind::Float)
    }
}

/// Prefix of the names of a network's tensors.
pub(super) fn prefix(network: usize) -> String {
    format!("member{network}.")
}
