//! What a run asks of its recordings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::AudioError;
use super::threshold;

/// The sample rates that are read and written, in hertz. Anything else is a mistake or a
/// broken header.
pub(super) const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// How recordings become waveforms; part of a run's `config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioConfig {
    /// The rate every recording is brought to.
    pub sample_rate: SampleRate,
    /// Cut leading and trailing silence: what lies this many decibels below the loudest frame
    /// (`top_db` of `librosa.effects.trim`). `None` keeps it; written as `"off"`.
    #[serde(with = "threshold")]
    pub trim_db: Option<f32>,
}

impl AudioConfig {
    /// The highest rate, in hertz, that a recording may come out with.
    pub fn highest_rate(&self) -> u32 {
        match self.sample_rate {
            SampleRate::Hz(rate) => rate,
            SampleRate::Native => *SAMPLE_RATES.end(),
        }
    }

    /// Refuses a sample rate or a threshold that makes no sense.
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

/// The rate that recordings are brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleRate {
    /// Each recording keeps its own.
    Native,
    /// Samples per second.
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
