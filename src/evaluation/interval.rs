//! Uncertainty of a score: an interval over speakers, the scores of each speaker, and the mean and
//! standard deviation over seeds.
//!
//! The clips of a speaker are not independent of each other: a model that is wrong on one of them
//! is wrong on many. Speakers are therefore resampled with all of their clips (the cluster
//! bootstrap, Field & Welsh 2007). The interval estimates the change of the score with other
//! speakers.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::metrics::{Metrics, Predictions, from_confusion};

/// Number of bootstrap resamples of an interval.
const RESAMPLES: usize = 2000;
/// Quantiles at the two ends of a 95 % interval.
const ENDS: [f64; 2] = [0.025, 0.975];

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end: the 2.5th percentile.
    pub low: f64,
    /// The upper end: the 97.5th percentile.
    pub high: f64,
}

impl Interval {
    /// The percentiles 2.5 and 97.5 of the values, with linear interpolation between neighbouring
    /// values (`numpy.percentile`). For the scores of bootstrap resamples this is the percentile
    /// interval (Efron & Tibshirani 1993, section 13.3).
    ///
    /// # Panics
    /// If `values` is empty.
    pub fn of(values: &[f64]) -> Interval {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let [low, high] = ENDS.map(|fraction| {
            let rank = fraction * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            below + (above - below) * rank.fract()
        });
        Interval { low, high }
    }
}

/// Wilson's 95 % score interval for a proportion of `hits` in `clips` (Wilson 1927). It assumes
/// that the clips are independent of each other. Without clips the interval is 0 to 1.
pub fn wilson(hits: u64, clips: u64) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    if clips == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let (n, share) = (clips as f64, hits as f64 / clips as f64);
    let centre = share + Z * Z / (2.0 * n);
    let half_width = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    Interval {
        low: ((centre - half_width) / scale).max(0.0),
        high: ((centre + half_width) / scale).min(1.0),
    }
}

/// The three summary scores of a confusion matrix, defined as in [`Metrics`]. `T` is the type of
/// one score: a number, an [`Interval`], or a [`MeanStd`] over several trainings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores<T = f64> {
    /// Share of clips whose prediction is right.
    pub accuracy: T,
    /// Mean recall of the classes that have clips in the truth.
    pub uar: T,
    /// Mean F1 of the classes that occur in the truth or in the predictions.
    pub macro_f1: T,
}

/// A 95 % interval for each of the [`Scores`].
pub type Intervals = Scores<Interval>;

impl<T> Scores<T> {
    /// Applies a function to each score.
    pub fn map<U>(&self, function: impl Fn(&T) -> U) -> Scores<U> {
        Scores {
            accuracy: function(&self.accuracy),
            uar: function(&self.uar),
            macro_f1: function(&self.macro_f1),
        }
    }
}

impl Scores {
    /// A statistic of each score over several sets of scores, for example their mean.
    pub fn across<U>(all: &[Scores], statistic: impl Fn(&[f64]) -> U) -> Scores<U> {
        let of =
            |score: fn(&Scores) -> f64| statistic(&all.iter().map(score).collect::<Vec<f64>>());
        Scores {
            accuracy: of(|scores| scores.accuracy),
            uar: of(|scores| scores.uar),
            macro_f1: of(|scores| scores.macro_f1),
        }
    }
}

impl From<&Metrics> for Scores {
    fn from(metrics: &Metrics) -> Scores {
        Scores {
            accuracy: metrics.accuracy,
            uar: metrics.uar,
            macro_f1: metrics.macro_f1,
        }
    }
}

/// Scores on the clips of one speaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpeakerScores {
    /// Name of the speaker; empty for the clips without a known speaker.
    pub speaker: String,
    /// Number of clips measured.
    pub clips: u64,
    /// Share of the clips whose prediction is right.
    pub accuracy: f64,
    /// Mean recall of the classes that the speaker has clips of.
    pub uar: f64,
}

/// The confusion matrices of each speaker, from which speakers are resampled.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeakerBootstrap {
    classes: Vec<String>,
    /// Clips of each speaker in each of the trainings, counted by `confusion[truth][prediction]`.
    confusions: BTreeMap<String, Vec<Vec<Vec<u64>>>>,
}

impl SpeakerBootstrap {
    /// Counts predictions, given the speaker of each clip. Clips without a known speaker (the empty
    /// name) count as clips of one speaker.
    ///
    /// # Panics
    /// If there is not one speaker for each clip, or if a label is not an index into the classes.
    /// Only a bug can produce such lists.
    pub fn new(predictions: &Predictions, speakers: &[&str]) -> SpeakerBootstrap {
        let (truth, predicted) = (&predictions.truth, predictions.predicted());
        assert_eq!(speakers.len(), truth.len(), "one speaker for each clip");
        assert_eq!(predicted.len(), truth.len(), "one prediction for each clip");

        let classes = &predictions.classes;
        let mut confusions = BTreeMap::new();
        for ((speaker, truth), predicted) in speakers.iter().zip(truth).zip(predicted) {
            let of_speaker = confusions
                .entry(speaker.to_string())
                .or_insert_with(|| vec![zero_confusion(classes)]);
            of_speaker[0][*truth][predicted] += 1;
        }
        SpeakerBootstrap {
            classes: classes.clone(),
            confusions,
        }
    }

