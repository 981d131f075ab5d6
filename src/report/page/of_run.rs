//! The page of one run: how it was trained, and every test clip to hear.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::clips::rows;
use super::{Clips, Confusion, Page, Picture, Sounds, Table, percent, read_sounds};
use crate::bounded;
use crate::evaluation::{BySpeaker, Interval, Intervals, Metrics, SpeakerScores, wilson};
use crate::report::{Curves, Report, curves_png, recall_png, reliability_png};
use crate::run::{RunFolder, SavedPredictions, read_metrics, read_predictions};

/// A run that was scored, as its folder has it.
pub(super) struct Scored {
    pub(super) report: Report,
    pub(super) saved: SavedPredictions,
    pub(super) curves: Curves,
    pub(super) config: String,
}

impl Scored {
    pub(super) fn read(run: &RunFolder) -> Result<Scored> {
        let read = |path: PathBuf| {
            bounded::read_text(&path, bounded::RESULTS).with_context(|| {
                format!(
                    "cannot read {}; a run has it once its training is over (emovox train --resume {})",
                    path.display(),
                    run.name()
                )
            })
        };
        let report: Report = serde_json::from_str(&read(run.report_json())?)
            .with_context(|| format!("{} is no report of emovox", run.report_json().display()))?;
        let epochs = read_metrics(&run.metrics_csv())?;
        Ok(Scored {
            curves: Curves {
                name: run.name(),
                kept_epoch: report.epoch,
                epochs,
                note: report.note(),
            },
            saved: read_predictions(&run.predictions_csv())?,
            config: read(run.config_toml())?,
            report,
        })
    }

    pub(super) fn speakers(&self) -> Vec<&str> {
        self.saved
            .clips
            .iter()
            .map(|clip| clip.speaker.as_str())
            .collect()
    }

    fn by_speaker(&self) -> BySpeaker {
        BySpeaker::new(&self.saved.predictions, &self.speakers())
    }

    pub(super) fn intervals(&self) -> Option<Intervals> {
        self.by_speaker().intervals(1)
    }
}

/// The page of a run whose recordings are in the folder `data`. `advance` is called after each
/// recording, from any thread.
pub fn run_page(
    run: &RunFolder,
    data: &Path,
    how: &Sounds,
    advance: impl Fn() + Sync,
) -> Result<String> {
    let scored = Scored::read(run)?;
    let Scored {
        report,
        saved,
        curves,
        config,
    } = &scored;
    let metrics = &saved.predictions.metrics();
    let title = format!("{}: {} part", report.run, report.part);
    let note = report.note();
    let mut files = Places::default();
    let clips = rows(saved, "", |file| files.place(data.join(file)));
    let page = Page {
        title: report.run.clone(),
        subtitle: format!(
            "{} part of {}, {} clips",
            report.part, report.corpus, metrics.clips
        ),
        notes: report.statements(),
        figures: figures(metrics, scored.intervals(), report.calibration.ece)
            .into_iter()
            .chain(
                report
                    .epoch
                    .map(|epoch| ("epoch of the weights".into(), epoch.to_string())),
            )
            .collect(),
        tables: vec![
            class_table(metrics),
            speaker_table(&scored.by_speaker().each()),
        ],
        confusion: Some(Confusion::new(metrics)),
        pictures: vec![
            Picture::new("Curves", &curves_png(std::slice::from_ref(curves))?),
            Picture::new(
                "Recall",
                &recall_png(
                    &saved.predictions,
                    &scored.speakers(),
                    &title,
                    note.as_deref(),
                )?,
            ),
            Picture::new(
                "Reliability",
                &reliability_png(&report.calibration, &title, note.as_deref())?,
            ),
        ],
        clips: Some(Clips {
            classes: saved.predictions.classes.clone(),
            clips,
            sounds: read_sounds(&files.files, how, advance),
        }),
        settings: vec![("Settings (config.toml)".into(), config.clone())],
    };
    page.html()
}

/// Different files, each with a place.
#[derive(Default)]
pub(super) struct Places {
    pub(super) files: Vec<PathBuf>,
    places: BTreeMap<PathBuf, usize>,
}

impl Places {
    pub(super) fn place(&mut self, file: PathBuf) -> usize {
        let next = self.files.len();
        let place = *self.places.entry(file.clone()).or_insert(next);
        if place == next {
            self.files.push(file);
        }
        place
    }
}

/// The numbers at the top.
pub(super) fn figures(
    metrics: &Metrics,
    intervals: Option<Intervals>,
    ece: f64,
) -> Vec<(String, String)> {
    let classes = metrics
        .per_class
        .iter()
        .filter(|class| class.support > 0)
        .count();
    let mut figures = vec![
        ("UAR".to_string(), percent(metrics.uar)),
        ("accuracy".to_string(), percent(metrics.accuracy)),
        ("macro-F1".to_string(), percent(metrics.macro_f1)),
        (
            "chance UAR".to_string(),
            percent(1.0 / classes.max(1) as f64),
        ),
        ("expected calibration error".to_string(), percent(ece)),
    ];
    if let Some(intervals) = intervals {
        let name = "UAR, 95 % over speakers".to_string();
        figures.insert(1, (name, range(intervals.uar)));
    }
    figures
}

pub(super) fn range(interval: Interval) -> String {
    format!(
        "{:.1} – {:.1} %",
        100.0 * interval.low,
        100.0 * interval.high
    )
}

pub(super) fn class_table(metrics: &Metrics) -> Table {
    let row = |(class, name): (usize, &String)| {
        let of = metrics.per_class[class];
        let interval = wilson(metrics.confusion[class][class], of.support);
        vec![
            name.clone(),
            of.support.to_string(),
            percent(of.precision),
            percent(of.recall),
            range(interval),
            percent(of.f1),
        ]
    };
    Table {
        title: "Classes".into(),
        explained: "The interval is Wilson's, as if clips were independent of each other.".into(),
        head: [
            "class",
            "clips",
            "precision",
            "recall",
            "recall, 95 %",
            "F1",
        ]
        .map(String::from)
        .into(),
        rows: metrics.classes.iter().enumerate().map(row).collect(),
    }
}

pub(super) fn speaker_table(speakers: &[SpeakerScores]) -> Table {
    let row = |of: &SpeakerScores| {
        let hits = (of.accuracy * of.clips as f64).round() as u64;
        vec![
            if of.speaker.is_empty() {
                "unknown".into()
            } else {
                of.speaker.clone()
            },
            of.clips.to_string(),
            percent(of.accuracy),
            range(wilson(hits, of.clips)),
            percent(of.uar),
        ]
    };
    Table {
        title: "Speakers".into(),
        explained: String::new(),
        head: ["speaker", "clips", "accuracy", "accuracy, 95 %", "UAR"]
            .map(String::from)
            .into(),
        rows: speakers.iter().map(row).collect(),
    }
}
