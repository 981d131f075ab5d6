//! Selection of a channel, and the mix of all channels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::AudioError;

/// Largest accepted amplitude. With larger ones, the power of a frame could leave the range of an
/// `f32`. Full scale is 1; some writers do not scale their integers and reach 2³¹ ≈ 2 · 10⁹.
const MAX_AMPLITUDE: f64 = 1e12;

/// The channels cancel each other if the mix has less than this share of the energy that it would
/// have with independent channels: 17 dB less.
const CANCELLED: f64 = 0.02;
/// Mean energy of a sample below which a channel counts as silent: −70 dB of full scale.
const SILENT: f64 = 1e-7;

/// The channel of a recording that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// The mean of all channels.
    #[default]
    Mix,
    /// One channel, counted from 1. Channel 1 is the left one, and the only one of a mono
    /// recording; channel 2 is the right one.
    Number(u16),
}

/// A selection of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelChoice {
    /// One channel, or the mix.
    One(Channel),
    /// Every channel on its own.
    Each,
}

impl FromStr for ChannelChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "each" => Ok(ChannelChoice::Each),
            _ => match text.parse() {
                Ok(channel) => Ok(ChannelChoice::One(channel)),
                Err(_) => Err(format!(
                    "\"{text}\" is neither mix, left, right, each nor the number of a channel from 1"
                )),
            },
        }
    }
}

impl Channel {
    const LEFT: Channel = Channel::Number(1);
    const RIGHT: Channel = Channel::Number(2);

    /// True for the mean of all channels.
    pub fn is_mix(&self) -> bool {
        *self == Channel::Mix
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Channel::Mix => f.write_str("mix"),
            Channel::LEFT => f.write_str("left"),
            Channel::RIGHT => f.write_str("right"),
            Channel::Number(number) => write!(f, "{number}"),
        }
    }
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "mix" => Ok(Channel::Mix),
            "left" => Ok(Channel::LEFT),
            "right" => Ok(Channel::RIGHT),
            _ => match text.parse() {
                Ok(number) if number > 0 => Ok(Channel::Number(number)),
                _ => Err(format!(
                    "\"{text}\" is neither mix, left, right nor the number of a channel from 1"
                )),
            },
        }
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "\"mix\", \"left\", \"right\" or the number of a channel"
        )]
        enum Written {
            Number(u16),
            Word(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Word(word) => word,
        };
        text.parse().map_err(de::Error::custom)
    }
}

/// Converts frames of several channels to mono, and measures if the channels cancel each other.
#[derive(Debug, Clone)]
pub(super) struct Mixer {
    channels: usize,
    /// Index of the selected channel; `None` for the mix.
    selected: Option<usize>,
    /// Number of frames of several channels that were mixed.
    frames: u64,
    /// Sum of the squares of all samples of all channels.
    before: f64,
    /// Sum of the squares of the mixed samples.
    after: f64,
}

impl Mixer {
    /// # Errors
    /// If a recording with this number of channels does not have the selected channel.
    pub(super) fn new(channel: Channel, channels: u16) -> Result<Mixer, AudioError> {
        let selected = match channel {
            Channel::Mix => None,
            Channel::Number(number) if (1..=channels).contains(&number) => {
                Some(usize::from(number) - 1)
            }
            Channel::Number(_) => return Err(AudioError::NoChannel { channel, channels }),
        };
        Ok(Mixer {
            channels: channels.into(),
            selected,
            frames: 0,
            before: 0.0,
            after: 0.0,
        })
    }

