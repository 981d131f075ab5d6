//! Reproducible random numbers.
//!
//! Every random number of a training depends on the seed and on its use (epoch, clip, network), and
//! not on earlier draws. So a resumed run continues exactly like an uninterrupted run, and neither
//! the number of threads nor the device changes a number.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::device;

/// Use of the random numbers; each purpose has an independent stream.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Initial weights.
    Weights = 1,
    /// Order and speed of the clips of an epoch.
    Order = 2,
    /// Dropout and augmentation of a clip.
    Clip = 3,
    /// Clips of a balanced epoch.
    Draw = 4,
    /// Version of each clip of an epoch.
    Version = 5,
    /// Disturbances of a copy of a recording.
    Disturbance = 6,
}

/// The generator for one purpose in one epoch.
pub fn generator(seed: u64, purpose: Purpose, epoch: usize) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(mixed(seed, purpose, [epoch, 0, 0]))
}

/// The generator for one disturbed copy of a recording.
pub fn of_copy(seed: u64, copy: usize, recording: usize) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(mixed(seed, Purpose::Disturbance, [copy, recording, 0]))
}

/// Seeds libtorch's generator, which draws the initial weights.
pub fn seed_libtorch(seed: u64) {
    // Without a GPU, the initial weights are drawn all the same.
    let _ = device::load_cuda();
    tch::manual_seed(mixed(seed, Purpose::Weights, [0, 0, 0]) as i64);
}

/// Seed of everything random about one clip in one epoch, for one network of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipSeed(u64);

impl ClipSeed {
    /// The seed for the clip at a position in the order of an epoch.
    pub fn new(seed: u64, epoch: usize, position: usize, network: usize) -> ClipSeed {
        ClipSeed(mixed(seed, Purpose::Clip, [epoch, position, network]))
    }

    /// One of the clip's independent generators.
    pub fn generator(self, stream: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::seed_from_u64(self.0);
        generator.set_stream(stream);
        generator
    }
}

/// Appends `count` numbers of the standard normal distribution (Box & Muller 1958).
pub fn normals(rng: &mut ChaCha8Rng, count: usize, numbers: &mut Vec<f32>) {
    let end = numbers.len() + count;
    while numbers.len() < end {
        let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
        let (sine, cosine) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
        numbers.push(radius * cosine);
        if numbers.len() < end {
            numbers.push(radius * sine);
        }
    }
}

/// Hash of some numbers into one seed, by the finaliser of SplitMix64 (Steele et al. 2014) after
/// each. Neighbouring numbers give unrelated seeds.
fn mixed(seed: u64, purpose: Purpose, numbers: [usize; 3]) -> u64 {
    let [first, second, third] = numbers.map(|number| number as u64);
    [purpose as u64, first, second, third]
        .into_iter()
        .fold(seed, |state, value| {
            let mut z =
                state.wrapping_add(value.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_the_moments_of_the_normal_distribution() {
        let mut numbers = Vec::new();
        normals(
            &mut ClipSeed::new(1, 2, 3, 4).generator(5),
            100_001,
            &mut numbers,
        );
        assert_eq!(numbers.len(), 100_001);
        let moment = |power: i32| {
            let sum: f64 = numbers.iter().map(|&x| f64::from(x).powi(power)).sum();
            sum / numbers.len() as f64
        };
        // Five standard deviations of each estimate.
        assert!(moment(1).abs() < 0.016, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.023, "{}", moment(2));
        assert!(moment(3).abs() < 0.062, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.16, "{}", moment(4));
    }

    #[test]
    fn every_clip_network_and_stream_has_its_own_numbers() {
        let first = |seed: ClipSeed, stream| seed.generator(stream).random::<u64>();
        let mut numbers = Vec::new();
        for (epoch, position, network) in [(1, 2, 0), (2, 1, 0), (1, 2, 1), (2, 2, 0), (1, 1, 0)] {
            let seed = ClipSeed::new(7, epoch, position, network);
            assert_eq!(first(seed, 3), first(seed, 3));
            numbers.extend((0..4).map(|stream| first(seed, stream)));
        }
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
    }
}
