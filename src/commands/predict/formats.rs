//! What was heard, written down for people and for other programs.

use std::io::Write;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::super::bars::{clock, probability_bar, to_milliseconds};
use super::super::terminal::{print_data, print_json};
use emovox::escape::escape_line;

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
#[derive(Clone)]
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
        Format::Table { windows: true } => segments(out, &escaped(answers)),
        Format::Table { .. } => {
            let classes: Vec<String> = classes.iter().map(|c| escape_line(c).into()).collect();
            table(out, &classes, &escaped(answers))
        }
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

/// Prints what [`write`] wrote.
pub(super) fn print(format: Format, text: &[u8]) {
    match format {
        Format::Json | Format::JsonLines => print_json(&String::from_utf8_lossy(text)),
        _ => print_data(text),
    }
}

/// The same for people: a line break in a name would fake a line.
fn escaped(answers: &[Answer]) -> Vec<Answer> {
    let escaped = |answer: &Answer| Answer {
        file: escape_line(&answer.file).into(),
        label: escape_line(&answer.label).into(),
        ..answer.clone()
    };
    answers.iter().map(escaped).collect()
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
    format!(
        "{} {:.0} %",
        escape_line(&label),
        100.0 * answer.probability
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
