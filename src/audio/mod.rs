//! Loads recordings as waveforms: decoded, mixed down to mono, resampled, trimmed.
//!
//! Uncompressed WAV is read by this module; hound checks its format. All other formats are decoded
//! by symphonia and opus-rs. The content of a file determines its format, not its name.

mod channel;
mod coded;
mod config;
mod decode;
pub(crate) mod dot;
mod error;
pub(crate) mod excerpt;
mod file;
mod format;
mod gapless;
mod magic;
mod opus;
mod resample;
mod riff;
mod source;
pub mod stream;
pub(crate) mod threshold;
mod trim;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

pub use channel::{Channel, ChannelChoice};
pub use config::{AudioConfig, SampleRate};
pub use error::AudioError;
pub use excerpt::{Excerpt, Segment};
use file::read_samples;
pub use file::{
    AudioFile, AudioInfo, Decoded, probe, probe_from, read, read_channel, read_channel_from,
    read_excerpt, read_from,
};
pub use resample::resample;
pub use source::ReadSeek;
use stream::{VoiceActivityConfig, VoiceActivityGate};
pub use trim::trim_silence;

/// Version of the decoding. A change of the samples of any supported recording, or of the
/// recordings that are used, increases it, so that cached features are computed again.
pub(crate) const VERSION: u32 = 1;

/// Endings of the names of recordings in the supported formats, the uncompressed and the lossless
/// ones first.
pub const EXTENSIONS: [&str; 25] = [
    "wav", "wave", "bwf", "rf64", "aif", "aiff", "aifc", "caf", "flac", "m4a", "m4b", "ogg", "oga",
    "opus", "mp3", "aac", "adts", "mka", "weba", "mp4", "m4v", "mov", "3gp", "mkv", "webm",
];

/// Endings of the names of recordings in formats that are not supported.
const OTHER_EXTENSIONS: [&str; 22] = [
    "3ga", "ac3", "amr", "ape", "au", "avi", "dss", "flv", "gsm", "mp2", "mpc", "mpg", "nist",
    "ra", "snd", "sph", "spx", "tta", "w64", "wma", "wmv", "wv",
];

/// True for a file name with the ending of a supported format, in any case.
pub fn is_recording_name(path: &Path) -> bool {
    rank_of_name(path).is_some()
}

/// Place of the ending of a file name among [`EXTENSIONS`].
pub(crate) fn rank_of_name(path: &Path) -> Option<usize> {
    let extension = path.extension().and_then(OsStr::to_str)?;
    let mut known = EXTENSIONS.iter();
    known.position(|known| known.eq_ignore_ascii_case(extension))
}

/// True for a file name with the ending of a recording in a format that is not supported.
pub(crate) fn is_other_recording_name(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| {
        let mut known = OTHER_EXTENSIONS.iter();
        known.any(|known| known.eq_ignore_ascii_case(extension))
    })
}

/// True for the first bytes of a file in a supported format: 12 bytes, or the whole file if it is
/// shorter.
pub(crate) fn is_recording(beginning: &[u8]) -> bool {
    magic::detect(beginning).is_ok()
}

/// One channel of audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    /// Amplitudes, full scale at ±1.
    pub samples: Vec<f32>,
    /// Samples per second, in hertz.
    pub sample_rate: u32,
}

impl Waveform {
    /// Duration in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }

    /// False if no sound is louder than a noise floor: for digital silence, a constant, noise
    /// without any change. The measure is that of the voice activity detection of streams.
    pub fn has_speech(&self) -> bool {
        let mut gate = VoiceActivityGate::new(&VoiceActivityConfig::default(), self.sample_rate);
        let mut pieces = self.samples.chunks(4096);
        pieces.any(|piece| {
            gate.push(piece);
            gate.has_speech()
        })
    }
}

/// A recording that was read with the settings of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The samples: mono, at the configured sample rate, silence trimmed unless by
    /// [`load_untrimmed`].
    pub waveform: Waveform,
    /// Duration in seconds before silence is trimmed.
    pub seconds: f64,
    /// False if the recording has no sound above a noise floor, see [`Waveform::has_speech`].
    pub has_speech: bool,
    /// True if the channels cancel each other in the mix, see [`Decoded::is_cancelled`].
    pub is_cancelled: bool,
}

