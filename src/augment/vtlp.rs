//! VTLP warps: the features of a recording as from a longer or shorter vocal tract.
//!
//! MFCCs are a DCT of log mel bands, and a shift of the bands is linear. A warp of MFCCs is
//! therefore a small matrix between the transposed DCT and the DCT, and is applied to MFCCs on the
//! device without their spectrum. The information that the truncated DCT removes is not restored.
//! Deltas are linear in the MFCCs, so that the same matrix applies to them.

use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

use crate::audio::SampleRate;
use crate::dataset::Normalisation;
use crate::features::FeatureConfig;
use crate::features::dct::Dct;
use crate::features::mel::{hz_to_mel, mel_to_hz};

/// Frequency warps for normalised features (vocal tract length perturbation, Jaitly & Hinton 2013).
#[derive(Debug)]
pub struct VtlpWarps {
    /// Matrices from MFCCs to warped MFCCs: `[warps, n_mfcc, n_mfcc]`.
    warps: Tensor,
    /// Mean of the normalisation for MFCCs and deltas: `[(1 + deltas) × n_mfcc]`.
    mean: Tensor,
    /// Standard deviation of the normalisation, with the same shape.
    std: Tensor,
    n_mfcc: i64,
}

impl VtlpWarps {
    /// One warp for each factor: with 1.1, every band has the value at 1.1 times its frequency.
    ///
    /// # Errors
    /// If recordings keep their own sample rates.
    pub fn new(
        factors: &[f64],
        features: &FeatureConfig,
        sample_rate: SampleRate,
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<VtlpWarps> {
        let SampleRate::Hz(rate) = sample_rate else {
            bail!(
                "VTLP warps need the same mel bands for all recordings; set a sample rate instead of \
                 \"native\""
            );
        };
        let dct = dct_matrix(features);
        let warps: Vec<Tensor> = factors
            .iter()
            .map(|&factor| dct.matmul(&warp(features, rate, factor)).matmul(&dct.tr()))
            .collect();
        let (mean, std) = normalisation.statistics();
        let columns = (features.n_mfcc * (1 + features.deltas)) as i64;
        Ok(VtlpWarps {
            warps: Tensor::stack(&warps, 0).to_device(device),
            mean: mean.narrow(0, 0, columns),
            std: std.narrow(0, 0, columns),
            n_mfcc: features.n_mfcc as i64,
        })
    }

    /// Number of warps.
    pub fn count(&self) -> i64 {
        self.warps.size()[0]
    }

    /// Warps normalised features `[clips, frames, coefficients]`; `chosen` (`[clips]`) has the
    /// index of the warp of each clip. Columns behind the MFCCs and their deltas do not change.
    pub fn apply(&self, features: &Tensor, chosen: &Tensor) -> Tensor {
        let (warp, moved) = self.warp(chosen);
        self.affine(features, &warp, &moved)
    }

    /// The chosen warps as affine maps of MFCCs c without their mean: the matrices
    /// `[clips, n_mfcc, n_mfcc]`, and the terms `[clips, 1, n_mfcc]` that are added afterwards. The
    /// result is (c − mean) · warp + mean · warp − mean.
    pub(super) fn warp(&self, chosen: &Tensor) -> (Tensor, Tensor) {
        let warp = self.warps.index_select(0, chosen);
        let mean = self.mean.narrow(0, 0, self.n_mfcc).view([1, 1, -1]);
        let moved = mean.matmul(&warp) - mean;
        (warp, moved)
    }

    /// Standard deviation of each MFCC: `[n_mfcc]`.
    pub(super) fn std(&self) -> Tensor {
        self.std.narrow(0, 0, self.n_mfcc)
    }

    /// Applies an affine map of MFCCs without their mean, `matrix` (`[clips, n_mfcc, n_mfcc]`) and
    /// `added` (`[clips, 1, n_mfcc]`), to normalised features. Only the matrix is applied to
    /// deltas, because the deltas of a constant are zero.
    ///
    /// With x = c / std, the map is (x · std) · matrix / std. The factors are multiplied into the
    /// matrix, so that the frames are read and written once.
    pub(super) fn affine(&self, features: &Tensor, matrix: &Tensor, added: &Tensor) -> Tensor {
        let warped = features.copy();
        for block in 0..self.blocks() {
            let columns = |x: &Tensor| x.narrow(2, block * self.n_mfcc, self.n_mfcc);
            let mut warped = columns(&warped);
            match block {
                0 => warped.copy_(&(added / self.std())),
                _ => _ = warped.zero_(),
            }
            let _ = warped.baddbmm_(&columns(features), &self.scaled(matrix, block));
        }
        warped
    }

    /// All warps as affine maps of normalised features, for exports: x · matrix + added, with the
    /// matrices `[warps, coefficients, coefficients]` and the terms `[warps, 1, coefficients]`.
    pub fn matrices(&self, coefficients: i64) -> (Tensor, Tensor) {
        let device = self.warps.device();
        let all = Tensor::arange(self.count(), (Kind::Int64, device));
        let (warps, moved) = self.warp(&all);
        let full = Tensor::eye(coefficients, (Kind::Float, device)).repeat([self.count(), 1, 1]);
        let n = self.n_mfcc;
        for block in 0..self.blocks() {
            full.narrow(1, block * n, n)
                .narrow(2, block * n, n)
                .copy_(&self.scaled(&warps, block));
        }
        let added = (moved / self.std()).constant_pad_nd([0, coefficients - n]);
        (full, added)
    }

    /// Number of blocks of columns that are warped: the MFCCs, and each of their deltas.
    fn blocks(&self) -> i64 {
        self.std.size()[0] / self.n_mfcc
    }

    /// The matrices for normalised features of a block: std · matrix / std.
    fn scaled(&self, matrix: &Tensor, block: i64) -> Tensor {
        let std = self.std.narrow(0, block * self.n_mfcc, self.n_mfcc);
        matrix * std.unsqueeze(-1) / std
    }
}

/// The DCT as a matrix, `[n_mfcc, n_mels]`.
pub(super) fn dct_matrix(features: &FeatureConfig) -> Tensor {
    let (n_mfcc, n_mels) = (features.n_mfcc, features.n_mels);
    let transposed = Dct::new(n_mfcc, n_mels, 0.0).transposed(n_mfcc);
    Tensor::from_slice(&transposed)
        .view([n_mels as i64, n_mfcc as i64])
        .tr()
}

/// Matrix `[n_mels, n_mels]` that gives each mel band the value at `factor` times its frequency: a
/// row of bands is multiplied by it from the left. Values between two bands are interpolated
/// linearly; values beyond the edges are those of the edge.
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
        let weight = (source - below as f64) as f32;
        matrix[below * features.n_mels + band] += 1.0 - weight;
        matrix[above * features.n_mels + band] += weight;
    }
    let size = features.n_mels as i64;
    Tensor::from_slice(&matrix).view([size, size])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With as many MFCCs as bands, no information is lost: a peak of the spectrum must be at the
    /// frequency to which the warp moves it.
    #[test]
    fn a_peak_moves_to_the_warped_frequency() {
        let config = FeatureConfig {
            n_mfcc: 32,
            n_mels: 32,
            ..FeatureConfig::default()
        };
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

    /// The coefficients have different means and standard deviations.
    #[test]
    fn a_factor_of_one_changes_nothing_and_prosody_is_never_warped() {
        tch::manual_seed(5);
        let float = (Kind::Float, Device::Cpu);
        let features = FeatureConfig {
            n_mfcc: 20,
            n_mels: 32,
            deltas: 1,
            prosody: true,
            ..FeatureConfig::default()
        };
        let normalisation = Normalisation::identity(46);
        let frames = Tensor::randn([500, 46], float) * (Tensor::rand([46], float) + 0.5) - 20.0;
        normalisation.fit(&frames);
        let rate = SampleRate::Hz(16_000);
        let warps =
            VtlpWarps::new(&[1.0, 1.1], &features, rate, &normalisation, Device::Cpu).unwrap();
        let x = Tensor::randn([2, 9, 46], float);
        let moved = warps.apply(&x, &Tensor::from_slice(&[0i64, 1]));
        let difference = |clip: i64, from: i64, columns: i64| {
            let slice = |x: &Tensor| x.get(clip).narrow(1, from, columns);
            (slice(&moved) - slice(&x)).abs().max().double_value(&[])
        };
        assert!(difference(0, 0, 46) < 1e-4, "{}", difference(0, 0, 46));
        assert!(difference(1, 0, 40) > 0.1);
        assert_eq!(difference(1, 40, 6), 0.0);
    }

    #[test]
    fn a_warp_of_normalised_mfccs_is_the_warp_of_mfccs() {
        tch::manual_seed(6);
        let float = (Kind::Float, Device::Cpu);
        let features = FeatureConfig {
            n_mfcc: 20,
            n_mels: 32,
            ..FeatureConfig::default()
        };
        let normalisation = Normalisation::identity(20);
        let spread = Tensor::rand([20], float) * 30.0 + 1.0;
        let offset = Tensor::randn([20], float) * 50.0;
        let mfccs = Tensor::randn([2, 9, 20], float) * spread + offset;
        normalisation.fit(&mfccs.view([18, 20]));
        let rate = SampleRate::Hz(16_000);
        let warps = VtlpWarps::new(&[1.1], &features, rate, &normalisation, Device::Cpu).unwrap();

        let dct = dct_matrix(&features);
        let warped = mfccs
            .matmul(&dct)
            .matmul(&warp(&features, 16_000, 1.1))
            .matmul(&dct.tr());
        let expected = normalisation.apply(&warped);
        let chosen = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
        let difference = warps.apply(&normalisation.apply(&mfccs), &chosen) - expected;
        let largest = difference.abs().max().double_value(&[]);
        assert!(largest < 1e-3, "{largest}");
    }
}
