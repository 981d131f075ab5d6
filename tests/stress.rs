//! `emovox stress`: disturbed clips, their scores, and the files.

mod env;

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use emovox::run::RunLock;
use env::{Files, TRAIN, TestEnv};
use serde_json::Value;

static RUNS: OnceLock<Files> = OnceLock::new();

fn trained() -> TestEnv {
    TestEnv::with_runs(&RUNS, TRAIN)
}

fn stress_json(env: &TestEnv, line: &str) -> Value {
    let output = env
        .run(&format!("stress {line} --device cpu --json"))
        .success();
    serde_json::from_str(&output.out).unwrap()
}

fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["disturbances"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap()
}

#[test]
fn the_files_and_the_table_have_the_same_counted_checks() {
    let env = trained();
    let output = env.run("stress mine --device cpu").success();
    let rows = env.table("mine/stress.csv");
    assert_eq!(rows.len(), 21);
    let mut passed = 0;
    for row in rows.iter().filter(|row| row["counted"] == "true") {
        let checks = [
            ("keeps_uar", number(row, "uar_change") >= -0.05),
            ("keeps_predictions", number(row, "unchanged") >= 0.9),
        ];
        for (column, is_passed) in checks {
            passed += usize::from(is_passed);
            assert_eq!(row[column], is_passed.to_string(), "{column}");
        }
    }
    let result = format!("{passed} of 40 checks passed");
    assert!(output.out.contains(&result), "{result}\n{}", output.out);
    assert!(output.out.contains("babble 20 dB"), "{}", output.out);
    let json = fs::read_to_string(env.path("runs/mine/stress.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["passed"], passed);
    assert_eq!(json["checks"], 40);
    assert_eq!(json["least_unchanged"], 0.9);
    let of_json = json["disturbances"].as_array().unwrap().iter();
    let of_json = of_json.map(|row| row["keeps_uar"].as_bool().unwrap().to_string());
    let of_csv = rows[1..].iter().map(|row| row["keeps_uar"].clone());
    assert!(of_json.eq(of_csv));
    assert!(env.path("runs/mine/stress.png").is_file());
    // A dozen clips.
    let notes = json["notes"].to_string();
    assert!(notes.contains("the checks depend on chance"), "{notes}");

    env.run("report mine").success();
    let page = fs::read_to_string(env.path("runs/mine/report.html")).unwrap();
    assert!(page.contains(&format!("Stress test: {result}")));

    // A comparison shows the sum too.
    env.run("report mine runs/mine --out both.html").success();
    let page = fs::read_to_string(env.path("both.html")).unwrap();
    assert!(page.contains(&format!("{passed} of 40")));
}

#[test]
fn the_results_of_another_subset_do_not_replace_those_of_the_test_subset() {
    let env = trained();
    let test = stress_json(&env, "mine");
    let read = |file: &str| fs::read_to_string(env.path(&format!("runs/mine/{file}"))).unwrap();
    let before = read("stress.json");
    let validation = env
        .run("stress mine --subset validation --device cpu")
        .success();
    assert!(
        validation.out.contains("runs/mine/stress-validation.csv"),
        "{}",
        validation.out
    );
    assert_eq!(read("stress.json"), before);
    let saved: Value = serde_json::from_str(&read("stress-validation.json")).unwrap();
    assert_eq!(saved["part"], "validation");
    assert!(env.path("runs/mine/stress-validation.png").is_file());

    env.run("report mine").success();
    let result = format!("Stress test: {} of 40 checks passed", test["passed"]);
    assert!(read("report.html").contains(&result));
    // A file of an earlier version, with the scores of another subset.
    fs::write(
        env.path("runs/mine/stress.json"),
        read("stress-validation.json"),
    )
    .unwrap();
    env.run("report mine").success();
    assert!(!read("report.html").contains("Stress test: "));
}

#[test]
fn the_table_is_printed_before_its_files_are_written() {
    let env = trained();
    fs::create_dir(env.path("runs/mine/stress.csv")).unwrap();
    let output = env.run("stress mine --device cpu").fails_with(&[
        "cannot write runs/mine/stress.csv",
        "it is a folder, not a file",
    ]);
    assert!(!output.error.contains("os error"), "{}", output.error);
    assert!(output.out.contains("of 40 checks passed"), "{}", output.out);
    assert!(!output.error.contains(".writing-"), "{}", output.error);

    // A folder that cannot be made is an error before the clips are disturbed.
    let output = env
        .run("stress mine --device cpu --out small.toml/results")
        .fails_with(&["small.toml/results", "a part of the path is a file"]);
    assert!(output.out.is_empty(), "{}", output.out);
}

#[test]
fn undisturbed_scores_are_those_of_evaluate() {
    let env = trained();
    for subset in ["test", "validation"] {
        let line = format!("evaluate mine --subset {subset} --device cpu --json");
        let evaluated: Value = serde_json::from_str(&env.run(&line).success().out).unwrap();
        let report = stress_json(&env, &format!("mine --subset {subset}"));
        assert_eq!(report["part"], subset);
        assert_eq!(report["clips"], evaluated["clips"]);
        assert_eq!(report["clean"]["uar"], evaluated["uar"]);
        assert_eq!(report["clean"]["ece"], evaluated["calibration"]["ece"]);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (one, two) = (trained(), trained());
    one.run("stress mine --all --device cpu --threads 1")
        .success();
    two.run("stress mine --all --device cpu --threads 2")
        .success();
    for file in [
        "stress.csv",
        "stress-groups.csv",
        "stress.json",
        "stress.png",
    ] {
        let read = |env: &TestEnv| fs::read(env.path("runs/mine").join(file)).unwrap();
        assert!(read(&one) == read(&two), "{file}");
    }
    let rows = one.table("mine/stress.csv");
    assert!(rows.len() > 38, "{}", rows.len());
    let counted = rows.iter().filter(|row| row["counted"] == "true");
    assert_eq!(counted.count(), 20);
    let named = |name: &str| rows.iter().any(|row| row["disturbance"] == name);
    for name in [
        "white noise 5 dB",
        "hum 10 dB",
        "room 0.8 s",
        "first 1 s",
        "8 kHz",
    ] {
        assert!(named(name), "{name}");
    }
}

#[test]
fn the_seed_draws_the_noise() {
    let env = trained();
    let [first, again, other] =
        [1, 1, 2].map(|seed| stress_json(&env, &format!("mine --seed {seed}")));
    assert_eq!(first, again);
    let confidence = |report: &Value, name: &str| row(report, name)["confidence"].clone();
    let name = "white noise 10 dB";
    assert_ne!(confidence(&first, name), confidence(&other, name));
    // Nothing is drawn for a gain.
    assert_eq!(row(&first, "gain +2 dB"), row(&other, "gain +2 dB"));
}

#[test]
fn noise_and_rooms_of_the_user_are_measured_but_not_counted() {
    let env = trained();
    env.wav("noises/a.wav", 44_100, 2, &env::noise(0.5, -20.0));
    let mut click = vec![0.0; 4000];
    (click[0], click[1000]) = (0.9, 0.4);
    env.wav("rooms/a.wav", 16_000, 1, &click);
    let report = stress_json(&env, "mine --noise noises --impulse-responses rooms");
    assert_eq!(report["checks"], 40);
    for name in [
        "own noise 20 dB",
        "own noise 10 dB",
        "own noise 5 dB",
        "own room",
    ] {
        assert_eq!(row(&report, name)["counted"], false, "{name}");
    }

    fs::create_dir(env.path("empty")).unwrap();
    env.run("stress mine --noise empty --device cpu")
        .fails_with(&["no recording in empty", "--noise"]);
    env.run("stress mine --impulse-responses nowhere --device cpu")
        .fails_with(&["there is no folder nowhere", "--impulse-responses"]);
}

/// Silence disturbs nothing, so it would pass every check.
#[test]
fn silent_noise_and_rooms_are_not_used() {
    let env = trained();
    env.wav("silent/a.wav", 16_000, 1, &vec![0.0; 16_000]);
    for flag in ["--noise", "--impulse-responses"] {
        env.run(&format!("stress mine {flag} silent --device cpu"))
            .fails_with(&[flag, "no recording in silent can be used", "silence"]);
    }
    env.wav("silent/b.wav", 16_000, 1, &env::noise(0.5, -20.0));
    let report = stress_json(&env, "mine --noise silent");
    assert_ne!(
        row(&report, "own noise 5 dB")["confidence"],
        report["clean"]["confidence"]
    );
    let notes = report["notes"].to_string();
    for note in [
        "1 of 2 recordings of noise could not be used",
        "own noise: 1 recording of silent",
    ] {
        assert!(notes.contains(note), "{notes}");
    }
}

#[test]
fn a_damaged_recording_of_noise_is_skipped_and_counted() {
    let env = trained();
    env.wav("noises/a.wav", 16_000, 1, &env::noise(0.5, -20.0));
    fs::write(env.path("noises/b.wav"), "no recording").unwrap();
    let output = env
        .run("stress mine --noise noises --device cpu --json")
        .success();
    let note = "1 of 2 recordings of noise could not be used";
    assert!(
        output.error.contains("skipped b.wav") && output.error.contains(note),
        "{}",
        output.error
    );
    let report: Value = serde_json::from_str(&output.out).unwrap();
    let notes = report["notes"].as_array().unwrap();
    assert!(notes.iter().any(|found| found == note), "{notes:?}");
    row(&report, "own noise 10 dB");

    fs::remove_file(env.path("noises/a.wav")).unwrap();
    env.run("stress mine --noise noises --device cpu")
        .fails_with(&["--noise", "no recording in noises can be used", "b.wav: "]);
}

#[test]
fn a_training_skips_damaged_noise_and_checks_its_folder_first() {
    let env = trained();
    env.wav("noises/a.wav", 16_000, 1, &env::noise(0.5, -20.0));
    fs::write(env.path("noises/b.wav"), "no recording").unwrap();
    fs::create_dir(env.path("empty")).unwrap();
    let train = TRAIN.replace("mine", "noisy --epochs 1");
    let output = env.run(&format!("{train} --noise noises")).success();
    assert!(
        output
            .error
            .contains("1 of 2 recordings of noise could not be used"),
        "{}",
        output.error
    );

    // A folder that cannot be used makes no run.
    fs::remove_file(env.path("noises/a.wav")).unwrap();
    for (folder, reason) in [
        ("noises", "no recording in"),
        ("empty", "no recording in empty"),
        ("nowhere", "there is no folder nowhere"),
    ] {
        let other = TRAIN.replace("mine", "other");
        let output = env
            .run(&format!("{other} --noise {folder}"))
            .fails_with(&["--noise", reason]);
        assert!(!output.error.contains("--resume"), "{}", output.error);
    }
    assert!(!env.path("runs/other").exists());

    // A resumed run keeps its noise.
    env.wav("others/a.wav", 16_000, 1, &env::noise(0.5, -20.0));
    for run in ["mine", "noisy"] {
        env.run(&format!("train --resume {run} --noise others --device cpu"))
            .fails_with(&["training.disturbance.noise_folder is ", "start a new run"]);
    }
    env.wav("noises/a.wav", 16_000, 1, &env::noise(0.5, -20.0));
    env.run("train --resume noisy --noise noises --device cpu")
        .success();

    // One more recording would make other copies.
    let further = "train --resume noisy --epochs 2 --device cpu";
    env.wav("noises/b.wav", 16_000, 1, &env::noise(0.5, -20.0));
    env.run(further).fails_with(&[
        "noises are not those that noisy was started with",
        "Restore them",
    ]);
    fs::write(env.path("noises/b.wav"), "still no recording").unwrap();
    env.run(further).success();
}

#[test]
fn the_trials_of_a_study_have_the_same_noise() {
    let env = TestEnv::with_corpus();
    env.wav("noises/a.wav", 16_000, 1, &env::noise(0.5, -20.0));
    let line = "cross-validate --data corpus --config small.toml --device cpu --epochs 1 --folds 2 \
                --noise noises --name cv";
    env.run(line).success();
    env.run(&format!("{line} --seeds 1")).success();
    env.wav("noises/a.wav", 16_000, 1, &env::noise(0.5, -30.0));
    env.run(&format!("{line} --seeds 1,2")).fails_with(&[
        "noises are not those that",
        "seed-1",
        "choose another name",
    ]);
}

#[test]
fn only_the_final_weights_have_files_in_the_folder_of_the_run() {
    let env = trained();
    let files = || {
        let entries = fs::read_dir(env.path("runs/mine")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("stress")).count()
    };
    // A training that continues with the same weights.
    let lock = RunLock::take(&env.path("runs/mine")).unwrap();
    env.run("stress mine --device cpu").fails_with(&[
        "the results are not written",
        "is being trained by another process",
    ]);
    drop(lock);
    assert_eq!(files(), 0);

    let config = env.path("runs/mine/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\nepochs = 3\n", "\nepochs = 9\n")).unwrap();
    let output = env.run("stress mine --device cpu").success();
    assert!(output.out.contains("of 40 checks passed"), "{}", output.out);
    let reason = "no file is written, because the training is not finished; --out DIR";
    assert!(output.out.contains(reason), "{}", output.out);
    assert_eq!(files(), 0);
    env.run("stress mine --device cpu --out results").success();
    assert!(env.path("results/stress.json").is_file());
}

#[test]
fn recordings_that_cannot_be_read_are_counted() {
    let env = trained();
    let split = env.table("mine/split.csv");
    let test = split.iter().find(|line| line["part"] == "test").unwrap();
    fs::write(env.path(&format!("corpus/{}", test["clip"])), "damaged").unwrap();
    let report = stress_json(&env, "mine");
    let notes = report["notes"].as_array().unwrap();
    let note = "1 unreadable recording left out";
    assert!(notes.iter().any(|found| found == note), "{notes:?}");
}

#[test]
fn a_bundle_writes_files_only_where_out_says() {
    let env = trained();
    env.run("export mine --out mine.emovox").success();
    let report = stress_json(&env, "mine.emovox --out results");
    for file in [
        "stress.csv",
        "stress-groups.csv",
        "stress.json",
        "stress.png",
    ] {
        assert!(env.path("results").join(file).is_file(), "{file}");
        assert!(!env.path("runs/mine").join(file).exists(), "{file}");
    }
    // The same again replaces its own files.
    assert_eq!(report, stress_json(&env, "mine.emovox --out results"));
    fs::write(env.path("results/stress.csv"), "my table").unwrap();
    env.run("stress mine.emovox --out results --device cpu")
        .fails_with(&["results/stress.csv exists", "--force"]);
    env.run("stress mine.emovox --out small.toml --device cpu")
        .fails_with(&["small.toml is a file", "--out must be a folder"]);
    fs::remove_dir_all(env.path("results")).unwrap();
    let output = env.run("stress mine.emovox --device cpu").success();
    assert!(output.out.contains("no file is written; --out DIR"));
    assert!(!env.path("results").exists());
}

#[test]
fn another_corpus_does_not_replace_the_files_of_the_run() {
    let env = trained();
    env.split_corpus();
    let report = stress_json(&env, "mine --data other");
    assert_eq!(report["part"], "all");
    assert_eq!(report["clips"], 12);
    assert!(!env.path("runs/mine/stress.json").exists());
}

#[test]
fn a_run_whose_recordings_are_gone_names_them() {
    let env = trained();
    fs::remove_dir_all(env.path("corpus")).unwrap();
    env.run("stress mine --device cpu")
        .fails_with(&["recordings of this run are missing", "--data"]);
}
