//! Page that compares several runs or cross-validations.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::of_folds::{SavedMeanStd, SavedResults, mean_std_text};
use super::of_run::{Scored, range};
use super::stress::{StressChecks, checks_text};
use super::{Page, Picture, Table, percent};
use crate::bounded;
use crate::evaluation::{Intervals, Metrics};
use crate::report::{Curves, curves_png};
use crate::run::{RunFolder, distinct_names};

/// Results of a run or a cross-validation.
struct Compared {
    name: String,
    folder: PathBuf,
    /// Scored data: a subset of the run, or the cross-validation.
    scored: String,
    corpus: String,
    notes: Vec<String>,
    metrics: Metrics,
    /// Mean and standard deviation over the seeds of a cross-validation.
    over_seeds: Option<SavedMeanStd>,
    intervals: Option<Intervals>,
    ece: f64,
    stress: Option<StressChecks>,
    curves: Option<Curves>,
    config: Option<String>,
}

/// HTML page of several runs and cross-validations, given by their folders.
///
/// # Errors
/// If a folder has no results, or if its files cannot be read.
pub fn comparison_page(runs: &[RunFolder], cross_validations: &[PathBuf]) -> Result<String> {
    let runs = runs.iter().map(of_run);
    let folds = cross_validations.iter().map(|folder| of_folds(folder));
    let mut all: Vec<Compared> = runs.chain(folds).collect::<Result<_>>()?;
    let named: Vec<(&str, &Path)> = all
        .iter()
        .map(|one| (one.name.as_str(), one.folder.as_path()))
        .collect();
    let names = distinct_names(&named);
    for (one, name) in all.iter_mut().zip(names) {
        if let Some(curves) = &mut one.curves {
            curves.name.clone_from(&name);
        }
        one.name = name;
    }
    let curves: Vec<Curves> = all.iter().filter_map(|one| one.curves.clone()).collect();
    let mut notes = Vec::new();
    if all.iter().any(|one| one.corpus != all[0].corpus) {
        notes.push("the corpora differ, so the numbers are not comparable".into());
    }
    notes.extend(all.iter().flat_map(|one| {
        one.notes
            .iter()
            .map(move |note| format!("{}: {note}", one.name))
    }));
    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    let page = Page {
        title: names.join(", "),
        subtitle: "without paired seeds, a difference below 3 points is not evidence".into(),
        notes,
        tables: vec![score_table(&all), recall_table(&all)],
        pictures: if curves.is_empty() {
            Vec::new()
        } else {
            vec![Picture::new("Curves", &curves_png(&curves)?)]
        },
        settings: all
            .iter()
            .filter_map(|one| Some((format!("Settings of {}", one.name), one.config.clone()?)))
            .collect(),
        ..Page::default()
    };
    page.html()
}

fn of_run(run: &RunFolder) -> Result<Compared> {
    let scored = Scored::read(run)?;
    let intervals = scored.intervals();
    let Scored {
        report,
        curves,
        config,
        ..
    } = scored;
    Ok(Compared {
        name: report.run,
        folder: run.path().into(),
        scored: format!("{} subset", report.subset),
        corpus: report.corpus,
        notes: report.notes,
        metrics: report.metrics,
        over_seeds: None,
        intervals,
        ece: report.calibration.ece,
        stress: StressChecks::of(run)?,
        curves: Some(curves),
        config: Some(config),
    })
}

fn of_folds(folder: &Path) -> Result<Compared> {
    let results = SavedResults::read(folder)?;
    let stress = StressChecks::mean(&results.stress(folder)?);
    Ok(Compared {
        name: results.name,
        folder: folder.into(),
        scored: format!("cross-validation of {}", results.arch),
        corpus: results.corpus,
        notes: results.notes,
        metrics: results.metrics,
        over_seeds: Some(results.pooled),
        intervals: results.intervals,
        ece: results.calibration.ece,
        stress,
        curves: None,
        config: bounded::read_text(&folder.join("cross-validation.toml"), bounded::RESULTS).ok(),
    })
}

fn score_table(all: &[Compared]) -> Table {
    let row = |one: &Compared| {
        let scores = match one.over_seeds {
            Some(scores) => [scores.accuracy, scores.uar, scores.macro_f1].map(mean_std_text),
            None => [one.metrics.accuracy, one.metrics.uar, one.metrics.macro_f1].map(percent),
        };
        let [accuracy, uar, macro_f1] = scores;
        let interval = one
            .intervals
            .map_or("–".into(), |intervals| range(intervals.uar));
        vec![
            one.name.clone(),
            one.scored.clone(),
            one.corpus.clone(),
            one.metrics.clips.to_string(),
            accuracy,
            uar,
            interval,
            macro_f1,
            percent(one.ece),
            checks_text(one.stress),
        ]
    };
    let head = [
        "run",
        "scored",
        "corpus",
        "predictions",
        "accuracy",
        "UAR",
        "UAR, 95 %",
        "macro-F1",
        "calibration error",
        "stress test",
    ];
    Table {
        title: "Scores".into(),
        explained: "Intervals by bootstrap over speakers; ± is the standard deviation over seeds."
            .into(),
        head: head.map(String::from).into(),
        rows: all.iter().map(row).collect(),
    }
}

fn recall_table(all: &[Compared]) -> Table {
    let mut classes: Vec<&String> = all.iter().flat_map(|one| &one.metrics.classes).collect();
    classes.sort();
    classes.dedup();
    let recall = |one: &Compared, class: &String| {
        let index = one.metrics.classes.iter().position(|other| other == class);
        let metrics = index
            .map(|index| one.metrics.per_class[index])
            .filter(|metrics| metrics.support > 0);
        metrics.map_or("–".to_string(), |metrics| percent(metrics.recall))
    };
    let row = |class: &&String| {
        let recalls = all.iter().map(|one| recall(one, class));
        std::iter::once(class.to_string()).chain(recalls).collect()
    };
    let names = all.iter().map(|one| one.name.clone());
    Table {
        title: "Recall of each class".into(),
        explained: String::new(),
        head: std::iter::once("class".to_string()).chain(names).collect(),
        rows: classes.iter().map(row).collect(),
    }
}
