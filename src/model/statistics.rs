//! Statistics pooling: mean and deviation of a clip's steps.

use tch::{Kind, Tensor};

/// Keeps the root of a variance of nothing from an infinite gradient.
const LEAST_VARIANCE: f64 = 1e-5;

/// `[batch, steps, width]` → `[batch, 2 × width]`; only the `real` steps count.
pub(super) fn mean_and_deviation(steps: &Tensor, real: &Tensor) -> Tensor {
    let real = real.unsqueeze(-1).to_kind(Kind::Float);
    let count = real.sum_dim_intlist(1, true, Kind::Float);
    let over_real = |x: Tensor| (x * &real).sum_dim_intlist(1, true, Kind::Float) / &count;
    let mean = over_real(steps.shallow_clone());
    let variance = over_real((steps - &mean).square());
    let deviation = (variance + LEAST_VARIANCE).sqrt();
    Tensor::cat(&[mean, deviation], 2).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_steps_count() {
        let steps = Tensor::from_slice(&[1.0f32, 3.0, 100.0, 5.0, -7.0, 9.0]).view([2, 3, 1]);
        let real = Tensor::from_slice(&[true, true, false, true, false, false]).view([2, 3]);
        let rows = Vec::<Vec<f64>>::try_from(mean_and_deviation(&steps, &real)).unwrap();
        let expected = [[2.0, 1.0], [5.0, 0.0]];
        for (row, expected) in rows.iter().zip(expected) {
            let close = |(a, b): (&f64, f64)| (a - b).abs() < 4e-3;
            assert!(row.iter().zip(expected).all(close), "{row:?}");
        }
    }
}
