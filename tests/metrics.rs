//! Metrics compared with scikit-learn. scripts/reference/make_metrics.py writes the reference.

use std::fs;
use std::path::Path;

use emovox::evaluation::{
    ClassMetrics, Metrics, Predictions, classification_table, confusion_table, from_labels,
};
use serde::Deserialize;

/// Two lists of labels, and the metrics that scikit-learn computes from them.
#[derive(Deserialize)]
struct Case {
    classes: Vec<String>,
    truth: Vec<usize>,
    predicted: Vec<usize>,
    accuracy: f64,
    balanced_accuracy: f64,
    macro_f1: f64,
    per_class: Vec<ClassMetrics>,
    macro_avg: ClassMetrics,
    weighted_avg: ClassMetrics,
    confusion: Vec<Vec<u64>>,
    /// Output of `classification_report`; none if no prediction is right.
    report: Option<String>,
}

#[test]
fn every_number_is_scikit_learns() {
    for (name, case) in cases() {
        let metrics = from_labels(&case.classes, &case.truth, &case.predicted);
        assert_eq!(metrics.clips, case.truth.len(), "{name}");
        assert_eq!(metrics.confusion, case.confusion, "{name}");
        close(metrics.accuracy, case.accuracy, &name);
        close(metrics.uar, case.balanced_accuracy, &name);
        close(metrics.macro_f1, case.macro_f1, &name);
        assert_eq!(metrics.per_class.len(), case.per_class.len(), "{name}");
        for (ours, theirs) in metrics.per_class.iter().zip(&case.per_class) {
            rows_close(ours, theirs, &name);
        }
        rows_close(&metrics.macro_avg, &case.macro_avg, &name);
        rows_close(&metrics.weighted_avg, &case.weighted_avg, &name);
    }
}

#[test]
fn the_table_is_scikit_learns_to_the_letter() {
    for (name, case) in cases() {
        let metrics = from_labels(&case.classes, &case.truth, &case.predicted);
        if let Some(report) = case.report {
            assert_eq!(classification_table(&metrics), report, "{name}");
        }
    }
}

#[test]
fn the_confusion_table_is_aligned() {
    let classes = names(&["calm", "naïve", "x"]);
    let truth = [vec![0; 1200], vec![1, 1, 2]].concat();
    let predicted = [vec![2; 1200], vec![1, 0, 2]].concat();
    let expected = "\
truth \\ predicted  calm  naïve     x
calm                  0      0  1200
naïve                 1      1     0
x                     0      0     1
";
    assert_eq!(
        confusion_table(&from_labels(&classes, &truth, &predicted)),
        expected
    );
}

#[test]
fn the_most_probable_class_is_predicted_and_the_lowest_wins_a_tie() {
    let predictions = Predictions {
        classes: names(&["a", "b", "c"]),
        truth: vec![1, 0, 2, 0],
        probabilities: vec![
            vec![0.2, 0.5, 0.3],
            vec![0.4, 0.2, 0.4],
            vec![f32::NAN, 0.1, 0.6],
            vec![f32::NAN; 3],
        ],
    };
    assert_eq!(predictions.predicted(), [1, 0, 2, 0]);
    assert_eq!(predictions.metrics().accuracy, 1.0);
}

#[test]
fn nothing_predicted_is_zero_and_not_nan() {
    for classes in [names(&[]), names(&["calm", "angry"])] {
        let metrics = from_labels(&classes, &[], &[]);
        assert_eq!(
            (metrics.accuracy, metrics.uar, metrics.macro_f1),
            (0.0, 0.0, 0.0)
        );
        assert_eq!(metrics.weighted_avg, ClassMetrics::default());
        assert!(classification_table(&metrics).contains("accuracy"));
        assert_eq!(confusion_table(&metrics).lines().count(), 1 + classes.len());
    }
}

#[test]
fn metrics_survive_json() {
    let (_, case) = cases().remove(0);
    let metrics = from_labels(&case.classes, &case.truth, &case.predicted);
    let json = serde_json::to_string(&metrics).expect("serializes");
    assert_eq!(
        serde_json::from_str::<Metrics>(&json).expect("parses"),
        metrics
    );
}

/// All cases, by file name.
fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/metrics");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the reference folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "reference files are missing");
    paths
        .into_iter()
        .map(|path| {
            let json = fs::read_to_string(&path).expect("a reference file");
            (
                path.display().to_string(),
                serde_json::from_str(&json).expect("a case"),
            )
        })
        .collect()
}

fn close(ours: f64, theirs: f64, name: &str) {
    assert!(
        (ours - theirs).abs() <= 1e-12,
        "{ours} is not {theirs} in {name}"
    );
}

fn rows_close(ours: &ClassMetrics, theirs: &ClassMetrics, name: &str) {
    close(ours.precision, theirs.precision, name);
    close(ours.recall, theirs.recall, name);
    close(ours.f1, theirs.f1, name);
    assert_eq!(ours.support, theirs.support, "{name}");
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}
