//! The default architecture: a bidirectional LSTM over MFCC frames.
//!
//! Padded batches use libtorch's fast implementations (oneDNN on a CPU, cuDNN on a GPU); packed
//! batches do not. Padding must not change the result, so the two directions are separate LSTMs.
//! The backward LSTM reads the steps of each clip in reverse order, with the padding still at the
//! end. Both LSTMs reach the padding after the clip, and their outputs there are ignored.
//!
//! In training, a GPU computes all networks of an ensemble in one call, because starting an operation
//! takes it longer than computing it. Operations without weights run once, over the batches of all
//! networks. Linear layers and the norm are one operation over stacked weights, and only LSTMs run
//! once for each network.

use tch::nn::{self, LSTM, Module, RNN};
use tch::{Kind, Tensor};

use super::attention::attention_pooling;
use super::dropout::Dropout;
use super::statistics::mean_and_std;
use super::{init, linear, mask};
use crate::config::BilstmConfig;

/// One network of the ensemble.
#[derive(Debug)]
pub(super) struct Bilstm {
    config: BilstmConfig,
    input: nn::Linear,
    input_norm: nn::LayerNorm,
    layers: Vec<Bidirectional>,
    attention: nn::Linear,
    output: nn::Linear,
}

#[derive(Debug)]
struct Bidirectional {
    forward: LSTM,
    backward: LSTM,
}

impl Bilstm {
    pub(super) fn new(root: &nn::Path, c: &BilstmConfig, coefficients: i64, classes: i64) -> Self {
        let width = 2 * c.hidden;
        let statistics = if c.statistics { 2 * c.input } else { 0 };
        let layers = (0..c.layers).map(|layer| {
            let inputs = if layer == 0 { c.input } else { width };
            let path = root / format!("lstm{layer}");
            Bidirectional {
                forward: init::lstm(&(&path / "forward"), inputs, c.hidden),
                backward: init::lstm(&(&path / "backward"), inputs, c.hidden),
            }
        });
        Bilstm {
            input: linear(root / "input", c.frame_stacking * coefficients, c.input),
            input_norm: nn::layer_norm(root / "input_norm", vec![c.input], Default::default()),
            layers: layers.collect(),
            attention: linear(root / "attention", width, c.heads),
            output: linear(root / "output", c.heads * width + statistics, classes),
            config: c.clone(),
        }
    }
}

/// Embedding of each clip, the input of the last layer. `features` `[networks × batch, frames,
/// coefficients]` and `lengths` `[networks × batch]` hold a batch for each network, one after the
/// other, and so does the result `[networks × batch, width]`. The networks have the same shape.
pub(super) fn embed(
    networks: &[Bilstm],
    features: &Tensor,
    lengths: &Tensor,
    dropout: &mut Dropout,
) -> Tensor {
    let c = &networks[0].config;
    let (stacked, lengths) = stack(features, lengths, c.frame_stacking);
    let (rows, steps) = (stacked.size()[0], stacked.size()[1]);
    let mask = mask::length_mask(&lengths, steps);
    let reversed_order = mask::reverse_padded(&lengths, steps);
    let reverse = |x: &Tensor| {
        x.flatten(0, 1)
            .index_select(0, &reversed_order)
            .view([rows, steps, -1])
    };

    let mut x = linear_of_each(networks, &stacked, |network| &network.input);
    x = norm_of_each(networks, &x);
    x = dropout.apply(&x.relu(), c.input_dropout);
    let statistics = c.statistics.then(|| mean_and_std(&x, &mask));
    for layer in 0..c.layers as usize {
        let forward = of_each(networks, &x, |network, x| {
            network.layers[layer].forward.seq(x).0
        });
        let backward = of_each(networks, &reverse(&x), |network, x| {
            network.layers[layer].backward.seq(x).0
        });
        let both = Tensor::cat(&[forward, reverse(&backward)], 2);
        x = dropout.apply(&both, c.dropout);
    }
    let scores = linear_of_each(networks, &x, |network| &network.attention);
    let pooled = attention_pooling(&scores, &x, &mask);
    match statistics {
        Some(statistics) => Tensor::cat(&[pooled, statistics], 1),
        None => pooled,
    }
}

