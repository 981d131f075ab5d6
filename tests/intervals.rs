//! Intervals, mean and standard deviation over seeds, and calibration, compared with numpy,
//! scikit-learn and scipy. scripts/reference/make_intervals.py writes the reference.

use emovox::evaluation::{
    Bin, Calibration, Interval, MeanStd, Predictions, Scores, SpeakerBootstrap, SpeakerScores,
    at_temperature, fit_temperature, wilson,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    classes: Vec<String>,
    speakers: Vec<String>,
    truth: Vec<usize>,
    probabilities: Vec<Vec<f32>>,
    resamples: Vec<Resample>,
    each: Vec<SpeakerScores>,
    percentiles: Vec<Percentiles>,
    half_of_16: Interval,
    seeds: Seeds,
    calibration: Calibration,
    temperatures: Vec<Temperature>,
}

/// Number of times that a resample contains each speaker, and its scores.
#[derive(Deserialize)]
struct Resample {
    times: Vec<u64>,
    #[serde(flatten)]
    scores: Scores,
}

#[derive(Deserialize)]
struct Percentiles {
    values: Vec<f64>,
    #[serde(flatten)]
    interval: Interval,
}

#[derive(Deserialize)]
struct Seeds {
    values: Vec<f64>,
    mean: f64,
    deviation: f64,
}

#[derive(Deserialize)]
struct Temperature {
    log_probabilities: Vec<Vec<f32>>,
    truth: Vec<usize>,
    temperature: f64,
    first_rows_at_it: Vec<Vec<f64>>,
}

#[test]
fn the_scores_of_a_resample_are_scikit_learns() {
    let reference = reference();
    let by_speaker = reference.by_speaker();
    for Resample { times, scores } in &reference.resamples {
        let ours = by_speaker.scores(times);
        close(ours.accuracy, scores.accuracy);
        close(ours.uar, scores.uar);
        close(ours.macro_f1, scores.macro_f1);
    }
}

#[test]
fn a_resample_with_each_speaker_once_has_the_metrics_of_all_clips() {
    let reference = reference();
    let metrics = reference.predictions().metrics();
    let scores = reference.by_speaker().scores(&[1; 6]);
    close(scores.accuracy, metrics.accuracy);
    close(scores.uar, metrics.uar);
    close(scores.macro_f1, metrics.macro_f1);
}

/// Two trainings that err on different classes: the macro-F1 of their predictions together is not the
/// mean of theirs.
#[test]
fn several_trainings_have_the_means_of_their_scores() {
    let reference = reference();
    let mut other = reference.predictions();
    let classes = other.classes.len();
    for row in &mut other.probabilities {
        row.rotate_right(1);
    }
    other.probabilities[0] = vec![1.0 / classes as f32; classes];
    let speakers: Vec<&str> = reference.speakers.iter().map(String::as_str).collect();
    let other = SpeakerBootstrap::new(&other, &speakers);
    let both = SpeakerBootstrap::of_trainings(&[reference.by_speaker(), other.clone()]);
    for Resample { times, scores } in &reference.resamples {
        let (ours, others) = (both.scores(times), other.scores(times));
        close(ours.accuracy, (scores.accuracy + others.accuracy) / 2.0);
        close(ours.uar, (scores.uar + others.uar) / 2.0);
        close(ours.macro_f1, (scores.macro_f1 + others.macro_f1) / 2.0);
    }
    let interval = both.intervals(1).unwrap().macro_f1;
    let score = both.scores(&[1; 6]).macro_f1;
    assert!(interval.low < score && score < interval.high);
    let clips: Vec<u64> = both.each().iter().map(|speaker| speaker.clips).collect();
    let expected: Vec<u64> = reference.each.iter().map(|one| one.clips).collect();
    assert_eq!(clips, expected);
}

/// While a study is in training, a seed has tested only some of the speakers.
#[test]
fn a_training_without_the_speakers_of_a_resample_does_not_count() {
    let reference = reference();
    let first = reference
        .speakers
        .iter()
        .filter(|one| **one == reference.each[0].speaker);
    let predictions = reference.predictions();
    let own = |row: &usize| reference.speakers[*row] == reference.each[0].speaker;
    let rows: Vec<usize> = (0..predictions.truth.len()).filter(own).collect();
    let some = Predictions {
        classes: predictions.classes.clone(),
        truth: rows.iter().map(|&row| predictions.truth[row]).collect(),
        probabilities: rows
            .iter()
            .map(|&row| predictions.probabilities[row].clone())
            .collect(),
    };
    let speakers: Vec<&str> = first.map(String::as_str).collect();
    let some = SpeakerBootstrap::new(&some, &speakers);
    let both = SpeakerBootstrap::of_trainings(&[reference.by_speaker(), some]);
    let others = [0, 1, 1, 1, 1, 1];
    close(
        both.scores(&others).uar,
        reference.by_speaker().scores(&others).uar,
    );
}

