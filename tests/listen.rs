//! `emovox listen`: one line of output for each second of a stream.

mod desk;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use desk::{Desk, Seen, TRAIN, noise, talk};
use emovox::audio::stream::VoiceActivityConfig;
use emovox::device::DeviceChoice;
use emovox::inference::{Predictor, StreamPrediction, StreamingPredictor, Windowing};
use emovox::run::RunFolder;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;

const JSON: &str = "listen mine --json --device cpu";

#[test]
fn a_stream_is_heard_second_by_second() {
    let desk = Desk::with_corpus();
    desk.types(TRAIN).fine();
    let run = RunFolder::open(&desk.path("runs"), "mine").unwrap();
    let predictor = Predictor::open(&run, DeviceChoice::Cpu.resolve().unwrap()).unwrap();
    let talk = talk(25.0);

    an_answer_is_what_predict_says_of_the_same_samples(&desk, &predictor, &talk);
    any_pieces_give_the_same_answers(&predictor, &talk);
    whole_programs_listen(&desk, &predictor, &talk);
    what_is_wrong_with_a_stream_is_told(&desk, &talk);
    a_signal_and_a_closed_pipe_end_it(&desk, &talk);
}

fn heard(
    predictor: &Predictor,
    rate: u32,
    pieces: &mut dyn Iterator<Item = &[f32]>,
) -> Vec<StreamPrediction> {
    let (windowing, gate) = (Windowing::default(), VoiceActivityConfig::default());
    let mut ear = StreamingPredictor::new(predictor, rate, &windowing, &gate).unwrap();
    let mut all = Vec::new();
    for piece in pieces {
        ear.hear(piece, |heard| {
            all.push(heard);
            Ok(())
        })
        .unwrap();
    }
    ear.finish(|heard| {
        all.push(heard);
        Ok(())
    })
    .unwrap();
    all
}

fn an_answer_is_what_predict_says_of_the_same_samples(
    desk: &Desk,
    predictor: &Predictor,
    talk: &[f32],
) {
    // The samples are rounded to 16 bits, as in a file.
    desk.wav("talk.wav", 16_000, 1, talk);
    let talk = emovox::audio::read(&desk.path("talk.wav")).unwrap().samples;
    let all = heard(predictor, 16_000, &mut talk.chunks(1_000));
    let (spoken, silent): (Vec<_>, Vec<_>) = all.iter().partition(|heard| heard.speech.is_some());
    assert!(spoken.len() > 8 && silent.len() > 2, "{all:?}");
    for (second, heard) in all.iter().enumerate().take(all.len() - 1) {
        assert_eq!(heard.time, (second + 1) as f64);
    }
    for heard in spoken.iter().step_by(3) {
        let speech = heard.speech.as_ref().unwrap();
        assert!(
            speech.end <= heard.time && speech.end > heard.time - 1.0 && speech.start < speech.end
        );
        assert!(speech.end - speech.start <= 3.0 + 1e-9);
        let place = |seconds: f64| (seconds * 16_000.0).round() as usize;
        let window: Vec<f32> = talk[place(speech.start)..place(speech.end)]
            .iter()
            // Divided as when a file is read.
            .map(|sample| sample * 32_768.0 / 32_767.0 + sample.signum() * 1e-6)
            .collect();
        desk.wav("window.wav", 16_000, 1, &window);
        let alone = predictor.predict_one(&desk.path("window.wav")).unwrap();
        assert_eq!(alone.label, speech.label);
        for (a, b) in alone.probabilities.iter().zip(&speech.probabilities) {
            assert!((a - b).abs() < 1e-5, "{alone:?} {speech:?}");
        }
    }
}

fn any_pieces_give_the_same_answers(predictor: &Predictor, talk: &[f32]) {
    let short = &talk[..12 * 16_000];
    let mut runner = TestRunner::new(ProptestConfig::with_cases(3));
    for rate in [16_000, 44_100] {
        let whole = heard(predictor, rate, &mut std::iter::once(short));
        assert!(
            whole.iter().any(|heard| heard.speech.is_some()),
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
                prop_assert_eq!(&heard(predictor, rate, &mut pieces), &whole);
                Ok(())
            })
            .unwrap();
    }
}

/// Runs the program with `bytes` on its standard input, in pieces.
fn listens(desk: &Desk, line: &str, bytes: &[u8]) -> Seen {
    let mut child = start(desk, line);
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
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Seen::of(line, output)
}

