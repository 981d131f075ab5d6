//! The settings of every command that trains: recordings, architecture and training.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::data::DataArgs;
use emovox::config::RunConfig;
use emovox::dataset::check_sounds;
use emovox::device::DeviceChoice;
use emovox::inference::BuiltinModel;
use emovox::model::Arch;
use emovox::training::{Balance, CheckpointSelection};

#[derive(Args)]
pub(super) struct Settings {
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// Architecture [default: bilstm]
    #[arg(long, value_enum)]
    pub(super) arch: Option<Arch>,
    /// Number of training epochs [default: as many as make 10 000 steps (demo: 2400), from 10 to
    /// 400; a third of them with --init-weights; --arch mean-lstm: 100]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Maximum number of clips per step [default: 32; --arch mean-lstm: 64]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Maximum learning rate [default: 0.003; --arch mean-lstm: 0.001]
    #[arg(long, value_name = "X")]
    learning_rate: Option<f64>,
    /// Weight the loss of each class by its inverse frequency
    #[arg(long)]
    class_weights: bool,
    /// Resample each epoch so that classes or corpora are equally frequent [default: none]
    #[arg(long, value_enum)]
    balance: Option<Balance>,
    /// Stop after N epochs without a better one, by UAR and then loss in validation (0: never) [default: 0]
    #[arg(long, value_name = "N")]
    early_stopping: Option<usize>,
    /// Epoch whose weights are used [default: last; with --arch mean-lstm or --early-stopping: best]
    #[arg(long, value_enum, alias = "keep")]
    pub(super) checkpoint_selection: Option<CheckpointSelection>,
    /// Folder with recordings of noise (MUSAN, ESC-50, your own), for the disturbed copies of the
    /// training recordings
    #[arg(long, value_name = "DIR")]
    noise: Option<PathBuf>,
    /// Start from given weights instead of random ones: an .ot file, a bundle, or a built-in model
    /// such as acted-6
    #[arg(long, value_name = "FILE")]
    pub(super) init_weights: Option<PathBuf>,
    /// Accept initial weights with test clips or speakers in their training; noted beside every score
    #[arg(long)]
    allow_leak: bool,
    /// Device: auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Settings in TOML, in the format of a run's config.toml; flags override the file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl Settings {
    /// The recipe, overridden by the settings file and then by the flags.
    pub(super) fn configure(&self) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(file) => RunConfig::over_recipe(file, self.arch)?,
            None => RunConfig::recipe(self.arch.unwrap_or_default()),
        };
        self.data.choose(&mut config)?;
        // After an early stop, the learning rate has not fallen to its final value.
        if self.early_stopping.is_some_and(|epochs| epochs > 0) {
            config.training.checkpoint_selection = CheckpointSelection::Best;
        }
        self.apply(&mut config)?;
        if let Some(weights) = &config.training.init_weights {
            config.training.init_weights = Some(initial_weights(weights)?);
        }
        Ok(config)
    }

    /// Applies the flags, except the architecture and the recordings.
    ///
    /// # Errors
    /// Fails if there are no epochs, or if the folder with recordings of noise does not have any.
    pub(super) fn apply(&self, config: &mut RunConfig) -> Result<()> {
        ensure!(self.epochs != Some(0), "--epochs must be at least 1");
        let training = &mut config.training;
        set(&mut training.epochs, self.epochs);
        set(&mut training.batch_size, self.batch_size);
        set(&mut training.learning_rate, self.learning_rate);
        set(&mut training.early_stopping, self.early_stopping);
        set(
            &mut training.checkpoint_selection,
            self.checkpoint_selection,
        );
        set(&mut training.balance, self.balance);
        set(&mut training.device, self.device);
        if self.init_weights.is_some() {
            training.init_weights.clone_from(&self.init_weights);
        }
        training.class_weights |= self.class_weights;
        training.allow_leak |= self.allow_leak;
        if let Some(folder) = &self.noise {
            training.disturbance.noise_folder = Some(noise_folder(folder)?);
        }
        Ok(())
    }
}

/// The absolute path of a folder with recordings of noise. The recordings are read later.
fn noise_folder(folder: &Path) -> Result<PathBuf> {
    check_sounds(folder).context("--noise must be a folder with recordings")?;
    fs::canonicalize(folder).with_context(|| format!("cannot find {}", folder.display()))
}

/// The absolute path of an existing file with initial weights, or the name of a built-in model.
fn initial_weights(weights: &Path) -> Result<PathBuf> {
    let builtin = weights.to_str().and_then(BuiltinModel::named);
    if builtin.is_some() && !weights.exists() {
        return Ok(weights.to_path_buf());
    }
    let name = weights.display();
    ensure!(
        weights.exists() && !weights.is_dir(),
        "there is no file {name}; --init-weights must be an .ot file, a bundle, or a built-in model \
         (emovox models)"
    );
    fs::canonicalize(weights).with_context(|| format!("cannot find {name}"))
}

/// Replaces a setting by the value of a flag, if the flag is given.
pub(super) fn set<T: Copy>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}
