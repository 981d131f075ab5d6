//! Bounds on input: long, endless and deeply nested input costs bounded time and memory, or is an error.

mod env;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use emovox::corpus::demo;
use emovox::device::DeviceChoice;
use emovox::inference::Predictor;
use emovox::run::RunFolder;
use env::process::run_command;
use env::{CommandOutput, Files, SMALL, TRAIN, TestEnv};

/// A sparse file of silence, mono with 16 bits, which needs almost no disk space.
fn silence(file: &Path, seconds: u32, sample_rate: u32) {
    let length = seconds * sample_rate * 2;
    let mut out = File::create(file).unwrap();
    let mut header = b"RIFF".to_vec();
    header.extend((36 + length).to_le_bytes());
    header.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    header.extend(sample_rate.to_le_bytes());
    header.extend((2 * sample_rate).to_le_bytes());
    header.extend(b"\x02\0\x10\0data");
    header.extend(length.to_le_bytes());
    out.write_all(&header).unwrap();
    out.set_len(44 + u64::from(length)).unwrap();
}

/// Runs a command line with a limit of one minute and 1.5 GB of address space.
fn bounded(env: &TestEnv, line: &str) -> CommandOutput {
    limited(env, line, 1_500_000)
}

fn limited(env: &TestEnv, line: &str, kilobytes: u32) -> CommandOutput {
    let emovox = env!("CARGO_BIN_EXE_emovox");
    let shell = format!("ulimit -v {kilobytes}; exec timeout 60 {emovox} {line} --threads 2");
    let mut command = Command::new("sh");
    command.arg("-c").arg(shell).current_dir(env.path(""));
    run_command(command.env("EMOVOX_CACHE", env.path("cache")))
}

/// A corpus and the run `mine`.
fn with_run() -> TestEnv {
    static RUNS: OnceLock<Files> = OnceLock::new();
    TestEnv::with_runs(&RUNS, &TRAIN.replace("mine", "mine --epochs 1")).on_cpu()
}

#[test]
fn a_recording_too_long_for_memory_does_not_affect_the_others() {
    let env = with_run();
    silence(&env.path("hour.wav"), 3600, 44_100);
    let clip = "corpus/anger/v01/1.wav";
    let output = limited(
        &env,
        &format!("predict mine hour.wav {clip} --csv --device cpu"),
        1_000_000,
    );
    let output = output.fails_with(&["hour.wav: there is not enough memory", "635 MB", "--window"]);
    assert_eq!(output.error.matches("not enough memory").count(), 1);
    assert_eq!(output.out.lines().count(), 2, "{}", output.out);
    assert!(output.out.contains(clip));
    // The same applies to features.
    limited(&env, "features hour.wav --out hour.npy", 1_000_000).fails_with(&[
        "hour.wav",
        "not enough memory",
        "635 MB",
    ]);
    assert!(!env.path("hour.npy").exists());
}

#[test]
fn recordings_longer_than_a_minute_cause_a_warning() {
    let env = with_run();
    silence(&env.path("short.wav"), 60, 8_000);
    silence(&env.path("long.wav"), 61, 8_000);
    let output = env.run("predict mine short.wav long.wav").success();
    let warned = |output: &CommandOutput| output.error.matches("warning:").count();
    assert_eq!(warned(&output), 1, "{}", output.error);
    for word in ["long.wav", "1:01.0", "--window"] {
        assert!(output.error.contains(word), "{word}: {}", output.error);
    }
    let output = env
        .run("predict mine long.wav --window 30 --hop 30")
        .success();
    assert_eq!(warned(&output), 0, "{}", output.error);
    // Ten are listed by name, the others only counted.
    let many = (0..13).map(|number| format!("long-{number}.wav"));
    let many: Vec<String> = many
        .inspect(|name| {
            fs::copy(env.path("long.wav"), env.path(name))
                .map(drop)
                .unwrap()
        })
        .collect();
    let output = env
        .run(&format!("predict mine {}", many.join(" ")))
        .success();
    assert_eq!(warned(&output), 10, "{}", output.error);
    assert!(output.error.contains("and 3 more"), "{}", output.error);
}