/// Logits of the embeddings of [`embed`]: `[networks × batch, classes]`.
pub(super) fn classify(networks: &[Bilstm], embedded: &Tensor, dropout: &mut Dropout) -> Tensor {
    let embedded = dropout.apply(embedded, networks[0].config.dropout);
    linear_of_each(networks, &embedded, |network| &network.output)
}

/// Applies a linear layer of each network to its own rows `[networks × batch, …, inputs]`.
fn linear_of_each(
    networks: &[Bilstm],
    x: &Tensor,
    layer: impl Fn(&Bilstm) -> &nn::Linear,
) -> Tensor {
    if let [network] = networks {
        return layer(network).forward(x);
    }
    let weights = stacked(networks, |network| &layer(network).ws);
    let biases = stacked(networks, |network| present(&layer(network).bs));
    let mut size = x.size();
    let rows = x.reshape([networks.len() as i64, -1, size[size.len() - 1]]);
    let outputs = biases
        .unsqueeze(1)
        .baddbmm(&rows, &weights.transpose(1, 2), 1, 1);
    size.pop();
    size.push(weights.size()[1]);
    outputs.view(&size[..])
}

/// Applies the norm of each network's input to its own rows `[networks × batch, steps, width]`.
fn norm_of_each(networks: &[Bilstm], x: &Tensor) -> Tensor {
    if let [network] = networks {
        return network.input_norm.forward(x);
    }
    let size = x.size();
    let (rows, width) = (size[0], size[2]);
    let [weights, biases] = [
        stacked(networks, |network| present(&network.input_norm.ws)),
        stacked(networks, |network| present(&network.input_norm.bs)),
    ]
    .map(|values| values.view([-1, 1, 1, width]));
    let epsilon = nn::LayerNormConfig::default().eps;
    let normal = x.layer_norm([width], None::<&Tensor>, None::<&Tensor>, epsilon, true);
    let by_network = normal.view([networks.len() as i64, -1, size[1], width]);
    biases
        .addcmul(&by_network, &weights)
        .view([rows, size[1], width])
}

/// A tensor of each network: `[networks, …]`.
fn stacked<'a>(networks: &'a [Bilstm], of: impl Fn(&'a Bilstm) -> &'a Tensor) -> Tensor {
    let tensors: Vec<&Tensor> = networks.iter().map(of).collect();
    Tensor::stack(&tensors, 0)
}

fn present(values: &Option<Tensor>) -> &Tensor {
    values
        .as_ref()
        .expect("the layer is made with weights and biases")
}

/// Applies an LSTM of each network to its own rows `[networks × batch, …]`.
fn of_each(networks: &[Bilstm], x: &Tensor, layer: impl Fn(&Bilstm, &Tensor) -> Tensor) -> Tensor {
    if let [network] = networks {
        return layer(network, x);
    }
    let rows = x.chunk(networks.len() as i64, 0);
    let outputs: Vec<Tensor> = networks
        .iter()
        .zip(&rows)
        .map(|(n, x)| layer(n, x))
        .collect();
    Tensor::cat(&outputs, 0)
}

/// Stacks `stack` consecutive frames into one step: `[batch, frames, coefficients]` → `[batch,
/// steps, stack × coefficients]`, and lengths in steps. Padding frames become zero, which is the
/// mean of a normalised frame.
fn stack(features: &Tensor, lengths: &Tensor, stack: i64) -> (Tensor, Tensor) {
    let (batch, frames) = (features.size()[0], features.size()[1]);
    let mask = mask::length_mask(lengths, frames).unsqueeze(-1);
    let mut padded = features * mask.to_kind(Kind::Float);
    let missing = (stack - frames % stack) % stack;
    if missing > 0 {
        padded = padded.constant_pad_nd([0, 0, 0, missing]);
    }
    (
        padded.view([batch, (frames + missing) / stack, -1]),
        (lengths + (stack - 1)).divide_scalar_mode(stack, "floor"),
    )
}
