//! `emovox predict` on long recordings: windows, segments, and the formats for other programs.

mod env;

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use env::process::run_command;
use env::{Files, TRAIN, TestEnv};
use serde_json::Value;

/// A segment read from the output: start, end, label, probability.
type Read = (f64, f64, String, f64);

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

#[track_caller]
fn assert_tiles(segments: &[Read], seconds: f64) {
    assert_eq!(segments[0].0, 0.0);
    assert!(
        close(segments[segments.len() - 1].1, seconds, 1e-3),
        "{segments:?}"
    );
    for pair in segments.windows(2) {
        assert_eq!(pair[0].1, pair[1].0);
        assert_ne!(pair[0].2, pair[1].2);
    }
}

#[track_caller]
fn assert_same(a: &[Read], b: &[Read], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        let same = close(a.0, b.0, 1e-3) && close(a.1, b.1, 1e-3) && a.2 == b.2;
        assert!(same && close(a.3, b.3, tolerance), "{a:?} {b:?}");
    }
}

fn of_object(object: &Value) -> Read {
    let number = |key: &str| object[key].as_f64().unwrap();
    let (start, end) = (number("start"), number("end"));
    let Some(label) = object["label"].as_str() else {
        assert_eq!(object["speech"], false);
        return (start, end, NO_SPEECH.into(), 0.0);
    };
    let probability = number("probability");
    assert_eq!(
        object["probabilities"][label].as_f64().unwrap(),
        probability
    );
    (start, end, label.into(), probability)
}

/// The output in place of a label; its probability is 0 here.
const NO_SPEECH: &str = "no speech";

/// Parses a caption such as `anger 72 %`.
fn of_caption(caption: &str) -> (String, f64) {
    if caption == NO_SPEECH {
        return (NO_SPEECH.into(), 0.0);
    }
    let mut words = caption.split(' ');
    let label = words.next().unwrap().to_string();
    let percent: f64 = words.next().unwrap().parse().unwrap();
    assert_eq!(words.next(), Some("%"));
    (label, percent / 100.0)
}

fn of_timestamp(text: &str) -> f64 {
    let (hours, rest) = text.split_once(':').unwrap();
    let (minutes, seconds) = rest.split_once(':').unwrap();
    let [hours, minutes, seconds] = [hours, minutes, seconds].map(|n| n.parse::<f64>().unwrap());
    3600.0 * hours + 60.0 * minutes + seconds
}

/// A corpus, the run `mine`, and at least 40 seconds of speech as `talk.wav`.
fn with_run() -> TestEnv {
    static RUNS: OnceLock<Files> = OnceLock::new();
    // Enough epochs to distinguish some classes.
    let env = TestEnv::with_runs(&RUNS, &format!("{TRAIN} --epochs 20"));
    env.wav("talk.wav", 16_000, 1, &env::talk(40.0));
    env
}

#[test]
fn a_long_recording_becomes_segments_in_every_format() {
    let env = with_run();
    let seconds = env::talk(40.0).len() as f64 / 16_000.0;
    let windows = "predict mine talk.wav --window 2 --hop 0.5";
    let json = env.run(&format!("{windows} --format json")).success().out;
    let array: Value = serde_json::from_str(&json).unwrap();
    let segments: Vec<Read> = array.as_array().unwrap().iter().map(of_object).collect();
    assert_tiles(&segments, seconds);
    assert!(segments.len() > 1, "{segments:?}");
    assert_eq!(env.run(&format!("{windows} --json")).success().out, json);

    let lines = env.run(&format!("{windows} --format jsonl")).success().out;
    let read: Vec<Read> = lines
        .lines()
        .map(|line| of_object(&serde_json::from_str(line).unwrap()))
        .collect();
    assert_same(&read, &segments, 0.0);

    let text = env.run(&format!("{windows} --format csv")).success().out;
    assert!(text.starts_with("file,start,end,label,anger,neutral,sadness\n"));
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let header = table.headers().unwrap().clone();
    let read: Vec<Read> = table
        .records()
        .map(|record| {
            let record = record.unwrap();
            let class = header.iter().position(|name| *name == record[3]);
            let number = |column: usize| record[column].parse().unwrap();
            let probability = class.map_or(0.0, number);
            (number(1), number(2), record[3].to_string(), probability)
        })
        .collect();
    assert_same(&read, &segments, 1e-6);

    let track = env
        .run(&format!("{windows} --format audacity"))
        .success()
        .out;
    let read: Vec<Read> = track
        .lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let mut number = || fields.next().unwrap().parse().unwrap();
            let (start, end) = (number(), number());
            let (label, probability) = of_caption(fields.next().unwrap());
            (start, end, label, probability)
        })
        .collect();
    assert_same(&read, &segments, 0.006);

    let subtitles = env.run(&format!("{windows} --format webvtt")).success().out;
    let mut cues = subtitles.trim_end().split("\n\n");
    assert_eq!(cues.next(), Some("WEBVTT"));
    let read: Vec<Read> = cues
        .map(|cue| {
            let (times, caption) = cue.split_once('\n').unwrap();
            let (start, end) = times.split_once(" --> ").unwrap();
            let (label, probability) = of_caption(caption);
            (of_timestamp(start), of_timestamp(end), label, probability)
        })
        .collect();
    assert_same(&read, &segments, 0.006);

    let table = env.run(windows).success().out;
    assert_eq!(table.lines().count(), 2 + segments.len(), "{table}");
    assert!(
        table.contains('█') && table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
}

