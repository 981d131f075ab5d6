//! The default architecture: a bidirectional LSTM over MFCC frames.
//!
//! Padded batches use libtorch's fast implementations (oneDNN on a CPU, cuDNN on a GPU); packed
//! batches do not. Padding must not change the result, so the two directions are separate LSTMs.
//! The backward LSTM reads the steps of each clip in reverse order, with the padding still at the
//! end. Both LSTMs reach the padding after the clip, and their outputs there are ignored.

use tch::nn::{self, LSTM, Module, RNN};
use tch::{Kind, Tensor};

use super::attention::AttentionPooling;
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
    pooling: AttentionPooling,
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
            pooling: AttentionPooling::new(root / "attention", width, c.heads),
            output: linear(root / "output", c.heads * width + statistics, classes),
            config: c.clone(),
        }
    }

    /// Embedding of each clip, the input of the last layer: `[batch, width]`.
    pub(super) fn embed(
        &self,
        features: &Tensor,
        lengths: &Tensor,
        dropout: &mut Dropout,
    ) -> Tensor {
        let c = &self.config;
        let (stacked, lengths) = self.stack(features, lengths);
        let (batch, steps) = (stacked.size()[0], stacked.size()[1]);
        let mask = mask::length_mask(&lengths, steps);
        let reversed_order = mask::reverse_padded(&lengths, steps);
        let reverse = |x: &Tensor| {
            x.flatten(0, 1)
                .index_select(0, &reversed_order)
                .view([batch, steps, -1])
        };

        let mut x = self.input_norm.forward(&self.input.forward(&stacked));
        x = dropout.apply(&x.relu(), c.input_dropout);
        let statistics = c.statistics.then(|| mean_and_std(&x, &mask));
        for layer in &self.layers {
            let (forward, _) = layer.forward.seq(&x);
            let (backward, _) = layer.backward.seq(&reverse(&x));
            let both = Tensor::cat(&[forward, reverse(&backward)], 2);
            x = dropout.apply(&both, c.dropout);
        }
        let pooled = self.pooling.forward(&x, &mask);
        match statistics {
            Some(statistics) => Tensor::cat(&[pooled, statistics], 1),
            None => pooled,
        }
    }

    /// Logits of embeddings: `[batch, classes]`.
    pub(super) fn classify(&self, embedded: &Tensor, dropout: &mut Dropout) -> Tensor {
        self.output
            .forward(&dropout.apply(embedded, self.config.dropout))
    }

    /// Stacks `stack` consecutive frames into one step: `[batch, frames, coefficients]` → `[batch,
    /// steps, stack × coefficients]`, and lengths in steps. Padding frames become zero, which is
    /// the mean of a normalised frame.
    fn stack(&self, features: &Tensor, lengths: &Tensor) -> (Tensor, Tensor) {
        let stack = self.config.frame_stacking;
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
}
