//! Bounds on input: long, endless and deeply nested input costs bounded time and memory, or is an error.

mod desk;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use desk::{Desk, Files, Seen, TRAIN};
use emovox::device::DeviceChoice;
use emovox::inference::Predictor;
use emovox::run::RunFolder;

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
fn bounded(desk: &Desk, line: &str) -> Seen {
    limited(desk, line, 1_500_000)
}

fn limited(desk: &Desk, line: &str, kilobytes: u32) -> Seen {
    let emovox = env!("CARGO_BIN_EXE_emovox");
    let shell = format!("ulimit -v {kilobytes}; exec timeout 60 {emovox} {line}");
    let mut command = Command::new("sh");
    command.arg("-c").arg(shell).current_dir(desk.path(""));
    command.env("EMOVOX_CACHE", desk.path("cache"));
    command
        .env("OMP_NUM_THREADS", "1")
        .env("RAYON_NUM_THREADS", "2");
    Seen::of(line, command.output().unwrap())
}

/// A corpus and the run `mine`.
fn with_run() -> Desk {
    static RUNS: OnceLock<Files> = OnceLock::new();
    Desk::with_runs(&RUNS, &TRAIN.replace("mine", "mine --epochs 1"))
}

#[test]
fn a_recording_too_long_for_memory_does_not_affect_the_others() {
    let desk = with_run();
    silence(&desk.path("hour.wav"), 3600, 44_100);
    let clip = "corpus/anger/v01/1.wav";
    let seen = limited(
        &desk,
        &format!("predict mine hour.wav {clip} --csv --device cpu"),
        1_000_000,
    );
    let seen = seen.fails_with(&["hour.wav: there is not enough memory", "635 MB", "--window"]);
    assert_eq!(seen.error.matches("not enough memory").count(), 1);
    assert_eq!(seen.out.lines().count(), 2, "{}", seen.out);
    assert!(seen.out.contains(clip));
    // The same applies to features.
    limited(&desk, "features hour.wav --out hour.npy", 1_000_000).fails_with(&[
        "hour.wav",
        "not enough memory",
        "635 MB",
    ]);
    assert!(!desk.path("hour.npy").exists());
}

#[test]
fn recordings_longer_than_a_minute_cause_a_warning() {
    let desk = with_run();
    silence(&desk.path("short.wav"), 60, 8_000);
    silence(&desk.path("long.wav"), 61, 8_000);
    let seen = desk.types("predict mine short.wav long.wav").fine();
    let warned = |seen: &Seen| seen.error.matches("warning:").count();
    assert_eq!(warned(&seen), 1, "{}", seen.error);
    for word in ["long.wav", "1:01.0", "--window"] {
        assert!(seen.error.contains(word), "{word}: {}", seen.error);
    }
    let seen = desk
        .types("predict mine long.wav --window 30 --hop 30")
        .fine();
    assert_eq!(warned(&seen), 0, "{}", seen.error);
    // Ten are listed by name, the others only counted.
    let many = (0..13).map(|number| format!("long-{number}.wav"));
    let many: Vec<String> = many
        .inspect(|name| {
            fs::copy(desk.path("long.wav"), desk.path(name))
                .map(drop)
                .unwrap()
        })
        .collect();
    let seen = desk
        .types(&format!("predict mine {}", many.join(" ")))
        .fine();
    assert_eq!(warned(&seen), 10, "{}", seen.error);
    assert!(seen.error.contains("and 3 more"), "{}", seen.error);
}

