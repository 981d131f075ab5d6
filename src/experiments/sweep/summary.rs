//! What a grid has come to so far: tables, and each setting against the baseline.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Grid, GridCell, Setting, State};
use crate::cross_validation::{
    Cell, CellScores, MeanStdScores, Results, heard, read_results, refuse_pooling, write_results,
};
use crate::escape::escape_line;
use crate::evaluation::{Interval, Intervals, MeanStd};
use crate::report::{GridRow, grid_png};
use crate::run::{write_atomically, write_bytes};

/// Everything that is finished, merged.
#[derive(Debug, Clone, Serialize)]
pub struct Collected {
    /// The grid's name.
    pub name: String,
    /// The keys that it varies.
    pub keys: Vec<String>,
    /// Cells that are finished.
    pub done: usize,
    /// All cells.
    pub cells: usize,
    /// What the others are compared with.
    pub baseline: Option<String>,
    /// What a reader must know to judge the numbers.
    pub notes: Vec<String>,
    /// One for each setting, in the order of their values.
    pub settings: Vec<SettingRow>,
    /// One for each training.
    pub trainings: Vec<CellRow>,
}

/// What a setting has come to. Scores are fractions of 1; there are none before its first cell is done.
#[derive(Debug, Clone, Serialize)]
pub struct SettingRow {
    /// Its name.
    pub setting: String,
    /// Its values, in the order of the keys.
    pub values: Vec<String>,
    /// Cells that are finished.
    pub done: usize,
    /// All cells.
    pub cells: usize,
    /// Over the seeds, all test clips of a seed together.
    pub scores: Option<MeanStdScores>,
    /// 95 % intervals by bootstrap over speakers.
    pub intervals: Option<Intervals>,
    /// How far above the baseline.
    pub above_baseline: Option<Comparison>,
    /// Everything that a reader of the scores must know.
    pub notes: Vec<String>,
}

/// A setting against the baseline, by the cells (fold and seed) that both have finished.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Cells that both have finished.
    pub pairs: usize,
    /// In so many of them its UAR was higher.
    pub higher: usize,
    /// The UAR of a cell less that of the baseline's, over the pairs.
    pub uar: MeanStd,
    /// 95 % interval of the difference of UARs, all test clips of these cells together: each resample
    /// of speakers is heard by both.
    pub interval: Option<Interval>,
}

/// How far a training has come.
#[derive(Debug, Clone, Serialize)]
pub struct CellRow {
    /// Its name.
    pub cell: String,
    /// The name of its setting.
    pub setting: String,
    /// `done`, `failed`, `begun` or `waiting`.
    pub state: &'static str,
    /// Once it is done.
    pub scores: Option<CellScores>,
    /// Where it failed.
    pub error: Option<String>,
}

