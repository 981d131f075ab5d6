//! The command line as a user sees it: commands, files and messages.

mod env;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use emovox::corpus::demo;
use env::process::run_command;
use env::{SMALL, TRAIN, TestEnv, metrics_without_seconds};
use serde_json::Value;

#[test]
fn a_training_writes_a_complete_run_folder() {
    let env = TestEnv::with_corpus();
    let output = env.run(TRAIN).success();
    assert!(
        output
            .out
            .contains("corpus folders in corpus: 30 clips, 5 speakers, 3 classes")
    );
    assert!(output.out.contains("epoch   3/3"), "{}", output.out);
    assert!(output.out.contains("macro avg"), "{}", output.out);

    let run = |file: &str| env.path("runs/mine").join(file);
    let lines = |file: &str| fs::read_to_string(run(file)).unwrap().lines().count();
    assert_eq!(lines("metrics.csv"), 1 + 3);
    assert_eq!(lines("split.csv"), 1 + 30);
    assert_eq!(
        lines("predictions.csv"),
        1 + 6,
        "one of five speakers is in the test subset"
    );
    assert_eq!(lines("confusion.csv"), 1 + 3);
    for file in [
        "curves.png",
        "confusion.png",
        "recall.png",
        "reliability.png",
    ] {
        let picture = image::open(run(file)).unwrap().to_rgb8();
        assert!(picture.pixels().any(|pixel| pixel.0 != [255; 3]), "{file}");
    }
    let mut names: Vec<String> = fs::read_dir(env.path("runs/mine"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            ".lock",
            "best.ot",
            "config.toml",
            "confusion.csv",
            "confusion.png",
            "curves.png",
            "last.ot",
            "metrics.csv",
            "predictions.csv",
            "previous.ot",
            "recall.png",
            "reliability.png",
            "report.json",
            "report.txt",
            "skipped.csv",
            "split.csv",
        ]
    );

    // The report can be recomputed from predictions.csv.
    let report: Value =
        serde_json::from_str(&fs::read_to_string(run("report.json")).unwrap()).unwrap();
    let mut predictions = csv::Reader::from_path(run("predictions.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = predictions.records().map(Result::unwrap).collect();
    let hits = rows.iter().filter(|row| row[2] == row[3]).count();
    assert_eq!(report["accuracy"].as_f64().unwrap(), hits as f64 / 6.0);
    assert_eq!(report["speakers_shared"], false);
    let config = fs::read_to_string(run("config.toml")).unwrap();
    let temperature = report["temperature"].as_f64().unwrap();
    assert!(
        config.contains(&format!("temperature = {temperature:?}")),
        "{config}"
    );
    let nll: f64 = rows
        .iter()
        .map(|row| {
            let class = predictions
                .headers()
                .unwrap()
                .iter()
                .position(|name| *name == row[2]);
            -row[class.unwrap()].parse::<f64>().unwrap().ln()
        })
        .sum();
    let difference = report["calibration"]["nll"].as_f64().unwrap() - nll / 6.0;
    assert!(
        difference.abs() < 1e-5,
        "probabilities are those of the temperature"
    );
    for row in &rows {
        let sum: f64 = row.iter().skip(4).map(|p| p.parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "probabilities sum to {sum}");
    }

    // `evaluate` gives the same scores under the same keys.
    let again = env.run("evaluate mine --json").success();
    let again: Value = serde_json::from_str(&again.out).unwrap();
    for key in [
        "accuracy",
        "uar",
        "macro_f1",
        "classes",
        "confusion",
        "speakers_shared",
        "temperature",
        "calibration",
    ] {
        assert!(!again[key].is_null(), "{key}");
        assert_eq!(again[key], report[key], "{key}");
    }

    // An existing run is not overwritten.
    env.run(TRAIN).fails_with(&["mine exists", "--resume mine"]);
    assert_eq!(env.runs(), 1);
}

#[test]
fn a_finished_run_can_be_extended_and_plotted() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    let metrics = || fs::read_to_string(env.path("runs/mine/metrics.csv")).unwrap();
    let before = metrics();
    let output = env.run("train --resume mine --epochs 5").success();
    assert!(
        output.out.contains("epoch   4/5") && !output.out.contains("epoch   3/5"),
        "{}",
        output.out
    );
    assert!(metrics().starts_with(&before));
    assert_eq!(metrics().lines().count(), 1 + 5);

    env.run("train --resume mine --learning-rate 0.1 --seed 1 --test-speakers v01")
        .fails_with(&[
            "training.learning_rate is 0.003, not 0.1",
            "split.test_speakers is [], not [\"v01\"]",
            "may change --epochs, --early-stopping, --device and --data",
        ]);
    env.run("train --resume mine --epochs 2")
        .fails_with(&["already trained for 5 epochs"]);
    let scored = env.path("runs/mine/report.txt");
    env.run("train --resume other")
        .fails_with(&["no run 'other'", "mine"]);

    // A run cannot be resumed with other recordings.
    assert!(scored.exists());
    for voice in 1..=5 {
        for emotion in [0, 5, 6] {
            let samples = demo::synthesise(voice, 1, emotion, 1);
            let softer: Vec<f32> = samples.iter().map(|x| x * 0.5).collect();
            let class = demo::EMOTIONS[emotion];
            env.wav(
                &format!("other/{class}/v{voice:02}/1.wav"),
                16_000,
                1,
                &softer,
            );
            env.wav(
                &format!("other/{class}/v{voice:02}/2.wav"),
                16_000,
                1,
                &softer,
            );
        }
    }
    env.run("train --resume mine --data other --epochs 6")
        .fails_with(&["the recordings of mine are not those", "30 replaced"]);
    // Nothing was changed.
    assert!(scored.exists());
    env.run("train --resume mine --data corpus").success();
    assert!(scored.exists());

    fs::remove_file(env.path("runs/mine/curves.png")).unwrap();
    env.run("plot mine").success();
    assert!(env.path("runs/mine/curves.png").exists());
    env.run("plot mine mine --out both.png").success();
    assert!(
        fs::read(env.path("both.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );
}

#[test]
fn shared_speakers_are_noted_beside_every_score() {
    let env = TestEnv::with_corpus();
    let line = format!("{TRAIN} --split random --arch mean-lstm --epochs 2");
    let output = env.run(&line).success();
    assert!(
        output.out.contains("speakers shared: train/validation"),
        "{}",
        output.out
    );
    let report = fs::read_to_string(env.path("runs/mine/report.txt")).unwrap();
    assert!(report.contains("speakers shared"), "{report}");
    let json = env.run("evaluate mine --json").success().out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["speakers_shared"], true);
    // The training subset of a speaker-independent run shares its speakers with itself.
    env.run(&TRAIN.replace("mine", "apart")).success();
    let text = env.run("evaluate apart --part train").success().out;
    assert!(
        text.contains("speakers shared: trained on these clips"),
        "{text}"
    );
}

#[test]
fn the_split_has_the_given_speakers() {
    let env = TestEnv::with_corpus();
    env.run(&format!(
        "{TRAIN} --test-speakers v02,v04 --validation-speakers v01"
    ))
    .success();
    let split = fs::read_to_string(env.path("runs/mine/split.csv")).unwrap();
    for line in split.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let part = match fields[1] {
            "v01" => "validation",
            "v02" | "v04" => "test",
            _ => "train",
        };
        assert_eq!(fields[4], part, "{line}");
    }
}

#[test]
fn recordings_of_any_rate_channels_and_length_are_predicted() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    let tone: Vec<f32> = (0..48_000).map(|i| (i as f32 * 0.05).sin() * 0.3).collect();
    env.wav("odd/stereo 48k.wav", 48_000, 2, &tone);
    env.wav("odd/telephone.wav", 8_000, 1, &tone[..8_000]);
    env.wav("odd/one-sample.wav", 22_050, 1, &tone[..1]);
    env.wav("odd/a-minute.wav", 16_000, 1, &tone.repeat(20));

    let output = env.run("predict mine odd --json").success();
    let predictions: Value = serde_json::from_str(&output.out).unwrap();
    let predictions = predictions.as_array().unwrap();
    assert_eq!(predictions.len(), 4);
    for prediction in predictions {
        let probabilities = prediction["probabilities"].as_object().unwrap();
        let sum: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        // One sample is not speech.
        let has_speech = !prediction["file"].as_str().unwrap().contains("one-sample");
        assert_eq!(prediction["speech"], has_speech, "{prediction}");
        let label = prediction["label"].as_str();
        assert_eq!(
            label.is_some_and(|label| probabilities.contains_key(label)),
            has_speech
        );
    }
    let csv = env.run("predict mine odd --csv").success().out;
    assert!(
        csv.starts_with("file,label,anger,neutral,sadness\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 1 + 4);

    // The prediction for a file does not depend on the other files.
    let alone = env
        .run("predict mine odd/telephone.wav --csv")
        .success()
        .out;
    let numbers = |text: &str| -> Vec<f64> {
        let line = text
            .lines()
            .find(|line| line.contains("telephone"))
            .unwrap();
        line.split(',')
            .skip(2)
            .map(|number| number.parse().unwrap())
            .collect()
    };
    for (a, b) in numbers(&alone).iter().zip(numbers(&csv)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }

    // One unreadable recording does not affect the others.
    fs::write(env.path("odd/broken.wav"), b"FORM\0\0\0\x10AIFFCOMM").unwrap();
    let output = env
        .run("predict mine odd --csv")
        .fails_with(&["broken.wav", "ends inside its header"]);
    assert_eq!(output.out.lines().count(), 1 + 4);
    env.run("predict mine missing.wav")
        .fails_with(&["missing.wav"]);
}

#[test]
fn another_corpus_is_scored_on_the_labels_of_the_model() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    for (class, emotion) in [("anger", 0), ("boredom", 1)] {
        let samples = demo::synthesise(9, 3, emotion, 1);
        env.wav(&format!("other/{class}/x/1.wav"), 16_000, 1, &samples);
    }
    let scored = |line: &str| {
        let json = env.run(&format!("evaluate mine --data other --json{line}"));
        let json: Value = serde_json::from_str(&json.success().out).unwrap();
        let number = |key: &str| json[key].as_u64().unwrap();
        let counts = (number("clips"), number("unknown_label"));
        (counts, json["notes"].to_string())
    };
    let (counts, notes) = scored("");
    assert_eq!(counts, (2, 0));
    assert!(
        notes.contains("boredom of the recordings counts as neutral"),
        "{notes}"
    );
    let (counts, notes) = scored(" --map boredom=boredom");
    assert_eq!(counts, (1, 1));
    assert!(!notes.contains("counts as"), "{notes}");
    let (counts, notes) = scored(" --map boredom=sadness --map neutral=anger");
    assert_eq!(counts, (2, 0));
    assert!(
        notes.contains("neutral of the model counts as anger"),
        "{notes}"
    );
    env.run("evaluate mine --data other --map joy=anger")
        .fails_with(&["--map joy=", "neither"]);
    env.run("evaluate mine --data other --part test")
        .fails_with(&["not have all recordings", "--subset"]);

    // A folder with some of the run's recordings shares their speakers.
    fs::create_dir_all(env.path("some")).unwrap();
    for class in ["anger", "sadness"] {
        fs::create_dir_all(env.path(&format!("some/{class}/v01"))).unwrap();
        let file = format!("{class}/v01/1.wav");
        fs::copy(
            env.path(&format!("corpus/{file}")),
            env.path(&format!("some/{file}")),
        )
        .unwrap();
    }
    env.run(
        &TRAIN
            .replace("mine", "by-name")
            .replace("--run", "--test-speakers v05 --run"),
    )
    .success();
    let json = env.run("evaluate by-name --data some --json").success().out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["speakers_shared"], true, "{json}");

    // The run's recordings keep their subsets after a move.
    fs::rename(env.path("corpus"), env.path("moved")).unwrap();
    env.run("evaluate mine")
        .fails_with(&["are missing in", "--data"]);
    let moved = env.run("evaluate mine --data moved --json").success().out;
    let moved: Value = serde_json::from_str(&moved).unwrap();
    assert_eq!(moved["clips"], 6);
    assert_eq!(moved["part"], "test");
}

#[test]
fn features_are_npy_files_with_frames_as_rows() {
    let env = TestEnv::with_corpus();
    env.run("features corpus/anger/v01/1.wav --out x.npy --sample-rate native")
        .success();
    let npy = fs::read(env.path("x.npy")).unwrap();
    let header = String::from_utf8_lossy(&npy[..128]).into_owned();
    assert!(
        npy.starts_with(b"\x93NUMPY") && header.contains("'<f4'"),
        "{header}"
    );
    let samples = demo::synthesise(1, 1, 0, 1).len();
    assert!(
        header.contains(&format!("({}, 40)", 1 + samples / 512)),
        "{header}"
    );

    env.run("features corpus --out mfcc --n-mfcc 13 --top-db off")
        .success();
    assert!(env.path("mfcc/sadness/v05/2.npy").exists());
    env.run("features corpus --out x2 --n-mfcc 200")
        .fails_with(&["n_mfcc is 200"]);
    assert!(!env.path("x2").exists());
    env.run("features none.wav --out y.npy")
        .fails_with(&["none.wav"]);
    assert!(!env.path("y.npy").exists());
}

#[test]
fn doctor_reports_the_result_of_a_scan() {
    let env = TestEnv::with_corpus();
    fs::write(env.path("corpus/anger/v01/3.wav"), b"no recording").unwrap();
    let output = env.run("doctor --data corpus").success();
    for words in [
        "libtorch      2.11.0 from ",
        "(built with 2.11.0)",
        "clips         31",
        "16000 Hz",
        "unreadable    1",
        "3.wav",
    ] {
        assert!(
            output.out.contains(words),
            "lacks '{words}': {}",
            output.out
        );
    }
}

/// A library that the loader puts before libtorch and that reports another version.
#[cfg(target_os = "linux")]
fn library_of_another_version(env: &TestEnv) -> PathBuf {
    let source = "extern \"C\" unsigned long aoti_torch_abi_version() { return 0x020aUL << 48; }\n";
    fs::write(env.path("other.cpp"), source).unwrap();
    let library = env.path("libother.so");
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC", "-o"]);
    run_command(command.args([&library, &env.path("other.cpp")])).success();
    library
}

#[test]
#[cfg(target_os = "linux")]
fn a_libtorch_of_another_version_is_named_by_every_command_that_computes() {
    let env = TestEnv::new();
    let library = library_of_another_version(&env);
    for line in ["doctor", "cache"] {
        let output = run_command(env.command(line).env("LD_PRELOAD", &library)).success();
        let warnings: Vec<&str> = output.error.lines().collect();
        assert_eq!(warnings.len(), 1, "{}", output.error);
        for words in [
            "built with libtorch 2.11.0",
            "loaded libtorch 2.10.0",
            "LD_LIBRARY_PATH",
        ] {
            assert!(warnings[0].contains(words), "{}", output.error);
        }
        assert_eq!(
            output.out.contains("libtorch      2.10.0 from"),
            line == "doctor"
        );
    }
}

/// The dynamic linker of glibc reports each library that it initialises.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn help_and_lists_do_not_wait_for_libtorch() {
    let env = TestEnv::new();
    let initialises_libtorch = |line: &str| {
        let output = run_command(env.command(line).env("LD_DEBUG", "libs")).success();
        let mut report = output.error.lines();
        report.any(|line| line.contains("calling init") && line.contains("libtorch_cpu"))
    };
    for line in [
        "--version",
        "train --help",
        "corpus list",
        "completions zsh",
        "man",
    ] {
        assert!(!initialises_libtorch(line), "{line}");
    }
    assert!(initialises_libtorch("cache"));
}

