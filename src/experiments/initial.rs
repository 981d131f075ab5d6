//! The initial weights of a fine-tuning: those of a run, of a bundle, or of a built-in model.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tch::Device;

use super::run::absolute;
use crate::bounded;
use crate::inference::Trained;
use crate::leakage;
use crate::model::encode_weights;
use crate::run::Lineage;

/// Initial weights, and the recordings that they were trained on.
pub(super) struct InitialWeights {
    /// The absolute path of the file, or the name of the built-in model.
    pub(super) path: PathBuf,
    /// The content of an `.ot` file.
    pub(super) bytes: Vec<u8>,
    pub(super) lineage: Lineage,
}

impl InitialWeights {
    /// Reads the initial weights from an `.ot` file, a bundle or a built-in model.
    ///
    /// # Errors
    /// If there are no such weights, or if they cannot be read.
    pub(super) fn read(weights: &Path) -> Result<InitialWeights> {
        if let Some(trained) = Trained::bundled(weights)? {
            let model = trained.model(Device::Cpu)?;
            return Ok(InitialWeights {
                path: absolute(weights).unwrap_or_else(|_| weights.to_path_buf()),
                bytes: encode_weights(&model, &model.tensors())?,
                lineage: trained.lineage()?,
            });
        }
        let path = absolute(weights)?;
        let bytes = bounded::read(&path, bounded::WEIGHTS)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let lineage = leakage::lineage_of_weights(&path)?;
        Ok(InitialWeights {
            path,
            bytes,
            lineage,
        })
    }
}
