//! NaN and infinity in untrusted files are rejected: weights, statistics, optimizers, settings.

mod env;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::OnceLock;

use emovox::config::RunConfig;
use emovox::model::{Arch, encode, read_tensors};
use env::bundle::changed_bundle;
use env::process::run_command;
use env::{CommandOutput, Files, TRAIN, TestEnv};
use tch::{Device, Kind, Tensor};

/// A corpus, the run `mine` and the recording `x.wav`.
fn with_run() -> TestEnv {
    static RUNS: OnceLock<Files> = OnceLock::new();
    let env = TestEnv::with_runs(&RUNS, TRAIN);
    fs::copy(env.path("corpus/anger/v01/1.wav"), env.path("x.wav")).unwrap();
    env
}

/// Sets the last value of a tensor.
fn plant(tensors: &mut BTreeMap<String, Tensor>, name: &str, value: f64) {
    let tensor = &tensors[name];
    let _ = tensor.view([-1]).get(-1).fill_(value);
}

/// The file with one changed value and correct checksums.
fn planted(whole: &[u8], name: &str, value: f64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ot");
    fs::write(&path, whole).unwrap();
    let mut tensors = read_tensors(&path, Device::Cpu).unwrap();
    plant(&mut tensors, name, value);
    encode(&tensors.into_iter().collect::<Vec<_>>()).unwrap()
}

fn listen(env: &TestEnv, line: &str) -> CommandOutput {
    let wav = File::open(env.path("x.wav")).unwrap();
    run_command(env.command(line).stdin(wav))
}

#[test]
fn weights_and_statistics_with_nan_are_not_loaded() {
    let env = with_run();
    let best = env.path("runs/mine/best.ot");
    let whole = fs::read(&best).unwrap();
    for (name, value) in [
        ("member0.output.bias", f64::NAN),
        ("member0.output.weight", f64::INFINITY),
        ("normalisation.mean", f64::NEG_INFINITY),
        ("normalisation.deviation", f64::NAN),
    ] {
        fs::write(&best, planted(&whole, name, value)).unwrap();
        let advice = "use another copy of the file, or train the model again";
        env.run("predict mine x.wav").fails_with(&[
            "runs/mine/best.ot",
            &format!("'{name}' are NaN"),
            advice,
        ]);
    }
    for line in [
        "evaluate mine --json",
        "export mine",
        "inspect x.wav --run mine",
    ] {
        env.run(line)
            .fails_with(&["best.ot", "normalisation.deviation"]);
    }
    let result = listen(&env, "listen mine --json");
    assert_eq!(result.fails_with(&["best.ot"]).out, "");
    for value in [0.0, -1.0] {
        let bytes = planted(&whole, "normalisation.deviation", value);
        fs::write(&best, bytes).unwrap();
        env.run("predict mine x.wav").fails_with(&[
            "runs/mine/best.ot",
            "'normalisation.deviation' has standard deviations that are not above 0",
        ]);
    }
    // A training cannot start from them either.
    fs::write(
        env.path("hostile.ot"),
        planted(&whole, "member0.output.bias", f64::NAN),
    )
    .unwrap();
    let more = TRAIN.replace("mine", "more");
    env.run(&format!("{more} --init-weights hostile.ot"))
        .fails_with(&["hostile.ot", "'member0.output.bias' are NaN"]);
    assert!(!env.path("runs/more").exists());
}

#[test]
fn a_training_does_not_resume_from_moments_with_nan() {
    let env = with_run();
    let last = env.path("runs/mine/last.ot");
    let whole = fs::read(&last).unwrap();
    for (name, value, words) in [
        (
            "optimizer.m.member0.output.bias",
            f64::NAN,
            "NaN or infinite",
        ),
        (
            "optimizer.v.member0.output.bias",
            f64::INFINITY,
            "NaN or infinite",
        ),
        (
            "optimizer.v.member0.output.bias",
            -1e-9,
            "has negative squares",
        ),
        ("best.normalisation.deviation", 0.0, "not above 0"),
        ("training.epochs", f64::NAN, "NaN or infinite"),
        ("training.partial", f64::NAN, "NaN or infinite"),
        ("optimizer.step", -1.0, "the optimizer's step is missing"),
    ] {
        fs::write(&last, planted(&whole, name, value)).unwrap();
        env.run("train --resume mine --epochs 5").fails_with(&[
            "last.ot",
            words,
            "--from-previous",
        ]);
    }
}

/// The bundle with one changed value and the correct hash.
fn planted_bundle(bytes: &[u8], name: &str, value: f64) -> Vec<u8> {
    changed_bundle(bytes, |_, tensors| plant(tensors, name, value))
}

#[test]
fn a_bundle_with_nan_is_not_loaded() {
    let env = with_run();
    env.run("export mine").success();
    let whole = fs::read(env.path("mine.emovox")).unwrap();
    let same = planted_bundle(&whole, "normalisation.deviation", 1.0);
    fs::write(env.path("x.emovox"), same).unwrap();
    env.run("predict x.emovox x.wav").success();
    for (name, value, words) in [
        (
            "member0.output.bias",
            f64::NAN,
            "'member0.output.bias' are NaN",
        ),
        (
            "normalisation.mean",
            f64::INFINITY,
            "'normalisation.mean' are NaN",
        ),
        ("normalisation.deviation", 0.0, "not above 0"),
    ] {
        fs::write(env.path("x.emovox"), planted_bundle(&whole, name, value)).unwrap();
        env.run("predict x.emovox x.wav")
            .fails_with(&["x.emovox cannot be used as a run", words]);
        env.run("export x.emovox --out y.emovox")
            .fails_with(&["x.emovox", words]);
    }
}

