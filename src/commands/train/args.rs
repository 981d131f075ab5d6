//! The arguments of `emovox train`, and the configuration that they result in.

use anyhow::{Result, bail};
use clap::Args;

use crate::commands::Runs;
use crate::commands::cache::CacheArgs;
use crate::commands::settings::{Settings, set};
use emovox::config::RunConfig;
use emovox::corpus::Corpus;
use emovox::corpus::split::SplitKind;
use emovox::escape::shell_word;
use emovox::run::RunFolder;
use emovox::training::CheckpointSelection;

/// Train a model on recordings, and score it on speakers that are not in the training subset
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox train
      the built-in synthetic demo corpus, as a check that everything works
  emovox train --data data/ravdess
      a speaker-independent split: the score predicts the score on new speakers
  emovox train --data data/emodb --test-speakers 03,08 --validation-speakers 16
      these speakers are for test and validation, the others for training
  emovox train --manifest train.csv --root data/mine
      a manifest: file, label, speaker and, if there are such columns, the split, and start and end
      of a segment in seconds
  emovox train --manifest urdu_train_fold_1.jsonl --test-manifest urdu_test_fold_1.jsonl \\
      --root data/urdu
      the manifests of a benchmark, in the format of EmoBox
  emovox train --data ravdess=data/ravdess --data emodb=data/emodb --balance corpus-class
      two corpora with their common labels; each class of each corpus is equally frequent
  emovox train --data data/ravdess --labels anger,happiness,neutral,sadness
      four labels of the corpus
  emovox train --data data/ravdess --arch mean-lstm --split random
      the recipe of many notebooks; its score does not predict the score on new speakers
  emovox train --resume ravdess-bilstm --epochs 500
      continue a run, here with more epochs than planned
  emovox train --config runs/ravdess-bilstm/config.toml --seed 2 --run second
      the same settings with another seed
  emovox train --data data/emodb --init-weights runs/ravdess-bilstm/best.ot
      fine-tuning: start from these weights, with a new last layer for other classes; rejected if
      they were trained on test clips or speakers (with --allow-leak, noted beside every score
      instead)

Ctrl-C (or SIGTERM) finishes the step, saves, and prints the command that continues the run; a \
second Ctrl-C ends the process immediately. A killed training continues with --resume from the \
last saved state (saved after each epoch, and every five minutes). A resumed run may change \
--epochs, --early-stopping, --device and --data (if its recordings have moved); any other change \
is rejected.

The run folder runs/NAME/ contains config.toml, split.csv, skipped.csv, ancestors.csv (with \
--init-weights: the training recordings of these weights), metrics.csv (one line per epoch), \
curves.png (updated during the training), confusion.png, confusion.csv, recall.png, \
reliability.png, report.txt, report.json, predictions.csv, best.ot, last.ot and previous.ot.")]
pub struct TrainArgs {
    #[command(flatten)]
    pub(super) settings: Settings,
    /// Name of the run [default: CORPUS-ARCH, with a number if that is taken]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["resume", "from_previous"])]
    pub(super) run: Option<String>,
    #[command(flatten)]
    pub(super) runs: Runs,
    /// Kind of the split [default: speaker]
    #[arg(long, value_enum)]
    pub(super) split: Option<SplitKind>,
    /// Speakers of the validation subset, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) validation_speakers: Vec<String>,
    /// Speakers of the test subset, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) test_speakers: Vec<String>,
    /// Fraction of the speakers (or clips) for validation; 0 needs --test-fraction 0 or --validation-speakers [default: 0.15]
    #[arg(long, value_name = "X")]
    pub(super) validation_fraction: Option<f64>,
    /// Fraction of the speakers (or clips) for the test; 0 for a final model [default: 0.2]
    #[arg(long, value_name = "X")]
    pub(super) test_fraction: Option<f64>,
    /// Random seed of the split [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) split_seed: Option<u64>,
    /// Random seed of weights, order, dropout and augmentation [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Fail on the first unusable recording instead of skipping it
    #[arg(long)]
    pub(super) strict: bool,
    /// Write events for TensorBoard into the run folder (tensorboard --logdir runs)
    #[arg(long)]
    pub(super) tensorboard: bool,
    /// Continue this run from its last.ot
    #[arg(long, value_name = "RUN", conflicts_with = "init_weights")]
    pub(super) resume: Option<String>,
    /// Continue from previous.ot, if last.ot is damaged (it is renamed to broken.ot)
    // clap drops a requirement that conflicts with another flag.
    #[arg(long, requires = "resume", conflicts_with = "init_weights")]
    pub(super) from_previous: bool,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
}

