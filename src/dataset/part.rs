//! One part of a split as tensors.

use anyhow::{Result, anyhow};
use tch::{Device, Kind, Tensor};

use super::Normalisation;
use crate::features::Features;

/// The normalised features and labels of a part, on the device.
#[derive(Debug)]
pub struct PartTensors {
    /// All frames of all clips, one after the other: `[frames + 1, coefficients]`. The last one is
    /// zero, for padding to point at.
    pub(super) frames: Tensor,
    /// Where each clip starts in `frames`.
    pub(super) starts: Vec<i64>,
    /// How many frames each clip has.
    pub(super) lengths: Vec<i64>,
    /// The class of each clip.
    pub(super) labels: Vec<i64>,
}

impl PartTensors {
    /// Brings clips of these classes to the device of `normalisation`.
    pub fn new(
        features: &[&Features],
        labels: &[usize],
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<Self> {
        let raw = frames_of(features)?.f_to_device(device).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            anyhow!("the features cannot be brought to the device: {reason}; --device cpu may do")
        })?;
        let normalised = normalisation.apply(&raw);
        let zero = Tensor::zeros([1, normalised.size()[1]], (Kind::Float, device));
        let lengths: Vec<i64> = features.iter().map(|f| f.frames() as i64).collect();
        let starts = lengths.iter().scan(0, |next, length| {
            let start = *next;
            *next += length;
            Some(start)
        });
        Ok(PartTensors {
            frames: Tensor::cat(&[normalised, zero], 0),
            starts: starts.collect(),
            labels: labels.iter().map(|&label| label as i64).collect(),
            lengths,
        })
    }

    /// How many clips there are.
    pub fn clips(&self) -> usize {
        self.lengths.len()
    }

    /// The class of each clip.
    pub fn labels(&self) -> Vec<usize> {
        self.labels.iter().map(|&label| label as usize).collect()
    }

    /// Frames of each clip.
    pub fn lengths(&self) -> &[i64] {
        &self.lengths
    }
}

/// The frames of all clips, one after the other: `[frames, coefficients]`, on the CPU.
pub(super) fn frames_of(features: &[&Features]) -> Result<Tensor> {
    let coefficients = features.first().map_or(0, |first| first.coefficients());
    let values: Vec<f32> = features.iter().flat_map(|f| f.values()).copied().collect();
    let frames = (values.len() / coefficients.max(1)) as i64;
    Ok(Tensor::f_from_slice(&values)?.f_view([frames, coefficients as i64])?)
}
