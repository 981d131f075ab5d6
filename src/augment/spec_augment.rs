//! Augmentation of the mel spectrum through the MFCCs: vocal tract length perturbation (VTLP),
//! frequency masks (SpecAugment) and cepstral offsets.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::outside_masks;
use super::vtlp::{VtlpWarps, dct_matrix};
use crate::audio::SampleRate;
use crate::config::AugmentationConfig;
use crate::dataset::Normalisation;
use crate::features::FeatureConfig;

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

    /// Number of MFCCs.
    pub(super) fn n_mfcc(&self) -> i64 {
        self.dct.size()[0]
    }

    /// Augments normalised features `[batch, frames, coefficients]`. Each clip gets a warp of the
    /// frequency axis (VTLP) and frequency masks that set bands to their mean (SpecAugment, Park et
    /// al. 2019), by the uniform numbers `spectrum` `[batch, 1 + 2 × masks]`, and a cepstral offset,
    /// by the normal numbers `offset` `[batch, n_mfcc]`. The offset is a filter: a constant on the
    /// logarithm of the spectrum.
    pub(super) fn apply(
        &self,
        features: &Tensor,
        spectrum: &Tensor,
        offset: &Tensor,
        config: &AugmentationConfig,
    ) -> Tensor {
        let drawn = (spectrum.select(1, 0) * self.warps.count()).to_kind(Kind::Int64);
        let (warp, shift) = self.warps.warp(&drawn);
        let masks = self.masks(
            &spectrum.narrow(1, 1, 2 * config.frequency_masks as i64),
            config,
        );
        let offset =
            offset.unsqueeze(1) * &self.offset_scale * self.warps.std() * config.cepstral_offset;
        let added = shift.matmul(&masks) + offset;
        self.warps.affine(features, &warp.matmul(&masks), &added)
    }

    /// Matrices that remove the masked bands of each clip: `[clips, n_mfcc, n_mfcc]`. `drawn`
    /// (`[clips, 2 × masks]`) has uniform numbers for the width and the start of each mask.
    fn masks(&self, drawn: &Tensor, config: &AugmentationConfig) -> Tensor {
        let bands = self.dct.size()[1];
        let [longest, available] = [config.frequency_mask_bands, bands].map(Tensor::from);
        let kept = outside_masks(drawn, &longest, &available, bands);
        (&self.dct * kept.unsqueeze(1)).matmul(&self.dct.tr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Augmentation;
    use crate::augment::random_numbers::Stream;
    use crate::model::{BilstmConfig, EmotionModel, ModelConfig};
    use crate::random::ClipSeed;

    /// Features that are augmented with the numbers of a training.
    fn augment(spectrum: &SpecAugment, x: &Tensor, config: &AugmentationConfig) -> Tensor {
        let clips = 0..x.size()[0] as usize;
        let seeds: Vec<ClipSeed> = clips.map(|clip| ClipSeed::new(5, 1, clip, 0)).collect();
        let augmentation = Augmentation {
            classes: 2,
            spec_augment: Some(spectrum),
            config,
        };
        let numbers = augmentation.draw(&seeds, &[], Device::Cpu);
        let numbers = |stream| augmentation.columns(&numbers, stream);
        spectrum.apply(
            x,
            &numbers(Stream::Spectrum),
            &numbers(Stream::Offset),
            config,
        )
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
        let difference = (augment(&spectrum, &x, &config) - &x)
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
        let left = augment(&spectrum, &x, &config)
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
        let added = augment(&spectrum, &x, &config) - &x;
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
