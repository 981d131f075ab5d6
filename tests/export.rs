//! Exports: a bundle predicts like its run, TorchScript and safetensors contain the same model.

mod env;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use emovox::audio::SampleRate;
use emovox::config::RunConfig;
use emovox::corpus::demo;
use emovox::dataset::extract_one;
use emovox::export::{safetensors, torchscript};
use emovox::features::Features;
use emovox::inference::{Predictor, Trained};
use emovox::model::{
    Arch, BilstmConfig, MeanLstmConfig, ModelConfig, from_safetensors, safetensors_metadata,
};
use env::TestEnv;
use env::process::run_command;
use env::tiny::{tiny_bilstm, tiny_config, tiny_run};
use tch::{CModule, Device, Tensor};

fn config(model: ModelConfig) -> RunConfig {
    let mut config = tiny_config(model, &["anger", "joy", "calm"]);
    config.data.folder = "/home/somebody/secret/corpus".into();
    config.calibration.temperature = 1.37;
    config
}

fn bilstm(ensemble_size: i64, layers: i64, frame_stacking: i64, statistics: bool) -> RunConfig {
    config(ModelConfig::Bilstm(BilstmConfig {
        ensemble_size,
        layers,
        frame_stacking,
        statistics,
        ..tiny_bilstm()
    }))
}

fn mean_lstm() -> RunConfig {
    config(ModelConfig::MeanLstm(MeanLstmConfig {
        hidden: 16,
        normalise: true,
        ..MeanLstmConfig::default()
    }))
}

/// Recordings whose numbers of frames have different remainders when frames are stacked.
fn recordings(env: &TestEnv) -> Vec<PathBuf> {
    let lengths = [0.3, 1.9, 0.71, 1.234, 0.05, 1.0];
    let name = |(number, seconds): (usize, f64)| {
        let mut samples = demo::synthesise(1 + number, 1, number % 4, 1);
        samples.truncate((seconds * 16_000.0) as usize);
        let file = format!("sounds/{number}.wav");
        env.wav(&file, 16_000, 1, &samples);
        env.path(&file)
    };
    lengths.into_iter().enumerate().map(name).collect()
}

fn features(config: &RunConfig, files: &[PathBuf]) -> Vec<Features> {
    let one = |file: &PathBuf| extract_one(file, &config.audio, &config.features).unwrap();
    files.iter().map(one).collect()
}

/// Features `[batch, frames, coefficients]` with arbitrary values as padding, and lengths `[batch]`.
fn batch(clips: &[&Features]) -> (Tensor, Tensor) {
    let width = clips[0].coefficients() as i64;
    let lengths: Vec<i64> = clips.iter().map(|clip| clip.frames() as i64).collect();
    let longest = *lengths.iter().max().unwrap();
    let shape = [clips.len() as i64, longest, width];
    let all = Tensor::full(shape, 1e4, tch::kind::FLOAT_CPU);
    for (row, clip) in clips.iter().enumerate() {
        let values = Tensor::from_slice(clip.values()).view([-1, width]);
        all.get(row as i64)
            .narrow(0, 0, lengths[row])
            .copy_(&values);
    }
    (all, Tensor::from_slice(&lengths))
}

fn predictor(env: &TestEnv, name: &str) -> Predictor {
    let trained = Trained::open(&env.path("runs"), name).unwrap();
    Predictor::of(trained, Device::Cpu).unwrap()
}

#[track_caller]
fn assert_close(a: &[Vec<f32>], b: &[Vec<f32>], what: &str) {
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        assert!((a - b).abs() < 1e-5, "{what}: {a} {b}");
    }
}

