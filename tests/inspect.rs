//! Commands that show data: pictures of recordings and corpora, the page of a run, events for TensorBoard,
//! completions and the manual.

mod env;

use std::collections::BTreeMap;
use std::fs;

use env::{TRAIN, TestEnv};
use prost::Message;

#[test]
fn a_recording_is_drawn() {
    let env = TestEnv::with_corpus();
    let clip = "corpus/anger/v01/1.wav";
    let output = env.run(&format!("inspect {clip}")).success();
    assert!(
        output.out.contains("16000 Hz, 16 bits, mono"),
        "{}",
        output.out
    );
    // Without a run, the built-in model predicts.
    assert!(output.out.contains(" %; "), "{}", output.out);
    assert!(output.error.contains("acted-6"), "{}", output.error);
    assert_eq!(width(&env, "1.png"), 1400);

    // Two recordings of the same name give two pictures; an unreadable one does not affect the others.
    env.run(&format!(
        "inspect {clip} corpus/anger/v02/1.wav nothing.wav --out pictures"
    ))
    .fails_with(&["nothing.wav", "no such file"]);
    for file in ["pictures/1.png", "pictures/1-2.png"] {
        assert_eq!(width(&env, file), 1400);
    }
    let tone = |n: usize| {
        if (8000..16_000).contains(&n) {
            0.3 * (n as f32 * 0.2).sin()
        } else {
            0.0
        }
    };
    let samples: Vec<f32> = (0..24_000).map(tone).collect();
    env.wav("tone.wav", 16_000, 2, &samples);
    let line = "inspect tone.wav --sample-rate 8000 --trim-db 30 --out eight.png";
    let output = env.run(line).success();
    assert!(output.out.contains("resampled to 8000 Hz") && output.out.contains("silence trimmed"));
    assert!(!output.out.contains(" %; ") && output.error.is_empty());
    env.run(&format!("inspect {clip} corpus"))
        .fails_with(&["corpus is a folder"]);
    // Flags without an effect.
    for flag in ["--sample-rate 8000", "--trim-db 30", "--window 2"] {
        env.run(&format!("inspect corpus {flag}"))
            .fails_with(&[flag.split(' ').next().unwrap(), "is for recordings"]);
    }
    env.run(&format!("inspect {clip} --corpus folders"))
        .fails_with(&["--corpus", "is for a corpus"]);
}

#[test]
fn a_corpus_is_described() {
    let env = TestEnv::with_corpus();
    // A duplicate, a clipped and a silent recording, and a class with longer recordings.
    fs::copy(
        env.path("corpus/anger/v01/1.wav"),
        env.path("corpus/anger/v01/3.wav"),
    )
    .unwrap();
    env.wav("corpus/anger/v02/loud.wav", 16_000, 1, &[1.0; 8000]);
    env.wav("corpus/anger/v03/quiet.wav", 8_000, 2, &[0.0; 8000]);
    for voice in 1..=5 {
        for take in 0..4 {
            let length = 80_000 + 100 * take;
            let samples: Vec<f32> = (0..length).map(|n| 0.3 * (n as f32 * 0.05).sin()).collect();
            env.wav(
                &format!("corpus/boredom/v{voice:02}/{take}.wav"),
                16_000,
                1,
                &samples,
            );
        }
    }
    let output = env.run("inspect corpus").success();
    for words in [
        "53 clips, 4 classes, 5 speakers",
        "8000 Hz, 16 bits, stereo",
        "1 recording is silent",
    ] {
        assert!(output.out.contains(words), "lacks {words}: {}", output.out);
    }
    assert!(
        output
            .out
            .contains("warning: the duration alone predicts the class"),
        "{}",
        output.out
    );
    assert!(!output.out.contains("the speaker alone"), "{}", output.out);
    let tables = output.out.split("warning:").next().unwrap();
    for line in tables.lines().skip(1) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert_eq!(width(&env, "corpus.png"), 1400);
    let mut csv = csv::Reader::from_path(env.path("corpus.csv")).unwrap();
    let header = csv.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    let cell = |clip: &str, column: &str| {
        let column = header.iter().position(|name| name == column).unwrap();
        rows.iter().find(|row| &row[0] == clip).unwrap()[column].to_string()
    };
    assert_eq!(rows.len(), 53);
    assert_eq!(cell("anger/v01/3.wav", "same_as"), "anger/v01/1.wav");
    assert_eq!(cell("anger/v02/loud.wav", "clipped_samples"), "8000");
    assert_eq!(cell("anger/v03/quiet.wav", "silent"), "true");
    assert_eq!(cell("anger/v01/1.wav", "silent"), "false");
}

#[test]
fn clipping_is_found_in_one_channel_and_in_8_bits() {
    let env = TestEnv::with_corpus();
    for (name, bits, loudest) in [("16", 16, 32_767), ("8", 8, 127)] {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 16_000,
            bits_per_sample: bits,
            sample_format: hound::SampleFormat::Int,
        };
        let file = env.path(&format!("corpus/anger/v01/bits-{name}.wav"));
        let mut writer = hound::WavWriter::create(file, spec).unwrap();
        for n in 0..8000 {
            let left = if n < 100 { loudest } else { loudest / 3 };
            writer.write_sample::<i32>(left).unwrap();
            writer.write_sample::<i32>(n % 7).unwrap();
        }
        writer.finalize().unwrap();
    }
    env.run("inspect corpus").success();
    let mut table = csv::Reader::from_path(env.path("corpus.csv")).unwrap();
    let rows = table.deserialize::<BTreeMap<String, String>>();
    for row in rows.map(Result::unwrap) {
        let expected = if row["clip"].contains("bits") {
            "100"
        } else {
            "0"
        };
        assert_eq!(row["clipped_samples"], expected, "{row:?}");
    }
}

