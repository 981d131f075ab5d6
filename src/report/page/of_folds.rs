//! Page of a cross-validation: the scores of each fold, and of all folds together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::clips::{rows, speakers};
use super::of_run::{FileIndex, class_table, figures, range, speaker_table};
use super::stress::{StressChecks, checks_text};
use super::{
    ClipRow, Clips, ClipsPage, Confusion, Page, Picture, Sounds, Table, percent, read_sounds,
};
use crate::audio::{Channel, Excerpt};
use crate::bounded;
use crate::config::RunConfig;
use crate::evaluation::{Calibration, Intervals, MeanStd, Metrics, SpeakerScores};
use crate::leakage::is_in_question;
use crate::plural::counted;
use crate::report::{joined_notes, recall_png, reliability_png};
use crate::run::{RunFolder, SavedPredictions, read_fold_predictions, trial_name};

/// The fields of a cross-validation's `report.json` that a page shows.
#[derive(Debug, Deserialize)]
pub(super) struct SavedResults {
    pub(super) name: String,
    pub(super) corpus: String,
    folds: String,
    pub(super) arch: String,
    pub(super) notes: Vec<String>,
    #[serde(default)]
    speakers_shared: bool,
    cells: Vec<SavedCell>,
    mean_of_folds: SavedMeanStd,
    pub(super) pooled: SavedMeanStd,
    pub(super) intervals: Option<Intervals>,
    speakers: Vec<SpeakerScores>,
    pub(super) calibration: Calibration,
    pub(super) metrics: Metrics,
}

#[derive(Debug, Deserialize)]
struct SavedCell {
    fold: String,
    seed: u64,
    speakers: usize,
    clips: usize,
    accuracy: f64,
    uar: f64,
    macro_f1: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct SavedMeanStd {
    pub(super) accuracy: MeanStd,
    pub(super) uar: MeanStd,
    pub(super) macro_f1: MeanStd,
}

impl SavedResults {
    pub(super) fn read(folder: &Path) -> Result<SavedResults> {
        let path = RunFolder::in_folder(folder).report_json();
        let text = bounded::read_text(&path, bounded::RESULTS).with_context(|| {
            format!(
                "cannot read {}; a cross-validation has this file after its first trainings",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} has no results of a cross-validation yet",
                path.display()
            )
        })
    }

    /// The seed of `recall.png`; empty without trainings.
    fn first_seed(&self) -> String {
        let first = self.cells.first();
        first.map_or(String::new(), |cell| cell.seed.to_string())
    }

    fn subtitle(&self) -> String {
        let independent = if self.speakers_shared || is_in_question(&self.notes) {
            ""
        } else {
            ", each by models that were not trained on this speaker"
        };
        let speakers = counted(self.speakers.len(), "test speaker");
        format!(
            "cross-validation of {} on {}, folds {}: {speakers}{independent}; {} predictions",
            self.arch, self.corpus, self.folds, self.metrics.clips
        )
    }

    /// The channel of recordings that the models read; the mix if no settings can be read.
    fn channel(&self, folder: &Path) -> Channel {
        let config = |cell: &SavedCell| {
            let run = folder.join(trial_name(&cell.fold, cell.seed));
            RunConfig::read(&RunFolder::in_folder(&run).config_toml()).ok()
        };
        let config = self.cells.iter().find_map(config);
        config.map_or(Channel::Mix, |config| config.audio.channel)
    }

    /// The passed checks of each training whose stress test was made.
    pub(super) fn stress(&self, folder: &Path) -> Result<Vec<Option<StressChecks>>> {
        let of_cell = |cell: &SavedCell| {
            let run = folder.join(trial_name(&cell.fold, cell.seed));
            StressChecks::of(&RunFolder::in_folder(&run))
        };
        self.cells.iter().map(of_cell).collect()
    }
}

/// HTML page of the cross-validation in `folder`, with recordings in the folder `data`. `advance`
/// is called after each recording, from any thread.
///
/// # Errors
/// If the cross-validation has no results, or if its files cannot be read.
pub fn folds_page(
    folder: &Path,
    data: &Path,
    how: &Sounds,
    advance: impl Fn() + Sync,
) -> Result<ClipsPage> {
    let results = SavedResults::read(folder)?;
    let plan = bounded::read_text(&folder.join("cross-validation.toml"), bounded::RESULTS)
        .unwrap_or_default();
    let predicted = Predicted::read(folder, data, &results)?;
    let distinct = &predicted.distinct;
    let metrics = &results.metrics;
    let shown = metrics.with_macro_f1(results.pooled.macro_f1.mean);
    let page = Page {
        title: results.name.clone(),
        subtitle: results.subtitle(),
        notes: results.notes.clone(),
        figures: figures(&shown, results.intervals, results.calibration.ece),
        tables: vec![
            fold_table(&results, &results.stress(folder)?),
            class_table(metrics, &distinct.of_classes),
            speaker_table(&results.speakers, |speaker| {
                let clips = distinct.of_speakers.get(&speaker.speaker);
                clips.copied().unwrap_or_default()
            }),
        ],
        confusion: Some(Confusion::new(metrics)),
        pictures: predicted.pictures(&results)?,
        clips: Some(Clips {
            classes: predicted.first.predictions.classes,
            clips: predicted.clips,
            sounds: read_sounds(
                &predicted.files.files,
                results.channel(folder),
                how,
                advance,
            ),
        }),
        settings: vec![("Settings and folds (cross-validation.toml)".into(), plan)],
        ..Page::default()
    };
    page.with_clips()
}

