//! What was heard, a line each second.

use std::io::{self, IsTerminal, StdoutLock, Write};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::super::bars::{clock, probability_bar, to_milliseconds};
use emovox::inference::{Heard, Speech};

const BAR: usize = 24;
/// Back to the start of the line, and it is empty.
const WIPE: &str = "\r\x1b[2K";

pub(super) struct Show<'a> {
    out: StdoutLock<'static>,
    classes: &'a [String],
    json: bool,
    label: usize,
    /// On a terminal silence is shown in place, and the next line takes it.
    in_place: bool,
    silent: bool,
}

impl<'a> Show<'a> {
    pub(super) fn new(classes: &'a [String], json: bool) -> Show<'a> {
        let out = io::stdout().lock();
        Show {
            in_place: !json && io::stdout().is_terminal(),
            out,
            classes,
            json,
            label: classes
                .iter()
                .map(|class| class.chars().count())
                .max()
                .unwrap_or(0),
            silent: false,
        }
    }

    pub(super) fn heard(&mut self, heard: &Heard) -> Result<()> {
        if self.json {
            let line = self.object(heard);
            writeln!(self.out, "{line}")?;
            return Ok(self.out.flush()?);
        }
        self.wipe()?;
        let time = clock(heard.time);
        match &heard.speech {
            Some(speech) => {
                let line = self.speech(speech);
                writeln!(self.out, "{time:>11}  {line}")?;
            }
            None => {
                let level = heard.level;
                write!(
                    self.out,
                    "{time:>11}  {:label$}  {level:.0} dB",
                    "silence",
                    label = self.label
                )?;
                self.silent = self.in_place;
                if !self.in_place {
                    writeln!(self.out)?;
                }
            }
        }
        Ok(self.out.flush()?)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.wipe()?;
        Ok(self.out.flush()?)
    }

    fn wipe(&mut self) -> Result<()> {
        if std::mem::take(&mut self.silent) {
            write!(self.out, "{WIPE}")?;
        }
        Ok(())
    }

    /// The label with its bar, and what comes next.
    fn speech(&self, speech: &Speech) -> String {
        let bar = probability_bar(speech.probability, BAR);
        let percent = format!("{:.0} %", 100.0 * speech.probability);
        let others = self.classes.iter().zip(&speech.probabilities);
        let second = others
            .filter(|(class, _)| **class != speech.label)
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map(|(class, probability)| format!("   {class} {:.0} %", 100.0 * probability));
        let label = self.label;
        format!(
            "{:label$}  {bar} {percent:>5}{}",
            speech.label,
            second.unwrap_or_default()
        )
    }

    fn object(&self, heard: &Heard) -> Value {
        let mut line = json!({
            "time": to_milliseconds(heard.time),
            "level_db": (f64::from(heard.level) * 10.0).round() / 10.0,
            "speech": heard.speech.is_some(),
        });
        if let Some(speech) = &heard.speech {
            let by_class: Map<_, _> = self
                .classes
                .iter()
                .zip(&speech.probabilities)
                .map(|(class, probability)| (class.clone(), json!(probability)))
                .collect();
            line["start"] = json!(to_milliseconds(speech.start));
            line["end"] = json!(to_milliseconds(speech.end));
            line["label"] = json!(speech.label);
            line["probability"] = json!(speech.probability);
            line["probabilities"] = Value::Object(by_class);
        }
        line
    }
}