#[test]
fn torchscript_predicts_like_emovox_for_any_batch() {
    let env = TestEnv::new();
    let files = recordings(&env);
    let mut plain = bilstm(1, 2, 3, false);
    plain.inference.vtlp_warps.clear();
    plain.audio.sample_rate = SampleRate::Hz(16_000);
    let runs = [
        ("ensemble", bilstm(3, 1, 5, true)),
        ("two-layers", plain),
        ("mean-lstm", mean_lstm()),
    ];
    for (name, config) in runs {
        tiny_run(&env, name, &config);
        let predictor = predictor(&env, name);
        let bytes = torchscript(&predictor).unwrap();
        assert_eq!(
            bytes,
            torchscript(&predictor).unwrap(),
            "the same bytes a second time"
        );
        let script = CModule::load_data(&mut Cursor::new(bytes)).unwrap();
        let clips = features(&config, &files);
        let clips: Vec<&Features> = clips.iter().collect();
        let ours = predictor.probabilities(&clips).unwrap();
        for (first, count) in [(0, 1), (1, 1), (4, 1), (0, 6), (2, 3), (0, 2)] {
            let (batch, lengths) = batch(&clips[first..first + count]);
            let outputs = script.forward_ts(&[batch, lengths]).unwrap().exp();
            let outputs = Vec::<Vec<f32>>::try_from(outputs).unwrap();
            assert_close(&outputs, &ours[first..], name);
        }
    }
}

#[test]
fn safetensors_contain_the_weights_under_pytorchs_names() {
    let env = TestEnv::new();
    tiny_run(&env, "mine", &bilstm(1, 2, 3, true));
    let predictor = predictor(&env, "mine");
    let bytes = safetensors(&predictor).unwrap();
    let saved = from_safetensors(&bytes, Device::Cpu).unwrap();
    for (name, tensor) in predictor.model().tensors() {
        let name = match name.as_str() {
            "lstm1.backward.weight_hh_l0" => "members.0.lstm.weight_hh_l1_reverse",
            "attention.weight" => "members.0.attention.weight",
            "normalisation.mean" => "mean",
            _ => continue,
        };
        assert_eq!(saved[name], tensor, "{name}");
    }
    assert_eq!(saved.len(), predictor.model().tensors().len() + 2);
    assert_eq!(saved["tract_matrices"].size()[0], 3);

    let about = safetensors_metadata(&bytes).unwrap();
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["classes"][1], "joy");
    assert_eq!(about["features"]["n_mfcc"], 13);
    assert_eq!(about["temperature"], 1.37);
}

#[test]
fn an_unfinished_training_is_noted() {
    let env = TestEnv::new();
    let mut config = mean_lstm();
    config.training.epochs = 20;
    tiny_run(&env, "half", &config);
    let file = recordings(&env)[1].display().to_string();
    for line in ["export half".to_string(), format!("predict half {file}")] {
        let error = env.run(&line).success().error;
        assert!(
            error.contains("1 of 20 epochs; to finish it: emovox train --resume half"),
            "{line}: {error}"
        );
    }
    // The recordings of the run do not exist.
    for command in ["evaluate", "stress"] {
        env.run(&format!("{command} half"))
            .fails_with(&["1 of 20 epochs"]);
    }
    let error = env
        .run(&format!("predict half.emovox {file}"))
        .success()
        .error;
    assert!(
        error.contains("1 of 20 epochs; finish the run, then export it again"),
        "{error}"
    );

    config.training.epochs = 1;
    tiny_run(&env, "whole", &config);
    env.run("export whole").success();
    for run in ["whole", "whole.emovox"] {
        let error = env.run(&format!("predict {run} {file}")).success().error;
        assert!(!error.contains("epochs"), "{error}");
    }
}

#[test]
fn a_failed_write_names_the_next_step_and_no_temporary_file() {
    let env = TestEnv::new();
    tiny_run(&env, "mine", &mean_lstm());
    let output = env
        .run("export mine --out gone/x.emovox")
        .fails_with(&["cannot write gone/x.emovox: there is no folder gone; create it first"]);
    for inside in ["os error", ".writing-"] {
        assert!(!output.error.contains(inside), "{}", output.error);
    }
    env.run("grid gone.toml")
        .fails_with(&["cannot read gone.toml: there is no such file or folder; check the path"]);
    env.run("train --config runs")
        .fails_with(&["cannot read runs: it is a folder, not a file"]);
}

