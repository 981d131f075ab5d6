//! Dropout (Srivastava et al. 2014) with random numbers of each clip.
//!
//! libtorch has one generator for all threads. Here each row of a batch has its own, so that the
//! numbers depend neither on the other rows nor on the padding, the threads or the device. Sixteen
//! bits decide on a value, which takes a quarter of the time of libtorch's draws.

use rand::Rng;
use tch::Tensor;

use crate::device;
use crate::parallel;
use crate::random::ClipSeed;

/// First stream of a clip's random numbers that dropout uses; augmentation uses the others.
const FIRST_STREAM: u64 = 16;

/// The dropout of one forward pass.
pub(super) struct Dropout<'a> {
    /// Seed of each row of the batch; empty outside training.
    seeds: &'a [ClipSeed],
    /// Stream of the next layer.
    stream: u64,
}

impl<'a> Dropout<'a> {
    /// Dropout in training, for a batch with these clips.
    pub fn training(seeds: &'a [ClipSeed]) -> Self {
        Dropout {
            seeds,
            stream: FIRST_STREAM,
        }
    }

    /// No dropout.
    pub fn off() -> Self {
        Dropout::training(&[])
    }

    /// Sets each value of `[batch, …]` to zero with probability `p` (rounded to a multiple of
    /// 1 / 65 536) and scales the other values by 1 / (1 − p).
    pub fn apply(&mut self, x: &Tensor, p: f64) -> Tensor {
        let dropped = (p * 65_536.0).round().min(65_535.0) as u16;
        if self.seeds.is_empty() || dropped == 0 {
            return x.shallow_clone();
        }
        let stream = self.stream;
        self.stream += 1;
        let scale = (65_536.0 / (65_536.0 - f64::from(dropped))) as f32;
        let width = x.numel() / self.seeds.len();
        let factors = parallel::rows(self.seeds, x.device(), width, |seed, factors| {
            let mut bits = vec![0; 2 * width];
            seed.generator(stream).fill_bytes(&mut bits);
            let (draws, _) = bits.as_chunks::<2>();
            // With copies instead of references, the compiler uses vector instructions.
            factors.extend(draws.iter().map(move |&draw| {
                let is_kept = u16::from_le_bytes(draw) >= dropped;
                if is_kept { scale } else { 0.0 }
            }));
        });
        x * device::upload(&Tensor::from_slice(&factors), x.device()).view_as(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn seeds(clips: usize) -> Vec<ClipSeed> {
        (0..clips)
            .map(|clip| ClipSeed::new(3, 1, clip, 0))
            .collect()
    }

    #[test]
    fn drops_the_given_share_and_keeps_the_mean() {
        let (rows, width) = (1000, 999);
        for p in [0.1, 0.3, 0.5, 0.9] {
            let x = Tensor::ones([rows, width], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let y = Dropout::training(&seeds(1000)).apply(&x, p);
            y.sum(Kind::Float).backward();
            assert!(
                x.grad().equal(&y),
                "the gradient passes where the value does"
            );

            // Three standard deviations of the mean of `values` values.
            let tolerance = |values: i64| 3.0 * (p / (1.0 - p) / values as f64).sqrt();
            let mean = y.mean(Kind::Double).double_value(&[]);
            assert!((mean - 1.0).abs() < tolerance(rows * width), "{p}: {mean}");
            // Every column is dropped equally often.
            let columns = Vec::<f64>::try_from(y.mean_dim(0, false, Kind::Double)).unwrap();
            let outliers = columns
                .iter()
                .filter(|mean| (*mean - 1.0).abs() > tolerance(rows));
            assert!(outliers.count() < 15, "{p}");
            let kept = y.masked_select(&y.ne(0.0));
            let exact = 1.0 / (1.0 - (p * 65_536.0).round() / 65_536.0);
            assert!((kept - exact).abs().max().double_value(&[]) < 1e-5);
        }
    }

    #[test]
    fn a_row_is_the_same_in_any_batch_and_with_any_padding() {
        let seeds = seeds(4);
        let ones = |rows, steps| Tensor::ones([rows, steps, 8], (Kind::Float, Device::Cpu));
        let batch = Dropout::training(&seeds).apply(&ones(4, 30), 0.5);
        let alone = Dropout::training(&seeds[2..3]).apply(&ones(1, 12), 0.5);
        assert!(batch.narrow(0, 2, 1).narrow(1, 0, 12).equal(&alone));
        assert!(!batch.get(1).equal(&batch.get(2)));
    }

    #[test]
    fn layers_have_different_masks() {
        let seeds = seeds(2);
        let mut dropout = Dropout::training(&seeds);
        let x = Tensor::ones([2, 500], (Kind::Float, Device::Cpu));
        let masks = [dropout.apply(&x, 0.5), dropout.apply(&x, 0.5)];
        assert!(!masks[0].equal(&masks[1]));
    }

    #[test]
    fn changes_nothing_outside_training() {
        let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0]);
        assert!(Dropout::off().apply(&x, 0.5).equal(&x));
        assert!(Dropout::training(&seeds(3)).apply(&x, 0.0).equal(&x));
    }
}
