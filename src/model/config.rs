//! The architectures and their sizes.

use std::fmt;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// The architectures by name, as `--arch` takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// A bidirectional LSTM over the MFCC frames, pooled by attention.
    #[default]
    Bilstm,
    /// The recipe emovox comes from: an LSTM over the 40 time-averaged MFCCs.
    Seed,
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Arch::Bilstm => "bilstm",
            Arch::Seed => "seed",
        })
    }
}

/// An architecture and its sizes, as they stand in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "arch", rename_all = "lowercase")]
pub enum ModelConfig {
    /// The default.
    Bilstm(BilstmConfig),
    /// The recipe emovox comes from.
    Seed(SeedConfig),
}

impl ModelConfig {
    /// Which one it is.
    pub fn arch(&self) -> Arch {
        match self {
            ModelConfig::Bilstm(_) => Arch::Bilstm,
            ModelConfig::Seed(_) => Arch::Seed,
        }
    }

    /// True where the features are brought to mean 0 and variance 1 first.
    pub fn normalise(&self) -> bool {
        match self {
            ModelConfig::Bilstm(config) => config.normalise,
            ModelConfig::Seed(config) => config.normalise,
        }
    }

    /// How many weights a model of these sizes has at least, for frames of this width. What comes from
    /// elsewhere is held against it before memory is made for a model.
    pub fn least_weights(&self, coefficients: usize) -> i64 {
        let coefficients = coefficients as i64;
        match self {
            ModelConfig::Bilstm(c) => {
                let lstms = c.layers.saturating_mul(8 * c.hidden * c.hidden);
                let shared =
                    c.stack.saturating_mul(coefficients * c.input) + 2 * c.heads * c.hidden;
                c.members.saturating_mul(lstms.saturating_add(shared))
            }
            ModelConfig::Seed(c) => 4 * c.hidden * c.hidden + c.dense1 * (c.hidden + c.dense2),
        }
    }

    /// Refuses sizes that no model can be built with.
    pub fn validate(&self) -> Result<()> {
        let (sizes, dropouts) = match self {
            ModelConfig::Bilstm(c) => (
                vec![c.members, c.stack, c.input, c.hidden, c.layers, c.heads],
                vec![c.input_dropout, c.dropout],
            ),
            ModelConfig::Seed(c) => (vec![c.hidden, c.dense1, c.dense2], vec![c.dropout]),
        };
        ensure!(
            sizes.iter().all(|size| (1..=4096).contains(size)),
            "every size in [model] must lie between 1 and 4096"
        );
        ensure!(
            dropouts.iter().all(|rate| (0.0..1.0).contains(rate)),
            "a dropout in [model] must be at least 0 and below 1"
        );
        Ok(())
    }
}

/// Frames, stacked → linear → LSTMs in both directions → attention → classes; and statistics of the
/// linear layer → classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BilstmConfig {
    /// Bring each coefficient to mean 0 and variance 1 over the training part.
    pub normalise: bool,
    /// Networks of this shape that learn apart and answer together.
    #[serde(default = "one")]
    pub members: i64,
    /// Consecutive frames that make one step of the LSTM.
    pub stack: i64,
    /// Width of the linear layer before the LSTM.
    pub input: i64,
    /// Units of the LSTM, in each direction.
    pub hidden: i64,
    /// LSTM layers, each in both directions.
    pub layers: i64,
    /// Attention heads that pool the steps.
    pub heads: i64,
    /// Mean and deviation of what goes into the LSTM, over the clip, join what the attention pools.
    #[serde(default)]
    pub statistics: bool,
    /// Dropout before the LSTM.
    pub input_dropout: f64,
    /// Dropout behind each LSTM layer and before the classes.
    pub dropout: f64,
}

impl Default for BilstmConfig {
    fn default() -> Self {
        BilstmConfig {
            normalise: true,
            members: 3,
            stack: 5,
            input: 128,
            hidden: 64,
            layers: 1,
            heads: 4,
            statistics: true,
            input_dropout: 0.1,
            dropout: 0.3,
        }
    }
}

/// What runs had that were made before there were committees.
fn one() -> i64 {
    1
}

/// Time-averaged MFCCs as a sequence of numbers → LSTM → dense → dense → classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedConfig {
    /// Off: the recipe takes MFCCs as they are.
    pub normalise: bool,
    /// Units of the LSTM.
    pub hidden: i64,
    /// Width of the first dense layer.
    pub dense1: i64,
    /// Width of the second.
    pub dense2: i64,
    /// Dropout behind the LSTM and each dense layer.
    pub dropout: f64,
}

impl Default for SeedConfig {
    fn default() -> Self {
        SeedConfig {
            normalise: false,
            hidden: 256,
            dense1: 128,
            dense2: 64,
            dropout: 0.3,
        }
    }
}
