//! Random numbers that are the same on every machine: a ChaCha8 stream with distributions computed
//! here, so that a new version of `rand` cannot change the corpus.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A reproducible stream of random numbers.
pub struct DemoRng(ChaCha8Rng);

impl DemoRng {
    /// The stream of a `label`; different labels give independent streams.
    pub fn new(label: [u8; 8]) -> DemoRng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&label);
        DemoRng(ChaCha8Rng::from_seed(seed))
    }

    /// A uniform draw from [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let unit = f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0);
        low + (high - low) * unit
    }

    /// A sample of white noise: uniform in [-1, 1), mean square 1/3.
    pub fn noise(&mut self) -> f64 {
        self.between(-1.0, 1.0)
    }

    /// A bell-shaped draw with mean 0 and variance 1 within ±3: the sum of three uniform draws.
    pub fn bell(&mut self) -> f64 {
        self.noise() + self.noise() + self.noise()
    }
}