#[test]
fn smoothing_over_the_whole_recording_leaves_one_label() {
    let env = with_run();
    let windows = "predict mine talk.wav --window 2 --hop 0.5";
    let one = env
        .run(&format!("{windows} --smooth 200 --format jsonl"))
        .success()
        .out;
    let labels: BTreeSet<String> = one
        .lines()
        .map(|line| of_object(&serde_json::from_str(line).unwrap()).2)
        .filter(|label| label != NO_SPEECH)
        .collect();
    assert_eq!(labels.len(), 1, "{one}");
}

#[test]
fn out_writes_the_same_text_and_a_failed_command_does_not_change_the_file() {
    let env = with_run();
    let windows = "predict mine talk.wav --window 2 --hop 0.5";
    let subtitles = env.run(&format!("{windows} --format webvtt")).success().out;
    env.run(&format!("{windows} --format webvtt --out talk.vtt"))
        .success();
    let written = || fs::read_to_string(env.path("talk.vtt")).unwrap();
    assert_eq!(written(), subtitles);
    env.run("predict mine missing.wav --window 2 --format webvtt --out talk.vtt")
        .fails_with(&["missing.wav", "no such file"]);
    assert_eq!(written(), subtitles);
}

#[test]
fn one_window_over_the_whole_recording_gives_the_same_prediction() {
    let env = with_run();
    let clip = "corpus/anger/v01/1.wav";
    let probabilities = |flags: &str| -> Vec<f64> {
        let line = env
            .run(&format!("predict mine {clip} --format jsonl {flags}"))
            .success();
        let object: Value = serde_json::from_str(&line.out).unwrap();
        let by_class = object["probabilities"].as_object().unwrap();
        by_class.values().map(|p| p.as_f64().unwrap()).collect()
    };
    let (whole, window) = (probabilities(""), probabilities("--window 30 --hop 30"));
    assert_eq!(whole.len(), 3);
    for (a, b) in whole.iter().zip(&window) {
        assert!(close(*a, *b, 1e-5), "{whole:?} {window:?}");
    }
    // Without windows, a track has one label.
    let track = env
        .run(&format!("predict mine {clip} --format audacity"))
        .success()
        .out;
    assert!(
        track.starts_with("0.000000\t") && track.lines().count() == 1,
        "{track}"
    );
    let bars = env.run(&format!("predict mine {clip}")).success().out;
    assert_eq!(bars.lines().count(), 1 + 3, "{bars}");
}

#[test]
fn invalid_windows_are_rejected() {
    let env = with_run();
    env.run("predict mine talk.wav --window 2 --hop 3")
        .fails_with(&["hop of 3 s", "the window, 2 s"]);
    env.run("predict mine talk.wav --window 2 --smooth 1")
        .fails_with(&["smoothing over 1 s", "two hops"]);
    env.run("predict mine talk.wav --window 1000")
        .fails_with(&["window of 1000 s", "60 s"]);
    env.run("predict mine corpus --window 2 --format audacity")
        .fails_with(&["are for one recording", "there are 30"]);

    // With windows too, one unreadable recording does not affect the others.
    fs::write(env.path("broken.wav"), b"FORM\0\0\0\x10AIFFCOMM").unwrap();
    let output = env
        .run("predict mine broken.wav talk.wav --window 3 --format jsonl")
        .fails_with(&["broken.wav", "the file ends inside its header"]);
    assert!(output.out.lines().count() > 0 && output.out.contains("talk.wav"));
}

