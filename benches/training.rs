//! Where a training step goes: batch, model, LSTM alone, optimizer, and the step as a whole.
//!
//! ```sh
//! cargo bench --bench training
//! ```
//! The clips are noise of the lengths that RAVDESS has (2 to 4 s once trimmed), so no corpus is needed.

use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tch::nn::{self, RNN};
use tch::{Device, Kind, Tensor};

use emovox::config::RunConfig;
use emovox::dataset::{Batch, PartTensors, Plan, PlannedClip};
use emovox::device;
use emovox::features::Features;
use emovox::model::{Arch, EmotionModel};
use emovox::run::RunFolder;
use emovox::training::{self, AdamW, Data, Event, Spectrum};

const CLASSES: usize = 8;
/// Steps of an epoch of the whole training.
const STEPS: usize = 16;

/// A recipe, its fresh model, and clips of noise to train it on.
struct Desk {
    config: RunConfig,
    model: EmotionModel,
    part: PartTensors,
}

fn desk(arch: Arch) -> Desk {
    tch::manual_seed(1);
    let config = RunConfig::recipe(arch);
    let classes: Vec<String> = (0..CLASSES).map(|class| class.to_string()).collect();
    let width = config.features.coefficients();
    let model = EmotionModel::new(&config.model, width, &classes, Device::Cpu);
    let clips = STEPS * config.training.batch_size;
    let part = noise(&config, &model, clips);
    Desk {
        config,
        model,
        part,
    }
}

fn noise(config: &RunConfig, model: &EmotionModel, clips: usize) -> PartTensors {
    let width = config.features.coefficients();
    // In hops of 12.5 ms or of 23 ms.
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
    PartTensors::new(&rows, &labels, model.normalisation(), Device::Cpu).expect("room for them")
}

/// An epoch's order with every clip at a speed of its own.
fn plan(desk: &Desk) -> Plan<'_> {
    let order = (0..desk.part.clips()).map(|clip| PlannedClip {
        clip,
        speed: 0.9 + 0.2 * (clip % 7) as f64 / 6.0,
    });
    Plan::new(&desk.part, order.collect(), desk.config.training.batch_size)
}

fn loss(model: &EmotionModel, batch: &Batch) -> Tensor {
    let batch = batch.repeated(model.members());
    model
        .training(&batch.features, &batch.lengths)
        .logits
        .cross_entropy_for_logits(&batch.labels)
}

fn parts(c: &mut Criterion) {
    // As emovox itself does.
    device::keep_freed_memory();
    for arch in [Arch::Bilstm, Arch::Seed] {
        let desk = desk(arch);
        let plan = plan(&desk);
        let batch = plan.batch(0).expect("features in memory");
        let mut group = c.benchmark_group(arch.to_string());
        group.bench_function("batch", |b| b.iter(|| black_box(plan.batch(0))));
        group.bench_function("model forward", |b| b.iter(|| loss(&desk.model, &batch)));
        group.bench_function("model backward", |b| {
            let forward = || loss(&desk.model, &batch);
            b.iter_batched(forward, |loss| loss.backward(), BatchSize::PerIteration);
        });
        group.bench_function("optimizer", |b| {
            let mut optimizer = AdamW::new(desk.model.parameters(), &desk.config.training);
            let gradients = || loss(&desk.model, &batch).backward();
            let step = |()| optimizer.step(1e-6, 1.0);
            b.iter_batched(gradients, step, BatchSize::PerIteration);
        });
        group.bench_function("step", |b| b.iter_custom(|steps| whole_steps(&desk, steps)));
        group.finish();
    }
}

/// Forward and backward of an LSTM of the default model alone: one direction, 32 clips of 40 steps.
fn lstm(c: &mut Criterion) {
    let store = nn::VarStore::new(Device::Cpu);
    let lstm = nn::lstm(store.root(), 128, 64, Default::default());
    let steps = Tensor::randn([32, 40, 128], (Kind::Float, Device::Cpu));
    c.bench_function("lstm, one direction", |b| {
        b.iter(|| lstm.seq(&steps).0.sum(Kind::Float).backward());
    });
}

/// Steps as the training does them, augmentation and all: the time between two of its events.
fn whole_steps(desk: &Desk, steps: u64) -> Duration {
    let mut config = desk.config.training.clone();
    // Nothing is told of the time before an epoch's first step and after its last.
    let counted = (STEPS - 1) as u64;
    config.epochs = steps.div_ceil(counted) as usize;
    let data = Data {
        train: noise(&desk.config, &desk.model, STEPS * config.batch_size),
        train_names: vec![String::new(); STEPS * config.batch_size],
        groups: Vec::new(),
        validation: noise(&desk.config, &desk.model, 1),
        spectrum: Spectrum::new(
            &config.augmentation,
            &desk.config.features,
            desk.config.audio.sample_rate,
            desk.model.normalisation(),
            Device::Cpu,
        )
        .expect("a recipe"),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (run, _lock) = RunFolder::create(folder.path(), "bench", |_| Ok(())).expect("a run");
    let mut before = Instant::now();
    let mut total = Duration::ZERO;
    let tell = |event: Event| {
        if let Event::Step { step, .. } = event {
            let now = Instant::now();
            if step > 1 {
                total += now - before;
            }
            before = now;
        }
    };
    let stop = AtomicBool::new(false);
    training::train(&desk.model, &data, &config, &run, &stop, tell).expect("a training");
    total.mul_f64(steps as f64 / (config.epochs as u64 * counted) as f64)
}

criterion_group! {
    name = training;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(4));
    targets = parts, lstm
}
criterion_main!(training);