    /// Several trainings, such as those with different seeds, whose mean scores count.
    ///
    /// # Panics
    /// If they have different classes. Only a bug can produce such trainings.
    pub fn of_trainings(trainings: &[SpeakerBootstrap]) -> SpeakerBootstrap {
        let classes = trainings.first().map_or(&[][..], |one| &one.classes);
        assert!(trainings.iter().all(|one| one.classes == classes));
        let speakers = trainings.iter().flat_map(|one| one.confusions.keys());
        let of_speaker = |speaker: &String| {
            let own = trainings.iter().flat_map(|one| {
                let none = || vec![zero_confusion(classes)];
                one.confusions.get(speaker).cloned().unwrap_or_else(none)
            });
            (speaker.clone(), own.collect())
        };
        SpeakerBootstrap {
            classes: classes.to_vec(),
            confusions: speakers.map(of_speaker).collect(),
        }
    }

    /// Scores of a resample that contains each speaker `times` times; speakers are in the order of
    /// their names. With several trainings, these are the means of their scores.
    ///
    /// A class without clips in the resample is left out of the UAR. If it is not predicted either,
    /// it is also left out of the macro F1.
    ///
    /// # Panics
    /// If `times` does not have one number for each speaker.
    pub fn scores(&self, times: &[u64]) -> Scores {
        assert_eq!(
            times.len(),
            self.confusions.len(),
            "one number for each speaker"
        );
        let trainings = self.confusions.values().next().map_or(0, Vec::len);
        let of_training = |training: usize| {
            let confusions = self.confusions.values().map(|all| &all[training]);
            let metrics = from_confusion(
                &self.classes,
                self.sum(confusions.zip(times.iter().copied())),
            );
            // A training may have tested none of these speakers.
            (metrics.clips > 0).then(|| Scores::from(&metrics))
        };
        let scores: Vec<Scores> = (0..trainings).filter_map(of_training).collect();
        Scores::across(&scores, mean)
    }

    /// The sum of confusion matrices, each counted some times.
    fn sum<'a>(&self, confusions: impl Iterator<Item = (&'a Vec<Vec<u64>>, u64)>) -> Vec<Vec<u64>> {
        let mut sum = zero_confusion(&self.classes);
        for (confusion, times) in confusions {
            for (sum, count) in sum.iter_mut().flatten().zip(confusion.iter().flatten()) {
                *sum += times * count;
            }
        }
        sum
    }

    /// 95 % intervals from 2000 bootstrap resamples. A resample has as many speakers as the data,
    /// drawn with replacement; `seed` determines the draws.
    ///
    /// None with fewer than two speakers, which do not show the variation between speakers. With
    /// fewer than about ten speakers, the interval is narrower than it should be.
    pub fn intervals(&self, seed: u64) -> Option<Intervals> {
        self.resampled(seed, |times| self.scores(times))
    }

    /// 95 % intervals of the difference between these scores and the scores of `other` (a paired
    /// bootstrap). Both are scored on the same resamples, so that the difficulty of a speaker,
    /// which is common to both, cancels.
    ///
    /// None if the speakers or the classes of the two differ, or with fewer than two speakers.
    pub fn intervals_above(&self, other: &SpeakerBootstrap, seed: u64) -> Option<Intervals> {
        let same =
            self.classes == other.classes && self.confusions.keys().eq(other.confusions.keys());
        if !same {
            return None;
        }
        self.resampled(seed, |times| {
            let (ours, theirs) = (self.scores(times), other.scores(times));
            Scores {
                accuracy: ours.accuracy - theirs.accuracy,
                uar: ours.uar - theirs.uar,
                macro_f1: ours.macro_f1 - theirs.macro_f1,
            }
        })
    }

    fn resampled(&self, seed: u64, scores: impl Fn(&[u64]) -> Scores) -> Option<Intervals> {
        let speakers = self.confusions.len();
        if speakers < 2 {
            return None;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let resampled: Vec<Scores> = (0..RESAMPLES)
            .map(|_| {
                let mut times = vec![0; speakers];
                for _ in 0..speakers {
                    times[rng.random_range(0..speakers)] += 1;
                }
                scores(&times)
            })
            .collect();
        Some(Scores::across(&resampled, Interval::of))
    }

    /// Scores of each speaker, in the order of their names. With several trainings, the scores are of
    /// all their predictions.
    pub fn each(&self) -> Vec<SpeakerScores> {
        let scores = |(speaker, confusions): (&String, &Vec<Vec<Vec<u64>>>)| {
            let sum = self.sum(confusions.iter().map(|confusion| (confusion, 1)));
            let metrics = from_confusion(&self.classes, sum);
            let clips = confusions.iter().map(|one| one.iter().flatten().sum());
            SpeakerScores {
                speaker: speaker.clone(),
                clips: clips.max().unwrap_or(0),
                accuracy: metrics.accuracy,
                uar: metrics.uar,
            }
        };
        self.confusions.iter().map(scores).collect()
    }
}

/// The confusion matrix of no clips.
fn zero_confusion(classes: &[String]) -> Vec<Vec<u64>> {
    vec![vec![0; classes.len()]; classes.len()]
}

/// Mean and standard deviation of a score, for example over trainings with different seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanStd {
    /// Arithmetic mean; 0 without values.
    pub mean: f64,
    /// Sample standard deviation (n − 1 in the denominator); none with fewer than two values.
    #[serde(rename = "deviation")]
    pub std: Option<f64>,
}

impl MeanStd {
    /// Mean and standard deviation of `values`.
    pub fn of(values: &[f64]) -> MeanStd {
        let mean = mean(values);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = || (squares / (values.len() - 1) as f64).sqrt();
        MeanStd {
            mean,
            std: (values.len() > 1).then(deviation),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}
