//! Initial weights. They are drawn on the CPU, so that a training starts from the same bits on every
//! device.
//!
//! tch initialises an LSTM with Kaiming-uniform weights and zero biases, which no other library
//! does. emovox follows Keras: Glorot-uniform input weights, orthogonal recurrent weights, and a
//! forget gate bias of 1, so that an untrained LSTM keeps its state (Jozefowicz et al. 2015).

use tch::Device;
use tch::nn::{self, Init, LSTM, RNNConfig};

/// First values of a tensor. On a GPU they are zeros, which the values of a model on the CPU replace.
pub(super) fn first_values(path: &nn::Path, init: Init) -> Init {
    match path.device() {
        Device::Cpu => init,
        _ => Init::Const(0.0),
    }
}

/// An LSTM over `[batch, steps, inputs]` with one layer and one direction.
///
/// The caller applies dropout between layers. tch fixes the mode of an LSTM when it is built, so
/// dropout inside the LSTM would also be active at evaluation.
pub(super) fn lstm(path: &nn::Path, inputs: i64, hidden: i64) -> LSTM {
    let glorot = (6.0 / (inputs + 4 * hidden) as f64).sqrt();
    let config = RNNConfig {
        w_ih_init: first_values(
            path,
            Init::Uniform {
                lo: -glorot,
                up: glorot,
            },
        ),
        w_hh_init: first_values(path, Init::Orthogonal { gain: 1.0 }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::VarStore;

    #[test]
    fn only_a_cpu_draws() {
        let draw = Init::Orthogonal { gain: 1.0 };
        let start = |device| {
            let store = VarStore::new(device);
            first_values(&store.root(), draw)
        };
        assert!(matches!(start(Device::Cpu), Init::Orthogonal { gain: 1.0 }));
        assert!(matches!(start(Device::Cuda(0)), Init::Const(0.0)));
    }
}
