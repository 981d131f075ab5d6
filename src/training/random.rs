//! Chance that can be repeated: everything random in a training is drawn from (seed, epoch, step)
//! and never from what was drawn before, so a resumed run goes on as if it had not stopped.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What is drawn; each purpose has numbers of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Weights = 1,
    Order = 2,
    Step = 3,
    Draw = 4,
}

/// A generator for one purpose at one place of the training.
pub(super) fn generator(seed: u64, purpose: Purpose, epoch: usize) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(mixed(seed, purpose, epoch, 0))
}

/// The same for a step that several processes take, each on its own clips and with its own chance.
pub(super) fn seed_libtorch_for(seed: u64, epoch: usize, step: usize, rank: usize) {
    seed_libtorch(seed, Purpose::Step, epoch, step + (rank << 40));
}

/// Sets libtorch's generators, on the CPU and on every GPU.
pub(super) fn seed_libtorch(seed: u64, purpose: Purpose, epoch: usize, step: usize) {
    tch::manual_seed(mixed(seed, purpose, epoch, step) as i64);
}

/// One number out of four, far apart for neighbours (the finaliser of SplitMix64, Steele et al.
/// 2014, after each).
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