impl Loaded {
    /// Rejects a recording that no model can learn from.
    ///
    /// # Errors
    /// If the recording has no speech, or if its channels cancel each other.
    pub fn check_speech(&self) -> Result<(), AudioError> {
        if self.is_cancelled {
            return Err(AudioError::NoSpeech(
                "its channels have opposite phases and cancel each other in the mix; select one of \
                 them with the setting channel in [audio]",
            ));
        }
        if !self.has_speech {
            return Err(AudioError::NoSpeech(
                "it is silent, or has a constant level; leave it out or record it again",
            ));
        }
        Ok(())
    }
}

/// Reads a recording with the given settings: mono, at the configured sample rate, silence trimmed.
///
/// The order is that of librosa: `librosa.load(path, sr=...)`, then `librosa.effects.trim`.
///
/// # Errors
/// If the settings are invalid, or if the file cannot be read.
pub fn load(path: &Path, config: &AudioConfig) -> Result<Waveform, AudioError> {
    Ok(load_checked(path, config)?.waveform)
}

/// Reads a recording like [`load`], and measures if it has speech.
///
/// # Errors
/// As [`load`].
pub fn load_checked(path: &Path, config: &AudioConfig) -> Result<Loaded, AudioError> {
    load_excerpt(&path.into(), config)
}

/// Reads a file or a segment of it like [`load_checked`]. A segment is read like a file that
/// contains only the samples of the segment.
///
/// # Errors
/// As [`load`], and if the file ends before the segment starts.
pub fn load_excerpt(excerpt: &Excerpt, config: &AudioConfig) -> Result<Loaded, AudioError> {
    let mut loaded = load_untrimmed(excerpt, config)?;
    trim(&mut loaded.waveform, config);
    Ok(loaded)
}

/// Reads a file or a segment of it like [`load_excerpt`], with its silence at both ends.
///
/// # Errors
/// As [`load_excerpt`].
pub fn load_untrimmed(excerpt: &Excerpt, config: &AudioConfig) -> Result<Loaded, AudioError> {
    config.validate()?;
    prepare(read_excerpt(excerpt, config.channel)?, config)
}

/// Reads a recording like [`load_checked`] from any seekable source. At most `longest` seconds and
/// a little more are decoded, because a small file can contain hours.
///
/// # Errors
/// As [`load`], and if the recording is longer than `longest` seconds.
pub fn load_from(
    source: impl ReadSeek,
    config: &AudioConfig,
    longest: f64,
) -> Result<Loaded, AudioError> {
    config.validate()?;
    let decoded = Segment {
        start: Duration::ZERO,
        end: Duration::try_from_secs_f64(longest + 0.1).ok(),
    };
    let decoded = read_samples(source, config.channel, Some(decoded))?;
    if decoded.waveform.seconds() > longest {
        return Err(AudioError::TooLong(longest));
    }
    let mut loaded = prepare(decoded, config)?;
    trim(&mut loaded.waveform, config);
    Ok(loaded)
}

/// Resamples a decoded recording, and measures if it has speech.
fn prepare(decoded: Decoded, config: &AudioConfig) -> Result<Loaded, AudioError> {
    let Decoded {
        mut waveform,
        is_cancelled,
    } = decoded;
    if let SampleRate::Hz(sample_rate) = config.sample_rate
        && sample_rate != waveform.sample_rate
    {
        waveform = resample(&waveform, sample_rate)?;
    }
    Ok(Loaded {
        seconds: waveform.seconds(),
        has_speech: waveform.has_speech(),
        waveform,
        is_cancelled,
    })
}

/// Cuts the silence at both ends of a waveform, if the settings say so.
pub fn trim(waveform: &mut Waveform, config: &AudioConfig) {
    if let Some(top_db) = config.trim_db {
        trim::trim_in_place(waveform, top_db);
    }
}
