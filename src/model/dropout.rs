//! Dropout (Srivastava et al. 2014) with few random numbers.
//!
//! On a CPU, libtorch draws 64 random bits and a floating-point number for every value, one after
//! the other. This took a tenth of a training step. Sixteen bits are enough for the decision, so
//! that one draw of 64 bits decides on four values.

use tch::{Device, Kind, Tensor};

/// Number of values that one draw of 64 bits decides on.
const VALUES_PER_DRAW: i64 = 4;

/// Sets each value to zero with probability `p` (rounded to a multiple of 1 / 65 536) and scales
/// the other values by 1 / (1 − p). Without `train` it returns `x` unchanged.
pub(super) fn dropout(x: &Tensor, p: f64, train: bool) -> Tensor {
    let dropped = (p * 65_536.0).round().min(65_535.0);
    if !train || dropped <= 0.0 || x.device() != Device::Cpu {
        return x.dropout(p, train);
    }
    let values = x.numel() as i64;
    let draws = (values + VALUES_PER_DRAW - 1) / VALUES_PER_DRAW;
    let bits = Tensor::empty([draws], (Kind::Int64, Device::Cpu)).random_from_(i64::MIN, None);
    let kept = bits
        .view_dtype(Kind::Int16)
        .narrow(0, 0, values)
        .ge(f64::from(i16::MIN) + dropped);
    let noise = kept.to_kind(x.kind()) * (65_536.0 / (65_536.0 - dropped));
    x * noise.view_as(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_the_given_share_and_keeps_the_mean() {
        tch::manual_seed(3);
        let (rows, width) = (1000, 999);
        for p in [0.1, 0.3, 0.5, 0.9] {
            let x = Tensor::ones([rows, width], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let y = dropout(&x, p, true);
            y.sum(Kind::Float).backward();
            assert!(
                x.grad().equal(&y),
                "the gradient passes where the value does"
            );

            // Three standard deviations of the mean of `values` values.
            let tolerance = |values: i64| 3.0 * (p / (1.0 - p) / values as f64).sqrt();
            let mean = y.mean(Kind::Double).double_value(&[]);
            assert!((mean - 1.0).abs() < tolerance(rows * width), "{p}: {mean}");
            // Every column and each of the four values of a draw is dropped equally often.
            let columns = Vec::<f64>::try_from(y.mean_dim(0, false, Kind::Double)).unwrap();
            let outliers = columns
                .iter()
                .filter(|mean| (*mean - 1.0).abs() > tolerance(rows));
            assert!(outliers.count() < 15, "{p}");
            for offset in 0..VALUES_PER_DRAW {
                let every = y.view([-1]).slice(0, offset, None, VALUES_PER_DRAW);
                let mean = every.mean(Kind::Double).double_value(&[]);
                assert!(
                    (mean - 1.0).abs() < tolerance(rows * width / 4),
                    "{p}, {offset}"
                );
            }
            let kept = y.masked_select(&y.ne(0.0));
            let exact = 1.0 / (1.0 - (p * 65_536.0).round() / 65_536.0);
            assert!((kept - exact).abs().max().double_value(&[]) < 1e-5);
        }
    }

    #[test]
    fn changes_nothing_outside_training() {
        let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0]);
        assert!(dropout(&x, 0.5, false).equal(&x));
        assert!(dropout(&x, 0.0, true).equal(&x));
    }
}
