//! `emovox listen`: one line of output for each second of a stream.

mod env;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use emovox::audio::stream::VoiceActivityConfig;
use emovox::inference::{Predictor, StreamPrediction, StreamingPredictor, Windowing};
use emovox::run::RunFolder;
use env::device::device;
use env::process::{DEADLINE, finish, send, wait_for_exit};
use env::{CommandOutput, Files, TRAIN, TestEnv, noise, talk};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;

const JSON: &str = "listen mine --json --device cpu";

/// A corpus, the run `mine`, and 25 seconds of speech at 16 kHz as `talk.wav`.
fn with_run() -> TestEnv {
    static RUNS: OnceLock<Files> = OnceLock::new();
    let env = TestEnv::with_runs(&RUNS, TRAIN);
    env.wav("talk.wav", 16_000, 1, &talk(25.0));
    env
}

fn predictor(env: &TestEnv) -> Predictor {
    let run = RunFolder::open(&env.path("runs"), "mine").unwrap();
    Predictor::open(&run, device()).unwrap()
}

/// The samples of `talk.wav`, which are rounded to 16 bits.
fn samples(env: &TestEnv) -> Vec<f32> {
    emovox::audio::read(&env.path("talk.wav")).unwrap().samples
}

/// The predictions for a stream that arrives in pieces.
fn listen(
    predictor: &Predictor,
    rate: u32,
    pieces: &mut dyn Iterator<Item = &[f32]>,
) -> Vec<StreamPrediction> {
    let (windowing, gate) = (Windowing::default(), VoiceActivityConfig::default());
    let mut stream = StreamingPredictor::new(predictor, rate, &windowing, &gate).unwrap();
    let mut all = Vec::new();
    for piece in pieces {
        stream
            .push(piece, |prediction| {
                all.push(prediction);
                Ok(())
            })
            .unwrap();
    }
    stream
        .finish(|prediction| {
            all.push(prediction);
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn listen_predicts_like_predict_on_the_same_samples() {
    let env = with_run();
    let predictor = predictor(&env);
    let talk = samples(&env);
    let all = listen(&predictor, 16_000, &mut talk.chunks(1_000));
    let (spoken, silent): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|prediction| prediction.speech.is_some());
    assert!(spoken.len() > 8 && silent.len() > 2, "{all:?}");
    for (second, prediction) in all.iter().enumerate().take(all.len() - 1) {
        assert_eq!(prediction.time, (second + 1) as f64);
    }
    for prediction in spoken.iter().step_by(3) {
        let (time, speech) = (prediction.time, prediction.speech.as_ref().unwrap());
        assert!(speech.end <= time && speech.end > time - 1.0 && speech.start < speech.end);
        assert!(speech.end - speech.start <= 3.0 + 1e-9);
        let place = |seconds: f64| (seconds * 16_000.0).round() as usize;
        let window: Vec<f32> = talk[place(speech.start)..place(speech.end)]
            .iter()
            // Divided as when a file is read.
            .map(|sample| sample * 32_768.0 / 32_767.0 + sample.signum() * 1e-6)
            .collect();
        env.wav("window.wav", 16_000, 1, &window);
        let alone = predictor.predict_one(&env.path("window.wav")).unwrap();
        assert_eq!(alone.label, speech.label);
        for (a, b) in alone.probabilities.iter().zip(&speech.probabilities) {
            assert!((a - b).abs() < 1e-5, "{alone:?} {speech:?}");
        }
    }
}

#[test]
fn predictions_do_not_depend_on_the_pieces_of_the_stream() {
    let env = with_run();
    let predictor = predictor(&env);
    let talk = samples(&env);
    let short = &talk[..12 * 16_000];
    let mut runner = TestRunner::new(ProptestConfig::with_cases(3));
    for rate in [16_000, 44_100] {
        let whole = listen(&predictor, rate, &mut std::iter::once(short));
        assert!(
            whole.iter().any(|prediction| prediction.speech.is_some()),
            "{whole:?}"
        );
        let sizes = prop::collection::vec(1usize..40_000, 1..8);
        runner
            .run(&sizes, |sizes| {
                let (mut rest, mut sizes) = (short, sizes.into_iter().cycle());
                let mut pieces = std::iter::from_fn(|| {
                    let size = sizes.next()?.min(rest.len());
                    let piece = rest.split_off(..size)?;
                    (size > 0).then_some(piece)
                });
                prop_assert_eq!(&listen(&predictor, rate, &mut pieces), &whole);
                Ok(())
            })
            .unwrap();
    }
}

/// Runs the program with `bytes` on its standard input, in pieces.
fn run_listen(env: &TestEnv, line: &str, bytes: &[u8]) -> CommandOutput {
    let mut child = start(env, line);
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || {
        for piece in bytes.chunks(3_001) {
            // The program may have ended.
            if stdin.write_all(piece).is_err() {
                break;
            }
        }
    });
    let output = finish(line, child);
    writer.join().unwrap();
    output
}

fn start(env: &TestEnv, line: &str) -> Child {
    env.command(line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn s16le(samples: &[f32]) -> Vec<u8> {
    let sample = |x: &f32| ((x * 32_767.0) as i16).to_le_bytes();
    samples.iter().flat_map(sample).collect()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn the_program_prints_the_predictions_of_every_kind_of_stream() {
    let env = &with_run();
    let (talk, samples) = (&talk(25.0), &samples(env));
    let file = read(&env.path("talk.wav"));
    let lines = run_listen(env, JSON, &file).success().out;
    let expected = listen(&predictor(env), 16_000, &mut std::iter::once(&samples[..]));
    assert_eq!(lines.lines().count(), expected.len());
    for (line, expected) in lines.lines().zip(&expected) {
        let object: Value = serde_json::from_str(line).unwrap();
        let near = |key: &str, value: f64| (object[key].as_f64().unwrap() - value).abs() < 1e-3;
        assert!(near("time", expected.time), "{line}");
        assert_eq!(object["speech"], expected.speech.is_some());
        if let Some(speech) = &expected.speech {
            assert!(
                near("start", speech.start) && near("end", speech.end),
                "{line}"
            );
            assert!(near("probability", speech.probability.into()), "{line}");
            assert_eq!(object["label"].as_str(), Some(&speech.label[..]));
            assert_eq!(object["probabilities"].as_object().unwrap().len(), 3);
        }
    }

    // The same sound without a header, in stereo, and with a header from a pipe, without lengths.
    let raw = format!("{JSON} --raw s16le --rate 16000");
    assert_eq!(run_listen(env, &raw, &s16le(talk)).success().out, lines);
    let stereo: Vec<f32> = talk.iter().flat_map(|&x| [x, x]).collect();
    let result = run_listen(env, &format!("{raw} --channels 2"), &s16le(&stereo));
    assert_eq!(result.success().out, lines);
    // A model that reads the left channel, in a stream with another sound on the right.
    let config = env.path("runs/mine/config.toml");
    let mixed = fs::read_to_string(&config).unwrap();
    let left = mixed.replacen("[audio]\n", "[audio]\nchannel = \"left\"\n", 1);
    fs::write(&config, left).unwrap();
    let of_two: Vec<f32> = talk.iter().flat_map(|&x| [x, -x]).collect();
    let result = run_listen(env, &format!("{raw} --channels 2"), &s16le(&of_two));
    assert_eq!(result.success().out, lines);
    fs::write(&config, mixed).unwrap();
    let mut endless = file.clone();
    let at = file.windows(4).position(|name| name == b"data").unwrap();
    for length in [4, at + 4] {
        endless[length..length + 4].fill(0xFF);
    }
    assert_eq!(run_listen(env, JSON, &endless).success().out, lines);

    // The text output.
    let result = run_listen(env, "listen mine", &file).success();
    assert_eq!(result.out.lines().count(), expected.len());
    assert!(
        result.out.contains('█') && result.out.contains("silence"),
        "{}",
        result.out
    );
    assert!(
        result.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        result.out
    );
    let expected = ["input: 16000 Hz, mono", "0:2", "predictions"];
    assert!(
        expected.iter().all(|words| result.error.contains(words)),
        "{}",
        result.error
    );
    let quiet = run_listen(env, &raw, &s16le(&noise(3.0, -65.0)))
        .success()
        .out;
    assert!(
        quiet.lines().count() == 3 && !quiet.contains("true"),
        "{quiet}"
    );
}

#[test]
fn a_broken_stream_is_an_error_after_its_predictions() {
    let env = &with_run();
    let talk = &talk(25.0);
    let file = read(&env.path("talk.wav"));
    run_listen(env, JSON, b"").fails_with(&["standard input", "empty"]);
    run_listen(env, JSON, &file[..30]).fails_with(&["ends inside the WAV header"]);
    run_listen(env, JSON, &s16le(talk)).fails_with(&["not a WAV stream", "--raw s16le"]);
    run_listen(env, JSON, b"fLaC\0\0\0\x22\x10\0\x10\0").fails_with(&["FLAC", "ffmpeg"]);
    let raw = format!("{JSON} --raw f32le --rate 16000");
    run_listen(env, &raw, b"").fails_with(&["no audio: the stream ended"]);

    // The part before the damage is predicted.
    let cut = run_listen(env, JSON, &file[..file.len() - 10_001])
        .fails_with(&["failed after 0:2", "10001 bytes too early"]);
    assert!(cut.out.lines().count() > 20);
    let mut floats: Vec<u8> = talk.iter().flat_map(|x| x.to_le_bytes()).collect();
    floats[4 * 160_000..4 * 160_000 + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let output =
        run_listen(env, &raw, &floats).fails_with(&["failed after", "sample 160000 is not"]);
    assert!(output.out.lines().count() >= 9, "{}", output.out);

    run_listen(env, "listen mine --hop 5", &file).fails_with(&["hop of 5 s"]);
    let usage = env.run("listen mine --raw s16le");
    assert!(
        usage.code == 2 && usage.error.contains("--rate"),
        "{}",
        usage.error
    );
}

/// Ctrl-C while the program waits for input, as with a silent microphone.
#[test]
fn a_signal_ends_listen_while_it_waits_for_input() {
    let env = &with_run();
    let raw = format!("{JSON} --raw s16le --rate 16000");
    let sound = s16le(&samples(env)[..10 * 16_000]);
    let mut child = start(env, &raw);
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin.write_all(&sound).unwrap();
    assert!(lines.next().unwrap().unwrap().starts_with('{'));
    send(child.id(), libc::SIGINT);
    assert_eq!(wait_for_exit(&mut child).code(), Some(130));
    drop(stdin);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.iter().all(|line| line.ends_with('}')), "{rest:?}");
}

/// The reader of the output ends: `emovox listen … | head -1`.
#[test]
fn a_closed_pipe_ends_listen_without_an_error() {
    let env = &with_run();
    let raw = format!("{JSON} --raw s16le --rate 16000");
    let sound = s16le(&samples(env)[..10 * 16_000]);
    let mut child = start(env, &raw);
    let mut stdin = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(&sound).unwrap();
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    let deadline = Instant::now() + DEADLINE;
    while stdin.write_all(&sound).is_ok() {
        assert!(Instant::now() < deadline, "timeout: the program reads on");
    }
    let error = finish(&raw, child).success().error;
    assert!(!error.contains("error"), "{error}");
}
