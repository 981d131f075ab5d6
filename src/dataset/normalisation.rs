//! Normalisation of every coefficient to mean 0 and variance 1, with statistics of the training
//! subset.

use anyhow::Result;
use tch::{Kind, Tensor};

use crate::features::Features;

/// Mean and standard deviation of each coefficient. They are stored with the weights of the model.
#[derive(Debug)]
pub struct Normalisation {
    /// `[coefficients]`.
    mean: Tensor,
    /// `[coefficients]`.
    std: Tensor,
}

impl Normalisation {
    /// Statistics `[coefficients]` each. [`Normalisation::fit`] changes both tensors in place.
    pub fn new(mean: Tensor, std: Tensor) -> Self {
        Normalisation { mean, std }
    }

    /// The normalisation that changes nothing.
    pub fn identity(coefficients: i64) -> Self {
        let float = (Kind::Float, tch::Device::Cpu);
        Normalisation::new(
            Tensor::zeros([coefficients], float),
            Tensor::ones([coefficients], float),
        )
    }

    /// Computes mean and standard deviation of each coefficient of frames `[frames, coefficients]`.
    pub fn fit(&self, frames: &Tensor) {
        tch::no_grad(|| {
            // In double precision, because rounding errors of a million frames add up.
            let frames = frames.to_kind(Kind::Double);
            let (variance, mean) = frames.var_mean_dim(0, false, false);
            self.set(&mean, &variance);
        });
    }

    /// Like [`Normalisation::fit`], for all frames of some clips, which are read one after the
    /// other.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn fit_clips(&self, clips: &[&Features]) -> Result<()> {
        let (mean, variance) = statistics(clips)?;
        tch::no_grad(|| self.set(&mean, &variance));
        Ok(())
    }

    /// The normalisation of recordings of one voice and one microphone: that of their frames, mixed with
    /// `prior` frames that have the present mean and variance.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn adapted(&self, clips: &[&Features], prior: f64) -> Result<Normalisation> {
        let (own_mean, own_variance) = statistics(clips)?;
        let frames: usize = clips.iter().map(|clip| clip.frames()).sum();
        let own = frames as f64 / (frames as f64 + prior);
        let present = self.mean.to_kind(Kind::Double);
        let distance = own_mean.to_device(present.device()) - &present;
        let mean = &present + &distance * own;
        let variance = own_variance.to_device(present.device()) * own
            + self.std.to_kind(Kind::Double).square() * (1.0 - own)
            + distance.square() * (own * (1.0 - own));
        let adapted = self.copy();
        tch::no_grad(|| adapted.set(&mean, &variance));
        Ok(adapted)
    }

    fn set(&self, mean: &Tensor, variance: &Tensor) {
        self.mean.shallow_clone().copy_(mean);
        // A constant coefficient is only shifted, not scaled.
        let std = variance.sqrt();
        let is_constant = std.lt(1e-5);
        self.std
            .shallow_clone()
            .copy_(&std.masked_fill(&is_constant, 1.0));
    }

    /// A copy of the current statistics, which is independent of later changes.
    pub fn copy(&self) -> Normalisation {
        Normalisation {
            mean: self.mean.copy(),
            std: self.std.copy(),
        }
    }

    /// True if the statistics are equal up to 1 % of a standard deviation. The statistics of the
    /// same recordings differ between machines only by rounding.
    pub fn is_like(&self, other: &Normalisation) -> bool {
        let near = |a: &Tensor, b: &Tensor| {
            let difference = ((a - b) / &self.std).abs().max().double_value(&[]);
            difference < 1e-2
        };
        near(&self.mean, &other.mean) && near(&self.std, &other.std)
    }

    /// Mean and standard deviation, `[coefficients]` each.
    pub fn statistics(&self) -> (Tensor, Tensor) {
        (self.mean.shallow_clone(), self.std.shallow_clone())
    }

    /// Normalises features, `[…, coefficients]`.
    pub fn apply(&self, features: &Tensor) -> Tensor {
        (features - &self.mean) / &self.std
    }
}

/// Mean and variance `[coefficients]` of all frames of some clips, in double precision. The clips are
/// read one after the other.
fn statistics(clips: &[&Features]) -> Result<(Tensor, Tensor)> {
    let columns = clips.first().map_or(0, |clip| clip.coefficients());
    let frames: usize = clips.iter().map(|clip| clip.frames()).sum();
    let mean_of = |function: &dyn Fn(usize, f64) -> f64| -> Result<Vec<f64>> {
        let mut sums = vec![0.0; columns];
        for clip in clips {
            for row in clip.read()?.chunks_exact(columns) {
                for (column, (sum, value)) in sums.iter_mut().zip(row).enumerate() {
                    *sum += function(column, f64::from(*value));
                }
            }
        }
        Ok(sums.iter().map(|sum| sum / frames as f64).collect())
    };
    let mean = mean_of(&|_, value| value)?;
    let variance = mean_of(&|column, value| (value - mean[column]).powi(2))?;
    Ok((Tensor::from_slice(&mean), Tensor::from_slice(&variance)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Frames of a voice beside the frames of the training: those of both together.
    #[test]
    fn an_adapted_normalisation_is_that_of_a_mixture_of_frames() {
        tch::manual_seed(2);
        let draw = |frames: i64, mean: f64, std: f64| {
            Tensor::randn([frames, 2], (Kind::Float, Device::Cpu)) * std + mean
        };
        let known = draw(40_000, -3.0, 2.0);
        let normalisation = Normalisation::identity(2);
        normalisation.fit(&known);
        let voice = draw(20_001, 5.0, 0.5);
        // As the pitch of a whisper.
        let _ = voice.narrow(1, 1, 1).fill_(4.0);
        let clips: Vec<Features> = voice
            .chunk(3, 0)
            .into_iter()
            .map(|rows| {
                let values = Vec::<f32>::try_from(rows.flatten(0, 1)).unwrap();
                Features::new(rows.size()[0] as usize, 2, values).unwrap()
            })
            .collect();
        let clips: Vec<&Features> = clips.iter().collect();

        let mixture = Normalisation::identity(2);
        mixture.fit(&Tensor::cat(&[known, voice], 0));
        let adapted = normalisation.adapted(&clips, 40_000.0).unwrap();
        assert!(adapted.is_like(&mixture), "{adapted:?} {mixture:?}");
        // Without a prior, nothing is left of the statistics of the training.
        let alone = normalisation.adapted(&clips, 0.0).unwrap();
        let mean = Vec::<f32>::try_from(alone.mean).unwrap();
        assert!((mean[0] - 5.0).abs() < 0.02 && mean[1] == 4.0, "{mean:?}");
    }

    #[test]
    fn normalised_frames_have_mean_0_and_variance_1() {
        tch::manual_seed(1);
        let normalisation = Normalisation::identity(3);
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

        // The frames as two clips give the same statistics.
        let by_clips = Normalisation::identity(3);
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
        assert!(by_clips.std.allclose(&normalisation.std, 1e-6, 0.0, false));
    }
}
