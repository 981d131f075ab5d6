//! Weights for a PyTorch module of `torch.nn` layers.

use anyhow::Result;
use tch::Tensor;

use super::{card, names, warps};
use crate::inference::Predictor;
use crate::model::to_safetensors;

/// Bytes of a safetensors file with the weights of a run under PyTorch's names, its normalisation
/// and its VTLP warps. The metadata key `emovox` holds everything else as JSON.
///
/// # Errors
/// If libtorch cannot read the tensors, or if the metadata cannot be serialised.
pub fn safetensors(predictor: &Predictor) -> Result<Vec<u8>> {
    let [matrices, additions] = warps(predictor);
    let tensors = predictor.model().tensors();
    let weights = tensors
        .iter()
        .map(|(name, tensor)| (names::in_torch(name), tensor.shallow_clone()));
    let mut tensors: Vec<(String, Tensor)> = weights.collect();
    tensors.push(("tract_matrices".into(), matrices));
    tensors.push(("tract_additions".into(), additions));
    to_safetensors(&tensors, &card(predictor)?)
}
