//! The optimizer compared with PyTorch, and the guarantees of the training loop: the same seed
//! gives the same bytes, and an interrupted run ends like an uninterrupted run.

mod env;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use emovox::config::RunConfig;
use emovox::dataset::SplitTensors;
use emovox::features::Features;
use emovox::model::{self, Arch, EmotionModel, ModelConfig};
use emovox::run::RunFolder;
use emovox::training::{
    self, AdamW, CheckpointSelection, Event, NonFiniteLoss, Progress, Schedule, TrainData,
    TrainingConfig, saved_state,
};
use env::device::{device, is_exact};
use env::metrics_without_seconds;
use serde_json::Value;
use tch::{Device, Tensor};
use tempfile::TempDir;

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
            // The gradient of the product with a tensor is that tensor.
            let gradient = |step: i64, count: i64| {
                let values: Vec<f32> = (0..count)
                    .map(|i| (3.0 * (1.7 * step as f64 + 0.9 * i as f64).sin()) as f32)
                    .collect();
                Tensor::from_slice(&values)
            };
            let loss = (&matrix * gradient(step, 6).view([3, 2])).sum(tch::Kind::Float)
                + (&vector * gradient(step + 100, 2)).sum(tch::Kind::Float);
            let clip_norm = number(&case["clip_norm"]);
            let learning_rate = 1e-2 * (1.0 + (step as f64).sin());
            let mut gradients = Tensor::run_backward(&[loss], &[&matrix, &vector], false, false);
            if step % 2 == 1 {
                // The gradient of a transposed weight: the same numbers in another order of memory.
                gradients[0] = gradients[0].tr().contiguous().tr();
            }
            optimizer.step(&gradients, learning_rate, clip_norm);
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

/// After the first step of Adam each weight has moved by the learning rate, whatever its gradient.
#[test]
fn the_body_of_initial_weights_learns_at_its_own_rate() {
    for (init_weights, body_learning_rate, expected) in [
        (Some("any.ot"), 0.25, [0.25, 1.0]),
        (Some("any.ot"), 0.0, [0.0, 1.0]),
        (None, 0.25, [1.0, 1.0]),
    ] {
        let config = TrainingConfig {
            weight_decay: 0.0,
            init_weights: init_weights.map(Into::into),
            body_learning_rate,
            ..TrainingConfig::default()
        };
        let names = ["members.0.input.weight", "members.0.output.bias"];
        let weights =
            names.map(|name| (name.to_string(), Tensor::zeros([3], tch::kind::FLOAT_CPU)));
        let mut optimizer = AdamW::new(
            weights
                .iter()
                .map(|(name, weight)| (name.clone(), weight.shallow_clone()))
                .collect(),
            &config,
        );
        let gradient = Tensor::from_slice(&[-2.0f32, 0.5, 7.0]);
        optimizer.step(
            &[gradient.shallow_clone(), gradient.shallow_clone()],
            0.1,
            0.0,
        );
        for ((_, weight), rate) in weights.iter().zip(expected) {
            let moved = Vec::<f32>::try_from(weight).unwrap();
            for (moved, direction) in moved.iter().zip([1.0, -1.0, -1.0]) {
                assert!(
                    (f64::from(*moved) - 0.1 * rate * direction).abs() < 1e-6,
                    "{moved} {rate}"
                );
            }
        }
    }
}

/// Clips of two classes: one coefficient rises or falls over time, the others are noise.
fn clips(clips: usize, offset: usize) -> Vec<(Features, usize)> {
    (0..clips)
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
        .collect()
}

fn part(count: usize, offset: usize, model: &EmotionModel) -> SplitTensors {
    let clips = clips(count, offset);
    let (features, labels): (Vec<&Features>, Vec<usize>) = clips
        .iter()
        .map(|(features, label)| (features, *label))
        .unzip();
    SplitTensors::new(&features, &labels, model.normalisation(), model.device()).unwrap()
}

