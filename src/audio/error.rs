//! Errors of recordings that cannot be used. Each message is one line and gives the next step.

use std::io;

use super::config::SAMPLE_RATES;
use super::{Channel, Segment};
use crate::memory::OutOfMemory;
use crate::plural::counted;

/// The reason that a recording cannot be used.
///
/// The message does not contain the file name; the caller prints `PATH: reason`.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// A stream in another format than WAV.
    #[error("not WAV but {0}; convert it: ffmpeg -i IN -ar 16000 OUT.wav")]
    NotWav(&'static str),

    /// A known format that is not supported, whatever the name of the file.
    #[error("{0} is not supported; convert it: ffmpeg -i IN -ar 16000 OUT.wav")]
    UnsupportedFormat(&'static str),

    /// A file of version control that stands for a recording.
    #[error("a {system} pointer, not the recording itself; in its repository, run: {command}")]
    Pointer {
        /// Name of the program that stores the recording.
        system: &'static str,
        /// Command that fetches the recording.
        command: &'static str,
    },

    /// Neither a WAV file nor any other known format, judging by the first bytes.
    #[error("not a WAV file or any other known audio format; copy or download it again")]
    Unrecognised,

    /// A file of zero bytes.
    #[error("the file is empty (0 bytes); copy or download it again")]
    Empty,

    /// The file ends before its first sample.
    #[error("the file ends inside its header; copy or download it again")]
    TruncatedHeader,

    /// The header contradicts itself or has an impossible value.
    #[error("broken WAV header ({0}); try to repair it: ffmpeg -i IN -ar 16000 OUT.wav")]
    BrokenHeader(String),

    /// A WAV file in an unsupported encoding.
    #[error(
        "unsupported WAV encoding ({0}); convert it: ffmpeg -i IN -ar 16000 -c:a pcm_s16le OUT.wav"
    )]
    UnsupportedEncoding(String),

    /// A supported format with an unsupported encoding in it.
    #[error("unsupported encoding ({0}); convert it: ffmpeg -i IN -ar 16000 OUT.wav")]
    UnsupportedCodec(String),

    /// A compressed recording that contradicts itself.
    #[error(
        "damaged {format} ({reason}); copy it again, or try to repair it: \
         ffmpeg -i IN -ar 16000 OUT.wav"
    )]
    Damaged {
        /// Name of the format or of the encoding.
        format: &'static str,
        /// The error of the decoder.
        reason: String,
    },

    /// A channel that the recording does not have.
    #[error("no channel {channel}: the recording has {}; choose one of its channels, or mix", counted(*.channels, "channel"))]
    NoChannel {
        /// The selected channel.
        channel: Channel,
        /// Number of channels of the recording.
        channels: u16,
    },

    /// A channel that the model reads and the stream does not have.
    #[error("the model reads channel {channel}, but the stream has {}", counted(*.channels, "channel"))]
    NoStreamChannel {
        /// The channel of the model.
        channel: Channel,
        /// Number of channels of the stream.
        channels: u16,
    },

    /// A recording that is left out of a training because it has no speech.
    #[error("no speech: {0}")]
    NoSpeech(&'static str),

    /// A valid header without samples after it.
    #[error("no samples: the file has a header but no audio; leave it out or record it again")]
    NoSamples,

    /// A recording that is longer than the caller accepts; the field is the limit in seconds.
    #[error("longer than {0:.0} s, the limit; cut it into shorter recordings")]
    TooLong(f64),

    /// A recording that is longer than the caller accepts for each of several channels; the fields are
    /// the limit in seconds for one of them, and their number.
    #[error(
        "longer than {0:.1} s, the limit for each of {1} channels; select one channel, or cut it into \
         shorter recordings"
    )]
    ChannelsTooLong(f64, u16),

    /// A recording with more channels than the caller predicts one by one; the fields are their
    /// number and the limit.
    #[error(
        "{0} channels, more than the limit of {1} for a prediction of each; select one channel"
    )]
    ManyChannels(u16, u16),

    /// A stream that ended before the length in its header; the field is the number of missing
    /// bytes.
    #[error("the stream ended {0} bytes too early")]
    Shortened(u64),

    /// A segment that starts behind the end of its recording.
    #[error(
        "no samples: the segment {segment} starts behind the end of the recording ({seconds:.3} s); \
         correct its times"
    )]
    SegmentBehindEnd {
        /// The segment.
        segment: Segment,
        /// Duration of the recording in seconds.
        seconds: f64,
    },

    /// A float file that contains NaN or infinity; the field is the index of the sample.
    #[error("sample {0} is not a finite number; export the recording again")]
    NotFinite(usize),

    /// A float file with an impossibly large sample; the fields are its index and its value.
    #[error("sample {0} is {1:.1e}, far too large (full scale is 1); export the recording again")]
    TooLarge(usize, f64),

    /// An unsupported sample rate, in hertz.
    #[error(
        "a sample rate of {0} Hz is outside {min} to {max} Hz",
        min = SAMPLE_RATES.start(),
        max = SAMPLE_RATES.end()
    )]
    SampleRate(u32),

    /// A trimming threshold that is not finite and positive, in decibels.
    #[error(
        "a trim threshold of {0} dB would cut everything; use a positive one (librosa uses 60)"
    )]
    TrimDb(f32),

    /// An error of the resampler.
    #[error("cannot resample: {0}")]
    Resample(String),

    /// An error of the encoder that disturbs a recording.
    #[error("cannot encode with Opus: {0}")]
    Encode(&'static str),

    /// A recording that is too long for the memory.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),

    /// Neither a file nor a folder.
    #[error("not a file but a pipe, a socket or a device; save the recording to a file first")]
    NotAFile,

    /// Any other error of the file system. It is not a source of this error, because the message
    /// has its reason already.
    #[error("{}", io_message(.0))]
    Io(io::Error),
}

impl From<io::Error> for AudioError {
    fn from(error: io::Error) -> AudioError {
        AudioError::Io(error)
    }
}

/// Error number for a loop of symbolic links: 40 on Linux, 62 on macOS and the BSDs.
const ELOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };

/// A message for the common cases without the error numbers of the operating system.
fn io_message(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file; check the path".to_string(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; check the read permission of the file".to_string()
        }
        io::ErrorKind::IsADirectory => "a folder, not a recording".to_string(),
        io::ErrorKind::NotADirectory => {
            "no such file: a folder in its path is a file; check the path".to_string()
        }
        io::ErrorKind::UnexpectedEof => {
            "the file was truncated while it was read; try again".to_string()
        }
        _ if cfg!(unix) && error.raw_os_error() == Some(ELOOP) => {
            "a symbolic link that points to itself; remove it".to_string()
        }
        _ => format!("cannot be read: {error}"),
    }
}
