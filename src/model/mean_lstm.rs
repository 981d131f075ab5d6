//! The baseline architecture: MFCCs averaged over time, read by an LSTM as a sequence of 40 steps
//! with one value each.

use tch::nn::{self, LSTM, Module, RNN};
use tch::{Kind, Tensor};

use super::dropout::Dropout;
use super::{init, mask};
use crate::config::MeanLstmConfig;

/// An LSTM over time-averaged MFCCs, followed by dense layers.
#[derive(Debug)]
pub(super) struct MeanLstm {
    dropout: f64,
    lstm: LSTM,
    dense1: nn::Linear,
    dense2: nn::Linear,
    output: nn::Linear,
}

impl MeanLstm {
    pub(super) fn new(root: &nn::Path, c: &MeanLstmConfig, classes: i64) -> Self {
        MeanLstm {
            dropout: c.dropout,
            lstm: init::lstm(&(root / "lstm"), 1, c.hidden),
            dense1: dense(root / "dense1", c.hidden, c.dense1),
            dense2: dense(root / "dense2", c.dense1, c.dense2),
            output: dense(root / "output", c.dense2, classes),
        }
    }

    /// Embedding of each clip, the input of the last layer: `[batch, dense2]`.
    pub(super) fn embed(
        &self,
        features: &Tensor,
        lengths: &Tensor,
        dropout: &mut Dropout,
    ) -> Tensor {
        let mask = mask::length_mask(lengths, features.size()[1]).unsqueeze(-1);
        let sum = (features * mask.to_kind(Kind::Float)).sum_dim_intlist(1, false, None);
        let mean = sum / lengths.unsqueeze(1).to_kind(Kind::Float);

        let (_, state) = self.lstm.seq(&mean.unsqueeze(-1));
        let last = dropout.apply(&state.h().squeeze_dim(0), self.dropout);
        let dense1 = dropout.apply(&self.dense1.forward(&last).relu(), self.dropout);
        self.dense2.forward(&dense1).relu()
    }

    /// Logits of embeddings: `[batch, classes]`.
    pub(super) fn classify(&self, embedded: &Tensor, dropout: &mut Dropout) -> Tensor {
        self.output.forward(&dropout.apply(embedded, self.dropout))
    }
}

/// A linear layer with the initial weights of Keras' `Dense`: Glorot-uniform, biases zero.
fn dense(path: nn::Path, inputs: i64, outputs: i64) -> nn::Linear {
    let glorot = (6.0 / (inputs + outputs) as f64).sqrt();
    let uniform = nn::Init::Uniform {
        lo: -glorot,
        up: glorot,
    };
    let config = nn::LinearConfig {
        ws_init: init::first_values(&path, uniform),
        bs_init: Some(nn::Init::Const(0.0)),
        bias: true,
    };
    nn::linear(path, inputs, outputs, config)
}
