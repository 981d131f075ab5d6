//! One recording, from its file to what a model hears of it.

use std::path::Path;

use anyhow::{Context, Result};

use super::mel_spectrogram;
use crate::audio::{self, AudioConfig, SampleRate, WavInfo, Waveform};
use crate::features::{Extractor, FeatureConfig, Features};

/// A recording as its file has it, and as a model hears it.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What the file says of itself.
    pub info: WavInfo,
    /// The sound as recorded, mixed down to one channel.
    pub recorded: Waveform,
    /// The sound as heard: resampled, and without the silence at its ends where that is asked for.
    pub heard: Waveform,
    /// Seconds cut off the beginning.
    pub cut_before: f64,
    /// Seconds cut off the end.
    pub cut_after: f64,
    /// Mel bands in decibels.
    pub mel: Features,
    /// MFCCs, their deltas and prosody, as the settings have them.
    pub features: Features,
    /// Those settings.
    pub config: FeatureConfig,
}

impl Recording {
    /// Reads a recording as a run with these settings would.
    pub fn read(path: &Path, audio: &AudioConfig, config: &FeatureConfig) -> Result<Recording> {
        Recording::try_read(path, audio, config).with_context(|| path.display().to_string())
    }

    fn try_read(path: &Path, audio: &AudioConfig, config: &FeatureConfig) -> Result<Recording> {
        audio.validate()?;
        let info = audio::probe(path)?;
        let recorded = audio::read_wav(path)?;
        let resampled = match audio.sample_rate {
            SampleRate::Native => recorded.clone(),
            SampleRate::Hz(rate) => audio::resample(&recorded, rate)?,
        };
        let (heard, start) = match audio.trim_db {
            None => (resampled.clone(), 0),
            Some(top_db) => {
                let trimmed = audio::trim_silence(&resampled, top_db);
                let start = place_of(&trimmed.samples, &resampled.samples);
                (trimmed, start)
            }
        };
        let cut_before = start as f64 / f64::from(heard.sample_rate);
        Ok(Recording {
            info,
            cut_before,
            cut_after: (resampled.seconds() - cut_before - heard.seconds()).max(0.0),
            mel: mel_spectrogram(&heard, config)?,
            features: Extractor::new(config, heard.sample_rate)?.try_extract(&heard)?,
            recorded,
            heard,
            config: config.clone(),
        })
    }

    /// The upper edge of the highest mel band, in hertz.
    pub fn fmax(&self) -> f64 {
        let nyquist = f64::from(self.heard.sample_rate) / 2.0;
        self.config.fmax.map_or(nyquist, f64::from)
    }

    /// What was done to the sound before it is heard, and where it came from, in one line.
    pub fn story(&self) -> String {
        let WavInfo {
            sample_rate,
            channels,
            bits_per_sample,
            seconds,
        } = &self.info;
        let channels = match channels {
            1 => "mono".to_string(),
            2 => "stereo, mixed down".to_string(),
            more => format!("{more} channels, mixed down"),
        };
        let mut story =
            format!("{seconds:.2} s, {sample_rate} Hz, {bits_per_sample} bits, {channels}");
        if self.heard.sample_rate != *sample_rate {
            story += &format!("     resampled to {} Hz", self.heard.sample_rate);
        }
        if self.cut_before + self.cut_after > 0.0 {
            story += &format!(
                "     silence trimmed: {:.2} s before, {:.2} s after",
                self.cut_before, self.cut_after
            );
        }
        story
    }
}

/// Where `part`, which is a piece of `whole`, begins in it.
fn place_of(part: &[f32], whole: &[f32]) -> usize {
    if part.is_empty() {
        return 0;
    }
    whole
        .windows(part.len())
        .position(|piece| piece == part)
        .unwrap_or(0)
}
