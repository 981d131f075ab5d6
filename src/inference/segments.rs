//! Conversion of predictions for overlapping windows to segments of a recording.

use crate::evaluation::argmax;

/// Prediction for one window: its range of samples, and the probability of each class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WindowOutput {
    pub start: u64,
    pub end: u64,
    pub probabilities: Vec<f32>,
}

/// Consecutive hops with the same class, or without speech: the hops `first..end`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub first: usize,
    pub end: usize,
    pub class: usize,
    pub has_speech: bool,
    /// Mean probabilities over the hops.
    pub probabilities: Vec<f32>,
}

/// Lower limit of a probability before the logarithm.
const MIN_PROBABILITY: f32 = 1e-30;

/// Log-probabilities `[hops][classes]`: the mean over all windows that contain the centre of the
/// hop.
///
/// The hops cover the recording without gaps; the last one can be shorter.
pub(super) fn hops(windows: &[WindowOutput], samples: u64, hop: u64) -> Vec<Vec<f32>> {
    let count = samples.div_ceil(hop) as usize;
    let classes = windows
        .first()
        .map_or(0, |window| window.probabilities.len());
    let mut rows = vec![vec![0.0f32; classes]; count];
    let mut counts = vec![0u32; count];
    for window in windows {
        for index in (window.start / hop) as usize..count {
            let start = index as u64 * hop;
            let middle = start + hop.min(samples - start) / 2;
            if middle >= window.end {
                break;
            }
            if middle < window.start {
                continue;
            }
            counts[index] += 1;
            for (sum, probability) in rows[index].iter_mut().zip(&window.probabilities) {
                *sum += probability.max(MIN_PROBABILITY).ln();
            }
        }
    }
    for (row, count) in rows.iter_mut().zip(counts) {
        for sum in row {
            *sum /= count.max(1) as f32;
        }
    }
    rows
}

/// Replaces each row by the mean of the rows up to `reach` hops away that have speech like it, or
/// lack it; there are fewer rows at the ends.
pub(super) fn smooth(rows: &[Vec<f32>], speech: &[bool], reach: usize) -> Vec<Vec<f32>> {
    let mean = |hop: usize| {
        let around = hop.saturating_sub(reach)..(hop + reach + 1).min(rows.len());
        let alike: Vec<&Vec<f32>> = around
            .filter(|&other| speech[other] == speech[hop])
            .map(|other| &rows[other])
            .collect();
        let class = |class: usize| alike.iter().map(|row| row[class]).sum::<f32>();
        (0..rows[hop].len())
            .map(|index| class(index) / alike.len() as f32)
            .collect()
    };
    (0..rows.len()).map(mean).collect()
}

/// Joins neighbouring hops with the same most probable class, and neighbouring hops without speech.
pub(super) fn merge(rows: &[Vec<f32>], speech: &[bool]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (hop, (row, &has_speech)) in rows.iter().zip(speech).enumerate() {
        let row = normalised(row);
        let class = argmax(&row);
        let continues =
            |run: &Run| run.has_speech == has_speech && (run.class == class || !has_speech);
        match runs.last_mut() {
            Some(run) if continues(run) => {
                run.end = hop + 1;
                for (sum, probability) in run.probabilities.iter_mut().zip(row) {
                    *sum += probability;
                }
            }
            _ => runs.push(Run {
                first: hop,
                end: hop + 1,
                class,
                has_speech,
                probabilities: row,
            }),
        }
    }
    for run in &mut runs {
        for sum in &mut run.probabilities {
            *sum /= (run.end - run.first) as f32;
        }
    }
    runs
}

