//! Level: gain, clipping, quantisation.

/// Amplifies by a number of decibels. Nothing is clipped.
pub fn gain(samples: &mut [f32], db: f32) {
    let factor = 10.0_f32.powf(db / 20.0);
    samples.iter_mut().for_each(|sample| *sample *= factor);
}

/// The largest magnitude, 0 for no samples.
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, x| peak.max(x.abs()))
}

/// Cuts everything above a share of the peak, as an input that is set too high does. The level
/// stays.
pub fn clip(samples: &mut [f32], share: f32) {
    let limit = share * peak(samples);
    let clipped = |x: f32| x.clamp(-limit, limit);
    samples
        .iter_mut()
        .for_each(|sample| *sample = clipped(*sample));
}

/// Rounds to integers of a number of bits, with full scale at ±1, without dither. Samples beyond
/// full scale are cut.
pub fn quantise(samples: &mut [f32], bits: u32) {
    let scale = (bits as f32 - 1.0).exp2();
    for sample in samples {
        *sample = (*sample * scale).round().clamp(-scale, scale - 1.0) / scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_decibels_are_a_factor_of_ten() {
        for (db, factor) in [(20.0, 10.0), (-40.0, 0.01), (6.0206, 2.0), (0.0, 1.0)] {
            let mut samples = [0.01, -0.02];
            gain(&mut samples, db);
            for (sample, before) in samples.into_iter().zip([0.01, -0.02]) {
                let ratio = sample / before / factor;
                assert!((ratio - 1.0_f32).abs() < 1e-6, "{db}: {sample}");
            }
        }
    }

    #[test]
    fn clipping_cuts_at_a_share_of_the_peak() {
        let mut samples = [0.1, -0.8, 0.5, 0.3];
        clip(&mut samples, 0.5);
        assert_eq!(samples, [0.1, -0.4, 0.4, 0.3]);
    }

    #[test]
    fn eight_bits_have_256_steps() {
        let mut samples = [0.0, 1.0 / 128.0, 0.6 / 128.0, -0.4 / 128.0, 2.0, -2.0];
        quantise(&mut samples, 8);
        let steps = samples.map(|sample| sample * 128.0);
        assert_eq!(steps, [0.0, 1.0, 1.0, 0.0, 127.0, -128.0]);
    }

    #[test]
    fn sixteen_bits_keep_the_samples_of_a_file_of_16_bits() {
        let before: Vec<f32> = (-32_768..32_768).map(|x| x as f32 / 32_768.0).collect();
        let mut samples = before.clone();
        quantise(&mut samples, 16);
        assert_eq!(samples, before);
    }
}
