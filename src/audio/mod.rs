//! From a file to a waveform: WAV through hound, mixed down to mono, resampled, trimmed.

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

/// One channel of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    /// Amplitudes, full scale at ±1.
    pub samples: Vec<f32>,
    /// Samples per second, in hertz.
    pub sample_rate: u32,
}

impl Waveform {
    /// How long the sound lasts, in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }
}

/// Reads a WAV file as the configuration asks: mono, at its sample rate, silence trimmed.
///
/// The order is librosa's: `librosa.load(path, sr=...)`, then `librosa.effects.trim`.
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
