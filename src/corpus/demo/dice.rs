//! Chance that falls the same everywhere: a ChaCha8 stream read by our own arithmetic, so that
//! neither the machine nor a new version of `rand`'s distributions can change the corpus.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub struct Dice(ChaCha8Rng);

impl Dice {
    /// A stream of its own for every different `label`.
    pub fn new(label: [u8; 8]) -> Dice {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&label);
        Dice(ChaCha8Rng::from_seed(seed))
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let unit = f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0);
        low + (high - low) * unit
    }

    /// White noise: uniform in [-1, 1), mean square 1/3.
    pub fn noise(&mut self) -> f64 {
        self.between(-1.0, 1.0)
    }

    /// Bell-shaped with mean 0 and variance 1, never beyond ±3: the sum of three uniform draws.
    pub fn bell(&mut self) -> f64 {
        self.noise() + self.noise() + self.noise()
    }
}
