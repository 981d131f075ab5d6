//! Every speaker is tested once, a finished training is not repeated, and the report agrees with the
//! predictions.

mod desk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use desk::{Desk, Seen};
use serde_json::Value;

const CROSS_VALIDATE: &str = "cross-validate --data corpus --config small.toml --device cpu \
                              --epochs 1 --name all";

/// A row of `predictions.csv`.
#[derive(Clone)]
struct Line {
    seed: String,
    clip: String,
    speaker: String,
    truth: String,
    prediction: String,
    probabilities: Vec<f64>,
}

fn predictions(desk: &Desk) -> Vec<Line> {
    let mut table = csv::Reader::from_path(desk.path("runs/all/predictions.csv")).unwrap();
    let line = |line: csv::StringRecord| Line {
        seed: line[1].into(),
        clip: line[2].into(),
        speaker: line[3].into(),
        truth: line[4].into(),
        prediction: line[5].into(),
        probabilities: line.iter().skip(6).map(|p| p.parse().unwrap()).collect(),
    };
    table
        .records()
        .map(|record| line(record.unwrap()))
        .collect()
}

/// UAR, computed independently of emovox.
fn uar<'a>(lines: impl Iterator<Item = &'a Line>) -> f64 {
    let mut classes: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for line in lines {
        let (hits, all) = classes.entry(&line.truth).or_default();
        *hits += f64::from(u8::from(line.truth == line.prediction));
        *all += 1.0;
    }
    classes.values().map(|(hits, all)| hits / all).sum::<f64>() / classes.len() as f64
}

