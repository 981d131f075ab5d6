//! Warping and masking the mel spectrum behind MFCCs.
//!
//! MFCCs are a DCT of log mel bands, and all that is done to bands here is linear: so it is a small
//! matrix between the DCT's transpose and the DCT, and MFCCs on the device can be varied as if
//! their spectrum were at hand. What the truncated DCT has lost stays lost. Deltas are linear in
//! the MFCCs, hence the same matrix serves them.

use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

use super::config::AugmentationConfig;
use crate::audio::SampleRate;
use crate::dataset::Normalisation;
use crate::features::FeatureConfig;
use crate::features::dct::Dct;
use crate::features::mel::{hz_to_mel, mel_to_hz};

/// Steps between the shortest and the longest vocal tract.
const WARPS: usize = 21;
/// A channel's filter is e times weaker every so many coefficients.
const FADING: f32 = 40.0;

/// What is needed to vary the spectrum behind normalised MFCCs.
#[derive(Debug)]
pub struct Spectrum {
    /// The DCT: `[n_mfcc, n_mels]`.
    dct: Tensor,
    /// Frequency warps, between MFCCs: `[WARPS, n_mfcc, n_mfcc]`.
    warps: Tensor,
    /// Of the normalisation, for statics and deltas: `[(1 + deltas) × n_mfcc]`.
    mean: Tensor,
    deviation: Tensor,
    /// How far a channel reaches, for each static: `[n_mfcc]`.
    fading: Tensor,
    n_mfcc: i64,
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
        if augmentation.frequency_warp == 0.0
            && augmentation.frequency_masks == 0
            && augmentation.channel == 0.0
        {
            return Ok(None);
        }
        let SampleRate::Hz(rate) = sample_rate else {
            bail!("where recordings keep their own sample rate, their mel bands differ");
        };
        let dct = dct_matrix(features.n_mfcc, features.n_mels);
        let warps: Vec<Tensor> = (0..WARPS)
            .map(|step| {
                let factor = 1.0
                    + augmentation.frequency_warp * (2.0 * step as f64 / (WARPS - 1) as f64 - 1.0);
                dct.matmul(&warp(features, rate, factor)).matmul(&dct.tr())
            })
            .collect();
        let (mean, deviation) = normalisation.statistics();
        let columns = (features.n_mfcc * (1 + features.deltas)) as i64;
        // Towards the higher coefficients, which are finer than what filters voices.
        let fading: Vec<f32> = (0..features.n_mfcc)
            .map(|k| (-(k as f32) / FADING).exp())
            .collect();
        Ok(Some(Spectrum {
            dct: dct.to_device(device),
            warps: Tensor::stack(&warps, 0).to_device(device),
            mean: mean.narrow(0, 0, columns),
            deviation: deviation.narrow(0, 0, columns),
            fading: Tensor::from_slice(&fading).to_device(device),
            n_mfcc: features.n_mfcc as i64,
        }))
    }

    /// Varies normalised features `[batch, frames, coefficients]`, each clip in its own way: formants
    /// move as with another vocal tract (Jaitly & Hinton 2013), and stretches of bands are set to
    /// their mean (SpecAugment, Park et al. 2019); a constant on the logarithm of the spectrum is a
    /// filter. Columns behind the MFCCs and their deltas stay as they are.
    pub(super) fn vary(&self, features: &Tensor, config: &AugmentationConfig) -> Tensor {
        let columns = self.deviation.size()[0];
        let others = features.size()[2] - columns;
        let varied = self.vary_mfccs(&features.narrow(2, 0, columns), config);
        match others {
            0 => varied,
            _ => Tensor::cat(&[varied, features.narrow(2, columns, others)], 2),
        }
    }

    fn vary_mfccs(&self, features: &Tensor, config: &AugmentationConfig) -> Tensor {
        let clips = features.size()[0];
        let device = features.device();
        let chosen = Tensor::randint(WARPS as i64, [clips], (Kind::Int64, device));
        let warp = self.warps.index_select(0, &chosen);
        let mask = self.masks(clips, config);

        // With x = (c − mean) / deviation: ((x · deviation + mean) · warp − mean) · mask / deviation.
        let statics = |values: &Tensor| values.narrow(0, 0, self.n_mfcc).view([1, 1, -1]);
        let mean = statics(&self.mean);
        let moved = (mean.matmul(&warp) - &mean).matmul(&mask) / statics(&self.deviation);
        let filter = Tensor::randn([clips, 1, self.n_mfcc], (Kind::Float, device));
        let moved = moved + filter * &self.fading * config.channel;
        let rows = (features * &self.deviation).view([clips, -1, self.n_mfcc]);
        let varied = rows.matmul(&warp.matmul(&mask)).view_as(features) / &self.deviation;
        // Deltas of a constant are zero: only the statics move.
        let still = self.deviation.size()[0] - self.n_mfcc;
        varied + moved.constant_pad_nd([0, still])
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

/// The DCT as a matrix, `[n_mfcc, n_mels]`.
fn dct_matrix(n_mfcc: usize, n_mels: usize) -> Tensor {
    let dct = Dct::new(n_mfcc, n_mels, 0.0);
    let mut columns = vec![0.0f32; n_mels * n_mfcc];
    for (band, column) in columns.chunks_exact_mut(n_mfcc).enumerate() {
        let mut unit = vec![0.0; n_mels];
        unit[band] = 1.0;
        dct.apply(&unit, column);
    }
    Tensor::from_slice(&columns)
        .view([n_mels as i64, n_mfcc as i64])
        .tr()
}

/// Reads each mel band at `factor` times its frequency: `[n_mels, n_mels]`, for bands as a row on
/// the left. Between two bands stands their linear interpolation; beyond the edges, the edge.
fn warp(features: &FeatureConfig, sample_rate: u32, factor: f64) -> Tensor {
    let low = hz_to_mel(f64::from(features.fmin));
    let high = hz_to_mel(
        features
            .fmax
            .map_or(f64::from(sample_rate) / 2.0, f64::from),
    );
    let step = (high - low) / (features.n_mels + 1) as f64;
    let last = features.n_mels - 1;
    let mut matrix = vec![0.0f32; features.n_mels * features.n_mels];
    for band in 0..features.n_mels {
        let centre = mel_to_hz(low + (band + 1) as f64 * step);
        let source = (hz_to_mel(centre * factor) - low) / step - 1.0;
        let source = source.clamp(0.0, last as f64);
        let below = (source.floor() as usize).min(last);
        let above = (below + 1).min(last);
        let share = (source - below as f64) as f32;
        matrix[below * features.n_mels + band] += 1.0 - share;
        matrix[above * features.n_mels + band] += share;
    }
    let size = features.n_mels as i64;
    Tensor::from_slice(&matrix).view([size, size])
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

    /// With as many MFCCs as bands nothing is lost: a bump in the spectrum must come out at the
    /// frequency that the warp sends it to.
    #[test]
    fn a_peak_moves_to_where_the_warp_sends_it() {
        let config = features(32);
        for factor in [0.9, 1.1] {
            let peak = 14;
            let mut bands = vec![0.0f32; 32];
            bands[peak] = 1.0;
            let warped = Tensor::from_slice(&bands)
                .unsqueeze(0)
                .matmul(&warp(&config, 16_000, factor));
            let warped: Vec<f32> = warped.view([-1]).try_into().unwrap();
            let step = hz_to_mel(8000.0) / 33.0;
            let hz = mel_to_hz((peak + 1) as f64 * step);
            let expected = hz_to_mel(hz / factor) / step - 1.0;
            let centre: f64 = warped
                .iter()
                .enumerate()
                .map(|(i, w)| i as f64 * f64::from(*w))
                .sum();
            let mass: f64 = warped.iter().map(|&w| f64::from(w)).sum();
            assert!(
                (centre / mass - expected).abs() < 0.5,
                "{factor}: {} {expected}",
                centre / mass
            );
        }
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
}