#[test]
fn predictions_are_returned_before_the_last_recording_is_read() {
    let desk = with_run();
    let run = RunFolder::open(&desk.path("runs"), "mine").unwrap();
    let predictor = Predictor::open(&run, DeviceChoice::Cpu.resolve().unwrap()).unwrap();
    let clip = desk.path("corpus/anger/v01/1.wav");
    let mut files = vec![clip; 20 * rayon_threads()];
    let missing = files.len() / 2;
    files[missing] = desk.path("missing.wav");
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
            Err(skipped) => assert!(index == missing && skipped.file == *file),
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
    let desk = with_run();
    for level in 0..26 {
        let here = desk.path(&format!("ladder/{level}"));
        fs::create_dir_all(&here).unwrap();
        symlink(format!("../{}", level + 1), here.join("a")).unwrap();
        symlink(format!("../{}", level + 1), here.join("b")).unwrap();
    }
    fs::create_dir(desk.path("ladder/26")).unwrap();
    fs::copy(
        desk.path("corpus/anger/v01/1.wav"),
        desk.path("ladder/26/1.wav"),
    )
    .unwrap();
    let seen = bounded(&desk, "predict mine ladder --csv --device cpu").fine();
    assert_eq!(seen.out.lines().count(), 2, "{}", seen.out);
    assert!(seen.out.contains("ladder/26/1.wav"), "{}", seen.out);
    assert!(seen.error.contains("the same folder as"), "{}", seen.error);
    assert!(seen.error.contains("and 42 more"), "{}", seen.error);
}