#[test]
fn a_bundle_replaces_its_run() {
    let env = TestEnv::with_corpus();
    env.run(&format!("{} --epochs 1", env::TRAIN)).success();
    let message = env.run("export mine").success().out;
    assert!(
        message.contains("mine.emovox") && message.contains("licence"),
        "{message}"
    );
    env.run("export mine.emovox --out again.emovox").success();
    let bytes = fs::read(env.path("mine.emovox")).unwrap();
    assert_eq!(bytes, fs::read(env.path("again.emovox")).unwrap());

    let same = |line: &str| {
        let of_run = env.run(line).success().out;
        let of_bundle = env.run(&line.replace("mine", "mine.emovox")).success().out;
        assert!(!of_run.is_empty(), "{line}");
        assert_eq!(of_run, of_bundle, "{line}");
    };
    same("predict mine corpus --csv");
    same("predict mine corpus/anger/v01/1.wav --window 0.5 --json");
    same("evaluate mine --data corpus");
    same("evaluate mine --data corpus --part validation --json");
    // Other recordings of the training's speakers.
    fs::remove_dir_all(env.path("corpus/anger/v02")).unwrap();
    let scores = env.run("evaluate mine.emovox --data corpus").success().out;
    assert!(scores.contains("speakers shared"), "{scores}");

    let listen = |run: &str| {
        let wav = fs::File::open(env.path("corpus/anger/v01/1.wav")).unwrap();
        let line = format!("listen {run} --json --window 0.5");
        run_command(env.command(&line).stdin(wav)).success().out
    };
    assert_eq!(listen("mine"), listen("mine.emovox"));
    env.run("inspect corpus/anger/v01/1.wav --run mine.emovox --out result.png")
        .success();
    assert!(env.path("result.png").is_file());

    // A bundle contains no path of this machine, and works without the run folder.
    let home = env.path("").display().to_string();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains(home.trim_end_matches('/')));
    fs::remove_dir_all(env.path("runs")).unwrap();
    env.run("predict mine.emovox corpus").success();
    env.run("evaluate mine.emovox")
        .fails_with(&["missing in corpus", "--data"]);
    env.run("train --resume mine.emovox")
        .fails_with(&["is a file"]);
}

#[test]
fn damaged_and_other_files_are_rejected_as_bundles() {
    let env = TestEnv::new();
    tiny_run(&env, "mine", &mean_lstm());
    env.run("export mine").success();
    let bytes = fs::read(env.path("mine.emovox")).unwrap();
    let open = |bytes: &[u8]| {
        fs::write(env.path("other.emovox"), bytes).unwrap();
        let opened = Trained::open(
            Path::new("runs"),
            env.path("other.emovox").to_str().unwrap(),
        );
        opened.map(|trained| trained.config().clone())
    };
    let expected_config = open(&bytes).unwrap();
    assert_eq!(expected_config.data.folder, Path::new("corpus"));

    for length in [0, 7, 20, 100, 5000, bytes.len() - 4, bytes.len() - 1] {
        let error = format!("{:#}", open(&bytes[..length]).unwrap_err());
        let expected = if length < 100 {
            "is not a bundle"
        } else {
            "truncated"
        };
        assert!(error.contains(expected), "{length}: {error}");
    }
    // Every flipped bit is detected: in the lengths, the header, the hash and the weights.
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for at in (0..header)
        .step_by(7)
        .chain((header..bytes.len()).step_by(997))
    {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(open(&damaged).is_err(), "byte {at} of {}", bytes.len());
    }

    env.run("export mine --format safetensors").success();
    env.run("predict mine.safetensors x.wav").fails_with(&[
        "mine.safetensors",
        "for other programs",
        "--format bundle",
    ]);
    env.run("predict runs/mine/best.ot x.wav")
        .fails_with(&["best.ot is not a bundle", "--format bundle"]);
    let later = String::from_utf8_lossy(&bytes[..60])
        .find("bundle")
        .unwrap();
    let mut newer = bytes.clone();
    let digit = later + bytes[later..].iter().position(|&b| b == b'1').unwrap();
    newer[digit] = b'7';
    let error = format!("{:#}", open(&newer).unwrap_err());
    assert!(error.contains("its format is 7"), "{error}");
    env.run("export mine --out runs")
        .fails_with(&["is a folder"]);
    assert_eq!(Arch::MeanLstm, expected_config.model.arch());
}
