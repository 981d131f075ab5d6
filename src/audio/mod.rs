//! Loads WAV files as waveforms: decoded, mixed down to mono, resampled, trimmed.

mod config;
mod decode;
pub(crate) mod dot;
mod error;
mod format;
mod magic;
mod resample;
mod riff;
pub mod stream;
pub(crate) mod threshold;
mod trim;
mod wav;

use std::path::Path;

pub use config::{AudioConfig, SampleRate};
pub use error::AudioError;
pub use resample::resample;
pub use trim::trim_silence;
pub use wav::{WavInfo, probe, read_wav, read_wav_from, stream_wav};

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
}

/// Reads a WAV file with the given settings: mono, at the configured sample rate, silence trimmed.
///
/// The order is that of librosa: `librosa.load(path, sr=...)`, then `librosa.effects.trim`.
///
/// # Errors
/// If the settings are invalid, or if the file cannot be read as a WAV file.
pub fn load(path: &Path, config: &AudioConfig) -> Result<Waveform, AudioError> {
    config.validate()?;
    let mut waveform = read_wav(path)?;
    if let SampleRate::Hz(sample_rate) = config.sample_rate
        && sample_rate != waveform.sample_rate
    {
        waveform = resample(&waveform, sample_rate)?;
    }
    if let Some(top_db) = config.trim_db {
        trim::trim_in_place(&mut waveform, top_db);
    }
    Ok(waveform)
}
