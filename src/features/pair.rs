//! One complex FFT for two real frames, in half the time of two FFTs.
//!
//! The left frame is the real part of the input, the right frame is the imaginary part. With Z as
//! the spectrum of both, Z(k) + Z*(−k) is twice the spectrum of the left frame, and Z(k) − Z*(−k)
//! is 2i times the spectrum of the right frame. The rounding errors of the FFT are proportional to
//! the louder frame, so the quieter frame is amplified before: each result is as precise as that of
//! an FFT of its own.

use std::sync::Arc;

use multiversion::multiversion;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::audio::dot::energy;

/// The plan of an FFT of two frames at once.
pub(super) struct PairFft {
    plan: Arc<dyn Fft<f32>>,
}

/// Two frames and their joint spectrum.
pub(super) struct Pair {
    /// The input frames, n_fft samples each. A transform does not change them.
    pub(super) frames: [Vec<f32>; 2],
    /// The joint spectrum, n_fft bins.
    spectrum: Vec<Complex<f32>>,
    /// Factors of the powers of the two frames, which undo their amplification.
    gains: [f32; 2],
}

impl PairFft {
    pub(super) fn new(n_fft: usize) -> PairFft {
        PairFft {
            plan: FftPlanner::new().plan_fft_forward(n_fft),
        }
    }

    /// A pair of frames of zeros.
    pub(super) fn pair(&self) -> Pair {
        let n_fft = self.plan.len();
        Pair {
            frames: [vec![0.0; n_fft], vec![0.0; n_fft]],
            spectrum: vec![Complex::default(); n_fft],
            gains: [0.0; 2],
        }
    }

    /// The working memory of a transform.
    pub(super) fn scratch(&self) -> Vec<Complex<f32>> {
        vec![Complex::default(); self.plan.get_inplace_scratch_len()]
    }

    /// Computes the joint spectrum of the two frames of a pair.
    pub(super) fn transform(&self, pair: &mut Pair, scratch: &mut [Complex<f32>]) {
        let [left, right] = &pair.frames;
        let Balance { raise, gains } = Balance::of(energy(left), energy(right));
        interleave(left, right, raise, &mut pair.spectrum);
        self.plan.process_with_scratch(&mut pair.spectrum, scratch);
        pair.gains = gains;
    }

    /// Circular autocorrelations of both frames, for lags 0 to n_fft − 1: the left frame's in the
    /// real part, the right frame's in the imaginary part. Each is unscaled, so that only ratios
    /// within one frame have a meaning.
    pub(super) fn autocorrelations<'a>(
        &self,
        pair: &'a mut Pair,
        scratch: &mut [Complex<f32>],
    ) -> &'a [Complex<f32>] {
        self.transform(pair, scratch);
        let both = &mut pair.spectrum;
        let n_fft = both.len();
        let to_complex = |[left, right]: [f32; 2]| Complex::new(left, right);
        both[0] = to_complex(separate(both[0], both[0]));
        let (front, back) = both[1..].split_at_mut(n_fft / 2);
        // If n_fft is even, the last value of `front` is the middle bin, which is its own mirror
        // image.
        if n_fft.is_multiple_of(2)
            && let Some(middle) = front.last_mut()
        {
            *middle = to_complex(separate(*middle, *middle));
        }
        for (z, mirrored) in front.iter_mut().zip(back.iter_mut().rev()) {
            *z = to_complex(separate(*z, *mirrored));
            *mirrored = *z;
        }
        // Power spectra are real and even, so their FFT is real and equals their inverse FFT up to
        // a factor.
        self.plan.process_with_scratch(both, scratch);
        both
    }
}

/// Writes the left frame as real parts and the right frame as imaginary parts, both amplified.
#[multiversion(targets("x86_64+avx2", "x86_64+avx"))]
fn interleave(left: &[f32], right: &[f32], raise: [f32; 2], both: &mut [Complex<f32>]) {
    for ((z, left), right) in both.iter_mut().zip(left).zip(right) {
        *z = Complex::new(left * raise[0], right * raise[1]);
    }
}

/// Computes the power `|X|²` of the frames of four pairs, in the order of the frames, in each bin
/// from 0 to ⌊n_fft / 2⌋.
///
/// It separates the frames like [`separate`], all pairs at once: one pair in each two lanes of a
/// vector register. The compiler vectorises these loops over lanes, but not a loop over pairs.
#[multiversion(targets("x86_64+avx2", "x86_64+avx"))]
pub(super) fn powers(pairs: &[Pair; 4], power: &mut [[f32; 8]]) {
    /// Signs of the real and the imaginary part of a conjugate.
    const CONJUGATE: [f32; 8] = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0];
    let gains: [f32; 8] = std::array::from_fn(|frame| pairs[frame / 2].gains[frame % 2]);
    let spectra = pairs.each_ref().map(|pair| pair.spectrum.as_slice());
    for (bin, power) in power.iter_mut().enumerate() {
        let opposite = if bin == 0 { 0 } else { spectra[0].len() - bin };
        let (mut z, mut mirrored) = ([0.0; 8], [0.0; 8]);
        for pair in 0..4 {
            z[2 * pair] = spectra[pair][bin].re;
            z[2 * pair + 1] = spectra[pair][bin].im;
            mirrored[2 * pair] = spectra[pair][opposite].re;
            mirrored[2 * pair + 1] = spectra[pair][opposite].im;
        }
        let (mut even, mut odd) = ([0.0; 8], [0.0; 8]);
        for lane in 0..8 {
            let mirrored = CONJUGATE[lane] * mirrored[lane];
            even[lane] = (z[lane] + mirrored) * (z[lane] + mirrored);
            odd[lane] = (z[lane] - mirrored) * (z[lane] - mirrored);
        }
        for left in [0, 2, 4, 6] {
            power[left] = 0.25 * (even[left] + even[left + 1]) * gains[left];
            power[left + 1] = 0.25 * (odd[left] + odd[left + 1]) * gains[left + 1];
        }
    }
}

