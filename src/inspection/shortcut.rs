//! Shortcut probe: does a property that is not the voice predict the label (label leakage)?
//!
//! In TESS the duration alone predicts much of the emotion. In a corpus where each speaker recorded
//! only a few emotions, a model can learn to recognise the speaker instead of the emotion. The
//! probe is a simple rule that predicts the label from one property. Clips are assigned to bins
//! (quantiles of a number, or one bin for each name). For each bin the rule predicts the class that
//! has the largest share of its own clips in that bin. The balanced accuracy (mean recall over the
//! classes) is measured by five-fold cross-validation and compared with the same rule on shuffled
//! labels.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Folds of the cross-validation.
const FOLDS: usize = 5;
/// Number of label shuffles.
const SHUFFLES: usize = 200;
/// Quantile of the scores on shuffled labels that [`ShortcutProbe::by_luck`] reports.
const LUCK_QUANTILE: f64 = 0.99;
/// Largest number of bins for a number.
const MAX_BINS: usize = 20;
/// Smallest score that causes a warning, as a fraction of the way from chance to 1.
const WARNING_THRESHOLD: f64 = 0.15;

/// Result of the shortcut probe for one property of the clips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShortcutProbe {
    /// Name of the property: `duration`, `speaker` or `sample rate`.
    pub property: String,
    /// Cross-validated balanced accuracy of the rule.
    pub balanced_accuracy: f64,
    /// Balanced accuracy of random guesses: one over the number of classes.
    pub chance: f64,
    /// Balanced accuracy that the rule exceeds in one of a hundred shuffles of the labels.
    pub by_luck: f64,
}

impl ShortcutProbe {
    /// Probes a numeric property, such as the duration. Labels are class indices.
    pub fn of_numbers(property: &str, values: &[f64], labels: &[usize]) -> ShortcutProbe {
        ShortcutProbe::measure(property, labels, |train| {
            let edges = quantiles(train.iter().map(|&clip| values[clip]).collect());
            let bin = |value: f64| edges.partition_point(|&edge| edge <= value);
            (
                values.iter().map(|&value| bin(value)).collect(),
                edges.len() + 1,
            )
        })
    }

    /// Probes a categorical property, such as the speaker. Names are indices from 0, labels are
    /// class indices.
    pub fn of_names(property: &str, names: &[usize], labels: &[usize]) -> ShortcutProbe {
        let count = names.iter().max().map_or(0, |most| most + 1);
        ShortcutProbe::measure(property, labels, |_| (names.to_vec(), count))
    }

    /// Runs the probe. `bins` maps the training clips of a fold to the bin of every clip and the
    /// number of bins.
    fn measure(
        property: &str,
        labels: &[usize],
        bins: impl Fn(&[usize]) -> (Vec<usize>, usize),
    ) -> ShortcutProbe {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.shuffle(&mut rng);
        // The bins of a fold do not depend on the labels, so the shuffles share them.
        let folds: Vec<Fold> = (0..FOLDS)
            .map(|fold| {
                let (test, train): (Vec<_>, Vec<_>) = order
                    .iter()
                    .enumerate()
                    .partition(|(position, _)| position % FOLDS == fold);
                let clips =
                    |subset: Vec<(usize, &usize)>| subset.into_iter().map(|(_, &c)| c).collect();
                let (test, train): (Vec<usize>, Vec<usize>) = (clips(test), clips(train));
                let (bin_of, count) = bins(&train);
                Fold {
                    test,
                    train,
                    bin_of,
                    count,
                }
            })
            .collect();
        let score = |labels: &[usize]| {
            let mut predicted = vec![0; labels.len()];
            folds
                .iter()
                .for_each(|fold| fold.predict(labels, &mut predicted));
            balanced_accuracy(labels, &predicted)
        };
        let mut shuffled = labels.to_vec();
        let mut shuffled_scores: Vec<f64> = (0..SHUFFLES)
            .map(|_| {
                shuffled.shuffle(&mut rng);
                score(&shuffled)
            })
            .collect();
        shuffled_scores.sort_by(f64::total_cmp);
        ShortcutProbe {
            property: property.into(),
            balanced_accuracy: score(labels),
            chance: 1.0 / distinct(labels).max(1) as f64,
            by_luck: shuffled_scores[(LUCK_QUANTILE * (SHUFFLES - 1) as f64) as usize],
        }
    }

    /// True if the score is above the scores on shuffled labels and large enough to matter.
    pub fn is_worth_a_warning(&self) -> bool {
        let gained = (self.balanced_accuracy - self.chance) / (1.0 - self.chance).max(1e-9);
        self.balanced_accuracy > self.by_luck && gained >= WARNING_THRESHOLD
    }
}

