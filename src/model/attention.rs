//! Attention pooling: each head computes a weighted average of the steps of a clip.

use tch::{Kind, Tensor};

/// Pools the steps of each clip, `[batch, steps, width]` → `[batch, heads × width]`. The weights of a
/// head are the softmax of its scores, `[batch, steps, heads]`. `mask` `[batch, steps]` is false for
/// padding, which has the weight 0.
pub(super) fn attention_pooling(scores: &Tensor, steps: &Tensor, mask: &Tensor) -> Tensor {
    let padding = mask.logical_not().unsqueeze(-1);
    let weights = scores
        .masked_fill(&padding, f64::NEG_INFINITY)
        .softmax(1, Kind::Float);
    weights.transpose(1, 2).matmul(steps).flatten(1, 2)
}