fn data(train: usize, validation: usize, model: &EmotionModel) -> TrainData {
    TrainData {
        identity: Vec::new(),
        train: part(train, 0, model),
        validation: part(validation, 1000, model),
        spec_augment: None,
        train_names: (0..train).map(|clip| format!("clip-{clip}.wav")).collect(),
        groups: Vec::new(),
        corpora: Vec::new(),
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
        ModelConfig::MeanLstm(config) => config.hidden = 16,
    }
    (training.epochs, training.batch_size) = (6, 8);
    (model, training)
}

/// A stop flag that is never set.
static GO: AtomicBool = AtomicBool::new(false);

fn fresh_model(config: &ModelConfig) -> EmotionModel {
    model_on(device(), config)
}

fn model_on(device: Device, config: &ModelConfig) -> EmotionModel {
    let classes = ["rising".to_string(), "falling".to_string()];
    training::fresh_model(config, 1, 4, &classes, device)
}

/// An empty run folder.
fn folder(runs: &TempDir, name: &str) -> RunFolder {
    RunFolder::create(runs.path(), name, |_| Ok(())).unwrap().0
}

fn train_until(
    arch: Arch,
    run: &RunFolder,
    stop: &AtomicBool,
    mut callback: impl FnMut(Event),
) -> Progress {
    let (config, training) = settings(arch);
    let model = fresh_model(&config);
    let data = data(44, 16, &model);
    training::train(&model, &data, &training, run, stop, &mut callback).unwrap()
}

fn train(arch: Arch, run: &RunFolder, callback: impl FnMut(Event)) -> Progress {
    train_until(arch, run, &GO, callback)
}

/// Largest difference between the losses of equal trainings on a GPU.
const TOLERANCE: f64 = 1e-3;

/// Asserts that two runs have the same metrics and weights: to the last bit, on a GPU within a
/// tolerance of the losses.
#[track_caller]
fn assert_same_training(a: &RunFolder, b: &RunFolder) {
    let [a_metrics, b_metrics] = [a, b].map(|run| metrics_without_seconds(run.path()));
    if !is_exact() {
        assert_eq!(a_metrics.len(), b_metrics.len());
        for (a, b) in a_metrics.iter().zip(b_metrics) {
            assert!(
                (a.train_loss - b.train_loss).abs() < TOLERANCE,
                "{a:?} {b:?}"
            );
            assert!(
                (a.validation_loss - b.validation_loss).abs() < TOLERANCE,
                "{a:?} {b:?}"
            );
        }
        return;
    }
    assert_eq!(a_metrics, b_metrics);
    let read = |run: &RunFolder| fs::read(run.best_ot()).unwrap();
    assert!(
        read(a) == read(b),
        "{} differs from {}",
        a.best_ot().display(),
        b.name()
    );
    // The complete state except for the seconds.
    let state = |run: &RunFolder| {
        let mut state = model::read_tensors(&run.last_ot(), Device::Cpu).unwrap();
        state.retain(|name, _| name != "training.epochs");
        state
    };
    assert_eq!(state(a), state(b), "{} and {}", a.name(), b.name());
}

/// With `EMOVOX_TEST_DEVICE=cuda`, this compares a GPU with the CPU.
#[test]
fn every_device_starts_from_the_same_weights_and_predicts_the_same() {
    for arch in [Arch::Bilstm, Arch::MeanLstm] {
        let (config, _) = settings(arch);
        let [on_cpu, on_device] = [Device::Cpu, device()].map(|device| model_on(device, &config));
        for ((name, expected), (_, weights)) in on_cpu.tensors().iter().zip(on_device.tensors()) {
            assert_eq!(*expected, weights.to_device(Device::Cpu), "{name}");
        }
        let score = |model: &EmotionModel| training::score(model, &part(16, 0, model), 8).unwrap();
        let ((_, expected), (_, loss)) = (score(&on_cpu), score(&on_device));
        assert!((loss - expected).abs() < 1e-5, "{arch}: {loss} {expected}");
    }
}

