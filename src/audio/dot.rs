//! Sums over samples, in an order that the compiler can vectorise.

use multiversion::multiversion;

/// Number of parallel partial sums. The compiler must not reorder one sum of floats, but it can
/// hold the partial sums in vector registers.
const LANES: usize = 8;

/// Σ a·b over the common length.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    pairwise(sums) + rest
}

/// Σ a², with the vector instructions of this processor. It is faster than [`dot`], because it has
/// several vectors of partial sums, and a sum does not wait for the one before.
#[multiversion(targets("x86_64+avx2", "x86_64+avx"))]
pub(crate) fn energy(a: &[f32]) -> f32 {
    let (vectors, rest) = a.as_chunks::<LANES>();
    let (blocks, last) = vectors.as_chunks::<4>();
    let mut sums = [[0.0; LANES]; 4];
    for block in blocks {
        for (sums, vector) in sums.iter_mut().zip(block) {
            for lane in 0..LANES {
                sums[lane] += vector[lane] * vector[lane];
            }
        }
    }
    let mut total = [0.0; LANES];
    for vector in sums {
        for lane in 0..LANES {
            total[lane] += vector[lane];
        }
    }
    let rest = last.as_flattened().iter().chain(rest);
    pairwise(total) + rest.map(|value| value * value).sum::<f32>()
}

/// Σ a.
pub(crate) fn sum(a: &[f32]) -> f32 {
    let (blocks, rest) = a.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for lane in 0..LANES {
            sums[lane] += block[lane];
        }
    }
    pairwise(sums) + rest.iter().sum::<f32>()
}

/// Adds the partial sums in pairs, which is faster and rounds less than adding them in sequence.
///
/// It is not inlined, so that the compiler does not split the vectors of the callers' loops for its
/// sake.
#[inline(never)]
fn pairwise([s0, s1, s2, s3, s4, s5, s6, s7]: [f32; LANES]) -> f32 {
    ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
}
