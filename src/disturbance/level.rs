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

/// Cuts the loudest samples to the magnitude that a share of the samples reaches or exceeds.
pub fn clip_loudest(samples: &mut [f32], share: f32) {
    let mut magnitudes: Vec<f32> = samples.iter().map(|x| x.abs()).collect();
    let clipped = (share * samples.len() as f32) as usize;
    let Some(rank) = samples.len().checked_sub(clipped.max(1)) else {
        return;
    };
    let (_, &mut limit, _) = magnitudes.select_nth_unstable_by(rank, f32::total_cmp);
    for sample in samples {
        *sample = sample.clamp(-limit, limit);
    }
}

/// Amplifies to a mean power. Silence stays silent.
pub fn scale_to_power(samples: &mut [f32], power: f64) {
    let now = mean_power(samples);
    if now > 0.0 {
        let factor = (power / now).sqrt() as f32;
        samples.iter_mut().for_each(|sample| *sample *= factor);
    }
}

/// Mean of the squares, 0 for no samples.
pub fn mean_power(samples: &[f32]) -> f64 {
    let energy: f64 = samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    energy / samples.len().max(1) as f64
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
    fn the_loudest_tenth_of_the_samples_is_cut() {
        let mut samples: Vec<f32> = (1..=20).map(|n| 0.01 * n as f32).collect();
        samples[17] *= -1.0;
        let before = samples.clone();
        clip_loudest(&mut samples, 0.1);
        assert_eq!(samples[..19], before[..19]);
        assert_eq!(samples[19], before[18]);
        clip_loudest(&mut [], 0.1);
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