/// The recipe, overridden by the settings file and then by the flags.
pub(super) fn configure(args: &TrainArgs) -> Result<RunConfig> {
    let mut config = args.settings.configure()?;
    // The subsets of a manifest are only for the recordings in it.
    if config.split.kind == SplitKind::Given && config.data.manifest.is_none() {
        config.split.kind = SplitKind::Speaker;
    }
    apply(args, &mut config);
    Ok(config)
}

/// True if the subsets of a manifest or a folder are used: it defines them, and no other split is
/// requested.
pub(super) fn keeps_subsets(args: &TrainArgs, config: &RunConfig, corpus: &Corpus) -> bool {
    let split = &config.split;
    let other_split = args.split.is_some()
        || !split.validation_speakers.is_empty()
        || !split.test_speakers.is_empty()
        || split.is_without_test();
    !corpus.given.is_empty() && !corpus.given_on_request && !other_split
}

/// The settings of a run, overridden by the settings file and then by the flags.
///
/// # Errors
/// Fails if a setting differs that a resumed run must not change; the message names it.
pub(super) fn configure_resumed(args: &TrainArgs, run: &RunFolder) -> Result<RunConfig> {
    let recorded = RunConfig::read(&run.config_toml())?;
    let mut config = match &args.settings.config {
        Some(file) => recorded.with(file)?,
        None => recorded.clone(),
    };
    // A settings file must not change the results of the training.
    config.data = recorded.data.clone();
    config.calibration = recorded.calibration.clone();
    if args.settings.data.is_list() {
        bail!(
            "{} has its recordings in its split.csv; resume it without --manifest (if the recordings \
             have moved, --data gives their new folder)",
            run.name()
        );
    }
    args.settings.data.specify(&mut config);
    args.settings.apply(&mut config)?;
    apply(args, &mut config);
    let may_not_change = |key: &str| !MAY_CHANGE.contains(&key);
    let mut differences = recorded.difference_texts(&config, may_not_change)?;
    if let Some(arch) = args.settings.arch
        && arch != recorded.model.arch()
    {
        differences.push(format!(
            "model.arch is {}, not {arch}",
            recorded.model.arch()
        ));
    }
    if !differences.is_empty() {
        bail!(
            "the settings differ from those of {}: {}. A resumed run may change --epochs, \
             --early-stopping, --device and --data; for other changes start a new run: emovox train \
             --config {} …",
            run.name(),
            differences.join("; "),
            shell_word(&run.config_toml().display().to_string())
        );
    }
    Ok(config)
}

/// The settings that a resumed run may change.
const MAY_CHANGE: [&str; 3] = [
    "training.epochs",
    "training.early_stopping",
    "training.device",
];

fn apply(args: &TrainArgs, config: &mut RunConfig) {
    let split = &mut config.split;
    set(&mut split.kind, args.split);
    if !args.validation_speakers.is_empty() {
        split.validation_speakers = args.validation_speakers.clone();
    }
    if !args.test_speakers.is_empty() {
        split.test_speakers = args.test_speakers.clone();
    }
    set(&mut split.validation_fraction, args.validation_fraction);
    set(&mut split.test_fraction, args.test_fraction);
    set(&mut split.seed, args.split_seed);
    // Without a validation subset, the last epoch is the only choice.
    if split.is_without_validation() && args.settings.checkpoint_selection.is_none() {
        config.training.checkpoint_selection = CheckpointSelection::Last;
    }
    set(&mut config.training.seed, args.seed);
}