#[test]
#[cfg(unix)]
fn an_error_gives_its_reason_once() {
    let env = TestEnv::new();
    std::os::unix::fs::symlink("loop.wav", env.path("loop.wav")).unwrap();
    let cases = [
        ("inspect gone.wav", "no such file"),
        ("inspect loop.wav", "symbolic link"),
    ];
    for (line, reason) in cases {
        let output = env.run(line).fails_with(&[reason]);
        assert!(!output.error.contains("os error"), "{}", output.error);
    }
}

/// The check is made before libtorch starts, because MKL ends such a process with its own message.
#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_does_not_exist_any_more_is_reported() {
    let env = TestEnv::new();
    let program = env!("CARGO_BIN_EXE_emovox");
    let shell = format!("mkdir gone && cd gone && rmdir ../gone && {program} models");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &shell]).current_dir(env.path(""));
    let output = env::process::run_command(&mut command);
    let output = output.fails_with(&["the current folder does not exist any more"]);
    assert_eq!(output.code, 1);
}

/// clap drops a requirement if the flag that it needs conflicts with another one.
#[test]
fn a_flag_without_the_flag_that_it_needs_is_not_ignored() {
    let env = TestEnv::new();
    for line in [
        "train --run mine --from-previous",
        "train --init-weights acted-6 --from-previous",
        "features corpus --root corpus --out out.npz",
        "features corpus --column speaker=actor --out out.npz",
        "features corpus --label-map map.json --out out.npz",
    ] {
        let output = env.run(line);
        let is_named = output.error.contains("cannot be used with");
        assert!(output.code == 2 && is_named, "{line}: {}", output.error);
    }
}

