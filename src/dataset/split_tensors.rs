//! One subset of a split as tensors.

use anyhow::{Result, anyhow};
use tch::{Device, Kind, Tensor};

use super::Normalisation;
use crate::features::Features;
use crate::memory;

/// Maximum size of a subset that is in the memory of a CPU as a whole, in values: 512 MiB.
pub const MAX_IN_MEMORY: usize = 1 << 27;
/// Number of values that are copied at once.
const CHUNK: usize = 1 << 22;

/// The features and labels of a subset, from which batches are gathered.
#[derive(Debug)]
pub struct SplitTensors {
    pub(super) frames: Frames,
    /// Index of the first frame of each clip: of all clips in their first version, then of all in
    /// the next.
    pub(super) starts: Vec<i64>,
    /// Number of frames of each clip, in the same order.
    pub(super) lengths: Vec<i64>,
    /// Class index of each clip.
    pub(super) labels: Vec<i64>,
    /// Index of the recording that each clip belongs to. Without a cut, it is the index of the
    /// clip.
    pub(super) recordings: Vec<usize>,
}

/// The frames of all clips, one after the other.
#[derive(Debug)]
pub(super) enum Frames {
    /// Normalised and on the device: `[frames + 1, coefficients]`. The last frame is zero; the
    /// indices of padding point to it.
    InMemory(Tensor),
    /// Not normalised, in memory or in a file of the cache.
    OnDisk(Vec<Features>, Normalisation),
}

