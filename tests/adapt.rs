//! Adaptation to a voice and a microphone: `--adapt-to` and `--adapt`.

mod env;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use emovox::dataset::extract_any;
use emovox::features::Features;
use emovox::inference::{Predictor, Trained};
use env::{Files, TRAIN, TestEnv};
use serde_json::Value;
use tch::Device;

fn trained() -> TestEnv {
    static RUNS: OnceLock<Files> = OnceLock::new();
    TestEnv::with_runs(&RUNS, TRAIN)
}

fn features(env: &TestEnv, predictor: &Predictor) -> Vec<Features> {
    let files: Vec<PathBuf> = ["anger", "neutral", "sadness"]
        .iter()
        .flat_map(|emotion| fs::read_dir(env.path(&format!("corpus/{emotion}/v04"))).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    let config = predictor.config();
    let extracted = extract_any(&files, &config.audio, &config.features, || {}).unwrap();
    let extracted = extracted.into_iter();
    extracted.map(|one| one.unwrap().features).collect()
}

fn assert_close(a: &[Vec<f32>], b: &[Vec<f32>], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        assert!((a - b).abs() < tolerance, "{a} {b}");
    }
}

/// A constant filter and gain are gone after an adaptation to enough recordings with them.
#[test]
fn an_adaptation_removes_a_constant_change_of_the_features() {
    let env = trained();
    let config = fs::read_to_string(env.path("runs/mine/config.toml")).unwrap();
    assert!(config.contains("vtlp_warps"), "{config}");
    // Warps move the spectrum, which another scale of the coefficients does not commute with.
    let without_warps: String = config
        .lines()
        .map(|line| {
            if line.starts_with("vtlp_warps") {
                "vtlp_warps = []\n".to_string()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    fs::write(env.path("runs/mine/config.toml"), without_warps).unwrap();
    let open = || {
        let trained = Trained::open(&env.path("runs"), "mine").unwrap();
        Predictor::of(trained, Device::Cpu).unwrap()
    };
    let (mut plain, mut changed) = (open(), open());
    let recordings = features(&env, &plain);
    let filtered: Vec<Features> = recordings
        .iter()
        .map(|clip| {
            let width = clip.coefficients();
            let change = |(index, value): (usize, &f32)| {
                let column = (index % width) as f32;
                (1.0 + 0.01 * column) * value + 5.0 - 0.2 * column
            };
            let values = clip.values().iter().enumerate().map(change).collect();
            Features::new(clip.frames(), width, values).unwrap()
        })
        .collect();
    let [own, other] = [&recordings, &filtered].map(|clips| clips.iter().collect::<Vec<_>>());
    let before = plain.probabilities(&own).unwrap();
    let unadapted = changed.probabilities(&other).unwrap();
    let differs = before.iter().flatten().zip(unadapted.iter().flatten());
    assert!(differs.into_iter().any(|(a, b)| (a - b).abs() > 0.02));

    // So often that the statistics of the training hardly count.
    plain.adapt(&own.repeat(5000)).unwrap();
    changed.adapt(&other.repeat(5000)).unwrap();
    let adapted = plain.probabilities(&own).unwrap();
    assert_close(&adapted, &changed.probabilities(&other).unwrap(), 5e-3);

    // Each of two voices has its own adaptation, wherever its recordings are.
    let (first, second) = own.split_at(own.len() / 2);
    let mut groups = vec!["a".to_string(); first.len()];
    groups.extend(vec!["b".to_string(); second.len()]);
    let together = open().probabilities_by_group(&own, &groups).unwrap();
    let (mut a, mut b) = (open(), open());
    a.adapt(first).unwrap();
    b.adapt(second).unwrap();
    let mut alone = a.probabilities(first).unwrap();
    alone.extend(b.probabilities(second).unwrap());
    assert_close(&together, &alone, 1e-6);
}

#[test]
fn a_prediction_adapts_to_a_folder() {
    let env = trained();
    let clip = fs::read_dir(env.path("corpus/anger/v04")).unwrap().next();
    let clip = clip.unwrap().unwrap().file_name();
    let clip = format!("corpus/anger/v04/{}", clip.to_string_lossy());
    let predict = |more: &str| {
        let output = env
            .run(&format!("predict mine {clip} --json {more}"))
            .success();
        let json: Value = serde_json::from_str(&output.out).unwrap();
        (json, output.error)
    };
    let (plain, _) = predict("");
    let (adapted, message) = predict("--adapt-to corpus");
    assert!(
        message.contains("adapted to ") && message.contains(" in corpus"),
        "{message}"
    );
    assert_ne!(plain, adapted);
    // A damaged and a silent recording are left out by name.
    fs::create_dir(env.path("few")).unwrap();
    fs::copy(env.path(&clip), env.path("few/a.wav")).unwrap();
    fs::write(env.path("few/b.wav"), "no recording").unwrap();
    env.wav("few/c.wav", 16_000, 1, &vec![0.0; 16_000]);
    let (_, message) = predict("--adapt-to few");
    for words in [
        "skipped",
        "b.wav",
        "c.wav",
        "adapted to 1 recording in few: the statistics are ",
    ] {
        assert!(message.contains(words), "{message}");
    }

    env.run(&format!(
        "predict mine {clip} --adapt-to few --channel each"
    ))
    .fails_with(&["--adapt-to", "--channel left"]);
    env.run(&format!("predict mine {clip} --adapt-to nowhere"))
        .fails_with(&["--adapt-to", "nowhere"]);
    fs::remove_file(env.path("few/a.wav")).unwrap();
    env.run(&format!("predict mine {clip} --adapt-to few"))
        .fails_with(&["--adapt-to few", "no recording with speech"]);
}

#[test]
fn an_adapted_score_has_a_note_and_does_not_replace_the_files_of_the_run() {
    let env = trained();
    let score = |more: &str| -> Value {
        let line = format!("evaluate mine --device cpu --json {more}");
        serde_json::from_str(&env.run(&line).success().out).unwrap()
    };
    let note = "without their labels";
    assert!(!score("")["notes"].to_string().contains(note));
    for voices in ["speaker", "all"] {
        let adapted = score(&format!("--adapt {voices}"));
        assert!(adapted["notes"].to_string().contains(note), "{adapted}");
    }
    let output = env
        .run("stress mine --adapt speaker --device cpu")
        .success();
    assert!(output.out.contains("no file is written"), "{}", output.out);
    assert!(!env.path("runs/mine/stress.json").exists());
}

#[test]
fn clips_of_unknown_speakers_are_no_group() {
    let env = trained();
    for emotion in ["anger", "neutral"] {
        for clip in 0..3 {
            let level = -20.0 - f64::from(clip);
            env.wav(
                &format!("flat/{emotion}/{clip}.wav"),
                16_000,
                1,
                &env::noise(1.0, level),
            );
        }
    }
    env.run("evaluate mine --data flat --adapt speaker --device cpu")
        .fails_with(&["6 clips", "not known", "--adapt all"]);
    env.run("evaluate mine --data flat --adapt all --device cpu")
        .success();
}

/// The baseline does not normalise its features.
#[test]
fn a_model_without_normalisation_cannot_adapt() {
    let env = TestEnv::with_corpus();
    env.run("train --data corpus --arch mean-lstm --epochs 1 --device cpu --run plain")
        .success();
    env.run("evaluate plain --adapt speaker --device cpu")
        .fails_with(&["plain", "does not normalise"]);
}
