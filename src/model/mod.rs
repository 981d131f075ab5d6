//! MFCC batch → logits. Built from a [`ModelConfig`], the width of a frame and the names of the
//! classes, and from nothing else.

mod archive;
mod attention;
mod bilstm;
mod committee;
mod config;
mod dropout;
mod init;
mod listing;
mod mask;
mod safetensors;
mod seed;
mod statistics;
mod weights;

pub(crate) use archive::parts as archive_parts;
pub use config::{Arch, BilstmConfig, ModelConfig, SeedConfig};
pub use safetensors::{BEGINNING, about_safetensors, from_safetensors, to_safetensors};
pub use weights::{
    Head, about, check_about, check_numbers, decode, encode, encode_weights, fit, load_weights,
    read_tensors, save_weights, start_from,
};

use tch::nn::{self, VarStore};
use tch::{Device, Kind, Tensor};

use crate::dataset::Normalisation;
use committee::Committee;
use seed::Seed;

/// A model, its weights and the statistics that its input is normalised by.
#[derive(Debug)]
pub struct EmotionModel {
    arch: Arch,
    classes: Vec<String>,
    store: VarStore,
    normalisation: Normalisation,
    network: Network,
}

/// What a model makes of a batch in training.
#[derive(Debug)]
pub struct Heard {
    /// What is made of each clip before its classes are told apart: `[members, batch, width]`.
    pub embeddings: Tensor,
    /// `[members × batch, classes]`.
    pub logits: Tensor,
}

#[derive(Debug)]
enum Network {
    Bilstm(Committee),
    Seed(Box<Seed>),
}

impl EmotionModel {
    /// A model with fresh weights, drawn from libtorch's generator (`tch::manual_seed`).
    ///
    /// It is built on the device where it stays: moved later, cuDNN would lose the contiguous
    /// block that it wants an LSTM's weights in.
    pub fn new(
        config: &ModelConfig,
        coefficients: usize,
        classes: &[String],
        device: Device,
    ) -> Self {
        let store = VarStore::new(device);
        let root = store.root();
        let (coefficients, outputs) = (coefficients as i64, classes.len() as i64);
        let normalisation = Normalisation::new(&(&root / "normalisation"), coefficients);
        let network = match config {
            ModelConfig::Bilstm(config) => {
                Network::Bilstm(Committee::new(&root, config, coefficients, outputs))
            }
            ModelConfig::Seed(config) => Network::Seed(Box::new(Seed::new(&root, config, outputs))),
        };
        EmotionModel {
            arch: config.arch(),
            classes: classes.to_vec(),
            store,
            normalisation,
            network,
        }
    }

    /// Log-probabilities `[batch, classes]` for **normalised** features `[batch, frames, coefficients]`, of
    /// which each clip's first `lengths[i]` frames are real. What stands in the frames behind them
    /// changes nothing.
    pub fn log_probabilities(&self, features: &Tensor, lengths: &Tensor) -> Tensor {
        match &self.network {
            Network::Bilstm(committee) => committee.log_probabilities(features, lengths),
            Network::Seed(network) => {
                let embedded = network.embed(features, lengths, false);
                network
                    .classify(&embedded, false)
                    .log_softmax(-1, Kind::Float)
            }
        }
    }

    /// The same in training, with dropout. Of a committee each member hears its own share of the rows, of
    /// which there are [`EmotionModel::members`] times as many as clips.
    pub fn training(&self, features: &Tensor, lengths: &Tensor) -> Heard {
        match &self.network {
            Network::Bilstm(committee) => committee.training(features, lengths),
            Network::Seed(network) => {
                let embedded = network.embed(features, lengths, true);
                Heard {
                    logits: network.classify(&embedded, true),
                    embeddings: embedded.unsqueeze(0),
                }
            }
        }
    }

    /// How many networks learn apart and answer together.
    pub fn members(&self) -> i64 {
        match &self.network {
            Network::Bilstm(committee) => committee.len(),
            Network::Seed(_) => 1,
        }
    }

    /// Which architecture it is.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The labels in the order of the logits.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What brings raw features to mean 0 and variance 1.
    pub fn normalisation(&self) -> &Normalisation {
        &self.normalisation
    }

    /// The device that the model computes on.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// Every tensor with its name, sorted by name: the weights and the normalisation.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors: Vec<_> = self.store.variables().into_iter().collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        tensors
    }

    /// The tensors that training changes, sorted by name.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.tensors()
            .into_iter()
            .filter(|(_, tensor)| tensor.requires_grad())
            .collect()
    }

    /// How many numbers training changes.
    pub fn parameter_count(&self) -> usize {
        self.parameters()
            .iter()
            .map(|(_, tensor)| tensor.numel())
            .sum()
    }
}

/// A linear layer with PyTorch's own start: uniform in ±1/√inputs.
fn linear(path: nn::Path, inputs: i64, outputs: i64) -> nn::Linear {
    nn::linear(path, inputs, outputs, nn::LinearConfig::default())
}
