//! The optimizer against PyTorch's numbers, and the loop against its promise: the same seed gives
//! the same bytes, and a run that was stopped ends as if it had not been.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use emovox::config::RunConfig;
use emovox::dataset::PartTensors;
use emovox::features::Features;
use emovox::model::{Arch, EmotionModel, ModelConfig};
use emovox::run::{Journal, RunFolder};
use emovox::training::{self, AdamW, Data, Event, Progress, TrainingConfig};
use serde_json::Value;
use tch::{Device, Tensor};

#[test]
fn adamw_is_pytorchs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/optimizer.json");
    let reference: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    let numbers =
        |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(number).collect() };
    for case in reference["cases"].as_array().unwrap() {
        let config = TrainingConfig {
            weight_decay: number(&case["weight_decay"]),
            epsilon: number(&case["epsilon"]),
            ..TrainingConfig::default()
        };
        let matrix = Tensor::from_slice(&[0.5f32, -1.0, 2.0, 0.25, -0.75, 1.5]).view([3, 2]);
        let matrix = matrix.set_requires_grad(true);
        let vector = Tensor::from_slice(&[0.1f32, -0.2]).set_requires_grad(true);
        let mut optimizer = AdamW::new(
            vec![
                ("matrix".into(), matrix.shallow_clone()),
                ("vector".into(), vector.shallow_clone()),
            ],
            &config,
        );
        for step in 0..reference["steps"].as_i64().unwrap() {
            // A loss whose gradient is the reference's: the product with it.
            let gradient = |step: i64, count: i64| {
                let values: Vec<f32> = (0..count)
                    .map(|i| (3.0 * (1.7 * step as f64 + 0.9 * i as f64).sin()) as f32)
                    .collect();
                Tensor::from_slice(&values)
            };
            let loss = (&matrix * gradient(step, 6).view([3, 2])).sum(tch::Kind::Float)
                + (&vector * gradient(step + 100, 2)).sum(tch::Kind::Float);
            optimizer.zero_grad();
            loss.backward();
            let clip_norm = number(&case["clip_norm"]);
            if clip_norm > 0.0 {
                optimizer.clip_gradient_norm(clip_norm);
            }
            optimizer.step(1e-2 * (1.0 + (step as f64).sin()));
        }
        for (ours, theirs) in [(&matrix, &case["matrix"]), (&vector, &case["vector"])] {
            let ours: Vec<f32> = ours.detach().view([-1]).try_into().unwrap();
            for (ours, theirs) in ours.iter().zip(numbers(theirs)) {
                assert!(
                    (f64::from(*ours) - theirs).abs() < 2e-6,
                    "{ours} {theirs}: {case}"
                );
            }
        }
    }
}

/// libtorch's random generator is one for the whole process, so trainings take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clips of two classes: a tone that rises or falls in one coefficient, and noise around it.
fn part(clips: usize, offset: usize, model: &EmotionModel) -> PartTensors {
    let clips: Vec<(Features, usize)> = (0..clips)
        .map(|clip| {
            let (label, frames) = (clip % 2, 20 + (clip * 7) % 30);
            let slope = if label == 0 { 1.0 } else { -1.0 };
            let values: Vec<f32> = (0..frames * 4)
                .map(|i| {
                    let (frame, coefficient) = (i / 4, i % 4);
                    let noise = ((clip + offset) as f32 * 12.9898 + i as f32 * 78.233).sin();
                    let trend = slope * (frame as f32 / frames as f32 - 0.5);
                    noise + if coefficient == 0 { trend } else { 0.0 }
                })
                .collect();
            (Features::new(frames, 4, values).unwrap(), label)
        })
        .collect();
    let (features, labels): (Vec<&Features>, Vec<usize>) = clips
        .iter()
        .map(|(features, label)| (features, *label))
        .unzip();
    PartTensors::new(&features, &labels, model.normalisation(), Device::Cpu).unwrap()
}

fn data(train: usize, validation: usize, model: &EmotionModel) -> Data {
    Data {
        train: part(train, 0, model),
        validation: part(validation, 1000, model),
        spectrum: None,
        classes: vec!["rising".into(), "falling".into()],
    }
}

fn settings(arch: Arch) -> (ModelConfig, TrainingConfig) {
    let RunConfig {
        mut model,
        mut training,
        ..
    } = RunConfig::recipe(arch);
    match &mut model {
        ModelConfig::Bilstm(config) => (config.input, config.hidden) = (16, 8),
        ModelConfig::Seed(config) => config.hidden = 16,
    }
    (training.epochs, training.batch_size) = (6, 8);
    (model, training)
}

fn train(arch: Arch, run: &RunFolder, mut tell: impl FnMut(Event)) -> Progress {
    let (config, training) = settings(arch);
    let model = training::fresh_model(&config, training.seed, 4, 2, Device::Cpu);
    let data = data(44, 16, &model);
    training::train(&model, &data, &training, run, &mut tell).unwrap()
}