fn report(desk: &Desk) -> Value {
    let text = fs::read_to_string(desk.path("runs/all/report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_speaker_is_tested_once_and_the_report_agrees_with_the_predictions() {
    let desk = Desk::with_corpus();
    let seen = desk
        .types(&format!("{CROSS_VALIDATE} --folds 3 --seeds 1,2"))
        .fine();
    assert!(seen.out.contains("6 trials of bilstm"), "{}", seen.out);

    let lines = predictions(&desk);
    for seed in ["1", "2"] {
        let of_seed = lines.iter().filter(|line| line.seed == seed);
        let clips: BTreeSet<&str> = of_seed.clone().map(|line| line.clip.as_str()).collect();
        assert_eq!((of_seed.count(), clips.len()), (30, 30), "each clip once");
    }
    // No speaker is in two subsets of a fold.
    for cell in ["fold-1-seed-1", "fold-2-seed-1", "fold-3-seed-1"] {
        let split = fs::read_to_string(desk.path(&format!("runs/all/{cell}/split.csv"))).unwrap();
        let speakers = |part: &str| -> BTreeSet<String> {
            let lines = split
                .lines()
                .map(|line| line.split(',').collect::<Vec<_>>());
            let of_part = lines.filter(|fields| fields[4] == part);
            of_part.map(|fields| fields[1].to_string()).collect()
        };
        let (train, validation, test) =
            (speakers("train"), speakers("validation"), speakers("test"));
        assert!(
            !train.is_empty() && !validation.is_empty() && !test.is_empty(),
            "{cell}"
        );
        assert!(
            test.is_disjoint(&train) && test.is_disjoint(&validation),
            "{cell}"
        );
        assert!(train.is_disjoint(&validation), "{cell}");
    }

    let report = report(&desk);
    let number = |value: &Value| value.as_f64().unwrap();
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    let of_seed = |seed: &str| uar(lines.iter().filter(|line| line.seed == seed));
    let (first, second) = (of_seed("1"), of_seed("2"));
    close(
        number(&report["pooled"]["uar"]["mean"]),
        (first + second) / 2.0,
    );
    close(
        number(&report["pooled"]["uar"]["deviation"]),
        (first - second).abs() / 2f64.sqrt(),
    );
    // The ensemble over seeds predicts the class with the highest mean probability.
    let classes = ["anger", "neutral", "sadness"];
    let as_one: Vec<Line> = lines
        .iter()
        .filter(|line| line.seed == "1")
        .map(|line| {
            let other = lines
                .iter()
                .find(|other| other.seed == "2" && other.clip == line.clip)
                .unwrap();
            let both = |&class: &usize| line.probabilities[class] + other.probabilities[class];
            let best = (0..3).max_by(|a, b| both(a).total_cmp(&both(b))).unwrap();
            Line {
                prediction: classes[best].into(),
                ..line.clone()
            }
        })
        .collect();
    close(number(&report["ensemble"]["uar"]), uar(as_one.iter()));
    let of_cells: Vec<f64> = report["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| number(&cell["uar"]))
        .collect();
    close(
        number(&report["mean_of_folds"]["uar"]["mean"]),
        of_cells.iter().sum::<f64>() / 6.0,
    );
    for speaker in report["speakers"].as_array().unwrap() {
        let of_speaker = lines
            .iter()
            .filter(|line| line.speaker == speaker["speaker"]);
        assert_eq!(speaker["clips"].as_u64().unwrap(), 12);
        close(number(&speaker["uar"]), uar(of_speaker));
    }
    let interval = &report["intervals"]["uar"];
    let (low, high) = (number(&interval["low"]), number(&interval["high"]));
    assert!(
        low <= (first + second) / 2.0 && (first + second) / 2.0 <= high,
        "{interval}"
    );
    assert_eq!(report["speakers_shared"], false);
}

#[test]
fn finished_trainings_are_not_repeated() {
    let desk = Desk::with_corpus();
    desk.types(&format!("{CROSS_VALIDATE} --folds 2 --jobs 2"))
        .fine();
    let written = |cell: &str| {
        let file = desk.path(&format!("runs/all/{cell}/best.ot"));
        (
            fs::metadata(&file).unwrap().modified().unwrap(),
            fs::read(file).unwrap(),
        )
    };
    let (first, second) = (written("fold-1-seed-1"), written("fold-2-seed-1"));

    // A lost training is repeated with the same result to the last bit, and a seed is added.
    fs::remove_dir_all(desk.path("runs/all/fold-2-seed-1")).unwrap();
    let seen = desk
        .types(&format!("{CROSS_VALIDATE} --folds 2 --seeds 2 --jobs 1"))
        .fine();
    assert!(
        seen.out.contains("1 of 4 trials are already finished"),
        "{}",
        seen.out
    );
    assert_eq!(written("fold-1-seed-1"), first);
    assert_eq!(written("fold-2-seed-1").1, second.1);
    assert_eq!(report(&desk)["cells"].as_array().unwrap().len(), 4);

    desk.types(&format!("{CROSS_VALIDATE} --folds 3"))
        .fails_with(&[
            "another cross-validation",
            "the folds are 2, not 3",
            "--name",
        ]);
    desk.types(&format!("{CROSS_VALIDATE} --folds 2 --learning-rate 0.1"))
        .fails_with(&["training.learning_rate is 0.003, not 0.1"]);
    fs::remove_file(desk.path("corpus/anger/v01/1.wav")).unwrap();
    desk.types(&format!("{CROSS_VALIDATE} --folds 2"))
        .fails_with(&["recordings are not those", "1 gone (anger/v01/1.wav)"]);
}

#[test]
fn invalid_folds_are_rejected() {
    let desk = Desk::with_corpus();
    let folds = |folds: &str| desk.types(&format!("{CROSS_VALIDATE} --folds {folds}"));
    folds("ravdess-luna5").fails_with(&["is not a recording of RAVDESS"]);
    folds("9").fails_with(&["cannot divide 5 speakers into 9 group(s)"]);
    let seen = folds("many");
    assert_eq!(seen.code, 2);
    assert!(seen.error.contains("ravdess-emobox6"), "{}", seen.error);
    assert_eq!(desk.runs(), 0);
}

#[test]
fn a_failed_training_does_not_affect_the_others() {
    let desk = Desk::with_corpus();
    // A folder in the place of one of the trainings.
    fs::create_dir_all(desk.path("runs/all/fold-2-seed-1")).unwrap();
    let plan = format!("{CROSS_VALIDATE} --folds 2");
    desk.types(&plan).fails_with(&["is not a cross-validation"]);
    fs::remove_dir_all(desk.path("runs/all")).unwrap();
    desk.types(&plan).fine();
    fs::remove_dir_all(desk.path("runs/all/fold-2-seed-1")).unwrap();
    fs::write(desk.path("runs/all/fold-2-seed-1"), "in the way").unwrap();
    let seen = desk
        .types(&plan)
        .fails_with(&["fold-2-seed-1 failed: ", "1 trials failed"]);
    assert!(
        seen.out.contains("1 trials are not finished yet"),
        "{}",
        seen.out
    );
    fs::remove_file(desk.path("runs/all/fold-2-seed-1")).unwrap();
    desk.types(&plan).fine();
}

#[test]
#[cfg(unix)]
fn a_stopped_cross_validation_continues() {
    use desk::process::{finish, send, spawn, wait_for_epochs};

    let desk = Desk::with_corpus();
    let line = CROSS_VALIDATE.replace("--epochs 1", "--epochs 300") + " --folds 2 --jobs 1";
    let mut child = spawn(desk.command(&line));
    wait_for_epochs(&mut child, &desk.path("runs/all/fold-1-seed-1"), 3);
    send(child.id(), libc::SIGINT);
    let Seen { code, out, .. } = finish(&line, child);
    assert_eq!(code, 130, "{out}");
    assert!(out.contains("fold-1-seed-1: stopped and saved"), "{out}");
    assert!(out.contains("run the same command again"), "{out}");
    assert!(desk.path("runs/all/fold-1-seed-1/last.ot").exists());
    assert!(
        !desk.path("runs/all/fold-2-seed-1").exists(),
        "no other training was started"
    );
    desk.types(&line).fine();
    assert_eq!(report(&desk)["cells"].as_array().unwrap().len(), 2);
}
