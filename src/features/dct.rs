//! Discrete cosine transform from log-mel bands to cepstral coefficients.

use std::f64::consts::PI;

use super::dot::dot;

/// The first rows of an orthonormal DCT-II (`scipy.fft.dct(norm="ortho")`), liftered.
pub struct Dct {
    n_mels: usize,
    /// n_mfcc × n_mels, row-major.
    table: Vec<f32>,
}

impl Dct {
    /// `n_mfcc` coefficients from `n_mels` bands; a `lifter` of 0 is none.
    ///
    /// Row k is √(2/M)·cos(πk(n + ½)/M), row 0 over √2; the lifter L multiplies it by
    /// 1 + (L/2)·sin(π(k + 1)/L), as `librosa.feature.mfcc` does.
    pub fn new(n_mfcc: usize, n_mels: usize, lifter: f64) -> Self {
        let mut table = Vec::with_capacity(n_mfcc * n_mels);
        for k in 0..n_mfcc {
            let norm = if k == 0 { 1.0 } else { 2.0 } / n_mels as f64;
            let scale = norm.sqrt() * lift(k, lifter);
            table.extend((0..n_mels).map(|n| {
                let angle = PI * k as f64 * (n as f64 + 0.5) / n_mels as f64;
                (scale * angle.cos()) as f32
            }));
        }
        Dct { n_mels, table }
    }

    /// One frame: n_mels decibels into n_mfcc coefficients.
    pub fn apply(&self, log_mels: &[f32], mfcc: &mut [f32]) {
        for (coefficient, row) in mfcc.iter_mut().zip(self.table.chunks_exact(self.n_mels)) {
            *coefficient = dot(row, log_mels);
        }
    }
}

fn lift(k: usize, lifter: f64) -> f64 {
    if lifter == 0.0 {
        return 1.0;
    }
    1.0 + lifter / 2.0 * (PI * (k + 1) as f64 / lifter).sin()
}