/// The journal without the seconds, which differ from run to run.
fn journal(run: &RunFolder) -> String {
    let mut records = Journal::read(&run.metrics_csv()).unwrap();
    records.iter_mut().for_each(|record| record.seconds = 0.0);
    format!("{records:?}")
}

#[track_caller]
fn assert_same_weights(a: &RunFolder, b: &RunFolder) {
    for (a, b) in [(a.last_ot(), b.last_ot()), (a.best_ot(), b.best_ot())] {
        let same = fs::read(&a).unwrap() == fs::read(&b).unwrap();
        assert!(same, "{} differs from {}", a.display(), b.display());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let _turn = alone();
    let runs = tempfile::tempdir().unwrap();
    for arch in [Arch::Bilstm, Arch::Seed] {
        let [first, second] = ["first", "second"]
            .map(|name| RunFolder::create(runs.path(), &format!("{arch}-{name}")).unwrap());
        let progress = train(arch, &first, |_| ());
        assert_eq!(progress, train(arch, &second, |_| ()));
        assert_eq!(progress.epoch, 6);
        assert_eq!(journal(&first), journal(&second));
        assert_same_weights(&first, &second);
    }
}

#[test]
fn a_run_stopped_after_any_epoch_ends_as_if_it_had_not_been() {
    let _turn = alone();
    for arch in [Arch::Bilstm, Arch::Seed] {
        let runs = tempfile::tempdir().unwrap();
        let whole = RunFolder::create(runs.path(), "whole").unwrap();
        // What a stop after each epoch would leave.
        let mut stopped = Vec::new();
        train(arch, &whole, |event| {
            if let Event::Epoch { record, .. } = event {
                let name = format!("stopped-{}", record.epoch);
                let left = RunFolder::create(runs.path(), &name).unwrap();
                for file in fs::read_dir(whole.path()).unwrap() {
                    let file = file.unwrap();
                    fs::copy(file.path(), left.path().join(file.file_name())).unwrap();
                }
                stopped.push(left);
            }
        });
        // The line of an epoch whose weights were not saved any more.
        fs::copy(whole.metrics_csv(), stopped[1].metrics_csv()).unwrap();
        for left in stopped {
            train(arch, &left, |_| ());
            assert_eq!(journal(&left), journal(&whole), "{}", left.name());
            assert_same_weights(&left, &whole);
        }
    }
}

#[test]
fn an_early_stop_stays_one() {
    let _turn = alone();
    let runs = tempfile::tempdir().unwrap();
    let run = RunFolder::create(runs.path(), "run").unwrap();
    let (config, mut training) = settings(Arch::Bilstm);
    (training.epochs, training.early_stopping) = (100, 2);
    let mut stops = 0;
    let mut last = Vec::new();
    for _ in 0..2 {
        let model = training::fresh_model(&config, 1, 4, 2, Device::Cpu);
        let data = data(44, 16, &model);
        let progress = training::train(&model, &data, &training, &run, |event| {
            stops += usize::from(matches!(event, Event::StoppedEarly { .. }));
        });
        let progress = progress.unwrap();
        assert_eq!(progress.epoch, progress.best_epoch + 2);
        last.push((progress, fs::read(run.last_ot()).unwrap()));
    }
    assert_eq!(stops, 2);
    assert!(last[0] == last[1], "resuming trained on");
}

#[test]
fn what_can_be_learnt_is_learnt() {
    let _turn = alone();
    let runs = tempfile::tempdir().unwrap();
    let run = RunFolder::create(runs.path(), "run").unwrap();
    let (config, mut training) = settings(Arch::Bilstm);
    training.epochs = 30;
    let model = training::fresh_model(&config, 1, 4, 2, Device::Cpu);
    let data = data(64, 32, &model);
    let progress = training::train(&model, &data, &training, &run, |_| ()).unwrap();
    assert!(progress.best_uar > 0.85, "{progress:?}");
}

#[test]
fn a_loss_that_explodes_stops_with_the_reason_and_keeps_what_was_good() {
    let _turn = alone();
    let runs = tempfile::tempdir().unwrap();
    let run = RunFolder::create(runs.path(), "run").unwrap();
    let (config, training) = settings(Arch::Bilstm);
    let model = training::fresh_model(&config, 1, 4, 2, Device::Cpu);
    let data = data(16, 16, &model);
    let mut poisoned = false;
    let error = training::train(&model, &data, &training, &run, |event| {
        if let (Event::Epoch { record, .. }, false) = (event, poisoned) {
            assert_eq!(record.epoch, 1);
            poisoned = true;
            let (_, mut weights) = model.parameters().remove(0);
            tch::no_grad(|| {
                let _ = weights.fill_(f64::NAN);
            });
        }
    });
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("epoch 2") && error.contains("--learning-rate"),
        "{error}"
    );
    assert_eq!(Journal::read(&run.metrics_csv()).unwrap().len(), 1);
}
