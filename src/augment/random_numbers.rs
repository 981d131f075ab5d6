//! Random numbers of the augmentation. They are drawn on the CPU, so that they are the same on every
//! device: on a CPU for the clips of a piece, for a GPU once an epoch.

use std::ops::Range;

use rand::RngExt;
use tch::{Device, Tensor};

use super::{Augmentation, MIXUP_GROUP};
use crate::device;
use crate::parallel;
use crate::random::{self, ClipSeed};

/// Uses of a clip's random numbers. Dropout uses the streams from 16 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Spectrum,
    Offset,
    Mixup,
    Noise,
    TimeMasks,
}

/// The uses that need few numbers a clip. Noise needs one for each value of the features, and is
/// drawn in each step.
const SMALL: [Stream; 4] = [
    Stream::Spectrum,
    Stream::Offset,
    Stream::Mixup,
    Stream::TimeMasks,
];

/// Random numbers of some rows, one row for each clip and network.
#[derive(Debug, PartialEq)]
pub struct RandomNumbers {
    /// The numbers of each row, use by use: `[rows, columns]`.
    values: Tensor,
    /// The row that each row is mixed with, counted within its batch: `[rows]`.
    pub(super) partners: Tensor,
}

impl RandomNumbers {
    /// The numbers of consecutive rows.
    pub fn narrow(&self, rows: Range<usize>) -> RandomNumbers {
        let narrow = |x: &Tensor| x.narrow(0, rows.start as i64, rows.len() as i64);
        RandomNumbers {
            values: narrow(&self.values),
            partners: narrow(&self.partners),
        }
    }
}

impl Augmentation<'_> {
    /// Draws the numbers of some rows, on a device. `partners` are the rows that they are mixed with
    /// (see [`partners`]).
    pub fn draw(&self, seeds: &[ClipSeed], partners: &[i64], device: Device) -> RandomNumbers {
        let uses = SMALL.map(|stream| (stream, self.width(stream)));
        RandomNumbers {
            values: draw(seeds, &uses, device),
            partners: device::upload(&Tensor::from_slice(partners), device),
        }
    }

    /// The numbers of one use: `[rows, numbers]`.
    pub(super) fn columns(&self, numbers: &RandomNumbers, stream: Stream) -> Tensor {
        let before = SMALL.iter().take_while(|&&other| other != stream);
        let first: usize = before.map(|&stream| self.width(stream)).sum();
        let width = self.width(stream) as i64;
        numbers.values.narrow(1, first as i64, width)
    }

    /// How many numbers of one use a row has.
    fn width(&self, stream: Stream) -> usize {
        let config = self.config;
        match (stream, self.spec_augment) {
            (Stream::Spectrum, Some(_)) => 1 + 2 * config.frequency_masks,
            (Stream::Offset, Some(spec_augment)) => spec_augment.n_mfcc() as usize,
            (Stream::Mixup, _) if config.mixup > 0.0 => 2,
            (Stream::TimeMasks, _) if config.time_mask_frames > 0 => 2 * config.time_masks,
            _ => 0,
        }
    }
}

/// Standard normal numbers for the noise of each row: `[rows, width]`.
pub(super) fn draw_noise(seeds: &[ClipSeed], width: usize, device: Device) -> Tensor {
    draw(seeds, &[(Stream::Noise, width)], device)
}

/// Draws the numbers of each use for each row: `[rows, columns]`. Offsets and noise are standard
/// normal numbers, all others are uniform from 0 to 1.
fn draw(seeds: &[ClipSeed], uses: &[(Stream, usize)], device: Device) -> Tensor {
    let columns = uses.iter().map(|(_, width)| width).sum();
    let values = parallel::rows(seeds, device, columns, |seed, values| {
        for &(stream, width) in uses.iter().filter(|(_, width)| *width > 0) {
            let rng = &mut seed.generator(stream as u64);
            match stream {
                Stream::Offset | Stream::Noise => random::normals(rng, width, values),
                Stream::Spectrum | Stream::Mixup | Stream::TimeMasks => {
                    values.extend((0..width).map(|_| rng.random::<f32>()));
                }
            }
        }
    });
    let values = Tensor::from_slice(&values).view([seeds.len() as i64, columns as i64]);
    device::upload(&values, device)
}

/// The row that each row is mixed with: its neighbour in a group of at most [`MIXUP_GROUP`] clips.
/// `clips` is the number of rows of one network.
pub fn partners(rows: usize, clips: usize) -> Vec<i64> {
    let partner = |row: usize| {
        let (first, clip) = (row - row % clips, row % clips);
        let group = clip - clip % MIXUP_GROUP;
        let size = MIXUP_GROUP.min(clips - group);
        (first + group + (clip - group + size - 1) % size) as i64
    };
    (0..rows).map(partner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_is_mixed_with_its_neighbour_in_its_group_and_its_network() {
        let expected: Vec<i64> = (0..48)
            .map(|row| {
                let first = row / 24 * 24;
                match row - first {
                    0 => first + 15,
                    16 => first + 23,
                    _ => row - 1,
                }
            })
            .collect();
        assert_eq!(partners(48, 24), expected);
        assert_eq!(partners(1, 1), [0]);
    }
}
