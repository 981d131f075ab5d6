//! Filters: band limits and spectral tilt.

use std::f64::consts::{PI, TAU};

use super::spectrum;

/// Below this frequency, in hertz, a spectral tilt is level.
const LOWEST_TILTED_HZ: f32 = 50.0;

/// Frequency in hertz that a spectral tilt does not change.
const TILT_PIVOT_HZ: f32 = 1000.0;

/// A Butterworth low-pass filter: −3 dB at `hz`, then `6 · order` dB per octave. A limit of at least
/// half the sample rate changes nothing.
pub fn low_pass(samples: &mut [f32], sample_rate: u32, hz: f32, order: usize) {
    if 2.0 * hz < sample_rate as f32 {
        cascade(samples, Band::Low, sample_rate, hz, order);
    }
}

/// A Butterworth high-pass filter: −3 dB at `hz`, and `6 · order` dB per octave below. A limit of at
/// least half the sample rate leaves silence.
pub fn high_pass(samples: &mut [f32], sample_rate: u32, hz: f32, order: usize) {
    if 2.0 * hz < sample_rate as f32 {
        cascade(samples, Band::High, sample_rate, hz, order);
    } else {
        samples.fill(0.0);
    }
}

/// A [`high_pass`] at `low_hz` and a [`low_pass`] at `high_hz`.
pub fn band_pass(samples: &mut [f32], sample_rate: u32, low_hz: f32, high_hz: f32, order: usize) {
    high_pass(samples, sample_rate, low_hz, order);
    low_pass(samples, sample_rate, high_hz, order);
}

/// Tilts the spectrum by a number of decibels per octave, without phase. The level at 1 kHz stays;
/// below 50 Hz the gain is that at 50 Hz.
pub fn tilt(samples: &mut [f32], sample_rate: u32, db_per_octave: f32) {
    // A gain that is a power of the frequency is a straight line over octaves.
    let exponent = db_per_octave / (20.0 * std::f32::consts::LOG10_2);
    let padding = sample_rate as usize / 10;
    spectrum::shape(samples, sample_rate, padding, |hz| {
        (hz.max(LOWEST_TILTED_HZ) / TILT_PIVOT_HZ).powf(exponent)
    });
}

/// Side of the limit that passes.
#[derive(Clone, Copy)]
enum Band {
    Low,
    High,
}

/// Filters with a section for each pair of poles on the circle of a Butterworth filter, and one for
/// the single pole of an odd order.
fn cascade(samples: &mut [f32], band: Band, sample_rate: u32, hz: f32, order: usize) {
    if order % 2 == 1 {
        Biquad::first_order(band, sample_rate, hz).filter(samples);
    }
    for pair in 0..order / 2 {
        let angle = PI * (order - 1 - 2 * pair) as f64 / (2 * order) as f64;
        let quality = 0.5 / angle.cos();
        Biquad::new(band, sample_rate, hz, quality).filter(samples);
    }
}

