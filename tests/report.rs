//! Pictures compared with golden pictures, and pictures of unusual inputs.
//!
//! After an intended change, update the golden pictures and look at each of them:
//!
//! ```text
//! EMOVOX_BLESS=1 cargo test --test report
//! ```

use std::fs;
use std::path::Path;

use emovox::audio::AudioConfig;
use emovox::corpus::CorpusKind;
use emovox::disturbance::Disturbance;
use emovox::evaluation::{
    Calibration, EpochMetrics, Interval, MeanStd, Metrics, Predictions, Robustness, from_labels,
};
use emovox::features::FeatureConfig;
use emovox::inspection::{ClipFacts, CorpusStats, Recording, ShortcutProbe};
use emovox::report::{
    Curves, MatrixCell, RecordingPredictions, StressReport, WindowPrediction, confusion_png,
    corpus_stats_png, corpus_stats_text, curves_png, matrix_png, recall_png, recording_png,
    reliability_png, stress_png,
};
use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

const EIGHT: [&str; 8] = [
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
];

/// The matrix has every kind of cell: a missing score, a score without interval, a score at chance.
/// It also has a note.
#[test]
fn a_matrix_of_corpora() {
    let names = ["ravdess", "emodb", "a corpus with a name that is too long"].map(String::from);
    let cell = |mean: Option<f64>, interval: Option<(f64, f64)>| MatrixCell {
        uar: mean.map(|mean| MeanStd {
            mean,
            std: interval.map(|_| 0.012),
        }),
        interval: interval.map(|(low, high)| Interval { low, high }),
        chance: None,
    };
    let cells = [
        [
            (Some(0.649), Some((0.611, 0.687))),
            (Some(0.41), Some((0.33, 0.5))),
            (None, None),
        ],
        [
            (Some(0.25), Some((0.21, 0.28))),
            (Some(0.818), Some((0.761, 0.868))),
            (Some(0.3), None),
        ],
        [
            (Some(0.2), Some((0.18, 0.24))),
            (Some(0.37), None),
            (Some(0.97), None),
        ],
    ];
    let cells: Vec<Vec<MatrixCell>> = cells
        .iter()
        .map(|row| {
            row.iter()
                .map(|&(mean, interval)| cell(mean, interval))
                .collect()
        })
        .collect();
    let note = Some("1 score is not there yet");
    let png = matrix_png("three-bilstm-cross", &names, &cells, 0.25, note).unwrap();
    assert_golden("matrix", &png);
}

/// The stress test has counted and other rows, all four results of the checks, a change beyond the
/// thresholds on each side, and a row without an interval.
#[test]
fn a_stress_test() {
    let clean = Predictions {
        classes: ["anger", "joy"].map(String::from).into(),
        truth: vec![0, 1, 0, 1],
        probabilities: [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]
            .map(Vec::from)
            .into(),
    };
    let mut report = StressReport::new(&clean, &["01", "01", "02", "02"], 1);
    report.run = "ravdess-bilstm".into();
    report.corpus = "ravdess".into();
    report.subset = "test".into();
    report.notes = vec!["the temperature was fitted to these clips".into()];
    let rows = [
        (0.0, Some((-0.01, 0.01)), 1.0),
        (-0.351, Some((-0.42, -0.27)), 0.39),
        (-0.05, Some((-0.09, 0.02)), 0.9),
        (-0.031, Some((-0.07, 0.01)), 0.86),
        (-0.06, Some((-0.1, -0.01)), 0.93),
        (0.08, Some((0.02, 0.13)), 0.75),
        (-0.02, None, 0.97),
    ];
    let mut rows = rows.into_iter().cycle();
    for disturbance in &Disturbance::all() {
        let (uar_change, interval, unchanged) = rows.next().unwrap();
        let scores = Robustness {
            uar_change,
            uar_change_interval: interval.map(|(low, high)| Interval { low, high }),
            unchanged,
            ..report.clean.clone()
        };
        report.add(disturbance, scores);
    }
    assert_golden("stress", &stress_png(&report).unwrap());
}

/// Height of a picture's header with title, subtitle and note.
const HEADER: u32 = 78;

#[test]
fn curves_of_one_run() {
    let run = Curves {
        note: Some("speakers shared: train/test".into()),
        ..run("ravdess-seed", 80)
    };
    assert_golden("curves-one", &curves_png(&[run]).unwrap());
}

