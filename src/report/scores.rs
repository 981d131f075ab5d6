//! Summary of the scores on a subset: `report.json` for programs, `report.txt` for people.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::corpus;
use crate::escape::escape_line;
use crate::evaluation::{self, Calibration, Metrics};
use crate::plural::counted;

/// The scores on one subset of one corpus, and the facts that a reader needs to judge them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the run.
    pub run: String,
    /// Name of the corpus, such as `ravdess` or `demo`.
    pub corpus: String,
    /// Scored subset: `test`, `validation`, `train` or `all`.
    #[serde(rename = "part")]
    pub subset: String,
    /// True if speakers of the training subset may be in the scored subset, or if any two subsets
    /// of the run share a speaker.
    pub speakers_shared: bool,
    /// Warnings about the numbers, such as shared speakers.
    pub notes: Vec<String>,
    /// True if recordings of the training or of the scored subset are synthetic.
    pub synthetic: bool,
    /// The epoch whose weights were scored.
    pub epoch: Option<usize>,
    /// Number of unreadable recordings, which were left out of the whole run.
    pub skipped_recordings: usize,
    /// Number of clips that were not scored because their label is not a class of the model.
    pub unknown_label: usize,
    /// Divisor of the logits, which calibrates the probabilities.
    pub temperature: f64,
    /// Expected calibration error at a temperature of 1, if it was measured.
    pub ece_before: Option<f64>,
    /// Calibration of the probabilities.
    pub calibration: Calibration,
    /// Accuracy, UAR, F1 and confusion matrix.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// The recordings that were scored: `test subset`, or `all recordings`.
pub(super) fn scored_set(subset: &str) -> String {
    match subset {
        "all" => "all recordings".into(),
        subset => format!("{subset} subset"),
    }
}

/// The notes in one line; none without notes.
pub fn joined_notes(notes: &[String]) -> Option<String> {
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The name of a speaker as it is shown: `unknown` if it is empty.
pub(super) fn speaker_name(speaker: &str) -> &str {
    if speaker.is_empty() {
        "unknown"
    } else {
        speaker
    }
}

impl Report {
    /// True if no speaker is known to be in two subsets.
    pub fn is_certified(&self) -> bool {
        !self.speakers_shared && self.notes.is_empty()
    }

    /// Statements that a reader needs to judge the numbers: the notes, or one that there are none.
    pub fn statements(&self) -> Vec<String> {
        match self.notes.is_empty() {
            _ if self.is_certified() => vec!["no speaker is in two subsets".into()],
            true => vec!["speakers shared".into()],
            false => self.notes.clone(),
        }
    }

    /// The notes in one line; none without notes.
    pub fn note(&self) -> Option<String> {
        joined_notes(&self.notes)
    }

    /// The text of `report.txt`.
    pub fn text(&self) -> String {
        let Report { metrics, .. } = self;
        let mut text = format!(
            "{} of {}, {}",
            scored_set(&self.subset),
            escape_line(&self.corpus),
            counted(metrics.clips, "clip")
        );
        if let Some(epoch) = self.epoch {
            text += &format!(", weights of epoch {epoch}");
        }
        text += &if self.is_certified() {
            "\nNo speaker is in two subsets.\n".to_string()
        } else {
            format!("\nNote: {}.\n", escape_line(&self.statements().join("; ")))
        };
        if let Some(note) = corpus::left_out(self.skipped_recordings) {
            text += &format!("{note}.\n");
        }
        if self.unknown_label > 0 {
            text += &format!(
                "{} left out: their label is not a class of the model.\n",
                counted(self.unknown_label, "clip")
            );
        }
        let missing = metrics.missing();
        if !missing.is_empty() {
            text += &format!(
                "There are no clips of {}; the UAR is the mean over the other classes.\n",
                escape_line(&missing.join(", "))
            );
        }
        text += &format!(
            "\naccuracy {:.1} %   UAR {:.1} %   macro-F1 {:.1} %   (chance UAR {:.1} %)\n\n",
            100.0 * metrics.accuracy,
            100.0 * metrics.uar,
            100.0 * metrics.macro_f1,
            100.0 * metrics.chance(),
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

    /// The text of `report.json`.
    ///
    /// # Errors
    /// If the report cannot be serialised.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
