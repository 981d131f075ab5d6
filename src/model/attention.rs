//! Attention pooling: each head computes a weighted average of the steps of a clip.

use tch::nn::{self, Module};
use tch::{Kind, Tensor};

/// Attention pooling with one score a head and step.
#[derive(Debug)]
pub(super) struct AttentionPooling {
    scores: nn::Linear,
}

impl AttentionPooling {
    pub(super) fn new(path: nn::Path, width: i64, heads: i64) -> Self {
        AttentionPooling {
            scores: super::linear(path, width, heads),
        }
    }

    /// `[batch, steps, width]` → `[batch, heads × width]`. `mask` `[batch, steps]` is false for
    /// padding, which has the weight 0.
    pub(super) fn forward(&self, steps: &Tensor, mask: &Tensor) -> Tensor {
        let scores = self.scores.forward(steps);
        let padding = mask.logical_not().unsqueeze(-1);
        let weights = scores
            .masked_fill(&padding, f64::NEG_INFINITY)
            .softmax(1, Kind::Float);
        weights.transpose(1, 2).matmul(steps).flatten(1, 2)
    }
}
