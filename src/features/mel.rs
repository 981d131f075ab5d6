//! Mel filter bank: `librosa.filters.mel` with Slaney's scale and norm.

use multiversion::multiversion;

use super::stft::FRAMES_PER_BLOCK;

/// Slope of Slaney's mel scale below 1000 Hz, where the scale is linear: 3 mel for 200 Hz.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
/// Start of the logarithmic part of the scale.
const LOG_START_HZ: f64 = 1000.0;
const LOG_START_MEL: f64 = LOG_START_HZ / HZ_PER_MEL;

/// Natural logarithm of the frequency ratio of one mel above 1000 Hz: 27 mel from 1000 to 6400 Hz.
fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

/// Hertz to mel, on Slaney's scale.
pub fn hz_to_mel(hz: f64) -> f64 {
    if hz < LOG_START_HZ {
        hz / HZ_PER_MEL
    } else {
        LOG_START_MEL + (hz / LOG_START_HZ).ln() / log_step()
    }
}

/// Mel to hertz, on Slaney's scale.
pub fn mel_to_hz(mel: f64) -> f64 {
    if mel < LOG_START_MEL {
        mel * HZ_PER_MEL
    } else {
        LOG_START_HZ * ((mel - LOG_START_MEL) * log_step()).exp()
    }
}

/// Triangular filters over the bins of a spectrum. Each filter is stored as its non-zero weights.
pub struct MelFilterBank {
    bands: Vec<Band>,
    /// The weights of all bands, one after the other.
    weights: Vec<f32>,
}

struct Band {
    first_bin: usize,
    first_weight: usize,
    bins: usize,
}

impl MelFilterBank {
    /// `n_mels` triangles between `fmin` and `fmax` hertz, evenly spaced in mel, for spectra of
    /// 1 + ⌊n_fft / 2⌋ bins at `sample_rate` hertz.
    ///
    /// The area of each triangle is 1 Hz (Slaney's norm). A triangle narrower than a bin may be
    /// empty, as in librosa.
    pub fn new(sample_rate: u32, n_fft: usize, n_mels: usize, fmin: f64, fmax: f64) -> Self {
        let (low, high) = (hz_to_mel(fmin), hz_to_mel(fmax));
        let edges: Vec<f64> = (0..n_mels + 2)
            .map(|i| mel_to_hz(low + (high - low) * i as f64 / (n_mels + 1) as f64))
            .collect();
        let mut bank = MelFilterBank {
            bands: Vec::with_capacity(n_mels),
            weights: Vec::new(),
        };
        for edge in edges.windows(3) {
            bank.push_triangle(edge[0], edge[1], edge[2], sample_rate, n_fft);
        }
        bank
    }

    /// Appends the triangle that rises from `left` to `centre` and falls to `right`, in hertz.
    fn push_triangle(
        &mut self,
        left: f64,
        centre: f64,
        right: f64,
        sample_rate: u32,
        n_fft: usize,
    ) {
        let bin_width = f64::from(sample_rate) / n_fft as f64;
        let height = 2.0 / (right - left);
        let weight = |bin: usize| {
            let hz = bin as f64 * bin_width;
            let slope = ((hz - left) / (centre - left)).min((right - hz) / (right - centre));
            slope.max(0.0) * height
        };
        let bins = n_fft / 2 + 1;
        let first_bin = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
        let first_weight = self.weights.len();
        self.weights.extend(
            (first_bin..bins)
                .map(weight)
                .take_while(|&weight| weight > 0.0)
                .map(|weight| weight as f32),
        );
        self.bands.push(Band {
            first_bin,
            first_weight,
            bins: self.weights.len() - first_weight,
        });
    }

    /// Filters the frames of a block at once: `power` [1 + ⌊n_fft / 2⌋, FRAMES_PER_BLOCK] → `mels`
    /// [n_mels, FRAMES_PER_BLOCK].
    pub fn apply(&self, power: &[[f32; FRAMES_PER_BLOCK]], mels: &mut [[f32; FRAMES_PER_BLOCK]]) {
        filter(self, power, mels);
    }
}

/// [`MelFilterBank::apply`] with the vector instructions of this processor. The results are the
/// same on every processor, because each sum is added in the same order.
#[multiversion(targets("x86_64+avx2", "x86_64+avx"))]
fn filter(
    bank: &MelFilterBank,
    power: &[[f32; FRAMES_PER_BLOCK]],
    mels: &mut [[f32; FRAMES_PER_BLOCK]],
) {
    for (mel, band) in mels.iter_mut().zip(&bank.bands) {
        let weights = &bank.weights[band.first_weight..band.first_weight + band.bins];
        let mut sums = [0.0; FRAMES_PER_BLOCK];
        for (weight, power) in weights.iter().zip(&power[band.first_bin..]) {
            for frame in 0..FRAMES_PER_BLOCK {
                sums[frame] += weight * power[frame];
            }
        }
        *mel = sums;
    }
}
