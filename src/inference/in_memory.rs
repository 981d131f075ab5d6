//! Predictions for a recording in memory, which was not saved to a file.

use std::cell::Cell;
use std::io::Cursor;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::{Answer, Prediction, Predictor, Windowing};
use crate::audio::{self, AudioError, AudioFile, Channel, ChannelChoice};
use crate::dataset;

/// A recording in memory, and the kind of prediction for it.
#[derive(Debug, Clone, Copy)]
pub struct InMemory<'a> {
    /// Name of the recording in the answers.
    pub name: &'a str,
    /// The bytes of a file in any supported format.
    pub bytes: &'a [u8],
    /// Windows, or `None` for one prediction of the whole recording.
    pub windowing: Option<Windowing>,
    /// Channel; `None` for that of the run.
    pub channel: Option<ChannelChoice>,
    /// Longest accepted duration in seconds, of all predicted channels together. At rates above
    /// 48 kHz it is shorter, so that it has as many samples.
    pub longest: f64,
}

/// Highest sample rate at which the longest accepted duration is not shorter, in hertz.
const FULL_LENGTH_RATE: f64 = 48_000.0;
/// Largest number of channels with a prediction for each.
const CHANNELS: u16 = 64;
/// Error of a sum of durations that are added piece by piece, in seconds.
const SUM_ERROR: f64 = 1e-3;

impl InMemory<'_> {
    /// The channel of the waveform: the selected one, or else that of the run.
    pub fn channel(&self, predictor: &Predictor) -> Channel {
        match self.channel {
            Some(ChannelChoice::One(channel)) => channel,
            _ => predictor.config().audio.channel,
        }
    }
}

/// The predictions for a recording in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// One answer, or one for each segment; with several channels, those of each channel in turn.
    pub answers: Vec<Answer>,
    /// With windows, the probability of each class for each hop; `None` without speech.
    pub hops: Vec<Option<Vec<f32>>>,
    /// Duration of the audio that was predicted in seconds, of all channels together.
    pub seconds: f64,
    /// True if the channels have opposite phases and cancel each other in the mix.
    pub is_cancelled: bool,
}

/// The error of a prediction that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the prediction is not needed any more")]
pub struct NotNeeded;

impl Predictor {
    /// Predicts a recording in memory like [`Predictor::predict`] or [`Predictor::segments`]. It
    /// asks `is_needed` from time to time.
    ///
    /// # Errors
    /// [`AudioError`] if the recording cannot be read, is too long or has too many channels,
    /// [`NotNeeded`] if `is_needed` is false, and as [`Predictor::probabilities`].
    pub fn answers(&self, recording: &InMemory, is_needed: impl Fn() -> bool) -> Result<Answers> {
        let source = || Cursor::new(recording.bytes);
        let info = audio::probe_from(source())?;
        let mut longest =
            recording.longest * (FULL_LENGTH_RATE / f64::from(info.sample_rate)).min(1.0);
        let channels: Vec<(Channel, Option<Channel>)> = match recording.channel {
            Some(ChannelChoice::Each) => {
                ensure!(
                    info.channels <= CHANNELS,
                    AudioError::ManyChannels(info.channels, CHANNELS)
                );
                longest /= f64::from(info.channels.max(1));
                ensure!(
                    info.channels < 2 || info.seconds <= longest + SUM_ERROR,
                    AudioError::ChannelsTooLong(longest, info.channels)
                );
                let channels = (1..=info.channels).map(Channel::Number);
                channels.map(|channel| (channel, Some(channel))).collect()
            }
            _ => vec![(recording.channel(self), None)],
        };
        let mut all = Answers {
            answers: Vec::new(),
            hops: Vec::new(),
            seconds: 0.0,
            is_cancelled: false,
        };
        for (channel, shown) in channels {
            ensure!(is_needed(), NotNeeded);
            let name = || recording.name.to_string();
            let Some(windowing) = &recording.windowing else {
                let (prediction, seconds) = self.whole(recording, channel, longest)?;
                all.seconds += seconds;
                all.is_cancelled |= prediction.is_cancelled;
                let answer = Answer::of_recording(name(), shown, prediction);
                all.answers.push(answer);
                continue;
            };
            windowing.validate()?;
            let read = Cell::new(0.0);
            let sound = AudioFile::from_source(source(), channel)?;
            let segments = self.segments_of(sound, windowing, |seconds| {
                read.set(read.get() + seconds);
                ensure!(is_needed(), NotNeeded);
                ensure!(
                    read.get() <= longest + SUM_ERROR,
                    AudioError::TooLong(longest)
                );
                Ok(())
            })?;
            all.seconds += read.get();
            all.is_cancelled |= segments.is_cancelled;
            all.hops.extend(segments.hops);
            let answer = |segment| Answer::of_segment(name(), shown, segment);
            all.answers
                .extend(segments.segments.into_iter().map(answer));
        }
        Ok(all)
    }

    /// The prediction for the whole recording, and its duration in seconds.
    fn whole(
        &self,
        recording: &InMemory,
        channel: Channel,
        longest: f64,
    ) -> Result<(Prediction, f64)> {
        let mut config = self.config().audio.clone();
        config.channel = channel;
        let source = Cursor::new(recording.bytes);
        let extracted = dataset::extract_from(source, &config, &self.config().features, longest)?;
        let mut rows = self.probabilities(&[&extracted.features])?;
        let probabilities = rows.pop().unwrap_or_default();
        let prediction = Prediction {
            file: PathBuf::from(recording.name),
            label: self.label_of(&probabilities).to_string(),
            probabilities,
            has_speech: extracted.has_speech,
            is_cancelled: extracted.is_cancelled,
        };
        Ok((prediction, extracted.seconds))
    }
}
