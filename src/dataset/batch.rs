//! Batches of a subset, gathered from its tensors by a plan that is made before the epoch.

use std::ops::Range;

use anyhow::Result;
use tch::{Kind, Tensor};

use super::SplitTensors;
use super::split_tensors::{Frames, normalised};
use crate::device;
use crate::features::Features;

/// Padded lengths are a multiple of this number of frames: oneDNN builds and caches a primitive for
/// every length, so there should be few lengths. It is a multiple of the usual frame stacking.
const LENGTH_STEP: i64 = 30;

/// Maximum number of padded frames of a batch in inference, where one clip of a minute would
/// otherwise increase the padding of all others. 200 000 frames of 86 coefficients take 69 MB.
const MAX_BATCH_FRAMES: i64 = 200_000;

/// Clips of one step, padded to a common length.
#[derive(Debug)]
pub struct Batch {
    /// Features, `[batch, frames, coefficients]`, padded with zeros behind the end of each clip.
    pub features: Tensor,
    /// Number of frames of each clip without padding, `[batch]`.
    pub lengths: Tensor,
    /// Class index of each clip, `[batch]`.
    pub labels: Tensor,
}

/// One occurrence of a clip in an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleSpec {
    /// Index of the clip in the subset.
    pub clip: usize,
    /// Version of the clip.
    pub version: usize,
    /// Playback speed: 2 halves the length, 1 does not change it.
    pub speed: f64,
}

/// The batches of an epoch. The indices and lengths of all batches are on the device before the
/// first step.
#[derive(Debug)]
pub struct BatchPlan<'a> {
    tensors: &'a SplitTensors,
    /// Range of each batch in `order`.
    batches: Vec<Range<usize>>,
    /// Number of clips of each batch that count.
    sizes: Vec<usize>,
    /// Number of clips of each batch in all processes together.
    whole_sizes: Vec<usize>,
    /// The clips in the order of the epoch.
    order: Vec<SampleSpec>,
    /// Number of frames of each clip at its speed.
    warped_lengths: Vec<i64>,
    starts: Tensor,
    lengths: Tensor,
    warped: Tensor,
    speeds: Tensor,
    labels: Tensor,
}

impl<'a> BatchPlan<'a> {
    /// Batches of the given clips.
    pub fn new(tensors: &'a SplitTensors, batches: &[Vec<SampleSpec>]) -> Self {
        BatchPlan::shared(tensors, batches, 1, |clips| 0..clips)
    }

