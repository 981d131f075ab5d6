//! Arbitrary bytes as a recording are rejected, or give a waveform that trimming and resampling accept.
#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use emovox::audio::stream::SoundStream;
use emovox::audio::{read_from, resample, trim_silence};
use libfuzzer_sys::fuzz_target;

/// Largest number of samples of any file, and for each byte of a larger file; see `src/audio/coded.rs`.
const MOST_DECODED: (usize, usize) = (1 << 26, 512);

/// A panic of a decoder is an error of the recording; without this, it would end the fuzzer. A panic of
/// this target still ends it.
static QUIET: LazyLock<()> = LazyLock::new(|| std::panic::set_hook(Box::new(|_| {})));

/// Largest number of samples that is resampled: at a low rate, few samples become many.
const MOST_SAMPLES: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&QUIET);
    if let Ok(mut stream) = SoundStream::wav(bytes, emovox::audio::Channel::Mix) {
        let mut streamed = Vec::new();
        while stream.read(&mut streamed).is_ok_and(|samples| samples > 0) {}
        assert!(streamed.len() <= bytes.len());
        assert!(streamed.iter().all(|sample| sample.is_finite()));
    }

    let Ok(waveform) = read_from(Cursor::new(bytes)) else {
        return;
    };
    let samples = &waveform.samples;
    assert!(samples.iter().all(|sample| sample.is_finite()));
    let (any, per_byte) = MOST_DECODED;
    assert!(!samples.is_empty() && samples.len() <= any.max(per_byte * bytes.len()));
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
