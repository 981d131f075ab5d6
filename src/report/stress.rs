//! Results of a stress test: `stress.csv` and `stress.json` for programs, a table for people.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::scores::scored_set;
use super::stress_png;
use crate::disturbance::{Category, Disturbance};
use crate::escape::escape_line;
use crate::evaluation::{
    GroupScores, Interval, LEAST_UAR_CHANGE, LEAST_UNCHANGED, Predictions, Robustness,
    SpeakerBootstrap,
};
use crate::io::write_bytes;
use crate::plural::counted;
use crate::run::{StressFiles, beginning};

/// The scores of disturbed clips, and the facts that a reader needs to judge them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StressReport {
    /// Name of the run.
    pub run: String,
    /// Name of the corpus.
    pub corpus: String,
    /// Scored subset: `test`, `validation`, `train` or `all`.
    #[serde(rename = "part")]
    pub subset: String,
    /// Number of clips.
    pub clips: usize,
    /// Number of speakers.
    pub speakers: usize,
    /// Seed of the disturbances.
    pub seed: u64,
    /// Warnings about the numbers, such as shared speakers.
    pub notes: Vec<String>,
    /// Class names, in the order of the scores of each class.
    pub classes: Vec<String>,
    /// Number of checks that are passed, of those that are counted.
    pub passed: usize,
    /// Number of counted checks: two for each of the 20 counted disturbances.
    pub checks: usize,
    /// The lowest change of the UAR with which a check is passed.
    #[serde(default)]
    pub least_uar_change: f64,
    /// The lowest share of unchanged predictions with which a check is passed.
    #[serde(default)]
    pub least_unchanged: f64,
    /// Scores of the clips as they are.
    pub clean: Robustness,
    /// 95 % interval of the UAR on the clips as they are, over speakers.
    pub clean_interval: Option<Interval>,
    /// Scores of each disturbance, sorted by category.
    pub disturbances: Vec<StressRow>,
    /// Scores of the sexes, languages and corpora on the clips as they are.
    pub groups: Vec<GroupScores>,
}

/// The scores of one disturbance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StressRow {
    /// Name of the disturbance.
    pub name: String,
    /// Kind of the disturbance.
    pub category: Category,
    /// True if its checks are counted.
    pub counted: bool,
    /// True if the check of the UAR is passed. Earlier versions did not write it.
    #[serde(default)]
    pub keeps_uar: bool,
    /// True if the check of unchanged predictions is passed. Earlier versions did not write it.
    #[serde(default)]
    pub keeps_predictions: bool,
    /// The scores.
    #[serde(flatten)]
    pub scores: Robustness,
}