#[test]
fn unreadable_recordings_are_named_and_skipped() {
    let env = TestEnv::with_corpus();
    fs::write(env.path("corpus/anger/v01/1.wav"), b"").unwrap();
    fs::write(
        env.path("corpus/neutral/v03/2.wav"),
        b"FORM\0\0\0\x10AIFFCOMM",
    )
    .unwrap();
    let output = env.run(TRAIN).success();
    assert!(
        output.error.contains("skipped")
            && output.error.contains("the file ends inside its header"),
        "{}",
        output.error
    );
    assert!(
        output.out.contains("2 unreadable recordings left out"),
        "{}",
        output.out
    );
    let report = fs::read_to_string(env.path("runs/mine/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["skipped_recordings"], 2);
}

/// The rows of `skipped.csv`: file and reason.
fn skipped(env: &TestEnv) -> Vec<(String, String)> {
    let mut table = csv::Reader::from_path(env.path("runs/mine/skipped.csv")).unwrap();
    table.deserialize().map(Result::unwrap).collect()
}

#[test]
#[cfg(unix)]
fn skipped_files_are_in_a_table_and_an_error_with_strict() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let env = TestEnv::with_corpus();
    let corpus = env.path("corpus/anger/v01");
    env.run(&format!("{TRAIN} --strict")).success();
    assert!(skipped(&env).is_empty());
    fs::remove_dir_all(env.path("runs")).unwrap();

    fs::copy(
        corpus.join("1.wav"),
        corpus.join(OsStr::from_bytes(b"caf\xe9.wav")),
    )
    .unwrap();
    fs::create_dir(corpus.join("folder.wav")).unwrap();
    fs::write(corpus.join("._1.wav"), "resource fork").unwrap();
    symlink("..", corpus.join("loop")).unwrap();
    symlink("nowhere", corpus.join("gone.wav")).unwrap();
    symlink("nowhere", corpus.join("gone.txt")).unwrap();
    fs::write(corpus.join("broken.wav"), "").unwrap();
    let output = env.run(TRAIN).success();
    assert!(
        output.out.contains("4 more paths are left out"),
        "{}",
        output.out
    );
    let expected = [
        ("caf\u{fffd}.wav", "its path is not UTF-8; rename it"),
        ("folder.wav", "a folder, not a recording"),
        ("gone.wav", "a symbolic link to a file that does not exist"),
        ("loop", "a symbolic link to a folder above it"),
        (
            "broken.wav",
            "the file is empty (0 bytes); copy or download it again",
        ),
    ];
    let mut expected = expected.map(|(file, reason)| (format!("anger/v01/{file}"), reason.into()));
    expected.sort();
    let mut skipped = skipped(&env);
    skipped.sort();
    assert_eq!(skipped, expected);

    let strict = TRAIN.replace("mine", "strict --strict");
    env.run(&strict)
        .fails_with(&["corpus/anger/v01/", "--strict"]);
    for file in ["folder.wav", "loop", "gone.wav"] {
        let path = corpus.join(file);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
    }
    fs::remove_file(corpus.join(OsStr::from_bytes(b"caf\xe9.wav"))).unwrap();
    env.run(&strict)
        .fails_with(&["corpus/anger/v01/broken.wav: the file is empty", "--strict"]);
}

#[test]
fn identical_recordings_are_reported() {
    let env = TestEnv::with_corpus();
    let copy = |from: &str, to: &str| {
        fs::copy(
            env.path(&format!("corpus/anger/{from}.wav")),
            env.path(&format!("corpus/anger/{to}.wav")),
        )
        .unwrap()
    };
    copy("v01/1", "v01/other");
    let parts = "--test-speakers v02 --validation-speakers v03";
    let output = env.run(&format!("{TRAIN} {parts}")).success();
    let pair = "anger/v01/1.wav and anger/v01/other.wav are the same recording";
    assert!(output.out.contains(pair), "{}", output.out);
    assert!(
        !output.out.contains("in different subsets"),
        "{}",
        output.out
    );

    copy("v01/1", "v02/other");
    let train = TRAIN.replace("mine", "leaking");
    let output = env.run(&format!("{train} {parts}")).success();
    assert!(
        output
            .out
            .contains("1 of these pairs are in different subsets"),
        "{}",
        output.out
    );
    for text in [output.out, env.run("evaluate leaking").success().out] {
        assert!(text.contains("1 recording is in several subsets"), "{text}");
    }
}

#[test]
fn a_training_starts_from_given_weights() {
    let env = TestEnv::with_corpus();
    env.run(&TRAIN.replace("mine", "first --epochs 8"))
        .success();
    let more = |weights: &str, run: &str| {
        let train = TRAIN.replace("mine", run);
        env.run(&format!("{train} --epochs 1 --init-weights {weights}"))
    };
    let loss = |run: &str| -> f64 {
        let metrics = fs::read_to_string(env.path(&format!("runs/{run}/metrics.csv"))).unwrap();
        let first = metrics.lines().nth(1).unwrap();
        first.split(',').nth(1).unwrap().parse().unwrap()
    };
    let output = more("runs/first/best.ot", "second").success();
    let message = "runs/first/best.ot (all layers); the state of the optimizer is new";
    assert!(output.out.contains(message), "{}", output.out);
    env.run(&TRAIN.replace("mine", "fresh --epochs 1"))
        .success();
    assert!(
        loss("second") < loss("fresh"),
        "initial weights lower the first loss"
    );
    // A checkpoint also contains weights.
    more("runs/first/last.ot", "third").success();

    // The run has a copy of the initial weights, so it can be resumed after their file was removed.
    fs::remove_dir_all(env.path("runs/first")).unwrap();
    let metrics = || metrics_without_seconds(&env.path("runs/second"));
    let before = metrics();
    for file in ["last.ot", "metrics.csv", "best.ot"] {
        fs::remove_file(env.path(&format!("runs/second/{file}"))).unwrap();
    }
    env.run("train --resume second").success();
    assert_eq!(metrics(), before);

    // With other classes the last layer is new; another architecture or other sizes are rejected.
    fs::remove_dir_all(env.path("corpus/neutral")).unwrap();
    let output = more("runs/second/best.ot", "fewer").success();
    assert!(output.out.contains("a new last layer"), "{}", output.out);
    more("runs/second/best.ot --arch mean-lstm", "other").fails_with(&[
        "best.ot cannot initialise this model",
        "contains a bilstm model",
        "--config",
    ]);
    fs::write(
        env.path("wide.toml"),
        "[model]\narch = \"bilstm\"\nhidden = 17\n",
    )
    .unwrap();
    let train = TRAIN.replace("small", "wide").replace("mine", "wide");
    env.run(&format!("{train} --init-weights runs/second/best.ot"))
        .fails_with(&["cannot initialise this model", "but the model needs"]);
    // All shapes fit, but a network of the ensemble would be lost.
    let two = SMALL.replace("heads = 2", "heads = 2\nensemble_size = 2");
    fs::write(env.path("two.toml"), two).unwrap();
    let train = TRAIN.replace("small", "two").replace("mine", "two");
    env.run(&format!("{train} --init-weights runs/second/best.ot"))
        .fails_with(&["cannot initialise this model", "that this model lacks"]);
    more("nowhere.ot", "none").fails_with(&["there is no file nowhere.ot", "--init-weights"]);

    // The bundle of a run has the same weights and the same training recordings as the run.
    env.run("export second --out second.emovox").success();
    more("second.emovox", "bundled").success();
    more("runs/second/best.ot", "unbundled").success();
    for file in ["best.ot", "ancestors.csv"] {
        let read = |run: &str| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap();
        assert!(read("bundled") == read("unbundled"), "{file} differs");
    }
    more("acted-6", "none").fails_with(&["cannot initialise this model", "acted-6"]);
    assert_eq!(
        env.runs(),
        6,
        "second, third, fresh, fewer, bundled, unbundled"
    );
}

#[test]
fn a_nan_loss_is_an_error_with_the_step_and_its_clips() {
    let env = TestEnv::with_corpus();
    let wild = SMALL.replace("[training]", "[training]\nweight_decay = 1e30");
    fs::write(env.path("wild.toml"), wild).unwrap();
    let output = env.run(&TRAIN.replace("small", "wild"));
    output.fails_with_one_line(&[
        "the training loss became NaN at step",
        "of epoch 1, at a learning rate of",
        "smaller --learning-rate",
        "1.wav",
    ]);
}

#[test]
fn a_rejected_training_leaves_no_files() {
    let env = TestEnv::with_corpus();
    let train = |data: &str| env.run(&format!("train --data {data} --config small.toml"));
    let tone: Vec<f32> = (0..8_000).map(|i| (i as f32 * 0.05).sin() * 0.1).collect();

    fs::create_dir(env.path("empty")).unwrap();
    train("empty").fails_with(&["no recording in empty"]);
    train("nowhere").fails_with(&["no folder nowhere", "data/README.md"]);

    env.wav("unknown/a.wav", 16_000, 1, &tone);
    env.wav("unknown/b.wav", 16_000, 1, &tone);
    train("unknown").fails_with(&[
        "do not follow the rule of a supported corpus",
        "CLASS/SPEAKER/clip.wav",
    ]);

    for class in ["happy", "sad"] {
        for clip in 0..4 {
            env.wav(&format!("flat/{class}/{clip}.wav"), 16_000, 1, &tone);
            env.wav(&format!("solo/{class}/anna/{clip}.wav"), 16_000, 1, &tone);
            env.wav(
                &format!("one-class/sad/{class}/{clip}.wav"),
                16_000,
                1,
                &tone,
            );
        }
    }
    train("flat").fails_with(&[
        "recordings is unknown, so they cannot be split",
        "--split random",
    ]);
    train("solo").fails_with(&["only one speaker (anna)", "--split random"]);
    train("one-class").fails_with(&["one class only ('sadness')"]);

    env.wav("corpus/rare/v01/1.wav", 16_000, 1, &tone);
    train("corpus").fails_with(&["'rare' has 1 readable clip"]);
    fs::remove_dir_all(env.path("corpus/rare")).unwrap();

    for voice in ["v01", "v02", "v03", "v04"] {
        for clip in 1..=2 {
            fs::write(
                env.path(&format!("corpus/anger/{voice}/{clip}.wav")),
                b"RIFF",
            )
            .unwrap();
            fs::write(env.path(&format!("corpus/sadness/{voice}/{clip}.wav")), b"").unwrap();
        }
    }
    train("corpus").fails_with(&["16 of the 30 recordings", "cannot be read"]);

    env.run("train --data corpus --device cuda:99")
        .fails_with(&["--device", "GPU"]);
    env.run("train --epochs 0").fails_with(&["--epochs"]);
    env.run("train --config nowhere.toml")
        .fails_with(&["nowhere.toml"]);
    env.run("train --data corpus --run a/b")
        .fails_with(&["cannot be the name of a run"]);
    assert_eq!(env.runs(), 0, "no run folder");
}

#[test]
fn weights_of_another_model_are_rejected() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    env.run(
        &TRAIN
            .replace("mine", "other")
            .replace("--config small.toml", "--arch mean-lstm --epochs 1"),
    )
    .success();
    let copy = |from: &str, to: &str| fs::copy(env.path(from), env.path(to)).unwrap();
    copy("runs/other/best.ot", "runs/mine/best.ot");
    env.run("predict mine corpus")
        .fails_with(&["best.ot", "do not fit"]);
    copy("runs/other/last.ot", "runs/mine/last.ot");
    env.run("train --resume mine")
        .fails_with(&["last.ot", "does not fit"]);
    fs::remove_file(env.path("runs/mine/last.ot")).unwrap();
    fs::remove_file(env.path("runs/mine/previous.ot")).unwrap();
    let metrics = fs::read(env.path("runs/mine/metrics.csv")).unwrap();
    env.run("train --resume mine")
        .fails_with(&["last.ot is missing", "was not changed"]);
    assert_eq!(
        fs::read(env.path("runs/mine/metrics.csv")).unwrap(),
        metrics
    );
    fs::write(env.path("runs/mine/best.ot"), [0; 1000]).unwrap();
    env.run("evaluate mine")
        .fails_with(&["cannot read the weights"]);
}

