//! Metrics of predictions: accuracy, UAR, F1 and the confusion matrix.
//!
//! The definitions are those of scikit-learn, and `tests/metrics.rs` compares with its numbers.
//! Every rate is a fraction from 0 to 1. A ratio with the denominator zero counts as 0
//! (`zero_division=0`), so that no metric is NaN, not even without clips.

use serde::{Deserialize, Serialize};

/// Predicted probabilities and true labels of the clips of a subset.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Class names; a label is an index into this list.
    pub classes: Vec<String>,
    /// The true label of each clip.
    pub truth: Vec<usize>,
    /// Probability of each class for each clip, `probabilities[clip][class]`.
    pub probabilities: Vec<Vec<f32>>,
}

impl Predictions {
    /// The most probable class of each clip. Ties go to the lowest index, and NaN is never chosen.
    pub fn predicted(&self) -> Vec<usize> {
        self.probabilities.iter().map(|row| argmax(row)).collect()
    }

    /// The metrics of [`predicted`](Self::predicted) against `truth`.
    ///
    /// # Panics
    /// As [`from_labels`].
    pub fn metrics(&self) -> Metrics {
        from_labels(&self.classes, &self.truth, &self.predicted())
    }
}

/// Metrics over all clips and for each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of clips measured.
    pub clips: usize,
    /// Share of clips whose prediction is right (`accuracy_score`).
    pub accuracy: f64,
    /// Unweighted average recall: the mean recall of the classes that have clips in the truth
    /// (`balanced_accuracy_score`). Chance is one over the number of those classes.
    pub uar: f64,
    /// Mean F1 of the classes that occur in the truth or in the predictions
    /// (`f1_score(average="macro")`); the same number as `macro_avg.f1`.
    pub macro_f1: f64,
    /// Class names, in the order of `per_class` and of both sides of `confusion`.
    pub classes: Vec<String>,
    /// Metrics of each class; all are zero for a class that does not occur.
    pub per_class: Vec<ClassMetrics>,
    /// Unweighted mean over the classes that occur in the truth or in the predictions. Its recall
    /// is the UAR, unless a class without clips was predicted: that class counts here, but not in
    /// the UAR.
    pub macro_avg: ClassMetrics,
    /// Mean over the classes weighted by their support.
    pub weighted_avg: ClassMetrics,
    /// Number of clips in each cell, `confusion[truth][prediction]`.
    pub confusion: Vec<Vec<u64>>,
}

/// Metrics of one class against all others, or an average over classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Share of this class among the clips predicted as this class.
    pub precision: f64,
    /// Share of the clips of this class that are predicted as this class.
    pub recall: f64,
    /// Harmonic mean of precision and recall: 2·hits / (clips of the class + predictions of it).
    pub f1: f64,
    /// Number of clips of this class in the truth; for an average, the number of all clips.
    pub support: u64,
}

impl Metrics {
    /// These metrics with another macro-F1: for the predictions of several seeds together, the mean of the
    /// seeds, which differs from that of all predictions.
    pub fn with_macro_f1(&self, macro_f1: f64) -> Metrics {
        Metrics {
            macro_f1,
            ..self.clone()
        }
    }

    /// UAR of a random choice: one over the number of classes that have clips.
    pub fn chance(&self) -> f64 {
        let classes = self.per_class.iter();
        let classes = classes.filter(|class| class.support > 0).count();
        1.0 / classes.max(1) as f64
    }

    /// Names of the classes without clips.
    pub fn missing(&self) -> Vec<&str> {
        let classes = self.classes.iter().zip(&self.per_class);
        classes
            .filter(|(_, class)| class.support == 0)
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// True if class `index` occurs in the truth or in the predictions.
    pub fn occurs(&self, index: usize) -> bool {
        self.per_class[index].support > 0 || self.confusion.iter().any(|row| row[index] > 0)
    }
}

/// Metrics of predicted labels, one label for each clip.
///
/// # Panics
/// If the two lists differ in length, or if a label is not an index into `classes`. Only a bug can
/// produce such labels.
pub fn from_labels(classes: &[String], truth: &[usize], predicted: &[usize]) -> Metrics {
    assert_eq!(truth.len(), predicted.len(), "one prediction for each clip");

    let mut confusion = vec![vec![0; classes.len()]; classes.len()];
    for (&truth, &predicted) in truth.iter().zip(predicted) {
        confusion[truth][predicted] += 1;
    }
    from_confusion(classes, confusion)
}

/// Metrics of a confusion matrix, `confusion[truth][prediction]`.
pub(super) fn from_confusion(classes: &[String], confusion: Vec<Vec<u64>>) -> Metrics {
    let per_class: Vec<ClassMetrics> = (0..classes.len())
        .map(|class| class_metrics(&confusion, class))
        .collect();
    let clips: u64 = confusion.iter().flatten().sum();
    let hits: u64 = (0..classes.len())
        .map(|class| confusion[class][class])
        .sum();

    let mut metrics = Metrics {
        clips: clips as usize,
        accuracy: ratio(hits, clips),
        uar: mean(
            per_class
                .iter()
                .filter(|class| class.support > 0)
                .map(|class| class.recall),
        ),
        macro_f1: 0.0,
        classes: classes.to_vec(),
        per_class,
        macro_avg: ClassMetrics::default(),
        weighted_avg: ClassMetrics::default(),
        confusion,
    };
    let occurring: Vec<ClassMetrics> = (0..classes.len())
        .filter(|&class| metrics.occurs(class))
        .map(|class| metrics.per_class[class])
        .collect();
    metrics.macro_avg = average(&occurring, |_| 1.0);
    metrics.weighted_avg = average(&occurring, |class| class.support as f64);
    metrics.macro_f1 = metrics.macro_avg.f1;
    metrics
}

fn class_metrics(confusion: &[Vec<u64>], class: usize) -> ClassMetrics {
    let hits = confusion[class][class];
    let support = confusion[class].iter().sum();
    let predictions = confusion.iter().map(|row| row[class]).sum();
    ClassMetrics {
        precision: ratio(hits, predictions),
        recall: ratio(hits, support),
        f1: ratio(2 * hits, support + predictions),
        support,
    }
}

fn average(rows: &[ClassMetrics], weight: impl Fn(&ClassMetrics) -> f64) -> ClassMetrics {
    let total: f64 = rows.iter().map(&weight).sum();
    let weighted = |value: fn(&ClassMetrics) -> f64| {
        if total == 0.0 {
            return 0.0;
        }
        rows.iter().map(|row| weight(row) * value(row)).sum::<f64>() / total
    };
    ClassMetrics {
        precision: weighted(|row| row.precision),
        recall: weighted(|row| row.recall),
        f1: weighted(|row| row.f1),
        support: rows.iter().map(|row| row.support).sum(),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

fn ratio(numerator: u64, denominator: u64) -> f64 {
    if denominator == 0 {
        0.0
    } else {
        numerator as f64 / denominator as f64
    }
}

/// Index of the highest value of a row; the first one if several are equal, 0 without values.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &value) in row.iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}
