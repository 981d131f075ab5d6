//! Derivatives of features over time: `librosa.feature.delta`.

/// Number of frames in the window of a derivative, as in librosa.
const WIDTH: usize = 9;

/// Order of a derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Deltas: the slope of a line fitted to the frames around each frame.
    First,
    /// Delta-deltas: the second derivative of a parabola fitted to the same frames.
    Second,
}

/// Deltas of a frames × `columns` matrix, row-major, in the same shape.
///
/// The filter is a Savitzky–Golay filter over 9 frames whose polynomial order is the order of the
/// derivative. At both ends the polynomials of the first and the last full window are evaluated
/// (SciPy's mode `interp`). The highest derivative of a polynomial is constant, so the value of
/// that window is repeated. librosa rejects fewer than nine frames. Here the widest odd window that
/// fits is used, and with fewer than three frames all deltas are zero.
pub fn delta(values: &[f32], columns: usize, order: Order) -> Vec<f32> {
    let mut deltas = vec![0.0; values.len()];
    add_delta(values, columns, order, &mut deltas);
    deltas
}

/// Adds deltas to `deltas`, which has the shape of `values` and holds zeros.
pub(super) fn add_delta(values: &[f32], columns: usize, order: Order, deltas: &mut [f32]) {
    let frames = values.len() / columns;
    // Number of frames on either side of the centre.
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

/// Weights of the least-squares fit over the offsets k from −reach to reach.
///
/// The fitted derivative is Σ p(k)·x(k) / Σ p(k)², times 2 for the second derivative. The
/// polynomial p has the degree of the derivative and is orthogonal to all lower degrees: k, or k² −
/// mean(k²).
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
