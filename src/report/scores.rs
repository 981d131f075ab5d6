//! What a scored part is summed up in: `report.json` for programs, `report.txt` for people.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::escape::escape_line;
use crate::evaluation::{self, Calibration, Metrics};

/// The scores of one part of one corpus, and what a reader must know to judge them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's name.
    pub run: String,
    /// `ravdess`, `demo` …
    pub corpus: String,
    /// `test`, `validation`, `train` or `all`.
    pub part: String,
    /// True where a voice of the training part may be heard in the scored part, or any two parts of
    /// the run have a speaker in common.
    pub speakers_shared: bool,
    /// What a reader must know to judge the numbers: shared speakers and the like.
    pub notes: Vec<String>,
    /// True where recordings that the model learnt from or was scored on were made by a machine.
    pub synthetic: bool,
    /// The epoch whose weights were scored.
    pub epoch: Option<usize>,
    /// Recordings that could not be read and were left out of the whole run.
    pub skipped_recordings: usize,
    /// Clips that were not scored since the model does not know their label.
    pub unknown_label: usize,
    /// What the logits were divided by, so that the probabilities mean what they say.
    pub temperature: f64,
    /// The expected calibration error without that, where it was measured.
    pub ece_before: Option<f64>,
    /// How far the probabilities can be trusted.
    pub calibration: Calibration,
    /// The scores.
    #[serde(flatten)]
    pub metrics: Metrics,
}

impl Report {
    /// True where nothing is known by which a speaker would be in two parts.
    pub fn is_certified(&self) -> bool {
        !self.speakers_shared && self.notes.is_empty()
    }

    /// Everything that a reader must know to judge the numbers: the notes, or that there is nothing to note.
    pub fn statements(&self) -> Vec<String> {
        match self.notes.is_empty() {
            _ if self.is_certified() => vec!["no speaker is heard in two parts".into()],
            true => vec!["speakers shared".into()],
            false => self.notes.clone(),
        }
    }

    /// The notes in one line.
    pub fn note(&self) -> Option<String> {
        (!self.notes.is_empty()).then(|| self.notes.join("; "))
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let Report { metrics, .. } = self;
        let mut text = format!(
            "{} part of {}, {} clips",
            self.part,
            escape_line(&self.corpus),
            metrics.clips
        );
        if let Some(epoch) = self.epoch {
            text += &format!(", weights of epoch {epoch}");
        }
        text += &match self.is_certified() {
            true => "\nNo speaker is heard in two parts.\n".to_string(),
            false => format!("\nNote: {}.\n", escape_line(&self.statements().join("; "))),
        };
        if self.skipped_recordings > 0 {
            text += &format!(
                "{} unreadable recordings were left out.\n",
                self.skipped_recordings
            );
        }
        if self.unknown_label > 0 {
            text += &format!(
                "{} clips were left out: the model does not know their label.\n",
                self.unknown_label
            );
        }
        let missing: Vec<&str> = (0..metrics.classes.len())
            .filter(|&class| metrics.per_class[class].support == 0)
            .map(|class| metrics.classes[class].as_str())
            .collect();
        if !missing.is_empty() {
            text += &format!(
                "No clip of {} is here; the UAR is that of the other classes.\n",
                escape_line(&missing.join(", "))
            );
        }
        text += &format!(
            "\naccuracy {:.1} %   UAR {:.1} %   macro-F1 {:.1} %   (chance UAR {:.1} %)\n\n",
            100.0 * metrics.accuracy,
            100.0 * metrics.uar,
            100.0 * metrics.macro_f1,
            100.0 / (metrics.classes.len() - missing.len()).max(1) as f64,
        );
        text += &evaluation::classification_table(metrics);
        text += &format!(
            "\nexpected calibration error {:.1} %",
            100.0 * self.calibration.ece
        );
        if let Some(before) = self.ece_before {
            text += &format!(
                " ({:.1} % before the temperature of {:.2})",
                100.0 * before,
                self.temperature
            );
        }
        text += "\n\nConfusion (rows: truth, columns: prediction)\n\n";
        text += &evaluation::confusion_table(metrics);
        text
    }

    /// The report for programs.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
