//! Trains on recordings of one's own, laid out as CLASS/SPEAKER/clip.wav, and scores the model on speakers
//! that it has never heard: `cargo run --release --example train -- data/mine 20`

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use emovox::config::RunConfig;
use emovox::corpus;
use emovox::dataset::{FeatureCache, Loaded};
use emovox::distributed::Ranks;
use emovox::experiment::Experiment;
use emovox::model::Arch;
use emovox::training::Event;

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args_os().skip(1);
    let Some(folder) = words.next().map(PathBuf::from) else {
        anyhow::bail!("which folder? and how many epochs?");
    };
    let mut config = RunConfig::recipe(Arch::Bilstm);
    if let Some(epochs) = words.next() {
        config.training.epochs = epochs.to_string_lossy().parse()?;
    }

    let corpus = corpus::scan(&folder, None)?;
    let cache = FeatureCache::of_user();
    let (audio, features) = (&config.audio, &config.features);
    let loaded = Loaded::read(&corpus, audio, features, cache.as_ref(), || {})?;
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
        Ranks::alone(),
    )?;
    let model = experiment.model()?;
    // Another thread may set it to true: the training saves, and returns.
    let stop = AtomicBool::new(false);
    let progress = experiment.train(&model, &stop, |event| {
        if let Event::Epoch { record, .. } = event {
            println!("epoch {}: loss {:.3}", record.epoch, record.train_loss);
        }
    })?;
    // The one time that the test part is looked at.
    let report = experiment.score(&model, &progress)?;
    println!("{}{}", report.text(), experiment.run.path().display());
    Ok(())
}