#[test]
fn predictions_are_returned_before_the_last_recording_is_read() {
    let env = with_run();
    let run = RunFolder::open(&env.path("runs"), "mine").unwrap();
    let predictor = Predictor::open(&run, DeviceChoice::Cpu.resolve().unwrap()).unwrap();
    let clip = env.path("corpus/anger/v01/1.wav");
    let mut files = vec![clip; 20 * rayon_threads()];
    let missing = files.len() / 2;
    files[missing] = env.path("missing.wav");
    let read = AtomicUsize::new(0);
    let mut taken = Vec::new();
    let mut most_waiting = 0;
    predictor
        .predict_each(
            &files,
            || _ = read.fetch_add(1, Ordering::Relaxed),
            |prediction| {
                most_waiting = most_waiting.max(read.load(Ordering::Relaxed) - taken.len());
                taken.push(prediction);
                Ok(())
            },
        )
        .unwrap();
    // At most eight predictions for each core are in memory.
    assert!(most_waiting <= 8 * rayon_threads(), "{most_waiting}");
    for (index, (file, prediction)) in files.iter().zip(&taken).enumerate() {
        match prediction {
            Ok(prediction) => assert!(index != missing && prediction.file == *file),
            Err(skipped) => assert!(index == missing && skipped.file.path == *file),
        }
    }
    // The receiver can stop after the first prediction.
    let mut count = 0;
    let stopped = predictor.predict_each(
        &files,
        || (),
        |_| {
            count += 1;
            anyhow::bail!("enough")
        },
    );
    assert_eq!(
        (stopped.unwrap_err().to_string(), count),
        ("enough".into(), 1)
    );
}

fn rayon_threads() -> usize {
    rayon::current_num_threads()
}

#[test]
fn a_recording_with_many_links_is_predicted_once() {
    let env = with_run();
    for level in 0..26 {
        let here = env.path(&format!("ladder/{level}"));
        fs::create_dir_all(&here).unwrap();
        symlink(format!("../{}", level + 1), here.join("a")).unwrap();
        symlink(format!("../{}", level + 1), here.join("b")).unwrap();
    }
    fs::create_dir(env.path("ladder/26")).unwrap();
    fs::copy(
        env.path("corpus/anger/v01/1.wav"),
        env.path("ladder/26/1.wav"),
    )
    .unwrap();
    let output = bounded(&env, "predict mine ladder --csv --device cpu").success();
    assert_eq!(output.out.lines().count(), 2, "{}", output.out);
    assert!(output.out.contains("ladder/26/1.wav"), "{}", output.out);
    // Every other link is listed.
    let same = output.error.matches("the same folder as").count();
    assert_eq!(same, 52, "{}", output.error);
}

