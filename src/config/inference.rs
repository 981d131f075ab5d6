//! How a model is asked, as it stands in `config.toml`.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// The most tracts that make sense: each costs as much time as a model of its own.
const MOST_TRACTS: usize = 15;

/// How a trained model is asked what it hears.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InferenceConfig {
    /// Every clip is heard out of each of these vocal tracts, and the mean of what the model says
    /// counts (test-time augmentation). 1.08 reads every band at 1.08 times its frequency; without any,
    /// a clip is heard once, as it is.
    pub vtlp_warps: Vec<f64>,
}

impl InferenceConfig {
    /// Refuses settings that make no sense.
    pub fn validate(&self) -> Result<()> {
        ensure!(
            self.vtlp_warps.len() <= MOST_TRACTS
                && self
                    .vtlp_warps
                    .iter()
                    .all(|tract| (0.5..=2.0).contains(tract)),
            "vtlp_warps in [inference] must be at most {MOST_TRACTS} factors from 0.5 to 2"
        );
        Ok(())
    }
}
