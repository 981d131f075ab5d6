//! Results of a sweep: the scores of each combination of values, and its difference to the
//! baseline.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use super::{HyperParams, Sweep, SweepTrial};
use crate::escape::escape_line;
use crate::evaluation::{Interval, Intervals, MeanStd, Scores};
use crate::experiments::cross_validation::CrossValidationSummary;
use crate::experiments::plan::check_pooled;
use crate::experiments::summary::{
    NOT_DONE, TestedTrial, TrialScores, by_seed, by_speaker, note_line, percent_interval,
    percent_spread, pool, scores_of, write_columns, write_report,
};
use crate::experiments::trial::TrialState;
use crate::io::write_bytes;
use crate::plural::{counted, is_or_are};
use crate::report::{GridRow, change, grid_png, joined_notes};

/// Results of all finished trials of a sweep.
#[derive(Debug, Clone, Serialize)]
pub struct SweepSummary {
    /// Name of the sweep.
    pub name: String,
    /// Keys of the settings that differ.
    pub keys: Vec<String>,
    /// Number of finished trials.
    pub done: usize,
    /// Number of all trials.
    #[serde(rename = "cells")]
    pub trial_count: usize,
    /// Name of the combination that all others are compared with.
    pub baseline: Option<String>,
    /// Notes that a reader of the scores needs.
    pub notes: Vec<String>,
    /// Results of each combination of values, in the order of the values.
    #[serde(rename = "settings")]
    pub hyper_params: Vec<HyperParamsRow>,
    /// State and scores of each trial.
    #[serde(rename = "trainings")]
    pub trials: Vec<TrialRow>,
}

/// Results of one combination of values. Scores are fractions of 1, and None before the first trial
/// is finished.
#[derive(Debug, Clone, Serialize)]
pub struct HyperParamsRow {
    /// Name of the combination.
    #[serde(rename = "setting")]
    pub name: String,
    /// The values, in the order of the keys.
    pub values: Vec<String>,
    /// Number of finished trials.
    pub done: usize,
    /// Number of all trials.
    #[serde(rename = "cells")]
    pub trial_count: usize,
    /// Over the seeds: the test clips of all folds pooled.
    pub scores: Option<Scores<MeanStd>>,
    /// 95 % intervals by bootstrap over speakers.
    pub intervals: Option<Intervals>,
    /// Difference to the baseline.
    pub above_baseline: Option<BaselineDifference>,
    /// Notes that a reader of the scores needs.
    pub notes: Vec<String>,
    /// Full results of the cross-validation with these values.
    #[serde(skip)]
    cross_validation: CrossValidationSummary,
}

/// Difference to the baseline, over the pairs of trials with the same fold and seed that are both
/// finished.
#[derive(Debug, Clone, Serialize)]
pub struct BaselineDifference {
    /// Number of pairs.
    pub pairs: usize,
    /// Number of pairs in which the UAR is higher than that of the baseline.
    pub higher: usize,
    /// UAR minus the UAR of the baseline, over the seeds: the test clips of all pairs with a seed are
    /// pooled.
    pub uar: MeanStd,
    /// 95 % interval of this difference (paired bootstrap: both are scored on the same resamples of
    /// speakers).
    pub interval: Option<Interval>,
}

/// State and scores of a trial.
#[derive(Debug, Clone, Serialize)]
pub struct TrialRow {
    /// Name of the trial.
    #[serde(rename = "cell")]
    pub name: String,
    /// Name of its combination of values.
    #[serde(rename = "setting")]
    pub hyper_params: String,
    /// `done`, `failed`, `begun` or `waiting`.
    pub state: &'static str,
    /// Scores of a finished trial.
    pub scores: Option<TrialScores>,
    /// Error message of a failed trial.
    pub error: Option<String>,
}

impl Sweep {
    /// Results of the finished trials, also while others are in training.
    ///
    /// # Errors
    /// If files of a trial cannot be read, or if trials that are compared had different recordings.
    pub fn summary(&self) -> Result<SweepSummary> {
        let mut hyper_params = Vec::new();
        for one in &self.hyper_params {
            hyper_params.push(self.hyper_params_row(one)?);
        }
        let trials: Vec<TrialRow> = self
            .trials()
            .into_iter()
            .map(trial_row)
            .collect::<Result<_>>()?;
        let mut notes: Vec<String> = Vec::new();
        for row in &hyper_params {
            for note in &row.cross_validation.notes {
                // Missing trials are counted for the whole sweep.
                if !note.ends_with(NOT_DONE) && !notes.contains(note) {
                    notes.push(note.clone());
                }
            }
        }
        let done = hyper_params.iter().map(|row| row.done).sum();
        let left = trials.len() - done;
        if left > 0 {
            notes.push(format!(
                "{left} of {} {} {NOT_DONE}",
                counted(trials.len(), "trial"),
                is_or_are(left)
            ));
        }
        let baseline = self.baseline.map(|index| &self.hyper_params[index]);
        Ok(SweepSummary {
            name: self.name.clone(),
            keys: self.keys.clone(),
            done,
            trial_count: trials.len(),
            baseline: baseline.map(|baseline| baseline.name.clone()),
            notes,
            hyper_params,
            trials,
        })
    }

