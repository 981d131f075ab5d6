//! One part of a split as tensors.

use anyhow::{Result, anyhow};
use tch::{Device, Kind, Tensor};

use super::Normalisation;
use crate::features::Features;

/// The largest part that is brought to a CPU's memory as a whole, in values: 512 MiB of them.
const LARGEST_RESIDENT: usize = 1 << 27;
/// Values that are copied at once.
const STRETCH: usize = 1 << 22;

/// The features and labels of a part, ready to be gathered into batches.
#[derive(Debug)]
pub struct PartTensors {
    pub(super) frames: Frames,
    /// Where each clip starts among all frames.
    pub(super) starts: Vec<i64>,
    /// How many frames each clip has.
    pub(super) lengths: Vec<i64>,
    /// The class of each clip.
    pub(super) labels: Vec<i64>,
}

/// The frames of all clips, one after the other.
#[derive(Debug)]
pub(super) enum Frames {
    /// Normalised and on the device: `[frames + 1, coefficients]`. The last one is zero, for padding to
    /// point at.
    Resident(Tensor),
    /// As they were computed, wherever that is.
    Apart(Vec<Features>, Normalisation),
}

impl PartTensors {
    /// Clips of these classes, for the device of `normalisation`: on it, or left where they are if
    /// that is a CPU and they are many.
    pub fn new(
        features: &[&Features],
        labels: &[usize],
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<Self> {
        let values: usize = features.iter().map(|clip| clip.size()).sum();
        match device == Device::Cpu && values > LARGEST_RESIDENT {
            true => Ok(PartTensors::apart(features, labels, normalisation)),
            false => PartTensors::resident(features, labels, normalisation, device),
        }
    }

    /// Brings the clips to the device.
    pub fn resident(
        features: &[&Features],
        labels: &[usize],
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<Self> {
        let frames = normalised(features, normalisation, device).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            anyhow!("the features cannot be brought to the device: {reason}; --device cpu may do")
        })?;
        Ok(PartTensors::of(Frames::Resident(frames), features, labels))
    }

    /// Leaves the clips where they are. Every batch is copied from there, and is the same to the last bit
    /// as from [`PartTensors::resident`]. For a CPU.
    pub fn apart(features: &[&Features], labels: &[usize], normalisation: &Normalisation) -> Self {
        let clips = features.iter().map(|&clip| clip.clone()).collect();
        let frames = Frames::Apart(clips, normalisation.copy());
        PartTensors::of(frames, features, labels)
    }

    fn of(frames: Frames, features: &[&Features], labels: &[usize]) -> Self {
        let lengths: Vec<i64> = features.iter().map(|f| f.frames() as i64).collect();
        let starts = lengths.iter().scan(0, |next, length| {
            let start = *next;
            *next += length;
            Some(start)
        });
        PartTensors {
            frames,
            starts: starts.collect(),
            labels: labels.iter().map(|&label| label as i64).collect(),
            lengths,
        }
    }

    /// Where its batches are.
    pub(super) fn device(&self) -> Device {
        match &self.frames {
            Frames::Resident(frames) => frames.device(),
            Frames::Apart(..) => Device::Cpu,
        }
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

/// The normalised frames of some clips, one after the other, and a frame of zeros:
/// `[frames + 1, coefficients]`. No more than a stretch of them is in memory twice.
pub(super) fn normalised(
    features: &[&Features],
    normalisation: &Normalisation,
    device: Device,
) -> Result<Tensor> {
    let coefficients = features.first().map_or(0, |first| first.coefficients()) as i64;
    let all: i64 = features.iter().map(|clip| clip.frames() as i64).sum();
    let frames = Tensor::f_zeros([all + 1, coefficients], (Kind::Float, device))?;
    let mut next = 0;
    let mut values = Vec::new();
    for (index, clip) in features.iter().enumerate() {
        values.extend_from_slice(&clip.read()?);
        if values.len() < STRETCH && index + 1 < features.len() {
            continue;
        }
        let stretch = Tensor::f_from_slice(&values)?.f_view([-1, coefficients])?;
        let stretch = normalisation.apply(&stretch.f_to_device(device)?);
        let length = stretch.size()[0];
        frames.f_narrow(0, next, length)?.f_copy_(&stretch)?;
        next += length;
        values.clear();
    }
    Ok(frames)
}
