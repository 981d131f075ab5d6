//! What was heard, written down for people and for other programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::bars::{clock, probability_bar, to_milliseconds};
use emovox::run::beginning;

/// How answers are written down.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Format {
    Table { windows: bool },
    Json,
    JsonLines,
    Csv { windows: bool },
    Audacity,
    WebVtt,
}

impl Format {
    /// Whether it is laid under one recording, and cannot say which.
    pub(super) fn is_a_track(self) -> bool {
        matches!(self, Format::Audacity | Format::WebVtt)
    }
}

/// What was heard in a recording, or in a segment of it.
pub(super) struct Answer {
    pub file: String,
    /// Start and end in seconds.
    pub span: Option<(f64, f64)>,
    pub label: String,
    pub probability: f32,
    pub probabilities: Vec<f32>,
}

pub(super) fn write(
    out: &mut impl Write,
    format: Format,
    classes: &[String],
    answers: &[Answer],
) -> Result<()> {
    match format {
        Format::Table { windows: true } => segments(out, answers),
        Format::Table { .. } => table(out, classes, answers),
        Format::Json => {
            let all: Vec<Value> = answers
                .iter()
                .map(|answer| object(classes, answer))
                .collect();
            serde_json::to_writer_pretty(&mut *out, &all)?;
            Ok(writeln!(out)?)
        }
        Format::JsonLines => {
            for answer in answers {
                writeln!(out, "{}", object(classes, answer))?;
            }
            Ok(())
        }
        Format::Csv { windows } => csv(out, classes, answers, windows),
        Format::Audacity => audacity(out, answers),
        Format::WebVtt => webvtt(out, answers),
    }
}

/// Bytes that are read of a file to know it as ours: of a longer one, its beginning.
const KNOWN_BY: u64 = 1 << 26;

/// What every object in our JSON has.
#[derive(Deserialize)]
#[allow(dead_code, reason = "they need only be there")]
struct Written {
    file: String,
    label: String,
    probabilities: BTreeMap<String, f64>,
}

/// True for a file that [`write()`] filled in this format, for a model of these classes. A table for
/// people has no mark.
pub(super) fn is_own(file: &Path, format: Format, classes: &[String]) -> bool {
    let there = beginning(file, KNOWN_BY);
    let text = String::from_utf8_lossy(&there);
    match format {
        Format::Table { .. } => false,
        _ if there.is_empty() => false,
        Format::Json => {
            let all = serde_json::from_slice::<Vec<Written>>(&there);
            all.is_ok_and(|all| !all.is_empty())
        }
        Format::JsonLines => text
            .lines()
            .all(|line| serde_json::from_str::<Written>(line).is_ok()),
        Format::Csv { windows } => {
            let mut header = Vec::new();
            csv(&mut header, classes, &[], windows).is_ok() && there.starts_with(&header)
        }
        Format::Audacity => text.lines().all(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let is_time = |field: &&str| field.parse::<f64>().is_ok();
            matches!(fields[..], [start, end, text] if [start, end].iter().all(is_time) && is_caption(text))
        }),
        Format::WebVtt => {
            let mut lines = text.lines();
            let is_cue = |line: &str| line.is_empty() || line.contains(" --> ") || is_caption(line);
            lines.next() == Some("WEBVTT") && lines.all(is_cue)
        }
    }
}

/// A line for each segment, under the name of its recording.
fn segments(out: &mut impl Write, answers: &[Answer]) -> Result<()> {
    const BAR: usize = 24;
    let label = width(
        answers
            .iter()
            .map(|answer| answer.label.as_str())
            .chain(["label"]),
    );
    for recording in answers.chunk_by(|a, b| a.file == b.file) {
        writeln!(out, "{}", recording[0].file)?;
        writeln!(
            out,
            "{:>11}{:>11}  {:label$}  probability",
            "start", "end", "label"
        )?;
        for answer in recording {
            let (start, end) = answer.span.unwrap_or_default();
            let bar = probability_bar(answer.probability, BAR);
            let percent = format!("{:.1} %", 100.0 * answer.probability);
            let (start, end, name) = (clock(start), clock(end), &answer.label);
            writeln!(
                out,
                "{start:>11}{end:>11}  {name:label$}  {bar} {percent:>7}"
            )?;
        }
    }
    Ok(())
}

