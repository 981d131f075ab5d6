//! A run folder like that of a trained run, without a training.

use emovox::config::RunConfig;
use emovox::corpus::split::Subset;
use emovox::corpus::{Clip, CorpusKind};
use emovox::evaluation::EpochMetrics;
use emovox::model::{BilstmConfig, EmotionModel, ModelConfig, save_weights};
use emovox::run::{RunFolder, write_metrics, write_split};
use tch::{Device, Tensor};

use super::TestEnv;

/// Settings of a run with a given model on the features of [`SMALL`](super::SMALL).
pub fn tiny_config(model: ModelConfig, classes: &[&str]) -> RunConfig {
    let mut config = RunConfig::recipe(model.arch());
    config.model = model;
    config.features.n_mfcc = 13;
    config.features.n_mels = 32;
    config.features.hop_length = 400;
    config.data.corpus = Some(CorpusKind::Folders);
    config.data.classes = classes.iter().map(|class| class.to_string()).collect();
    config
}

/// A small network of the default architecture.
pub fn tiny_bilstm() -> BilstmConfig {
    BilstmConfig {
        ensemble_size: 1,
        input: 16,
        hidden: 12,
        heads: 2,
        ..BilstmConfig::default()
    }
}

/// A run folder with random weights, normalisation statistics other than 0 and 1, one epoch, and three
/// clips of three speakers, one in each subset.
pub fn tiny_run(env: &TestEnv, name: &str, config: &RunConfig) -> RunFolder {
    // libtorch looks for GPUs only once, at a seed at the latest.
    super::device::device();
    tch::manual_seed(11);
    let width = config.features.coefficients();
    let model = EmotionModel::new(&config.model, width, &config.data.classes, Device::Cpu);
    model
        .normalisation()
        .fit(&(Tensor::randn([400, width as i64], tch::kind::FLOAT_CPU) * 7.0 - 3.0));
    let clip = |speaker: &str| Clip {
        file: format!("joy/{speaker}/1.wav").into(),
        label: "joy".into(),
        corpus_label: "joy".into(),
        corpus: String::new(),
        speaker: speaker.into(),
        sentence: String::new(),
        content: None,
    };
    let clips = [clip("v01"), clip("v02"), clip("v03")];
    let parts = [Subset::Train, Subset::Validation, Subset::Test];
    let epoch = EpochMetrics {
        epoch: 1,
        train_loss: 1.0,
        train_accuracy: 0.5,
        validation_loss: 1.0,
        validation_accuracy: 0.5,
        validation_uar: 0.5,
        learning_rate: 1e-3,
        seconds: 1.0,
    };
    let (run, _lock) = RunFolder::create(&env.path("runs"), name, |run| {
        config.write(&run.config_toml())?;
        write_split(&run.split_csv(), &clips, &parts)?;
        write_metrics(&run.metrics_csv(), std::slice::from_ref(&epoch))?;
        save_weights(&model, &model.tensors(), &run.best_ot())
    })
    .unwrap();
    run
}