    /// Appends whole frames to `mono`; `samples` has all channels of a frame, then the next frame.
    pub(super) fn push<T: Copy>(
        &mut self,
        samples: &[T],
        mono: &mut Vec<f32>,
        to_f32: impl Fn(T) -> f32,
    ) {
        if self.channels == 1 {
            mono.extend(samples.iter().map(|&sample| to_f32(sample)));
            return;
        }
        let frames = samples.chunks_exact(self.channels);
        if let Some(selected) = self.selected {
            mono.extend(frames.map(|frame| to_f32(frame[selected])));
            return;
        }
        self.frames += frames.len() as u64;
        let (mut before, mut after) = (0.0, 0.0);
        mono.extend(frames.map(|frame| {
            let mut energy = 0.0;
            let sum: f32 = frame
                .iter()
                .map(|&sample| {
                    let sample = to_f32(sample);
                    energy += sample * sample;
                    sample
                })
                .sum();
            let mean = sum / self.channels as f32;
            before += f64::from(energy);
            after += f64::from(mean * mean);
            mean
        }));
        self.before += before;
        self.after += after;
    }

    /// True if the channels have sound, and the mix has hardly any of it: they have opposite
    /// phases.
    pub(super) fn is_cancelled(&self) -> bool {
        let channels = self.channels as f64;
        // Independent channels: the mix has 1 / channels² of the energy of all channels together.
        let independent = self.before / (channels * channels);
        self.frames > 0
            && self.before > SILENT * channels * self.frames as f64
            && self.after < CANCELLED * independent
    }
}

/// Rejects floats that are not finite or too large. `before` is the number of earlier frames.
pub(super) fn check<T: Copy>(
    samples: &[T],
    channels: usize,
    before: usize,
    to_f64: impl Fn(T) -> f64,
) -> Result<(), AudioError> {
    // NaN is not in the range either. The sum has no branch, so that the compiler can vectorise it.
    let in_range = |&sample: &T| usize::from(to_f64(sample).abs() <= MAX_AMPLITUDE);
    if samples.iter().map(in_range).sum::<usize>() == samples.len() {
        return Ok(());
    }
    for (index, &sample) in samples.iter().enumerate() {
        let sample = to_f64(sample);
        let frame = before + index / channels;
        if !sample.is_finite() {
            return Err(AudioError::NotFinite(frame));
        }
        if sample.abs() > MAX_AMPLITUDE {
            return Err(AudioError::TooLarge(frame, sample));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(channel: Channel, channels: u16, frames: &[f32]) -> (Vec<f32>, bool) {
        let mut mixer = Mixer::new(channel, channels).unwrap();
        let mut mono = Vec::new();
        mixer.push(frames, &mut mono, |sample| sample);
        (mono, mixer.is_cancelled())
    }

    #[test]
    fn a_channel_is_selected_by_side_or_number() {
        let frames = [0.1, 0.2, 0.3, 0.4];
        assert_eq!(mixed("left".parse().unwrap(), 2, &frames).0, [0.1, 0.3]);
        assert_eq!(mixed("2".parse().unwrap(), 2, &frames).0, [0.2, 0.4]);
        assert_eq!(mixed(Channel::Number(1), 1, &frames).0, frames);
        let error = Mixer::new(Channel::RIGHT, 1).unwrap_err().to_string();
        assert!(error.contains("no channel right"), "{error}");
        for wrong in ["0", "both", "-1", "70000", ""] {
            assert!(wrong.parse::<Channel>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_opposite_phases_cancel() {
        let both = |right: fn(f32) -> f32| -> Vec<f32> {
            let left = (0..500).map(|n| (0.1 * n as f32).sin());
            left.flat_map(|left| [left, right(left)]).collect()
        };
        assert!(mixed(Channel::Mix, 2, &both(|left| -left)).1);
        assert!(mixed(Channel::Mix, 2, &both(|left| -0.95 * left)).1);
        for right in [|left| left, |_| 0.0, |left: f32| -0.5 * left] {
            assert!(!mixed(Channel::Mix, 2, &both(right)).1);
        }
        assert!(!mixed(Channel::LEFT, 2, &both(|left| -left)).1);
        assert!(!mixed(Channel::Mix, 2, &both(|left| -1e-9 * left)).1);
        assert!(!mixed(Channel::Mix, 2, &[0.0; 1000]).1);
        // One loud channel of many.
        let one_of_eight: Vec<f32> = (0..4000).map(|n| f32::from(u8::from(n % 8 == 3))).collect();
        assert!(!mixed(Channel::Mix, 8, &one_of_eight).1);
    }
}
