//! How much of the label something gives away that has nothing to do with the voice.
//!
//! In TESS the duration alone tells much of the emotion, and a corpus where each speaker recorded a
//! few emotions only teaches a model who speaks. So a simple rule guesses the label from that one
//! thing: clips are put into bins (quantiles of a number, or one for each name), and in each bin the
//! class that has the largest share of its clips there is guessed. Its balanced accuracy (mean recall
//! of the classes, so that rare ones count as much) is measured on clips that the rule was not made
//! from, in five folds, and compared with the same rule on shuffled labels.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

const FOLDS: usize = 5;
const SHUFFLES: usize = 200;
/// Of the shuffles, the share that luck may beat.
const BY_LUCK: f64 = 0.99;
/// A number is put into at most so many bins.
const MOST_BINS: usize = 20;
/// From here on it is worth a warning: the share of the way from chance to certainty.
const WORTH_A_WARNING: f64 = 0.15;

/// What one property of the clips says about their labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Giveaway {
    /// `duration`, `speaker` …
    pub property: String,
    /// Balanced accuracy of the rule, on clips that it was not made from.
    pub balanced_accuracy: f64,
    /// One over the number of classes.
    pub chance: f64,
    /// What the rule reaches in one of a hundred shuffles of the labels.
    pub by_luck: f64,
}

impl Giveaway {
    /// Measures a number, such as the duration.
    pub fn of_numbers(property: &str, values: &[f64], labels: &[usize]) -> Giveaway {
        Giveaway::measure(property, labels, |train| {
            let edges = quantiles(train.iter().map(|&clip| values[clip]).collect());
            let bin = |value: f64| edges.partition_point(|&edge| edge <= value);
            (
                values.iter().map(|&value| bin(value)).collect(),
                edges.len() + 1,
            )
        })
    }

    /// Measures a name, such as the speaker; each name is a place in a list.
    pub fn of_names(property: &str, names: &[usize], labels: &[usize]) -> Giveaway {
        let count = names.iter().max().map_or(0, |most| most + 1);
        Giveaway::measure(property, labels, |_| (names.to_vec(), count))
    }

    /// `bins` gives each clip's bin and how many there are, by the clips that the rule is made from.
    fn measure(
        property: &str,
        labels: &[usize],
        bins: impl Fn(&[usize]) -> (Vec<usize>, usize),
    ) -> Giveaway {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.shuffle(&mut random);
        // The bins of a fold do not depend on the labels, so the shuffles share them.
        let folds: Vec<Fold> = (0..FOLDS)
            .map(|fold| {
                let (test, train): (Vec<_>, Vec<_>) = order
                    .iter()
                    .enumerate()
                    .partition(|(place, _)| place % FOLDS == fold);
                let clips =
                    |part: Vec<(usize, &usize)>| part.into_iter().map(|(_, &c)| c).collect();
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
            let mut guessed = vec![0; labels.len()];
            folds
                .iter()
                .for_each(|fold| fold.guess(labels, &mut guessed));
            balanced_accuracy(labels, &guessed)
        };
        let mut shuffled = labels.to_vec();
        let mut by_luck: Vec<f64> = (0..SHUFFLES)
            .map(|_| {
                shuffled.shuffle(&mut random);
                score(&shuffled)
            })
            .collect();
        by_luck.sort_by(f64::total_cmp);
        Giveaway {
            property: property.into(),
            balanced_accuracy: score(labels),
            chance: 1.0 / classes_of(labels).max(1) as f64,
            by_luck: by_luck[(BY_LUCK * (SHUFFLES - 1) as f64) as usize],
        }
    }

    /// Whether it is more than luck, and enough to be of weight.
    pub fn is_worth_a_warning(&self) -> bool {
        let gained = (self.balanced_accuracy - self.chance) / (1.0 - self.chance).max(1e-9);
        self.balanced_accuracy > self.by_luck && gained >= WORTH_A_WARNING
    }
}

struct Fold {
    test: Vec<usize>,
    train: Vec<usize>,
    bin_of: Vec<usize>,
    count: usize,
}

impl Fold {
    /// Guesses the labels of the test clips by the bins of the others.
    fn guess(&self, labels: &[usize], guessed: &mut [usize]) {
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
            guessed[clip] = (0..classes)
                .rev()
                .max_by(|&a, &b| share(bin, a).total_cmp(&share(bin, b)))
                .unwrap_or(0);
        }
    }
}

