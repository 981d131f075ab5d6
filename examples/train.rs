//! Trains on your own recordings in folders CLASS/SPEAKER/clip.wav, and scores the model on
//! speakers that are not in the training subset: `cargo run --release --example train -- data/mine
//! 20`

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use emovox::config::RunConfig;
use emovox::corpus;
use emovox::dataset::{FeatureCache, FeatureDataset};
use emovox::distributed::ProcessGroup;
use emovox::experiments::Experiment;
use emovox::model::Arch;
use emovox::training::Event;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        anyhow::bail!("usage: train FOLDER [EPOCHS]");
    };
    let mut config = RunConfig::recipe(Arch::Bilstm);
    if let Some(epochs) = arguments.next() {
        config.training.epochs = epochs.to_string_lossy().parse()?;
    }

    let corpus = corpus::scan(&folder, None)?;
    let cache = FeatureCache::of_user();
    let (audio, features) = (&config.audio, &config.features);
    let loaded = FeatureDataset::read(&corpus, audio, features, cache.as_ref(), || {})?;
    println!(
        "{} clips of {} speakers",
        loaded.clips.len(),
        corpus::speakers(&loaded.clips).len()
    );

    let mut experiment = Experiment::begin(
        config,
        &corpus,
        loaded,
        Path::new("runs"),
        None,
        ProcessGroup::single(),
    )?;
    let model = experiment.model()?;
    // If another thread sets this to true, the training saves a checkpoint and returns.
    let stop = AtomicBool::new(false);
    let copies = experiment.disturbed_copies(&experiment.noise.waveforms, &stop, || ())?;
    let progress = experiment.train(&model, copies, &stop, |event| {
        if let Event::Epoch { record, .. } = event {
            println!("epoch {}: loss {:.3}", record.epoch, record.train_loss);
        }
    })?;
    // The test subset is used only here.
    let report = experiment.score(&model, &progress)?;
    println!("{}{}", report.text(), experiment.run.path().display());
    Ok(())
}