impl StressReport {
    /// A report without disturbances, and without names of a run and a corpus. `speakers` has the
    /// speaker of each clip.
    pub fn new(clean: &Predictions, speakers: &[&str], seed: u64) -> StressReport {
        let by_speaker = SpeakerBootstrap::new(clean, speakers);
        StressReport {
            run: String::new(),
            corpus: String::new(),
            subset: String::new(),
            clips: clean.truth.len(),
            speakers: by_speaker.each().len(),
            seed,
            notes: Vec::new(),
            classes: clean.classes.clone(),
            passed: 0,
            checks: 0,
            least_uar_change: LEAST_UAR_CHANGE,
            least_unchanged: LEAST_UNCHANGED,
            clean: Robustness::between(clean, clean, speakers),
            clean_interval: by_speaker.intervals(1).map(|intervals| intervals.uar),
            disturbances: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Adds the scores of a disturbance, behind those of the same category.
    pub fn add(&mut self, disturbance: &Disturbance, scores: Robustness) {
        if disturbance.is_core {
            self.passed += scores.passed();
            self.checks += 2;
        }
        let category = disturbance.category;
        let place = self
            .disturbances
            .partition_point(|row| row.category <= category);
        let row = StressRow {
            name: disturbance.name.clone(),
            category,
            counted: disturbance.is_core,
            keeps_uar: scores.keeps_uar(),
            keeps_predictions: scores.keeps_predictions(),
            scores,
        };
        self.disturbances.insert(place, row);
    }

    /// The number of checks that passed: `18 of 40 checks passed`.
    pub fn passed_checks(&self) -> String {
        format!("{} of {} checks passed", self.passed, self.checks)
    }

    /// The result in one line: `18 of 40 checks passed, from a UAR of 68.0 %`.
    pub fn result(&self) -> String {
        let uar = 100.0 * self.clean.uar;
        format!("{}, from a UAR of {uar:.1} %", self.passed_checks())
    }

    /// Facts about the clips that limit the meaning of the checks.
    pub fn clip_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let with_clips = self.clean.per_class.iter();
        let with_clips = with_clips.filter(|class| class.support > 0).count();
        let chance = 1.0 / with_clips.max(1) as f64;
        let lowest = self.clean_interval.map_or(self.clean.uar, |uar| uar.low);
        if lowest <= chance {
            notes.push(format!(
                "the undisturbed UAR is not clearly above chance ({:.1} %), and a model that \
                 guesses has little to lose, so the checks are not informative",
                100.0 * chance
            ));
        }
        if self.clips < FEW_CLIPS {
            notes.push(format!(
                "with {}, the checks depend on chance",
                counted(self.clips, "clip")
            ));
        }
        if self.speakers < 2 {
            notes.push(
                "there is at most one known speaker, so the babble can be of the same speaker"
                    .into(),
            );
        }
        let classes = self.classes.iter().zip(&self.clean.per_class);
        let missing: Vec<&str> = classes
            .filter(|(_, class)| class.support == 0)
            .map(|(name, _)| name.as_str())
            .collect();
        if !missing.is_empty() {
            notes.push(format!(
                "there are no clips of {}; the UAR is the mean over the other classes",
                missing.join(", ")
            ));
        }
        notes
    }

    /// The meaning of the checks, as a sentence.
    pub fn rule(&self) -> String {
        format!(
            "A disturbance has two checks: the UAR falls by at most {:.0} points, and at least \
             {:.0} % of the predictions are unchanged. The checks of {} of the {} disturbances are \
             counted.",
            -100.0 * LEAST_UAR_CHANGE,
            100.0 * LEAST_UNCHANGED,
            self.checks / 2,
            self.disturbances.len()
        )
    }

    /// The clips in one line.
    pub fn subject(&self) -> String {
        format!(
            "{} of {}, {}, {}, seed {}",
            scored_set(&self.subset),
            self.corpus,
            counted(self.clips, "clip"),
            counted(self.speakers, "speaker"),
            self.seed
        )
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let mut text = escape_line(&self.subject()).into_owned() + "\n";
        for note in &self.notes {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "Note: {}.", escape_line(note));
        }
        let clean = &self.clean;
        let _ = write!(text, "Undisturbed: UAR {:.1} %", 100.0 * clean.uar);
        if let Some(Interval { low, high }) = self.clean_interval {
            let _ = write!(text, " ({:.1} to {:.1} %)", 100.0 * low, 100.0 * high);
        }
        let _ = writeln!(
            text,
            ", accuracy {:.1} %, confidence {:.1} %, calibration error {:.1} %\n",
            100.0 * clean.accuracy,
            100.0 * clean.confidence,
            100.0 * clean.ece
        );
        let head = Line {
            category: "category",
            name: "disturbance",
            uar: "UAR".into(),
            change: "change".into(),
            interval: "95 %".into(),
            unchanged: "unchanged".into(),
            passed: "passed",
            accuracy: "accuracy".into(),
            confidence: "confidence".into(),
            ece: "ECE".into(),
            loss: "largest loss of recall".into(),
        };
        text += &head.text();
        for row in &self.disturbances {
            let category = row.category.to_string();
            text += &self.line(row, &category).text();
        }
        text += &self.groups_text();
        text += &format!("\n{}\n{}\n", self.rule(), self.result());
        text
    }