#[test]
fn the_help_of_every_command_has_examples() {
    let env = TestEnv::new();
    let help = env.run("--help").success().out;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        // The continuation of a description is indented further.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|&command| command != "help")
        .collect();
    assert!(commands.contains(&"train") && commands.contains(&"cross-validate"));
    for command in [""].iter().chain(&commands) {
        let out = env.run(&format!("{command} --help")).success().out;
        assert!(out.contains("Examples:\n  emovox "), "{command}: {out}");
    }
    assert_eq!(env.run("train --no-such-flag").code, 2);
}

/// A number that cannot be read is explained without the words of a library.
#[test]
fn a_wrong_number_on_the_command_line_is_explained() {
    let env = TestEnv::new();
    for (line, reason) in [
        (
            "train --epochs abc",
            "'abc' for '--epochs <N>': not a whole number from 0",
        ),
        (
            "train --epochs=",
            "'' for '--epochs <N>': a number is missing",
        ),
        (
            "cross-validate --seeds 1,x",
            "'x' for '--seeds <N,N…>': not a whole number from 0",
        ),
        (
            "train --seed 99999999999999999999",
            "the number is too large",
        ),
        (
            "train --learning-rate fast",
            "'fast' for '--learning-rate <X>': not a number",
        ),
    ] {
        let output = env.run(line);
        assert_eq!(output.code, 2, "{line}");
        assert!(
            output.error.starts_with("error: invalid value "),
            "{line}: {}",
            output.error
        );
        assert!(output.error.contains(reason), "{line}: {}", output.error);
        assert!(
            !output.error.contains("found in string"),
            "{line}: {}",
            output.error
        );
    }
}

