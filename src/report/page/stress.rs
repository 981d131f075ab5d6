//! The stress test on the page of a run.

use anyhow::{Context, Result};

use super::{Picture, Table, percent};
use crate::bounded;
use crate::evaluation::Robustness;
use crate::report::stress::change;
use crate::report::{StressReport, stress_png};
use crate::run::RunFolder;

/// The stress test of a run on its test subset; none before `emovox stress`.
pub(super) fn read_stress(run: &RunFolder) -> Result<Option<StressReport>> {
    let path = run.stress_json();
    if !path.exists() {
        return Ok(None);
    }
    let repeat = || {
        format!(
            "cannot read {}; write it again with `emovox stress {}`",
            path.display(),
            run.path().display()
        )
    };
    let text = bounded::read_text(&path, bounded::RESULTS).with_context(repeat)?;
    let report: StressReport = serde_json::from_str(&text).with_context(repeat)?;
    // Earlier versions wrote the scores of any subset into this file.
    Ok((report.subset == "test").then_some(report))
}

/// The passed checks of a run's stress test; none before `emovox stress`.
#[derive(Debug, Clone, Copy)]
pub(super) struct StressChecks {
    pub(super) passed: f64,
    pub(super) checks: usize,
}

impl StressChecks {
    /// The checks of a run on its test subset.
    pub(super) fn of(run: &RunFolder) -> Result<Option<StressChecks>> {
        let report = read_stress(run)?;
        Ok(report.map(|report| StressChecks {
            passed: report.passed as f64,
            checks: report.checks,
        }))
    }

    /// The mean over several runs; none if one of them has no stress test.
    pub(super) fn mean(all: &[Option<StressChecks>]) -> Option<StressChecks> {
        let all: Vec<StressChecks> = all.iter().copied().collect::<Option<_>>()?;
        let passed: f64 = all.iter().map(|one| one.passed).sum();
        Some(StressChecks {
            passed: passed / all.len() as f64,
            checks: all.first()?.checks,
        })
    }
}

/// The cell of a table: `27 of 40`, or `–`.
pub(super) fn checks_text(checks: Option<StressChecks>) -> String {
    let Some(StressChecks { passed, checks }) = checks else {
        return "–".into();
    };
    if passed.fract() == 0.0 {
        format!("{passed} of {checks}")
    } else {
        format!("{passed:.1} of {checks}")
    }
}

/// The tables of a stress test: the disturbances, the recall of each class, and the groups.
pub(super) fn stress_tables(report: &StressReport) -> Vec<Table> {
    let mut tables = vec![disturbances(report), recalls(report)];
    if !report.groups.is_empty() {
        tables.push(groups(report));
    }
    tables
}

/// The picture of a stress test.
pub(super) fn stress_picture(report: &StressReport) -> Result<Picture> {
    Ok(Picture::new("Stress test", &stress_png(report)?))
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(String::from).into()
}

fn disturbances(report: &StressReport) -> Table {
    let row = |names: [&str; 2], scores: &Robustness, passed: &str| {
        let interval = scores.uar_change_interval;
        vec![
            names[0].into(),
            names[1].into(),
            percent(scores.uar),
            change(scores.uar_change),
            interval.map_or(String::new(), |interval| {
                format!("{} to {}", change(interval.low), change(interval.high))
            }),
            percent(scores.unchanged),
            passed.into(),
            percent(scores.accuracy),
            percent(scores.confidence),
            percent(scores.ece),
        ]
    };
    let mut rows = vec![row(["", "none"], &report.clean, "")];
    for disturbance in &report.disturbances {
        let category = disturbance.category.to_string();
        let names = [category.as_str(), disturbance.name.as_str()];
        rows.push(row(names, &disturbance.scores, disturbance.passed()));
    }
    Table {
        title: format!("Stress test: {}", report.result()),
        explained: format!("{}. {}{}", report.subject(), notes(report), report.rule()),
        head: strings([
            "category",
            "disturbance",
            "UAR",
            "change, points",
            "change, 95 %",
            "unchanged",
            "passed",
            "accuracy",
            "confidence",
            "calibration error",
        ]),
        rows,
    }
}

/// The notes of a report as sentences, each with a space behind it.
fn notes(report: &StressReport) -> String {
    let notes = report.notes.iter();
    notes.map(|note| format!("Note: {note}. ")).collect()
}

fn recalls(report: &StressReport) -> Table {
    let row = |name: &str, scores: &Robustness| {
        let cells = scores.per_class.iter().map(|class| match class.support {
            0 => "–".to_string(),
            _ => format!(
                "{:.0} / {:.0}",
                100.0 * class.precision,
                100.0 * class.recall
            ),
        });
        [name.to_string()].into_iter().chain(cells).collect()
    };
    let disturbed = report.disturbances.iter();
    let disturbed = disturbed.map(|disturbance| row(&disturbance.name, &disturbance.scores));
    let mut head = strings(["disturbance"]);
    head.extend_from_slice(&report.classes);
    Table {
        title: "Classes in the stress test".into(),
        explained: "Precision / recall in percent.".into(),
        head,
        rows: [row("none", &report.clean)]
            .into_iter()
            .chain(disturbed)
            .collect(),
    }
}

fn groups(report: &StressReport) -> Table {
    let recall = |recall: &Option<f64>| recall.map_or("–".to_string(), percent);
    let rows = report.groups.iter().map(|group| {
        let scores = [
            group.property.clone(),
            group.group.clone(),
            group.clips.to_string(),
            percent(group.uar),
            change(group.difference),
            format!("{:.1}", 100.0 * group.threshold),
            if group.passes() { "yes" } else { "no" }.into(),
            report.unfair(group),
        ];
        let recalls = group.recalls.iter().map(recall);
        scores.into_iter().chain(recalls).collect()
    });
    let mut head = strings([
        "property",
        "group",
        "clips",
        "UAR",
        "difference, points",
        "threshold, points",
        "passed",
        "classes with another recall",
    ]);
    let classes = report.classes.iter();
    head.extend(classes.map(|class| format!("recall of {class}")));
    Table {
        title: "Groups".into(),
        explained:
            "Difference to all clips. The threshold is the largest difference of 1000 random \
                    models."
                .into(),
        rows: rows.collect(),
        head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_checks_needs_all_runs() {
        let checks = |passed| Some(StressChecks { passed, checks: 40 });
        let text = |all: &[Option<StressChecks>]| checks_text(StressChecks::mean(all));
        assert_eq!(text(&[checks(27.0), checks(28.0)]), "27.5 of 40");
        assert_eq!(text(&[checks(27.0), checks(29.0)]), "28 of 40");
        assert_eq!(text(&[checks(27.0), None]), "–");
        assert_eq!(text(&[]), "–");
    }
}