/// A fold of the cross-validation.
struct Fold {
    /// Indices of the test clips.
    test: Vec<usize>,
    /// Indices of the training clips.
    train: Vec<usize>,
    /// Bin of every clip.
    bin_of: Vec<usize>,
    /// Number of bins.
    count: usize,
}

impl Fold {
    /// Predicts the labels of the test clips from the labels of the training clips in the same bin.
    fn predict(&self, labels: &[usize], predicted: &mut [usize]) {
        let classes = labels.iter().max().map_or(0, |most| most + 1);
        let mut counts = vec![vec![0.0; classes]; self.count];
        let mut totals = vec![0.0f64; classes];
        for &clip in &self.train {
            counts[self.bin_of[clip]][labels[clip]] += 1.0;
            totals[labels[clip]] += 1.0;
        }
        let share = |bin: &[f64], class: usize| bin[class] / totals[class].max(1.0);
        for &clip in &self.test {
            let bin = &counts[self.bin_of[clip]];
            predicted[clip] = (0..classes)
                .rev()
                .max_by(|&a, &b| share(bin, a).total_cmp(&share(bin, b)))
                .unwrap_or(0);
        }
    }
}

/// Edges between bins with about the same number of values. The number of bins is the square root
/// of the number of values, from 2 to [`MAX_BINS`].
fn quantiles(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let bins = (values.len() as f64).sqrt().clamp(2.0, MAX_BINS as f64) as usize;
    let mut edges: Vec<f64> = (1..bins)
        .filter_map(|bin| values.get(bin * values.len() / bins).copied())
        .collect();
    edges.dedup();
    edges
}

/// Mean recall of the classes that occur in the truth. Both lists hold class indices.
pub fn balanced_accuracy(truth: &[usize], predicted: &[usize]) -> f64 {
    let classes = truth.iter().max().map_or(0, |most| most + 1);
    let (mut hits, mut totals) = (vec![0.0; classes], vec![0.0; classes]);
    for (&truth, predicted) in truth.iter().zip(predicted) {
        totals[truth] += 1.0;
        hits[truth] += f64::from(u8::from(truth == *predicted));
    }
    let recalls: Vec<f64> = hits
        .iter()
        .zip(&totals)
        .filter(|(_, total)| **total > 0.0)
        .map(|(h, t)| h / t)
        .collect();
    recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
}

/// Number of distinct labels.
fn distinct(labels: &[usize]) -> usize {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels.dedup();
    labels.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_equals_the_label_predicts_all_of_it() {
        let labels: Vec<usize> = (0..200).map(|clip| clip % 4).collect();
        let numbers: Vec<f64> = labels.iter().map(|&label| label as f64).collect();
        for probe in [
            ShortcutProbe::of_numbers("duration", &numbers, &labels),
            ShortcutProbe::of_names("speaker", &labels, &labels),
        ] {
            assert_eq!(probe.balanced_accuracy, 1.0);
            assert!(probe.is_worth_a_warning() && probe.by_luck < 0.5);
        }
    }

    #[test]
    fn a_constant_property_and_noise_predict_nothing() {
        let labels: Vec<usize> = (0..300).map(|clip| clip % 3).collect();
        let same = ShortcutProbe::of_numbers("duration", &vec![1.0; 300], &labels);
        assert!((same.balanced_accuracy - 1.0 / 3.0).abs() < 1e-9);
        let noise: Vec<f64> = (0..300)
            .map(|clip| (clip as f64 * 0.61803).fract())
            .collect();
        assert!(!ShortcutProbe::of_numbers("duration", &noise, &labels).is_worth_a_warning());
        let balanced: Vec<usize> = (0..300).map(|clip| clip / 3 % 10).collect();
        assert!(!ShortcutProbe::of_names("speaker", &balanced, &labels).is_worth_a_warning());
    }

    #[test]
    fn a_property_that_identifies_half_of_the_clips_has_half_of_the_gain() {
        // With two classes, every second pair of clips has a name that equals the label. All other
        // clips have the same name.
        let labels: Vec<usize> = (0..400).map(|clip| clip % 2).collect();
        let names: Vec<usize> = (0..400)
            .map(|clip| if clip % 4 < 2 { clip % 2 } else { 2 })
            .collect();
        let probe = ShortcutProbe::of_names("speaker", &names, &labels);
        assert!((probe.balanced_accuracy - 0.75).abs() < 0.06, "{probe:?}");
    }

    #[test]
    fn rare_classes_have_the_same_weight() {
        assert_eq!(balanced_accuracy(&[0, 0, 0, 1], &[0, 0, 0, 0]), 0.5);
    }

    #[test]
    fn few_clips_cause_no_warning() {
        for clips in 0..4 {
            let labels: Vec<usize> = (0..clips).collect();
            let numbers = vec![1.0; clips];
            assert!(!ShortcutProbe::of_numbers("duration", &numbers, &labels).is_worth_a_warning());
        }
    }
}
