//! Prediction for windows of samples, each as a separate recording.

use anyhow::Result;

use super::Predictor;
use crate::audio::{SampleRate, Waveform, trim_silence};
use crate::features::{Extractor, Features};

/// Predictor for windows of a longer recording or of a stream.
///
/// A window is processed like a recording: its silence is trimmed, if the run trims, and its
/// features are computed from its samples only. Values that depend on the utterance (the floor
/// below its loudest band, its median pitch, its loudest frame, deltas at its edges) are those of
/// the window, and the prediction equals that of `emovox predict` for a file with these samples.
pub struct WindowPredictor<'a> {
    predictor: &'a Predictor,
    features: WindowFeatures,
}

/// Feature extraction of [`WindowPredictor`]. It does not use libtorch, and threads can share it.
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

impl<'a> WindowPredictor<'a> {
    /// A predictor for audio that has `native` hertz before resampling. The windows must have
    /// [`WindowPredictor::sample_rate`].
    ///
    /// # Errors
    /// If the feature settings of the run do not fit the sample rate.
    pub fn new(predictor: &'a Predictor, native: u32) -> Result<WindowPredictor<'a>> {
        let config = predictor.config();
        let rate = match config.audio.sample_rate {
            SampleRate::Hz(rate) => rate,
            SampleRate::Native => native,
        };
        Ok(WindowPredictor {
            predictor,
            features: WindowFeatures {
                extractor: Extractor::new(&config.features, rate)?,
                trim_db: config.audio.trim_db,
            },
        })
    }

    /// Required sample rate of windows, in hertz.
    pub fn sample_rate(&self) -> u32 {
        self.features.extractor.sample_rate()
    }

    /// The predictor of the run.
    pub fn predictor(&self) -> &'a Predictor {
        self.predictor
    }

    /// The features of a window.
    pub fn features(&self, window: &[f32]) -> Features {
        self.features.of(window)
    }

    pub(super) fn window_features(&self) -> &WindowFeatures {
        &self.features
    }

    /// The probabilities of the classes for a window, in the order of [`Predictor::classes`].
    ///
    /// # Errors
    /// If the prediction is not finite, or if the memory does not suffice.
    pub fn probabilities(&self, window: &[f32]) -> Result<Vec<f32>> {
        let mut rows = self.predictor.probabilities(&[&self.features(window)])?;
        Ok(rows.pop().unwrap_or_default())
    }
}
