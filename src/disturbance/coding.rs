//! Lossy coding at a low bit rate.

use opus_rs::{Application, OpusDecoder, OpusEncoder};

use crate::audio::{self, AudioError, Waveform};

/// Sample rate of the coder in hertz.
const RATE: u32 = 16_000;
/// Samples in a packet: 20 ms.
const FRAME: usize = 320;
/// Delay of the coder in samples: 2.5 ms of look-ahead and 4 ms of delay compensation.
const DELAY: usize = 104;
/// Largest number of bytes in a packet (RFC 6716, section 3.4).
const LARGEST_PACKET: usize = 1275;

/// Codes and decodes a clip with Opus (RFC 6716) at 16 kHz with a constant bit rate, as voice
/// messages and calls do. Samples beyond full scale are cut.
///
/// # Errors
/// If the sample rate is not supported, if the memory does not suffice, or if the coder fails.
pub fn opus(waveform: &Waveform, bits_per_second: i32) -> Result<Waveform, AudioError> {
    let mut encoder =
        OpusEncoder::new(RATE as i32, 1, Application::Voip).map_err(AudioError::Encode)?;
    encoder.bitrate_bps = bits_per_second;
    encoder.use_cbr = true;
    let mut decoder = OpusDecoder::new(RATE as i32, 1).map_err(AudioError::Encode)?;
    let mut samples = audio::resample(waveform, RATE)?.samples;
    let length = samples.len();
    samples.resize((length + DELAY).next_multiple_of(FRAME), 0.0);
    let mut packet = [0; LARGEST_PACKET];
    for frame in samples.chunks_mut(FRAME) {
        frame
            .iter_mut()
            .for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
        let bytes = encoder
            .encode(frame, FRAME, &mut packet)
            .map_err(AudioError::Encode)?;
        decoder
            .decode(&packet[..bytes], FRAME, frame)
            .map_err(AudioError::Encode)?;
    }
    let coded = Waveform {
        samples: samples[DELAY..DELAY + length].to_vec(),
        sample_rate: RATE,
    };
    let mut coded = audio::resample(&coded, waveform.sample_rate)?;
    coded.samples.resize(waveform.samples.len(), 0.0);
    Ok(coded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coded_speech_has_its_length_and_time() {
        let samples = crate::corpus::demo::synthesise(1, 1, 0, 1);
        let clip = Waveform {
            samples,
            sample_rate: 16_000,
        };
        let coded = opus(&clip, 16_000).unwrap();
        assert_eq!(coded.samples.len(), clip.samples.len());
        assert_eq!(coded, opus(&clip, 16_000).unwrap());
        let product = |lag: usize| -> f64 {
            let pairs = clip
                .samples
                .iter()
                .skip(200)
                .zip(&coded.samples[100 + lag..]);
            pairs.map(|(a, b)| f64::from(a * b)).sum()
        };
        let best = (0..200).max_by(|&a, &b| product(a).total_cmp(&product(b)));
        // Within the 0.25 ms by which the filters of the coder shift the waveform.
        assert!(best.is_some_and(|best| best.abs_diff(100) <= 4), "{best:?}");
    }
}
