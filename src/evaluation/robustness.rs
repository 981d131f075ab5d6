//! Predictions for disturbed clips compared with those for the same clips without the disturbance.

use serde::{Deserialize, Serialize};

use super::{Calibration, ClassMetrics, Interval, Predictions, SpeakerBootstrap};

/// The lowest change of the UAR with which a disturbance passes: −5 points.
pub const LEAST_UAR_CHANGE: f64 = -0.05;
/// The lowest share of unchanged predictions with which a disturbance passes.
pub const LEAST_UNCHANGED: f64 = 0.9;

/// Scores of disturbed clips, and their distance from the scores of the clean clips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Unweighted average recall on the disturbed clips.
    pub uar: f64,
    /// UAR on the disturbed clips minus UAR on the clean clips.
    pub uar_change: f64,
    /// 95 % interval of the change over speakers; both scores on the same resamples. None with
    /// fewer than two speakers.
    pub uar_change_interval: Option<Interval>,
    /// Share of the clips with the same prediction as without the disturbance.
    pub unchanged: f64,
    /// Share of the disturbed clips whose prediction is right.
    pub accuracy: f64,
    /// Mean of the highest probability of each disturbed clip. It is about as high as the accuracy
    /// if the probabilities are calibrated.
    pub confidence: f64,
    /// Expected calibration error on the disturbed clips.
    pub ece: f64,
    /// Precision, recall and F1 of each class on the disturbed clips.
    pub per_class: Vec<ClassMetrics>,
}

impl Robustness {
    /// Compares predictions for disturbed clips with those for the clean clips. `speakers` has the
    /// speaker of each clip.
    ///
    /// # Panics
    /// If the two do not have the same clips and classes, or if there is not one speaker for each
    /// clip.
    pub fn between(clean: &Predictions, disturbed: &Predictions, speakers: &[&str]) -> Robustness {
        assert_eq!(clean.truth, disturbed.truth, "the same clips");
        let (before, after) = (clean.predicted(), disturbed.predicted());
        let clips = after.len().max(1) as f64;
        let same = before.iter().zip(&after).filter(|(a, b)| a == b).count();
        let metrics = disturbed.metrics();
        let bootstrap = |predictions| SpeakerBootstrap::new(predictions, speakers);
        let intervals = bootstrap(disturbed).intervals_above(&bootstrap(clean), 1);
        let rows = disturbed.probabilities.iter().zip(&after);
        let confidence: f64 = rows.map(|(row, &class)| f64::from(row[class])).sum();
        Robustness {
            uar: metrics.uar,
            uar_change: metrics.uar - clean.metrics().uar,
            uar_change_interval: intervals.map(|intervals| intervals.uar),
            unchanged: same as f64 / clips,
            accuracy: metrics.accuracy,
            confidence: confidence / clips,
            ece: Calibration::of(disturbed).ece,
            per_class: metrics.per_class,
        }
    }

    /// True if the UAR falls by at most 5 points.
    pub fn keeps_uar(&self) -> bool {
        // A change of exactly five points is not exact in binary.
        self.uar_change >= LEAST_UAR_CHANGE - 1e-9
    }

    /// True if at least 90 % of the predictions are unchanged.
    pub fn keeps_predictions(&self) -> bool {
        self.unchanged >= LEAST_UNCHANGED - 1e-9
    }

    /// Number of thresholds that are kept, from 0 to 2.
    pub fn passed(&self) -> usize {
        usize::from(self.keeps_uar()) + usize::from(self.keeps_predictions())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Predictions with the probability of the predicted class; the rest is spread evenly.
    fn predictions(truth: &[usize], predicted: &[usize], probability: f32) -> Predictions {
        let row = |&class: &usize| {
            let mut row = vec![(1.0 - probability) / 2.0; 3];
            row[class] = probability;
            row
        };
        Predictions {
            classes: ["a", "b", "c"].map(String::from).into(),
            truth: truth.into(),
            probabilities: predicted.iter().map(row).collect(),
        }
    }

    #[test]
    fn scores_and_changes_by_hand() {
        let truth = [0, 0, 1, 1, 2, 2];
        let speakers = ["x", "y", "x", "y", "x", "y"];
        let clean = predictions(&truth, &[0, 0, 1, 1, 2, 0], 0.9);
        let disturbed = predictions(&truth, &[0, 1, 1, 0, 2, 2], 0.6);
        let ours = Robustness::between(&clean, &disturbed, &speakers);
        // Recalls 1, 1, 1/2 before; 1/2, 1/2, 1 after.
        assert!((ours.uar - 2.0 / 3.0).abs() < 1e-12);
        assert!((ours.uar_change + 1.0 / 6.0).abs() < 1e-12);
        assert!((ours.unchanged - 0.5).abs() < 1e-12);
        assert!((ours.accuracy - 4.0 / 6.0).abs() < 1e-12);
        assert!((ours.confidence - 0.6).abs() < 1e-6);
        assert!((ours.ece - (4.0 / 6.0 - 0.6)).abs() < 1e-6);
        assert_eq!(ours.per_class[2].recall, 1.0);
        assert_eq!(ours.per_class[2].precision, 1.0);
        let interval = ours.uar_change_interval.unwrap();
        // Speaker x has 3 of 3 both times, speaker y 2 of 3 before and 1 of 3 after.
        assert!((interval.low + 1.0 / 3.0).abs() < 1e-12 && interval.high == 0.0);
    }

    #[test]
    fn a_disturbance_passes_at_the_thresholds() {
        let mut truth = vec![0; 20];
        truth.extend([1; 20]);
        let speakers = vec!["x"; 40];
        let clean = predictions(&truth, &truth, 0.9);
        let mut wrong = truth.clone();
        wrong[..4].fill(2);
        // Recall of one of two classes falls by 20 %: 10 points. Four of 40 clips have changed.
        let ours = Robustness::between(&clean, &predictions(&truth, &wrong, 0.9), &speakers);
        assert!(!ours.keeps_uar() && ours.keeps_predictions());
        assert_eq!(ours.passed(), 1);
        assert_eq!(ours.uar_change_interval, None);
        wrong = truth.clone();
        wrong[..2].fill(2);
        // Exactly five points.
        let ours = Robustness::between(&clean, &predictions(&truth, &wrong, 0.9), &speakers);
        assert_eq!(ours.passed(), 2);
        assert_eq!(Robustness::between(&clean, &clean, &speakers).passed(), 2);
    }
}