#[test]
fn a_run_has_a_page_with_sound_and_tensorboard_events() {
    let env = TestEnv::with_corpus();
    let hostile = "corpus/anger/v01/\"><script>alert('a')&.wav";
    fs::copy(
        env.path("corpus/anger/v01/1.wav"),
        env.path("corpus/anger/v01/9.wav"),
    )
    .unwrap();
    fs::rename(env.path("corpus/anger/v01/9.wav"), env.path(hostile)).unwrap();
    env.run(&format!("{TRAIN} --tensorboard --test-speakers v01"))
        .success();
    let file = env.path("runs/mine/events.out.tfevents.emovox");
    let before = scalars(&fs::read(&file).unwrap());
    let epochs = |events: &[Scalars]| events.iter().map(|e| e.epoch).collect::<Vec<_>>();
    assert_eq!(epochs(&before), [1, 2, 3]);
    env.run("train --resume mine --epochs 4").success();
    let after = scalars(&fs::read(&file).unwrap());
    assert_eq!(epochs(&after), [1, 2, 3, 4]);
    assert_eq!(after[..3], before);
    for (event, row) in after.iter().zip(env.table("mine/metrics.csv")) {
        for (tag, column) in [
            ("loss/train", "train_loss"),
            ("uar/validation", "validation_uar"),
        ] {
            let expected: f32 = row[column].parse().unwrap();
            assert!(
                (event.values[tag] - expected).abs() < 1e-6,
                "{tag}: {event:?}"
            );
        }
    }

    let output = env.run("report mine").success();
    assert!(
        output.out.contains("wrote runs/mine/report.html"),
        "{}",
        output.out
    );
    let page = fs::read_to_string(env.path("runs/mine/report.html")).unwrap();
    assert!(!page.contains("<script>alert") && page.contains("\\u003cscript\\u003ealert('a')"));
    assert!(page.contains("../../corpus/anger/v01/%22%3E%3Cscript%3Ealert%28%27a%27%29%26.wav"));
    for source in ["src=\"http", "href=", "url(", "//cdn", "@import"] {
        assert!(!page.contains(source), "{source}");
    }

    env.run("report mine --embed --out all.html").success();
    let page = fs::read_to_string(env.path("all.html")).unwrap();
    assert_eq!(
        page.matches("data:audio/wav;base64,").count(),
        7,
        "a player for each test clip"
    );
    fs::rename(env.path("corpus"), env.path("elsewhere")).unwrap();
    let output = env.run("report mine --out gone.html").success();
    assert!(output.error.contains("--data gives"), "{}", output.error);
    env.run("report mine --data elsewhere").success();
    let page = fs::read_to_string(env.path("runs/mine/report.html")).unwrap();
    assert!(page.contains("../../elsewhere/anger/v01/1.wav"));
    env.run("report mine --data nowhere")
        .fails_with(&["there is no folder nowhere"]);

    env.run("report mine mine --out two.html").success();
    let page = fs::read_to_string(env.path("two.html")).unwrap();
    assert!(page.contains("Recall of each class") && !page.contains("<section id=\"clips\">"));

    let output = env
        .run("inspect elsewhere/anger/v01/1.wav --run mine --out predicted.png")
        .success();
    assert!(output.out.contains(" %; "), "{}", output.out);
    assert_eq!(width(&env, "predicted.png"), 1400);
}

#[test]
fn completions_and_manual_list_all_commands() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = env.run(&format!("completions {shell}")).success();
        for command in ["cross-validate", "inspect", "--tensorboard"] {
            let command = if shell == "fish" {
                command.trim_start_matches("--")
            } else {
                command
            };
            assert!(output.out.contains(command), "{shell} lacks {command}");
        }
    }
    assert!(env.run("man").success().out.contains(".TH emovox 1"));
    env.run("man --out man").success();
    let page = fs::read_to_string(env.path("man/emovox-inspect.1")).unwrap();
    assert!(page.contains(".TH emovox-inspect 1") && page.contains("\\-\\-window"));
}

#[test]
fn output_into_a_pipe_has_no_colours() {
    let env = TestEnv::new();
    for line in ["--help", "inspect --help", "report nothing", "doctor"] {
        let output = env.run(line);
        assert!(
            !output.out.contains('\x1b') && !output.error.contains('\x1b'),
            "{line}"
        );
    }
}

fn width(env: &TestEnv, file: &str) -> u32 {
    image::open(env.path(file)).unwrap().width()
}

/// The scalars of an epoch in a file of events.
#[derive(Debug, PartialEq)]
struct Scalars {
    epoch: i64,
    values: BTreeMap<String, f32>,
}

/// The fields of TensorFlow's `Event` that the test reads (tensorboard/compat/proto/event.proto).
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// All events with scalars in a file of records: length, checksum, event, checksum.
fn scalars(mut file: &[u8]) -> Vec<Scalars> {
    let mut found = Vec::new();
    while !file.is_empty() {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let event = Event::decode(&file[12..12 + length]).unwrap();
        file = &file[12 + length + 4..];
        let values = event.summary.unwrap_or_default().value.into_iter();
        let values: BTreeMap<String, f32> = values
            .filter_map(|value| Some((value.tag, value.simple_value?)))
            .collect();
        if !values.is_empty() {
            found.push(Scalars {
                epoch: event.step,
                values,
            });
        }
    }
    found
}
