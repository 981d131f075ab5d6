//! Power to decibels: `librosa.power_to_db` with `ref = 1`.

use std::f32::consts::{LN_2, LOG10_E, SQRT_2};

use multiversion::multiversion;

/// Lower powers count as this power, −100 dB.
const MIN_POWER: f32 = 1e-10;

/// Converts the mel powers of one utterance to decibels, in place: 10·log₁₀ of each. With `top_db`,
/// values more than `top_db` below the highest value are raised to that floor.
///
/// It uses the vector instructions of this processor. The results are the same on every processor.
#[multiversion(targets("x86_64+avx2", "x86_64+avx"))]
pub(super) fn power_to_db(powers: &mut [f32], top_db: Option<f32>) {
    const DECIBELS_PER_NEPER: f32 = 10.0 * LOG10_E;
    let mut highest = [f32::NEG_INFINITY; 8];
    let (blocks, rest) = powers.as_chunks_mut::<8>();
    for block in blocks.iter_mut() {
        for (value, highest) in block.iter_mut().zip(&mut highest) {
            *value = ln(value.max(MIN_POWER)) * DECIBELS_PER_NEPER;
            *highest = highest.max(*value);
        }
    }
    for value in rest {
        *value = ln(value.max(MIN_POWER)) * DECIBELS_PER_NEPER;
        highest[0] = highest[0].max(*value);
    }
    if let Some(top_db) = top_db {
        let floor = highest.into_iter().fold(f32::NEG_INFINITY, f32::max) - top_db;
        for value in powers {
            *value = value.max(floor);
        }
    }
}

/// Natural logarithm of a positive number that is not subnormal. It has no branch, so that the
/// compiler can vectorise it.
///
/// With x = m·2ᵉ and m from √½ to √2, ln x = e·ln 2 + 2·artanh s for s = (m − 1) / (m + 1). |s| is
/// at most 0.172, so the series of artanh up to the power of 9 is exact to the precision of an
/// `f32`.
#[inline(always)]
fn ln(x: f32) -> f32 {
    const ROOT_OF_HALF: u32 = (SQRT_2 / 2.0).to_bits();
    let exponent = (x.to_bits().wrapping_sub(ROOT_OF_HALF) as i32) >> 23;
    let mantissa = f32::from_bits(x.to_bits().wrapping_sub((exponent << 23) as u32));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series =
        1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square / 9.0)));
    exponent as f32 * LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_are_ten_times_the_logarithm() {
        // Powers of every magnitude above the floor, with many different mantissas.
        let powers: Vec<f32> = (0..200_000)
            .map(|i| 10f32.powf(-9.9 + i as f32 * 40.0 / 200_000.0))
            .collect();
        let mut decibels = powers.clone();
        power_to_db(&mut decibels, None);
        for (power, decibels) in powers.iter().zip(decibels) {
            let expected = 10.0 * f64::from(*power).log10();
            let error = (f64::from(decibels) - expected).abs();
            assert!(
                error < 1e-5 + 4e-7 * expected.abs(),
                "{power}: {decibels} instead of {expected}"
            );
        }
    }
}