    /// The local slice of one of several processes in the same batches. `share` returns the range
    /// of this process for a number of clips. The clips of a batch are assigned to the processes in
    /// turn, so that long clips are distributed evenly. If a slice is empty,
    /// the batch is a stand-in of one clip, and [`BatchPlan::size`] is 0.
    pub fn shared(
        tensors: &'a SplitTensors,
        batches: &[Vec<SampleSpec>],
        processes: usize,
        share: impl Fn(usize) -> Range<usize>,
    ) -> Self {
        let (mut order, mut ranges, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        for batch in batches {
            let own = share(batch.len());
            let first = order.len() + own.start.min(batch.len() - 1);
            ranges.push(first..first + own.len().max(1));
            sizes.push(own.len());
            order.extend(
                (0..processes)
                    .flat_map(|process| batch.iter().copied().skip(process).step_by(processes)),
            );
        }
        BatchPlan {
            sizes,
            whole_sizes: batches.iter().map(Vec::len).collect(),
            ..BatchPlan::with_batches(tensors, order, ranges)
        }
    }

    /// All clips without a change of speed, sorted by length, so that there is little padding. A
    /// batch has at most `batch_size` clips, and at most 200 000 frames with padding or one clip.
    pub fn by_length(tensors: &'a SplitTensors, batch_size: usize) -> Self {
        let mut clips: Vec<usize> = (0..tensors.clips()).collect();
        clips.sort_by_key(|&clip| tensors.lengths[clip]);
        let mut batches = Vec::new();
        let mut start = 0;
        for end in 1..=clips.len() {
            let full = match clips.get(end) {
                None => true,
                Some(&next) => {
                    let clips = end + 1 - start;
                    clips > batch_size || clips as i64 * tensors.lengths[next] > MAX_BATCH_FRAMES
                }
            };
            if full {
                batches.push(start..end);
                start = end;
            }
        }
        let unchanged = |clip| SampleSpec {
            clip,
            version: 0,
            speed: 1.0,
        };
        BatchPlan::with_batches(tensors, clips.into_iter().map(unchanged).collect(), batches)
    }

    fn with_batches(
        tensors: &'a SplitTensors,
        order: Vec<SampleSpec>,
        batches: Vec<Range<usize>>,
    ) -> Self {
        let device = tensors.device();
        let warped: Vec<i64> = order
            .iter()
            .map(|planned| warped_length(tensors, planned))
            .collect();
        let gather = |values: &[i64], index: fn(&SplitTensors, &SampleSpec) -> usize| -> Vec<i64> {
            order
                .iter()
                .map(|planned| values[index(tensors, planned)])
                .collect()
        };
        let speeds: Vec<f32> = order.iter().map(|planned| planned.speed as f32).collect();
        let sizes: Vec<usize> = batches.iter().map(Range::len).collect();
        BatchPlan {
            tensors,
            whole_sizes: sizes.clone(),
            sizes,
            starts: Tensor::from_slice(&gather(&tensors.starts, index_of)).to_device(device),
            lengths: Tensor::from_slice(&gather(&tensors.lengths, index_of)).to_device(device),
            labels: Tensor::from_slice(&gather(&tensors.labels, |_, p| p.clip)).to_device(device),
            warped: Tensor::from_slice(&warped).to_device(device),
            warped_lengths: warped,
            speeds: Tensor::from_slice(&speeds).to_device(device),
            order,
            batches,
        }
    }

    /// Number of batches.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Number of clips in a batch.
    pub fn size(&self, batch: usize) -> usize {
        self.sizes[batch]
    }

    /// Number of clips in a batch of all processes together.
    pub fn whole_size(&self, batch: usize) -> usize {
        self.whole_sizes[batch]
    }

    /// The clips of a batch, as indices in the subset.
    pub fn clips(&self, batch: usize) -> impl Iterator<Item = usize> {
        self.planned(batch).take(self.sizes[batch])
    }

    /// The clips of a batch, also of a stand-in that does not count.
    pub fn planned(&self, batch: usize) -> impl Iterator<Item = usize> {
        let planned = self.order[self.positions(batch)].iter();
        planned.map(|planned| planned.clip)
    }

    /// Positions of a batch's clips in the order of the epoch.
    pub fn positions(&self, batch: usize) -> Range<usize> {
        self.batches[batch].clone()
    }

    /// Class indices of a batch, `[batch]`.
    pub fn labels(&self, batch: usize) -> Tensor {
        self.slice(&self.labels, &self.batches[batch])
    }

    /// Gathers a batch on the device.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn batch(&self, batch: usize) -> Result<Batch> {
        self.gather(self.positions(batch))
    }

    /// Gathers the clips at some positions of the epoch's order on the device. Clips with another
    /// speed than 1 are resampled in time by linear interpolation of their frames.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn gather(&self, positions: Range<usize>) -> Result<Batch> {
        let size = positions.len() as i64;
        let longest = self.warped_lengths[positions.clone()].iter().copied().max();
        let frames = (longest.unwrap_or(1) + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP;
        let slice = |values: &Tensor| self.slice(values, &positions);

        let lengths = slice(&self.warped);
        let time = device::range(frames, Kind::Float, lengths.device()).unsqueeze(0);
        let position: Tensor = time * slice(&self.speeds).unsqueeze(1);
        let before = position.floor();
        let between = (position - &before).unsqueeze(-1);

        let last = slice(&self.lengths).unsqueeze(1) - 1;
        let padding = device::range(frames, Kind::Int64, lengths.device())
            .unsqueeze(0)
            .ge_tensor(&lengths.unsqueeze(1));
        let (all, starts) = self.frames(&positions)?;
        let zero_frame = all.size()[0] - 1;
        let gather = |frame: &Tensor| {
            let index = frame.minimum(&last) + starts.unsqueeze(1);
            let index = index.masked_fill(&padding, zero_frame);
            all.index_select(0, &index.view([-1]))
                .view([size, frames, -1])
        };
        let before = before.to_kind(Kind::Int64);
        let first = gather(&before);
        let warps = self.order[positions.clone()]
            .iter()
            .any(|planned| planned.speed != 1.0);
        let features = if warps {
            let second = gather(&(before + 1));
            first.lerp_tensor(&second, &between)
        } else {
            first
        };
        Ok(Batch {
            features,
            lengths,
            labels: slice(&self.labels),
        })
    }

