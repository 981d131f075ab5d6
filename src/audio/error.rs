//! Why a recording cannot be used, in one line that a person can act on.

use std::io;

use super::config::SAMPLE_RATES;
use crate::memory::OutOfMemory;

/// Why a recording cannot be used.
///
/// The text does not name the file: whoever asked for it prints `PATH: reason`.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// Another format, whatever the file's name says.
    #[error("not a WAV file but {0}; convert it: ffmpeg -i IN -ar 16000 OUT.wav")]
    NotWav(&'static str),

    /// Neither a WAV file nor any other format that is known by its first bytes.
    #[error("not a WAV file, nor any other audio format we know; copy or download it again")]
    Unrecognised,

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

    /// A float file with a sample that no sound reaches: which one, and what it is.
    #[error(
        "sample {0} is {1:.1e}, far beyond any sound (full scale is 1); export the recording again"
    )]
    TooLarge(usize, f64),

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

    /// A recording that is too long for the memory.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),

    /// Neither a file nor a folder.
    #[error("not a file but a pipe, a socket or a device; save the recording to a file first")]
    NotAFile,

    /// The file system's own error.
    #[error("{}", in_words(.0))]
    Io(#[from] io::Error),
}

/// The system's number for a symbolic link that never arrives: Linux's, and that of macOS and the
/// BSDs.
const ELOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };

/// The common cases without the operating system's numbers.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file; check the path".to_string(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; check who may read the file".to_string()
        }
        io::ErrorKind::IsADirectory => "a folder, not a WAV file".to_string(),
        io::ErrorKind::NotADirectory => {
            "no such file, because its folder is a file; check the path".to_string()
        }
        io::ErrorKind::UnexpectedEof => {
            "the file became shorter while it was read; try again".to_string()
        }
        _ if cfg!(unix) && error.raw_os_error() == Some(ELOOP) => {
            "a symbolic link that leads back to itself; remove it".to_string()
        }
        _ => format!("cannot be read: {error}"),
    }
}
