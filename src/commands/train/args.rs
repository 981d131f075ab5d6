//! What `emovox train` is told, and the configuration that it makes of it.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::commands::Runs;
use crate::commands::cache::CacheArgs;
use crate::commands::settings::{Settings, set};
use emovox::config::RunConfig;
use emovox::corpus::Corpus;
use emovox::corpus::split::SplitKind;
use emovox::run::RunFolder;

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
  emovox train --manifest train.csv --root data/mine
      a list of recordings: file, label, speaker and, if there is one, the split it says
  emovox train --manifest urdu_train_fold_1.jsonl --test-manifest urdu_test_fold_1.jsonl --root data/urdu
      a benchmark's lists, as EmoBox publishes them
  emovox train --data ravdess=data/ravdess --data emodb=data/emodb --balance corpus-class
      two corpora as one, on the labels that both have, each class of each heard as often
  emovox train --data data/ravdess --labels anger,happiness,neutral,sadness
      four of its labels
  emovox train --data data/ravdess --arch seed --split random
      the classic notebook recipe; its score says nothing about new voices
  emovox train --resume ravdess-bilstm --epochs 120
      goes on with a run, here for more epochs than were planned
  emovox train --config runs/ravdess-bilstm/config.toml --seed 2 --run second
      the same settings with another seed
  emovox train --data data/emodb --init-weights runs/ravdess-bilstm/best.ot
      fine-tunes: starts from these weights, with a new last layer for other classes; refused if they
      have learned from the test part (--allow-leak notes it beside every score instead)

Ctrl-C (or SIGTERM) finishes the step, saves, and prints the line that goes on; once more stops at
once. A training that was killed goes on with --resume from the last epoch (or five minutes) that
was saved. A resumed run may change --epochs, --early-stopping, --device and --data (where its
recordings have moved to); with another setting it would be another run, and is refused.

The run folder runs/NAME/ holds config.toml, split.csv, skipped.csv, ancestors.csv (with --init-weights:
the recordings behind these weights), metrics.csv (a line an epoch),
curves.png (drawn again while it trains), confusion.png, confusion.csv, recall.png, reliability.png,
report.txt, report.json, predictions.csv, best.ot, last.ot and previous.ot.")]
pub struct TrainArgs {
    #[command(flatten)]
    pub(super) settings: Settings,
    /// The run's name [default: CORPUS-ARCH, with a number if that is taken]
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub(super) run: Option<String>,
    #[command(flatten)]
    pub(super) runs: Runs,
    /// What the parts keep apart [default: speaker]
    #[arg(long, value_enum)]
    pub(super) split: Option<SplitName>,
    /// Speakers that validate, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) validation_speakers: Vec<String>,
    /// Speakers that test, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) test_speakers: Vec<String>,
    /// Share of the speakers (or clips) that validate [default: 0.15]
    #[arg(long, value_name = "X")]
    pub(super) validation_fraction: Option<f64>,
    /// Share of the speakers (or clips) that test [default: 0.2]
    #[arg(long, value_name = "X")]
    pub(super) test_fraction: Option<f64>,
    /// Draws the split [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) split_seed: Option<u64>,
    /// Draws weights, order, dropout and augmentation [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Start from the weights in an .ot file instead of fresh ones
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(super) init_weights: Option<PathBuf>,
    /// Do without no recording: the first one that cannot be used is an error
    #[arg(long)]
    pub(super) strict: bool,
    /// Write events for TensorBoard into the run folder (tensorboard --logdir runs)
    #[arg(long)]
    pub(super) tensorboard: bool,
    /// Go on with this run from its last.ot
    #[arg(long, value_name = "RUN")]
    pub(super) resume: Option<String>,
    /// Go on from previous.ot, where last.ot is broken (which is set aside as broken.ot)
    #[arg(long, requires = "resume")]
    pub(super) from_previous: bool,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum SplitName {
    /// No voice is in two parts
    Speaker,
    /// Clips at random; voices are shared
    Random,
    /// As a manifest says
    Given,
}

/// The recipe, what the file says over it, what the flags say over both.
pub(super) fn configure(args: &TrainArgs) -> Result<RunConfig> {
    let mut config = args.settings.configure()?;
    // The parts that a list gave are of its recordings, and not of others.
    if config.split.kind == SplitKind::Given && config.data.manifest.is_none() {
        config.split.kind = SplitKind::Speaker;
    }
    apply(args, &mut config);
    Ok(config)
}

/// Whether the parts of a manifest are to be kept: it has some, and nothing else was asked for.
pub(super) fn keeps_parts(args: &TrainArgs, config: &RunConfig, corpus: &Corpus) -> bool {
    let split = &config.split;
    let otherwise = args.split.is_some()
        || !split.validation_speakers.is_empty()
        || !split.test_speakers.is_empty();
    config.data.manifest.is_some() && !corpus.given.is_empty() && !otherwise
}

/// What a run was trained with and what the file and the flags say over it, if that is still the
/// same run.
pub(super) fn configure_resumed(args: &TrainArgs, run: &RunFolder) -> Result<RunConfig> {
    let own = RunConfig::read(&run.config_toml())?;
    let mut config = match &args.settings.config {
        Some(file) => own.with(file)?,
        None => own.clone(),
    };
    // What the training found out is not for a file to say.
    config.data = own.data.clone();
    config.calibration = own.calibration.clone();
    if args.settings.data.is_list() {
        bail!(
            "{} has its recordings in its split.csv already; resume it without --manifest (--data tells \
             where they are now, if they have moved)",
            run.name()
        );
    }
    args.settings.data.specify(&mut config);
    args.settings.apply(&mut config);
    apply(args, &mut config);
    let mut differences = own.differences(&config)?;
    if let Some(arch) = args.settings.arch()
        && arch != own.model.arch()
    {
        differences.push((
            "model.arch".into(),
            own.model.arch().to_string(),
            arch.to_string(),
        ));
    }
    differences.retain(|(key, ..)| !MAY_CHANGE.contains(&key.as_str()));
    if !differences.is_empty() {
        let differences: Vec<String> = differences
            .iter()
            .map(|(key, own, asked)| format!("{key} is {own}, not {asked}"))
            .collect();
        bail!(
            "{} would become another run: {}. A resumed run may change --epochs, --early-stopping, \
             --device and --data; for anything else begin a new one: emovox train --config {} …",
            run.name(),
            differences.join("; "),
            run.config_toml().display()
        );
    }
    Ok(config)
}

/// The settings that a resumed run may change and still be the same run.
const MAY_CHANGE: [&str; 3] = [
    "training.epochs",
    "training.early_stopping",
    "training.device",
];

fn apply(args: &TrainArgs, config: &mut RunConfig) {
    let split = &mut config.split;
    if let Some(kind) = args.split {
        split.kind = match kind {
            SplitName::Speaker => SplitKind::Speaker,
            SplitName::Random => SplitKind::Random,
            SplitName::Given => SplitKind::Given,
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
    set(&mut config.training.seed, args.seed);
    if args.init_weights.is_some() {
        config.training.init_weights = args.init_weights.clone();
    }
}
