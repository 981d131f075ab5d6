//! What `emovox train` is told, and the configuration that it makes of it.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::commands::{CorpusName, Runs};
use emovox::config::RunConfig;
use emovox::corpus::split::SplitKind;
use emovox::device::DeviceChoice;
use emovox::model::Arch;
use emovox::training::TrainingConfig;

/// Trains a model on a folder of recordings and scores it on speakers it has never heard
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox train
      the built-in synthetic demo corpus, to see that everything works
  emovox train --data data/ravdess
      speakers kept apart: the score holds for a new voice
  emovox train --data data/emodb --test-speakers 03,08 --validation-speakers 16
      these speakers test and validate, the others train
  emovox train --data data/ravdess --arch seed --split random
      the classic notebook recipe; its score says nothing about new voices
  emovox train --resume ravdess-bilstm --epochs 120
      goes on with a run, here for more epochs than were planned
  emovox train --config runs/ravdess-bilstm/config.toml --seed 2 --run second
      the same settings with another seed

The run folder runs/NAME/ holds config.toml, split.csv, metrics.csv (a line an epoch), curves.png,
confusion.png, report.txt, predictions.csv, best.ot and last.ot.")]
pub struct TrainArgs {
    /// The folder with the recordings, or `demo`
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// What corpus it is, if emovox does not recognise it by the file names
    #[arg(long, value_enum, conflicts_with = "resume")]
    pub(super) corpus: Option<CorpusName>,
    /// The run's name [default: CORPUS-ARCH, with a number if that is taken]
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub(super) run: Option<String>,
    #[command(flatten)]
    pub(super) runs: Runs,
    /// Times that every clip is trained on [default: 60, seed: 100]
    #[arg(long, value_name = "N")]
    pub(super) epochs: Option<usize>,
    /// The architecture [default: bilstm]
    #[arg(long, value_enum, conflicts_with = "resume")]
    pub(super) arch: Option<ArchName>,
    /// What the parts keep apart [default: speaker]
    #[arg(long, value_enum, conflicts_with = "resume")]
    pub(super) split: Option<SplitName>,
    /// Speakers that validate, separated by commas
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "resume"
    )]
    pub(super) validation_speakers: Vec<String>,
    /// Speakers that test, separated by commas
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "resume"
    )]
    pub(super) test_speakers: Vec<String>,
    /// Share of the speakers (or clips) that validate [default: 0.15]
    #[arg(long, value_name = "X", conflicts_with = "resume")]
    pub(super) validation_fraction: Option<f64>,
    /// Share of the speakers (or clips) that test [default: 0.2]
    #[arg(long, value_name = "X", conflicts_with = "resume")]
    pub(super) test_fraction: Option<f64>,
    /// Draws the split [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    pub(super) split_seed: Option<u64>,
    /// Clips per step [default: 32, seed: 64]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    pub(super) batch_size: Option<usize>,
    /// The highest learning rate [default: 0.003, seed: 0.001]
    #[arg(long, value_name = "X", conflicts_with = "resume")]
    pub(super) learning_rate: Option<f64>,
    /// Weigh each class by how rare it is
    #[arg(long, conflicts_with = "resume")]
    pub(super) class_weights: bool,
    /// Stop when N epochs brought no better validation UAR (0: never) [default: 0]
    #[arg(long, value_name = "N")]
    pub(super) early_stopping: Option<usize>,
    /// Draws weights, order, dropout and augmentation [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    pub(super) seed: Option<u64>,
    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<DeviceChoice>,
    /// Settings in TOML, as a run writes them; flags win over it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(super) config: Option<PathBuf>,
    /// Go on with this run from its last.ot
    #[arg(long, value_name = "RUN")]
    pub(super) resume: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ArchName {
    /// Bidirectional LSTM over the MFCC frames, pooled by attention
    Bilstm,
    /// LSTM over 40 time-averaged MFCCs, the recipe emovox comes from
    Seed,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum SplitName {
    /// No voice is in two parts
    Speaker,
    /// Clips at random; voices are shared
    Random,
}

/// The recipe, what the file says over it, what the flags say over both.
pub(super) fn configure(args: &TrainArgs) -> Result<RunConfig> {
    let arch = args.arch.map(|arch| match arch {
        ArchName::Bilstm => Arch::Bilstm,
        ArchName::Seed => Arch::Seed,
    });
    let mut config = match &args.config {
        Some(file) => RunConfig::over_recipe(file, arch)?,
        None => RunConfig::recipe(arch.unwrap_or_default()),
    };
    if let Some(data) = &args.data {
        config.data.folder = data.clone();
        config.data.corpus = None;
    }
    if let Some(corpus) = args.corpus {
        config.data.corpus = Some(corpus.into());
    }

    let split = &mut config.split;
    if let Some(kind) = args.split {
        split.kind = match kind {
            SplitName::Speaker => SplitKind::Speaker,
            SplitName::Random => SplitKind::Random,
        };
    }
    if !args.validation_speakers.is_empty() {
        split.validation_speakers = args.validation_speakers.clone();
    }
    if !args.test_speakers.is_empty() {
        split.test_speakers = args.test_speakers.clone();
    }
    set(&mut split.validation_fraction, args.validation_fraction);
    set(&mut split.test_fraction, args.test_fraction);
    set(&mut split.seed, args.split_seed);

    let training = &mut config.training;
    set(&mut training.batch_size, args.batch_size);
    set(&mut training.learning_rate, args.learning_rate);
    set(&mut training.seed, args.seed);
    training.class_weights |= args.class_weights;
    apply_what_may_change(args, training);
    Ok(config)
}

/// The settings that a resumed run may change and still be the same run.
pub(super) fn apply_what_may_change(args: &TrainArgs, training: &mut TrainingConfig) {
    set(&mut training.epochs, args.epochs);
    set(&mut training.early_stopping, args.early_stopping);
    set(&mut training.device, args.device);
}

fn set<T: Copy>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}
