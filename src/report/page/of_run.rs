//! Page of one run: scores, pictures, settings, and a player for every scored clip.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::clips::{rows, speakers};
use super::stress::{read_stress, stress_picture, stress_tables};
use super::{Clips, ClipsPage, Confusion, Page, Picture, Sounds, Table, percent, read_sounds};
use crate::audio::Excerpt;
use crate::bounded;
use crate::config::RunConfig;
use crate::escape::shell_word;
use crate::evaluation::{Interval, Intervals, Metrics, SpeakerBootstrap, SpeakerScores, wilson};
use crate::plural::counted;
use crate::report::scores::{scored_set, speaker_name};
use crate::report::{Curves, Report, StressReport, curves_png, recall_png, reliability_png};
use crate::run::{RunFolder, SavedPredictions, read_metrics, read_test_predictions};

/// Results of a run, read from its folder.
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
                    "cannot read {}; a run has this file after its training \
                     (emovox train --resume {})",
                    path.display(),
                    run.name()
                )
            })
        };
        refuse_final(run)?;
        let report: Report =
            serde_json::from_str(&read(run.report_json())?).with_context(|| {
                format!("{} is not a report of emovox", run.report_json().display())
            })?;
        let epochs = read_metrics(&run.metrics_csv())?;
        Ok(Scored {
            curves: Curves {
                name: run.name(),
                kept_epoch: report.epoch,
                epochs,
                note: report.note(),
            },
            saved: read_test_predictions(run)?,
            config: read(run.config_toml())?,
            report,
        })
    }

    fn by_speaker(&self) -> SpeakerBootstrap {
        SpeakerBootstrap::new(&self.saved.predictions, &speakers(&self.saved))
    }

    pub(super) fn intervals(&self) -> Option<Intervals> {
        self.by_speaker().intervals(1)
    }

    fn pictures(&self, stress: Option<&StressReport>) -> Result<Vec<Picture>> {
        let Scored { report, saved, .. } = self;
        let title = format!("{}: {} subset", report.run, report.subset);
        let note = report.note();
        let note = note.as_deref();
        let curves = curves_png(std::slice::from_ref(&self.curves))?;
        let recall = recall_png(&saved.predictions, &speakers(saved), &title, note)?;
        let reliability = reliability_png(&report.calibration, &title, note)?;
        let mut pictures = vec![
            Picture::new("Curves", &curves),
            Picture::new("Recall", &recall),
            Picture::new("Reliability", &reliability),
        ];
        if let Some(stress) = stress {
            pictures.push(stress_picture(stress)?);
        }
        Ok(pictures)
    }
}

/// Rejects the page of a final model, which has no scored clips.
fn refuse_final(run: &RunFolder) -> Result<()> {
    let config = RunConfig::read(&run.config_toml())?;
    if config.split.is_without_test() && !run.report_json().exists() {
        bail!(
            "{name} is a final model: it is trained without a test subset, so there are no scored \
             clips to show. Its curves are in {curves}; its scores on other recordings: \
             emovox evaluate {path} --data DIR",
            name = run.name(),
            curves = run.curves_png().display(),
            path = shell_word(&run.path().display().to_string())
        );
    }
    Ok(())
}

/// HTML page of a run whose recordings are in the folder `data`. `advance` is called after each
/// recording, from any thread.
///
/// # Errors
/// If the run has no results, or if its files cannot be read.
pub fn run_page(
    run: &RunFolder,
    data: &Path,
    how: &Sounds,
    advance: impl Fn() + Sync,
) -> Result<ClipsPage> {
    let scored = Scored::read(run)?;
    let Scored { report, saved, .. } = &scored;
    let metrics = &saved.predictions.metrics();
    let mut files = FileIndex::default();
    let clips = rows(saved, "", |file| files.index_of(file.below(data)));
    let channel = RunConfig::read(&run.config_toml())?.audio.channel;
    let stress = read_stress(run)?;
    let supports: Vec<u64> = metrics
        .per_class
        .iter()
        .map(|class| class.support)
        .collect();
    let mut tables = vec![
        class_table(metrics, &supports),
        speaker_table(&scored.by_speaker().each(), |speaker| speaker.clips),
    ];
    tables.extend(stress.iter().flat_map(stress_tables));
    let mut figures = figures(metrics, scored.intervals(), report.calibration.ece);
    if let Some(epoch) = report.epoch {
        figures.push(("epoch of the weights".into(), epoch.to_string()));
    }
    let (notes, facts) = if report.is_certified() {
        (Vec::new(), report.statements())
    } else {
        (report.statements(), Vec::new())
    };
    let page = Page {
        title: report.run.clone(),
        subtitle: format!(
            "{} of {}, {}",
            scored_set(&report.subset),
            report.corpus,
            counted(metrics.clips, "clip")
        ),
        notes,
        facts,
        figures,
        tables,
        confusion: Some(Confusion::new(metrics)),
        pictures: scored.pictures(stress.as_ref())?,
        clips: Some(Clips {
            classes: saved.predictions.classes.clone(),
            clips,
            sounds: read_sounds(&files.files, channel, how, advance),
        }),
        settings: vec![("Settings (config.toml)".into(), scored.config.clone())],
    };
    page.with_clips()
}

