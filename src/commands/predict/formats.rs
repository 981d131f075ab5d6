//! Output formats of predictions, for people and for other programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use super::super::bars::{clock, probability_bar};
use super::super::terminal::{print_data, print_json};
use emovox::escape::escape_line;
use emovox::inference::{Answer, NO_SPEECH};
use emovox::run::beginning;

/// An output format.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Format {
    Table { windows: bool },
    Json,
    JsonLines,
    Csv { windows: bool, channels: bool },
    Audacity,
    WebVtt,
}

impl Format {
    /// True for a track of labels, which belongs to a single recording and does not name it.
    pub(super) fn is_a_track(self) -> bool {
        matches!(self, Format::Audacity | Format::WebVtt)
    }

    /// A name in this format. In a table for people, line breaks are escaped, because they would
    /// imitate another line.
    fn shown(self, name: &str) -> String {
        match self {
            Format::Table { .. } => escape_line(name).into(),
            _ => name.into(),
        }
    }
}

/// The label for people and tables.
fn shown_label(answer: &Answer) -> &str {
    if answer.has_speech {
        &answer.label
    } else {
        NO_SPEECH
    }
}

/// Makes the output text from predictions, recording by recording.
pub(super) struct Text {
    format: Format,
    classes: Vec<String>,
    columns: Columns,
    /// True if there are several recordings, so that all tables of segments have the same columns.
    several: bool,
    /// True after the first prediction.
    started: bool,
    /// The first prediction of a table, until the second one: a single prediction has another
    /// format.
    first: Option<Answer>,
}

/// Widths of the table columns in characters.
struct Columns {
    file: usize,
    label: usize,
}

