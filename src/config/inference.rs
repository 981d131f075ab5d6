//! Inference settings of a run, as in `config.toml`.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Maximum number of VTLP warps: each takes as much time as a prediction without warps.
const MAX_WARPS: usize = 15;

/// Inference settings of a trained model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InferenceConfig {
    /// Factors of the VTLP warps for test-time augmentation: each clip is predicted once with each
    /// warp, and the log-probabilities are averaged. With 1.08, every mel band has the value at
    /// 1.08 times its frequency. Without factors, each clip is predicted once, without a warp.
    pub vtlp_warps: Vec<f64>,
}

impl InferenceConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// If there are too many factors, or if a factor is not in 0.5 to 2.
    pub fn validate(&self) -> Result<()> {
        ensure!(
            self.vtlp_warps.len() <= MAX_WARPS
                && self
                    .vtlp_warps
                    .iter()
                    .all(|tract| (0.5..=2.0).contains(tract)),
            "vtlp_warps in [inference] must be at most {MAX_WARPS} factors from 0.5 to 2"
        );
        Ok(())
    }
}
