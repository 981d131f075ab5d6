//! The settings that every command takes which trains: what to train on, and how.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::data::DataArgs;
use emovox::config::RunConfig;
use emovox::device::DeviceChoice;
use emovox::model::Arch;
use emovox::training::{Balance, Keep};

#[derive(Args)]
pub(super) struct Settings {
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// The architecture [default: bilstm]
    #[arg(long, value_enum)]
    arch: Option<ArchName>,
    /// Times that every clip is trained on [default: 100]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Clips per step [default: 32, seed: 64]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// The highest learning rate [default: 0.003, seed: 0.001]
    #[arg(long, value_name = "X")]
    learning_rate: Option<f64>,
    /// Weigh each class by how rare it is
    #[arg(long)]
    class_weights: bool,
    /// What has the same share of every epoch, however many clips of it there are [default: none]
    #[arg(long, value_enum)]
    balance: Option<BalanceName>,
    /// Stop when N epochs brought no better validation UAR (0: never) [default: 0]
    #[arg(long, value_name = "N")]
    early_stopping: Option<usize>,
    /// Which epoch's weights count [default: last; seed, or with --early-stopping: best]
    #[arg(long, value_enum)]
    keep: Option<KeepName>,
    /// Train also if the initial weights know the test part, and note it beside every score
    #[arg(long)]
    allow_leak: bool,
    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Settings in TOML, as a run writes them; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ArchName {
    /// Bidirectional LSTM over the MFCC frames, pooled by attention
    Bilstm,
    /// LSTM over 40 time-averaged MFCCs, the recipe emovox comes from
    Seed,
}

#[derive(Clone, Copy, ValueEnum)]
enum BalanceName {
    /// Nothing: every clip comes once
    None,
    /// Each class
    Class,
    /// Each of several corpora
    Corpus,
    /// Each class of each corpus
    CorpusClass,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeepName {
    /// That of the highest validation UAR
    Best,
    /// The last
    Last,
}

impl Settings {
    /// The architecture that was asked for.
    pub(super) fn arch(&self) -> Option<Arch> {
        self.arch.map(|arch| match arch {
            ArchName::Bilstm => Arch::Bilstm,
            ArchName::Seed => Arch::Seed,
        })
    }

    /// The recipe, what the file says over it, what the flags say over both.
    pub(super) fn configure(&self) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(file) => RunConfig::over_recipe(file, self.arch())?,
            None => RunConfig::recipe(self.arch().unwrap_or_default()),
        };
        self.data.choose(&mut config)?;
        // Where a training stops early the learning rate has not come to its end.
        if self.early_stopping.is_some_and(|epochs| epochs > 0) {
            config.training.keep = Keep::Best;
        }
        self.apply(&mut config);
        Ok(config)
    }

    /// What the flags say, but for the architecture and the folder.
    pub(super) fn apply(&self, config: &mut RunConfig) {
        let training = &mut config.training;
        set(&mut training.epochs, self.epochs);
        set(&mut training.batch_size, self.batch_size);
        set(&mut training.learning_rate, self.learning_rate);
        set(&mut training.early_stopping, self.early_stopping);
        let keep = self.keep.map(|keep| match keep {
            KeepName::Best => Keep::Best,
            KeepName::Last => Keep::Last,
        });
        set(&mut training.keep, keep);
        let balance = self.balance.map(|balance| match balance {
            BalanceName::None => Balance::None,
            BalanceName::Class => Balance::Class,
            BalanceName::Corpus => Balance::Corpus,
            BalanceName::CorpusClass => Balance::CorpusClass,
        });
        set(&mut training.balance, balance);
        set(&mut training.device, self.device);
        training.class_weights |= self.class_weights;
        training.allow_leak |= self.allow_leak;
    }
}

/// Puts what a flag says in the place of a setting.
pub(super) fn set<T: Copy>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}