/// All weights are finite, but the output of the model is not.
#[test]
fn a_prediction_with_nan_is_an_error_that_names_the_recording() {
    let env = with_run();
    let best = env.path("runs/mine/best.ot");
    let mut tensors = read_tensors(&best, Device::Cpu).unwrap();
    for (name, tensor) in &mut tensors {
        if name.ends_with("output.weight") {
            *tensor = Tensor::full(tensor.size(), 3e38, (Kind::Float, Device::Cpu));
        }
    }
    fs::write(
        &best,
        encode(&tensors.into_iter().collect::<Vec<_>>()).unwrap(),
    )
    .unwrap();
    let words = "the prediction is not finite";
    let nothing = |result: CommandOutput| {
        assert!(
            !result.out.contains("NaN")
                && !result.out.contains("null")
                && !result.out.contains('%'),
            "{}: {}",
            result.line,
            result.out
        );
    };
    nothing(env.run("predict mine x.wav").fails_with(&["x.wav", words]));
    nothing(
        env.run("predict mine x.wav --json")
            .fails_with(&["x.wav", words]),
    );
    nothing(
        env.run("predict mine x.wav --window 0.5")
            .fails_with(&["x.wav", words]),
    );
    nothing(
        env.run("evaluate mine --data corpus")
            .fails_with(&["/1.wav", words]),
    );
    nothing(
        env.run("inspect x.wav --run mine")
            .fails_with(&["x.wav", words]),
    );
    nothing(listen(&env, "listen mine --json").fails_with(&[words]));
    assert!(!env.path("x.png").exists());
}

#[test]
fn probabilities_with_nan_in_a_table_are_rejected() {
    let env = with_run();
    let path = env.path("runs/mine/predictions.csv");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    for value in ["NaN", "inf"] {
        let mut fields: Vec<&str> = lines[1].split(',').collect();
        fields[4] = value;
        lines[1] = fields.join(",");
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        env.run("report mine")
            .fails_with(&["predictions.csv", "NaN or infinite"]);
    }
}

/// Checks all floating-point settings of both architectures. They are listed from the recipes, so that a
/// new setting is included.
#[test]
fn every_setting_rejects_nan_and_infinity() {
    let env = TestEnv::with_corpus();
    let mut settings = 0;
    for arch in [Arch::Bilstm, Arch::MeanLstm] {
        for (path, old) in fractions(arch) {
            for value in ["nan", "inf", "-inf"] {
                let (table, key) = path.rsplit_once('.').unwrap();
                let value = if old {
                    format!("[1.0, {value}]")
                } else {
                    value.to_string()
                };
                let text = format!("model.arch = '{arch}'\n[{table}]\n{key} = {value}\n");
                let text = match table {
                    "model" => format!("[model]\narch = '{arch}'\n{key} = {value}\n"),
                    _ => text,
                };
                fs::write(env.path("hostile.toml"), text).unwrap();
                settings += 1;
                if settings % 7 == 1 {
                    // Every seventh case also runs the program, which takes longer.
                    env.run("train --data corpus --device cpu --config hostile.toml")
                        .fails_with(&[&path, "must be a finite number"]);
                }
                let config = RunConfig::over_recipe(&env.path("hostile.toml"), None);
                let error = config.unwrap().validate().unwrap_err().to_string();
                assert!(error.contains(&path), "{path} = {value}: {error}");
            }
        }
    }
    assert!(settings > 60, "{settings}");
    assert_eq!(env.runs(), 0);
}

/// Paths of all floating-point settings of a recipe; true for a list of numbers.
fn fractions(arch: Arch) -> Vec<(String, bool)> {
    let mut config = RunConfig::recipe(arch);
    config.features.fmax = Some(7000.0);
    config.audio.trim_db = Some(40.0);
    let table: toml::Table = config.text().unwrap().parse().unwrap();
    let mut found = Vec::new();
    let mut left = vec![(String::new(), toml::Value::Table(table))];
    while let Some((path, value)) = left.pop() {
        match value {
            toml::Value::Table(table) => left.extend(table.into_iter().map(|(key, value)| {
                let path = match path.as_str() {
                    "" => key,
                    _ => format!("{path}.{key}"),
                };
                (path, value)
            })),
            toml::Value::Array(values) if values.iter().any(toml::Value::is_float) => {
                found.push((path, true));
            }
            toml::Value::Float(_) => found.push((path, false)),
            _ => {}
        }
    }
    found
}

#[test]
fn settings_out_of_range_are_rejected() {
    let env = TestEnv::with_corpus();
    for (table, setting, words) in [
        ("calibration", "temperature = 0.0", "temperature"),
        ("calibration", "temperature = -1.5", "temperature"),
        ("training", "learning_rate = 0.0", "--learning-rate is 0"),
        ("training", "epsilon = 0.0", "epsilon above 0"),
        ("training", "clip_norm = -1.0", "clip_norm"),
        ("training", "weight_decay = -0.1", "weight_decay"),
        ("training.augmentation", "noise = -0.1", "noise"),
        (
            "training.augmentation",
            "frequency_mask_bands = -1",
            "frequency_mask_bands",
        ),
        ("split", "test_fraction = 1.0", "test (1)"),
        ("split", "validation_fraction = -0.5", "validation (-0.5)"),
        ("inference", "vtlp_warps = [0.0]", "vtlp_warps"),
        ("audio", "trim_db = 0.0", "trim threshold of 0 dB"),
        ("features", "fmin = -1.0", "fmin -1 Hz"),
    ] {
        fs::write(env.path("hostile.toml"), format!("[{table}]\n{setting}\n")).unwrap();
        env.run("train --data corpus --device cpu --config hostile.toml")
            .fails_with(&[words]);
    }
    assert_eq!(env.runs(), 0);
}