impl Text {
    /// Output for predictions of `files`.
    pub(super) fn new(format: Format, classes: &[String], files: &[String]) -> Text {
        let shown = |names: &[String]| -> Vec<String> {
            names.iter().map(|name| format.shown(name)).collect()
        };
        let (classes, files) = (shown(classes), shown(files));
        Text {
            format,
            columns: Columns {
                file: width(files.iter().map(String::as_str)),
                label: width(classes.iter().map(String::as_str).chain([NO_SPEECH])),
            },
            classes,
            several: files.len() > 1,
            started: false,
            first: None,
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The text for the predictions of the next recording.
    pub(super) fn next(&mut self, mut answers: Vec<Answer>) -> Result<Vec<u8>> {
        for answer in &mut answers {
            answer.file = self.format.shown(&answer.file);
            if let (Some(channel), Format::Table { .. }) = (answer.channel, self.format) {
                answer.file += &format!(" ({channel})");
            }
            answer.label = self.format.shown(&answer.label);
        }
        let mut out = Vec::new();
        if answers.is_empty() {
            return Ok(out);
        }
        let is_first = !std::mem::replace(&mut self.started, true);
        match self.format {
            Format::Table { windows: true } => {
                let labels = answers.iter().map(shown_label);
                let label = if self.several {
                    self.columns.label.max("label".len())
                } else {
                    width(labels.chain(["label"]))
                };
                segments(&mut out, &answers, label)?;
            }
            Format::Table { .. } => self.table(&mut out, answers, is_first)?,
            Format::Json => {
                for (index, answer) in answers.iter().enumerate() {
                    let opening = if is_first && index == 0 { "[" } else { "," };
                    let object = serde_json::to_string_pretty(&answer.object(&self.classes))?;
                    write!(out, "{opening}\n  {}", object.replace('\n', "\n  "))?;
                }
            }
            Format::JsonLines => {
                for answer in &answers {
                    writeln!(out, "{}", answer.object(&self.classes))?;
                }
            }
            Format::Csv { windows, channels } => {
                let columns = CsvColumns { windows, channels };
                csv(&mut out, &self.classes, &answers, columns, is_first)?;
            }
            Format::Audacity => audacity(&mut out, &answers)?,
            Format::WebVtt => webvtt(&mut out, &answers, is_first)?,
        }
        Ok(out)
    }

    /// The text after the last prediction.
    pub(super) fn end(mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        match (self.format, self.first.take()) {
            (Format::Table { windows: false }, Some(only)) => bars(&mut out, &self.classes, &only)?,
            (Format::Json, _) => write!(out, "{}", if self.started { "\n]\n" } else { "[]\n" })?,
            (Format::Csv { windows, channels }, _) if !self.started => {
                let columns = CsvColumns { windows, channels };
                csv(&mut out, &self.classes, &[], columns, true)?;
            }
            (Format::WebVtt, _) if !self.started => webvtt(&mut out, &[], true)?,
            _ => {}
        }
        Ok(out)
    }

    /// Writes one line per recording, from the second recording on.
    fn table(&mut self, out: &mut impl Write, answers: Vec<Answer>, is_first: bool) -> Result<()> {
        for (index, answer) in answers.into_iter().enumerate() {
            if is_first && index == 0 {
                self.first = Some(answer);
                continue;
            }
            if let Some(first) = self.first.take() {
                self.table_header(out)?;
                self.table_row(out, &first)?;
            }
            self.table_row(out, &answer)?;
        }
        Ok(())
    }

    fn table_header(&self, out: &mut impl Write) -> Result<()> {
        let Columns { file, label } = self.columns;
        write!(out, "{:file$}  {:label$}", "file", "label")?;
        for class in &self.classes {
            write!(out, "  {class:>7}")?;
        }
        Ok(writeln!(out)?)
    }

    fn table_row(&self, out: &mut impl Write, answer: &Answer) -> Result<()> {
        let Columns { file, label } = self.columns;
        write!(out, "{:file$}  {:label$}", answer.file, shown_label(answer))?;
        for (class, probability) in self.classes.iter().zip(&answer.probabilities) {
            let width = class.chars().count().max(7);
            write!(out, "  {:>width$}", format!("{:.1} %", 100.0 * probability))?;
        }
        Ok(writeln!(out)?)
    }
}

/// Prints a portion of the text on standard output.
pub(super) fn print(format: Format, text: &[u8]) {
    match format {
        Format::Json | Format::JsonLines => print_json(&String::from_utf8_lossy(text)),
        _ => print_data(text),
    }
}

/// Maximum number of bytes that are read to recognise an output file of emovox.
const RECOGNITION_LENGTH: u64 = 1 << 26;

/// The fields that every JSON object of a prediction has.
#[derive(Deserialize)]
#[allow(dead_code, reason = "only their presence is checked")]
struct Written {
    file: String,
    label: Option<String>,
    probabilities: BTreeMap<String, f64>,
}

/// True for a file that [`Text`] wrote in this format for a model with these classes. Always false
/// for a table for people, which has no distinctive content.
pub(super) fn is_own(file: &Path, format: Format, classes: &[String]) -> bool {
    let content = beginning(file, RECOGNITION_LENGTH);
    let text = String::from_utf8_lossy(&content);
    match format {
        Format::Table { .. } => false,
        _ if content.is_empty() => false,
        Format::Json => {
            let all = serde_json::from_slice::<Vec<Written>>(&content);
            all.is_ok_and(|all| !all.is_empty())
        }
        Format::JsonLines => text
            .lines()
            .all(|line| serde_json::from_str::<Written>(line).is_ok()),
        Format::Csv { windows, channels } => {
            let mut header = Vec::new();
            let columns = CsvColumns { windows, channels };
            csv(&mut header, classes, &[], columns, true).is_ok() && content.starts_with(&header)
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

/// Writes one line per segment, below the name of its recording.
fn segments(out: &mut impl Write, answers: &[Answer], label: usize) -> Result<()> {
    const BAR: usize = 24;
    for recording in answers.chunk_by(|a, b| a.file == b.file) {
        writeln!(out, "{}", recording[0].file)?;
        writeln!(
            out,
            "{:>11}{:>11}  {:label$}  probability",
            "start", "end", "label"
        )?;
        for answer in recording {
            let (start, end) = answer.span.unwrap_or_default();
            let (start, end, name) = (clock(start), clock(end), shown_label(answer));
            if !answer.has_speech {
                writeln!(out, "{start:>11}{end:>11}  {name}")?;
                continue;
            }
            let bar = probability_bar(answer.probability, BAR);
            let percent = format!("{:.1} %", 100.0 * answer.probability);
            writeln!(
                out,
                "{start:>11}{end:>11}  {name:label$}  {bar} {percent:>7}"
            )?;
        }
    }
    Ok(())
}

/// Writes one bar per class, for a single recording.
fn bars(out: &mut impl Write, classes: &[String], answer: &Answer) -> Result<()> {
    let label = width(classes.iter().map(String::as_str));
    writeln!(out, "{}: {}", answer.file, shown_label(answer))?;
    if !answer.has_speech {
        return Ok(());
    }
    for (class, probability) in classes.iter().zip(&answer.probabilities) {
        let bar = probability_bar(*probability, 40);
        let percent = format!("{:.1} %", 100.0 * probability);
        writeln!(out, "  {class:label$}  {bar} {percent:>7}")?;
    }
    Ok(())
}

fn width<'a>(words: impl Iterator<Item = &'a str>) -> usize {
    words.map(|word| word.chars().count()).max().unwrap_or(0)
}

/// Columns of a CSV output besides file, label and probabilities.
#[derive(Clone, Copy)]
struct CsvColumns {
    windows: bool,
    channels: bool,
}

fn csv(
    out: &mut impl Write,
    classes: &[String],
    answers: &[Answer],
    CsvColumns { windows, channels }: CsvColumns,
    is_first: bool,
) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    if is_first {
        let mut columns = vec!["file"];
        if channels {
            columns.push("channel");
        }
        if windows {
            columns.extend(["start", "end"]);
        }
        columns.push("label");
        columns.extend(classes.iter().map(String::as_str));
        writer.write_record(columns)?;
    }
    for answer in answers {
        let mut record = vec![answer.file.clone()];
        if channels {
            let channel = answer.channel.map(|channel| channel.to_string());
            record.push(channel.unwrap_or_default());
        }
        if windows {
            let (start, end) = answer.span.unwrap_or_default();
            record.extend([start, end].map(|seconds| format!("{seconds:.3}")));
        }
        record.push(shown_label(answer).to_string());
        record.extend(answer.probabilities.iter().map(f32::to_string));
        writer.write_record(record)?;
    }
    Ok(writer.flush()?)
}

/// Writes a label track of Audacity: start, end and text, separated by tabs.
fn audacity(out: &mut impl Write, answers: &[Answer]) -> Result<()> {
    for answer in answers {
        let (start, end) = answer.span.unwrap_or_default();
        writeln!(out, "{start:.6}\t{end:.6}\t{}", caption(answer))?;
    }
    Ok(())
}

fn webvtt(out: &mut impl Write, answers: &[Answer], is_first: bool) -> Result<()> {
    if is_first {
        writeln!(out, "WEBVTT")?;
    }
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

/// Formats seconds as a WebVTT timestamp, `hh:mm:ss.ttt`.
fn timestamp(seconds: f64) -> String {
    let milliseconds = (seconds * 1000.0).round() as u64;
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{rest:03}", seconds % 60)
}

/// The text of a label: `LABEL N %`, in one line. A label can be the name of a folder, so it can
/// contain any character.
fn caption(answer: &Answer) -> String {
    if !answer.has_speech {
        return NO_SPEECH.to_string();
    }
    let label = answer.label.replace(char::is_control, " ");
    format!(
        "{} {:.0} %",
        escape_line(&label),
        100.0 * answer.probability
    )
}

/// True for a line in the format of [`caption`].
fn is_caption(line: &str) -> bool {
    if line == NO_SPEECH {
        return true;
    }
    let percent = line
        .strip_suffix(" %")
        .and_then(|line| line.rsplit_once(' '));
    percent.is_some_and(|(_, percent)| percent.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn answer(file: &str, label: &str, span: Option<(f64, f64)>) -> Answer {
        Answer {
            file: file.into(),
            channel: None,
            span,
            label: label.into(),
            probability: 0.5,
            probabilities: vec![0.5, 0.5],
            has_speech: true,
        }
    }

    fn classes() -> Vec<String> {
        ["anger", "boredom, mild"].map(String::from).to_vec()
    }

    fn text(format: Format, files: &[&str], answers: Vec<Vec<Answer>>) -> String {
        let (classes, files) = (classes(), files.iter().map(|name| name.to_string()));
        let mut text = Text::new(format, &classes, &files.collect::<Vec<_>>());
        let mut whole = Vec::new();
        for answers in answers {
            whole.extend(text.next(answers).unwrap());
        }
        whole.extend(text.end().unwrap());
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn an_output_is_recognised_only_in_its_own_format() {
        let answer = |file: &str, label: &str| Answer {
            file: file.into(),
            channel: None,
            span: Some((0.0, 1.5)),
            label: label.into(),
            probability: 0.75,
            probabilities: vec![0.75, 0.25],
            has_speech: true,
        };
        let classes = ["a, b", "joy"].map(String::from);
        let formats = [
            Format::Json,
            Format::JsonLines,
            Format::Csv {
                windows: true,
                channels: false,
            },
            Format::Csv {
                windows: false,
                channels: false,
            },
            Format::Audacity,
            Format::WebVtt,
        ];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        for one in formats {
            let mut text = Text::new(one, &classes, &[]);
            let answers = vec![answer("x.wav", "a, b"), answer("y.wav", "joy")];
            let written = [text.next(answers).unwrap(), text.end().unwrap()].concat();
            std::fs::write(&file, written).unwrap();
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
        let odd = || {
            vec![vec![answer(
                "x.wav",
                "a\tb\n-->&<c>",
                Some((3599.9996, 3661.5)),
            )]]
        };
        assert_eq!(
            text(Format::Audacity, &["x.wav"], odd()),
            "3599.999600\t3661.500000\ta b -->&<c> 50 %\n"
        );
        assert_eq!(
            text(Format::WebVtt, &["x.wav"], odd()),
            "WEBVTT\n\n01:00:00.000 --> 01:01:01.500\na b --&gt;&amp;&lt;c&gt; 50 %\n"
        );
    }

    #[test]
    fn json_in_portions_is_one_pretty_array() {
        for count in 0..4 {
            let file = |n| format!("{n}\n\"x.wav");
            let answers = |n: &usize| vec![answer(&file(*n), "anger", None)];
            let all: Vec<Value> = (0..count)
                .map(|n| answer(&file(n), "anger", None).object(&classes()))
                .collect();
            let expected = serde_json::to_string_pretty(&all).unwrap() + "\n";
            let answers = (0..count).map(|n| answers(&n)).collect();
            assert_eq!(text(Format::Json, &[], answers), expected);
        }
    }

    #[test]
    fn a_table_has_its_header_once_and_a_single_recording_has_bars() {
        let table = |names: &[&str]| {
            let answers = names.iter().map(|name| vec![answer(name, "anger", None)]);
            text(Format::Table { windows: false }, names, answers.collect())
        };
        assert_eq!(
            table(&["a.wav", "longer.wav", "c.wav"]),
            "file        label            anger  boredom, mild\n\
             a.wav       anger           50.0 %         50.0 %\n\
             longer.wav  anger           50.0 %         50.0 %\n\
             c.wav       anger           50.0 %         50.0 %\n"
        );
        assert_eq!(table(&["a.wav"]).lines().count(), 3);
        assert!(table(&["a.wav"]).starts_with("a.wav: anger\n  anger "));
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn a_csv_has_its_header_once_and_without_predictions_too() {
        let format = Format::Csv {
            windows: false,
            channels: false,
        };
        let header = "file,label,anger,\"boredom, mild\"\n";
        assert_eq!(text(format, &[], Vec::new()), header);
        let answers = ["a.wav", "b.wav"].map(|name| vec![answer(name, "anger", None)]);
        assert_eq!(
            text(format, &[], answers.into()),
            format!("{header}a.wav,anger,0.5,0.5\nb.wav,anger,0.5,0.5\n")
        );
    }
}