#[test]
fn each_speaker_is_scored_as_scikit_learn_does() {
    let reference = reference();
    let each = reference.by_speaker().each();
    assert_eq!(each.len(), reference.each.len());
    for (ours, theirs) in each.iter().zip(&reference.each) {
        assert_eq!(ours.speaker, theirs.speaker);
        assert_eq!(ours.clips, theirs.clips);
        close(ours.accuracy, theirs.accuracy);
        close(ours.uar, theirs.uar);
    }
}

#[test]
fn the_percentiles_are_numpys() {
    for Percentiles { values, interval } in reference().percentiles {
        let ours = Interval::of(&values);
        close(ours.low, interval.low);
        close(ours.high, interval.high);
    }
}

#[test]
fn the_interval_of_good_and_bad_speakers_is_the_binomial_one() {
    let voices: Vec<String> = (0..16).map(|voice| format!("s{voice}")).collect();
    // Two clips a speaker, one of each class. Both clips of the even speakers are predicted
    // rightly, those of the odd speakers wrongly.
    let clips = || (0..16).flat_map(|voice| [(voice, 0), (voice, 1)]);
    let predictions = Predictions {
        classes: vec!["anger".into(), "fear".into()],
        truth: clips().map(|(_, class)| class).collect(),
        probabilities: clips()
            .map(|(voice, class)| match (voice + class) % 2 {
                0 => vec![0.9, 0.1],
                _ => vec![0.1, 0.9],
            })
            .collect(),
    };
    let speakers: Vec<&str> = clips().map(|(voice, _)| voices[voice].as_str()).collect();
    let by_speaker = SpeakerBootstrap::new(&predictions, &speakers);

    let expected = reference().half_of_16;
    for seed in 0..3 {
        let intervals = by_speaker.intervals(seed).expect("sixteen speakers");
        assert_eq!(intervals.accuracy, expected);
        assert_eq!(intervals.uar, expected);
    }
}

#[test]
fn an_interval_contains_the_score_and_depends_on_the_seed_alone() {
    let by_speaker = reference().by_speaker();
    let scores = by_speaker.scores(&[1; 6]);
    let intervals = by_speaker.intervals(1).expect("six speakers");
    for (interval, score) in [
        (intervals.accuracy, scores.accuracy),
        (intervals.uar, scores.uar),
        (intervals.macro_f1, scores.macro_f1),
    ] {
        assert!(
            interval.low < score && score < interval.high,
            "{interval:?} {score}"
        );
    }
    assert_eq!(by_speaker.intervals(1), Some(intervals));
    assert_ne!(by_speaker.intervals(2), Some(intervals));
}

