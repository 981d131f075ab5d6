//! Short-time power spectra: `|librosa.stft(y)|²` with centred frames and zeros beyond the ends.

use std::f64::consts::TAU;

use multiversion::multiversion;
use rustfft::num_complex::Complex;

use super::pair::{Pair, PairFft, powers};

/// Number of frames that pass through the STFT, the mel filters and the DCT at once, one in each
/// lane of the vector registers.
pub const FRAMES_PER_BLOCK: usize = 8;

/// Short-time Fourier transform with a periodic Hann window.
pub struct Stft {
    /// The window, with zeros on both sides up to n_fft values.
    window: Vec<f32>,
    hop_length: usize,
    fft: PairFft,
}

/// The buffers of one thread.
pub struct Scratch {
    pairs: [Pair; FRAMES_PER_BLOCK / 2],
    fft: Vec<Complex<f32>>,
}

impl Stft {
    /// A transform with `n_fft` samples a frame, a window of `win_length` samples in the middle of
    /// the frame, and `hop_length` samples from one frame to the next.
    pub fn new(n_fft: usize, win_length: usize, hop_length: usize) -> Self {
        Stft {
            window: hann_window(win_length, n_fft),
            hop_length,
            fft: PairFft::new(n_fft),
        }
    }

    /// Buffers for [`power_spectra`](Stft::power_spectra); each thread needs its own.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            pairs: std::array::from_fn(|_| self.fft.pair()),
            fft: self.fft.scratch(),
        }
    }

    /// Number of frequency bins of a spectrum: 1 + ⌊n_fft / 2⌋.
    pub fn bins(&self) -> usize {
        self.window.len() / 2 + 1
    }

    /// Number of frames of a waveform: 1 + ⌊samples / hop_length⌋ for an even n_fft.
    pub fn frames(&self, samples: usize) -> usize {
        let n_fft = self.window.len();
        let padded = samples + 2 * (n_fft / 2);
        1 + padded.saturating_sub(n_fft) / self.hop_length
    }

    /// Computes the unscaled power `|X|²` of the [`FRAMES_PER_BLOCK`] frames from number `first`
    /// into `power` [bins, FRAMES_PER_BLOCK]. Frames beyond the last frame, number `frames` − 1,
    /// are 0.
    pub fn power_spectra(
        &self,
        samples: &[f32],
        first: usize,
        frames: usize,
        scratch: &mut Scratch,
        power: &mut [[f32; FRAMES_PER_BLOCK]],
    ) {
        for (pair, left) in scratch.pairs.iter_mut().zip((first..).step_by(2)) {
            for (windowed, frame) in pair.frames.iter_mut().zip(left..) {
                if frame < frames {
                    self.windowed_frame(samples, frame, windowed);
                } else {
                    windowed.fill(0.0);
                }
            }
            self.fft.transform(pair, &mut scratch.fft);
        }
        powers(&scratch.pairs, power);
    }

    /// Writes the samples around the centre of the frame, multiplied by the window, into
    /// `windowed`. Samples beyond the ends are zeros.
    fn windowed_frame(&self, samples: &[f32], frame: usize, windowed: &mut [f32]) {
        let n_fft = self.window.len();
        // First sample of the frame in the waveform padded with n_fft / 2 zeros in front.
        let start = frame * self.hop_length;
        let zeros_before = (n_fft / 2).saturating_sub(start).min(n_fft);
        let from = (start + zeros_before - n_fft / 2).min(samples.len());
        let to = (from + n_fft - zeros_before).min(samples.len());
        let sound = zeros_before..zeros_before + (to - from);

        windowed[..sound.start].fill(0.0);
        windowed[sound.end..].fill(0.0);
        let weights = &self.window[sound.clone()];
        multiply(&samples[from..to], weights, &mut windowed[sound]);
    }
}

/// Writes samples times weights into `out`.
#[multiversion(targets("x86_64+avx2", "x86_64+avx"))]
fn multiply(samples: &[f32], weights: &[f32], out: &mut [f32]) {
    for ((out, sample), weight) in out.iter_mut().zip(samples).zip(weights) {
        *out = sample * weight;
    }
}

/// A periodic Hann window, ½ − ½·cos(2πn / N), centred in `n_fft` values.
fn hann_window(win_length: usize, n_fft: usize) -> Vec<f32> {
    let mut window = vec![0.0; n_fft];
    let start = (n_fft - win_length) / 2;
    for (n, value) in window[start..start + win_length].iter_mut().enumerate() {
        *value = (0.5 - 0.5 * (TAU * n as f64 / win_length as f64).cos()) as f32;
    }
    window
}
