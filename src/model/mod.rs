//! MFCC batch → logits. A model is built from a [`ModelConfig`], the number of coefficients of a
//! frame and the class names, and from nothing else.

mod archive;
mod attention;
mod bilstm;
mod dropout;
mod ensemble;
mod evaluate;
mod init;
mod mask;
mod mean_lstm;
mod pickle;
mod safetensors;
mod statistics;
mod weights;

pub use crate::config::{Arch, BilstmConfig, MeanLstmConfig, ModelConfig};
pub(crate) use archive::entries as archive_entries;
pub use evaluate::{exponentials, log_probabilities, log_probabilities_of, prediction_batch};
pub use safetensors::{BEGINNING, from_safetensors, safetensors_metadata, to_safetensors};
pub use weights::{
    Head, check_metadata, check_numbers, decode, encode, encode_weights, init_from, is_last_layer,
    load_state_dict, load_weights, metadata, read_tensors, save_weights,
};

use std::ops::Range;

use tch::nn::{self, VarStore};
use tch::{Device, Kind, Tensor};

use crate::dataset::Normalisation;
use crate::random::ClipSeed;
use dropout::Dropout;
use ensemble::Ensemble;
use mean_lstm::MeanLstm;

/// A model: its networks, their weights and the statistics that normalise its input.
#[derive(Debug)]
pub struct EmotionModel {
    arch: Arch,
    classes: Vec<String>,
    store: VarStore,
    normalisation: Normalisation,
    network: Network,
}

/// Output of a forward pass in training.
#[derive(Debug)]
pub struct TrainOutput {
    /// Embeddings, the input of the last layer: `[networks, batch, width]`.
    pub embeddings: Tensor,
    /// Logits: `[networks, batch, classes]`.
    pub logits: Tensor,
}

#[derive(Debug)]
enum Network {
    Bilstm(Ensemble),
    MeanLstm(Box<MeanLstm>),
}

impl EmotionModel {
    /// A model with random weights, drawn from libtorch's generator on the CPU (`tch::manual_seed`):
    /// the same bits on every device.
    ///
    /// It is built on its final device. cuDNN needs the weights of an LSTM in one contiguous block,
    /// which a later move to another device would break up.
    pub fn new(
        config: &ModelConfig,
        coefficients: usize,
        classes: &[String],
        device: Device,
    ) -> Self {
        let model = EmotionModel::on(device, config, coefficients, classes);
        if device != Device::Cpu {
            model.copy_weights(&EmotionModel::on(
                Device::Cpu,
                config,
                coefficients,
                classes,
            ));
        }
        model
    }

    /// A model with random weights on a CPU, and with zeros on a GPU.
    fn on(device: Device, config: &ModelConfig, coefficients: usize, classes: &[String]) -> Self {
        let store = VarStore::new(device);
        let root = store.root();
        let (coefficients, outputs) = (coefficients as i64, classes.len() as i64);
        let normalisation = register_normalisation(&(&root / "normalisation"), coefficients);
        let network = match config {
            ModelConfig::Bilstm(config) => {
                Network::Bilstm(Ensemble::new(&root, config, coefficients, outputs))
            }
            ModelConfig::MeanLstm(config) => {
                Network::MeanLstm(Box::new(MeanLstm::new(&root, config, outputs)))
            }
        };
        EmotionModel {
            arch: config.arch(),
            classes: classes.to_vec(),
            store,
            normalisation,
            network,
        }
    }

    /// Takes the weights and the normalisation of a model of the same shape.
    fn copy_weights(&self, other: &EmotionModel) {
        tch::no_grad(|| {
            for ((_, mut own), (_, weights)) in self.tensors().into_iter().zip(other.tensors()) {
                own.copy_(&weights);
            }
        });
    }

