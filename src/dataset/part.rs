//! One part of a split as tensors.

use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};

use crate::features::Features;
use crate::model::Normalisation;

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
    /// Brings clips to the device of `normalisation`.
    pub fn new(
        clips: &[(&Features, usize)],
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<Self> {
        let raw = frames_of(clips)?;
        let raw = raw.f_to_device(device).context(
            "the features do not fit on the device; use a machine with more memory, or --device cpu",
        )?;
        let normalised = normalisation.apply(&raw);
        let zero = Tensor::zeros([1, normalised.size()[1]], (Kind::Float, device));
        let lengths: Vec<i64> = clips
            .iter()
            .map(|(features, _)| features.frames() as i64)
            .collect();
        let starts = lengths.iter().scan(0, |next, length| {
            let start = *next;
            *next += length;
            Some(start)
        });
        Ok(PartTensors {
            frames: Tensor::cat(&[normalised, zero], 0),
            starts: starts.collect(),
            labels: clips.iter().map(|&(_, label)| label as i64).collect(),
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
pub fn frames_of(clips: &[(&Features, usize)]) -> Result<Tensor> {
    let coefficients = clips
        .first()
        .map_or(0, |(features, _)| features.coefficients());
    let values: Vec<f32> = clips
        .iter()
        .flat_map(|(features, _)| features.values().iter().copied())
        .collect();
    let frames = (values.len() / coefficients.max(1)) as i64;
    Ok(Tensor::f_from_slice(&values)?.f_view([frames, coefficients as i64])?)
}