/// List of distinct recordings.
#[derive(Default)]
pub(super) struct FileIndex {
    pub(super) files: Vec<Excerpt>,
    indices: BTreeMap<Excerpt, usize>,
}

impl FileIndex {
    /// Index of a recording in the list; a new one is appended.
    pub(super) fn index_of(&mut self, file: Excerpt) -> usize {
        let next = self.files.len();
        let index = *self.indices.entry(file.clone()).or_insert(next);
        if index == next {
            self.files.push(file);
        }
        index
    }
}

/// Names and values of the numbers at the top of a page.
pub(super) fn figures(
    metrics: &Metrics,
    intervals: Option<Intervals>,
    ece: f64,
) -> Vec<(String, String)> {
    let mut figures = vec![
        ("UAR".to_string(), percent(metrics.uar)),
        ("accuracy".to_string(), percent(metrics.accuracy)),
        ("macro-F1".to_string(), percent(metrics.macro_f1)),
        ("chance UAR".to_string(), percent(metrics.chance())),
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

/// Scores of each class; `clips` are the numbers of different clips. With several seeds each clip
/// has several predictions, which are not independent: the intervals count it once.
pub(super) fn class_table(metrics: &Metrics, clips: &[u64]) -> Table {
    let row = |(class, name): (usize, &String)| {
        let scores = metrics.per_class[class];
        let share = metrics.confusion[class][class] as f64 / scores.support.max(1) as f64;
        vec![
            name.clone(),
            clips[class].to_string(),
            percent(scores.precision),
            percent(scores.recall),
            range(wilson_of_share(share, clips[class])),
            percent(scores.f1),
        ]
    };
    let has_several = clips.iter().sum::<u64>() < metrics.clips as u64;
    Table {
        title: "Classes".into(),
        explained: if has_several {
            "Wilson's interval, which assumes independent clips. It counts each clip once, not \
             once for each seed."
        } else {
            "Wilson's interval, which assumes independent clips."
        }
        .into(),
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

/// Wilson's interval for a share of some clips.
fn wilson_of_share(share: f64, clips: u64) -> Interval {
    wilson((share * clips as f64).round() as u64, clips)
}

/// Scores of each speaker; `clips` gives the number of different clips, as for [`class_table`].
pub(super) fn speaker_table(
    speakers: &[SpeakerScores],
    clips: impl Fn(&SpeakerScores) -> u64,
) -> Table {
    let row = |scores: &SpeakerScores| {
        vec![
            speaker_name(&scores.speaker).to_string(),
            clips(scores).to_string(),
            percent(scores.accuracy),
            range(wilson_of_share(scores.accuracy, clips(scores))),
            percent(scores.uar),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Predictions;

    #[test]
    fn a_clip_counts_once_in_the_intervals_of_several_seeds() {
        let rows = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9], [0.4, 0.6]];
        let predictions = |times: usize| Predictions {
            classes: vec!["anger".into(), "fear".into()],
            truth: [0, 0, 0, 0, 1].repeat(times),
            probabilities: rows.repeat(times).into_iter().map(Vec::from).collect(),
        };
        let intervals = |times: usize| {
            let table = class_table(&predictions(times).metrics(), &[4, 1]);
            table
                .rows
                .into_iter()
                .map(|row| row[4].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(intervals(3), intervals(1));
        assert_eq!(intervals(1)[0], range(wilson(3, 4)));
    }
}
