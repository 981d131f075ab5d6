//! Initial weights of an LSTM.
//!
//! tch initialises an LSTM with Kaiming-uniform weights and zero biases, which no other library
//! does. emovox follows Keras: Glorot-uniform input weights, orthogonal recurrent weights, and a
//! forget gate bias of 1, so that an untrained LSTM keeps its state (Jozefowicz et al. 2015).

use tch::nn::{self, Init, LSTM, RNNConfig};

/// An LSTM over `[batch, steps, inputs]` with one layer and one direction.
///
/// The caller applies dropout between layers. tch fixes the mode of an LSTM when it is built, so
/// dropout inside the LSTM would also be active at evaluation.
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
    // The gates are in the order input, forget, cell, output. libtorch adds two biases, so only one
    // of them is set to 1.
    tch::no_grad(|| {
        if let Some(bias) = path.get("bias_ih_l0") {
            let _ = bias.narrow(0, hidden, hidden).fill_(1.0);
        }
    });
    lstm
}
