//! Streaming prediction: one prediction for each hop of a stream.

use anyhow::{Context, Result};

use super::{Predictor, WindowPredictor, Windowing};
use crate::audio::stream::{Ring, StreamResampler, VoiceActivityConfig, VoiceActivityGate};
use crate::evaluation::argmax;

/// Difference of the lengths of padded clips, in frames; libtorch is initialised once for each
/// length.
const LENGTH_STEP: usize = 30;
/// Maximum length in seconds up to which all window lengths are initialised; of longer windows,
/// only the full length is.
const PREPARED_SECONDS: f64 = 5.0;

/// Output for one hop of a stream. Times are in seconds from the start of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamPrediction {
    /// End of the hop.
    pub time: f64,
    /// RMS level of the hop, in decibels of full scale; at least −100.
    pub level: f32,
    /// The prediction; `None` if the gate found no speech.
    pub speech: Option<StreamSpeech>,
}

/// Prediction for the speech in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSpeech {
    /// Start of the window.
    pub start: f64,
    /// End of the window: the end of the hop, or the end of the speech.
    pub end: f64,
    /// The most probable class.
    pub label: String,
    /// The probability of this class.
    pub probability: f32,
    /// The probability of each class, in the order of [`Predictor::classes`].
    pub probabilities: Vec<f32>,
}

/// Predictor for a stream.
///
/// At the end of every hop, it predicts the latest segment of speech that extends into the hop,
/// limited to the length of a window. The output depends only on the samples, not on their division
/// into pieces. The prediction for a window equals that of [`WindowPredictor`] for a recording with the
/// same samples.
pub struct StreamingPredictor<'a> {
    window_predictor: WindowPredictor<'a>,
    resampler: StreamResampler,
    gate: VoiceActivityGate,
    ring: Ring,
    window: u64,
    hop: u64,
    /// Index of the first sample of the current hop.
    hop_start: u64,
    /// Energy of the current hop so far.
    energy: f64,
    resampled: Vec<f32>,
}

impl<'a> StreamingPredictor<'a> {
    /// A predictor for a stream of `native` hertz. It ignores the smoothing of `windowing`, which
    /// needs the following hops and is only for recordings.
    ///
    /// # Errors
    /// If the windowing is invalid, or if the sample rate is not supported.
    pub fn new(
        predictor: &'a Predictor,
        native: u32,
        windowing: &Windowing,
        gate: &VoiceActivityConfig,
    ) -> Result<StreamingPredictor<'a>> {
        windowing.validate()?;
        let window_predictor = WindowPredictor::new(predictor, native)?;
        let rate = window_predictor.sample_rate();
        let (window, hop) = (windowing.window_samples(rate), windowing.hop_samples(rate));
        Ok(StreamingPredictor {
            resampler: StreamResampler::new(native, rate)?,
            gate: VoiceActivityGate::new(gate, rate),
            // The speech can end anywhere in the hop.
            ring: Ring::new((window + hop) as usize),
            window,
            hop,
            hop_start: 0,
            energy: 0.0,
            resampled: Vec::new(),
            window_predictor,
        })
    }

    /// Processes the next samples, at the sample rate of the stream. Calls `take` with the output
    /// for each completed hop.
    ///
    /// # Errors
    /// If the prediction or `take` fails.
    pub fn push(
        &mut self,
        samples: &[f32],
        mut take: impl FnMut(StreamPrediction) -> Result<()>,
    ) -> Result<()> {
        let mut resampled = std::mem::take(&mut self.resampled);
        resampled.clear();
        self.resampler.push(samples, &mut resampled)?;
        self.process(&resampled, &mut take)?;
        self.resampled = resampled;
        Ok(())
    }

    /// Ends the stream. Calls `take` with the output for the last hop, if it is incomplete.
    ///
    /// # Errors
    /// If the prediction or `take` fails.
    pub fn finish(mut self, mut take: impl FnMut(StreamPrediction) -> Result<()>) -> Result<()> {
        let resampler = std::mem::replace(
            &mut self.resampler,
            StreamResampler::new(
                self.window_predictor.sample_rate(),
                self.window_predictor.sample_rate(),
            )?,
        );
        let mut rest = Vec::new();
        resampler.finish(&mut rest)?;
        self.process(&rest, &mut take)?;
        if self.ring.total() > self.hop_start {
            take(self.predict_hop()?)?;
        }
        Ok(())
    }

    /// Duration of the processed part of the stream, in seconds.
    pub fn seconds(&self) -> f64 {
        self.in_seconds(self.ring.total())
    }

    fn process(
        &mut self,
        mut samples: &[f32],
        take: &mut impl FnMut(StreamPrediction) -> Result<()>,
    ) -> Result<()> {
        while !samples.is_empty() {
            let missing = self.hop_start + self.hop - self.ring.total();
            let (now, later) = samples.split_at(samples.len().min(missing as usize));
            self.ring.push(now);
            self.gate.push(now);
            self.energy += now
                .iter()
                .map(|&x| f64::from(x) * f64::from(x))
                .sum::<f64>();
            if now.len() as u64 == missing {
                take(self.predict_hop()?)?;
                (self.hop_start, self.energy) = (self.ring.total(), 0.0);
            }
            samples = later;
        }
        Ok(())
    }

    /// The output for the hop that ends with the latest sample.
    fn predict_hop(&self) -> Result<StreamPrediction> {
        let now = self.ring.total();
        let power = self.energy / (now - self.hop_start).max(1) as f64;
        let stretch = self
            .gate
            .latest()
            .map(|stretch| (stretch.start, stretch.end.min(now)))
            .filter(|&(_, end)| end > self.hop_start);
        let speech = match stretch {
            Some((start, end)) => {
                let start = start.max(end.saturating_sub(self.window));
                let probabilities = self
                    .window_predictor
                    .probabilities(self.ring.slice(start, end))
                    .with_context(|| format!("after {:.1} s", self.in_seconds(now)))?;
                let class = argmax(&probabilities);
                let classes = self.window_predictor.predictor().classes();
                Some(StreamSpeech {
                    start: self.in_seconds(start),
                    end: self.in_seconds(end),
                    label: classes.get(class).cloned().unwrap_or_default(),
                    probability: probabilities.get(class).copied().unwrap_or_default(),
                    probabilities,
                })
            }
            None => None,
        };
        Ok(StreamPrediction {
            time: self.in_seconds(now),
            level: (10.0 * power.log10()).max(-100.0) as f32,
            speech,
        })
    }

    /// Predicts windows of all lengths before the stream starts, because the first prediction for
    /// each length takes libtorch longer.
    ///
    /// # Errors
    /// If a prediction fails.
    pub fn prepare(&self) -> Result<()> {
        let frame = self
            .window_predictor
            .predictor()
            .config()
            .features
            .hop_length;
        let rate = f64::from(self.window_predictor.sample_rate());
        let longest = self.window as usize;
        let prepared = longest.min((PREPARED_SECONDS * rate) as usize);
        for length in (1..=prepared).step_by(LENGTH_STEP * frame).chain([longest]) {
            self.window_predictor.probabilities(&vec![0.0; length])?;
        }
        Ok(())
    }

    fn in_seconds(&self, samples: u64) -> f64 {
        samples as f64 / f64::from(self.window_predictor.sample_rate())
    }
}
