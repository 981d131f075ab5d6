//! From the samples of a window to probabilities: as from a recording that holds just these samples.

use anyhow::Result;

use super::Predictor;
use crate::audio::{SampleRate, Waveform, trim_silence};
use crate::features::{Extractor, Features};

/// Hears windows of a longer recording or of a stream.
///
/// A window goes the way of a recording: its silence is trimmed, if the run trims, and its features
/// are those of its own samples. So whatever depends on the utterance (the floor below its loudest
/// band, its median pitch, its loudest frame, deltas at its edges) is taken from the window, and what
/// is said of it is what `emovox predict` says of a file with these samples.
pub struct Hearing<'a> {
    predictor: &'a Predictor,
    ears: WindowFeatures,
}

/// The half of [`Hearing`] that knows nothing of libtorch, and that threads may share.
pub(super) struct WindowFeatures {
    extractor: Extractor,
    trim_db: Option<f32>,
}

impl WindowFeatures {
    pub(super) fn of(&self, window: &[f32]) -> Features {
        let mut waveform = Waveform {
            samples: window.to_vec(),
            sample_rate: self.extractor.sample_rate(),
        };
        if let Some(top_db) = self.trim_db {
            waveform = trim_silence(&waveform, top_db);
        }
        self.extractor.extract(&waveform)
    }
}

impl<'a> Hearing<'a> {
    /// For sound that comes at `native` hertz, before it is brought to the run's rate.
    pub fn new(predictor: &'a Predictor, native: u32) -> Result<Hearing<'a>> {
        let config = predictor.config();
        let rate = match config.audio.sample_rate {
            SampleRate::Hz(rate) => rate,
            SampleRate::Native => native,
        };
        Ok(Hearing {
            predictor,
            ears: WindowFeatures {
                extractor: Extractor::new(&config.features, rate)?,
                trim_db: config.audio.trim_db,
            },
        })
    }

    /// The rate that windows must have, in hertz.
    pub fn sample_rate(&self) -> u32 {
        self.ears.extractor.sample_rate()
    }

    /// The run that hears.
    pub fn predictor(&self) -> &'a Predictor {
        self.predictor
    }

    /// The features of a window.
    pub fn features(&self, window: &[f32]) -> Features {
        self.ears.of(window)
    }

    pub(super) fn ears(&self) -> &WindowFeatures {
        &self.ears
    }

    /// What is heard in a window: a probability for each class.
    pub fn probabilities(&self, window: &[f32]) -> Result<Vec<f32>> {
        let mut rows = self.predictor.probabilities(&[&self.features(window)])?;
        Ok(rows.pop().unwrap_or_default())
    }
}
