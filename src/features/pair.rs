//! Two real frames through one complex FFT, which takes half the time of one after the other.
//!
//! One frame is the real part and the other the imaginary part. Of the spectrum Z of both, the even
//! half Z(k) + Z*(−k) is twice the first frame's, and the odd half Z(k) − Z*(−k) twice the other's.
//! The FFT rounds in proportion to the louder frame, so the quieter one is raised before: each comes
//! out as precise as it would alone.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::audio::dot::dot;

/// The plan of the FFT.
pub(super) struct PairFft {
    plan: Arc<dyn Fft<f32>>,
}

/// The buffers that one thread needs.
pub struct Scratch {
    /// The frames, to be filled before [`PairFft::transform`]; their content stays.
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

    /// Power `|X|²` of both frames, bin by bin from 0 to ⌊n_fft / 2⌋, handed to `take`.
    pub(super) fn powers(&self, scratch: &mut Scratch, mut take: impl FnMut(usize, [f32; 2])) {
        let gains = self.transform(scratch);
        let both = &scratch.both;
        let mut bin =
            |k: usize, power: [f32; 2]| take(k, [power[0] * gains[0], power[1] * gains[1]]);
        bin(0, separate(both[0], both[0]));
        let half = both.len() / 2;
        let mirrored = both.iter().rev().take(half);
        for (k, (&z, &mirrored)) in (1..).zip(both[1..=half].iter().zip(mirrored)) {
            bin(k, separate(z, mirrored));
        }
    }

    /// Autocorrelations of both frames, circular and in no unit; lag by lag, from 0 to n_fft − 1.
    pub(super) fn autocorrelations<'a>(&self, scratch: &'a mut Scratch) -> &'a [Complex<f32>] {
        self.transform(scratch);
        let both = &mut scratch.both;
        let n_fft = both.len();
        let to_complex = |[left, right]: [f32; 2]| Complex::new(left, right);
        both[0] = to_complex(separate(both[0], both[0]));
        let (front, back) = both[1..].split_at_mut(n_fft / 2);
        // Where n_fft is even, the last of the front is the middle, which is its own mirror image.
        if n_fft.is_multiple_of(2)
            && let Some(middle) = front.last_mut()
        {
            *middle = to_complex(separate(*middle, *middle));
        }
        for (z, mirrored) in front.iter_mut().zip(back.iter_mut().rev()) {
            *z = to_complex(separate(*z, *mirrored));
            *mirrored = *z;
        }
        // Power spectra are real and even, so that their FFT is their inverse FFT, and real too.
        self.plan.process_with_scratch(both, &mut scratch.fft);
        both
    }

    /// The FFT of both frames. Returns what their powers are to be multiplied by.
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

/// What makes two frames about equally loud.
struct Balance {
    /// Powers of two, so that nothing is rounded.
    raise: [f32; 2],
    gains: [f32; 2],
}

impl Balance {
    fn of(left: f32, right: f32) -> Balance {
        if left == 0.0 || right == 0.0 {
            // What rounding leaves in a silent frame is not its own.
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

/// Powers of the two frames, from a bin of both and the bin at minus its frequency.
fn separate(z: Complex<f32>, mirrored: Complex<f32>) -> [f32; 2] {
    let even = z + mirrored.conj();
    let odd = z - mirrored.conj();
    [0.25 * even.norm_sqr(), 0.25 * odd.norm_sqr()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// By the sum that defines it.
    fn power(frame: &[f32], bin: usize) -> f64 {
        let angle = |n: usize| TAU * (n * bin % frame.len()) as f64 / frame.len() as f64;
        let sum = |part: fn(f64) -> f64| -> f64 {
            let terms = frame.iter().enumerate();
            terms.map(|(n, x)| f64::from(*x) * part(angle(n))).sum()
        };
        sum(f64::cos).powi(2) + sum(f64::sin).powi(2)
    }

    /// A hum of this amplitude.
    fn hum(n_fft: usize, amplitude: f32, pitch: f32) -> Vec<f32> {
        let sample = |n: usize| (n as f32 * pitch).sin() + 0.3 * (n as f32 * 7.7 * pitch).cos();
        (0..n_fft).map(|n| amplitude * sample(n)).collect()
    }

    #[test]
    fn each_frame_is_as_precise_as_alone() {
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
