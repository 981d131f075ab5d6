//! Filters in the frequency domain, on cached FFT plans.

use std::cell::RefCell;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

thread_local! {
    /// The plans of this thread. Only the lengths of [`fast_length`] are planned, of which there
    /// are three in an octave.
    static PLANNER: RefCell<RealFftPlanner<f32>> = RefCell::new(RealFftPlanner::new());
}

/// The smallest length of at least `samples` that is 4, 5 or 6 times a power of two. An FFT of such
/// a length is fast.
pub(super) fn fast_length(samples: usize) -> usize {
    let power = (samples.div_ceil(4)).next_power_of_two();
    let lengths = [power * 5 / 2, power * 3, power * 4];
    let fits = |length: &usize| *length >= samples && length.is_multiple_of(2);
    lengths.into_iter().find(fits).unwrap_or(power * 4)
}

/// The spectrum of the samples and of zeros behind them up to `length`, an even number:
/// `length / 2 + 1` bins.
fn forward(samples: &[f32], length: usize) -> Vec<Complex<f32>> {
    let plan = PLANNER.with_borrow_mut(|planner| planner.plan_fft_forward(length));
    let mut padded = vec![0.0; length];
    padded[..samples.len()].copy_from_slice(samples);
    let mut bins = plan.make_output_vec();
    plan.process(&mut padded, &mut bins)
        .expect("the buffers have the length of the plan");
    bins
}

/// The `length` samples of a spectrum.
fn inverse(mut bins: Vec<Complex<f32>>, length: usize) -> Vec<f32> {
    let plan = PLANNER.with_borrow_mut(|planner| planner.plan_fft_inverse(length));
    // Rounding can leave an imaginary part in the bins that are real by definition.
    bins[0].im = 0.0;
    bins[length / 2].im = 0.0;
    let mut samples = plan.make_output_vec();
    plan.process(&mut bins, &mut samples)
        .expect("the buffers have the length of the plan");
    let scale = 1.0 / length as f32;
    samples.iter_mut().for_each(|sample| *sample *= scale);
    samples
}

/// Multiplies the spectrum by `gain`, a function of the frequency in hertz. The filter has no phase.
/// `padding` zeros behind the samples keep its response at one end away from the other end.
pub(super) fn shape(
    samples: &mut [f32],
    sample_rate: u32,
    padding: usize,
    gain: impl Fn(f32) -> f32,
) {
    let length = fast_length(samples.len() + padding);
    let mut bins = forward(samples, length);
    let hz_per_bin = sample_rate as f32 / length as f32;
    for (bin, value) in bins.iter_mut().enumerate() {
        *value *= gain(bin as f32 * hz_per_bin);
    }
    let shaped = inverse(bins, length);
    samples.copy_from_slice(&shaped[..samples.len()]);
}

/// The linear convolution of two signals, `samples + response − 1` values.
pub(super) fn convolve(samples: &[f32], response: &[f32]) -> Vec<f32> {
    let full = (samples.len() + response.len()).saturating_sub(1);
    let length = fast_length(full);
    let mut bins = forward(samples, length);
    for (bin, other) in bins.iter_mut().zip(forward(response, length)) {
        *bin *= other;
    }
    let mut convolved = inverse(bins, length);
    convolved.truncate(full);
    convolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_length_is_even_and_at_most_a_quarter_longer() {
        for samples in 1..5000 {
            let length = fast_length(samples);
            assert!(
                length.is_multiple_of(2) && length >= samples,
                "{samples}: {length}"
            );
            assert!(
                length <= (samples * 4).div_ceil(3) + 4,
                "{samples}: {length}"
            );
            let odd = length >> length.trailing_zeros();
            assert!([1, 3, 5].contains(&odd), "{samples}: {length}");
        }
    }

    #[test]
    fn a_convolution_is_the_sum_that_defines_it() {
        let samples: Vec<f32> = (0..50).map(|n| (n as f32 * 0.7).sin()).collect();
        let response: Vec<f32> = (0..17).map(|n| (n as f32 * 1.9).cos()).collect();
        let convolved = convolve(&samples, &response);
        assert_eq!(convolved.len(), 66);
        for (n, value) in convolved.iter().enumerate() {
            let terms = (0..=n).filter(|&k| k < 17 && n - k < 50);
            let exact: f32 = terms.map(|k| response[k] * samples[n - k]).sum();
            assert!((value - exact).abs() < 1e-4, "{n}: {value} {exact}");
        }
    }

    #[test]
    fn a_constant_gain_changes_nothing_but_the_level() {
        let mut samples: Vec<f32> = (0..777).map(|n| (n as f32 * 0.3).sin()).collect();
        let before = samples.clone();
        shape(&mut samples, 16_000, 100, |_| 2.0);
        for (after, before) in samples.iter().zip(before) {
            assert!((after - 2.0 * before).abs() < 1e-5);
        }
    }
}
