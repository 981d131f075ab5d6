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
    /// Longest accepted duration, in seconds.
    pub longest: f64,
}

/// The predictions for a recording in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// One answer, or one for each segment; with several channels, those of each channel in turn.
    pub answers: Vec<Answer>,
    /// With windows, the probability of each class for each hop.
    pub hops: Vec<Vec<f32>>,
    /// Duration of the audio that was predicted in seconds, of all channels together.
    pub seconds: f64,
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
    /// [`AudioError`] if the recording cannot be read or is too long, [`NotNeeded`] if `is_needed`
    /// is false, and as [`Predictor::probabilities`].
    pub fn answers(&self, recording: &InMemory, is_needed: impl Fn() -> bool) -> Result<Answers> {
        let source = || Cursor::new(recording.bytes);
        let channels: Vec<(Channel, Option<Channel>)> = match recording.channel {
            None => vec![(self.config().audio.channel, None)],
            Some(ChannelChoice::One(channel)) => vec![(channel, None)],
            Some(ChannelChoice::Each) => {
                let count = audio::probe_from(source())?.channels;
                let channels = (1..=count).map(Channel::Number);
                channels.map(|channel| (channel, Some(channel))).collect()
            }
        };
        let mut all = Answers {
            answers: Vec::new(),
            hops: Vec::new(),
            seconds: 0.0,
        };
        for (channel, shown) in channels {
            ensure!(is_needed(), NotNeeded);
            let name = || recording.name.to_string();
            let Some(windowing) = &recording.windowing else {
                let (prediction, seconds) = self.whole(recording, channel)?;
                all.seconds += seconds;
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
                    read.get() <= recording.longest,
                    AudioError::TooLong(recording.longest)
                );
                Ok(())
            })?;
            all.seconds += read.get();
            all.hops.extend(segments.hops);
            let has_speech = segments.has_speech;
            let answer = |segment| Answer::of_segment(name(), shown, segment, has_speech);
            all.answers
                .extend(segments.segments.into_iter().map(answer));
        }
        Ok(all)
    }

    /// The prediction for the whole recording, and its duration in seconds.
    fn whole(&self, recording: &InMemory, channel: Channel) -> Result<(Prediction, f64)> {
        let mut config = self.config().audio.clone();
        config.channel = channel;
        let source = Cursor::new(recording.bytes);
        let extracted =
            dataset::extract_from(source, &config, &self.config().features, recording.longest)?;
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
