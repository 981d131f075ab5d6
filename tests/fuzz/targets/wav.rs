//! Arbitrary bytes as a recording are rejected, or give a waveform that trimming and resampling accept.
#![no_main]

use std::io::Cursor;

use emovox::audio::stream::SoundStream;
use emovox::audio::{read_wav_from, resample, trim_silence};
use libfuzzer_sys::fuzz_target;

/// Largest number of samples that is resampled: at a low rate, few samples become many.
const MOST_SAMPLES: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut stream) = SoundStream::wav(bytes) {
        let mut streamed = Vec::new();
        while stream.read(&mut streamed).is_ok_and(|samples| samples > 0) {}
        assert!(streamed.len() <= bytes.len());
        assert!(streamed.iter().all(|sample| sample.is_finite()));
    }

    let Ok(waveform) = read_wav_from(Cursor::new(bytes)) else {
        return;
    };
    let samples = &waveform.samples;
    assert!(samples.iter().all(|sample| sample.is_finite()));
    assert!(!samples.is_empty() && samples.len() <= bytes.len());
    assert!((1..=768_000).contains(&waveform.sample_rate));

    let trimmed = trim_silence(&waveform, 40.0);
    assert!(trimmed.samples.len() <= samples.len());
    // A rate without a simple ratio to 16 kHz needs a long FFT, so few of these are resampled.
    let simple = waveform.sample_rate.is_multiple_of(25) || bytes.len().is_multiple_of(16);
    if simple && samples.len() <= MOST_SAMPLES {
        let resampled = resample(&waveform, 16_000).unwrap();
        assert!(resampled.samples.iter().all(|sample| sample.is_finite()));
    }
});
