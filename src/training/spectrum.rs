//! What training does to the mel spectrum behind MFCCs: other vocal tracts, masked bands, filters.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::config::AugmentationConfig;
use crate::audio::SampleRate;
use crate::dataset::{Normalisation, VocalTracts, dct_matrix};
use crate::features::FeatureConfig;

/// Steps between the shortest and the longest vocal tract.
const WARPS: usize = 21;
/// A channel's filter is e times weaker every so many coefficients.
const FADING: f32 = 40.0;

/// What is needed to vary the spectrum behind normalised MFCCs.
#[derive(Debug)]
pub struct Spectrum {
    tracts: VocalTracts,
    /// The DCT: `[n_mfcc, n_mels]`.
    dct: Tensor,
    /// How far a channel reaches, for each coefficient: `[n_mfcc]`.
    fading: Tensor,
}

impl Spectrum {
    /// Prepares the matrices; `None` where the configuration does not ask for them.
    pub fn new(
        augmentation: &AugmentationConfig,
        features: &FeatureConfig,
        sample_rate: SampleRate,
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<Option<Spectrum>> {
        let a = augmentation;
        if a.frequency_warp == 0.0 && a.frequency_masks == 0 && a.channel == 0.0 {
            return Ok(None);
        }
        let factors: Vec<f64> = (0..WARPS)
            .map(|step| 1.0 + a.frequency_warp * (2.0 * step as f64 / (WARPS - 1) as f64 - 1.0))
            .collect();
        // Towards the higher coefficients, which are finer than what filters voices.
        let fading: Vec<f32> = (0..features.n_mfcc)
            .map(|k| (-(k as f32) / FADING).exp())
            .collect();
        Ok(Some(Spectrum {
            tracts: VocalTracts::new(&factors, features, sample_rate, normalisation, device)?,
            dct: dct_matrix(features).to_device(device),
            fading: Tensor::from_slice(&fading).to_device(device),
        }))
    }

    /// Varies normalised features `[batch, frames, coefficients]`, each clip in its own way: formants
    /// move as with another vocal tract; stretches of bands are set to their mean (SpecAugment, Park
    /// et al. 2019); a constant on the logarithm of the spectrum is a filter.
    pub(super) fn vary(&self, features: &Tensor, config: &AugmentationConfig) -> Tensor {
        let clips = features.size()[0];
        let (n_mfcc, device) = (self.dct.size()[0], features.device());
        let chosen = Tensor::randint(self.tracts.count(), [clips], (Kind::Int64, device));
        let (warp, moved) = self.tracts.warp(&chosen);
        let masks = self.masks(clips, config);
        let filter = Tensor::randn([clips, 1, n_mfcc], (Kind::Float, device));
        let filter = filter * &self.fading * self.tracts.deviation() * config.channel;
        let added = moved.matmul(&masks) + filter;
        self.tracts.affine(features, &warp.matmul(&masks), &added)
    }

    /// For each clip the matrix that takes its masked bands out: `[clips, n_mfcc, n_mfcc]`.
    fn masks(&self, clips: i64, config: &AugmentationConfig) -> Tensor {
        let float = (Kind::Float, self.dct.device());
        let bands = self.dct.size()[1];
        let band = Tensor::arange(bands, float).unsqueeze(0);
        let mut kept = Tensor::ones([clips, bands], float);
        for _ in 0..config.frequency_masks {
            let width = Tensor::rand([clips, 1], float) * config.frequency_mask_bands as f64;
            let start = (Tensor::rand([clips, 1], float) * (bands as f64 - &width)).floor();
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

    fn features(n_mfcc: usize) -> FeatureConfig {
        FeatureConfig {
            n_mfcc,
            n_fft: 512,
            n_mels: 32,
            deltas: 1,
            ..FeatureConfig::default()
        }
    }

    /// A spectrum over clips whose coefficients have means and deviations of their own.
    fn spectrum(config: &AugmentationConfig, n_mfcc: usize) -> (Spectrum, EmotionModel) {
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
        // Deltas have no mean.
        let _ = frames
            .narrow(1, n_mfcc as i64, n_mfcc as i64)
            .subtract_(&Tensor::from(-20.0f32));
        model.normalisation().fit(&frames);
        let rate = SampleRate::Hz(16_000);
        let made = Spectrum::new(
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
        let difference = (spectrum.vary(&x, &config) - &x)
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
        let left = spectrum.vary(&x, &config).abs().max().double_value(&[]);
        assert!(left < 1e-3, "{left}");
    }

    #[test]
    fn a_channel_is_a_constant_on_the_statics_of_each_clip() {
        let config = AugmentationConfig {
            channel: 0.3,
            ..AugmentationConfig::none()
        };
        let (spectrum, _) = spectrum(&config, 20);
        let x = Tensor::randn([2, 9, 40], (Kind::Float, Device::Cpu));
        let added = spectrum.vary(&x, &config) - &x;
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
