//! Mean 0 and variance 1 for every coefficient, by statistics of the training part.

use anyhow::Result;
use tch::{Kind, Tensor, nn};

use crate::features::Features;

/// The statistics, saved with the weights: the model knows what it was fed.
#[derive(Debug)]
pub struct Normalisation {
    mean: Tensor,
    deviation: Tensor,
}

impl Normalisation {
    /// Changes nothing until [`Normalisation::fit`] sees features.
    pub fn new(path: &nn::Path, coefficients: i64) -> Self {
        Normalisation {
            mean: path.zeros_no_train("mean", &[coefficients]),
            deviation: path.ones_no_train("deviation", &[coefficients]),
        }
    }

    /// Takes mean and standard deviation per coefficient from frames `[frames, coefficients]`.
    pub fn fit(&self, frames: &Tensor) {
        tch::no_grad(|| {
            // In double precision: a million frames add up.
            let frames = frames.to_kind(Kind::Double);
            let (variance, mean) = frames.var_mean_dim(0, false, false);
            self.set(&mean, &variance);
        });
    }

    /// The same of all frames of some clips, which stay where they are.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn fit_clips(&self, clips: &[&Features]) -> Result<()> {
        let columns = clips.first().map_or(0, |clip| clip.coefficients());
        let frames: usize = clips.iter().map(|clip| clip.frames()).sum();
        let mean_of = |of: &dyn Fn(usize, f64) -> f64| -> Result<Vec<f64>> {
            let mut sums = vec![0.0; columns];
            for clip in clips {
                for row in clip.read()?.chunks_exact(columns) {
                    for (column, (sum, value)) in sums.iter_mut().zip(row).enumerate() {
                        *sum += of(column, f64::from(*value));
                    }
                }
            }
            Ok(sums.iter().map(|sum| sum / frames as f64).collect())
        };
        let mean = mean_of(&|_, value| value)?;
        let variance = mean_of(&|column, value| (value - mean[column]).powi(2))?;
        tch::no_grad(|| self.set(&Tensor::from_slice(&mean), &Tensor::from_slice(&variance)));
        Ok(())
    }

    fn set(&self, mean: &Tensor, variance: &Tensor) {
        self.mean.shallow_clone().copy_(mean);
        // A coefficient that never changes is only shifted.
        let deviation = variance.sqrt();
        let steady = deviation.lt(1e-5);
        self.deviation
            .shallow_clone()
            .copy_(&deviation.masked_fill(&steady, 1.0));
    }

    /// The statistics as they are now, whatever becomes of these.
    pub fn copy(&self) -> Normalisation {
        Normalisation {
            mean: self.mean.copy(),
            deviation: self.deviation.copy(),
        }
    }

    /// Whether two parts have the same statistics: those of the same recordings differ by rounding
    /// alone, from one machine to another.
    pub fn is_like(&self, other: &Normalisation) -> bool {
        let near = |a: &Tensor, b: &Tensor| {
            let apart = ((a - b) / &self.deviation).abs().max().double_value(&[]);
            apart < 1e-2
        };
        near(&self.mean, &other.mean) && near(&self.deviation, &other.deviation)
    }

    /// Mean and deviation, `[coefficients]` each.
    pub fn statistics(&self) -> (Tensor, Tensor) {
        (self.mean.shallow_clone(), self.deviation.shallow_clone())
    }

    /// Normalises features, `[…, coefficients]`.
    pub fn apply(&self, features: &Tensor) -> Tensor {
        (features - &self.mean) / &self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn frames_come_out_with_mean_0_and_variance_1() {
        tch::manual_seed(1);
        let store = nn::VarStore::new(Device::Cpu);
        let normalisation = Normalisation::new(&store.root(), 3);
        let scale = Tensor::from_slice(&[100.0f32, 1.0, 0.0]);
        let frames = Tensor::randn([5000, 3], (Kind::Float, Device::Cpu)) * scale - 300.0;
        normalisation.fit(&frames);
        let (variance, mean) = normalisation.apply(&frames).var_mean_dim(0, false, false);
        let variance: Vec<f64> = variance.to_kind(Kind::Double).try_into().unwrap();
        let mean: Vec<f64> = mean.to_kind(Kind::Double).try_into().unwrap();
        assert!(mean.iter().all(|m| m.abs() < 1e-4), "{mean:?}");
        assert!((variance[0] - 1.0).abs() < 1e-3 && (variance[1] - 1.0).abs() < 1e-3);
        assert!(
            variance[2].abs() < 1e-6,
            "a constant coefficient stays constant"
        );

        // In clips, which is the same.
        let by_clips = Normalisation::new(&nn::VarStore::new(Device::Cpu).root(), 3);
        let clip = |frames: Tensor| {
            let length = frames.size()[0] as usize;
            Features::new(length, 3, frames.reshape([-1]).try_into().unwrap()).unwrap()
        };
        let clips = [
            clip(frames.narrow(0, 0, 1)),
            clip(frames.narrow(0, 1, 4999)),
        ];
        by_clips.fit_clips(&[&clips[0], &clips[1]]).unwrap();
        assert!(
            by_clips
                .mean
                .allclose(&normalisation.mean, 1e-6, 0.0, false)
        );
        assert!(
            by_clips
                .deviation
                .allclose(&normalisation.deviation, 1e-6, 0.0, false)
        );
    }
}