/// Values between bins that hold about as many values each, as many bins as the root of their number.
fn quantiles(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let bins = (values.len() as f64).sqrt().clamp(2.0, MOST_BINS as f64) as usize;
    let mut edges: Vec<f64> = (1..bins)
        .filter_map(|bin| values.get(bin * values.len() / bins).copied())
        .collect();
    edges.dedup();
    edges
}

/// The mean recall of the classes that occur.
pub fn balanced_accuracy(truth: &[usize], guessed: &[usize]) -> f64 {
    let classes = truth.iter().max().map_or(0, |most| most + 1);
    let (mut hits, mut totals) = (vec![0.0; classes], vec![0.0; classes]);
    for (&truth, guessed) in truth.iter().zip(guessed) {
        totals[truth] += 1.0;
        hits[truth] += f64::from(u8::from(truth == *guessed));
    }
    let recalls: Vec<f64> = hits
        .iter()
        .zip(&totals)
        .filter(|(_, total)| **total > 0.0)
        .map(|(h, t)| h / t)
        .collect();
    recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
}

fn classes_of(labels: &[usize]) -> usize {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels.dedup();
    labels.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_is_the_label_tells_all_of_it() {
        let labels: Vec<usize> = (0..200).map(|clip| clip % 4).collect();
        let numbers: Vec<f64> = labels.iter().map(|&label| label as f64).collect();
        for giveaway in [
            Giveaway::of_numbers("duration", &numbers, &labels),
            Giveaway::of_names("speaker", &labels, &labels),
        ] {
            assert_eq!(giveaway.balanced_accuracy, 1.0);
            assert!(giveaway.is_worth_a_warning() && giveaway.by_luck < 0.5);
        }
    }

    #[test]
    fn a_property_that_is_the_same_everywhere_or_noise_tells_nothing() {
        let labels: Vec<usize> = (0..300).map(|clip| clip % 3).collect();
        let same = Giveaway::of_numbers("duration", &vec![1.0; 300], &labels);
        assert!((same.balanced_accuracy - 1.0 / 3.0).abs() < 1e-9);
        let noise: Vec<f64> = (0..300)
            .map(|clip| (clip as f64 * 0.61803).fract())
            .collect();
        assert!(!Giveaway::of_numbers("duration", &noise, &labels).is_worth_a_warning());
        let balanced: Vec<usize> = (0..300).map(|clip| clip / 3 % 10).collect();
        assert!(!Giveaway::of_names("speaker", &balanced, &labels).is_worth_a_warning());
    }

    #[test]
    fn half_the_clips_told_are_half_the_way() {
        // Of two classes, one clip in two has a number that tells, the others share one.
        let labels: Vec<usize> = (0..400).map(|clip| clip % 2).collect();
        let names: Vec<usize> = (0..400)
            .map(|clip| if clip % 4 < 2 { clip % 2 } else { 2 })
            .collect();
        let giveaway = Giveaway::of_names("speaker", &names, &labels);
        assert!(
            (giveaway.balanced_accuracy - 0.75).abs() < 0.06,
            "{giveaway:?}"
        );
    }

    #[test]
    fn rare_classes_count_as_much() {
        assert_eq!(balanced_accuracy(&[0, 0, 0, 1], &[0, 0, 0, 0]), 0.5);
    }

    #[test]
    fn few_clips_are_no_trouble() {
        for clips in 0..4 {
            let labels: Vec<usize> = (0..clips).collect();
            let numbers = vec![1.0; clips];
            assert!(!Giveaway::of_numbers("duration", &numbers, &labels).is_worth_a_warning());
        }
    }
}
