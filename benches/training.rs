//! Time of the parts of a training step: batch, model, LSTM alone, optimizer, and the whole step.
//!
//! ```sh
//! cargo bench --bench training
//! EMOVOX_BENCH_DEVICE=cuda cargo bench --bench training
//! ```
//! The clips are noise with the lengths of RAVDESS clips (2 to 4 s after trimming), so no corpus is
//! needed.

use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tch::nn::{self, RNN};
use tch::{Cuda, Device, Kind, Tensor};

use emovox::augment::SpecAugment;
use emovox::config::RunConfig;
use emovox::dataset::{Batch, BatchPlan, SampleSpec, SplitTensors};
use emovox::device::{self, DeviceChoice};
use emovox::features::Features;
use emovox::model::{Arch, EmotionModel};
use emovox::random::ClipSeed;
use emovox::run::RunFolder;
use emovox::training::{self, AdamW, Event, TrainData};

const CLASSES: usize = 8;
/// Number of steps in an epoch.
const STEPS: usize = 16;

/// The device that EMOVOX_BENCH_DEVICE names, such as `cuda`; without it, the CPU.
fn bench_device() -> Device {
    let name = std::env::var("EMOVOX_BENCH_DEVICE").unwrap_or("cpu".into());
    let choice: DeviceChoice = name.parse().expect("the name of a device");
    choice.resolve().expect("the device")
}

/// Waits for the work that a GPU has not completed.
fn wait_for(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// A recipe, a model with random weights, and clips of noise.
struct Setup {
    config: RunConfig,
    model: EmotionModel,
    tensors: SplitTensors,
}

fn setup(arch: Arch) -> Setup {
    // The seed must come after the search for a GPU.
    bench_device();
    tch::manual_seed(1);
    let config = RunConfig::recipe(arch);
    let classes: Vec<String> = (0..CLASSES).map(|class| class.to_string()).collect();
    let width = config.features.coefficients();
    let model = EmotionModel::new(&config.model, width, &classes, bench_device());
    let clips = STEPS * config.training.batch_size;
    let tensors = noise(&config, &model, clips);
    Setup {
        config,
        model,
        tensors,
    }
}

fn noise(config: &RunConfig, model: &EmotionModel, clips: usize) -> SplitTensors {
    let width = config.features.coefficients();
    // Number of frames with hops of 23 ms or of 12.5 ms.
    let shortest = if config.features.hop_length > 300 {
        80
    } else {
        100
    };
    let features: Vec<Features> = (0..clips)
        .map(|clip| {
            let frames = shortest + (clip * 37) % 100;
            let values = Tensor::randn([(frames * width) as i64], (Kind::Float, Device::Cpu));
            let values = Vec::try_from(values).expect("floats");
            Features::new(frames, width, values).expect("frames × width")
        })
        .collect();
    let rows: Vec<&Features> = features.iter().collect();
    let labels: Vec<usize> = (0..clips).map(|clip| clip % CLASSES).collect();
    SplitTensors::new(&rows, &labels, model.normalisation(), model.device()).expect("room for them")
}

/// The batches of an epoch with clips of different speeds.
fn plan(setup: &Setup) -> BatchPlan<'_> {
    let order = (0..setup.tensors.clips()).map(|clip| SampleSpec {
        clip,
        version: 0,
        speed: 0.9 + 0.2 * (clip % 7) as f64 / 6.0,
    });
    let order: Vec<SampleSpec> = order.collect();
    let batches = order.chunks(setup.config.training.batch_size);
    let batches: Vec<Vec<SampleSpec>> = batches.map(<[_]>::to_vec).collect();
    BatchPlan::new(&setup.tensors, &batches)
}

fn loss(model: &EmotionModel, batch: &Batch) -> Tensor {
    let seeds: Vec<ClipSeed> = (0..batch.labels.size()[0] as usize)
        .map(|clip| ClipSeed::new(1, 1, clip, 0))
        .collect();
    model
        .forward_train(0..1, &batch.features, &batch.lengths, &seeds)
        .logits
        .squeeze_dim(0)
        .cross_entropy_for_logits(&batch.labels)
}

