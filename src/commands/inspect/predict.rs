//! Predictions of a run for a recording, as a whole and over time.

use anyhow::Result;

use emovox::audio::Waveform;
use emovox::features::Features;
use emovox::inference::{Predictor, WindowPredictor, Windowing};
use emovox::inspection::Recording;
use emovox::report::{RecordingPredictions, WindowPrediction};

/// Maximum number of windows in a picture. A longer recording has a longer hop.
const MAX_WINDOWS: usize = 1000;

/// Predicts the whole recording, and windows of `window` seconds every `hop` seconds.
///
/// # Errors
/// If the windows are invalid, see [`Windowing::validate`], or if the prediction fails.
pub(super) fn predictions(
    predictor: &Predictor,
    recording: &Recording,
    window: f64,
    hop: f64,
) -> Result<RecordingPredictions> {
    Windowing::new(window, Some(hop), 0.0).validate()?;
    let Waveform {
        samples,
        sample_rate,
    } = &recording.trimmed;
    let rate = f64::from(*sample_rate);
    let length = ((window * rate) as usize).clamp(1, samples.len());
    let min_hop = (samples.len() - length) / MAX_WINDOWS;
    let hop = ((hop * rate) as usize).max(min_hop).max(1);
    let starts: Vec<usize> = (0..=samples.len() - length).step_by(hop).collect();
    // The same windows as in `predict`, so that pictures and tables agree.
    let window_predictor = WindowPredictor::new(predictor, *sample_rate)?;
    let features = |&start: &usize| window_predictor.features(&samples[start..start + length]);
    let features: Vec<Features> = starts.iter().map(features).collect();
    let all = predictor.probabilities(&features.iter().collect::<Vec<_>>())?;
    let window = |(start, probabilities): (&usize, Vec<f32>)| WindowPrediction {
        middle: (*start as f64 + length as f64 / 2.0) / rate,
        probabilities,
    };
    let whole = predictor.probabilities(&[&recording.features])?;
    Ok(RecordingPredictions {
        classes: predictor.classes().to_vec(),
        whole: whole.into_iter().next().unwrap_or_default(),
        windows: starts.iter().zip(all).map(window).collect(),
        window: length as f64 / rate,
    })
}
