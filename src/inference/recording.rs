//! Predictions for a long recording, window by window.

use std::path::Path;

use anyhow::{Context, Result};
use rayon::prelude::*;

use super::segments::{self, Run, WindowOutput};
use super::speech::SpeechHops;
use super::{Predictor, WindowPredictor, Windowing, Windows};
use crate::audio::AudioFile;
use crate::audio::stream::StreamResampler;
use crate::features::Features;

/// Maximum number of windows in a batch.
const BATCH: usize = 64;
/// Maximum duration of the windows of a batch together, in seconds.
const BATCH_SECONDS: f64 = 600.0;

/// Consecutive hops of a recording with the same most probable class, or without speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Start in seconds from the start of the recording.
    pub start: f64,
    /// End in seconds: the start of the next segment, or the end of the recording.
    pub end: f64,
    /// The most probable class.
    pub label: String,
    /// False if no hop of the segment has speech. Then the label and the probabilities mean
    /// nothing.
    pub has_speech: bool,
    /// Mean probability of this class over the segment.
    pub probability: f32,
    /// Mean probability of each class, in the order of [`Predictor::classes`].
    pub probabilities: Vec<f32>,
}

/// The prediction for a long recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    /// The segments, which cover the recording without gaps.
    pub segments: Vec<Segment>,
    /// The probability of each class for each hop, in the order of [`Predictor::classes`]; `None`
    /// for a hop without speech.
    pub hops: Vec<Option<Vec<f32>>>,
    /// True if the channels of the recording have opposite phases and cancel each other in the mix.
    pub is_cancelled: bool,
}

impl Predictor {
    /// Predicts a recording window by window, and joins neighbouring hops with the same class. The
    /// segments cover the recording without gaps; hops in which the gate of `emovox listen` stays
    /// closed have no speech, and are segments of their own. `advance` is called with the number of
    /// seconds that were read since the last call.
    ///
    /// The log-probabilities of a hop are the mean over the windows that contain its centre, and
    /// then, with smoothing, over its neighbours with speech: this is the geometric mean of the
    /// probabilities.
    /// Only a few windows of the recording are in memory at once.
    ///
    /// # Errors
    /// If the windowing is invalid, if the recording cannot be read, or if a prediction is not
    /// finite.
    pub fn segments(
        &self,
        file: &Path,
        windowing: &Windowing,
        mut advance: impl FnMut(f64),
    ) -> Result<Segments> {
        windowing.validate()?;
        let sound = AudioFile::open(file, self.config().audio.channel)?;
        self.segments_of(sound, windowing, |seconds| {
            advance(seconds);
            Ok(())
        })
    }

    /// Predicts an open recording like [`Predictor::segments`].
    ///
    /// # Errors
    /// As [`Predictor::segments`], and if `advance` fails.
    pub(super) fn segments_of(
        &self,
        mut sound: AudioFile,
        windowing: &Windowing,
        mut advance: impl FnMut(f64) -> Result<()>,
    ) -> Result<Segments> {
        let native = sound.sample_rate();
        let window_predictor = WindowPredictor::new(self, native)?;
        let rate = window_predictor.sample_rate();
        let mut resampler = StreamResampler::new(native, rate)?;
        let hop = windowing.hop_samples(rate);
        let mut windows = Windows::new(windowing.window_samples(rate), hop);
        let mut batch = Batch {
            window_predictor: &window_predictor,
            size: ((BATCH_SECONDS / windowing.window) as usize).clamp(1, BATCH),
            waiting: Vec::new(),
            predicted: Vec::new(),
        };

        let mut speech = SpeechHops::new(rate, hop);
        let (mut read, mut samples) = (Vec::new(), Vec::new());
        while sound.read(&mut read)? > 0 {
            resampler.push(&read, &mut samples)?;
            speech.push(&samples);
            windows.push(&samples, |start, window| batch.add(start, window))?;
            advance(read.len() as f64 / f64::from(native))?;
            read.clear();
            samples.clear();
        }
        resampler.finish(&mut samples)?;
        speech.push(&samples);
        windows.push(&samples, |start, window| batch.add(start, window))?;
        let total = windows.finish(|start, window| batch.add(start, window))?;
        batch.predict()?;

        let rows = segments::hops(&batch.predicted, total, hop);
        let speech = speech.finish(rows.len());
        let rows = segments::smooth(&rows, &speech, windowing.smoothed_hops());
        let seconds = |hops: usize| (hops as u64 * hop).min(total) as f64 / f64::from(rate);
        let segment = |run: Run| {
            Ok(Segment {
                start: seconds(run.first),
                end: seconds(run.end),
                label: self
                    .classes()
                    .get(run.class)
                    .context("the model has no classes")?
                    .clone(),
                has_speech: run.has_speech,
                probability: run.probabilities[run.class],
                probabilities: run.probabilities,
            })
        };
        let merged = segments::merge(&rows, &speech).into_iter().map(segment);
        let hops = rows.iter().zip(speech);
        let hops = hops.map(|(row, has_speech)| has_speech.then(|| segments::normalised(row)));
        Ok(Segments {
            segments: merged.collect::<Result<_>>()?,
            hops: hops.collect(),
            is_cancelled: sound.is_cancelled(),
        })
    }
}

/// Windows that wait for a prediction, and the predicted windows.
struct Batch<'a> {
    window_predictor: &'a WindowPredictor<'a>,
    size: usize,
    waiting: Vec<(u64, Vec<f32>)>,
    predicted: Vec<WindowOutput>,
}

impl Batch<'_> {
    fn add(&mut self, start: u64, window: &[f32]) -> Result<()> {
        self.waiting.push((start, window.to_vec()));
        if self.waiting.len() == self.size {
            self.predict()?;
        }
        Ok(())
    }

    fn predict(&mut self) -> Result<()> {
        let extractor = self.window_predictor.window_features();
        let features: Vec<Features> = self
            .waiting
            .par_iter()
            .map(|(_, window)| extractor.of(window))
            .collect();
        let features: Vec<&Features> = features.iter().collect();
        let rows = self.window_predictor.predictor().probabilities(&features)?;
        for ((start, window), probabilities) in self.waiting.drain(..).zip(rows) {
            self.predicted.push(WindowOutput {
                start,
                end: start + window.len() as u64,
                probabilities,
            });
        }
        Ok(())
    }
}