impl SplitTensors {
    /// Clips with the class indices `labels`. They are copied to `device`, which must be that of
    /// `normalisation`; on a CPU, a large subset stays where its features are.
    ///
    /// A clip may have several versions. `features` then has all clips in their first version,
    /// all in the next, and so on.
    ///
    /// # Errors
    /// If the memory of the device does not suffice, or if a file with features cannot be read.
    pub fn new(
        features: &[&Features],
        labels: &[usize],
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<Self> {
        let values: usize = features.iter().map(|clip| clip.size()).sum();
        if device == Device::Cpu && values > MAX_IN_MEMORY {
            Ok(SplitTensors::on_disk(features, labels, normalisation))
        } else {
            SplitTensors::in_memory(features, labels, normalisation, device)
        }
    }

    /// Copies the clips to the device.
    ///
    /// # Errors
    /// If the memory of the device does not suffice, or if a file with features cannot be read.
    pub fn in_memory(
        features: &[&Features],
        labels: &[usize],
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<Self> {
        let frames = match device {
            Device::Cpu => normalised(features, normalisation, device),
            _ => memory::computing(|| normalised(features, normalisation, device)),
        };
        let frames = frames.map_err(|error| {
            // Its message has advice of its own, and callers recognise its type.
            if memory::is_out_of_memory(&error) {
                return error.context("the features cannot be copied to the device");
            }
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            anyhow!("the features cannot be copied to the device: {reason}; try --device cpu")
        })?;
        Ok(SplitTensors::from_frames(
            Frames::InMemory(frames),
            features,
            labels,
        ))
    }

    /// Leaves the clips where they are, for a CPU. Every batch is copied from there and is equal to
    /// the last bit to a batch of [`SplitTensors::in_memory`].
    pub fn on_disk(
        features: &[&Features],
        labels: &[usize],
        normalisation: &Normalisation,
    ) -> Self {
        let clips = features.iter().map(|&clip| clip.clone()).collect();
        let frames = Frames::OnDisk(clips, normalisation.copy());
        SplitTensors::from_frames(frames, features, labels)
    }

    fn from_frames(frames: Frames, features: &[&Features], labels: &[usize]) -> Self {
        let lengths: Vec<i64> = features.iter().map(|f| f.frames() as i64).collect();
        let starts = lengths.iter().scan(0, |next, length| {
            let start = *next;
            *next += length;
            Some(start)
        });
        SplitTensors {
            frames,
            starts: starts.collect(),
            labels: labels.iter().map(|&label| label as i64).collect(),
            recordings: (0..labels.len()).collect(),
            lengths,
        }
    }

    /// Cuts each recording of more than `most` frames into the smallest number of pieces of nearly
    /// equal length; each piece becomes a clip. All versions of a recording have as many clips as its
    /// longest version has pieces. A shorter version, such as one whose silence was trimmed, has fewer
    /// pieces, and each of them is several clips. `None` leaves all recordings whole.
    pub fn in_pieces(self, most: Option<usize>) -> SplitTensors {
        let Some(most) = most else {
            return self;
        };
        let most = most.max(1) as i64;
        let pieces_of = |length: i64| ((length + most - 1) / most).max(1);
        let clips_of = |clip: usize| {
            let versions = 0..self.versions();
            let pieces = versions.map(|version| pieces_of(self.length(version, clip)));
            pieces.max().unwrap_or(1)
        };
        let clips_of: Vec<i64> = (0..self.clips()).map(clips_of).collect();
        let of_pieces = |values: &[i64]| -> Vec<i64> {
            let repeated = values.iter().zip(&clips_of);
            repeated
                .flat_map(|(&value, &clips)| (0..clips).map(move |_| value))
                .collect()
        };
        let clips: Vec<i64> = (0..self.clips() as i64).collect();
        let (labels, recordings) = (of_pieces(&self.labels), of_pieces(&clips));
        let (mut starts, mut lengths, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        for (index, &length) in self.lengths.iter().enumerate() {
            let (clips, pieces) = (clips_of[index % self.clips()], pieces_of(length));
            for clip in 0..clips {
                let piece = clip * pieces / clips;
                let (first, end) = (piece * length / pieces, (piece + 1) * length / pieces);
                ranges.push((index, first as usize, end as usize));
                starts.push(self.starts[index] + first);
                lengths.push(end - first);
            }
        }
        let mut frames = self.frames;
        if let Frames::OnDisk(clips, _) = &mut frames {
            let piece =
                |&(index, first, end): &(usize, usize, usize)| clips[index].slice(first, end);
            *clips = ranges.iter().map(piece).collect();
        }
        SplitTensors {
            frames,
            starts,
            lengths,
            labels,
            recordings: recordings.into_iter().map(|clip| clip as usize).collect(),
        }
    }

    /// The device of the batches.
    pub(super) fn device(&self) -> Device {
        match &self.frames {
            Frames::InMemory(frames) => frames.device(),
            Frames::OnDisk(..) => Device::Cpu,
        }
    }

    /// Number of clips.
    pub fn clips(&self) -> usize {
        self.labels.len()
    }

    /// Number of versions of each clip.
    pub fn versions(&self) -> usize {
        self.lengths.len() / self.labels.len().max(1)
    }

    /// Class index of each clip.
    pub fn labels(&self) -> Vec<usize> {
        self.labels.iter().map(|&label| label as usize).collect()
    }

    /// Index of the recording that each clip belongs to.
    pub fn recordings(&self) -> &[usize] {
        &self.recordings
    }

    /// Class index of each recording.
    pub fn recording_labels(&self) -> Vec<usize> {
        let mut labels = self.labels();
        let mut clips = self.recordings.iter();
        let mut last = None;
        labels.retain(|_| {
            let recording = clips.next();
            last.replace(recording) != Some(recording)
        });
        labels
    }

    /// Number of frames of each clip in its first version.
    pub fn lengths(&self) -> &[i64] {
        &self.lengths[..self.clips()]
    }

    /// Number of frames of a clip in one of its versions.
    pub fn length(&self, version: usize, clip: usize) -> i64 {
        self.lengths[self.index(version, clip)]
    }

    /// Place of a clip in one of its versions in `starts` and `lengths`.
    pub(super) fn index(&self, version: usize, clip: usize) -> usize {
        version * self.clips() + clip
    }
}

/// The normalised frames of some clips, one after the other, and a frame of zeros:
/// `[frames + 1, coefficients]`. At most one chunk of the frames is in memory twice.
pub(super) fn normalised(
    features: &[&Features],
    normalisation: &Normalisation,
    device: Device,
) -> Result<Tensor> {
    let coefficients = features.first().map_or(0, |first| first.coefficients()) as i64;
    let all: i64 = features.iter().map(|clip| clip.frames() as i64).sum();
    let frames = Tensor::f_zeros([all + 1, coefficients], (Kind::Float, device))?;
    let mut next = 0;
    let mut append = |values: &[f32]| -> Result<()> {
        let chunk = Tensor::f_from_slice(values)?.f_view([-1, coefficients])?;
        let chunk = normalisation.apply(&chunk.f_to_device(device)?);
        let length = chunk.size()[0];
        frames.f_narrow(0, next, length)?.f_copy_(&chunk)?;
        next += length;
        Ok(())
    };
    let chunk_size = CHUNK / coefficients.max(1) as usize * coefficients.max(1) as usize;
    let mut values = Vec::new();
    for clip in features {
        // A long clip has several chunks.
        for chunk in clip.read()?.chunks(chunk_size) {
            values.extend_from_slice(chunk);
            if values.len() >= CHUNK {
                append(&values)?;
                values.clear();
            }
        }
    }
    if !values.is_empty() {
        append(&values)?;
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{BatchPlan, SampleSpec};

    /// Clips of one coefficient, whose frames are numbered consecutively over all clips.
    fn tensors(lengths: &[usize], resident: bool) -> SplitTensors {
        let mut next = 0;
        let clips: Vec<Features> = lengths
            .iter()
            .map(|&length| {
                let values = (next..next + length).map(|frame| frame as f32).collect();
                next += length;
                Features::new(length, 1, values).unwrap()
            })
            .collect();
        let clips: Vec<&Features> = clips.iter().collect();
        let labels: Vec<usize> = (0..clips.len()).map(|clip| 7 * clip).collect();
        let normalisation = Normalisation::identity(1);
        if resident {
            SplitTensors::in_memory(&clips, &labels, &normalisation, Device::Cpu).unwrap()
        } else {
            SplitTensors::on_disk(&clips, &labels, &normalisation)
        }
    }

    /// The frames of each clip, read from batches.
    fn frames(tensors: &SplitTensors) -> Vec<Vec<f32>> {
        let plan = BatchPlan::by_length(tensors, 3);
        let mut clips = vec![Vec::new(); tensors.clips()];
        for index in 0..plan.batches() {
            let batch = plan.batch(index).unwrap();
            let lengths = Vec::<i64>::try_from(batch.lengths).unwrap();
            for (row, (clip, length)) in plan.clips(index).zip(lengths).enumerate() {
                let row = batch.features.get(row as i64).narrow(0, 0, length);
                clips[clip] = row.view([-1]).try_into().unwrap();
            }
        }
        clips
    }

    #[test]
    fn long_recordings_become_equal_pieces_in_their_order() {
        for resident in [true, false] {
            let cut = tensors(&[4, 10, 5, 3], resident).in_pieces(Some(4));
            assert_eq!(cut.lengths(), [4, 3, 3, 4, 2, 3, 3]);
            assert_eq!(cut.recordings(), [0, 1, 1, 1, 2, 2, 3]);
            assert_eq!(cut.labels(), [0, 7, 7, 7, 14, 14, 21]);
            assert_eq!(cut.recording_labels(), [0, 7, 14, 21]);
            let all: Vec<f32> = frames(&cut).concat();
            assert_eq!(all, (0..22).map(|frame| frame as f32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn all_versions_of_a_recording_have_the_same_number_of_clips() {
        for resident in [true, false] {
            // Two recordings: the first has 4 frames and 6, the second 2 and 3.
            let mut tensors = tensors(&[4, 2, 6, 3], resident);
            tensors.labels.truncate(2);
            tensors.recordings.truncate(2);
            let cut = tensors.in_pieces(Some(4));
            assert_eq!((cut.clips(), cut.versions()), (3, 2));
            assert_eq!(cut.recordings(), [0, 0, 1]);
            assert_eq!(cut.labels(), [0, 0, 7]);
            let lengths = [0, 1].map(|version| [0, 1, 2].map(|clip| cut.length(version, clip)));
            assert_eq!(lengths, [[4, 4, 2], [3, 3, 3]]);
            let order = [(1, 0), (0, 1), (1, 2)].map(|(version, clip)| SampleSpec {
                clip,
                version,
                speed: 1.0,
            });
            let plan = BatchPlan::new(&cut, &[order.to_vec()]);
            let rows = Vec::<Vec<f32>>::try_from(plan.batch(0).unwrap().features.squeeze_dim(2));
            let rows = rows.unwrap();
            assert_eq!(rows[0][..3], [6.0, 7.0, 8.0]);
            assert_eq!(rows[1][..4], [0.0, 1.0, 2.0, 3.0]);
            assert_eq!(rows[2][..3], [12.0, 13.0, 14.0]);
        }
    }

    /// With noise in the silence around a word, a copy is longer than the recording by a factor of
    /// hundreds.
    #[test]
    fn a_version_with_fewer_frames_than_pieces_has_no_empty_piece() {
        for resident in [true, false] {
            let mut tensors = tensors(&[3, 40], resident);
            tensors.labels.truncate(1);
            tensors.recordings.truncate(1);
            let cut = tensors.in_pieces(Some(4));
            assert_eq!((cut.clips(), cut.versions()), (10, 2));
            for clip in 0..10 {
                assert_eq!([cut.length(0, clip), cut.length(1, clip)], [3, 4]);
            }
        }
    }

    #[test]
    fn short_recordings_are_not_cut() {
        for most in [None, Some(10), Some(1000)] {
            let lengths = [4, 10, 1];
            let cut = tensors(&lengths, true).in_pieces(most);
            assert_eq!(cut.lengths(), [4, 10, 1]);
            assert_eq!(cut.recordings(), [0, 1, 2]);
        }
    }

    #[test]
    fn a_clip_longer_than_a_chunk_is_copied_completely() {
        let long = CHUNK + 3;
        let cut = tensors(&[2, long, 1], true);
        let Frames::InMemory(frames) = &cut.frames else {
            unreachable!()
        };
        assert_eq!(frames.size(), [long as i64 + 4, 1]);
        let expected = Tensor::arange(long as i64 + 3, (Kind::Float, Device::Cpu)).view([-1, 1]);
        assert!(frames.narrow(0, 0, long as i64 + 3).equal(&expected));
    }
}
