//! A live ear: a stream goes in, and every hop comes out with what was heard in it.

use anyhow::{Context, Result};

use super::segments::highest;
use super::{Hearing, Predictor, Windowing};
use crate::audio::stream::{Gate, GateConfig, Ring, StreamResampler};

/// Frames by which the lengths of padded clips differ; for each of them libtorch prepares itself once.
const LENGTH_STEP: usize = 30;
/// Longer windows than this are prepared for at full length only.
const PREPARED_SECONDS: f64 = 5.0;

/// What was heard in one hop of a stream. Times are in seconds from its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Where the hop ends.
    pub time: f64,
    /// Its loudness, in decibels below full scale; −100 at least.
    pub level: f32,
    /// What was said in it; `None` where the gate found no speech.
    pub speech: Option<Speech>,
}

/// Speech, and how it sounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Speech {
    /// Where the window starts that was heard.
    pub start: f64,
    /// Where it ends: with the hop, or with the speech.
    pub end: f64,
    /// The most probable class.
    pub label: String,
    /// Its probability.
    pub probability: f32,
    /// The probability of each class, in the order of [`Predictor::classes`].
    pub probabilities: Vec<f32>,
}

/// Listens to a stream.
///
/// At the end of every hop the latest stretch of speech that reaches into it is heard, as far as a
/// window reaches back. What comes out depends on the samples alone and not on how they arrive, and a
/// window is answered as [`Hearing`] answers a recording of the same samples.
pub struct Ear<'a> {
    hearing: Hearing<'a>,
    resampler: StreamResampler,
    gate: Gate,
    ring: Ring,
    window: u64,
    hop: u64,
    /// Where the hop began that is not over yet, and the energy in it.
    hop_start: u64,
    energy: f64,
    resampled: Vec<f32>,
}

impl<'a> Ear<'a> {
    /// Listens to sound that comes at `native` hertz. The smoothing of `windowing` is for recordings:
    /// it would need what is still to come.
    pub fn new(
        predictor: &'a Predictor,
        native: u32,
        windowing: &Windowing,
        gate: &GateConfig,
    ) -> Result<Ear<'a>> {
        windowing.validate()?;
        let hearing = Hearing::new(predictor, native)?;
        let rate = hearing.sample_rate();
        let (window, hop) = (windowing.window_samples(rate), windowing.hop_samples(rate));
        let ear = Ear {
            resampler: StreamResampler::new(native, rate)?,
            gate: Gate::new(gate, rate),
            // Speech may have ended anywhere in the hop.
            ring: Ring::new((window + hop) as usize),
            window,
            hop,
            hop_start: 0,
            energy: 0.0,
            resampled: Vec::new(),
            hearing,
        };
        ear.prepare()?;
        Ok(ear)
    }

    /// Takes the next samples, at the stream's own rate, and hands out what was heard in each hop that
    /// they complete.
    pub fn hear(
        &mut self,
        samples: &[f32],
        mut take: impl FnMut(Heard) -> Result<()>,
    ) -> Result<()> {
        let mut resampled = std::mem::take(&mut self.resampled);
        resampled.clear();
        self.resampler.push(samples, &mut resampled)?;
        self.listen(&resampled, &mut take)?;
        self.resampled = resampled;
        Ok(())
    }

    /// The stream is over: hands out what was heard in what is left of it.
    pub fn finish(mut self, mut take: impl FnMut(Heard) -> Result<()>) -> Result<()> {
        let resampler = std::mem::replace(
            &mut self.resampler,
            StreamResampler::new(self.hearing.sample_rate(), self.hearing.sample_rate())?,
        );
        let mut rest = Vec::new();
        resampler.finish(&mut rest)?;
        self.listen(&rest, &mut take)?;
        if self.ring.total() > self.hop_start {
            take(self.heard()?)?;
        }
        Ok(())
    }

    /// Seconds of the stream that were heard so far.
    pub fn seconds(&self) -> f64 {
        self.in_seconds(self.ring.total())
    }

    fn listen(
        &mut self,
        mut samples: &[f32],
        take: &mut impl FnMut(Heard) -> Result<()>,
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
                take(self.heard()?)?;
                (self.hop_start, self.energy) = (self.ring.total(), 0.0);
            }
            samples = later;
        }
        Ok(())
    }

    /// What was heard in the hop that ends here.
    fn heard(&self) -> Result<Heard> {
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
                    .hearing
                    .probabilities(self.ring.slice(start, end))
                    .with_context(|| format!("after {:.1} s", self.in_seconds(now)))?;
                let class = highest(&probabilities);
                let classes = self.hearing.predictor().classes();
                Some(Speech {
                    start: self.in_seconds(start),
                    end: self.in_seconds(end),
                    label: classes.get(class).cloned().unwrap_or_default(),
                    probability: probabilities.get(class).copied().unwrap_or_default(),
                    probabilities,
                })
            }
            None => None,
        };
        Ok(Heard {
            time: self.in_seconds(now),
            level: (10.0 * power.log10()).max(-100.0) as f32,
            speech,
        })
    }

    /// The first window of each length takes libtorch longer, so they come before the sound does.
    fn prepare(&self) -> Result<()> {
        let frame = self.hearing.predictor().config().features.hop_length;
        let rate = f64::from(self.hearing.sample_rate());
        let longest = self.window as usize;
        let prepared = longest.min((PREPARED_SECONDS * rate) as usize);
        for length in (1..=prepared).step_by(LENGTH_STEP * frame).chain([longest]) {
            self.hearing.probabilities(&vec![0.0; length])?;
        }
        Ok(())
    }

    fn in_seconds(&self, samples: u64) -> f64 {
        samples as f64 / f64::from(self.hearing.sample_rate())
    }
}
