//! Measurements of one recording: file format, waveform before and after preprocessing, features.

use std::path::Path;

use anyhow::{Context, Result};

use super::mel_spectrogram;
use crate::audio::{self, AudioConfig, AudioInfo, Channel, SampleRate, Waveform};
use crate::features::{Extractor, FeatureConfig, Features};

/// A recording as it is in its file, and as the input of a model.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Format and duration according to the header of the file.
    pub info: AudioInfo,
    /// Channel of the recording that is used.
    pub channel: Channel,
    /// The waveform in the file, mixed down to one channel.
    pub recorded: Waveform,
    /// The waveform whose features are computed: resampled, and trimmed if the settings require it.
    pub trimmed: Waveform,
    /// False if the recording has no sound above a noise floor, see [`Waveform::has_speech`].
    pub has_speech: bool,
    /// Silence trimmed at the beginning, in seconds.
    pub cut_before: f64,
    /// Silence trimmed at the end, in seconds.
    pub cut_after: f64,
    /// Mel spectrogram in decibels, [frames, n_mels].
    pub mel: Features,
    /// Features of the model, [frames, coefficients]: MFCCs, deltas and prosody.
    pub features: Features,
    /// Settings of the features.
    pub config: FeatureConfig,
}

impl Recording {
    /// Reads a recording and computes its features as a run with these settings does.
    ///
    /// # Errors
    /// If the file cannot be read, or if a setting is out of range for its sample rate. The error
    /// names the file.
    pub fn read(path: &Path, audio: &AudioConfig, config: &FeatureConfig) -> Result<Recording> {
        Recording::try_read(path, audio, config).with_context(|| path.display().to_string())
    }

    fn try_read(path: &Path, audio: &AudioConfig, config: &FeatureConfig) -> Result<Recording> {
        audio.validate()?;
        let info = audio::probe(path)?;
        let recorded = audio::read_channel(path, audio.channel)?.waveform;
        let resampled = match audio.sample_rate {
            SampleRate::Native => recorded.clone(),
            SampleRate::Hz(rate) => audio::resample(&recorded, rate)?,
        };
        let (trimmed, start) = match audio.trim_db {
            None => (resampled.clone(), 0),
            Some(top_db) => {
                let trimmed = audio::trim_silence(&resampled, top_db);
                let start = offset_of(&trimmed.samples, &resampled.samples);
                (trimmed, start)
            }
        };
        let cut_before = start as f64 / f64::from(trimmed.sample_rate);
        Ok(Recording {
            info,
            channel: audio.channel,
            cut_before,
            cut_after: (resampled.seconds() - cut_before - trimmed.seconds()).max(0.0),
            mel: mel_spectrogram(&trimmed, config)?,
            features: Extractor::new(config, trimmed.sample_rate)?.try_extract(&trimmed)?,
            has_speech: resampled.has_speech(),
            recorded,
            trimmed,
            config: config.clone(),
        })
    }

    /// Upper edge of the highest mel band, in hertz.
    pub fn fmax(&self) -> f64 {
        let nyquist = f64::from(self.trimmed.sample_rate) / 2.0;
        self.config.fmax.map_or(nyquist, f64::from)
    }

    /// Facts about the file and its preprocessing (mixing, resampling, trimming).
    pub fn facts(&self) -> Vec<String> {
        let AudioInfo {
            encoding,
            sample_rate,
            channels,
            bits_per_sample,
            seconds,
        } = &self.info;
        let used = match self.channel {
            Channel::Mix => "mixed down".to_string(),
            one => format!("channel {one}"),
        };
        let channels = match channels {
            1 => "mono".to_string(),
            2 => format!("stereo, {used}"),
            more => format!("{more} channels, {used}"),
        };
        let encoding = match (encoding, bits_per_sample) {
            (&"PCM", Some(bits)) => format!("{bits} bits"),
            (encoding, Some(bits)) => format!("{encoding}, {bits} bits"),
            (encoding, None) => encoding.to_string(),
        };
        let mut facts = vec![format!(
            "{seconds:.2} s, {sample_rate} Hz, {encoding}, {channels}"
        )];
        if self.trimmed.sample_rate != *sample_rate {
            facts.push(format!("resampled to {} Hz", self.trimmed.sample_rate));
        }
        if self.cut_before + self.cut_after > 0.0 {
            facts.push(format!(
                "silence trimmed: {:.2} s before, {:.2} s after",
                self.cut_before, self.cut_after
            ));
        }
        facts
    }
}

/// Index of the first sample of `trimmed` in `whole`, which contains it.
fn offset_of(trimmed: &[f32], whole: &[f32]) -> usize {
    if trimmed.is_empty() {
        return 0;
    }
    whole
        .windows(trimmed.len())
        .position(|window| window == trimmed)
        .unwrap_or(0)
}
