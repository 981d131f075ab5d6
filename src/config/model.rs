//! Model settings: the section `[model]` of `config.toml`.

use std::fmt;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::RunConfig;

/// Name of an architecture, as in `--arch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// A bidirectional LSTM over the MFCC frames, pooled by attention.
    #[default]
    Bilstm,
    /// The baseline: an LSTM over time-averaged MFCCs.
    ///
    /// Its name was `seed` before, which was easily confused with the random seed.
    #[serde(alias = "seed")]
    #[value(alias = "seed")]
    MeanLstm,
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Arch::Bilstm => "bilstm",
            Arch::MeanLstm => "mean-lstm",
        })
    }
}

/// An architecture and its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "arch", rename_all = "kebab-case")]
pub enum ModelConfig {
    /// The default architecture, [`Arch::Bilstm`].
    Bilstm(BilstmConfig),
    /// The baseline architecture, [`Arch::MeanLstm`].
    #[serde(alias = "seed")]
    MeanLstm(MeanLstmConfig),
}

impl ModelConfig {
    /// Name of the architecture.
    pub fn arch(&self) -> Arch {
        match self {
            ModelConfig::Bilstm(_) => Arch::Bilstm,
            ModelConfig::MeanLstm(_) => Arch::MeanLstm,
        }
    }

    /// True if the features are normalised to mean 0 and variance 1.
    pub fn normalise(&self) -> bool {
        match self {
            ModelConfig::Bilstm(config) => config.normalise,
            ModelConfig::MeanLstm(config) => config.normalise,
        }
    }

    /// Lower bound of the number of weights, for frames of `coefficients` values. The sizes in a
    /// file from elsewhere are checked against its length with this bound before a model is
    /// allocated.
    pub fn least_weights(&self, coefficients: usize) -> i64 {
        let coefficients = coefficients as i64;
        match self {
            ModelConfig::Bilstm(c) => {
                let lstms = c.layers.saturating_mul(8 * c.hidden * c.hidden);
                let shared = c.frame_stacking.saturating_mul(coefficients * c.input)
                    + 2 * c.heads * c.hidden;
                c.ensemble_size.saturating_mul(lstms.saturating_add(shared))
            }
            ModelConfig::MeanLstm(c) => 4 * c.hidden * c.hidden + c.dense1 * (c.hidden + c.dense2),
        }
    }

    /// Checks the sizes and the dropout rates.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        let (sizes, dropouts) = match self {
            ModelConfig::Bilstm(c) => (
                vec![
                    c.ensemble_size,
                    c.frame_stacking,
                    c.input,
                    c.hidden,
                    c.layers,
                    c.heads,
                ],
                vec![c.input_dropout, c.dropout],
            ),
            ModelConfig::MeanLstm(c) => (vec![c.hidden, c.dense1, c.dense2], vec![c.dropout]),
        };
        ensure!(
            sizes.iter().all(|size| (1..=4096).contains(size)),
            "every size in [model] must be between 1 and 4096"
        );
        ensure!(
            dropouts.iter().all(|rate| (0.0..1.0).contains(rate)),
            "a dropout in [model] must be at least 0 and below 1"
        );
        Ok(())
    }
}

/// Sizes of the default architecture: stacked frames → linear layer → bidirectional LSTM →
/// attention pooling → classes. Optionally the pooling also has the statistics of the linear layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilstmConfig {
    /// Normalises each coefficient to mean 0 and variance 1 over the training subset.
    pub normalise: bool,
    /// Ensemble size: number of networks that are trained independently and averaged.
    #[serde(default = "one")]
    pub ensemble_size: i64,
    /// Frame stacking: number of consecutive frames that form one step of the LSTM.
    pub frame_stacking: i64,
    /// Width of the linear layer before the LSTM.
    pub input: i64,
    /// Number of LSTM units in each direction.
    pub hidden: i64,
    /// Number of bidirectional LSTM layers.
    pub layers: i64,
    /// Number of heads of the attention pooling.
    pub heads: i64,
    /// Appends the mean and the standard deviation of the LSTM's input, over the clip, to the
    /// pooled vector.
    #[serde(default)]
    pub statistics: bool,
    /// Dropout rate before the LSTM.
    pub input_dropout: f64,
    /// Dropout rate behind each LSTM layer and before the last layer.
    pub dropout: f64,
}

impl Default for BilstmConfig {
    /// The sizes of the architecture's recipe.
    fn default() -> Self {
        match RunConfig::recipe(Arch::Bilstm).model {
            ModelConfig::Bilstm(config) => config,
            ModelConfig::MeanLstm(_) => unreachable!("the recipe is of its architecture"),
        }
    }
}

/// Ensemble size of runs that are older than this setting.
fn one() -> i64 {
    1
}

/// Sizes of the baseline architecture: time-averaged MFCCs, one a step → LSTM → dense → dense →
/// classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanLstmConfig {
    /// Normalises each coefficient to mean 0 and variance 1 over the training subset; off by
    /// default.
    pub normalise: bool,
    /// Number of LSTM units.
    pub hidden: i64,
    /// Width of the first dense layer.
    pub dense1: i64,
    /// Width of the second dense layer.
    pub dense2: i64,
    /// Dropout rate behind the LSTM and each dense layer.
    pub dropout: f64,
}

impl Default for MeanLstmConfig {
    /// The sizes of the architecture's recipe.
    fn default() -> Self {
        match RunConfig::recipe(Arch::MeanLstm).model {
            ModelConfig::MeanLstm(config) => config,
            ModelConfig::Bilstm(_) => unreachable!("the recipe is of its architecture"),
        }
    }
}