/// Factors that make two frames about equally loud.
struct Balance {
    /// Amplification of the samples: powers of two, so that the multiplication does not round.
    raise: [f32; 2],
    /// Factors of the powers that undo the amplification; 0 for a silent frame.
    gains: [f32; 2],
}

impl Balance {
    fn of(left: f32, right: f32) -> Balance {
        if left == 0.0 || right == 0.0 {
            // A silent frame contains only rounding errors of the other frame.
            let audible = |energy: f32| if energy == 0.0 { 0.0 } else { 1.0 };
            return Balance {
                raise: [1.0; 2],
                gains: [audible(left), audible(right)],
            };
        }
        let octaves = ((left.log2() - right.log2()) / 2.0).round() as i32;
        let raise = [octaves.min(0), octaves.max(0)].map(|octaves| 2f32.powi(octaves.abs()));
        let gains = raise.map(|raise| (1.0 / raise) * (1.0 / raise));
        Balance { raise, gains }
    }
}

/// Powers of the two frames in one bin. `z` is the bin of the joint spectrum, `mirrored` the bin at
/// the negative frequency.
fn separate(z: Complex<f32>, mirrored: Complex<f32>) -> [f32; 2] {
    let even = z + mirrored.conj();
    let odd = z - mirrored.conj();
    [0.25 * even.norm_sqr(), 0.25 * odd.norm_sqr()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Power of one bin, by the sum that defines it.
    fn power(frame: &[f32], bin: usize) -> f64 {
        let angle = |n: usize| TAU * (n * bin % frame.len()) as f64 / frame.len() as f64;
        let sum = |part: fn(f64) -> f64| -> f64 {
            let terms = frame.iter().enumerate();
            terms.map(|(n, x)| f64::from(*x) * part(angle(n))).sum()
        };
        sum(f64::cos).powi(2) + sum(f64::sin).powi(2)
    }

    /// Two tones; `pitch` is in radians a sample.
    fn hum(n_fft: usize, amplitude: f32, pitch: f32) -> Vec<f32> {
        let sample = |n: usize| (n as f32 * pitch).sin() + 0.3 * (n as f32 * 7.7 * pitch).cos();
        (0..n_fft).map(|n| amplitude * sample(n)).collect()
    }

    #[test]
    fn each_frame_of_a_pair_is_as_precise_as_alone() {
        for n_fft in [2, 15, 16, 400, 512] {
            for [left, right] in [[1.0, 0.5], [1.0, 1e-6], [1e-9, 3.0], [0.0, 1.0], [0.0, 0.0]] {
                let fft = PairFft::new(n_fft);
                let mut scratch = fft.scratch();
                let frames = [hum(n_fft, left, 0.11), hum(n_fft, right, 0.57)];
                let mut pairs = std::array::from_fn(|_| {
                    let mut pair = fft.pair();
                    pair.frames.clone_from(&frames);
                    fft.transform(&mut pair, &mut scratch);
                    pair
                });
                let mut bins = vec![[f32::NAN; 8]; n_fft / 2 + 1];
                powers(&pairs, &mut bins);
                for (bin, powers) in bins.iter().enumerate() {
                    for (frame, ours) in frames.iter().cycle().zip(powers) {
                        let all: f64 = frame.iter().map(|x| f64::from(*x).powi(2)).sum();
                        let error = (f64::from(*ours) - power(frame, bin)).abs();
                        assert!(
                            error <= 1e-6 * all * n_fft as f64,
                            "{n_fft}, {left}, {right}"
                        );
                    }
                }

                let correlation = fft.autocorrelations(&mut pairs[0], &mut scratch);
                for (frame, part) in frames
                    .iter()
                    .zip([|z: &Complex<f32>| z.re, |z: &Complex<f32>| z.im])
                {
                    let energy = part(&correlation[0]);
                    for lag in 0..n_fft {
                        let products = (0..n_fft).map(|n| frame[n] * frame[(n + lag) % n_fft]);
                        let all: f32 = frame.iter().map(|x| x * x).sum();
                        if all > 0.0 {
                            let ours = part(&correlation[lag]) / energy;
                            let exact = products.sum::<f32>() / all;
                            assert!(
                                (ours - exact).abs() < 1e-5,
                                "{n_fft}, {left}, {right}: {lag}"
                            );
                        }
                    }
                }
            }
        }
    }
}