    fn hyper_params_row(&self, hyper_params: &HyperParams) -> Result<HyperParamsRow> {
        let results = hyper_params.study.summary()?;
        let has_scores = !results.trials.is_empty();
        let baseline = self.baseline.map(|index| &self.hyper_params[index]);
        let above_baseline = match baseline {
            Some(baseline) if baseline.name != hyper_params.name => {
                difference(hyper_params, baseline)?
            }
            _ => None,
        };
        Ok(HyperParamsRow {
            name: hyper_params.name.clone(),
            values: hyper_params.values.clone(),
            done: results.trials.len(),
            trial_count: hyper_params.trials().len(),
            scores: has_scores.then_some(results.pooled),
            intervals: results.intervals.filter(|_| has_scores),
            above_baseline,
            notes: if has_scores {
                results.notes.clone()
            } else {
                Vec::new()
            },
            cross_validation: results,
        })
    }

    /// Writes the tables and the picture, and the report of each combination with a finished trial.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_summary(&self, summary: &SweepSummary) -> Result<()> {
        self.create()?;
        for (hyper_params, row) in self.hyper_params.iter().zip(&summary.hyper_params) {
            if row.done > 0 {
                hyper_params.study.write_summary(&row.cross_validation)?;
            }
        }
        let rows = summary.hyper_params.iter();
        let rows = rows.map(|row| row.columns(&summary.keys));
        write_columns(&self.folder.join("settings.csv"), rows)?;
        let rows = summary.trials.iter().map(TrialRow::columns);
        write_columns(&self.folder.join("cells.csv"), rows)?;
        write_report(&self.folder, "grid", &summary.text(), summary)?;
        if summary.done == 0 {
            return Ok(());
        }
        let rows = summary.hyper_params.iter().map(|row| GridRow {
            name: row.name.clone(),
            is_baseline: summary.is_baseline(row),
            uar: row.scores.map(|scores| scores.uar),
            interval: row.intervals.map(|intervals| intervals.uar),
            above: row
                .above_baseline
                .as_ref()
                .map(|above| (above.uar.mean, above.interval)),
            done: (row.done, row.trial_count),
        });
        let note = joined_notes(&summary.notes);
        let picture = grid_png(&summary.name, &rows.collect::<Vec<_>>(), note.as_deref())?;
        write_bytes(&self.folder.join("grid.png"), &picture)
    }
}

fn difference(ours: &HyperParams, baseline: &HyperParams) -> Result<Option<BaselineDifference>> {
    let (mut tested, mut of_baseline) = (Vec::new(), Vec::new());
    let baseline_trials = baseline.trials();
    for trial in ours.trials() {
        let mut others = baseline_trials.iter();
        let same = others.find(|other| other.subject == trial.subject && other.seed == trial.seed);
        if let Some(&other) = same
            && trial.is_done()
            && other.is_done()
        {
            tested.push(TestedTrial::read(trial)?);
            of_baseline.push(TestedTrial::read(other)?);
        }
    }
    let (Some(first), Some(first_of_baseline)) = (tested.first(), of_baseline.first()) else {
        return Ok(None);
    };
    if ours.study.plan.config.data == baseline.study.plan.config.data {
        check_pooled(&[first_of_baseline.trial, first.trial])?;
    }
    let pairs = tested.iter().zip(&of_baseline);
    // Equal recalls of other classes may have sums that differ in the last bit.
    let higher = pairs.filter(|(ours, theirs)| ours.scores.uar > theirs.scores.uar + 1e-9);
    let of_seeds = |tested: &[TestedTrial]| -> Vec<f64> {
        let seeds = by_seed(tested).into_iter();
        seeds.map(|seed| scores_of(&pool(seed)).uar).collect()
    };
    let of_seeds = of_seeds(&tested).into_iter().zip(of_seeds(&of_baseline));
    let differences: Vec<f64> = of_seeds.map(|(ours, theirs)| ours - theirs).collect();
    let seed = ours.study.plan.config.split.seed;
    let intervals = by_speaker(&tested).intervals_above(&by_speaker(&of_baseline), seed);
    Ok(Some(BaselineDifference {
        pairs: tested.len(),
        higher: higher.count(),
        uar: MeanStd::of(&differences),
        interval: intervals.map(|intervals| intervals.uar),
    }))
}

fn trial_row(trial: SweepTrial) -> Result<TrialRow> {
    let state = trial.trial.state();
    Ok(TrialRow {
        name: trial.name(),
        hyper_params: trial.hyper_params.name.clone(),
        state: state.as_str(),
        scores: match state {
            TrialState::Done => Some(trial.trial.scores()?),
            _ => None,
        },
        error: match state {
            TrialState::Failed(reason) => Some(reason),
            _ => None,
        },
    })
}

