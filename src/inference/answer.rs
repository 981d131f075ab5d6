//! Predictions as JSON objects, the same for the command line and for HTTP.

use serde_json::{Map, Value, json};

use super::{Prediction, Segment, StreamPrediction};
use crate::audio::Channel;

/// The output for people in place of the label of a recording or a segment without speech.
pub const NO_SPEECH: &str = "no speech";

/// The prediction for a recording, or for a segment of it, with the name of the recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Name of the recording.
    pub file: String,
    /// The channel, if every channel has its own prediction.
    pub channel: Option<Channel>,
    /// Start and end in seconds; `None` for a whole recording without its duration.
    pub span: Option<(f64, f64)>,
    /// The most probable class.
    pub label: String,
    /// The probability of this class.
    pub probability: f32,
    /// The probability of each class, in the order of [`Predictor::classes`](super::Predictor::classes).
    pub probabilities: Vec<f32>,
    /// False if the recording, or the segment, has no sound above a noise floor. The label means
    /// nothing then.
    pub has_speech: bool,
}

impl Answer {
    /// The answer for a whole recording.
    pub fn of_recording(file: String, channel: Option<Channel>, prediction: Prediction) -> Answer {
        Answer {
            file,
            channel,
            span: None,
            label: prediction.label,
            probability: prediction.probabilities.iter().copied().fold(0.0, f32::max),
            probabilities: prediction.probabilities,
            has_speech: prediction.has_speech,
        }
    }

    /// The answer for a segment of a recording.
    pub fn of_segment(file: String, channel: Option<Channel>, segment: Segment) -> Answer {
        Answer {
            file,
            channel,
            span: Some((segment.start, segment.end)),
            label: segment.label,
            probability: segment.probability,
            probabilities: segment.probabilities,
            has_speech: segment.has_speech,
        }
    }

    /// The JSON object; `classes` are those of the model.
    pub fn object(&self, classes: &[String]) -> Value {
        let mut object = json!({
            "file": self.file,
            "label": self.has_speech.then_some(&self.label),
            "speech": self.has_speech,
            "probabilities": by_class(classes, &self.probabilities),
        });
        if let Some(channel) = self.channel {
            object["channel"] = json!(channel);
        }
        if let Some((start, end)) = self.span {
            object["start"] = json!(to_milliseconds(start));
            object["end"] = json!(to_milliseconds(end));
            object["probability"] = json!(self.probability);
        }
        object
    }
}

impl StreamPrediction {
    /// The JSON object; `classes` are those of the model.
    pub fn object(&self, classes: &[String]) -> Value {
        let mut object = json!({
            "time": to_milliseconds(self.time),
            "level_db": (f64::from(self.level) * 10.0).round() / 10.0,
            "speech": self.speech.is_some(),
        });
        if let Some(speech) = &self.speech {
            object["start"] = json!(to_milliseconds(speech.start));
            object["end"] = json!(to_milliseconds(speech.end));
            object["label"] = json!(speech.label);
            object["probability"] = json!(speech.probability);
            object["probabilities"] = Value::Object(by_class(classes, &speech.probabilities));
        }
        object
    }
}

fn by_class(classes: &[String], probabilities: &[f32]) -> Map<String, Value> {
    let classes = classes.iter().zip(probabilities);
    classes
        .map(|(class, probability)| (class.clone(), json!(probability)))
        .collect()
}

fn to_milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
