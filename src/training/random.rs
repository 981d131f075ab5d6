//! Reproducible random numbers. Every random number of a training depends on (seed, epoch, step)
//! and not on earlier draws, so a resumed run continues exactly like an uninterrupted run.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Use of the random numbers; each purpose has an independent stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Initial weights.
    Weights = 1,
    /// Order and speed of the clips of an epoch.
    Order = 2,
    /// Dropout and augmentation of a step.
    Step = 3,
    /// Clips of a balanced epoch.
    Draw = 4,
}

/// The generator for one purpose in one epoch.
pub(super) fn generator(seed: u64, purpose: Purpose, epoch: usize) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(mixed(seed, purpose, epoch, 0))
}

/// Seeds libtorch's generators for a step of the process `rank`. Each process has its own stream.
pub(super) fn seed_libtorch_for(seed: u64, epoch: usize, step: usize, rank: usize) {
    seed_libtorch(seed, Purpose::Step, epoch, step + (rank << 40));
}

/// Seeds libtorch's generators on the CPU and on every GPU.
pub(super) fn seed_libtorch(seed: u64, purpose: Purpose, epoch: usize, step: usize) {
    tch::manual_seed(mixed(seed, purpose, epoch, step) as i64);
}

/// Hash of four numbers into one seed, by the finaliser of SplitMix64 (Steele et al. 2014) after
/// each. Neighbouring numbers give unrelated seeds.
fn mixed(seed: u64, purpose: Purpose, epoch: usize, step: usize) -> u64 {
    [purpose as u64, epoch as u64, step as u64]
        .into_iter()
        .fold(seed, |state, value| {
            let mut z =
                state.wrapping_add(value.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        })
}