fn start(desk: &Desk, line: &str) -> Child {
    desk.command(line)
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

fn whole_programs_listen(desk: &Desk, predictor: &Predictor, talk: &[f32]) {
    let file = read(&desk.path("talk.wav"));
    let lines = listens(desk, JSON, &file).fine().out;
    let expected = {
        let samples = emovox::audio::read(&desk.path("talk.wav")).unwrap().samples;
        heard(predictor, 16_000, &mut std::iter::once(&samples[..]))
    };
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
    assert_eq!(listens(desk, &raw, &s16le(talk)).fine().out, lines);
    let stereo: Vec<f32> = talk.iter().flat_map(|&x| [x, x]).collect();
    let seen = listens(desk, &format!("{raw} --channels 2"), &s16le(&stereo));
    assert_eq!(seen.fine().out, lines);
    let mut endless = file.clone();
    let at = file.windows(4).position(|name| name == b"data").unwrap();
    for length in [4, at + 4] {
        endless[length..length + 4].fill(0xFF);
    }
    assert_eq!(listens(desk, JSON, &endless).fine().out, lines);

    // The text output.
    let seen = listens(desk, "listen mine", &file).fine();
    assert_eq!(seen.out.lines().count(), expected.len());
    assert!(
        seen.out.contains('█') && seen.out.contains("silence"),
        "{}",
        seen.out
    );
    assert!(
        seen.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        seen.out
    );
    let told = ["input: 16000 Hz, mono", "0:2", "predictions"];
    assert!(
        told.iter().all(|words| seen.error.contains(words)),
        "{}",
        seen.error
    );
    let quiet = listens(desk, &raw, &s16le(&noise(3.0, -65.0))).fine().out;
    assert!(
        quiet.lines().count() == 3 && !quiet.contains("true"),
        "{quiet}"
    );
}

fn what_is_wrong_with_a_stream_is_told(desk: &Desk, talk: &[f32]) {
    let file = read(&desk.path("talk.wav"));
    listens(desk, JSON, b"").fails_with(&["standard input", "empty"]);
    listens(desk, JSON, &file[..30]).fails_with(&["ends inside the WAV header"]);
    listens(desk, JSON, &s16le(talk)).fails_with(&["not a WAV stream", "--raw s16le"]);
    listens(desk, JSON, b"fLaC\0\0\0\x22\x10\0\x10\0").fails_with(&["FLAC", "ffmpeg"]);
    let raw = format!("{JSON} --raw f32le --rate 16000");
    listens(desk, &raw, b"").fails_with(&["no audio: the stream ended"]);

    // The part before the damage is predicted.
    let cut = listens(desk, JSON, &file[..file.len() - 10_001])
        .fails_with(&["failed after 0:2", "10001 bytes too early"]);
    assert!(cut.out.lines().count() > 20);
    let mut floats: Vec<u8> = talk.iter().flat_map(|x| x.to_le_bytes()).collect();
    floats[4 * 160_000..4 * 160_000 + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let seen = listens(desk, &raw, &floats).fails_with(&["failed after", "sample 160000 is not"]);
    assert!(seen.out.lines().count() >= 9, "{}", seen.out);

    listens(desk, "listen mine --hop 5", &file).fails_with(&["hop of 5 s"]);
    let usage = desk.types("listen mine --raw s16le");
    assert!(
        usage.code == 2 && usage.error.contains("--rate"),
        "{}",
        usage.error
    );
}

fn a_signal_and_a_closed_pipe_end_it(desk: &Desk, talk: &[f32]) {
    let raw = format!("{JSON} --raw s16le --rate 16000");
    let sound = s16le(&talk[..10 * 16_000]);

    // Ctrl-C while the program waits for input, as with a silent microphone.
    let mut child = start(desk, &raw);
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin.write_all(&sound).unwrap();
    assert!(lines.next().unwrap().unwrap().starts_with('{'));
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(stdin);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.iter().all(|line| line.ends_with('}')), "{rest:?}");

    // The reader of the output ends: `emovox listen … | head -1`.
    let mut child = start(desk, &raw);
    let mut stdin = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(&sound).unwrap();
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    while stdin.write_all(&sound).is_ok() {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut error = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    assert!(!error.contains("error"), "{error}");
}
