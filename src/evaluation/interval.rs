//! How far a score reaches: an interval over speakers, each speaker on its own, and the spread over
//! seeds.
//!
//! The clips of a speaker are not independent of each other: a model that errs on one of them errs on
//! many. So what is resampled is speakers, with all of their clips (the cluster bootstrap, Field &
//! Welsh 2007), and the interval tells how the score would move if other people had been recorded.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::metrics::{Predictions, from_confusion};

/// Resamples behind an interval.
const RESAMPLES: usize = 2000;
/// The ends of a 95 % interval, as fractions of the resamples.
const ENDS: [f64; 2] = [0.025, 0.975];

/// Where 95 of 100 values lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// A fortieth of the values is lower.
    pub low: f64,
    /// A fortieth of the values is higher.
    pub high: f64,
}

impl Interval {
    /// The percentiles 2.5 and 97.5, linear between neighbouring values (`numpy.percentile`). Of the
    /// scores of resamples it is the percentile interval (Efron & Tibshirani 1993, section 13.3).
    ///
    /// # Panics
    /// If there are no values.
    pub fn of(values: &[f64]) -> Interval {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let [low, high] = ENDS.map(|fraction| {
            let place = fraction * (sorted.len() - 1) as f64;
            let (below, above) = (
                sorted[place.floor() as usize],
                sorted[place.ceil() as usize],
            );
            below + (above - below) * place.fract()
        });
        Interval { low, high }
    }
}

/// Wilson's 95 % interval for a share that was seen as `hits` of `clips` (Wilson 1927), where clips are
/// independent of each other. Nothing is known of no clips: 0 to 1.
pub fn wilson(hits: u64, clips: u64) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    if clips == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let (n, share) = (clips as f64, hits as f64 / clips as f64);
    let middle = share + Z * Z / (2.0 * n);
    let reach = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    Interval {
        low: ((middle - reach) / whole).max(0.0),
        high: ((middle + reach) / whole).min(1.0),
    }
}

/// The three numbers that a confusion matrix is summed up by, defined as in
/// [`Metrics`](super::Metrics).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share of clips whose prediction is right.
    pub accuracy: f64,
    /// Mean recall of the classes that have clips in the truth.
    pub uar: f64,
    /// Mean F1 of the classes that occur in the truth or in the predictions.
    pub macro_f1: f64,
}

/// A 95 % interval for each of the [`Scores`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Of the accuracy.
    pub accuracy: Interval,
    /// Of the UAR.
    pub uar: Interval,
    /// Of the macro F1.
    pub macro_f1: Interval,
}

/// How well one speaker is understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpeakerScores {
    /// Who.
    pub speaker: String,
    /// Number of clips measured.
    pub clips: u64,
    /// Share of them whose prediction is right.
    pub accuracy: f64,
    /// Mean recall of the classes that the speaker has clips of.
    pub uar: f64,
}

/// Predictions, counted speaker by speaker.
#[derive(Debug, Clone, PartialEq)]
pub struct BySpeaker {
    classes: Vec<String>,
    /// Clips of each speaker, counted by `confusion[truth][prediction]`.
    confusions: BTreeMap<String, Vec<Vec<u64>>>,
}

impl BySpeaker {
    /// Counts predictions, given the speaker of each clip. Clips whose speaker nobody knows (the
    /// empty name) count as one speaker.
    ///
    /// # Panics
    /// If there is not one speaker for each clip, or a label is not an index into the classes: such
    /// lists come from a bug, not from a user.
    pub fn new(predictions: &Predictions, speakers: &[&str]) -> BySpeaker {
        let (truth, predicted) = (&predictions.truth, predictions.predicted());
        assert_eq!(speakers.len(), truth.len(), "one speaker for each clip");
        assert_eq!(predicted.len(), truth.len(), "one prediction for each clip");

        let classes = &predictions.classes;
        let mut confusions = BTreeMap::new();
        for ((speaker, truth), predicted) in speakers.iter().zip(truth).zip(predicted) {
            let confusion = confusions
                .entry(speaker.to_string())
                .or_insert_with(|| nothing(classes));
            confusion[*truth][predicted] += 1;
        }
        BySpeaker {
            classes: classes.clone(),
            confusions,
        }
    }

    /// The scores when each speaker, in the order of their names, is heard so many times.
    ///
    /// A class that none of the speakers heard has clips of is left out of the UAR; one that is not
    /// predicted either is left out of the macro F1.
    ///
    /// # Panics
    /// If there is not one number for each speaker.
    pub fn scores(&self, times: &[u64]) -> Scores {
        assert_eq!(times.len(), self.confusions.len(), "one number a speaker");
        let mut sum = nothing(&self.classes);
        for (confusion, times) in self.confusions.values().zip(times) {
            for (sum, count) in sum.iter_mut().flatten().zip(confusion.iter().flatten()) {
                *sum += times * count;
            }
        }
        let metrics = from_confusion(&self.classes, sum);
        Scores {
            accuracy: metrics.accuracy,
            uar: metrics.uar,
            macro_f1: metrics.macro_f1,
        }
    }

    /// 95 % intervals from 2000 resamples of as many speakers as there are, drawn with replacement by
    /// the seed.
    ///
    /// None with fewer than two speakers: one voice cannot tell how voices differ. With less than
    /// about ten, the interval is narrower than it should be.
    pub fn intervals(&self, seed: u64) -> Option<Intervals> {
        self.resampled(seed, |times| self.scores(times))
    }

    /// The same of how far these scores lie above others of the same speakers: each resample is heard
    /// by both, so what is hard about a speaker is hard for both and falls away.
    ///
    /// None where the speakers or classes are others.
    pub fn intervals_above(&self, other: &BySpeaker, seed: u64) -> Option<Intervals> {
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
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let resampled: Vec<Scores> = (0..RESAMPLES)
            .map(|_| {
                let mut times = vec![0; speakers];
                for _ in 0..speakers {
                    times[random.random_range(0..speakers)] += 1;
                }
                scores(&times)
            })
            .collect();
        let interval = |score: fn(&Scores) -> f64| {
            Interval::of(&resampled.iter().map(score).collect::<Vec<f64>>())
        };
        Some(Intervals {
            accuracy: interval(|scores| scores.accuracy),
            uar: interval(|scores| scores.uar),
            macro_f1: interval(|scores| scores.macro_f1),
        })
    }

    /// The scores of each speaker, in the order of their names.
    pub fn each(&self) -> Vec<SpeakerScores> {
        let of = |(speaker, confusion): (&String, &Vec<Vec<u64>>)| {
            let metrics = from_confusion(&self.classes, confusion.clone());
            SpeakerScores {
                speaker: speaker.clone(),
                clips: metrics.clips as u64,
                accuracy: metrics.accuracy,
                uar: metrics.uar,
            }
        };
        self.confusions.iter().map(of).collect()
    }
}

/// No clips: a confusion matrix of zeros.
fn nothing(classes: &[String]) -> Vec<Vec<u64>> {
    vec![vec![0; classes.len()]; classes.len()]
}

/// A score over several trainings that differ in their seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation (n − 1 in the denominator); none of fewer than two values.
    pub deviation: Option<f64>,
}

impl Spread {
    /// The spread of values; the mean of none is 0.
    pub fn of(values: &[f64]) -> Spread {
        let mean = mean(values);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = || (squares / (values.len() - 1) as f64).sqrt();
        Spread {
            mean,
            deviation: (values.len() > 1).then(deviation),
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