/// Predictions of all trainings of a cross-validation.
struct Predicted {
    clips: Vec<ClipRow>,
    files: FileIndex,
    distinct: Distinct,
    /// Predictions of the trainings with the first seed.
    first: SavedPredictions,
}

impl Predicted {
    /// Reads the predictions in `folder`, with recordings in the folder `data`.
    fn read(folder: &Path, data: &Path, results: &SavedResults) -> Result<Predicted> {
        let by_training = read_fold_predictions(&RunFolder::in_folder(folder).predictions_csv())?;
        let (mut clips, mut files) = (Vec::new(), FileIndex::default());
        let mut distinct = Distinct::new(results.metrics.classes.len());
        let first_seed = results.first_seed();
        let mut first: Option<SavedPredictions> = None;
        for (training, saved) in by_training {
            let name = training_name(&training[0], &training[1]);
            let index_of = |file: &Excerpt| files.index_of(file.below(data));
            clips.extend(rows(&saved, &name, index_of));
            distinct.add(&saved);
            match &mut first {
                _ if training[1] != first_seed => {}
                None => first = Some(saved),
                Some(first) => {
                    first.clips.extend(saved.clips);
                    let (all, more) = (&mut first.predictions, saved.predictions);
                    all.truth.extend(more.truth);
                    all.probabilities.extend(more.probabilities);
                }
            }
        }
        ensure!(
            clips.len() == results.metrics.clips,
            "{} has {}, but report.json has {}: one of the files was changed. The command that made the \
             study writes both again",
            RunFolder::in_folder(folder).predictions_csv().display(),
            counted(clips.len(), "prediction"),
            results.metrics.clips
        );
        Ok(Predicted {
            clips,
            files,
            distinct,
            first: first
                .with_context(|| format!("no training of {} is finished yet", results.name))?,
        })
    }

    fn pictures(&self, results: &SavedResults) -> Result<Vec<Picture>> {
        let note = joined_notes(&results.notes);
        let note = note.as_deref();
        let (name, seed) = (&results.name, results.first_seed());
        let title = format!("{name}: all folds, seed {seed}");
        let first = &self.first;
        let recall = recall_png(&first.predictions, &speakers(first), &title, note)?;
        let title = format!("{name}: all folds and seeds");
        let reliability = reliability_png(&results.calibration, &title, note)?;
        Ok(vec![
            Picture::new("Recall", &recall),
            Picture::new("Reliability", &reliability),
        ])
    }
}

/// Numbers of different clips. With several seeds, each clip has several predictions.
struct Distinct {
    seen: BTreeSet<Excerpt>,
    of_classes: Vec<u64>,
    of_speakers: BTreeMap<String, u64>,
}

impl Distinct {
    fn new(classes: usize) -> Distinct {
        Distinct {
            seen: BTreeSet::new(),
            of_classes: vec![0; classes],
            of_speakers: BTreeMap::new(),
        }
    }

    fn add(&mut self, saved: &SavedPredictions) {
        for (clip, &class) in saved.clips.iter().zip(&saved.predictions.truth) {
            if self.seen.insert(clip.file.clone()) {
                self.of_classes[class] += 1;
                *self.of_speakers.entry(clip.speaker.clone()).or_default() += 1;
            }
        }
    }
}

/// Name of a training; without folds, the fold has no name.
fn training_name(fold: &str, seed: &str) -> String {
    match fold {
        "" => format!("seed {seed}"),
        fold => format!("fold {fold}, seed {seed}"),
    }
}

fn fold_table(results: &SavedResults, stress: &[Option<StressChecks>]) -> Table {
    let cell = |(cell, &stress): (&SavedCell, &Option<StressChecks>)| {
        vec![
            training_name(&cell.fold, &cell.seed.to_string()),
            cell.speakers.to_string(),
            cell.clips.to_string(),
            percent(cell.accuracy),
            percent(cell.uar),
            percent(cell.macro_f1),
            checks_text(stress),
        ]
    };
    let summary = |name: &str, scores: &SavedMeanStd, stress: String| {
        let [accuracy, uar, macro_f1] =
            [scores.accuracy, scores.uar, scores.macro_f1].map(mean_std_text);
        vec![
            name.into(),
            String::new(),
            String::new(),
            accuracy,
            uar,
            macro_f1,
            stress,
        ]
    };
    let cells = results.cells.iter().zip(stress);
    let mut rows: Vec<Vec<String>> = cells.map(cell).collect();
    let mean = checks_text(StressChecks::mean(stress));
    rows.push(summary("mean of the folds", &results.mean_of_folds, mean));
    rows.push(summary(
        "all test clips together",
        &results.pooled,
        String::new(),
    ));
    if let Some(Intervals {
        accuracy,
        uar,
        macro_f1,
    }) = results.intervals
    {
        let [accuracy, uar, macro_f1] = [accuracy, uar, macro_f1].map(range);
        let name = "95 % interval, by bootstrap over speakers".to_string();
        rows.push(vec![
            name,
            String::new(),
            String::new(),
            accuracy,
            uar,
            macro_f1,
            String::new(),
        ]);
    }
    Table {
        title: "Folds".into(),
        explained: match results.pooled.uar.std {
            Some(_) => "± is the standard deviation over the seeds.".into(),
            None => String::new(),
        },
        head: [
            "training",
            "speakers",
            "clips",
            "accuracy",
            "UAR",
            "macro-F1",
            "stress test",
        ]
        .map(String::from)
        .into(),
        rows,
    }
}

pub(super) fn mean_std_text(MeanStd { mean, std }: MeanStd) -> String {
    match std {
        Some(std) => format!("{:.1} ± {:.1} %", 100.0 * mean, 100.0 * std),
        None => percent(mean),
    }
}