impl HyperParamsRow {
    /// Columns and values of a row of `settings.csv`.
    fn columns<'a>(&'a self, keys: &'a [String]) -> Vec<(&'a str, String)> {
        let scores = self.scores.as_ref();
        let [uar, accuracy, macro_f1] = [
            scores.map(|scores| scores.uar),
            scores.map(|scores| scores.accuracy),
            scores.map(|scores| scores.macro_f1),
        ];
        let interval = self.intervals.map(|intervals| intervals.uar);
        let difference = self.above_baseline.as_ref();
        let above = difference.map(|difference| difference.uar);
        let above_interval = difference.and_then(|difference| difference.interval);
        let mean = |spread: Option<MeanStd>| or_empty(spread.map(|spread| spread.mean));
        let std = |spread: Option<MeanStd>| or_empty(spread.and_then(|spread| spread.std));
        let low = |interval: Option<Interval>| or_empty(interval.map(|interval| interval.low));
        let high = |interval: Option<Interval>| or_empty(interval.map(|interval| interval.high));

        let mut columns = vec![("setting", self.name.clone())];
        let keys = keys.iter().map(String::as_str);
        columns.extend(keys.zip(self.values.iter().cloned()));
        columns.extend([
            ("cells", self.trial_count.to_string()),
            ("done", self.done.to_string()),
            ("uar", mean(uar)),
            ("uar_deviation", std(uar)),
            ("uar_low", low(interval)),
            ("uar_high", high(interval)),
            ("accuracy", mean(accuracy)),
            ("accuracy_deviation", std(accuracy)),
            ("macro_f1", mean(macro_f1)),
            ("macro_f1_deviation", std(macro_f1)),
            ("above_baseline", mean(above)),
            ("above_baseline_deviation", std(above)),
            ("above_baseline_low", low(above_interval)),
            ("above_baseline_high", high(above_interval)),
            (
                "pairs",
                or_empty(difference.map(|difference| difference.pairs)),
            ),
            (
                "pairs_higher",
                or_empty(difference.map(|difference| difference.higher)),
            ),
            ("notes", self.notes.join("; ")),
        ]);
        columns
    }
}

impl TrialRow {
    /// Columns and values of a row of `cells.csv`.
    fn columns(&self) -> Vec<(&str, String)> {
        let scores = self.scores.as_ref().map(|trial| trial.scores);
        let notes = self.scores.as_ref().map(|trial| &trial.notes);
        vec![
            ("cell", self.name.clone()),
            ("state", self.state.to_string()),
            ("accuracy", or_empty(scores.map(|scores| scores.accuracy))),
            ("uar", or_empty(scores.map(|scores| scores.uar))),
            ("macro_f1", or_empty(scores.map(|scores| scores.macro_f1))),
            ("error", or_empty(self.error.as_ref())),
            ("notes", or_empty(notes)),
        ]
    }
}

/// Text of a value; empty without a value.
fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

impl SweepSummary {
    fn is_baseline(&self, row: &HyperParamsRow) -> bool {
        self.baseline.as_ref() == Some(&row.name)
    }

    /// The results as text.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {} of {} done\n",
            escape_line(&self.name),
            self.done,
            counted(self.trial_count, "trial")
        );
        text += &note_line(&self.notes);
        let names = self.hyper_params.iter();
        let longest = names.map(|row| row.name.chars().count()).max();
        let width = longest.unwrap_or(0).max("setting".len());
        text += &format!(
            "\n{:<width$}  {:>7}  {:<12}  {:<13}  {:<12}  {}\n",
            "setting",
            "trials",
            "UAR",
            "95 %",
            "accuracy",
            "difference to the baseline (95 %, trials with a higher UAR)"
        );
        for row in &self.hyper_params {
            let difference = match &row.above_baseline {
                _ if self.is_baseline(row) => "baseline".to_string(),
                Some(above) => above.text(),
                None => String::new(),
            };
            let spread = |spread: Option<MeanStd>| spread.as_ref().map(percent_spread);
            let interval = row.intervals.map(|intervals| intervals.uar);
            let line = format!(
                "{:<width$}  {:>7}  {:<12}  {:<13}  {:<12}  {difference}",
                row.name,
                format!("{}/{}", row.done, row.trial_count),
                or_empty(spread(row.scores.map(|scores| scores.uar))),
                or_empty(interval.as_ref().map(percent_interval)),
                or_empty(spread(row.scores.map(|scores| scores.accuracy))),
            );
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", escape_line(line.trim_end()));
        }
        let failed = || {
            let trials = self.trials.iter();
            trials.filter_map(|row| Some((row, row.error.as_ref()?)))
        };
        if failed().next().is_some() {
            text += &format!("\n{} failed:\n", counted(failed().count(), "trial"));
        }
        for (row, error) in failed() {
            let line = format!("{}: {error}", row.name);
            let _ = writeln!(text, "{}", escape_line(&line));
        }
        text
    }
}

impl BaselineDifference {
    fn text(&self) -> String {
        let interval = self
            .interval
            .map(|interval| format!("{} – {}, ", change(interval.low), change(interval.high)));
        format!(
            "{} ({}{} of {})",
            change(self.uar.mean),
            interval.unwrap_or_default(),
            self.higher,
            self.pairs
        )
    }
}