/// The quick start of the README: without data, the demo corpus is synthesised.
#[test]
fn without_data_the_demo_corpus_is_synthesised_and_labelled() {
    let env = TestEnv::new();
    let output = env.run("train --config small.toml --epochs 1").success();
    assert!(output.out.contains("synthetic"), "{}", output.out);
    assert!(Path::new(&env.path("data/demo")).is_dir());
    let report = fs::read_to_string(env.path("runs/demo-bilstm/report.txt")).unwrap();
    assert!(report.contains("synthetic demo corpus"), "{report}");
    let again = env.run("train --config small.toml --epochs 1").success();
    assert!(again.out.contains("runs/demo-bilstm-2"), "{}", again.out);
}

#[test]
fn silence_other_formats_and_contradictory_copies_are_listed() {
    let env = TestEnv::with_corpus();
    let folders = fs::read_dir(env.path("corpus")).unwrap();
    let mut classes: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    classes.sort();
    let in_class = |class: usize, name: &str| classes[class].join("v01").join(name);
    env.wav("silence.wav", 16_000, 1, &[0.0; 16_000]);
    fs::rename(env.path("silence.wav"), in_class(0, "silence.wav")).unwrap();
    fs::write(in_class(0, "voice.wma"), "WMA").unwrap();
    fs::write(in_class(0, "1.mp3"), "a copy of 1.wav").unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    fs::write(in_class(1, "pointer.wav"), pointer).unwrap();
    fs::copy(in_class(0, "1.wav"), in_class(1, "copy.wav")).unwrap();

    let output = env.run(TRAIN).success();
    let line = output
        .out
        .lines()
        .find(|line| line.starts_with("contradictory labels: "));
    let line = line.unwrap_or_else(|| panic!("{}", output.out));
    assert!(
        line.contains("copy.wav") && line.contains("are the same recording"),
        "{line}"
    );
    let skipped = skipped(&env);
    for (file, words) in [
        ("silence.wav", "no speech: it is silent"),
        ("voice.wma", "not supported; convert it"),
        ("1.mp3", "the same recording as 1.wav"),
        ("pointer.wav", "git lfs pull"),
    ] {
        let entry = skipped.iter().find(|(path, _)| path.ends_with(file));
        let (_, reason) = entry.unwrap_or_else(|| panic!("{file} is not listed: {skipped:?}"));
        assert!(reason.contains(words), "{file}: {reason}");
    }
    assert_eq!(skipped.len(), 4);

    // The channel of a run is one of its settings.
    let right = TRAIN
        .replace("mine", "right")
        .replace("small.toml", "right.toml");
    let small = fs::read_to_string(env.path("small.toml")).unwrap();
    let write = |channel: &str| {
        let text = format!("{small}\n[audio]\nchannel = {channel}\n");
        fs::write(env.path("right.toml"), text).unwrap();
    };
    write("\"right\"");
    env.run(&right).fails_with(&["no channel right"]);
    write("1");
    env.run(&right).success();
    let config = fs::read_to_string(env.path("runs/right/config.toml")).unwrap();
    assert!(config.contains("channel = \"left\""), "{config}");
}

#[test]
fn a_class_in_another_format_is_read() {
    let env = TestEnv::with_corpus();
    let folders = fs::read_dir(env.path("corpus")).unwrap();
    let class = folders.map(|entry| entry.unwrap().path()).min().unwrap();
    // Five speakers with one MP3 file in place of their WAV files.
    let mp3 = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio/mp3-cbr-22050-1.mp3");
    for speaker in fs::read_dir(class).unwrap() {
        let speaker = speaker.unwrap().path();
        for clip in fs::read_dir(&speaker).unwrap() {
            fs::remove_file(clip.unwrap().path()).unwrap();
        }
        fs::copy(&mp3, speaker.join("1.MP3")).unwrap();
    }
    let output = env.run(TRAIN);
    let output = output.success();
    assert!(skipped(&env).is_empty(), "{}", output.out);
    let split = fs::read_to_string(env.path("runs/mine/split.csv")).unwrap();
    assert_eq!(split.matches(".MP3").count(), 5, "{split}");
}
