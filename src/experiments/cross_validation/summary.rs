//! Results of a cross-validation: the scores of all trials together.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use csv::StringRecord;
use serde::Serialize;

use super::{CrossValidation, ONE_SPLIT};
use crate::audio::Excerpt;
use crate::bounded;
use crate::config::RunConfig;
use crate::corpus;
use crate::escape::escape_line;
use crate::evaluation::{self, Calibration, Intervals, MeanStd, Metrics, Scores, SpeakerScores};
use crate::experiments::plan::check_pooled;
use crate::experiments::summary::{
    NOT_DONE, SeedSummary, TestedTrial, TrialScores, by_seed, note_line, over_seeds, percent,
    percent_interval, percent_spread, pool, scores_of, speakers, write_csv, write_report,
};
use crate::experiments::trial::{Subject, Trial};
use crate::io::{write_atomically, write_bytes};
use crate::leakage::Caveats;
use crate::plural::{counted, is_or_are};
use crate::report::{confusion_png, joined_notes, recall_png, reliability_png};
use crate::run::{RunFolder, SavedPredictions, write_confusion};

/// Scores of a cross-validation. They are fractions of 1.
#[derive(Debug, Clone, Serialize)]
pub struct CrossValidationSummary {
    /// Name of the cross-validation.
    pub name: String,
    /// Name of the corpus: `ravdess`, `emodb` …
    pub corpus: String,
    /// Kind of folds.
    pub folds: String,
    /// Architecture of the model.
    pub arch: String,
    /// Notes that a reader of the scores needs.
    pub notes: Vec<String>,
    /// True if two subsets of a trial may have a speaker in common.
    pub speakers_shared: bool,
    /// Names of the trials that are not finished.
    pub missing: Vec<String>,
    /// Scores of each finished trial.
    #[serde(rename = "cells")]
    pub trials: Vec<TrialScores>,
    /// Over the seeds: the mean of the folds. The UAR of a fold counts only the classes of its test
    /// speakers. If test speakers lack classes, as in EmoDB, compare `pooled`.
    pub mean_of_folds: Scores<MeanStd>,
    /// Over the seeds: the test clips of all folds pooled.
    pub pooled: Scores<MeanStd>,
    /// 95 % intervals of the pooled scores, by bootstrap over speakers. None with fewer than two
    /// speakers.
    pub intervals: Option<Intervals>,
    /// Scores of the ensemble of the seeds: probabilities are averaged over the seeds. None with
    /// one seed, or before all trials are finished.
    pub ensemble: Option<Scores>,
    /// Scores of each speaker, over all seeds.
    pub speakers: Vec<SpeakerScores>,
    /// Calibration of the probabilities of all trials.
    pub calibration: Calibration,
    /// Metrics of all trials: each clip is counted once per seed.
    pub metrics: Metrics,
    /// Predictions of the trials with the first seed.
    #[serde(skip)]
    first_seed: SavedPredictions,
}

impl CrossValidation {
    /// Results of the finished trials.
    ///
    /// # Errors
    /// If files of a trial cannot be read, or if trials had different recordings or classes.
    pub fn summary(&self) -> Result<CrossValidationSummary> {
        let (done, missing): (Vec<Trial>, Vec<Trial>) =
            self.trials().into_iter().partition(Trial::is_done);
        let not_compared = check_pooled(&done)?;
        let mut caveats = Caveats::default();
        let mut skipped = 0;
        let mut tested: Vec<TestedTrial> = Vec::new();
        let mut trials = Vec::new();
        for trial in done {
            let (one, run) = (TestedTrial::read(trial)?, trial.run()?);
            let first = tested.first().unwrap_or(&one);
            ensure!(
                one.test.predictions.classes == first.test.predictions.classes,
                "{} has other classes than {}; train both again",
                trial.name(),
                first.trial.name()
            );
            skipped = RunConfig::read(&run.config_toml())?
                .data
                .skipped
                .max(skipped);
            let of_trial = Caveats::of_run(&run)?;
            trials.push(one.scores_with(&of_trial));
            caveats.merge(of_trial);
            tested.push(one);
        }
        let config = &self.plan.config;
        let all = SeedSummary::of(&tested, config.split.seed);

        let mut notes = caveats.notes();
        if not_compared > 0 {
            notes.push(format!(
                "the recordings of {} are not compared, because the version that trained them did not \
                 record the content of recordings",
                counted(not_compared, "trial")
            ));
        }
        notes.extend(corpus::left_out(skipped));
        let speakers = corpus::speakers(&all.pooled.clips);
        let absent = self.plan.missing_speakers(&speakers);
        if missing.is_empty() && !absent.is_empty() {
            notes.push(format!(
                "without {} of the speakers of the published folds",
                absent.join(", ")
            ));
        }
        if !missing.is_empty() {
            let trials = counted(missing.len(), "trial");
            notes.push(format!("{trials} {} {NOT_DONE}", is_or_are(missing.len())));
        }
        let metrics = all.pooled.predictions.metrics();
        let without_clips = metrics.missing();
        if missing.is_empty() && !without_clips.is_empty() {
            notes.push(format!(
                "no test clip of {}: the UAR is the mean over the other classes",
                without_clips.join(", ")
            ));
        }
        let mean_of_folds = |seed: &[&TestedTrial]| {
            let scores: Vec<Scores> = seed.iter().map(|tested| tested.scores).collect();
            Scores::across(&scores, |values| MeanStd::of(values).mean)
        };
        let seeds = by_seed(&tested);
        let ensemble = if missing.is_empty() && seeds.len() > 1 {
            ensemble(&seeds)
        } else {
            None
        };
        // Without some trials, the seeds have tested different speakers.
        let spread = |scores: Scores<MeanStd>| {
            scores.map(|score| MeanStd {
                std: score.std.filter(|_| missing.is_empty()),
                ..*score
            })
        };
        Ok(CrossValidationSummary {
            name: self.name(),
            corpus: config.data.name(),
            folds: self.plan.folds.clone(),
            arch: config.model.arch().to_string(),
            notes,
            speakers_shared: caveats.speakers_shared(),
            missing: missing.iter().map(Trial::name).collect(),
            trials,
            mean_of_folds: spread(over_seeds(&tested, mean_of_folds)),
            pooled: spread(all.scores),
            intervals: all.intervals,
            ensemble,
            speakers: all.by_speaker.each(),
            calibration: Calibration::of(&all.pooled.predictions),
            metrics,
            first_seed: pool(seeds.into_iter().next().unwrap_or_default()),
        })
    }

