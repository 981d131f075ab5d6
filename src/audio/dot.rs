//! Sums over samples, in an order that the compiler can vectorise.

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
fn pairwise([s0, s1, s2, s3, s4, s5, s6, s7]: [f32; LANES]) -> f32 {
    ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
}