    /// The table of groups; empty without groups.
    fn groups_text(&self) -> String {
        let mut text = String::new();
        for (index, group) in self.groups.iter().enumerate() {
            if index == 0 {
                text += "\nproperty  group            clips    UAR  difference  threshold  passed  \
                         other recall\n";
            }
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:<9} {:<15} {:>6} {:>6} {:>11} {:>10}  {:<6}  {}",
                group.property,
                escape_line(&group.group),
                group.clips,
                points(group.uar),
                change(group.difference),
                points(group.threshold),
                if group.passes() { "yes" } else { "no" },
                escape_line(&self.unfair(group))
            );
        }
        text
    }

    /// The classes whose recall differs more than with random models, with the differences.
    pub fn unfair(&self, group: &GroupScores) -> String {
        let of_class = |class: usize| {
            let difference = group.recall_differences.get(class).copied().flatten()?;
            Some(format!(
                "{} {}",
                self.classes.get(class)?,
                change(difference)
            ))
        };
        let unfair = group.unfair_classes().into_iter();
        let classes: Vec<String> = unfair.filter_map(of_class).collect();
        if classes.is_empty() {
            "-".into()
        } else {
            classes.join(", ")
        }
    }

    fn line<'a>(&self, row: &'a StressRow, category: &'a str) -> Line<'a> {
        let scores = &row.scores;
        let interval = scores.uar_change_interval;
        let loss = self.largest_loss(scores);
        Line {
            category,
            name: &row.name,
            uar: points(scores.uar),
            change: change(scores.uar_change),
            interval: interval.map_or("-".into(), |interval| {
                format!("{} to {}", change(interval.low), change(interval.high))
            }),
            unchanged: format!("{} %", points(scores.unchanged)),
            passed: row.passed(),
            accuracy: points(scores.accuracy),
            confidence: points(scores.confidence),
            ece: points(scores.ece),
            loss: loss.map_or("-".into(), |(class, loss)| {
                format!("{} {}", escape_line(class), change(-loss))
            }),
        }
    }

    /// The class whose recall falls most, and the loss; none if no recall falls.
    pub fn largest_loss(&self, scores: &Robustness) -> Option<(&str, f64)> {
        let pairs = self.clean.per_class.iter().zip(&scores.per_class);
        let losses = pairs.map(|(clean, disturbed)| clean.recall - disturbed.recall);
        let losses = self.classes.iter().map(String::as_str).zip(losses);
        let largest = losses.max_by(|a, b| a.1.total_cmp(&b.1));
        largest.filter(|(_, loss)| *loss > 0.0)
    }

    /// The text of `stress.json`.
    ///
    /// # Errors
    /// If the report cannot be serialised.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The text of `stress.csv`: a row for the clips as they are, and one for each disturbance. All
    /// scores are fractions of 1.
    ///
    /// # Errors
    /// If a row cannot be written.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut head: Vec<String> = HEAD.map(String::from).into();
        head.extend(CHECKS.map(String::from));
        for class in &self.classes {
            head.extend([format!("precision_{class}"), format!("recall_{class}")]);
        }
        writer.write_record(&head)?;
        writer.write_record(cells(["none", "clean", "false"], &self.clean))?;
        for row in &self.disturbances {
            let category = row.category.to_string();
            let counted = row.counted.to_string();
            writer.write_record(cells([&category, &row.name, &counted], &row.scores))?;
        }
        Ok(writer.into_inner()?)
    }

    /// The text of `stress-groups.csv`: a row for each group on the clips as they are. All scores
    /// are fractions of 1; a recall without clips is empty.
    ///
    /// # Errors
    /// If a row cannot be written.
    pub fn groups_csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut head: Vec<String> = GROUPS_HEAD.map(String::from).into();
        for class in &self.classes {
            let columns = ["recall", "recall_difference", "recall_threshold"];
            head.extend(columns.map(|column| format!("{column}_{class}")));
        }
        writer.write_record(&head)?;
        for group in &self.groups {
            let mut row = vec![
                group.property.clone(),
                group.group.clone(),
                group.clips.to_string(),
                group.passes().to_string(),
            ];
            let scores = [group.uar, group.difference, group.threshold].map(Some);
            let recalls = group.recalls.iter().zip(&group.recall_differences);
            let recalls = recalls.zip(&group.recall_thresholds);
            let recalls = recalls.flat_map(|((recall, difference), threshold)| {
                [*recall, *difference, recall.and(Some(*threshold))]
            });
            row.extend(scores.into_iter().chain(recalls).map(cell));
            writer.write_record(row)?;
        }
        Ok(writer.into_inner()?)
    }
}