#[test]
fn an_endless_or_huge_file_is_rejected_as_run() {
    let desk = with_run();
    let clip = "corpus/anger/v01/1.wav";
    bounded(&desk, &format!("predict /dev/zero {clip}")).fails_with(&["/dev/zero"]);
    File::create(desk.path("huge.emovox"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    bounded(&desk, &format!("predict huge.emovox {clip}")).fails_with(&["huge.emovox"]);
    // A valid bundle that is longer than the limit.
    desk.types("export mine").fine();
    File::options()
        .write(true)
        .open(desk.path("mine.emovox"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    bounded(&desk, &format!("predict mine.emovox {clip}"))
        .fails_with(&["mine.emovox", "more than 4.0 GB"]);
}

#[test]
fn endless_settings_and_manifests_are_rejected() {
    let desk = Desk::with_corpus();
    let train = "train --data corpus --device cpu --run mine";
    let device = "a pipe, a socket or a device";
    assert!(
        Command::new("mkfifo")
            .arg(desk.path("pipe"))
            .status()
            .unwrap()
            .success()
    );
    symlink("/dev/zero", desk.path("zeros.csv")).unwrap();
    for endless in ["/dev/zero", "/dev/urandom", "pipe"] {
        bounded(&desk, &format!("{train} --config {endless}")).fails_with(&[endless, device]);
        bounded(&desk, &format!("grid {endless}")).fails_with(&[endless, device]);
        bounded(&desk, &format!("train --manifest {endless} --run mine")).fails_with(&[endless]);
        bounded(
            &desk,
            &format!("corpus fetch emodb --yes --source {endless}"),
        )
        .fails_with(&[endless, device]);
    }
    bounded(&desk, "train --manifest zeros.csv --run mine").fails_with(&["zeros.csv"]);
    File::create(desk.path("huge.toml"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    bounded(&desk, &format!("{train} --config huge.toml"))
        .fails_with(&["huge.toml", "more than 1.0 MB"]);
    bounded(&desk, "train --manifest huge.toml --run mine")
        .fails_with(&["huge.toml", "more than 256 MB"]);
    bounded(
        &desk,
        &format!("{train} --config small.toml --init-weights huge.toml"),
    )
    .fails_with(&["huge.toml", "more than 4.0 GB"]);
    assert_eq!(desk.runs(), 0);
}

#[test]
fn manifests_with_too_many_keys_or_too_long_lines_are_rejected() {
    let desk = Desk::with_corpus();
    let list = |name: &str, text: String| fs::write(desk.path(name), text).unwrap();
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
    bounded(&desk, "train --manifest keys.jsonl --run mine")
        .fails_with(&["keys.jsonl, line 10", "more than the 10000"]);
    list(
        "columns.csv",
        format!("file,label{}\n", ",x".repeat(60_000)),
    );
    bounded(&desk, "train --manifest columns.csv --run mine")
        .fails_with(&["columns.csv, line 1", "more than the 10000"]);
    list(
        "long.csv",
        format!("file,label\na.wav,anger\nb.wav,{}\n", "x".repeat(1 << 21)),
    );
    bounded(&desk, "train --manifest long.csv --run mine")
        .fails_with(&["long.csv, line 3", "longer than 1 MiB"]);
    list(
        "long.jsonl",
        line(&format!(",\"x\":\"{}\"", "x".repeat(1 << 21))),
    );
    bounded(&desk, "train --manifest long.jsonl --run mine")
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
    let seen = bounded(&desk, "train --manifest wide.csv --run mine").fails_with(&[
        "wide.csv",
        "c0, c1",
        "and 8980 more",
    ]);
    assert!(seen.error.len() < 1000, "{}", seen.error.len());
}

#[test]
fn a_long_recording_among_short_ones_is_split_for_training() {
    let desk = Desk::with_corpus();
    // Each is as long as all other clips together, and one of them is in the test subset.
    for (voice, speaker) in [(1, "v01"), (2, "v02"), (3, "v03"), (4, "v04"), (5, "v05")] {
        let turns =
            (0..30).flat_map(|turn| emovox::corpus::demo::synthesise(voice, 1 + turn % 3, 0, 1));
        desk.wav(
            &format!("corpus/anger/{speaker}/long.wav"),
            16_000,
            1,
            &turns.collect::<Vec<_>>(),
        );
    }
    let seen = desk.types(TRAIN).fine();
    assert!(
        seen.out
            .contains("5 recordings longer than 20 s are divided into pieces")
            && seen.out.contains("anger/v01/long.wav: "),
        "{}",
        seen.out
    );
    // A long recording is scored as a whole, after the training and by `evaluate`.
    let predictions = fs::read_to_string(desk.path("runs/mine/predictions.csv")).unwrap();
    assert_eq!(predictions.matches("long.wav").count(), 1, "{predictions}");
    let report = fs::read_to_string(desk.path("runs/mine/report.json")).unwrap();
    let again = desk.types("evaluate mine --json --device cpu").fine().out;
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
    let file = desk.path("corpus").join(&row[0]);
    let seen = desk
        .types(&format!(
            "predict mine {} --csv --device cpu",
            file.display()
        ))
        .fine();
    let mut predicted = csv::Reader::from_reader(seen.out.as_bytes());
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
    let desk = Desk::with_corpus();
    let small = fs::read_to_string(desk.path("small.toml")).unwrap();
    let weights = |run: &str, seconds: &str| {
        let settings = format!("{small}\npiece_seconds = {seconds}\n");
        fs::write(desk.path("small.toml"), settings).unwrap();
        let seen = desk
            .types(&TRAIN.replace("mine", &format!("{run} --epochs 1")))
            .fine();
        assert!(!seen.out.contains("longer than"), "{}", seen.out);
        fs::read(desk.path(&format!("runs/{run}/best.ot"))).unwrap()
    };
    let whole = weights("whole", "0");
    assert!(whole == weights("pieces", "10.5"));
}

#[test]
fn a_run_without_the_piece_length_setting_uses_no_pieces() {
    let desk = Desk::with_corpus();
    desk.types(TRAIN).fine();
    let config = desk.path("runs/mine/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("piece_seconds = 20.0\n"), "{text}");
    fs::write(&config, text.replace("piece_seconds = 20.0\n", "")).unwrap();
    let talk = desk::talk(45.0);
    desk.wav("talk.wav", 16_000, 1, &talk);
    let run = RunFolder::open(&desk.path("runs"), "mine").unwrap();
    let predictor = Predictor::open(&run, DeviceChoice::Cpu.resolve().unwrap()).unwrap();
    assert_eq!(predictor.config().training.piece_seconds, 0.0);
    assert_eq!(predictor.config().piece_frames(), None);
    desk.types("train --resume mine --epochs 4 --device cpu")
        .fine();
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("piece_seconds = 0.0\n"), "{text}");
    for wrong in ["-1", "0.5", "1e9"] {
        let settings = format!("[training]\npiece_seconds = {wrong}\n");
        fs::write(desk.path("wrong.toml"), settings).unwrap();
        desk.types("train --data corpus --config wrong.toml --run wrong")
            .fails_with(&["piece_seconds must be 0"]);
    }
}
