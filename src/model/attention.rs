//! Attention pooling: each head weighs the steps of a clip and averages them.

use tch::nn::{self, Module};
use tch::{Kind, Tensor};

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

    /// `[batch, steps, width]` → `[batch, heads × width]`; only the `real` steps are weighed.
    pub(super) fn forward(&self, steps: &Tensor, real: &Tensor) -> Tensor {
        let scores = self.scores.forward(steps);
        let padding = real.logical_not().unsqueeze(-1);
        let weights = scores
            .masked_fill(&padding, f64::NEG_INFINITY)
            .softmax(1, Kind::Float);
        weights.transpose(1, 2).matmul(steps).flatten(1, 2)
    }
}
