//! Scores of groups of clips, such as those of women and men, compared with the scores of all clips.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::metrics::{Metrics, Predictions, from_labels};

/// Number of random models, as in audEERING's ser-tests.
const SIMULATIONS: usize = 1000;

/// The scores of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupScores {
    /// The property that divides the clips, such as `sex`.
    pub property: String,
    /// Its value for this group, such as `female`.
    pub group: String,
    /// Number of clips of the group.
    pub clips: usize,
    /// UAR on the clips of the group.
    pub uar: f64,
    /// Difference of the recall to that of all clips, as a mean over the classes of the group. If
    /// all groups have all classes, it is the difference of the UAR.
    pub difference: f64,
    /// The largest difference of 1000 random models.
    pub threshold: f64,
    /// Recall of each class on the clips of the group; none without clips.
    pub recalls: Vec<Option<f64>>,
    /// Difference of each recall to that of all clips.
    pub recall_differences: Vec<Option<f64>>,
    /// For each class, the largest difference of 1000 random models.
    pub recall_thresholds: Vec<f64>,
}

impl GroupScores {
    /// Compares the groups of a property with all of their clips. `groups` has the group of each
    /// clip; clips of unknown groups are left out. With fewer than two groups, there are no scores.
    ///
    /// A random model has the same predictions in a random order, so it favours no group. Its recalls
    /// vary less by chance than those of a good model: in a simulation of fair models with RAVDESS's
    /// number of clips, 1.4 % of the differences of a group, and 1 % of those of a class, were larger
    /// than all differences of 1000 random models. Clips count as independent of each other; with few
    /// speakers, a difference between two groups can still be one between speakers.
    ///
    /// # Panics
    /// If there is not one group for each clip.
    pub fn of(
        predictions: &Predictions,
        property: &str,
        groups: &[Option<String>],
        seed: u64,
    ) -> Vec<GroupScores> {
        assert_eq!(
            groups.len(),
            predictions.truth.len(),
            "one group for each clip"
        );
        let mut by_group: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let (mut truth, mut predicted) = (Vec::new(), Vec::new());
        let clips = predictions.truth.iter().zip(predictions.predicted());
        for (group, (&class, prediction)) in groups.iter().zip(clips) {
            if let Some(group) = group {
                by_group.entry(group).or_default().push(truth.len());
                truth.push(class);
                predicted.push(prediction);
            }
        }
        if by_group.len() < 2 {
            return Vec::new();
        }
        let classes = &predictions.classes;
        let mut scores: Vec<GroupScores> = Vec::new();
        let all = from_labels(classes, &truth, &predicted);
        for (group, clips) in &by_group {
            let metrics = metrics_of(classes, clips, &truth, &predicted);
            scores.push(GroupScores {
                property: property.into(),
                group: group.to_string(),
                clips: clips.len(),
                uar: metrics.uar,
                difference: difference(&metrics, &all),
                threshold: 0.0,
                recalls: recalls(&metrics),
                recall_differences: recall_differences(&metrics, &all),
                recall_thresholds: vec![0.0; classes.len()],
            });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..SIMULATIONS {
            predicted.shuffle(&mut rng);
            let all = from_labels(classes, &truth, &predicted);
            for (scores, clips) in scores.iter_mut().zip(by_group.values()) {
                let metrics = metrics_of(classes, clips, &truth, &predicted);
                scores.threshold = scores.threshold.max(difference(&metrics, &all).abs());
                let differences = recall_differences(&metrics, &all);
                for (threshold, difference) in scores.recall_thresholds.iter_mut().zip(differences)
                {
                    *threshold = threshold.max(difference.map_or(0.0, f64::abs));
                }
            }
        }
        scores
    }

    /// True if the difference is not larger than those of random models.
    pub fn passes(&self) -> bool {
        self.difference.abs() <= self.threshold + 1e-9
    }

    /// Indices of the classes whose recall differs more than with random models.
    pub fn unfair_classes(&self) -> Vec<usize> {
        let pairs = self.recall_differences.iter().zip(&self.recall_thresholds);
        let differs = |(difference, threshold): (&Option<f64>, &f64)| {
            difference.is_some_and(|difference| difference.abs() > threshold + 1e-9)
        };
        let unfair = pairs.map(differs).enumerate();
        unfair
            .filter(|(_, unfair)| *unfair)
            .map(|(class, _)| class)
            .collect()
    }
}

fn metrics_of(
    classes: &[String],
    clips: &[usize],
    truth: &[usize],
    predicted: &[usize],
) -> Metrics {
    let of = |labels: &[usize]| -> Vec<usize> { clips.iter().map(|&clip| labels[clip]).collect() };
    from_labels(classes, &of(truth), &of(predicted))
}

fn recalls(metrics: &Metrics) -> Vec<Option<f64>> {
    let classes = metrics.per_class.iter();
    let recall = |class: &super::ClassMetrics| (class.support > 0).then_some(class.recall);
    classes.map(recall).collect()
}

fn recall_differences(group: &Metrics, all: &Metrics) -> Vec<Option<f64>> {
    let pairs = recalls(group).into_iter().zip(recalls(all));
    pairs.map(|(group, all)| Some(group? - all?)).collect()
}

fn difference(group: &Metrics, all: &Metrics) -> f64 {
    let differences: Vec<f64> = recall_differences(group, all)
        .into_iter()
        .flatten()
        .collect();
    differences.iter().sum::<f64>() / differences.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 clips of two classes and two groups. A share of the clips of each group is right.
    fn scores(right: [usize; 2]) -> Vec<GroupScores> {
        let (mut truth, mut rows, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for clip in 0..200 {
            let (class, group) = (clip % 2, clip / 100);
            let is_right = clip / 2 % 50 < right[group];
            let predicted = if is_right { class } else { 1 - class };
            truth.push(class);
            rows.push(vec![1.0 - predicted as f32, predicted as f32]);
            groups.push(Some(["female", "male"][group].to_string()));
        }
        let predictions = Predictions {
            classes: ["a", "b"].map(String::from).into(),
            truth,
            probabilities: rows,
        };
        GroupScores::of(&predictions, "sex", &groups, 1)
    }

    #[test]
    fn a_model_that_fails_for_one_group_is_unfair() {
        let [female, male] = &scores([45, 10])[..] else {
            panic!("two groups")
        };
        assert_eq!((female.group.as_str(), female.clips), ("female", 100));
        assert!((female.uar - 0.9).abs() < 1e-12 && (male.uar - 0.2).abs() < 1e-12);
        assert!((female.difference - 0.35).abs() < 1e-12, "{female:?}");
        assert!(!female.passes() && !male.passes());
        assert_eq!(male.unfair_classes(), [0, 1]);
    }

    #[test]
    fn a_small_difference_is_a_matter_of_chance() {
        for group in scores([30, 31]) {
            assert!(
                group.passes() && group.unfair_classes().is_empty(),
                "{group:?}"
            );
            // A standard deviation of a random model is about 3.5 points.
            assert!((0.05..0.2).contains(&group.threshold), "{group:?}");
        }
    }

    #[test]
    fn one_group_has_nothing_to_compare_with() {
        let predictions = Predictions {
            classes: vec!["a".into()],
            truth: vec![0, 0],
            probabilities: vec![vec![1.0], vec![1.0]],
        };
        let groups = [Some("female".to_string()), None];
        assert!(GroupScores::of(&predictions, "sex", &groups, 1).is_empty());
    }
}
