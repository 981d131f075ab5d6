//! An ensemble of networks of the same shape, which are trained independently; their
//! log-probabilities are averaged.
//!
//! With few training speakers, the score of one network depends much on its initial weights and on
//! the order of the clips. The mean of several networks varies less and is better than most of
//! them. The networks are independent: each is trained on its own augmentation of the batch.

use std::ops::Range;

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::TrainOutput;
use super::bilstm::Bilstm;
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
        let count = networks.len() as i64;
        let features = features.chunk(count, 0);
        let lengths = lengths.chunk(count, 0);
        let seeds = seeds.chunks(seeds.len().div_ceil(networks.len()).max(1));
        let batches = features.iter().zip(&lengths).zip(seeds);
        let (embeddings, logits): (Vec<Tensor>, Vec<Tensor>) = networks
            .iter()
            .zip(batches)
            .map(|(network, ((features, lengths), seeds))| {
                let mut dropout = Dropout::training(seeds);
                let embedded = network.embed(features, lengths, &mut dropout);
                let logits = network.classify(&embedded, &mut dropout);
                (embedded, logits)
            })
            .unzip();
        TrainOutput {
            embeddings: Tensor::stack(&embeddings, 0),
            logits: Tensor::stack(&logits, 0),
        }
    }

    /// Mean of the networks' log-probabilities, normalised: `[batch, frames, coefficients]` and
    /// `[batch]` → `[batch, classes]`.
    pub(super) fn log_probabilities(&self, features: &Tensor, lengths: &Tensor) -> Tensor {
        let predict = |network: &Bilstm| {
            let mut dropout = Dropout::off();
            let embedded = network.embed(features, lengths, &mut dropout);
            let logits = network.classify(&embedded, &mut dropout);
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