#[test]
fn an_endless_or_huge_file_is_rejected_as_run() {
    let env = with_run();
    let clip = "corpus/anger/v01/1.wav";
    bounded(&env, &format!("predict /dev/zero {clip}")).fails_with(&["/dev/zero"]);
    File::create(env.path("huge.emovox"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    bounded(&env, &format!("predict huge.emovox {clip}")).fails_with(&["huge.emovox"]);
    // A valid bundle that is longer than the limit.
    env.run("export mine").success();
    File::options()
        .write(true)
        .open(env.path("mine.emovox"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    bounded(&env, &format!("predict mine.emovox {clip}"))
        .fails_with(&["mine.emovox", "more than 4.0 GB"]);
}

#[test]
fn endless_settings_and_manifests_are_rejected() {
    let env = TestEnv::with_corpus().on_cpu();
    let train = "train --data corpus --device cpu --run mine";
    let device = "a pipe, a socket or a device";
    run_command(Command::new("mkfifo").arg(env.path("pipe"))).success();
    symlink("/dev/zero", env.path("zeros.csv")).unwrap();
    for endless in ["/dev/zero", "/dev/urandom", "pipe"] {
        bounded(&env, &format!("{train} --config {endless}")).fails_with(&[endless, device]);
        bounded(&env, &format!("grid {endless}")).fails_with(&[endless, device]);
        bounded(&env, &format!("train --manifest {endless} --run mine")).fails_with(&[endless]);
        bounded(
            &env,
            &format!("corpus fetch emodb --yes --source {endless}"),
        )
        .fails_with(&[endless, device]);
    }
    bounded(&env, "train --manifest zeros.csv --run mine").fails_with(&["zeros.csv"]);
    File::create(env.path("huge.toml"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    bounded(&env, &format!("{train} --config huge.toml"))
        .fails_with(&["huge.toml", "more than 1.0 MB"]);
    bounded(&env, "train --manifest huge.toml --run mine")
        .fails_with(&["huge.toml", "more than 256 MB"]);
    bounded(
        &env,
        &format!("{train} --config small.toml --init-weights huge.toml"),
    )
    .fails_with(&["huge.toml", "more than 4.0 GB"]);
    assert_eq!(env.runs(), 0);
}

#[test]
fn manifests_with_too_many_keys_or_too_long_lines_are_rejected() {
    let env = TestEnv::with_corpus().on_cpu();
    let list = |name: &str, text: String| fs::write(env.path(name), text).unwrap();
    let line = |more: &str| format!("{{\"file\":\"a.wav\",\"label\":\"anger\"{more}}}\n");
    let keys = |from: usize, count: usize| -> String {
        (from..from + count)
            .map(|key| format!(",\"k{key}\":1"))
            .collect()
    };
    list(
        "keys.jsonl",
        (0..60).map(|n| line(&keys(1000 * n, 1000))).collect(),
    );
    bounded(&env, "train --manifest keys.jsonl --run mine")
        .fails_with(&["keys.jsonl, line 10", "more than the maximum of 10000"]);
    list(
        "columns.csv",
        format!("file,label{}\n", ",x".repeat(60_000)),
    );
    bounded(&env, "train --manifest columns.csv --run mine")
        .fails_with(&["columns.csv, line 1", "more than the maximum of 10000"]);
    list(
        "long.csv",
        format!("file,label\na.wav,anger\nb.wav,{}\n", "x".repeat(1 << 21)),
    );
    bounded(&env, "train --manifest long.csv --run mine")
        .fails_with(&["long.csv, line 3", "longer than 1 MiB"]);
    list(
        "long.jsonl",
        line(&format!(",\"x\":\"{}\"", "x".repeat(1 << 21))),
    );
    bounded(&env, "train --manifest long.jsonl --run mine")
        .fails_with(&["long.jsonl, line 1", "longer than 1 MiB"]);
    // A wide table within the limits; the message names only some of its columns.
    list(
        "wide.csv",
        format!(
            "{}\n",
            (0..9000)
                .map(|n| format!("c{n}"))
                .collect::<Vec<_>>()
                .join(",")
        ),
    );
    let output = bounded(&env, "train --manifest wide.csv --run mine").fails_with(&[
        "wide.csv",
        "c0, c1",
        "and 8980 more",
    ]);
    assert!(output.error.len() < 1000, "{}", output.error.len());
}

#[test]
fn a_long_recording_among_short_ones_is_split_for_training() {
    let env = TestEnv::with_corpus().on_cpu();
    // Each is as long as all other clips together, and one of them is in the test subset.
    for (voice, speaker) in [(1, "v01"), (2, "v02"), (3, "v03"), (4, "v04"), (5, "v05")] {
        let turns =
            (0..30).flat_map(|turn| emovox::corpus::demo::synthesise(voice, 1 + turn % 3, 0, 1));
        env.wav(
            &format!("corpus/anger/{speaker}/long.wav"),
            16_000,
            1,
            &turns.collect::<Vec<_>>(),
        );
    }
    let output = env.run(TRAIN).success();
    assert!(
        output
            .out
            .contains("5 recordings longer than 20 s are divided into pieces")
            && output.out.contains("anger/v01/long.wav: "),
        "{}",
        output.out
    );
    // A long recording is scored as a whole, after the training and by `evaluate`.
    let predictions = fs::read_to_string(env.path("runs/mine/predictions.csv")).unwrap();
    assert_eq!(predictions.matches("long.wav").count(), 1, "{predictions}");
    let report = fs::read_to_string(env.path("runs/mine/report.json")).unwrap();
    let again = env.run("evaluate mine --json --device cpu").success().out;
    let uar = |text: &str| {
        let report: serde_json::Value = serde_json::from_str(text).unwrap();
        report["metrics"]["uar"]
            .as_f64()
            .or(report["uar"].as_f64())
            .unwrap()
    };
    assert_eq!(uar(&report), uar(&again));
    let mut table = csv::Reader::from_reader(predictions.as_bytes());
    let header = table.headers().unwrap().clone();
    let row = table
        .records()
        .map(Result::unwrap)
        .find(|row| row[0].contains("long.wav"))
        .unwrap();
    let file = env.path("corpus").join(&row[0]);
    let output = env
        .run(&format!(
            "predict mine {} --csv --device cpu",
            file.display()
        ))
        .success();
    let mut predicted = csv::Reader::from_reader(output.out.as_bytes());
    let columns = predicted.headers().unwrap().clone();
    let predicted = predicted.records().next().unwrap().unwrap();
    for (column, name) in columns.iter().enumerate().skip(2) {
        let place = header.iter().position(|there| there == name).unwrap();
        let (a, b): (f64, f64) = (
            predicted[column].parse().unwrap(),
            row[place].parse().unwrap(),
        );
        assert!((a - b).abs() < 1e-5, "{name}: {a} {b}");
    }
}

#[test]
fn without_long_recordings_the_piece_length_changes_no_weight() {
    let env = TestEnv::with_corpus().on_cpu();
    let small = fs::read_to_string(env.path("small.toml")).unwrap();
    let weights = |run: &str, seconds: &str| {
        let settings = format!("{small}\npiece_seconds = {seconds}\n");
        fs::write(env.path("small.toml"), settings).unwrap();
        let output = env
            .run(&TRAIN.replace("mine", &format!("{run} --epochs 1")))
            .success();
        assert!(!output.out.contains("longer than"), "{}", output.out);
        fs::read(env.path(&format!("runs/{run}/best.ot"))).unwrap()
    };
    let whole = weights("whole", "0");
    assert!(whole == weights("pieces", "10.5"));
}

/// The silence around a word is trimmed, but not in a copy with noise, which is many pieces longer.
#[test]
fn a_word_in_a_long_silence_trains_with_disturbed_copies() {
    let env = TestEnv::with_corpus().on_cpu();
    let silence = vec![0.0; 60 * 16_000];
    for voice in 1..=5 {
        let word = demo::synthesise(voice, 1, 0, 1);
        let samples = [&silence, &word, &silence].map(Vec::as_slice).concat();
        env.wav(
            &format!("corpus/anger/v{voice:02}/1.wav"),
            16_000,
            1,
            &samples,
        );
    }
    let small = fs::read_to_string(env.path("small.toml")).unwrap();
    fs::write(
        env.path("small.toml"),
        format!("{small}\npiece_seconds = 1\n"),
    )
    .unwrap();
    env.run(TRAIN).success();
}

#[test]
fn a_run_without_the_piece_length_setting_uses_no_pieces() {
    let env = TestEnv::with_corpus().on_cpu();
    // As in an early version, which had neither pieces nor the setting.
    let settings = format!("{SMALL}piece_seconds = 0.0\n");
    fs::write(env.path("small.toml"), settings).unwrap();
    env.run(TRAIN).success();
    let config = env.path("runs/mine/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("piece_seconds = 0.0\n"), "{text}");
    fs::write(&config, text.replace("piece_seconds = 0.0\n", "")).unwrap();
    let talk = env::talk(45.0);
    env.wav("talk.wav", 16_000, 1, &talk);
    let run = RunFolder::open(&env.path("runs"), "mine").unwrap();
    let predictor = Predictor::open(&run, DeviceChoice::Cpu.resolve().unwrap()).unwrap();
    assert_eq!(predictor.config().training.piece_seconds, 0.0);
    assert_eq!(predictor.config().piece_frames(), None);
    env.run("train --resume mine --epochs 4 --device cpu")
        .success();
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("piece_seconds = 0.0\n"), "{text}");
    for wrong in ["-1", "0.5", "1e9"] {
        let settings = format!("[training]\npiece_seconds = {wrong}\n");
        fs::write(env.path("wrong.toml"), settings).unwrap();
        env.run("train --data corpus --config wrong.toml --run wrong")
            .fails_with(&["piece_seconds must be 0"]);
    }
}
