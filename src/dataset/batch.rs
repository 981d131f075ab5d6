//! Batches, gathered from a part's tensors by a plan that is made before the epoch.

use tch::{Kind, Tensor};

use super::PartTensors;

/// Lengths are rounded up to a multiple of this many frames: oneDNN builds and keeps a primitive
/// for every length that it meets, so they should be few. A multiple of the usual frame stack.
const LENGTH_STEP: i64 = 24;

/// Clips of one step, padded to a common length.
#[derive(Debug)]
pub struct Batch {
    /// `[batch, frames, coefficients]`, zero behind each clip's end.
    pub features: Tensor,
    /// `[batch]`: real frames of each clip.
    pub lengths: Tensor,
    /// `[batch]`: the class of each clip.
    pub labels: Tensor,
}

/// One clip's turn in an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedClip {
    /// Which clip of the part.
    pub clip: usize,
    /// How fast it is played: 2 halves its length, 1 leaves it alone.
    pub speed: f64,
}

/// An epoch's batches. What they need is on the device before the first step.
#[derive(Debug)]
pub struct Plan<'a> {
    part: &'a PartTensors,
    batch_size: usize,
    /// The part's clips in the order in which they come.
    order: Vec<PlannedClip>,
    /// Frames that each batch is padded to.
    padded: Vec<i64>,
    starts: Tensor,
    lengths: Tensor,
    warped: Tensor,
    speeds: Tensor,
    labels: Tensor,
}

impl<'a> Plan<'a> {
    /// Batches of `batch_size` clips (the last may be smaller) in the order given.
    pub fn new(part: &'a PartTensors, order: Vec<PlannedClip>, batch_size: usize) -> Self {
        let device = part.frames.device();
        let warped: Vec<i64> = order
            .iter()
            .map(|planned| warped_length(part, planned))
            .collect();
        let padded = warped.chunks(batch_size).map(|batch| {
            let longest = batch.iter().copied().max().unwrap_or(1);
            (longest + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP
        });
        let gather =
            |values: &[i64]| -> Vec<i64> { order.iter().map(|p| values[p.clip]).collect() };
        let speeds: Vec<f32> = order.iter().map(|planned| planned.speed as f32).collect();
        Plan {
            part,
            batch_size,
            padded: padded.collect(),
            starts: Tensor::from_slice(&gather(&part.starts)).to_device(device),
            lengths: Tensor::from_slice(&gather(&part.lengths)).to_device(device),
            labels: Tensor::from_slice(&gather(&part.labels)).to_device(device),
            warped: Tensor::from_slice(&warped).to_device(device),
            speeds: Tensor::from_slice(&speeds).to_device(device),
            order,
        }
    }

    /// All clips as they are, the short ones first, so that little is padded.
    pub fn by_length(part: &'a PartTensors, batch_size: usize) -> Self {
        let mut clips: Vec<usize> = (0..part.clips()).collect();
        clips.sort_by_key(|&clip| part.lengths[clip]);
        let order = clips
            .into_iter()
            .map(|clip| PlannedClip { clip, speed: 1.0 })
            .collect();
        Plan::new(part, order, batch_size)
    }

    /// How many batches there are.
    pub fn batches(&self) -> usize {
        self.padded.len()
    }

    /// The clips of a batch, as numbers of the part's clips.
    pub fn clips(&self, batch: usize) -> impl Iterator<Item = usize> {
        self.planned(batch).iter().map(|planned| planned.clip)
    }

    /// Gathers a batch on the device. Between two frames of a clip whose speed was changed stands
    /// the linear interpolation of them.
    pub fn batch(&self, batch: usize) -> Batch {
        let start = (batch * self.batch_size) as i64;
        let size = self.planned(batch).len() as i64;
        let frames = self.padded[batch];
        let of_batch = |values: &Tensor| values.narrow(0, start, size);

        let lengths = of_batch(&self.warped);
        let time = Tensor::arange(frames, (Kind::Float, lengths.device())).unsqueeze(0);
        let position: Tensor = time * of_batch(&self.speeds).unsqueeze(1);
        let before = position.floor();
        let between = (position - &before).unsqueeze(-1);

        let last = of_batch(&self.lengths).unsqueeze(1) - 1;
        let padding = Tensor::arange(frames, (Kind::Int64, lengths.device()))
            .unsqueeze(0)
            .ge_tensor(&lengths.unsqueeze(1));
        let zero_frame = self.part.frames.size()[0] - 1;
        let gather = |frame: &Tensor| {
            let place = frame.minimum(&last) + of_batch(&self.starts).unsqueeze(1);
            let place = place.masked_fill(&padding, zero_frame);
            self.part
                .frames
                .index_select(0, &place.view([-1]))
                .view([size, frames, -1])
        };
        let before = before.to_kind(Kind::Int64);
        let first = gather(&before);
        let warps = self
            .planned(batch)
            .iter()
            .any(|planned| planned.speed != 1.0);
        let features = if warps {
            let second = gather(&(before + 1));
            first.lerp_tensor(&second, &between)
        } else {
            first
        };
        Batch {
            features,
            lengths,
            labels: of_batch(&self.labels),
        }
    }

    fn planned(&self, batch: usize) -> &[PlannedClip] {
        let start = batch * self.batch_size;
        let end = (start + self.batch_size).min(self.order.len());
        &self.order[start..end]
    }
}

/// Frames of a clip played at another speed.
fn warped_length(part: &PartTensors, planned: &PlannedClip) -> i64 {
    let last = (part.lengths[planned.clip] - 1) as f64;
    (last / planned.speed).floor() as i64 + 1
}
