//! Output of the predictions, one line each.

use anyhow::Result;

use super::super::bars::{clock, probability_bar};
use super::super::say;
use super::super::terminal::{check, erase_line, is_terminal, print_json, print_unfinished};
use emovox::escape::escape_line;
use emovox::inference::{StreamPrediction, StreamSpeech};

/// Width of a probability bar in characters.
const BAR: usize = 24;

pub(super) struct Show<'a> {
    classes: &'a [String],
    json: bool,
    label: usize,
    /// True on a terminal: a line for silence is replaced by the next line.
    in_place: bool,
    silent: bool,
}

impl<'a> Show<'a> {
    pub(super) fn new(classes: &'a [String], json: bool) -> Show<'a> {
        Show {
            in_place: !json && is_terminal(),
            classes,
            json,
            label: classes
                .iter()
                .map(|class| escape_line(class).chars().count())
                .max()
                .unwrap_or(0),
            silent: false,
        }
    }

    pub(super) fn prediction(&mut self, prediction: &StreamPrediction) -> Result<()> {
        if self.json {
            print_json(&format!("{}\n", prediction.object(self.classes)));
            return Ok(check()?);
        }
        self.wipe();
        let time = clock(prediction.time);
        match &prediction.speech {
            Some(speech) => say!("{time:>11}  {}", self.speech(speech)),
            None => {
                let (level, label) = (prediction.level, self.label);
                let line = format!("{time:>11}  {:label$}  {level:.0} dB", "silence");
                if self.in_place {
                    print_unfinished(&line)
                } else {
                    say!("{line}")
                }
                self.silent = self.in_place;
            }
        }
        Ok(check()?)
    }

    pub(super) fn finish(mut self) {
        self.wipe();
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.silent) {
            erase_line();
        }
    }

    /// The label with its bar, and the second most probable class.
    fn speech(&self, speech: &StreamSpeech) -> String {
        let bar = probability_bar(speech.probability, BAR);
        let percent = format!("{:.0} %", 100.0 * speech.probability);
        let others = self.classes.iter().zip(&speech.probabilities);
        let second = others
            .filter(|(class, _)| **class != speech.label)
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map(|(class, probability)| format!("   {class} {:.0} %", 100.0 * probability));
        let (width, label) = (self.label, escape_line(&speech.label));
        format!(
            "{label:width$}  {bar} {percent:>5}{}",
            second.unwrap_or_default()
        )
    }
}