/// Writes a WAV file of 16 kHz; `samples` has all channels of a frame, then the next frame.
fn write_wav(env: &TestEnv, name: &str, channels: u16, samples: &[f32]) {
    let spec = hound::WavSpec {
        channels,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(env.path(name), spec).unwrap();
    for sample in samples {
        writer.write_sample((sample * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

/// Runs a command with these bytes on standard input.
fn run_with_input(env: &TestEnv, line: &str, input: &[u8]) -> env::CommandOutput {
    let file = env.path("standard-input");
    fs::write(&file, input).unwrap();
    let mut command = env.command(line);
    run_command(command.stdin(fs::File::open(file).unwrap()))
}

#[test]
fn silence_has_no_confident_label() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    write_wav(&env, "silence.wav", 1, &[0.0; 16_000]);
    write_wav(&env, "constant.wav", 1, &[0.25; 16_000]);
    write_wav(&env, "talk.wav", 1, &env::talk(3.0));

    let json = env.run("predict mine silence.wav constant.wav talk.wav --json");
    let answers: Value = serde_json::from_str(&json.success().out).unwrap();
    for (answer, has_speech) in answers.as_array().unwrap().iter().zip([false, false, true]) {
        assert_eq!(answer["speech"], has_speech, "{answer}");
        assert_eq!(answer["label"].is_null(), !has_speech, "{answer}");
        let probabilities = answer["probabilities"].as_object().unwrap();
        let sum: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
        assert!(close(sum, 1.0, 1e-3), "{answer}");
    }
    let table = env.run("predict mine silence.wav").success().out;
    assert!(table.starts_with("silence.wav: no speech\n"), "{table}");
    let csv = env.run("predict mine silence.wav --csv").success().out;
    assert!(csv.contains("silence.wav,no speech,0."), "{csv}");
    let windows = "predict mine silence.wav --window 0.5 --format webvtt";
    let track = env.run(windows).success().out;
    assert!(track.ends_with("\nno speech\n"), "{track}");
}

#[test]
fn a_channel_can_be_selected_and_each_can_be_predicted() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    let talk = env::talk(3.0);
    let with = |right: fn(f32) -> f32| -> Vec<f32> {
        talk.iter().flat_map(|&left| [left, right(left)]).collect()
    };
    write_wav(&env, "talk.wav", 1, &talk);
    write_wav(&env, "call.wav", 2, &with(|_| 0.0));
    write_wav(&env, "opposite.wav", 2, &with(|left| -left));
    let probabilities = |line: &str| -> Value {
        let answers: Value = serde_json::from_str(&env.run(line).success().out).unwrap();
        answers
    };
    let alone = probabilities("predict mine talk.wav --json");
    let left = probabilities("predict mine call.wav --channel left --json");
    assert_eq!(left[0]["probabilities"], alone[0]["probabilities"]);
    let each = probabilities("predict mine call.wav --channel each --json");
    assert_eq!(each[0]["channel"], "left");
    assert_eq!(each[0]["probabilities"], alone[0]["probabilities"]);
    assert_eq!(
        (&each[1]["channel"], &each[1]["speech"]),
        (&"right".into(), &false.into())
    );
    let csv = env
        .run("predict mine call.wav --channel each --csv")
        .success()
        .out;
    assert!(csv.starts_with("file,channel,label,"), "{csv}");
    assert!(csv.contains("\ncall.wav,right,no speech,"), "{csv}");

    let mixed = env.run("predict mine opposite.wav");
    let mixed = mixed.success();
    assert!(
        mixed.out.starts_with("opposite.wav: no speech"),
        "{}",
        mixed.out
    );
    for word in ["opposite.wav", "opposite phases", "--channel left"] {
        assert!(mixed.error.contains(word), "{}", mixed.error);
    }
    assert!(
        !env.run("predict mine opposite.wav --channel right")
            .success()
            .error
            .contains("phases")
    );
    env.run("predict mine talk.wav --channel right")
        .fails_with(&["no channel right: the recording has 1 channel;"]);
    let wrong = env.run("predict mine talk.wav --channel 0");
    assert!(
        wrong.error.contains("neither mix, left, right, each nor"),
        "{}",
        wrong.error
    );
}

#[test]
fn a_recording_is_read_from_standard_input() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    let flac = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let flac = flac.join("tests/data/audio/flac-16000-2.flac");
    fs::copy(flac, env.path("clip.flac")).unwrap();
    let named = env.run("predict mine clip.flac --csv").success().out;
    let piped = run_with_input(
        &env,
        "predict mine - --csv",
        &fs::read(env.path("clip.flac")).unwrap(),
    );
    assert_eq!(piped.success().out.replace("\n-,", "\nclip.flac,"), named);
    run_with_input(&env, "predict mine -", b"<html>")
        .fails_with(&["-: not a WAV file or any other known audio format"]);
    run_with_input(&env, "predict mine - -", b"").fails_with(&["give - once"]);
}
