//! Weights for a module of `torch.nn` layers.

use anyhow::Result;
use tch::Tensor;

use super::{card, names, tracts};
use crate::inference::Predictor;
use crate::model::to_safetensors;

/// The weights of a run by PyTorch's names, with its normalisation and its vocal tracts; in the metadata
/// everything else that is to be known, as JSON under `emovox`.
pub fn safetensors(predictor: &Predictor) -> Result<Vec<u8>> {
    let [matrices, additions] = tracts(predictor);
    let tensors = predictor.model().tensors();
    let weights = tensors
        .iter()
        .map(|(name, tensor)| (names::in_torch(name), tensor.shallow_clone()));
    let mut tensors: Vec<(String, Tensor)> = weights.collect();
    tensors.push(("tract_matrices".into(), matrices));
    tensors.push(("tract_additions".into(), additions));
    to_safetensors(&tensors, &card(predictor)?)
}