/// On a GPU, predictions have larger batches than on a CPU.
#[test]
fn the_batch_size_does_not_change_predictions() {
    for arch in [Arch::Bilstm, Arch::MeanLstm] {
        let (config, _) = settings(arch);
        let model = fresh_model(&config);
        let clips = part(44, 0, &model);
        let [small, large] = [8, 512].map(|size| {
            let (predictions, loss) = training::score(&model, &clips, size).unwrap();
            assert!(loss.is_finite());
            predictions.probabilities.concat()
        });
        assert_eq!(small.len(), 88);
        for (a, b) in small.iter().zip(large) {
            assert!((a - b).abs() < 1e-6, "{arch}: {a} {b}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let runs = tempfile::tempdir().unwrap();
    for arch in [Arch::Bilstm, Arch::MeanLstm] {
        let [first, second] =
            ["first", "second"].map(|name| folder(&runs, &format!("{arch}-{name}")));
        let progress = train(arch, &first, |_| ());
        assert_eq!(progress.epochs.len(), 6);
        train(arch, &second, |_| ());
        assert_same_training(&first, &second);
    }
}

/// Only a CPU reads clips from files in every step.
#[test]
fn memory_mapped_clips_give_the_same_bytes() {
    let runs = tempfile::tempdir().unwrap();
    for arch in [Arch::Bilstm, Arch::MeanLstm] {
        let (config, training) = settings(arch);
        let train = |name: &str, is_resident: bool| {
            let run = folder(&runs, &format!("{arch}-{name}"));
            let model = model_on(Device::Cpu, &config);
            let part = |count, offset| {
                let clips = clips(count, offset);
                let features: Vec<&Features> = clips.iter().map(|(features, _)| features).collect();
                let labels: Vec<usize> = clips.iter().map(|(_, label)| *label).collect();
                SplitTensors::on_disk(&features, &labels, model.normalisation())
            };
            let mut data = data(44, 16, &model);
            if !is_resident {
                (data.train, data.validation) = (part(44, 0), part(16, 1000));
            }
            training::train(&model, &data, &training, &run, &GO, |_| ()).unwrap();
            run
        };
        assert_same_training(&train("resident", true), &train("apart", false));
    }
}

/// A copy of the run folder, as a process killed at this moment would leave it.
fn left_of(run: &RunFolder, runs: &TempDir, name: &str) -> RunFolder {
    let left = folder(runs, name);
    for file in fs::read_dir(run.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), left.path().join(file.file_name())).unwrap();
    }
    left
}

#[test]
fn a_run_killed_after_any_epoch_ends_like_an_uninterrupted_run() {
    for arch in [Arch::Bilstm, Arch::MeanLstm] {
        let runs = tempfile::tempdir().unwrap();
        let whole = folder(&runs, "whole");
        let mut killed = Vec::new();
        train(arch, &whole, |event| {
            if let Event::Epoch { record, .. } = event {
                killed.push(left_of(&whole, &runs, &format!("killed-{}", record.epoch)));
            }
        });
        // Three kills: between the two renames of a checkpoint, before the files that depend on the
        // checkpoint are written, and with only the checkpoint left.
        fs::remove_file(killed[1].last_ot()).unwrap();
        fs::copy(killed[0].metrics_csv(), killed[2].metrics_csv()).unwrap();
        fs::copy(killed[0].best_ot(), killed[2].best_ot()).unwrap();
        for file in [
            killed[3].metrics_csv(),
            killed[3].best_ot(),
            killed[3].previous_ot(),
        ] {
            fs::remove_file(file).unwrap();
        }
        for left in killed {
            train(arch, &left, |_| ());
            assert_same_training(&left, &whole);
        }
    }
}

#[test]
fn a_run_stopped_after_any_step_ends_like_an_uninterrupted_run() {
    for arch in [Arch::Bilstm, Arch::MeanLstm] {
        let runs = tempfile::tempdir().unwrap();
        let whole = folder(&runs, "whole");
        train(arch, &whole, |_| ());
        // Stops after the first step, after the last step of an epoch, and between.
        for every in [1, 4, 6] {
            let stopped = folder(&runs, &format!("stopped-{every}"));
            let stops = (0..).take_while(|_| {
                let (stop, mut steps) = (AtomicBool::new(false), 0);
                let progress = train_until(arch, &stopped, &stop, |event| {
                    steps += usize::from(matches!(event, Event::Step { .. }));
                    stop.store(steps == every, Ordering::Relaxed);
                });
                !progress.is_over(&settings(arch).1)
            });
            assert_eq!(stops.count(), 6 * 6 / every, "6 epochs of 6 steps");
            assert_same_training(&stopped, &whole);
        }
    }
}

#[test]
fn a_run_that_stopped_early_is_not_continued() {
    let runs = tempfile::tempdir().unwrap();
    let run = folder(&runs, "run");
    let (config, mut training) = settings(Arch::Bilstm);
    (training.epochs, training.early_stopping) = (100, 2);
    let mut stops = 0;
    let mut last = Vec::new();
    for _ in 0..2 {
        let model = fresh_model(&config);
        let data = data(44, 16, &model);
        let progress = training::train(&model, &data, &training, &run, &GO, |event| {
            stops += usize::from(matches!(event, Event::StoppedEarly { .. }));
        });
        let progress = progress.unwrap();
        let best = progress.best().unwrap().epoch;
        assert_eq!(progress.epochs.len(), best + 2);
        last.push((progress, fs::read(run.last_ot()).unwrap()));
    }
    assert_eq!(stops, 2);
    assert!(last[0] == last[1], "resuming trained on");
}

/// The weights in `best.ot` must have the validation loss of the selected epoch.
#[test]
fn the_saved_weights_are_those_of_the_selected_epoch() {
    for keep in [CheckpointSelection::Best, CheckpointSelection::Last] {
        let runs = tempfile::tempdir().unwrap();
        let run = folder(&runs, "run");
        let (config, mut training) = settings(Arch::Bilstm);
        // At this high learning rate, the best epoch is not the last one.
        (training.checkpoint_selection, training.schedule) = (keep, Schedule::Constant);
        (training.learning_rate, training.epochs) = (0.1, 9);
        let model = fresh_model(&config);
        let data = data(44, 16, &model);
        let progress = training::train(&model, &data, &training, &run, &GO, |_| ()).unwrap();
        assert_ne!(progress.best(), progress.epochs.last());
        training::load_selected(&model, &run).unwrap();
        let (_, loss) = training::score(&model, &data.validation, 8).unwrap();
        let expected = match keep {
            CheckpointSelection::Best => progress.best(),
            CheckpointSelection::Last => progress.epochs.last(),
        };
        let difference = (loss - expected.unwrap().validation_loss).abs();
        assert!(difference == 0.0 || !is_exact() && difference < TOLERANCE);
        assert_eq!(progress.selected(&training), expected);
    }
}

#[test]
fn separable_classes_are_learnt() {
    let runs = tempfile::tempdir().unwrap();
    let run = folder(&runs, "run");
    let (config, mut training) = settings(Arch::Bilstm);
    training.epochs = 30;
    let model = fresh_model(&config);
    let data = data(64, 32, &model);
    let progress = training::train(&model, &data, &training, &run, &GO, |_| ()).unwrap();
    assert!(
        progress.best().unwrap().validation_uar > 0.85,
        "{progress:?}"
    );
}

#[test]
fn a_nan_loss_stops_with_the_reason_and_keeps_the_last_good_checkpoint() {
    let runs = tempfile::tempdir().unwrap();
    let run = folder(&runs, "run");
    let (config, training) = settings(Arch::Bilstm);
    let model = fresh_model(&config);
    let data = data(16, 16, &model);
    let error = training::train(&model, &data, &training, &run, &GO, |event| {
        if let Event::Step {
            epoch: 2, step: 1, ..
        } = event
        {
            let (_, mut weights) = model.parameters().remove(0);
            tch::no_grad(|| {
                let _ = weights.fill_(f64::NAN);
            });
        }
    });
    let error = error.unwrap_err();
    let loss: &NonFiniteLoss = error.downcast_ref().unwrap();
    assert_eq!((loss.epoch, loss.step, loss.clips.len()), (2, 2, 8));
    let text = error.to_string();
    for words in ["step 2 of epoch 2", "--learning-rate", "clip-"] {
        assert!(text.contains(words), "{text}");
    }
    let saved = saved_state(&run, &fresh_model(&config), &training, false).unwrap();
    assert_eq!(saved.progress.epochs.len(), 1);
}