/// With fewer clips than this, one clip changes a check of unchanged predictions by more than two
/// points.
const FEW_CLIPS: usize = 50;

/// The first columns of `stress-groups.csv`.
const GROUPS_HEAD: [&str; 7] = [
    "property",
    "group",
    "clips",
    "passed",
    "uar",
    "difference",
    "threshold",
];

/// The columns of `stress.csv` behind [`HEAD`].
const CHECKS: [&str; 2] = ["keeps_uar", "keeps_predictions"];

/// The first columns of `stress.csv`.
const HEAD: [&str; 11] = [
    "category",
    "disturbance",
    "counted",
    "uar",
    "uar_change",
    "uar_change_low",
    "uar_change_high",
    "unchanged",
    "accuracy",
    "confidence",
    "ece",
];

fn cells(names: [&str; 3], scores: &Robustness) -> Vec<String> {
    let interval = scores.uar_change_interval;
    let end = |end: fn(&Interval) -> f64| interval.as_ref().map(end);
    let numbers = [
        Some(scores.uar),
        Some(scores.uar_change),
        end(|interval| interval.low),
        end(|interval| interval.high),
        Some(scores.unchanged),
        Some(scores.accuracy),
        Some(scores.confidence),
        Some(scores.ece),
    ];
    let checks = [scores.keeps_uar(), scores.keeps_predictions()].map(|passed| passed.to_string());
    let of_classes = scores.per_class.iter().flat_map(|class| {
        let has_clips = class.support > 0;
        [class.precision, class.recall].map(|score| has_clips.then_some(score))
    });
    let names = names.into_iter().map(String::from);
    let names = names.chain(numbers.map(cell)).chain(checks);
    names.chain(of_classes.map(cell)).collect()
}

/// A cell with a fraction of 1; empty without a value.
fn cell(number: Option<f64>) -> String {
    number.map_or(String::new(), |number| format!("{number:.6}"))
}

impl StressRow {
    /// The checks that are passed: `both`, `UAR`, `unchanged` or `none`.
    pub fn passed(&self) -> &'static str {
        match (self.scores.keeps_uar(), self.scores.keeps_predictions()) {
            (true, true) => "both",
            (true, false) => "UAR",
            (false, true) => "unchanged",
            (false, false) => "none",
        }
    }
}

/// A line of the table for people.
struct Line<'a> {
    category: &'a str,
    name: &'a str,
    uar: String,
    change: String,
    interval: String,
    unchanged: String,
    passed: &'a str,
    accuracy: String,
    confidence: String,
    ece: String,
    loss: String,
}

impl Line<'_> {
    fn text(&self) -> String {
        format!(
            "{:<13} {:<19} {:>5} {:>7} {:>16} {:>10}  {:<10} {:>8} {:>11} {:>5}  {}\n",
            self.category,
            self.name,
            self.uar,
            self.change,
            self.interval,
            self.unchanged,
            self.passed,
            self.accuracy,
            self.confidence,
            self.ece,
            self.loss
        )
    }
}

fn points(fraction: f64) -> String {
    format!("{:.1}", 100.0 * fraction)
}

/// A change in points, with its sign.
pub fn change(fraction: f64) -> String {
    // Neither -0.0 nor +0.0.
    let rounded = (1000.0 * fraction).round() / 10.0;
    if rounded == 0.0 {
        return "0.0".into();
    }
    format!("{rounded:+.1}")
}