/// Both models are scored on the same resamples. If one model is better by the same share for every
/// speaker, the paired difference is constant, however much the speakers differ.
#[test]
fn the_difficulty_of_a_speaker_cancels_in_paired_intervals() {
    let (speakers, clips) = (16, 10);
    let predicted = |better: usize| {
        // Of ten clips of speaker s, 2 to 5 are right, and `better` more.
        let clip = |index: usize| {
            let right = index % clips < 2 + (index / clips) % 4 + better;
            (index % 2, if right { index % 2 } else { 1 - index % 2 })
        };
        let (truth, labels): (Vec<usize>, Vec<usize>) = (0..speakers * clips).map(clip).unzip();
        let names: Vec<String> = (0..speakers * clips)
            .map(|index| format!("{:02}", index / clips))
            .collect();
        let row = |&class: &usize| {
            if class == 0 {
                vec![0.9, 0.1]
            } else {
                vec![0.1, 0.9]
            }
        };
        let predictions = Predictions {
            classes: vec!["a".into(), "b".into()],
            truth,
            probabilities: labels.iter().map(row).collect(),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        SpeakerBootstrap::new(&predictions, &names)
    };
    let (worse, better) = (predicted(0), predicted(3));
    let alone = worse.intervals(1).unwrap().accuracy;
    assert!(alone.high - alone.low > 0.05);
    let above = better.intervals_above(&worse, 1).unwrap().accuracy;
    close(above.low, 0.3);
    close(above.high, 0.3);
    let itself = worse.intervals_above(&worse, 1).unwrap().uar;
    assert_eq!((itself.low, itself.high), (0.0, 0.0));
    let reference = reference().by_speaker();
    assert_eq!(worse.intervals_above(&reference, 1), None, "other speakers");
}

#[test]
fn one_speaker_or_unknown_speakers_have_no_interval() {
    let reference = reference();
    let clips = reference.truth.len();
    for speakers in [vec!["anna"; clips], vec![""; clips]] {
        let by_speaker = SpeakerBootstrap::new(&reference.predictions(), &speakers);
        assert_eq!(by_speaker.intervals(1), None);
        assert_eq!(by_speaker.each().len(), 1);
    }
}

#[test]
fn the_mean_and_standard_deviation_over_seeds_are_numpys() {
    let Seeds {
        values,
        mean,
        deviation,
    } = reference().seeds;
    let spread = MeanStd::of(&values);
    close(spread.mean, mean);
    close(spread.std.expect("three seeds"), deviation);
    let one = MeanStd {
        mean: 0.6,
        std: None,
    };
    assert_eq!(MeanStd::of(&[0.6]), one);
}

#[test]
fn the_calibration_is_scikit_learns_and_the_papers() {
    let reference = reference();
    let ours = Calibration::of(&reference.predictions());
    let theirs = reference.calibration;
    close(ours.ece, theirs.ece);
    close(ours.nll, theirs.nll);
    close(ours.brier, theirs.brier);
    assert_eq!(ours.bins.len(), theirs.bins.len());
    for (ours, theirs) in ours.bins.iter().zip(&theirs.bins) {
        assert_eq!(ours.clips, theirs.clips);
        close(ours.confidence, theirs.confidence);
        close(ours.accuracy, theirs.accuracy);
    }
}

#[test]
fn the_temperature_is_scipys() {
    for case in reference().temperatures {
        let ours = fit_temperature(&case.log_probabilities, &case.truth);
        let theirs = case.temperature;
        assert!((ours - theirs).abs() < 1e-4, "{ours} is not {theirs}");

        let rows = at_temperature(&case.log_probabilities, theirs);
        for (ours, theirs) in rows.iter().flatten().zip(case.first_rows_at_it.concat()) {
            assert!((f64::from(*ours) - theirs).abs() < 1e-7);
        }
    }
}

#[test]
fn the_fitted_temperature_lowers_the_loss_and_changes_no_prediction() {
    let reference = reference();
    for case in reference.temperatures {
        let at = |temperature| Predictions {
            classes: reference.classes.clone(),
            truth: case.truth.clone(),
            probabilities: at_temperature(&case.log_probabilities, temperature),
        };
        let fitted = fit_temperature(&case.log_probabilities, &case.truth);
        assert_eq!(at(fitted).predicted(), at(1.0).predicted());
        let loss = |temperature| Calibration::of(&at(temperature)).nll;
        for other in [1.0, fitted / 1.1, fitted * 1.1] {
            assert!(loss(fitted) < loss(other), "{fitted} {other}");
        }
    }
}

#[test]
fn the_temperature_is_1_if_all_is_right_and_the_maximum_if_all_is_wrong() {
    let row = [0.9_f32.ln(), 0.1_f32.ln()].to_vec();
    let right = fit_temperature(&[row.clone(), row.clone()], &[0, 0]);
    let wrong = fit_temperature(&[row.clone(), row], &[1, 1]);
    assert!(right == 1.0 && (wrong - 20.0).abs() < 1e-5);
}

#[test]
fn without_predictions_everything_is_zero_and_not_nan() {
    let nothing = Predictions {
        classes: vec!["anger".into(), "fear".into()],
        truth: Vec::new(),
        probabilities: Vec::new(),
    };
    let zero = Calibration {
        ece: 0.0,
        nll: 0.0,
        brier: 0.0,
        bins: vec![Bin::default(); 15],
    };
    assert_eq!(Calibration::of(&nothing), zero);
    assert_eq!(fit_temperature(&[], &[]), 1.0);

    let by_speaker = SpeakerBootstrap::new(&nothing, &[]);
    assert_eq!(by_speaker.scores(&[]).uar, 0.0);
    assert_eq!(by_speaker.intervals(1), None);
    assert_eq!(MeanStd::of(&[]).mean, 0.0);
}

#[test]
fn a_true_class_with_probability_zero_has_a_finite_loss() {
    let predictions = Predictions {
        classes: vec!["anger".into(), "fear".into()],
        truth: vec![1],
        probabilities: vec![vec![1.0, 0.0]],
    };
    let calibration = Calibration::of(&predictions);
    assert!(calibration.nll.is_finite());
    assert_eq!((calibration.ece, calibration.brier), (1.0, 2.0));
}

impl Reference {
    fn predictions(&self) -> Predictions {
        Predictions {
            classes: self.classes.clone(),
            truth: self.truth.clone(),
            probabilities: self.probabilities.clone(),
        }
    }

    fn by_speaker(&self) -> SpeakerBootstrap {
        let speakers: Vec<&str> = self.speakers.iter().map(String::as_str).collect();
        SpeakerBootstrap::new(&self.predictions(), &speakers)
    }
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("data/intervals.json")).expect("the reference")
}

fn close(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-12, "{ours} is not {theirs}");
}

#[test]
fn wilson_s_interval_is_scipy_s() {
    // scipy.stats.binomtest(k, n).proportion_ci(0.95, 'wilson')
    let theirs = [
        (8, 10, 0.490_162_471_536_641_8, 0.943_317_848_545_624_8),
        (0, 7, 0.0, 0.354_330_435_066_686_77),
        (7, 7, 0.645_669_564_933_312_6, 1.0),
        (130, 260, 0.439_668_159_314_663_46, 0.560_331_840_685_336_6),
    ];
    for (hits, clips, low, high) in theirs {
        let ours = wilson(hits, clips);
        assert!(
            (ours.low - low).abs() < 1e-9 && (ours.high - high).abs() < 1e-9,
            "{ours:?}"
        );
    }
    assert_eq!(
        wilson(0, 0),
        Interval {
            low: 0.0,
            high: 1.0
        }
    );
}
