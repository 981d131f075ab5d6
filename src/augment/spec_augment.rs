//! Augmentation of the mel spectrum through the MFCCs: vocal tract length perturbation (VTLP),
//! frequency masks (SpecAugment) and cepstral offsets.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::vtlp::{VtlpWarps, dct_matrix};
use super::{Draws, Stream};
use crate::audio::SampleRate;
use crate::config::AugmentationConfig;
use crate::dataset::Normalisation;
use crate::features::FeatureConfig;
use crate::random::ClipSeed;

/// Number of different VTLP warps.
const WARPS: usize = 21;
/// Number of coefficients over which the cepstral offset becomes e times smaller.
const OFFSET_DECAY: f32 = 40.0;

/// Matrices for the augmentation of the spectrum behind normalised MFCCs.
#[derive(Debug)]
pub struct SpecAugment {
    warps: VtlpWarps,
    /// DCT matrix `[n_mfcc, n_mels]`.
    dct: Tensor,
    /// Relative size of the cepstral offset of each coefficient, `[n_mfcc]`.
    offset_scale: Tensor,
}

impl SpecAugment {
    /// Prepares the matrices. `None` if the configuration uses none of them.
    ///
    /// # Errors
    /// If the warps cannot be computed for these feature settings.
    pub fn new(
        augmentation: &AugmentationConfig,
        features: &FeatureConfig,
        sample_rate: SampleRate,
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<Option<SpecAugment>> {
        let a = augmentation;
        if a.frequency_warp == 0.0 && a.frequency_masks == 0 && a.cepstral_offset == 0.0 {
            return Ok(None);
        }
        let factors: Vec<f64> = (0..WARPS)
            .map(|step| 1.0 + a.frequency_warp * (2.0 * step as f64 / (WARPS - 1) as f64 - 1.0))
            .collect();
        // High coefficients describe finer structure than the filter of a microphone, room or
        // voice.
        let offset_scale: Vec<f32> = (0..features.n_mfcc)
            .map(|k| (-(k as f32) / OFFSET_DECAY).exp())
            .collect();
        Ok(Some(SpecAugment {
            warps: VtlpWarps::new(&factors, features, sample_rate, normalisation, device)?,
            dct: dct_matrix(features).to_device(device),
            offset_scale: Tensor::from_slice(&offset_scale).to_device(device),
        }))
    }

    /// Augments normalised features `[batch, frames, coefficients]`. For each clip it draws a warp
    /// of the frequency axis (VTLP), frequency masks that set bands to their mean (SpecAugment,
    /// Park et al. 2019), and a cepstral offset, which is a filter: a constant on the logarithm of
    /// the spectrum.
    pub fn apply(
        &self,
        features: &Tensor,
        seeds: &[ClipSeed],
        config: &AugmentationConfig,
    ) -> Tensor {
        let n_mfcc = self.dct.size()[0];
        let draws = Draws {
            seeds,
            device: features.device(),
        };
        let spectrum = draws.uniform(Stream::Spectrum, 1 + 2 * config.frequency_masks);
        let drawn = (spectrum.select(1, 0) * self.warps.count()).to_kind(Kind::Int64);
        let (warp, shift) = self.warps.warp(&drawn);
        let masks = self.masks(
            &spectrum.narrow(1, 1, 2 * config.frequency_masks as i64),
            config,
        );
        let offset = draws.normal(Stream::Offset, n_mfcc as usize).unsqueeze(1);
        let offset = offset * &self.offset_scale * self.warps.std() * config.cepstral_offset;
        let added = shift.matmul(&masks) + offset;
        self.warps.affine(features, &warp.matmul(&masks), &added)
    }

    /// Matrices that remove the masked bands of each clip: `[clips, n_mfcc, n_mfcc]`. `drawn`
    /// (`[clips, 2 × masks]`) has uniform numbers for the width and the start of each mask.
    fn masks(&self, drawn: &Tensor, config: &AugmentationConfig) -> Tensor {
        let float = (Kind::Float, self.dct.device());
        let bands = self.dct.size()[1];
        let band = Tensor::arange(bands, float).unsqueeze(0);
        let mut kept = Tensor::ones([drawn.size()[0], bands], float);
        for mask in 0..config.frequency_masks as i64 {
            let width = drawn.narrow(1, 2 * mask, 1) * config.frequency_mask_bands as f64;
            let start = (drawn.narrow(1, 2 * mask + 1, 1) * (bands as f64 - &width)).floor();
            let masked = band
                .ge_tensor(&start)
                .logical_and(&band.lt_tensor(&(start + width)));
            kept = kept.masked_fill(&masked, 0.0);
        }
        (&self.dct * kept.unsqueeze(1)).matmul(&self.dct.tr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BilstmConfig, EmotionModel, ModelConfig};

    fn seeds(x: &Tensor) -> Vec<ClipSeed> {
        let clips = 0..x.size()[0] as usize;
        clips.map(|clip| ClipSeed::new(5, 1, clip, 0)).collect()
    }

    fn features(n_mfcc: usize) -> FeatureConfig {
        FeatureConfig {
            n_mfcc,
            n_fft: 512,
            n_mels: 32,
            deltas: 1,
            ..FeatureConfig::default()
        }
    }

    /// The augmentation, and a model whose coefficients have different means and standard
    /// deviations.
    fn spectrum(config: &AugmentationConfig, n_mfcc: usize) -> (SpecAugment, EmotionModel) {
        tch::manual_seed(5);
        let float = (Kind::Float, Device::Cpu);
        let width = 2 * n_mfcc as i64;
        let arch = ModelConfig::Bilstm(BilstmConfig::default());
        let model = EmotionModel::new(
            &arch,
            width as usize,
            &["a".into(), "b".into()],
            Device::Cpu,
        );
        let frames =
            Tensor::randn([500, width], float) * (Tensor::rand([width], float) + 0.5) - 20.0;
        // The mean of deltas is zero.
        let _ = frames
            .narrow(1, n_mfcc as i64, n_mfcc as i64)
            .subtract_(&Tensor::from(-20.0f32));
        model.normalisation().fit(&frames);
        let rate = SampleRate::Hz(16_000);
        let made = SpecAugment::new(
            config,
            &features(n_mfcc),
            rate,
            model.normalisation(),
            Device::Cpu,
        );
        (made.unwrap().unwrap(), model)
    }

    #[test]
    fn a_warp_of_one_without_masks_changes_nothing() {
        let config = AugmentationConfig {
            frequency_masks: 1,
            ..AugmentationConfig::none()
        };
        let (spectrum, _) = spectrum(&config, 20);
        let x = Tensor::randn([3, 9, 40], (Kind::Float, Device::Cpu));
        let difference = (spectrum.apply(&x, &seeds(&x), &config) - &x)
            .abs()
            .max()
            .double_value(&[]);
        assert!(difference < 1e-4, "{difference}");
    }

    #[test]
    fn a_mask_over_all_bands_leaves_the_mean() {
        let config = AugmentationConfig {
            frequency_masks: 400,
            frequency_mask_bands: 32,
            ..AugmentationConfig::none()
        };
        let (spectrum, _) = spectrum(&config, 20);
        let x = Tensor::randn([4, 9, 40], (Kind::Float, Device::Cpu));
        let left = spectrum
            .apply(&x, &seeds(&x), &config)
            .abs()
            .max()
            .double_value(&[]);
        assert!(left < 1e-3, "{left}");
    }

    #[test]
    fn a_cepstral_offset_is_a_constant_on_the_mfccs_of_each_clip() {
        let config = AugmentationConfig {
            cepstral_offset: 0.3,
            ..AugmentationConfig::none()
        };
        let (spectrum, _) = spectrum(&config, 20);
        let x = Tensor::randn([2, 9, 40], (Kind::Float, Device::Cpu));
        let added = spectrum.apply(&x, &seeds(&x), &config) - &x;
        let largest = |x: Tensor| x.abs().max().double_value(&[]);
        assert!(
            largest(&added - added.narrow(1, 0, 1)) < 1e-4,
            "constant over the frames"
        );
        assert!(
            largest(added.narrow(2, 20, 20)) < 1e-4,
            "nothing on the deltas"
        );
        let size = added.narrow(2, 0, 20).std(true).double_value(&[]);
        assert!((0.1..0.4).contains(&size), "{size}");
        assert!(
            largest(added.get(0) - added.get(1)) > 0.05,
            "each clip its own"
        );
    }
}
