//! Discrete cosine transform from log-mel bands to cepstral coefficients.

use std::f64::consts::PI;

use multiversion::multiversion;

use super::stft::FRAMES_PER_BLOCK;

/// Number of coefficients computed in one pass over the bands. It is even, because even and odd
/// rows alternate.
const ROWS: usize = 8;

/// The first rows of an orthonormal DCT-II (`scipy.fft.dct(norm="ortho")`), liftered.
///
/// Even rows are symmetric about the middle band and odd rows are antisymmetric, so that the table
/// holds only the lower half of each row.
pub struct Dct {
    n_mels: usize,
    /// Groups of rows, each ⌈n_mels / 2⌉ × [`ROWS`]; rows beyond n_mfcc are zero.
    table: Vec<[f32; ROWS]>,
}

impl Dct {
    /// A transform from `n_mels` bands to `n_mfcc` coefficients. A `lifter` of 0 turns liftering
    /// off.
    ///
    /// Row k is √(2/M)·cos(πk(n + ½)/M) with M = n_mels; row 0 is divided by √2. The lifter L
    /// multiplies row k by 1 + (L/2)·sin(π(k + 1)/L), as `librosa.feature.mfcc` does.
    pub fn new(n_mfcc: usize, n_mels: usize, lifter: f64) -> Self {
        let value = |k: usize, n: usize| {
            if k >= n_mfcc {
                return 0.0;
            }
            let norm = if k == 0 { 1.0 } else { 2.0 } / n_mels as f64;
            let scale = norm.sqrt() * lift(k, lifter);
            let angle = PI * k as f64 * (n as f64 + 0.5) / n_mels as f64;
            (scale * angle.cos()) as f32
        };
        let half = n_mels.div_ceil(2);
        let group =
            |first: usize| (0..half).map(move |n| std::array::from_fn(|row| value(first + row, n)));
        Dct {
            n_mels,
            table: (0..n_mfcc).step_by(ROWS).flat_map(group).collect(),
        }
    }

    /// Transforms the frames of a block at once: `log_mels` [n_mels, FRAMES_PER_BLOCK] in decibels
    /// → `mfcc` [n_mfcc, FRAMES_PER_BLOCK].
    pub fn apply(
        &self,
        log_mels: &[[f32; FRAMES_PER_BLOCK]],
        mfcc: &mut [[f32; FRAMES_PER_BLOCK]],
    ) {
        transform_block(&self.table, &log_mels[..self.n_mels], mfcc);
    }

    /// The transpose of the transform's matrix, `[n_mels, n_mfcc]`, row by row.
    pub fn transposed(&self, n_mfcc: usize) -> Vec<f32> {
        let mut rows = vec![[0.0f32]; self.n_mels * n_mfcc];
        for (band, row) in rows.chunks_exact_mut(n_mfcc).enumerate() {
            let mut unit = vec![[0.0]; self.n_mels];
            unit[band] = [1.0];
            transform(&self.table, &unit, row);
        }
        rows.into_flattened()
    }
}

/// [`transform`] with the vector instructions of this processor. The results are the same on every
/// processor, because each sum is added in the same order.
#[multiversion(targets("x86_64+avx2", "x86_64+avx"))]
fn transform_block(
    table: &[[f32; ROWS]],
    log_mels: &[[f32; FRAMES_PER_BLOCK]],
    mfcc: &mut [[f32; FRAMES_PER_BLOCK]],
) {
    transform(table, log_mels, mfcc);
}

#[inline(always)]
fn transform<const FRAMES: usize>(
    table: &[[f32; ROWS]],
    log_mels: &[[f32; FRAMES]],
    mfcc: &mut [[f32; FRAMES]],
) {
    let n_mels = log_mels.len();
    let half = n_mels.div_ceil(2);
    let (low, high) = log_mels.split_at(n_mels / 2);
    // An odd number of bands has a middle band, which is its own mirror image.
    let (middle, high) = high.split_at(half - low.len());
    for (out, table) in mfcc.chunks_mut(ROWS).zip(table.chunks_exact(half)) {
        let mut sums = [[0.0; FRAMES]; ROWS];
        for ((low, high), weights) in low.iter().zip(high.iter().rev()).zip(table) {
            for frame in 0..FRAMES {
                let even = low[frame] + high[frame];
                let odd = low[frame] - high[frame];
                for row in (0..ROWS).step_by(2) {
                    sums[row][frame] += weights[row] * even;
                    sums[row + 1][frame] += weights[row + 1] * odd;
                }
            }
        }
        for (middle, weights) in middle.iter().zip(&table[low.len()..]) {
            for (sums, weight) in sums.iter_mut().zip(weights) {
                for frame in 0..FRAMES {
                    sums[frame] += weight * middle[frame];
                }
            }
        }
        out.copy_from_slice(&sums[..out.len()]);
    }
}

fn lift(k: usize, lifter: f64) -> f64 {
    if lifter == 0.0 {
        return 1.0;
    }
    1.0 + lifter / 2.0 * (PI * (k + 1) as f64 / lifter).sin()
}
