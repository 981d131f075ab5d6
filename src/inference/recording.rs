//! A long recording, heard window by window.

use std::path::Path;

use anyhow::{Context, Result};
use rayon::prelude::*;

use super::segments::{self, HeardWindow, Run};
use super::{Hearing, Predictor, Windowing, Windows};
use crate::audio::stream::StreamResampler;
use crate::audio::{AudioError, stream_wav};
use crate::features::Features;

/// Windows that are heard at once, and the seconds that they last together at most.
const BATCH: usize = 64;
const BATCH_SECONDS: f64 = 600.0;

/// A part of a recording in which one class is the most probable.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// In seconds from the start of the recording.
    pub start: f64,
    /// Where the next one starts, or the recording ends.
    pub end: f64,
    /// The most probable class.
    pub label: String,
    /// Its probability, the mean over the segment.
    pub probability: f32,
    /// The same for each class, in the order of [`Predictor::classes`].
    pub probabilities: Vec<f32>,
}

impl Predictor {
    /// Hears a recording window by window, and joins neighbours that sound the same. The segments tile
    /// the recording. `advance` is told how many seconds of it have been read since the last call.
    ///
    /// Each hop's log-probabilities are the mean over the windows that hold its middle, and then, if
    /// asked to, over its neighbours (the geometric mean of what they say). No more than some windows
    /// of the recording are in memory at once.
    pub fn segments(
        &self,
        file: &Path,
        windowing: &Windowing,
        mut advance: impl FnMut(f64),
    ) -> Result<Vec<Segment>> {
        windowing.validate()?;
        let mut sound = stream_wav(file)?;
        let native = sound.sample_rate();
        let hearing = Hearing::new(self, native)?;
        let rate = hearing.sample_rate();
        let mut resampler = StreamResampler::new(native, rate)?;
        let hop = windowing.hop_samples(rate);
        let mut windows = Windows::new(windowing.window_samples(rate), hop);
        let mut batch = Batch {
            hearing: &hearing,
            size: ((BATCH_SECONDS / windowing.window) as usize).clamp(1, BATCH),
            waiting: Vec::new(),
            heard: Vec::new(),
        };

        let (mut read, mut samples) = (Vec::new(), Vec::new());
        while sound.read(&mut read)? > 0 {
            resampler.push(&read, &mut samples)?;
            windows.push(&samples, |start, window| batch.add(start, window))?;
            advance(read.len() as f64 / f64::from(native));
            read.clear();
            samples.clear();
        }
        if sound.missing() > 0 {
            return Err(AudioError::Io(std::io::ErrorKind::UnexpectedEof.into()).into());
        }
        resampler.finish(&mut samples)?;
        windows.push(&samples, |start, window| batch.add(start, window))?;
        let total = windows.finish(|start, window| batch.add(start, window))?;
        batch.hear()?;

        let rows = segments::hops(&batch.heard, total, hop);
        let rows = segments::smooth(&rows, windowing.smoothed_hops());
        let seconds = |hops: usize| (hops as u64 * hop).min(total) as f64 / f64::from(rate);
        let segment = |run: Run| {
            Ok(Segment {
                start: seconds(run.first),
                end: seconds(run.end),
                label: self
                    .classes()
                    .get(run.class)
                    .context("the model knows no classes")?
                    .clone(),
                probability: run.probabilities[run.class],
                probabilities: run.probabilities,
            })
        };
        segments::merge(&rows).into_iter().map(segment).collect()
    }
}

/// Windows on their way to the model.
struct Batch<'a> {
    hearing: &'a Hearing<'a>,
    size: usize,
    waiting: Vec<(u64, Vec<f32>)>,
    heard: Vec<HeardWindow>,
}

impl Batch<'_> {
    fn add(&mut self, start: u64, window: &[f32]) -> Result<()> {
        self.waiting.push((start, window.to_vec()));
        if self.waiting.len() == self.size {
            self.hear()?;
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<()> {
        let ears = self.hearing.ears();
        let features: Vec<Features> = self
            .waiting
            .par_iter()
            .map(|(_, window)| ears.of(window))
            .collect();
        let features: Vec<&Features> = features.iter().collect();
        let rows = self.hearing.predictor().probabilities(&features)?;
        for ((start, window), probabilities) in self.waiting.drain(..).zip(rows) {
            self.heard.push(HeardWindow {
                start,
                end: start + window.len() as u64,
                probabilities,
            });
        }
        Ok(())
    }
}