    /// Writes all tables, the report and the pictures.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_summary(&self, summary: &CrossValidationSummary) -> Result<()> {
        let file = |name: &str| self.folder.join(name);
        let files = RunFolder::in_folder(&self.folder);
        let trials = summary.trials.iter();
        let trials = trials.map(|t| (&t.fold, t.seed, t.speakers, t.clips, t.scores, &t.notes));
        let columns = [
            "fold", "seed", "speakers", "clips", "accuracy", "uar", "macro_f1", "notes",
        ];
        write_csv(&file("folds.csv"), columns, trials)?;
        let columns = ["speaker", "clips", "accuracy", "uar"];
        write_csv(&file("speakers.csv"), columns, &summary.speakers)?;
        self.write_predictions()?;
        write_report(&self.folder, "report", &summary.text(), summary)?;
        let Some(first) = summary.trials.first() else {
            return Ok(());
        };
        let metrics = &summary.metrics;
        write_confusion(&files.confusion_csv(), &metrics.classes, &metrics.confusion)?;
        let note = joined_notes(&summary.notes);
        let note = note.as_deref();
        let title = format!("{}: all folds and seeds", summary.name);
        let shown = metrics.with_macro_f1(summary.pooled.macro_f1.mean);
        let png = confusion_png(&shown, &title, note)?;
        write_bytes(&files.confusion_png(), &png)?;
        let png = reliability_png(&summary.calibration, &title, note)?;
        write_bytes(&files.reliability_png(), &png)?;
        let title = format!("{}: all folds, seed {}", summary.name, first.seed);
        let seed = &summary.first_seed;
        let png = recall_png(&seed.predictions, &speakers(seed), &title, note)?;
        write_bytes(&files.recall_png(), &png)
    }

    /// Writes `predictions.csv`: the predictions of all finished trials, with fold and seed.
    fn write_predictions(&self) -> Result<()> {
        let done = self.trials().into_iter().filter(Trial::is_done);
        let tables: Vec<Table> = done.map(Table::read).collect::<Result<_>>()?;
        let headers = tables.iter().map(|table| &table.header);
        // Only trials whose test clips are segments have columns for their times.
        let Some(header) = headers.max_by_key(|header| header.len()) else {
            return Ok(());
        };
        write_atomically(
            &RunFolder::in_folder(&self.folder).predictions_csv(),
            |file| {
                let mut writer = csv::Writer::from_writer(file);
                writer.write_record(["fold", "seed"].into_iter().chain(header))?;
                for table in &tables {
                    let missing = header.len() - table.header.len();
                    let training = [table.fold.as_str(), table.seed.as_str()].into_iter();
                    for line in &table.lines {
                        let empty = std::iter::repeat_n("", missing);
                        writer.write_record(training.clone().chain(line).chain(empty))?;
                    }
                }
                Ok(writer.flush()?)
            },
        )
    }
}

/// The predictions of a trial.
struct Table {
    fold: String,
    seed: String,
    header: StringRecord,
    lines: Vec<StringRecord>,
}

