//! `POST /v1/predict` and `POST /v1/predict/batch`: recordings → JSON, as `emovox predict --json`.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Result as AnyResult;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json as object};

use super::limits::check_windowing;
use super::pool::Lane;
use super::upload::{Upload, UploadedFile};
use super::{App, Failure, json};
use crate::audio::{self, ChannelChoice};
use crate::inference::{Answers, InMemory, Predictor, Windowing};

/// Largest number of peaks in an answer.
const PEAKS: usize = 4000;

/// The query of a prediction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PredictQuery {
    window: Option<f64>,
    hop: Option<f64>,
    smooth: Option<f64>,
    channel: Option<String>,
    name: Option<String>,
    peaks: Option<usize>,
}

/// The kind of a prediction.
#[derive(Debug, Clone, Copy)]
struct Options {
    windowing: Option<Windowing>,
    channel: Option<ChannelChoice>,
    peaks: Option<usize>,
    /// Longest accepted recording, in seconds.
    longest: f64,
}

impl PredictQuery {
    fn options(&self, app: &App) -> Result<Options, Failure> {
        if self.window.is_none() && (self.hop.is_some() || self.smooth.is_some()) {
            return Err(Failure::bad_request(
                "hop and smooth are settings of windows; give window too",
            ));
        }
        let smooth = self.smooth.unwrap_or(0.0);
        let windowing = self
            .window
            .map(|window| Windowing::new(window, self.hop, smooth));
        if let Some(windowing) = &windowing {
            check_windowing(windowing)?;
        }
        let channel = self.channel.as_deref().map(str::parse).transpose();
        let channel = channel.map_err(Failure::bad_request)?;
        if self.peaks.is_some() && (self.window.is_none() || channel == Some(ChannelChoice::Each)) {
            return Err(Failure::bad_request("peaks need window, and one channel"));
        }
        if self
            .peaks
            .is_some_and(|peaks| !(1..=PEAKS).contains(&peaks))
        {
            return Err(Failure::bad_request(format!(
                "peaks is a number from 1 to {PEAKS}"
            )));
        }
        Ok(Options {
            windowing,
            channel,
            peaks: self.peaks,
            longest: app.limits.seconds,
        })
    }
}

/// `POST /v1/predict`
pub(super) async fn predict(
    State(app): State<Arc<App>>,
    query: Result<Query<PredictQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let Query(mut query) = query?;
    let options = query.options(&app)?;
    let upload = Upload::read(&app, request, query.name.take()).await?;
    let _permit = app.admit()?;
    let more_than_one =
        || Failure::bad_request("the form has several files; send them to /v1/predict/batch");
    let count = upload.files.len();
    let upload = (count == 1).then_some(upload).ok_or_else(more_than_one)?;
    let (upload, values) = on_worker(&app, upload, 0, options).await?;
    drop(upload);
    Ok(json(values?.to_string()))
}

/// `POST /v1/predict/batch`: a file that cannot be predicted has an error in its place.
pub(super) async fn batch(
    State(app): State<Arc<App>>,
    query: Result<Query<PredictQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let Query(query) = query?;
    if query.name.is_some() || query.peaks.is_some() {
        return Err(Failure::bad_request(
            "name and peaks are for a single recording",
        ));
    }
    let options = query.options(&app)?;
    let mut upload = Upload::read(&app, request, None).await?;
    let _permit = app.admit()?;
    let mut entries = Vec::new();
    for index in 0..upload.files.len() {
        let name = upload.files[index].name.clone();
        let (back, predicted) = on_worker(&app, upload, index, options).await?;
        upload = back;
        entries.push(match predicted {
            Ok(predictions) => object!({ "file": name, "predictions": predictions }),
            Err(failure) if failure.is_internal() => return Err(failure),
            Err(failure) => object!({ "file": name, "error": failure.object() }),
        });
    }
    Ok(json(Value::Array(entries).to_string()))
}

/// Predicts one file of an upload on a worker. The upload comes back, with the result.
async fn on_worker(
    app: &Arc<App>,
    upload: Upload,
    index: usize,
    options: Options,
) -> Result<(Upload, Result<Value, Failure>), Failure> {
    let worker = app.clone();
    let job = move |is_needed: &dyn Fn() -> bool| {
        let predicted = answer(&worker, &upload.files[index], &options, is_needed);
        let predicted = predicted.map_err(|error| worker.failure(&error));
        (upload, predicted)
    };
    app.pool.run(Lane::Request, job).await
}

/// The JSON value for a recording.
fn answer(
    app: &App,
    file: &UploadedFile,
    options: &Options,
    is_needed: &dyn Fn() -> bool,
) -> AnyResult<Value> {
    let predictor: &Predictor = app.predictor;
    let mut recording = InMemory {
        name: &file.name,
        bytes: &file.bytes,
        windowing: options.windowing,
        channel: options.channel,
        longest: options.longest,
    };
    let predicted = predictor.answers(&recording, is_needed)?;
    let microseconds = (1e6 * predicted.seconds) as u64;
    app.metrics
        .recordings
        .fetch_add(microseconds, Ordering::Relaxed);
    let objects = |predicted: &Answers| -> Vec<Value> {
        let answers = predicted.answers.iter();
        answers
            .map(|answer| answer.object(predictor.classes()))
            .collect()
    };
    let Some(count) = options.peaks else {
        return Ok(Value::Array(objects(&predicted)));
    };
    recording.windowing = None;
    let whole = predictor.answers(&recording, is_needed)?;
    let channel = recording.channel(predictor);
    // The prediction has checked that the recording is not too long for the memory.
    let source = Cursor::new(file.bytes.as_slice());
    let sound = audio::read_channel_from(source, channel)?.waveform;
    Ok(object!({
        "classes": predictor.classes(),
        "predictions": objects(&predicted),
        "hops": predicted.hops,
        "whole": objects(&whole).pop(),
        "cancelled": whole.is_cancelled,
        "seconds": sound.seconds(),
        "peaks": peaks(&sound.samples, count),
    }))
}

/// The largest absolute amplitude of each of `count` pieces, at most 1, with four decimals.
fn peaks(samples: &[f32], count: usize) -> Vec<f64> {
    let edge = |piece: usize| piece * samples.len() / count;
    let peak = |piece: usize| {
        let piece = &samples[edge(piece)..edge(piece + 1)];
        let peak = piece
            .iter()
            .fold(0f32, |peak, sample| peak.max(sample.abs()));
        (f64::from(peak.min(1.0)) * 1e4).round() / 1e4
    };
    (0..count).map(peak).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_cover_all_samples_in_equal_pieces() {
        let samples = [0.1, -0.5, 0.2, 0.3, -2.0, 0.0, 0.25];
        assert_eq!(peaks(&samples, 1), [1.0]);
        assert_eq!(peaks(&samples, 3), [0.5, 0.3, 1.0]);
        assert_eq!(peaks(&samples[..2], 4), [0.0, 0.1, 0.0, 0.5]);
    }
}
