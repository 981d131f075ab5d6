//! How features change over time: `librosa.feature.delta`.

/// Frames that a slope is taken over, as in librosa.
const WIDTH: usize = 9;

/// Which derivative of the features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Deltas: the slope of a line fitted to the frames around each frame.
    First,
    /// Delta-deltas: the second derivative of a parabola fitted to them.
    Second,
}

/// Deltas of a frames × `columns` matrix, row-major, in the same shape.
///
/// A Savitzky–Golay filter over 9 frames, of the order of the derivative. At both ends the first
/// and the last full window are evaluated (SciPy's mode `interp`); the highest derivative of a
/// polynomial is the same everywhere, so their value is repeated. librosa refuses fewer than nine
/// frames; here the widest odd window that fits takes over, and below three frames all is zero.
pub fn delta(values: &[f32], columns: usize, order: Order) -> Vec<f32> {
    let mut deltas = vec![0.0; values.len()];
    add_delta(values, columns, order, &mut deltas);
    deltas
}

/// Adds deltas to zeros of the same shape.
pub(super) fn add_delta(values: &[f32], columns: usize, order: Order, deltas: &mut [f32]) {
    let frames = values.len() / columns;
    // The frames on either side of the centre.
    let reach = (frames.min(WIDTH).saturating_sub(1)) / 2;
    if reach == 0 {
        return;
    }
    let weights = weights(reach, order);
    for (frame, row) in deltas.chunks_exact_mut(columns).enumerate() {
        let first = frame.clamp(reach, frames - 1 - reach) - reach;
        let window = values[first * columns..].chunks_exact(columns);
        for (weight, neighbour) in weights.iter().zip(window) {
            for (delta, value) in row.iter_mut().zip(neighbour) {
                *delta += weight * value;
            }
        }
    }
}

/// Weights of the least-squares fit over −reach ..= reach.
///
/// The fitted derivative is Σ p(k)·x[k] / Σ p(k)², for the second times 2, with the polynomial p of that degree
/// that is orthogonal to the lower ones: k, or k² − mean(k²).
fn weights(reach: usize, order: Order) -> Vec<f32> {
    let offsets = || (0..=2 * reach).map(|i| i as f64 - reach as f64);
    let mean_square = offsets().map(|k| k * k).sum::<f64>() / (2 * reach + 1) as f64;
    let (polynomial, factorial): (Vec<f64>, f64) = match order {
        Order::First => (offsets().collect(), 1.0),
        Order::Second => (offsets().map(|k| k * k - mean_square).collect(), 2.0),
    };
    let norm: f64 = polynomial.iter().map(|p| p * p).sum();
    polynomial
        .iter()
        .map(|p| (factorial * p / norm) as f32)
        .collect()
}