    /// Log-probabilities `[batch, classes]` of **normalised** features `[batch, frames,
    /// coefficients]`. Clip i has `lengths[i]` frames; the values of the frames behind them
    /// (padding) have no effect.
    pub fn log_probabilities(&self, features: &Tensor, lengths: &Tensor) -> Tensor {
        match &self.network {
            Network::Bilstm(ensemble) => ensemble.log_probabilities(features, lengths),
            Network::MeanLstm(network) => {
                let mut dropout = Dropout::off();
                let embedded = network.embed(features, lengths, &mut dropout);
                network
                    .classify(&embedded, &mut dropout)
                    .log_softmax(-1, Kind::Float)
            }
        }
    }

    /// Forward pass of a training step of some networks of the ensemble, with dropout. `features`,
    /// `lengths` and `seeds` hold one batch for each of these networks, one after the other:
    /// networks × batch rows. The seeds draw the dropout of each row.
    pub fn forward_train(
        &self,
        networks: Range<usize>,
        features: &Tensor,
        lengths: &Tensor,
        seeds: &[ClipSeed],
    ) -> TrainOutput {
        match &self.network {
            Network::Bilstm(ensemble) => ensemble.forward_train(networks, features, lengths, seeds),
            Network::MeanLstm(network) => {
                let mut dropout = Dropout::training(seeds);
                let embedded = network.embed(features, lengths, &mut dropout);
                TrainOutput {
                    logits: network.classify(&embedded, &mut dropout).unsqueeze(0),
                    embeddings: embedded.unsqueeze(0),
                }
            }
        }
    }

    /// Number of networks in the ensemble.
    pub fn ensemble_size(&self) -> usize {
        match &self.network {
            Network::Bilstm(ensemble) => ensemble.len(),
            Network::MeanLstm(_) => 1,
        }
    }

    /// Trainable tensors of one network of the ensemble, as indices in
    /// [`EmotionModel::parameters`].
    pub fn parameters_of(&self, network: usize) -> Vec<usize> {
        let prefix = match self.ensemble_size() {
            1 => String::new(),
            _ => ensemble::prefix(network),
        };
        let parameters = self.parameters().into_iter().enumerate();
        parameters
            .filter(|(_, (name, _))| name.starts_with(&prefix))
            .map(|(index, _)| index)
            .collect()
    }

    /// Architecture of the model.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Class names in the order of the logits.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Statistics that normalise raw features to mean 0 and variance 1.
    pub fn normalisation(&self) -> &Normalisation {
        &self.normalisation
    }

    /// Device of the model and of its inputs.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// All tensors with their names, sorted by name: the weights and the normalisation.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors: Vec<_> = self.store.variables().into_iter().collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        tensors
    }

    /// Trainable tensors with their names, sorted by name.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.tensors()
            .into_iter()
            .filter(|(_, tensor)| tensor.requires_grad())
            .collect()
    }

    /// Number of trainable values.
    pub fn parameter_count(&self) -> usize {
        self.parameters()
            .iter()
            .map(|(_, tensor)| tensor.numel())
            .sum()
    }
}

/// A linear layer with the initial weights of PyTorch: uniform in ±1/√inputs.
fn linear(path: nn::Path, inputs: i64, outputs: i64) -> nn::Linear {
    let default = nn::LinearConfig::default();
    let config = match path.device() {
        Device::Cpu => default,
        _ => nn::LinearConfig {
            ws_init: init::first_values(&path, default.ws_init),
            bs_init: Some(nn::Init::Const(0.0)),
            ..default
        },
    };
    nn::linear(path, inputs, outputs, config)
}

/// The identity as a part of the model's weights, until statistics are computed.
fn register_normalisation(path: &nn::Path, coefficients: i64) -> Normalisation {
    Normalisation::new(
        path.zeros_no_train("mean", &[coefficients]),
        path.ones_no_train("deviation", &[coefficients]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_weights_are_the_same_bits() {
        let classes = ["a".to_string(), "b".to_string()];
        for config in [
            ModelConfig::Bilstm(BilstmConfig::default()),
            ModelConfig::MeanLstm(MeanLstmConfig::default()),
        ] {
            let [one, other] = [1, 2].map(|_| EmotionModel::new(&config, 5, &classes, Device::Cpu));
            assert_ne!(one.tensors(), other.tensors());
            other.copy_weights(&one);
            assert_eq!(one.tensors(), other.tensors());
        }
    }
}
