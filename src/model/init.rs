//! How the weights of an LSTM start.
//!
//! tch starts them Kaiming-uniform with zero biases, which is nobody's choice for an LSTM. These
//! are Keras' rules: input weights Glorot-uniform, recurrent weights orthogonal, and the forget
//! gate's bias 1, so that a fresh LSTM remembers (Jozefowicz et al. 2015).

use tch::nn::{self, Init, LSTM, RNNConfig};

/// An LSTM over `[batch, steps, inputs]`, one layer, one direction.
///
/// Dropout between layers is left to the caller: tch fixes training or evaluation mode when the
/// LSTM is built, so dropout inside it would go on at evaluation.
pub(super) fn lstm(path: &nn::Path, inputs: i64, hidden: i64) -> LSTM {
    let glorot = (6.0 / (inputs + 4 * hidden) as f64).sqrt();
    let config = RNNConfig {
        w_ih_init: Init::Uniform {
            lo: -glorot,
            up: glorot,
        },
        w_hh_init: Init::Orthogonal { gain: 1.0 },
        ..RNNConfig::default()
    };
    let lstm = nn::lstm(path, inputs, hidden, config);
    // The gates lie in the order input, forget, cell, output. libtorch has two biases and adds
    // them, so one of them is set.
    tch::no_grad(|| {
        if let Some(bias) = path.get("bias_ih_l0") {
            let _ = bias.narrow(0, hidden, hidden).fill_(1.0);
        }
    });
    lstm
}