    fn slice(&self, values: &Tensor, positions: &Range<usize>) -> Tensor {
        values.narrow(0, positions.start as i64, positions.len() as i64)
    }

    /// A tensor that contains the frames of some clips, and the index in it at which each clip starts.
    fn frames(&self, positions: &Range<usize>) -> Result<(Tensor, Tensor)> {
        match &self.tensors.frames {
            Frames::InMemory(frames) => {
                Ok((frames.shallow_clone(), self.slice(&self.starts, positions)))
            }
            Frames::OnDisk(clips, normalisation) => {
                let planned = self.order[positions.clone()].iter();
                let clips: Vec<&Features> = planned
                    .map(|planned| &clips[index_of(self.tensors, planned)])
                    .collect();
                let starts: Vec<i64> = clips
                    .iter()
                    .scan(0, |next, clip| {
                        *next += clip.frames() as i64;
                        Some(*next - clip.frames() as i64)
                    })
                    .collect();
                let frames = normalised(&clips, normalisation, tch::Device::Cpu)?;
                Ok((frames, Tensor::from_slice(&starts)))
            }
        }
    }
}

/// Number of frames of a clip at its planned speed.
fn warped_length(tensors: &SplitTensors, planned: &SampleSpec) -> i64 {
    let last = (tensors.length(planned.version, planned.clip) - 1) as f64;
    (last / planned.speed).floor() as i64 + 1
}

