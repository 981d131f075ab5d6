//! Statistics pooling: mean and standard deviation of the steps of a clip.

use tch::{Kind, Tensor};

/// Added to the variance, so that its square root has a finite gradient if the variance is 0.
const VARIANCE_EPSILON: f64 = 1e-5;

/// `[batch, steps, width]` → `[batch, 2 × width]`. `mask` `[batch, steps]` is false for padding,
/// which does not count.
pub(super) fn mean_and_std(steps: &Tensor, mask: &Tensor) -> Tensor {
    let mask = mask.unsqueeze(-1).to_kind(Kind::Float);
    let count = mask.sum_dim_intlist(1, true, Kind::Float);
    let masked_mean = |x: Tensor| (x * &mask).sum_dim_intlist(1, true, Kind::Float) / &count;
    let mean = masked_mean(steps.shallow_clone());
    let centred = steps - &mean;
    let variance = masked_mean(&centred * &centred);
    let std = (variance + VARIANCE_EPSILON).sqrt();
    Tensor::cat(&[mean, std], 2).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_does_not_count() {
        let steps = Tensor::from_slice(&[1.0f32, 3.0, 100.0, 5.0, -7.0, 9.0]).view([2, 3, 1]);
        let mask = Tensor::from_slice(&[true, true, false, true, false, false]).view([2, 3]);
        let rows = Vec::<Vec<f64>>::try_from(mean_and_std(&steps, &mask)).unwrap();
        let expected = [[2.0, 1.0], [5.0, 0.0]];
        for (row, expected) in rows.iter().zip(expected) {
            let close = |(a, b): (&f64, f64)| (a - b).abs() < 4e-3;
            assert!(row.iter().zip(expected).all(close), "{row:?}");
        }
    }
}
