//! Every speaker is tested once, a finished training is not repeated, and the report agrees with the
//! predictions.

mod env;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use env::{CommandOutput, TestEnv};
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

fn predictions(env: &TestEnv) -> Vec<Line> {
    let mut table = csv::Reader::from_path(env.path("runs/all/predictions.csv")).unwrap();
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

fn report(env: &TestEnv) -> Value {
    let text = fs::read_to_string(env.path("runs/all/report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_speaker_is_tested_once_and_the_report_agrees_with_the_predictions() {
    let env = TestEnv::with_corpus();
    let output = env
        .run(&format!("{CROSS_VALIDATE} --folds 3 --seeds 1,2"))
        .success();
    assert!(output.out.contains("6 trials of bilstm"), "{}", output.out);

    let lines = predictions(&env);
    for seed in ["1", "2"] {
        let of_seed = lines.iter().filter(|line| line.seed == seed);
        let clips: BTreeSet<&str> = of_seed.clone().map(|line| line.clip.as_str()).collect();
        assert_eq!((of_seed.count(), clips.len()), (30, 30), "each clip once");
    }
    // No speaker is in two subsets of a fold.
    for trial in ["fold-1-seed-1", "fold-2-seed-1", "fold-3-seed-1"] {
        let split = fs::read_to_string(env.path(&format!("runs/all/{trial}/split.csv"))).unwrap();
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
            "{trial}"
        );
        assert!(
            test.is_disjoint(&train) && test.is_disjoint(&validation),
            "{trial}"
        );
        assert!(train.is_disjoint(&validation), "{trial}");
    }

    let report = report(&env);
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
    let of_trials: Vec<f64> = report["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trial| number(&trial["uar"]))
        .collect();
    close(
        number(&report["mean_of_folds"]["uar"]["mean"]),
        of_trials.iter().sum::<f64>() / 6.0,
    );
    for speaker in report["speakers"].as_array().unwrap() {
        let of_speaker = lines
            .iter()
            .filter(|line| line.speaker == speaker["speaker"]);
        assert_eq!(speaker["clips"].as_u64().unwrap(), 6);
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
    let env = TestEnv::with_corpus();
    env.run(&format!("{CROSS_VALIDATE} --folds 2 --jobs 2"))
        .success();
    let written = |cell: &str| {
        let file = env.path(&format!("runs/all/{cell}/best.ot"));
        (
            fs::metadata(&file).unwrap().modified().unwrap(),
            fs::read(file).unwrap(),
        )
    };
    let (first, second) = (written("fold-1-seed-1"), written("fold-2-seed-1"));

    // A lost training is repeated with the same result to the last bit, and a seed is added.
    fs::remove_dir_all(env.path("runs/all/fold-2-seed-1")).unwrap();
    let output = env
        .run(&format!("{CROSS_VALIDATE} --folds 2 --seeds 2 --jobs 1"))
        .success();
    assert!(
        output.out.contains("1 of 4 trials is already finished"),
        "{}",
        output.out
    );
    assert_eq!(written("fold-1-seed-1"), first);
    assert_eq!(written("fold-2-seed-1").1, second.1);
    assert_eq!(report(&env)["cells"].as_array().unwrap().len(), 4);

    // Lost results are written again, and a trial without its settings is named.
    let read = || fs::read(env.path("runs/all/predictions.csv")).unwrap();
    let results = read();
    fs::remove_file(env.path("runs/all/fold-2-seed-1/predictions.csv")).unwrap();
    let output = env.run(&format!("{CROSS_VALIDATE} --folds 2")).success();
    assert!(output.out.contains("3 of 4 trials are"), "{}", output.out);
    assert_eq!(read(), results);
    fs::remove_file(env.path("runs/all/fold-2-seed-1/config.toml")).unwrap();
    env.run(&format!("{CROSS_VALIDATE} --folds 2"))
        .fails_with(&[
            "runs/all/fold-2-seed-1/config.toml is missing",
            "delete the folder runs/all/fold-2-seed-1",
        ]);
    fs::remove_dir_all(env.path("runs/all/fold-2-seed-1")).unwrap();
    env.run(&format!("{CROSS_VALIDATE} --folds 2")).success();
    assert_eq!(written("fold-2-seed-1").1, second.1);

    env.run(&format!("{CROSS_VALIDATE} --folds 3"))
        .fails_with(&[
            "another cross-validation",
            "the folds are 2, not 3",
            "--name",
        ]);
    env.run(&format!("{CROSS_VALIDATE} --folds 2 --learning-rate 0.1"))
        .fails_with(&["training.learning_rate is 0.003, not 0.1"]);
    fs::remove_file(env.path("corpus/anger/v01/1.wav")).unwrap();
    env.run(&format!("{CROSS_VALIDATE} --folds 2"))
        .fails_with(&["recordings are not those", "1 gone (anger/v01/1.wav)"]);
}

#[test]
fn invalid_folds_are_rejected() {
    let env = TestEnv::with_corpus();
    let folds = |folds: &str| env.run(&format!("{CROSS_VALIDATE} --folds {folds}"));
    folds("ravdess-luna5").fails_with(&["is not a recording of RAVDESS"]);
    folds("9").fails_with(&["cannot divide 5 speakers into 9 groups"]);
    let output = folds("many");
    assert_eq!(output.code, 2);
    assert!(output.error.contains("ravdess-emobox6"), "{}", output.error);
    assert_eq!(env.runs(), 0);
}

/// Leaves the clips of a class to some voices, three for each.
fn restrict(env: &TestEnv, class: &str, voices: &[&str]) {
    for voice in ["v01", "v02", "v03", "v04", "v05"] {
        let folder = env.path(&format!("corpus/{class}/{voice}"));
        if voices.contains(&voice) {
            fs::copy(folder.join("1.wav"), folder.join("3.wav")).unwrap();
        } else {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[test]
fn a_class_of_one_speaker_is_rejected_before_the_first_training() {
    let env = TestEnv::with_corpus();
    restrict(&env, "sadness", &["v02"]);
    let reasons = [
        "'sadness' are of one speaker (v02)",
        "leave the class out: --labels 'anger,neutral'",
    ];
    for folds in ["2", "loso"] {
        let output = env.run(&format!("{CROSS_VALIDATE} --folds {folds}"));
        output.fails_with(&reasons).fails_with(&["fold "]);
    }
    let sweep = "folds = \"loso\"\nconfig = { data.folder = \"corpus\" }\n\
                 [sweep]\ntraining.batch_size = [4, 8]\n";
    fs::write(env.path("sizes.toml"), sweep).unwrap();
    for line in ["grid sizes.toml", "grid sizes.toml --run"] {
        env.run(line).fails_with(&reasons).fails_with(&["fold v02"]);
    }
    assert_eq!(env.runs(), 0);
    // The suggested command.
    env.run(&format!(
        "{CROSS_VALIDATE} --folds 2 --labels anger,neutral"
    ))
    .success();
}

#[test]
fn a_class_whose_speakers_are_all_tested_together_is_rejected_before_the_first_training() {
    let env = TestEnv::with_corpus();
    restrict(&env, "sadness", &["v01", "v02"]);
    // Some folds draw the second speaker of the class for validation. Without --run, nothing is trained.
    let listed = |seed: u64| {
        let sweep = format!(
            "folds = \"loso\"\nconfig = {{ data.folder = \"corpus\", split.seed = {seed} }}\n\
             [sweep]\ntraining.batch_size = [4, 8]\n"
        );
        fs::write(env.path("sizes.toml"), sweep).unwrap();
        env.run("grid sizes.toml")
    };
    let failed = (1..=20).map(listed).find(|output| output.code != 0);
    failed.unwrap().fails_with(&[
        "no clip of the class 'sadness'",
        "(v01, v02)",
        "--split-seed",
        "--labels 'anger,neutral'",
    ]);
}

#[test]
fn a_failed_training_does_not_affect_the_others() {
    let env = TestEnv::with_corpus();
    // A folder in the place of one of the trainings.
    fs::create_dir_all(env.path("runs/all/fold-2-seed-1")).unwrap();
    let plan = format!("{CROSS_VALIDATE} --folds 2");
    env.run(&plan).fails_with(&["is not a cross-validation"]);
    fs::remove_dir_all(env.path("runs/all")).unwrap();
    env.run(&plan).success();
    fs::remove_dir_all(env.path("runs/all/fold-2-seed-1")).unwrap();
    fs::write(env.path("runs/all/fold-2-seed-1"), "in the way").unwrap();
    let output = env
        .run(&plan)
        .fails_with(&["fold-2-seed-1 failed: ", "1 trial failed"]);
    assert!(
        output.out.contains("1 trial is not finished yet"),
        "{}",
        output.out
    );
    fs::remove_file(env.path("runs/all/fold-2-seed-1")).unwrap();
    env.run(&plan).success();
}

#[test]
#[cfg(unix)]
fn a_stopped_cross_validation_continues() {
    use env::process::{finish, send, spawn, wait_for_epochs};

    let env = TestEnv::with_corpus();
    let line = CROSS_VALIDATE.replace("--epochs 1", "--epochs 300") + " --folds 2 --jobs 1";
    let mut child = spawn(env.command(&line));
    wait_for_epochs(&mut child, &env.path("runs/all/fold-1-seed-1"), 3);
    send(child.id(), libc::SIGINT);
    let CommandOutput { code, out, .. } = finish(&line, child);
    assert_eq!(code, 130, "{out}");
    assert!(out.contains("fold-1-seed-1: stopped and saved"), "{out}");
    assert!(out.contains("run the same command again"), "{out}");
    assert!(env.path("runs/all/fold-1-seed-1/last.ot").exists());
    assert!(
        !env.path("runs/all/fold-2-seed-1").exists(),
        "no other training was started"
    );
    env.run(&line).success();
    assert_eq!(report(&env)["cells"].as_array().unwrap().len(), 2);
}