/// The probabilities of a mean of log-probabilities, normalised to the sum 1.
pub(super) fn normalised(row: &[f32]) -> Vec<f32> {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let values: Vec<f32> = row.iter().map(|value| (value - highest).exp()).collect();
    let sum: f32 = values.iter().sum();
    values.into_iter().map(|value| value / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(start: u64, end: u64, probabilities: [f32; 2]) -> WindowOutput {
        WindowOutput {
            start,
            end,
            probabilities: probabilities.to_vec(),
        }
    }

    /// Hops of 10 samples in a recording of 35, windows of 20; the last window ends with the
    /// recording.
    #[test]
    fn a_hop_is_the_geometric_mean_of_the_windows_with_its_centre() {
        let windows = [
            window(0, 20, [0.9, 0.1]),
            window(10, 30, [0.6, 0.4]),
            window(15, 35, [0.2, 0.8]),
        ];
        let rows = hops(&windows, 35, 10);
        let geometric_mean = |products: [f32; 2], windows: f32| {
            let [a, b] = products.map(|product| product.powf(1.0 / windows));
            a / (a + b)
        };
        let expected = [
            0.9,
            geometric_mean([0.9 * 0.6 * 0.2, 0.1 * 0.4 * 0.8], 3.0),
            geometric_mean([0.6 * 0.2, 0.4 * 0.8], 2.0),
            0.2,
        ];
        assert_eq!(rows.len(), 4);
        for (row, expected) in rows.iter().zip(expected) {
            let found = normalised(row)[0];
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        let runs = merge(&rows, &[true; 4]);
        let ends: Vec<_> = runs
            .iter()
            .map(|run| (run.first, run.end, run.class))
            .collect();
        assert_eq!(ends, [(0, 2, 0), (2, 4, 1)]);
    }

    #[test]
    fn smoothing_removes_a_single_deviating_hop() {
        let rows: Vec<Vec<f32>> = [0.9, 0.9, 0.3, 0.9, 0.9f32]
            .iter()
            .map(|p| vec![p.ln(), (1.0 - p).ln()])
            .collect();
        let speech = [true; 5];
        assert_eq!(merge(&smooth(&rows, &speech, 0), &speech).len(), 3);
        let smoothed = smooth(&rows, &speech, 1);
        assert_eq!(merge(&smoothed, &speech).len(), 1);
        assert!((smoothed[0][0] - 0.9f32.ln()).abs() < 1e-6);
        let middle = (2.0 * 0.9f32.ln() + 0.3f32.ln()) / 3.0;
        assert!((smoothed[2][0] - middle).abs() < 1e-6);
    }

    #[test]
    fn hops_without_speech_are_one_run_and_do_not_change_their_neighbours() {
        let rows: Vec<Vec<f32>> = [0.9, 0.9, 0.2, 0.7, 0.2, 0.9f32]
            .iter()
            .map(|p| vec![p.ln(), (1.0 - p).ln()])
            .collect();
        let speech = [true, true, false, false, false, true];
        let smoothed = smooth(&rows, &speech, 1);
        for hop in [0, 1, 5] {
            assert!((smoothed[hop][0] - 0.9f32.ln()).abs() < 1e-6);
        }
        let runs = merge(&rows, &speech);
        let found: Vec<_> = runs
            .iter()
            .map(|run| (run.first, run.end, run.has_speech))
            .collect();
        assert_eq!(found, [(0, 2, true), (2, 5, false), (5, 6, true)]);
    }

    proptest! {
        #[test]
        fn runs_cover_the_hops_and_have_their_most_probable_class(
            rows in prop::collection::vec(
                (prop::collection::vec(0.001f32..1.0, 3), prop::bool::weighted(0.8)),
                1..40,
            ),
            reach in 0usize..4,
        ) {
            let (rows, speech): (Vec<Vec<f32>>, Vec<bool>) = rows.into_iter().unzip();
            let logarithms: Vec<Vec<f32>> =
                rows.iter().map(|row| row.iter().map(|p| p.ln()).collect()).collect();
            let runs = merge(&smooth(&logarithms, &speech, reach), &speech);
            prop_assert_eq!(runs[0].first, 0);
            prop_assert_eq!(runs.last().unwrap().end, rows.len());
            for pair in runs.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].first);
                let differ = pair[0].class != pair[1].class;
                prop_assert!(differ && pair[0].has_speech || pair[0].has_speech != pair[1].has_speech);
            }
            for run in runs {
                let of_run = &speech[run.first..run.end];
                prop_assert!(of_run.iter().all(|&has_speech| has_speech == run.has_speech));
                if !run.has_speech {
                    continue;
                }
                prop_assert!((run.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-4);
                let most = run.probabilities.iter().copied().fold(0.0, f32::max);
                prop_assert!(run.probabilities[run.class] > most - 1e-5);
            }
        }
    }
}
