//! One complex FFT for two real frames, in half the time of two FFTs.
//!
//! The left frame is the real part of the input, the right frame is the imaginary part. With Z as
//! the spectrum of both, Z(k) + Z*(−k) is twice the spectrum of the left frame, and Z(k) − Z*(−k)
//! is 2i times the spectrum of the right frame. The rounding errors of the FFT are proportional to
//! the louder frame, so the quieter frame is amplified before: each result is as precise as that of
//! an FFT of its own.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::audio::dot::dot;

/// The plan of an FFT of two frames at once.
pub(super) struct PairFft {
    plan: Arc<dyn Fft<f32>>,
}

/// The buffers of one thread.
pub struct Scratch {
    /// The input frames, n_fft samples each. A transform does not change them.
    pub left: Vec<f32>,
    pub right: Vec<f32>,
    both: Vec<Complex<f32>>,
    fft: Vec<Complex<f32>>,
}

impl PairFft {
    pub(super) fn new(n_fft: usize) -> PairFft {
        PairFft {
            plan: FftPlanner::new().plan_fft_forward(n_fft),
        }
    }

    pub(super) fn n_fft(&self) -> usize {
        self.plan.len()
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            left: vec![0.0; self.n_fft()],
            right: vec![0.0; self.n_fft()],
            both: vec![Complex::default(); self.n_fft()],
            fft: vec![Complex::default(); self.plan.get_inplace_scratch_len()],
        }
    }

    /// Calls `receive` with the index of each bin, from 0 to ⌊n_fft / 2⌋, and the power `|X|²` of
    /// both frames in it.
    pub(super) fn powers(&self, scratch: &mut Scratch, mut receive: impl FnMut(usize, [f32; 2])) {
        let gains = self.transform(scratch);
        let both = &scratch.both;
        let mut bin =
            |k: usize, power: [f32; 2]| receive(k, [power[0] * gains[0], power[1] * gains[1]]);
        bin(0, separate(both[0], both[0]));
        let half = both.len() / 2;
        let mirrored = both.iter().rev().take(half);
        for (k, (&z, &mirrored)) in (1..).zip(both[1..=half].iter().zip(mirrored)) {
            bin(k, separate(z, mirrored));
        }
    }

    /// Circular autocorrelations of both frames, for lags 0 to n_fft − 1: the left frame's in the
    /// real part, the right frame's in the imaginary part. Each is unscaled, so that only ratios
    /// within one frame have a meaning.
    pub(super) fn autocorrelations<'a>(&self, scratch: &'a mut Scratch) -> &'a [Complex<f32>] {
        self.transform(scratch);
        let both = &mut scratch.both;
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
        self.plan.process_with_scratch(both, &mut scratch.fft);
        both
    }

    /// Computes the FFT of both frames into `scratch.both`. Returns the factors by which the powers
    /// of the two frames must be multiplied.
    fn transform(&self, scratch: &mut Scratch) -> [f32; 2] {
        let Scratch {
            left,
            right,
            both,
            fft,
        } = scratch;
        let Balance { raise, gains } = Balance::of(dot(left, left), dot(right, right));
        for ((z, left), right) in both.iter_mut().zip(left.iter()).zip(right.iter()) {
            *z = Complex::new(left * raise[0], right * raise[1]);
        }
        self.plan.process_with_scratch(both, fft);
        gains
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
                scratch.left = hum(n_fft, left, 0.11);
                scratch.right = hum(n_fft, right, 0.57);
                let frames = [scratch.left.clone(), scratch.right.clone()];
                let mut bins = 0;
                fft.powers(&mut scratch, |bin, powers| {
                    assert_eq!(bin, bins);
                    bins += 1;
                    for (frame, ours) in frames.iter().zip(powers) {
                        let all: f64 = frame.iter().map(|x| f64::from(*x).powi(2)).sum();
                        let error = (f64::from(ours) - power(frame, bin)).abs();
                        assert!(
                            error <= 1e-6 * all * n_fft as f64,
                            "{n_fft}, {left}, {right}"
                        );
                    }
                });
                assert_eq!(bins, n_fft / 2 + 1);

                scratch.left.copy_from_slice(&frames[0]);
                scratch.right.copy_from_slice(&frames[1]);
                let correlation = fft.autocorrelations(&mut scratch);
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
