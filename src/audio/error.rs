//! Why a recording cannot be used, in one line that a person can act on.

use std::io;

use super::config::SAMPLE_RATES;

/// Why a recording cannot be used.
///
/// The text does not name the file: whoever asked for it prints `PATH: reason`.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// Another format, whatever the file's name says.
    #[error("not a WAV file but {0}; convert it: ffmpeg -i IN -ar 16000 OUT.wav")]
    NotWav(&'static str),

    /// Zero bytes.
    #[error("the file is empty (0 bytes); copy or download it again")]
    Empty,

    /// The file ends before its first sample.
    #[error("the file ends inside its header; copy or download it again")]
    TruncatedHeader,

    /// The header contradicts itself or says what no WAV file says.
    #[error("broken WAV header ({0}); try to repair it: ffmpeg -i IN -ar 16000 OUT.wav")]
    BrokenHeader(String),

    /// A WAV file in an encoding that is not read.
    #[error(
        "unsupported WAV encoding ({0}); convert it: ffmpeg -i IN -ar 16000 -c:a pcm_s16le OUT.wav"
    )]
    UnsupportedEncoding(String),

    /// A good header and nothing behind it.
    #[error("no samples: the file has a header but no sound; leave it out or record it again")]
    NoSamples,

    /// A float file with NaN or infinity in it.
    #[error("sample {0} is not a finite number; export the recording again")]
    NotFinite(usize),

    /// A rate outside what sound is recorded at.
    #[error(
        "a sample rate of {0} Hz is outside {min} to {max} Hz",
        min = SAMPLE_RATES.start(),
        max = SAMPLE_RATES.end()
    )]
    SampleRate(u32),

    /// A trimming threshold of zero, below zero or not a number.
    #[error(
        "a trim threshold of {0} dB would cut everything; take a positive one, librosa's is 60"
    )]
    TrimDb(f32),

    /// The resampler refused.
    #[error("cannot resample: {0}")]
    Resample(String),

    /// The file system's own error.
    #[error("{}", in_words(.0))]
    Io(#[source] io::Error),
}

/// The common cases without the operating system's numbers.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file; check the path".to_string(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; check who may read the file".to_string()
        }
        io::ErrorKind::IsADirectory => "a folder, not a WAV file".to_string(),
        _ => format!("cannot be read: {error}"),
    }
}