/// Merges what is finished, also while other cells are still trained.
pub fn collect(grid: &Grid) -> Result<Collected> {
    let mut results = Vec::new();
    for setting in &grid.settings {
        results.push(read_results(&setting.all)?);
    }
    let settings: Vec<SettingRow> = grid
        .settings
        .iter()
        .zip(&results)
        .map(|(setting, results)| row(grid, setting, results))
        .collect::<Result<_>>()?;
    let trainings: Vec<CellRow> = grid
        .cells()
        .into_iter()
        .map(cell_row)
        .collect::<Result<_>>()?;
    let mut notes: Vec<String> = Vec::new();
    for note in results.iter().flat_map(|results| &results.notes) {
        // That trainings are missing is said for the whole grid.
        if !note.ends_with("not done yet") && !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    let done = settings.iter().map(|row| row.done).sum();
    if done < trainings.len() {
        notes.push(format!(
            "{} of {} cells are not done yet",
            trainings.len() - done,
            trainings.len()
        ));
    }
    Ok(Collected {
        name: grid.name.clone(),
        keys: grid.keys.clone(),
        done,
        cells: trainings.len(),
        baseline: grid.baseline.map(|place| grid.settings[place].name.clone()),
        notes,
        settings,
        trainings,
    })
}

fn row(grid: &Grid, setting: &Setting, results: &Results) -> Result<SettingRow> {
    let some = !results.cells.is_empty();
    let baseline = grid.baseline.map(|place| &grid.settings[place]);
    let above_baseline = match baseline {
        Some(baseline) if baseline.name != setting.name => compare(setting, baseline)?,
        _ => None,
    };
    Ok(SettingRow {
        setting: setting.name.clone(),
        values: setting.values.clone(),
        done: results.cells.len(),
        cells: setting.cells().len(),
        scores: some.then_some(results.pooled),
        intervals: if some { results.intervals } else { None },
        above_baseline,
        notes: match some {
            true => results.notes.clone(),
            false => Vec::new(),
        },
    })
}

fn compare(setting: &Setting, baseline: &Setting) -> Result<Option<Comparison>> {
    let theirs: Vec<Cell> = baseline.cells();
    let pairs: Vec<(Cell, Cell)> = setting
        .cells()
        .into_iter()
        .filter_map(|ours| {
            let same = |theirs: &&Cell| theirs.fold == ours.fold && theirs.seed == ours.seed;
            theirs.iter().find(same).map(|&theirs| (ours, theirs))
        })
        .filter(|&(ours, theirs)| setting.all.is_done(ours) && baseline.all.is_done(theirs))
        .collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    let mut differences = Vec::new();
    for &(ours, theirs) in &pairs {
        differences.push(setting.all.score_of(ours)?.uar - baseline.all.score_of(theirs)?.uar);
    }
    let (ours, theirs): (Vec<Cell>, Vec<Cell>) = pairs.iter().copied().unzip();
    if setting.all.plan.config.data == baseline.all.plan.config.data {
        let [first, other] = [(&baseline.all, theirs[0]), (&setting.all, ours[0])];
        refuse_pooling(
            &first.0.run_of(first.1),
            &first.0.recordings_of(first.1)?,
            &other.0.run_of(other.1),
            &other.0.recordings_of(other.1)?,
        )?;
    }
    let seed = setting.all.plan.config.split.seed;
    let ours = heard(&setting.all, &ours)?;
    let intervals = ours.intervals_above(&heard(&baseline.all, &theirs)?, seed);
    Ok(Some(Comparison {
        pairs: pairs.len(),
        higher: differences
            .iter()
            .filter(|&&difference| difference > 0.0)
            .count(),
        uar: MeanStd::of(&differences),
        interval: intervals.map(|intervals| intervals.uar),
    }))
}

fn cell_row(cell: GridCell) -> Result<CellRow> {
    let (state, error) = match cell.state() {
        State::Done => ("done", None),
        State::Failed(reason) => ("failed", Some(reason)),
        State::Begun => ("begun", None),
        State::Waiting => ("waiting", None),
    };
    let scores = match state {
        "done" => Some(cell.setting.all.score_of(cell.cell)?),
        _ => None,
    };
    Ok(CellRow {
        cell: cell.name(),
        setting: cell.setting.name.clone(),
        state,
        scores,
        error,
    })
}

/// Writes the tables and the picture, and the report of each setting that has something to report.
pub fn write_collected(grid: &Grid, collected: &Collected) -> Result<()> {
    grid.make_folder()?;
    for (setting, row) in grid.settings.iter().zip(&collected.settings) {
        if row.done > 0 {
            write_results(&setting.all, &read_results(&setting.all)?)?;
        }
    }
    let file = |name: &str| grid.folder.join(name);
    write_settings(grid, collected)?;
    write_cells(grid, collected)?;
    write_bytes(&file("grid.txt"), collected.text().as_bytes())?;
    let json = serde_json::to_string_pretty(collected).context("the grid cannot be written")?;
    write_bytes(&file("grid.json"), (json + "\n").as_bytes())?;
    if collected.done == 0 {
        return Ok(());
    }
    let rows = collected.settings.iter().map(|row| GridRow {
        name: row.setting.clone(),
        is_baseline: collected.baseline.as_ref() == Some(&row.setting),
        uar: row.scores.map(|scores| scores.uar),
        interval: row.intervals.map(|intervals| intervals.uar),
        above: row
            .above_baseline
            .as_ref()
            .map(|above| (above.uar.mean, above.interval)),
        done: (row.done, row.cells),
    });
    let note = (!collected.notes.is_empty()).then(|| collected.notes.join("; "));
    let picture = grid_png(&collected.name, &rows.collect::<Vec<_>>(), note.as_deref())?;
    write_bytes(&file("grid.png"), &picture)
}

fn write_settings(grid: &Grid, collected: &Collected) -> Result<()> {
    write_atomically(&grid.folder.join("settings.csv"), |file| {
        let mut writer = csv::Writer::from_writer(file);
        let fixed = [
            "cells",
            "done",
            "uar",
            "uar_deviation",
            "uar_low",
            "uar_high",
            "accuracy",
            "accuracy_deviation",
            "macro_f1",
            "macro_f1_deviation",
            "above_baseline",
            "above_baseline_deviation",
            "above_baseline_low",
            "above_baseline_high",
            "pairs",
            "pairs_higher",
            "notes",
        ];
        let keys = collected.keys.iter().map(String::as_str);
        writer.write_record(["setting"].into_iter().chain(keys).chain(fixed))?;
        for row in &collected.settings {
            let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
            let spread = |of: fn(&MeanStdScores) -> MeanStd| {
                let spread = row.scores.as_ref().map(of);
                [
                    number(spread.map(|s| s.mean)),
                    number(spread.and_then(|s| s.std)),
                ]
            };
            let interval = row.intervals.map(|intervals| intervals.uar);
            let above = row.above_baseline.as_ref();
            let above_interval = above.and_then(|above| above.interval);
            let count = |count: Option<usize>| count.map(|c| c.to_string()).unwrap_or_default();
            let mut line = vec![row.setting.clone()];
            line.extend(row.values.iter().cloned());
            line.extend([row.cells.to_string(), row.done.to_string()]);
            line.extend(spread(|scores| scores.uar));
            line.extend([
                number(interval.map(|i| i.low)),
                number(interval.map(|i| i.high)),
            ]);
            line.extend(spread(|scores| scores.accuracy));
            line.extend(spread(|scores| scores.macro_f1));
            line.push(number(above.map(|above| above.uar.mean)));
            line.push(number(above.and_then(|above| above.uar.std)));
            line.push(number(above_interval.map(|i| i.low)));
            line.push(number(above_interval.map(|i| i.high)));
            line.extend([
                count(above.map(|a| a.pairs)),
                count(above.map(|a| a.higher)),
                row.notes.join("; "),
            ]);
            writer.write_record(line)?;
        }
        Ok(writer.flush()?)
    })
}

fn write_cells(grid: &Grid, collected: &Collected) -> Result<()> {
    write_atomically(&grid.folder.join("cells.csv"), |file| {
        let mut writer = csv::Writer::from_writer(file);
        let columns = [
            "cell", "state", "accuracy", "uar", "macro_f1", "error", "notes",
        ];
        writer.write_record(columns)?;
        for row in &collected.trainings {
            let score = |of: fn(&CellScores) -> f64| {
                let score = row.scores.as_ref().map(of);
                score.map(|score| score.to_string()).unwrap_or_default()
            };
            writer.write_record([
                row.cell.as_str(),
                row.state,
                &score(|scores| scores.accuracy),
                &score(|scores| scores.uar),
                &score(|scores| scores.macro_f1),
                row.error.as_deref().unwrap_or_default(),
                row.scores.as_ref().map_or("", |scores| &scores.notes),
            ])?;
        }
        Ok(writer.flush()?)
    })
}

impl Collected {
    /// The tables for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {} of {} cells done\n",
            escape_line(&self.name),
            self.done,
            self.cells
        );
        if !self.notes.is_empty() {
            text += &format!("Note: {}.\n", escape_line(&self.notes.join("; ")));
        }
        let width = self
            .settings
            .iter()
            .map(|row| row.setting.chars().count())
            .max();
        let width = width.unwrap_or(0).max(7);
        text += &format!(
            "\n{:<width$}  {:>7}  {:<12}  {:<13}  {:<12}  {}\n",
            "setting",
            "cells",
            "UAR",
            "95 %",
            "accuracy",
            "above the baseline (95 %, cells where higher)"
        );
        let percent = |value: f64| format!("{:.1}", 100.0 * value);
        let spread = |spread: MeanStd| match spread.std {
            Some(deviation) => format!("{} ± {}", percent(spread.mean), percent(deviation)),
            None => percent(spread.mean),
        };
        let between = |i: Interval| format!("{} – {}", percent(i.low), percent(i.high));
        for row in &self.settings {
            let above = match &row.above_baseline {
                _ if self.baseline.as_ref() == Some(&row.setting) => "baseline".to_string(),
                Some(above) => {
                    let interval = above
                        .interval
                        .map(|i| format!("{:+.1} – {:+.1}, ", 100.0 * i.low, 100.0 * i.high));
                    format!(
                        "{:+.1} ({}{} of {})",
                        100.0 * above.uar.mean,
                        interval.unwrap_or_default(),
                        above.higher,
                        above.pairs
                    )
                }
                None => String::new(),
            };
            let line = format!(
                "{:<width$}  {:>7}  {:<12}  {:<13}  {:<12}  {above}",
                row.setting,
                format!("{}/{}", row.done, row.cells),
                row.scores
                    .map(|scores| spread(scores.uar))
                    .unwrap_or_default(),
                row.intervals
                    .map(|intervals| between(intervals.uar))
                    .unwrap_or_default(),
                row.scores
                    .map(|scores| spread(scores.accuracy))
                    .unwrap_or_default(),
            );
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", escape_line(line.trim_end()));
        }
        let failed: Vec<&CellRow> = self
            .trainings
            .iter()
            .filter(|row| row.error.is_some())
            .collect();
        if !failed.is_empty() {
            text += &format!("\n{} cells failed:\n", failed.len());
            for row in failed {
                let error = row.error.as_deref().unwrap_or_default();
                let line = format!("{}: {error}", row.cell);
                let _ = writeln!(text, "{}", escape_line(&line));
            }
        }
        text
    }
}