/// A filter of the second order. The coefficients are those of Bristow-Johnson's "Cookbook formulae
/// for audio equalizer biquad filter coefficients", divided by a₀.
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    fn new(band: Band, sample_rate: u32, hz: f32, quality: f64) -> Biquad {
        let (sine, cosine) = (TAU * f64::from(hz) / f64::from(sample_rate)).sin_cos();
        let alpha = sine / (2.0 * quality);
        let b = match band {
            Band::Low => [(1.0 - cosine) / 2.0, 1.0 - cosine, (1.0 - cosine) / 2.0],
            Band::High => [(1.0 + cosine) / 2.0, -1.0 - cosine, (1.0 + cosine) / 2.0],
        };
        let a0 = 1.0 + alpha;
        Biquad {
            b: b.map(|b| b / a0),
            a: [-2.0 * cosine / a0, (1.0 - alpha) / a0],
        }
    }

    /// A filter of the first order, by the bilinear transform.
    fn first_order(band: Band, sample_rate: u32, hz: f32) -> Biquad {
        let warped = (PI * f64::from(hz) / f64::from(sample_rate)).tan();
        let b = match band {
            Band::Low => [warped, warped, 0.0],
            Band::High => [1.0, -1.0, 0.0],
        };
        Biquad {
            b: b.map(|b| b / (1.0 + warped)),
            a: [(warped - 1.0) / (warped + 1.0), 0.0],
        }
    }

    /// The transposed direct form II.
    fn filter(&self, samples: &mut [f32]) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        let (mut first, mut second) = (0.0, 0.0);
        for sample in samples {
            let x = f64::from(*sample);
            let y = b0 * x + first;
            first = b1 * x - a1 * y + second;
            second = b2 * x - a2 * y;
            *sample = y as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;

    /// Gain in decibels of a filter for a sine wave, in the middle of two seconds.
    fn gain_db(hz: f64, filter: impl Fn(&mut [f32])) -> f64 {
        let sine = |n: usize| (TAU * hz * n as f64 / f64::from(RATE)).sin() as f32;
        let mut samples: Vec<f32> = (0..32_000).map(sine).collect();
        let energy = |samples: &[f32]| {
            let middle = &samples[8_000..24_000];
            middle.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()
        };
        let before = energy(&samples);
        filter(&mut samples);
        10.0 * (energy(&samples) / before).log10()
    }

    /// Squared gain of a Butterworth filter in decibels; `ratio` is that of the frequency and the
    /// limit, both warped by the bilinear transform.
    fn butterworth_db(hz: f64, limit: f64, order: i32) -> f64 {
        let warped = |hz: f64| (PI * hz / f64::from(RATE)).tan();
        let ratio = warped(hz) / warped(limit);
        -10.0 * (1.0 + ratio.powi(2 * order)).log10()
    }

    #[test]
    fn a_low_pass_has_the_gain_of_a_butterworth_filter() {
        for order in [1, 2, 3, 4, 6] {
            for hz in [200.0, 900.0, 1000.0, 1500.0, 3000.0] {
                let ours = gain_db(hz, |x| low_pass(x, RATE, 1000.0, order));
                let exact = butterworth_db(hz, 1000.0, order as i32);
                assert!((ours - exact).abs() < 0.05, "{order}, {hz}: {ours} {exact}");
            }
        }
    }

    #[test]
    fn a_high_pass_has_the_gain_of_a_butterworth_filter() {
        for order in [1, 2, 4, 5] {
            for hz in [250.0, 500.0, 700.0, 4000.0] {
                let ours = gain_db(hz, |x| high_pass(x, RATE, 500.0, order));
                let exact = butterworth_db(hz, 500.0, -(order as i32));
                assert!((ours - exact).abs() < 0.05, "{order}, {hz}: {ours} {exact}");
            }
        }
    }

    #[test]
    fn a_band_pass_keeps_its_middle_and_halves_the_power_at_its_limits() {
        let gain = |hz| gain_db(hz, |x| band_pass(x, RATE, 300.0, 3400.0, 4));
        assert!(gain(1000.0).abs() < 0.1, "{}", gain(1000.0));
        for limit in [300.0, 3400.0] {
            assert!((gain(limit) + 3.01).abs() < 0.05, "{}", gain(limit));
        }
        assert!(gain(75.0) < -45.0, "{}", gain(75.0));
    }

    #[test]
    fn a_limit_above_the_band_passes_everything_or_nothing() {
        let mut samples = vec![0.5, -0.25];
        low_pass(&mut samples, RATE, 8000.0, 4);
        assert_eq!(samples, [0.5, -0.25]);
        high_pass(&mut samples, RATE, 8000.0, 4);
        assert_eq!(samples, [0.0, 0.0]);
    }

    #[test]
    fn a_tilt_is_a_straight_line_over_octaves_around_1_khz() {
        for slope in [-6.0, 3.0] {
            for octave in [-4, -2, 0, 1, 2] {
                let hz = 1000.0 * f64::from(octave).exp2();
                let ours = gain_db(hz, |x| tilt(x, RATE, slope));
                let exact = f64::from(slope) * f64::from(octave);
                assert!((ours - exact).abs() < 0.1, "{slope}, {hz}: {ours}");
            }
        }
    }
}
