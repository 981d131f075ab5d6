//! Mel spectrogram from which the MFCCs of a recording are computed.

use crate::audio::Waveform;
use crate::features::dct::Dct;
use crate::features::{Extractor, FeatureConfig, FeatureError, Features};

/// Mel spectrogram in decibels, [frames, n_mels], with the settings of the MFCCs.
///
/// The extractor of the MFCCs computes as many coefficients as there are bands. The DCT is then
/// orthonormal, and its transpose returns the bands, so the spectrogram shows exactly the input of
/// the MFCCs.
///
/// # Errors
/// If a setting is out of range for the sample rate of the waveform.
pub fn mel_spectrogram(
    waveform: &Waveform,
    config: &FeatureConfig,
) -> Result<Features, FeatureError> {
    let bands = config.n_mels;
    let whole = FeatureConfig {
        n_mfcc: bands,
        lifter: 0.0,
        deltas: 0,
        prosody: false,
        ..config.clone()
    };
    let cepstrum = Extractor::new(&whole, waveform.sample_rate)?.try_extract(waveform)?;
    let basis = Dct::new(bands, bands, 0.0).transposed(bands);
    let mut values = Vec::with_capacity(cepstrum.values().len());
    for frame in 0..cepstrum.frames() {
        let row = cepstrum.row(frame);
        for weights in basis.chunks_exact(bands) {
            values.push(weights.iter().zip(row).map(|(w, c)| w * c).sum());
        }
    }
    Ok(Features::new(cepstrum.frames(), bands, values).unwrap_or(cepstrum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::mel::{hz_to_mel, mel_to_hz};
    use std::f64::consts::PI;

    fn tone(hz: f64, amplitude: f64) -> Waveform {
        let sample = |n: usize| (amplitude * (2.0 * PI * hz * n as f64 / 16_000.0).sin()) as f32;
        Waveform {
            samples: (0..16_000).map(sample).collect(),
            sample_rate: 16_000,
        }
    }

    #[test]
    fn a_tone_has_its_power_in_the_band_around_its_frequency() {
        let config = FeatureConfig {
            n_fft: 1024,
            n_mels: 40,
            n_mfcc: 13,
            ..FeatureConfig::default()
        };
        // Edges of 40 triangles. The tone is on a bin near the centre of triangle 19.
        let edge = |i: usize| mel_to_hz(hz_to_mel(8000.0) * i as f64 / 41.0);
        let bin = (edge(20) / 15.625).round();
        let mel = mel_spectrogram(&tone(bin * 15.625, 0.5), &config).unwrap();
        let row = mel.row(mel.frames() / 2);
        let loudest = (0..40).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert_eq!(loudest, 19);
        // With a Hann window of N samples, a sine of amplitude A has the power (A·N/4)² in its bin
        // and a quarter of that in each neighbouring bin.
        let triangle = |hz: f64| {
            let (left, centre, right) = (edge(19), edge(20), edge(21));
            let slope = ((hz - left) / (centre - left)).min((right - hz) / (right - centre));
            slope.max(0.0) * 2.0 / (right - left)
        };
        let power = (0.5f64 * 1024.0 / 4.0).powi(2);
        let sum = triangle(bin * 15.625)
            + 0.25 * (triangle((bin - 1.0) * 15.625) + triangle((bin + 1.0) * 15.625));
        let expected = 10.0 * (power * sum).log10();
        assert!(
            (f64::from(row[19]) - expected).abs() < 0.05,
            "{} {expected}",
            row[19]
        );
    }

    #[test]
    fn the_floor_is_80_decibels_below_the_maximum() {
        let mel = mel_spectrogram(&tone(440.0, 0.5), &FeatureConfig::default()).unwrap();
        let loudest = mel.values().iter().copied().fold(f32::MIN, f32::max);
        let quietest = mel.values().iter().copied().fold(f32::MAX, f32::min);
        assert!((loudest - quietest - 80.0).abs() < 0.01);
    }
}
