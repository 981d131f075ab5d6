//! What a run hears in a recording, as a whole and over time.

use anyhow::{Result, ensure};

use emovox::audio::Waveform;
use emovox::features::Features;
use emovox::inference::{Hearing, Predictor};
use emovox::inspection::Recording;
use emovox::report::{Heard, HeardWindow};

/// A longer recording has windows further apart: more nobody can see.
const MOST_WINDOWS: usize = 1000;

pub(super) fn heard(
    predictor: &Predictor,
    recording: &Recording,
    window: f64,
    hop: f64,
) -> Result<Heard> {
    ensure!(
        window > 0.0 && hop > 0.0,
        "--window and --hop must be more than 0 seconds"
    );
    let Waveform {
        samples,
        sample_rate,
    } = &recording.heard;
    let rate = f64::from(*sample_rate);
    let length = ((window * rate) as usize).clamp(1, samples.len());
    let least_hop = (samples.len() - length) / MOST_WINDOWS;
    let hop = ((hop * rate) as usize).max(least_hop).max(1);
    let starts: Vec<usize> = (0..=samples.len() - length).step_by(hop).collect();
    // As `predict` hears windows, so that pictures and tables agree.
    let hearing = Hearing::new(predictor, *sample_rate)?;
    let features = |&start: &usize| hearing.features(&samples[start..start + length]);
    let features: Vec<Features> = starts.iter().map(features).collect();
    let all = predictor.probabilities(&features.iter().collect::<Vec<_>>())?;
    let window = |(start, probabilities): (&usize, Vec<f32>)| HeardWindow {
        middle: (*start as f64 + length as f64 / 2.0) / rate,
        probabilities,
    };
    let whole = predictor.probabilities(&[&recording.features])?;
    Ok(Heard {
        classes: predictor.classes().to_vec(),
        whole: whole.into_iter().next().unwrap_or_default(),
        windows: starts.iter().zip(all).map(window).collect(),
        window: length as f64 / rate,
    })
}

/// The place of the highest probability.
pub(super) fn most_probable(row: &[f32]) -> usize {
    (0..row.len())
        .rev()
        .max_by(|&a, &b| row[a].total_cmp(&row[b]))
        .unwrap_or(0)
}