#[test]
fn curves_of_three_runs() {
    let long = "a run whose name somebody thought was a good idea at the time it was started";
    let runs = [
        run("ravdess-default", 60),
        run("ravdess-seed", 100),
        run(long, 80),
    ];
    assert_golden("curves-three", &curves_png(&runs).unwrap());
}

#[test]
fn curves_of_an_exploded_run() {
    let mut run = run("exploded", 40);
    for record in &mut run.epochs {
        match record.epoch {
            1..7 => record.train_loss = 10f64.powi(6 - record.epoch as i32) * 3.0,
            15..18 => record.train_loss = f64::NAN,
            36.. => record.validation_loss = f64::INFINITY,
            _ => {}
        }
    }
    assert_golden("curves-exploded", &curves_png(&[run]).unwrap());
}

#[test]
fn confusion_of_eight_classes() {
    let png = confusion_png(
        &matrix(&EIGHT, 1440),
        "ravdess-default: test",
        Some("demo corpus"),
    );
    assert_golden("confusion-eight", &png.unwrap());
}

#[test]
fn confusion_of_twenty_classes() {
    let names: Vec<String> = (0..20)
        .map(|i| {
            format!(
                "{} {i}",
                ["joy", "contempt", "a long class name indeed"][i % 3]
            )
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let png = confusion_png(&matrix(&names, 4000), "twenty classes", None);
    assert_golden("confusion-twenty", &png.unwrap());
}

/// The model is overconfident: its accuracy is lower than its mean probability.
#[test]
fn reliability_of_300_clips() {
    let predictions = overconfident(300);
    let png = reliability_png(
        &Calibration::of(&predictions),
        "ravdess-default: test subset",
        Some("demo corpus"),
    );
    assert_golden("reliability", &png.unwrap());
}

#[test]
fn reliability_of_one_clip_has_a_bar_that_no_clips_lack() {
    let draw = |clips| {
        let calibration = Calibration::of(&overconfident(clips));
        decoded(&reliability_png(&calibration, "few", None).unwrap())
    };
    let (none, one) = (draw(0), draw(1));
    let (_, bottom) = changed_rows(&none, &one).expect("a bar");
    assert!(bottom > HEADER, "only the header changed");
}

#[test]
fn recall_of_eight_classes_and_six_speakers() {
    let speakers = [
        "01",
        "02",
        "03",
        "04",
        "05",
        "a speaker with quite a long name",
    ];
    let clips = 240;
    let predictions = Predictions {
        classes: EIGHT.iter().map(|name| name.to_string()).collect(),
        truth: (0..clips).map(|clip| clip % 7).collect(),
        probabilities: (0..clips)
            .map(|clip| {
                let predicted = if clip * clip % 5 < 3 {
                    clip % 7
                } else {
                    (clip + 1) % 8
                };
                (0..8)
                    .map(|class| f32::from(u8::from(class == predicted)))
                    .collect()
            })
            .collect(),
    };
    let of: Vec<&str> = (0..clips).map(|clip| speakers[clip / 7 % 6]).collect();
    let png = recall_png(
        &predictions,
        &of,
        "ravdess-default: test subset",
        Some("demo corpus"),
    );
    assert_golden("recall", &png.unwrap());
}

/// The recording is a rising tone between two silences, with predictions for three classes.
#[test]
fn a_recording_with_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rising.wav");
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&file, spec).unwrap();
    for n in 0..40_000 {
        let second = f64::from(n) / 16_000.0;
        let loud = if (0.5..2.0).contains(&second) {
            0.5
        } else {
            0.0
        };
        let phase = std::f64::consts::TAU * (300.0 * second + 400.0 * second * second);
        let sample = (32_767.0 * loud * phase.sin()) as i16;
        writer.write_sample(sample).unwrap();
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    let audio = AudioConfig {
        sample_rate: "8000".parse().unwrap(),
        trim_db: Some(40.0),
        ..AudioConfig::default()
    };
    let features = FeatureConfig {
        n_fft: 512,
        hop_length: 128,
        n_mels: 64,
        ..FeatureConfig::default()
    };
    let recording = Recording::read(&file, &audio, &features).unwrap();
    assert!(
        (recording.cut_before - 0.5).abs() < 0.2,
        "{}",
        recording.cut_before
    );
    assert!(
        (recording.cut_after - 0.5).abs() < 0.2,
        "{}",
        recording.cut_after
    );
    let window = |n: u8| WindowPrediction {
        middle: 0.3 + 0.1 * f64::from(n),
        probabilities: vec![0.1 * f32::from(n), 0.9 - 0.1 * f32::from(n), 0.1],
    };
    let output = RecordingPredictions {
        classes: ["calm", "anger", "a class with a long name"]
            .map(String::from)
            .into(),
        whole: vec![0.3, 0.6, 0.1],
        windows: (0..10).map(window).collect(),
        window: 0.6,
    };
    let png = recording_png(&recording, Some(&output), "rising.wav: anger 60 %", None).unwrap();
    assert_golden("recording", &png);
    assert_eq!(
        decoded(&recording_png(&recording, None, "", Some("note")).unwrap()).width(),
        1400
    );
}

#[test]
fn a_survey_of_300_clips() {
    let png = corpus_stats_png(&survey(300)).unwrap();
    assert_golden("survey", &png);
    for (clips, words) in [(0, "0 clips"), (1, "1 clip,"), (2, "2 clips")] {
        decoded(&corpus_stats_png(&survey(clips)).unwrap());
        let text = corpus_stats_text(&survey(clips));
        assert!(text.contains(words), "{text}");
    }
}

fn survey(clips: usize) -> CorpusStats {
    let speaker = |clip: usize| format!("{:02}", clip / 8 % 12);
    let facts = |clip: usize| ClipFacts {
        clip: format!("{clip}.wav").into(),
        speaker: speaker(clip),
        label: EIGHT[clip % 8 * (clip % 3).min(1)].into(),
        corpus_label: String::new(),
        sample_rate: 16_000,
        channels: 1,
        bits: Some(16),
        seconds: 2.0 + (clip % 8) as f64 * 0.2 + (clip as f64 * 0.37).sin(),
        rms_db: -30.0 + (clip % 8) as f64 + 3.0 * (clip as f64 * 0.7).cos(),
        peak_db: -6.0,
        clipped_samples: usize::from(clip == 1),
        silent: clip == 2,
        same_as: None,
    };
    let clips: Vec<ClipFacts> = (0..clips).map(facts).collect();
    let mut classes: Vec<String> = clips.iter().map(|clip| clip.label.clone()).collect();
    classes.sort();
    classes.dedup();
    CorpusStats {
        kind: CorpusKind::Folders,
        folder: "data/mine".into(),
        classes,
        speakers: (0..12).map(|n| format!("{n:02}")).collect(),
        clips,
        left_out: Vec::new(),
        probes: vec![ShortcutProbe {
            property: "duration".into(),
            balanced_accuracy: 0.41,
            chance: 0.125,
            by_luck: 0.17,
        }],
    }
}

/// Predictions of two classes. The first class always has a probability of 50 to 100 %, and the
/// accuracy is four fifths of that probability.
fn overconfident(clips: usize) -> Predictions {
    let sure = |clip: usize| 0.5 + 0.5 * (clip % 100) as f32 / 100.0;
    let right = |clip: usize| (clip * 37 % 100) as f32 / 100.0 < 0.8 * sure(clip);
    Predictions {
        classes: vec!["calm".into(), "sad".into()],
        truth: (0..clips).map(|clip| usize::from(!right(clip))).collect(),
        probabilities: (0..clips)
            .map(|clip| vec![sure(clip), 1.0 - sure(clip)])
            .collect(),
    }
}

#[test]
fn the_comparison_detects_a_changed_word() {
    let with_note = |note: &str| {
        let run = Curves {
            note: Some(note.to_string()),
            ..run("a", 30)
        };
        decoded(&curves_png(&[run]).unwrap())
    };
    let (shared, apart) = (with_note("speakers shared"), with_note("speakers apart"));
    assert!(difference(&shared, &shared).is_none());
    assert!(difference(&shared, &apart).is_some());
}

#[test]
fn the_same_numbers_give_the_same_bytes() {
    let runs = [run("a", 30), run("b", 20)];
    assert_eq!(curves_png(&runs).unwrap(), curves_png(&runs).unwrap());
}

#[test]
fn title_and_note_are_in_the_header() {
    let draw = |name: &str, note: Option<&str>| {
        let run = Curves {
            note: note.map(str::to_string),
            ..run(name, 30)
        };
        decoded(&curves_png(&[run]).unwrap())
    };
    let plain = draw("a", None);
    for other in [draw("a", Some("speakers shared")), draw("b", None)] {
        let (top, bottom) = changed_rows(&plain, &other).expect("a visible change");
        assert!(bottom < HEADER, "rows {top} to {bottom} changed");
    }

    let metrics = matrix(&EIGHT, 100);
    let draw = |note| decoded(&confusion_png(&metrics, "test", note).unwrap());
    let (_, bottom) = changed_rows(&draw(None), &draw(Some("demo"))).expect("a visible change");
    assert!(bottom < HEADER);
}

#[test]
fn the_legend_names_every_run() {
    let draw = |second| decoded(&curves_png(&[run("a", 30), run(second, 30)]).unwrap());
    let (top, _) = changed_rows(&draw("b"), &draw("c")).expect("a visible change");
    assert!(top >= HEADER, "row {top} of the header changed");
}

#[test]
fn classes_are_named_beside_and_below_the_matrices() {
    let draw = |name| {
        let classes = [name, "calm"];
        decoded(&confusion_png(&matrix(&classes, 10), "test", None).unwrap())
    };
    let (top, bottom) = changed_rows(&draw("sad"), &draw("bad")).expect("a visible change");
    assert!(bottom - top > 200, "one label: rows {top} to {bottom}");
}

#[test]
fn the_best_epoch_is_marked() {
    let unmarked = Curves {
        kept_epoch: None,
        ..run("a", 30)
    };
    let elsewhere = Curves {
        kept_epoch: Some(31),
        ..run("a", 30)
    };
    let draw = |run: &Curves| decoded(&curves_png(std::slice::from_ref(run)).unwrap());
    assert!(changed_rows(&draw(&unmarked), &draw(&elsewhere)).is_none());
    assert!(changed_rows(&draw(&unmarked), &draw(&run("a", 30))).is_some());
}

#[test]
fn curves_of_unusual_runs_do_not_panic() {
    let change = |epochs, change: fn(&mut EpochMetrics)| {
        let mut run = run("odd", epochs);
        run.epochs.iter_mut().for_each(change);
        vec![run]
    };
    let cases = [
        vec![],
        vec![Curves {
            epochs: vec![],
            ..run("", 1)
        }],
        change(1, |_| ()),
        change(2000, |_| ()),
        change(5, |record| record.epoch = 0),
        change(5, |record| record.epoch = usize::MAX - record.epoch),
        change(9, |record| record.train_accuracy = 0.0),
        change(9, |record| record.validation_accuracy = 1.0),
        change(9, |record| record.validation_accuracy = f64::MAX),
        change(9, |record| record.train_loss = f64::MAX),
        change(9, |record| record.train_loss = 0.0),
        change(9, |record| record.train_loss = -1e30),
        change(9, |record| {
            record.train_loss = 10f64.powi(-30 * record.epoch as i32)
        }),
        change(9, |record| {
            record.validation_loss = f64::NAN;
            record.validation_accuracy = f64::NAN;
            record.validation_uar = f64::NAN;
        }),
        change(9, |record| {
            *record = EpochMetrics {
                epoch: record.epoch,
                train_loss: f64::NAN,
                train_accuracy: f64::INFINITY,
                validation_loss: f64::NEG_INFINITY,
                validation_accuracy: f64::NAN,
                validation_uar: f64::NAN,
                learning_rate: f64::NAN,
                seconds: f64::NAN,
            }
        }),
        unusual_texts()
            .map(|text| Curves {
                note: Some(text.clone()),
                ..run(&text, 3)
            })
            .collect(),
    ];
    for runs in cases {
        decoded(&curves_png(&runs).unwrap());
    }
}

#[test]
fn confusion_of_unusual_matrices_does_not_panic() {
    let texts: Vec<String> = unusual_texts().collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let many: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut huge = matrix(&EIGHT[..2], 10);
    huge.confusion = vec![vec![u64::MAX, 1], vec![0, u64::MAX]];

    let cases = [
        matrix(&[], 0),
        matrix(&["one"], 5),
        matrix(&EIGHT, 0),
        matrix(&texts, 99),
        huge,
    ];
    for metrics in cases.into_iter().chain([matrix(&many, 999)]) {
        for text in &texts {
            let png = confusion_png(&metrics, text, Some(text)).unwrap();
            decoded(&png);
        }
    }
}

fn unusual_texts() -> impl Iterator<Item = String> {
    let long = "long ".repeat(2000);
    ["", " ", "名前 \u{202e}😀 e\u{301}", "two\nlines\t\0", &long]
        .map(str::to_string)
        .into_iter()
}

/// Curves of a run that improves, with some noise; the best epoch is at two thirds of the run.
fn run(name: &str, epochs: usize) -> Curves {
    let record = |epoch: usize| {
        let time = epoch as f64 / epochs as f64;
        let noise = 0.02 * (epoch as f64 * 2.3).sin() * (epoch as f64 * 0.7).cos();
        let learned = 1.0 - (-4.0 * time).exp();
        EpochMetrics {
            epoch,
            train_loss: 2.1 * (-3.0 * time).exp() + noise,
            train_accuracy: 0.12 + 0.85 * learned,
            validation_loss: 2.1 - learned + 0.5 * time * time - 2.0 * noise,
            validation_accuracy: 0.12 + 0.5 * learned + noise,
            validation_uar: 0.12 + 0.47 * learned + noise,
            learning_rate: 3e-3 * (1.0 - (2.0 * time - 0.6).abs() / 1.4),
            seconds: 3.0,
        }
    };
    Curves {
        name: name.to_string(),
        epochs: (1..=epochs).map(record).collect(),
        kept_epoch: Some((epochs * 2).div_ceil(3)),
        note: None,
    }
}

/// Metrics of equally frequent classes: two of three clips are right, the errors are distributed
/// unevenly.
fn matrix(classes: &[&str], clips: usize) -> Metrics {
    let classes: Vec<String> = classes.iter().map(|name| name.to_string()).collect();
    let truth: Vec<usize> = (0..clips).map(|clip| clip % classes.len()).collect();
    let predicted: Vec<usize> = truth
        .iter()
        .enumerate()
        .map(|(clip, &label)| {
            let turn = clip / classes.len();
            if turn % 3 < 2 {
                label
            } else {
                turn * turn % (label + 2) % classes.len()
            }
        })
        .collect();
    from_labels(&classes, &truth, &predicted)
}

fn assert_golden(name: &str, png: &[u8]) {
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/golden/{name}.png"));
    let picture = decoded(png);
    if std::env::var_os("EMOVOX_BLESS").is_some() {
        fs::write(&golden, small_png(&picture)).expect("the golden picture is written");
        return;
    }
    let expected = fs::read(&golden).expect("a golden picture; EMOVOX_BLESS=1 makes it");
    if let Some(difference) = difference(&decoded(&expected), &picture) {
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        fs::write(&output, png).expect("the new picture is written");
        panic!(
            "{} is not {}: {difference}",
            output.display(),
            golden.display()
        );
    }
}

/// Description of the difference between two pictures. `None` if they are equal up to rounding: the
/// mean difference is below 0.05 of 255 steps, and fewer than 5 of 10 000 pixels differ by more
/// than 16 steps.
fn difference(a: &RgbImage, b: &RgbImage) -> Option<String> {
    if a.dimensions() != b.dimensions() {
        return Some(format!(
            "{:?} against {:?} pixels",
            a.dimensions(),
            b.dimensions()
        ));
    }
    let mean = a
        .iter()
        .zip(b.iter())
        .map(|(a, b)| f64::from(a.abs_diff(*b)))
        .sum::<f64>()
        / a.len().max(1) as f64;
    let differing = a
        .pixels()
        .zip(b.pixels())
        .filter(|(a, b)| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 16))
        .count();
    let share = differing as f64 / f64::from(a.width() * a.height());
    (mean > 0.05 || share > 0.0005)
        .then(|| format!("mean difference {mean:.4}, share of differing pixels {share:.6}"))
}

/// The first and the last row in which two pictures of the same size differ.
fn changed_rows(a: &RgbImage, b: &RgbImage) -> Option<(u32, u32)> {
    assert_eq!(a.dimensions(), b.dimensions());
    let mut rows = a
        .enumerate_pixels()
        .filter(|(x, y, pixel)| *pixel != b.get_pixel(*x, *y))
        .map(|(_, y, _)| y);
    let first = rows.next()?;
    Some((first, rows.last().unwrap_or(first)))
}

fn decoded(png: &[u8]) -> RgbImage {
    image::load_from_memory(png).expect("a PNG").to_rgb8()
}

/// The picture as a PNG with the strongest compression, for the repository.
fn small_png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::NoFilter);
    picture.write_with_encoder(encoder).expect("encodes");
    bytes
}