impl Table {
    fn read(trial: Trial) -> Result<Table> {
        let path = trial.files().predictions_csv();
        let text = bounded::read(&path, bounded::TABLE)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut reader = csv::Reader::from_reader(&text[..]);
        Ok(Table {
            fold: match trial.subject {
                Subject::Fold(fold) => fold.name.clone(),
                Subject::Corpus(_) => String::new(),
            },
            seed: trial.seed.to_string(),
            header: reader.headers()?.clone(),
            lines: reader.records().collect::<Result<_, _>>()?,
        })
    }
}

/// Scores of the probabilities averaged over the seeds. None if the trials of a fold have different
/// test clips, because a recording could not be read in one of them.
fn ensemble(seeds: &[Vec<&TestedTrial>]) -> Option<Scores> {
    let mut pooled = seeds.iter().map(|seed| pool(seed.iter().copied()));
    let mut sum = pooled.next()?;
    for other in pooled {
        let files = |test: &SavedPredictions| -> Vec<Excerpt> {
            test.clips.iter().map(|clip| clip.file.clone()).collect()
        };
        if files(&other) != files(&sum) {
            return None;
        }
        let rows = sum.predictions.probabilities.iter_mut();
        for (row, other) in rows.zip(other.predictions.probabilities) {
            row.iter_mut().zip(other).for_each(|(p, other)| *p += other);
        }
    }
    Some(scores_of(&sum))
}

impl CrossValidationSummary {
    /// The results as text.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {} on {}, {}\n",
            escape_line(&self.name),
            self.arch,
            escape_line(&self.corpus),
            match self.folds.as_str() {
                ONE_SPLIT => ONE_SPLIT.to_string(),
                folds => format!("folds {folds}, by speaker"),
            }
        );
        text += &note_line(&self.notes);
        if self.trials.is_empty() {
            return text;
        }
        let folds = self.trials.iter().map(|trial| trial.fold.as_str());
        let width = widest(folds, "fold");
        text += &format!(
            "\n{:>width$}  seed  speakers  clips  accuracy    UAR  macro-F1\n",
            "fold"
        );
        for trial in &self.trials {
            let Scores {
                accuracy,
                uar,
                macro_f1,
            } = trial.scores.map(|&score| percent(score));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:>width$}  {:>4}  {:>8}  {:>5}  {accuracy:>8}  {uar:>5}  {macro_f1:>8}",
                escape_line(&trial.fold),
                trial.seed,
                trial.speakers,
                trial.clips,
            );
        }
        text += "\n";
        text += &score_line("mean of the folds", self.mean_of_folds.map(percent_spread));
        text += &score_line("all test clips together", self.pooled.map(percent_spread));
        if let Some(intervals) = &self.intervals {
            let intervals = intervals.map(percent_interval);
            text += &score_line("95 % interval, by speakers", intervals);
        }
        if let Some(ensemble) = &self.ensemble {
            let scores = ensemble.map(|&score| percent(score));
            text += &score_line("seeds as one (ensemble)", scores);
        }
        text += &format!(
            "{:<26}  {} %\n",
            "expected calibration error",
            percent(self.calibration.ece)
        );
        let names = self.speakers.iter().map(|scores| scores.speaker.as_str());
        let width = widest(names, "speaker");
        text += &format!("\n{:>width$}  clips  accuracy    UAR\n", "speaker");
        for speaker in &self.speakers {
            let _ = writeln!(
                text,
                "{:>width$}  {:>5}  {:>8}  {:>5}",
                escape_line(&speaker.speaker),
                speaker.clips,
                percent(speaker.accuracy),
                percent(speaker.uar)
            );
        }
        text += "\n";
        if count_seeds(&self.trials) > 1 {
            text += "All predictions; a clip counts once for each seed, so the averages are not the \
                     means of the seeds:\n\n";
        }
        text += &evaluation::classification_table(&self.metrics);
        text += "\nConfusion (rows: truth, columns: prediction), all trials\n\n";
        text += &evaluation::confusion_table(&self.metrics);
        text
    }
}

/// Number of seeds of some trials.
fn count_seeds(trials: &[TrialScores]) -> usize {
    let seeds: BTreeSet<u64> = trials.iter().map(|trial| trial.seed).collect();
    seeds.len()
}

/// Width of a column with some names below a title.
fn widest<'a>(names: impl Iterator<Item = &'a str>, title: &str) -> usize {
    let widths = names.map(|name| escape_line(name).chars().count());
    widths.chain([title.len()]).max().unwrap_or_default()
}

fn score_line(title: &str, scores: Scores<String>) -> String {
    let Scores {
        accuracy,
        uar,
        macro_f1,
    } = scores;
    format!("{title:<26}  accuracy {accuracy:<12}  UAR {uar:<12}  macro-F1 {macro_f1}\n")
}