/// True for a table or a report of a stress test that emovox wrote.
pub fn is_own_stress(file: &Path) -> bool {
    let beginning = beginning(file, 4096);
    let beginning = String::from_utf8_lossy(&beginning);
    beginning.starts_with(&HEAD.join(","))
        || beginning.starts_with(&GROUPS_HEAD.join(","))
        || beginning.starts_with('{') && beginning.contains("\"uar_change_interval\"")
}

/// Writes the tables, the JSON and the picture of a stress test.
///
/// # Errors
/// If a file cannot be written.
pub fn write_stress(files: &StressFiles, report: &StressReport) -> Result<()> {
    let (csv, groups, png) = (report.csv()?, report.groups_csv()?, stress_png(report)?);
    write_bytes(&files.csv, &csv)?;
    write_bytes(&files.groups_csv, &groups)?;
    write_bytes(&files.png, &png)?;
    write_bytes(&files.json, report.json()?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Predictions of the classes a, b and c, of which c has no clips.
    fn predictions(truth: &[usize], predicted: &[usize]) -> Predictions {
        let row = |&class: &usize| {
            let mut row = vec![0.1; 3];
            row[class] = 0.8;
            row
        };
        Predictions {
            classes: ["a", "b", "c"].map(String::from).into(),
            truth: truth.into(),
            probabilities: predicted.iter().map(row).collect(),
        }
    }

    fn table(csv: &[u8]) -> Vec<std::collections::BTreeMap<String, String>> {
        let mut reader = csv::Reader::from_reader(csv);
        reader.deserialize().map(Result::unwrap).collect()
    }

    #[test]
    fn a_class_without_clips_has_no_recall() {
        let clean = predictions(&[0, 0, 1, 1], &[0, 0, 1, 2]);
        let report = StressReport::new(&clean, &["x", "y", "x", "y"], 1);
        let row = &table(&report.csv().unwrap())[0];
        assert_eq!((&*row["recall_b"], &*row["recall_c"]), ("0.500000", ""));
        assert_eq!(row["precision_c"], "");
        let notes = report.clip_notes().join("; ");
        assert!(notes.contains("no clips of c"), "{notes}");
    }

    #[test]
    fn notes_name_chance_few_clips_and_a_single_speaker() {
        // A model that always answers a.
        let constant = predictions(&[0, 1, 0, 1], &[0, 0, 0, 0]);
        let report = StressReport::new(&constant, &["x"; 4], 1);
        let notes = report.clip_notes().join("; ");
        for words in ["above chance (50.0 %)", "with 4 clips", "one known speaker"] {
            assert!(notes.contains(words), "{notes}");
        }
        let truth: Vec<usize> = (0..60).map(|clip| clip % 2).collect();
        let speakers: Vec<&str> = (0..60).map(|clip| ["x", "y"][clip / 30]).collect();
        let right = StressReport::new(&predictions(&truth, &truth), &speakers, 1);
        assert_eq!(right.clip_notes().len(), 1, "{:?}", right.clip_notes());
    }

    #[test]
    fn the_table_of_groups_has_the_recall_of_each_class() {
        let clean = predictions(&[0, 0, 1, 1, 0, 1], &[0, 1, 1, 1, 0, 0]);
        let sexes = ["f", "f", "f", "f", "m", "m"].map(|sex| Some(sex.to_string()));
        let mut report = StressReport::new(&clean, &["x", "x", "x", "x", "y", "y"], 1);
        assert!(table(&report.groups_csv().unwrap()).is_empty());
        report.groups = GroupScores::of(&clean, "sex", &sexes, 1);
        let rows = table(&report.groups_csv().unwrap());
        assert_eq!(rows.len(), 2);
        let women = &rows[0];
        assert_eq!((&*women["property"], &*women["group"]), ("sex", "f"));
        assert_eq!((&*women["clips"], &*women["uar"]), ("4", "0.750000"));
        assert_eq!(
            (&*women["recall_a"], &*women["recall_b"]),
            ("0.500000", "1.000000")
        );
        // Of all six clips, two thirds of a are right.
        assert_eq!(women["recall_difference_a"], "-0.166667");
        assert_eq!(
            (&*women["recall_c"], &*women["recall_threshold_c"]),
            ("", "")
        );
    }
}
