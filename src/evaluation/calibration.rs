//! Calibration: of the clips predicted with a probability of 80 %, 80 % should be right. The fitted
//! temperature improves the calibration without changing any prediction.

use serde::{Deserialize, Serialize};

use super::metrics::{Predictions, argmax};

/// Number of bins of a reliability diagram, as in Guo et al. (2017).
const BINS: usize = 15;
/// Search range of the temperature.
const TEMPERATURES: [f64; 2] = [0.05, 20.0];
/// Steps of the search. Each step shrinks the range of ln T to 0.618 of its width, in the end to
/// 3e-8.
const STEPS: usize = 40;

/// Measures of calibration. Lower is better for all three numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: the distance between confidence and accuracy of a bin, averaged
    /// over the bins and weighted by their number of clips (Guo et al. 2017, equation 3).
    pub ece: f64,
    /// Negative log-likelihood: the mean of −ln p of the true class, in nats (scikit-learn's
    /// `log_loss`). A p below 1.2e-38, the smallest normal float, counts as 1.2e-38.
    pub nll: f64,
    /// Brier score: the squared distance of a clip's probabilities from 1 for the true class and 0
    /// for the others, summed over the classes, averaged over the clips; from 0 to 2 (Brier 1950).
    pub brier: f64,
    /// Fifteen bins of equal width over the confidence, from 0 to 1. A bin includes its upper edge.
    pub bins: Vec<Bin>,
}

/// The clips whose highest probability is in one range: a bar of the reliability diagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Number of clips in the bin.
    pub clips: u64,
    /// Mean of the highest probability of each clip; 0 without clips.
    pub confidence: f64,
    /// Share of the clips whose prediction is right; 0 without clips.
    pub accuracy: f64,
}

impl Calibration {
    /// Measures the probabilities of predictions. Without predictions every number is 0.
    ///
    /// # Panics
    /// If there is not one row of probabilities for each clip, or if a label is not an index into it.
    /// Only a bug can produce such predictions.
    pub fn of(predictions: &Predictions) -> Calibration {
        let predicted = predictions.predicted();
        let truth = &predictions.truth;
        assert_eq!(predicted.len(), truth.len(), "one prediction for each clip");

        let mut bins = vec![Bin::default(); BINS];
        let (mut nll, mut brier) = (0.0, 0.0);
        for ((row, &truth), predicted) in predictions.probabilities.iter().zip(truth).zip(predicted)
        {
            let confidence = f64::from(row[predicted]);
            let bin = &mut bins[bin_of(confidence)];
            bin.clips += 1;
            bin.confidence += confidence;
            bin.accuracy += f64::from(u8::from(predicted == truth));

            nll -= f64::from(row[truth].max(f32::MIN_POSITIVE)).ln();
            let square = |(class, &p): (usize, &f32)| {
                (f64::from(p) - f64::from(u8::from(class == truth))).powi(2)
            };
            brier += row.iter().enumerate().map(square).sum::<f64>();
        }

        let clips = truth.len().max(1) as f64;
        let gap = |bin: &Bin| (bin.confidence - bin.accuracy).abs();
        let ece = bins.iter().map(gap).sum::<f64>() / clips;
        for bin in &mut bins {
            let count = bin.clips.max(1) as f64;
            bin.confidence /= count;
            bin.accuracy /= count;
        }
        Calibration {
            ece,
            nll: nll / clips,
            brier: brier / clips,
            bins,
        }
    }
}

/// Index of the bin of a confidence. Bin m holds the confidences in (m / 15, (m + 1) / 15].
fn bin_of(confidence: f64) -> usize {
    let from_one = (confidence * BINS as f64).ceil() as usize;
    from_one.clamp(1, BINS) - 1
}

/// Probabilities softened (T > 1) or sharpened (T < 1): softmax(log-probabilities / T), [clips,
/// classes].
///
/// The log-probabilities serve as logits. The two differ by a constant in each row, which does not
/// change a softmax. At T = 1 the probabilities are those of the model.
pub fn at_temperature(log_probabilities: &[Vec<f32>], temperature: f64) -> Vec<Vec<f32>> {
    let softmax = |row: &Vec<f32>| {
        let normaliser = log_sum_exp(row, temperature);
        let probability = |&x: &f32| (f64::from(x) / temperature - normaliser).exp() as f32;
        row.iter().map(probability).collect()
    };
    log_probabilities.iter().map(softmax).collect()
}

/// The temperature between 0.05 and 20 that maximises the likelihood of the true labels (Guo et al.
/// 2017, section 4.2). Use clips that are used neither for training nor for testing. Without clips
/// the temperature is 1.
///
/// The temperature is also 1 if every prediction is right: the likelihood then has no maximum,
/// because every lower temperature increases it.
///
/// The negative log-likelihood is convex in 1 / T and so has a single minimum over ln T, which a
/// golden-section search (Kiefer 1953) always finds.
///
/// # Panics
/// If there is not one row for each clip, or if a label is not an index into it.
pub fn fit_temperature(log_probabilities: &[Vec<f32>], truth: &[usize]) -> f64 {
    assert_eq!(
        log_probabilities.len(),
        truth.len(),
        "one row for each clip"
    );
    let mut rows = log_probabilities.iter().zip(truth);
    if rows.all(|(row, &truth)| argmax(row) == truth) {
        return 1.0;
    }
    let loss = |ln_temperature: f64| -> f64 {
        let temperature = ln_temperature.exp();
        let clip_loss = |(row, &truth): (&Vec<f32>, &usize)| {
            log_sum_exp(row, temperature) - f64::from(row[truth]) / temperature
        };
        log_probabilities.iter().zip(truth).map(clip_loss).sum()
    };
    minimise(loss, TEMPERATURES.map(f64::ln)).exp()
}

/// ln Σ exp(x / T), without overflow.
fn log_sum_exp(row: &[f32], temperature: f64) -> f64 {
    let scaled = |&x: &f32| f64::from(x) / temperature;
    let highest = row.iter().map(scaled).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|x| (scaled(x) - highest).exp()).sum();
    highest + sum.ln()
}

/// Position of the minimum of a unimodal function, by golden-section search. The range shrinks by
/// the golden ratio, so that one of its two inner points is also an inner point of the next range.
fn minimise(function: impl Fn(f64) -> f64, [mut low, mut high]: [f64; 2]) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let inner = |low: f64, high: f64| [high - ratio * (high - low), low + ratio * (high - low)];
    let [mut left, mut right] = inner(low, high);
    let (mut at_left, mut at_right) = (function(left), function(right));
    for _ in 0..STEPS {
        if at_left <= at_right {
            high = right;
            (right, at_right) = (left, at_left);
            left = inner(low, high)[0];
            at_left = function(left);
        } else {
            low = left;
            (left, at_left) = (right, at_right);
            right = inner(low, high)[1];
            at_right = function(right);
        }
    }
    (low + high) / 2.0
}
