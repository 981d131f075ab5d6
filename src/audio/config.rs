//! Audio settings of a run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::threshold;
use super::{AudioError, Channel};

/// Supported sample rates in hertz. Any other value is a mistake or comes from a broken header.
pub(super) const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Settings for the conversion of recordings to waveforms; part of a run's `config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioConfig {
    /// Sample rate to which every recording is resampled.
    pub sample_rate: SampleRate,
    /// Threshold for cutting leading and trailing silence, in decibels below the loudest frame
    /// (`top_db` of `librosa.effects.trim`). `None` keeps the silence; it is written as `"off"`.
    #[serde(with = "threshold")]
    pub trim_db: Option<f32>,
    /// Channel of recordings with several channels: `"mix"` (the mean of all), `"left"`, `"right"`
    /// or a number from 1. Not written for the mix.
    #[serde(skip_serializing_if = "Channel::is_mix")]
    pub channel: Channel,
}

impl AudioConfig {
    /// The highest sample rate, in hertz, that a loaded waveform can have.
    pub fn highest_rate(&self) -> u32 {
        match self.sample_rate {
            SampleRate::Hz(rate) => rate,
            SampleRate::Native => *SAMPLE_RATES.end(),
        }
    }

    /// Checks the sample rate and the threshold.
    ///
    /// # Errors
    /// If the sample rate is not supported, or if the threshold is not finite and positive.
    pub fn validate(&self) -> Result<(), AudioError> {
        if let SampleRate::Hz(hz) = self.sample_rate
            && !SAMPLE_RATES.contains(&hz)
        {
            return Err(AudioError::SampleRate(hz));
        }
        match self.trim_db {
            Some(top_db) if !(top_db.is_finite() && top_db > 0.0) => {
                Err(AudioError::TrimDb(top_db))
            }
            _ => Ok(()),
        }
    }
}

/// Sample rate to which recordings are resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleRate {
    /// Each recording keeps its own sample rate.
    Native,
    /// A fixed rate in hertz.
    Hz(u32),
}

impl Default for SampleRate {
    /// librosa's 22 050 Hz.
    fn default() -> Self {
        SampleRate::Hz(22_050)
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SampleRate::Native => f.write_str("native"),
            SampleRate::Hz(hz) => write!(f, "{hz}"),
        }
    }
}

impl FromStr for SampleRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "native" => Ok(SampleRate::Native),
            Ok(hz) if SAMPLE_RATES.contains(&hz) => Ok(SampleRate::Hz(hz)),
            Ok(hz) => Err(AudioError::SampleRate(hz).to_string()),
            Err(_) => Err(format!(
                "\"{text}\" is neither a rate in hertz, such as 16000, nor \"native\""
            )),
        }
    }
}

impl Serialize for SampleRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            SampleRate::Native => serializer.serialize_str("native"),
            SampleRate::Hz(hz) => serializer.serialize_u32(*hz),
        }
    }
}

impl<'de> Deserialize<'de> for SampleRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a rate in hertz, such as 16000, or \"native\"")]
        enum Written {
            Hz(u32),
            Word(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Hz(hz) => hz.to_string(),
            Written::Word(word) => word,
        };
        text.parse().map_err(de::Error::custom)
    }
}