fn parts(c: &mut Criterion) {
    // The program does the same.
    device::keep_freed_memory();
    for arch in [Arch::Bilstm, Arch::MeanLstm] {
        let setup = setup(arch);
        let plan = plan(&setup);
        let batch = plan.batch(0).expect("features in memory");
        let mut group = c.benchmark_group(arch.to_string());
        let device = setup.model.device();
        group.bench_function("batch", |b| {
            b.iter(|| {
                black_box(plan.batch(0)).expect("features in memory");
                wait_for(device);
            });
        });
        group.bench_function("model forward", |b| {
            b.iter(|| {
                let loss = loss(&setup.model, &batch);
                wait_for(device);
                loss
            });
        });
        group.bench_function("model backward", |b| {
            let forward = || {
                let loss = loss(&setup.model, &batch);
                wait_for(device);
                loss
            };
            let backward = |loss: Tensor| {
                loss.backward();
                wait_for(device);
            };
            b.iter_batched(forward, backward, BatchSize::PerIteration);
        });
        group.bench_function("optimizer", |b| {
            let mut optimizer = AdamW::new(setup.model.parameters(), &setup.config.training);
            let parameters = setup.model.parameters().into_iter();
            let gradients: Vec<Tensor> = parameters.map(|(_, x)| x.ones_like()).collect();
            b.iter(|| {
                optimizer.step(&gradients, 1e-6, 1.0);
                wait_for(device);
            });
        });
        group.bench_function("step", |b| {
            b.iter_custom(|steps| whole_steps(&setup, steps))
        });
        group.finish();
    }
}

/// Forward and backward pass of one LSTM of the default model: one direction, 32 clips of 40 steps.
fn lstm(c: &mut Criterion) {
    let device = bench_device();
    let store = nn::VarStore::new(device);
    let lstm = nn::lstm(store.root(), 128, 64, Default::default());
    let steps = Tensor::randn([32, 40, 128], (Kind::Float, device));
    c.bench_function("lstm, one direction", |b| {
        b.iter(|| {
            lstm.seq(&steps).0.sum(Kind::Float).backward();
            wait_for(device);
        });
    });
}

/// Time of complete training steps, including augmentation, measured between the events of two
/// steps.
fn whole_steps(setup: &Setup, steps: u64) -> Duration {
    let mut config = setup.config.training.clone();
    // The first step of an epoch has no event before it, so it is not measured.
    let counted = (STEPS - 1) as u64;
    config.epochs = steps.div_ceil(counted) as usize;
    let data = TrainData {
        identity: Vec::new(),
        train: noise(&setup.config, &setup.model, STEPS * config.batch_size),
        train_names: vec![String::new(); STEPS * config.batch_size],
        groups: Vec::new(),
        corpora: Vec::new(),
        validation: noise(&setup.config, &setup.model, 1),
        spec_augment: SpecAugment::new(
            &config.augmentation,
            &setup.config.features,
            setup.config.audio.sample_rate,
            setup.model.normalisation(),
            setup.model.device(),
        )
        .expect("a recipe"),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (run, _lock) = RunFolder::create(folder.path(), "bench", |_| Ok(())).expect("a run");
    let mut before = Instant::now();
    let mut total = Duration::ZERO;
    let callback = |event: Event| {
        if let Event::Step { step, .. } = event {
            let now = Instant::now();
            if step > 1 {
                total += now - before;
            }
            before = now;
        }
    };
    let stop = AtomicBool::new(false);
    training::train(&setup.model, &data, &config, &run, &stop, callback).expect("a training");
    total.mul_f64(steps as f64 / (config.epochs as u64 * counted) as f64)
}

criterion_group! {
    name = training;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(4));
    targets = parts, lstm
}
criterion_main!(training);
