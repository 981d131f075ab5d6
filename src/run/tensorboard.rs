//! Event files of TensorBoard: records of protobuf messages with checksums.
//!
//! Only the parts of the messages for numbers and texts are implemented: `Event`
//! (tensorboard/compat/proto/event.proto) with a `Summary` of named values.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prost::Message;

use crate::evaluation::EpochMetrics;
use crate::io::write_bytes;

/// The event file of a run: one event per epoch, written at the end of the epoch.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<TensorProto>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<SummaryMetadata>,
}

/// A list of texts.
#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    string_val: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct SummaryMetadata {
    #[prost(message, optional, tag = "1")]
    plugin_data: Option<PluginData>,
}

#[derive(Clone, PartialEq, Message)]
struct PluginData {
    #[prost(string, tag = "1")]
    plugin_name: String,
}

/// `DT_STRING` in tensorflow/core/framework/types.proto.
const DT_STRING: i32 = 7;

impl EventFile {
    /// Writes the file with the notes on the scores and with the finished epochs.
    ///
    /// An earlier file is replaced, so that a resumed run has neither an incomplete record nor an
    /// epoch twice. The times of the finished epochs are computed from their durations.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn begin(path: &Path, epochs: &[EpochMetrics], notes: &[String]) -> Result<EventFile> {
        let mut time = now() - epochs.iter().map(|epoch| epoch.seconds).sum::<f64>();
        let mut bytes = record(&Event {
            wall_time: time,
            step: 0,
            file_version: Some("brain.Event:2".into()),
            summary: None,
        });
        if !notes.is_empty() {
            bytes.extend(record(&text_event("notes", notes, time)));
        }
        for epoch in epochs {
            time += epoch.seconds;
            bytes.extend(record(&event(epoch, time)));
        }
        write_bytes(path, &bytes)?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(EventFile {
            file: file.with_context(|| format!("cannot write {}", path.display()))?,
            path: path.into(),
        })
    }

    /// Appends an epoch that has just ended.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn append(&mut self, epoch: &EpochMetrics) -> Result<()> {
        self.file
            .write_all(&record(&event(epoch, now())))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn event(epoch: &EpochMetrics, wall_time: f64) -> Event {
    let values = [
        ("loss/train", epoch.train_loss),
        ("loss/validation", epoch.validation_loss),
        ("accuracy/train", epoch.train_accuracy),
        ("accuracy/validation", epoch.validation_accuracy),
        ("uar/validation", epoch.validation_uar),
        ("learning_rate", epoch.learning_rate),
        ("seconds", epoch.seconds),
    ];
    let value = |(tag, value): (&str, f64)| Value {
        tag: tag.into(),
        simple_value: Some(value as f32),
        tensor: None,
        metadata: None,
    };
    Event {
        wall_time,
        step: epoch.epoch as i64,
        file_version: None,
        summary: Some(Summary {
            value: values.map(value).into(),
        }),
    }
}

/// Texts for TensorBoard's text plugin.
fn text_event(tag: &str, texts: &[String], wall_time: f64) -> Event {
    let size = texts.len() as i64;
    let value = Value {
        tag: tag.into(),
        simple_value: None,
        tensor: Some(TensorProto {
            dtype: DT_STRING,
            shape: Some(TensorShape {
                dim: vec![Dimension { size }],
            }),
            string_val: texts.iter().map(|text| text.clone().into_bytes()).collect(),
        }),
        metadata: Some(SummaryMetadata {
            plugin_data: Some(PluginData {
                plugin_name: "text".into(),
            }),
        }),
    };
    Event {
        wall_time,
        step: 0,
        file_version: None,
        summary: Some(Summary { value: vec![value] }),
    }
}

/// A record of a TFRecord file: length, checksum of the length, event, checksum of the event.
fn record(event: &Event) -> Vec<u8> {
    let event = event.encode_to_vec();
    let length = (event.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(masked_checksum(&length).to_le_bytes());
    bytes.extend(&event);
    bytes.extend(masked_checksum(&event).to_le_bytes());
    bytes
}

/// The masked CRC-32C of TFRecord: rotated and with an added constant, so that checksums in the
/// data do not weaken it.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize) -> EpochMetrics {
        EpochMetrics {
            epoch,
            train_loss: 1.5,
            train_accuracy: 0.25,
            validation_loss: f64::NAN,
            validation_accuracy: 0.5,
            validation_uar: 0.75,
            learning_rate: 1e-3,
            seconds: 2.0,
        }
    }

    #[test]
    fn records_equal_those_of_tensorflow() {
        // tf.summary.create_file_writer starts every file with these bytes, except the time (8
        // bytes).
        let first = record(&Event {
            wall_time: 0.0,
            step: 0,
            file_version: Some("brain.Event:2".into()),
            summary: None,
        });
        assert_eq!(&first[..8], &15u64.to_le_bytes());
        assert_eq!(
            &first[12..],
            b"\x1a\x0dbrain.Event:2"
                .iter()
                .copied()
                .chain(masked_checksum(b"\x1a\x0dbrain.Event:2").to_le_bytes())
                .collect::<Vec<u8>>()
        );
        // RFC 3720, B.4: the CRC-32C of 32 zeros is 8A9136AA.
        let expected = 0x8A91_36AA_u32.rotate_right(15).wrapping_add(0xA282_EAD8);
        assert_eq!(masked_checksum(&[0; 32]), expected);
    }

    #[test]
    fn a_file_that_is_written_again_has_every_epoch_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.out.tfevents.emovox");
        let notes = ["speakers shared: train/test".to_string()];
        let mut events = EventFile::begin(&path, &[], &notes).unwrap();
        events.append(&epoch(1)).unwrap();
        events.append(&epoch(2)).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"half")
            .unwrap();
        EventFile::begin(&path, &[epoch(1), epoch(2)], &notes).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
    }
}