/// Place of a planned clip among all versions of the clips.
fn index_of(tensors: &SplitTensors, planned: &SampleSpec) -> usize {
    tensors.index(planned.version, planned.clip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn tensors(lengths: &[i64]) -> SplitTensors {
        let frames: i64 = lengths.iter().sum();
        let ramp = Tensor::arange(frames, (Kind::Float, Device::Cpu)).view([-1, 1]) + 1.0;
        SplitTensors {
            frames: Frames::InMemory(Tensor::cat(
                &[ramp, Tensor::zeros([1, 1], (Kind::Float, Device::Cpu))],
                0,
            )),
            starts: lengths
                .iter()
                .scan(0, |at, n| {
                    *at += n;
                    Some(*at - n)
                })
                .collect(),
            lengths: lengths.to_vec(),
            labels: (0..lengths.len() as i64).collect(),
            recordings: (0..lengths.len()).collect(),
        }
    }

    fn spec(clip: usize) -> SampleSpec {
        SampleSpec {
            clip,
            version: 0,
            speed: 1.0,
        }
    }

    #[test]
    fn a_batch_has_each_clip_with_zeros_behind_it() {
        let tensors = tensors(&[3, 1, 2]);
        let batch = BatchPlan::by_length(&tensors, 8).batch(0).unwrap();
        assert_eq!(Vec::<i64>::try_from(batch.lengths).unwrap(), [1, 2, 3]);
        assert_eq!(Vec::<i64>::try_from(batch.labels).unwrap(), [1, 2, 0]);
        let rows = Vec::<Vec<f32>>::try_from(batch.features.squeeze_dim(2)).unwrap();
        for (row, clip) in rows
            .iter()
            .zip([vec![4.0], vec![5.0, 6.0], vec![1.0, 2.0, 3.0]])
        {
            assert_eq!(row[..clip.len()], clip);
            assert!(
                row.len() == LENGTH_STEP as usize
                    && row[clip.len()..].iter().all(|&frame| frame == 0.0)
            );
        }
    }

    #[test]
    fn a_process_without_clips_gets_a_stand_in_that_does_not_count() {
        let tensors = tensors(&[3, 1, 2]);
        let order: Vec<SampleSpec> = (0..3).map(spec).collect();
        let mut clips = Vec::new();
        for rank in 0..5 {
            let own = |count| count * rank / 5..count * (rank + 1) / 5;
            let plan = BatchPlan::shared(&tensors, std::slice::from_ref(&order), 5, own);
            assert_eq!((plan.batches(), plan.whole_size(0)), (1, 3));
            clips.extend(plan.clips(0));
            assert_eq!(plan.clips(0).count(), plan.size(0));
            assert_eq!(plan.batch(0).unwrap().labels.size(), [1]);
        }
        clips.sort();
        assert_eq!(clips, [0, 1, 2]);
    }

    #[test]
    fn another_speed_interpolates_between_frames() {
        let tensors = tensors(&[7]);
        for (speed, expected) in [
            (2.0, vec![1.0, 3.0, 5.0, 7.0]),
            (1.5, vec![1.0, 2.5, 4.0, 5.5, 7.0]),
        ] {
            let plan = BatchPlan::new(&tensors, &[vec![SampleSpec { speed, ..spec(0) }]]);
            let batch = plan.batch(0).unwrap();
            let row = Vec::<f32>::try_from(batch.features.view([-1])).unwrap();
            assert_eq!(row[..expected.len()], expected);
            assert_eq!(row[expected.len()], 0.0);
        }
    }

    #[test]
    fn clips_that_are_not_resident_give_the_same_batches() {
        tch::manual_seed(2);
        let float = (Kind::Float, Device::Cpu);
        let normalisation = crate::dataset::Normalisation::identity(7);
        let clips: Vec<Features> = (1..40)
            .map(|frames| {
                let values = Tensor::randn([frames * 7], float) * 30.0 - 5.0;
                Features::new(frames as usize, 7, values.try_into().unwrap()).unwrap()
            })
            .collect();
        let clips: Vec<&Features> = clips.iter().collect();
        normalisation.fit_clips(&clips).unwrap();
        let labels: Vec<usize> = (0..clips.len()).map(|clip| clip % 3).collect();
        let resident =
            SplitTensors::in_memory(&clips, &labels, &normalisation, Device::Cpu).unwrap();
        let apart = SplitTensors::on_disk(&clips, &labels, &normalisation);
        let order: Vec<SampleSpec> = (0..clips.len())
            .map(|turn| SampleSpec {
                clip: turn * 7 % clips.len(),
                version: 0,
                speed: [1.0, 0.9, 1.13][turn % 3],
            })
            .collect();
        let batches: Vec<Vec<SampleSpec>> = order.chunks(8).map(<[_]>::to_vec).collect();
        let plans = |tensors| {
            [
                BatchPlan::new(tensors, &batches),
                BatchPlan::by_length(tensors, 8),
            ]
        };
        for (ours, theirs) in plans(&apart).iter().zip(&plans(&resident)) {
            assert_eq!(ours.batches(), theirs.batches());
            for batch in 0..ours.batches() {
                let batch_of = |plan: &BatchPlan| plan.batch(batch).unwrap();
                let (ours, theirs) = (batch_of(ours), batch_of(theirs));
                assert!(ours.features.equal(&theirs.features));
                assert!(ours.lengths.equal(&theirs.lengths) && ours.labels.equal(&theirs.labels));
            }
        }
    }

    #[test]
    fn a_long_clip_has_a_separate_batch() {
        let lengths = [vec![100; 5], vec![MAX_BATCH_FRAMES * 2], vec![50; 4]].concat();
        let tensors = tensors(&lengths);
        let plan = BatchPlan::by_length(&tensors, 4);
        let clips: Vec<Vec<i64>> = (0..plan.batches())
            .map(|batch| plan.clips(batch).map(|clip| lengths[clip]).collect())
            .collect();
        assert_eq!(
            clips,
            [
                vec![50; 4],
                vec![100; 4],
                vec![100],
                vec![MAX_BATCH_FRAMES * 2]
            ]
        );
    }
}