/// A line for each recording; of a single one, a bar for each class.
fn table(out: &mut impl Write, classes: &[String], answers: &[Answer]) -> Result<()> {
    let label = width(classes.iter().map(String::as_str));
    if let [answer] = answers {
        writeln!(out, "{}: {}", answer.file, answer.label)?;
        for (class, probability) in classes.iter().zip(&answer.probabilities) {
            let bar = probability_bar(*probability, 40);
            let percent = format!("{:.1} %", 100.0 * probability);
            writeln!(out, "  {class:label$}  {bar} {percent:>7}")?;
        }
        return Ok(());
    }
    let file = width(answers.iter().map(|answer| answer.file.as_str()));
    write!(out, "{:file$}  {:label$}", "file", "label")?;
    for class in classes {
        write!(out, "  {class:>7}")?;
    }
    writeln!(out)?;
    for answer in answers {
        write!(out, "{:file$}  {:label$}", answer.file, answer.label)?;
        for (class, probability) in classes.iter().zip(&answer.probabilities) {
            let width = class.chars().count().max(7);
            write!(out, "  {:>width$}", format!("{:.1} %", 100.0 * probability))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn width<'a>(words: impl Iterator<Item = &'a str>) -> usize {
    words.map(|word| word.chars().count()).max().unwrap_or(0)
}

fn csv(out: &mut impl Write, classes: &[String], answers: &[Answer], windows: bool) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let columns: &[&str] = match windows {
        true => &["file", "start", "end", "label"],
        false => &["file", "label"],
    };
    let classes = classes.iter().map(String::as_str);
    writer.write_record(columns.iter().copied().chain(classes))?;
    for answer in answers {
        let mut record = vec![answer.file.clone()];
        if windows {
            let (start, end) = answer.span.unwrap_or_default();
            record.extend([start, end].map(|seconds| format!("{seconds:.3}")));
        }
        record.push(answer.label.clone());
        record.extend(answer.probabilities.iter().map(f32::to_string));
        writer.write_record(record)?;
    }
    Ok(writer.flush()?)
}

fn object(classes: &[String], answer: &Answer) -> Value {
    let by_class: Map<_, _> = classes
        .iter()
        .zip(&answer.probabilities)
        .map(|(class, probability)| (class.clone(), json!(probability)))
        .collect();
    let mut object = json!({
        "file": answer.file,
        "label": answer.label,
        "probabilities": by_class,
    });
    if let Some((start, end)) = answer.span {
        object["start"] = json!(to_milliseconds(start));
        object["end"] = json!(to_milliseconds(end));
        object["probability"] = json!(answer.probability);
    }
    object
}

/// Start, end and text, with tabs between them.
fn audacity(out: &mut impl Write, answers: &[Answer]) -> Result<()> {
    for answer in answers {
        let (start, end) = answer.span.unwrap_or_default();
        writeln!(out, "{start:.6}\t{end:.6}\t{}", caption(answer))?;
    }
    Ok(())
}

fn webvtt(out: &mut impl Write, answers: &[Answer]) -> Result<()> {
    writeln!(out, "WEBVTT")?;
    for answer in answers {
        let (start, end) = answer.span.unwrap_or_default();
        let text = caption(answer)
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        writeln!(out, "\n{} --> {}\n{text}", timestamp(start), timestamp(end))?;
    }
    Ok(())
}

/// `hh:mm:ss.ttt`, as WebVTT has it.
fn timestamp(seconds: f64) -> String {
    let milliseconds = (seconds * 1000.0).round() as u64;
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{rest:03}", seconds % 60)
}

/// A label may be named after a folder, so it may hold anything; here it must be a line.
fn caption(answer: &Answer) -> String {
    let label = answer.label.replace(char::is_control, " ");
    format!("{label} {:.0} %", 100.0 * answer.probability)
}

/// True for a line as [`caption`] makes it.
fn is_caption(line: &str) -> bool {
    let percent = line
        .strip_suffix(" %")
        .and_then(|line| line.rsplit_once(' '));
    percent.is_some_and(|(_, percent)| percent.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_by_its_own_format() {
        let answer = |file: &str, label: &str| Answer {
            file: file.into(),
            span: Some((0.0, 1.5)),
            label: label.into(),
            probability: 0.75,
            probabilities: vec![0.75, 0.25],
        };
        let answers = [answer("x.wav", "a, b"), answer("y.wav", "joy")];
        let classes = ["a, b", "joy"].map(String::from);
        let formats = [
            Format::Json,
            Format::JsonLines,
            Format::Csv { windows: true },
            Format::Csv { windows: false },
            Format::Audacity,
            Format::WebVtt,
        ];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        for one in formats {
            let mut text = Vec::new();
            write(&mut text, one, &classes, &answers).unwrap();
            std::fs::write(&file, &text).unwrap();
            for other in formats {
                assert_eq!(is_own(&file, other, &classes), one == other);
            }
        }
        let foreign = [
            "file,label,speaker\nx.wav,joy,v01\n",
            "{\"file\": \"x.wav\", \"label\": \"joy\"}\n",
            "0.0\t1.0\tsomebody laughs\n",
            "WEBVTT\n\n00:00.000 --> 00:01.000\nHe gives 100 % of himself.\n",
            "WEBVTT\n\nNOTE mine\n",
            "[]",
            "",
        ];
        for text in foreign {
            std::fs::write(&file, text).unwrap();
            for format in formats {
                assert!(!is_own(&file, format, &classes), "{text}");
            }
        }
    }

    #[test]
    fn a_label_cannot_break_a_track() {
        let answer = Answer {
            file: "x.wav".into(),
            span: Some((3599.9996, 3661.5)),
            label: "a\tb\n-->&<c>".into(),
            probability: 0.5,
            probabilities: vec![0.5],
        };
        let written = |format| {
            let mut text = Vec::new();
            write(
                &mut text,
                format,
                &["x".into()],
                std::slice::from_ref(&answer),
            )
            .unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(
            written(Format::Audacity),
            "3599.999600\t3661.500000\ta b -->&<c> 50 %\n"
        );
        assert_eq!(
            written(Format::WebVtt),
            "WEBVTT\n\n01:00:00.000 --> 01:01:01.500\na b --&gt;&amp;&lt;c&gt; 50 %\n"
        );
    }
}
