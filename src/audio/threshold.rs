//! Serialisation of a threshold in decibels that can be switched off: a number or `"off"`.
//!
//! TOML has no null, and a missing key means the default; therefore "off" is a word.

use serde::{Deserialize, Deserializer, Serializer, de};

const OFF: &str = "off";

pub(crate) fn serialize<S: Serializer>(
    threshold: &Option<f32>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match threshold {
        Some(decibels) => serializer.serialize_f32(*decibels),
        None => serializer.serialize_str(OFF),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number of decibels or \"off\"")]
    enum Written {
        Decibels(f32),
        Word(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Decibels(decibels) => Ok(Some(decibels)),
        Written::Word(word) if word == OFF => Ok(None),
        Written::Word(word) => Err(de::Error::custom(format!(
            "\"{word}\" is neither a number of decibels nor \"off\""
        ))),
    }
}
