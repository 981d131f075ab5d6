//! Features as NumPy files.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tch::Tensor;

use crate::features::Features;

/// Writes frames × coefficients as float32 to a `.npy` file, whole or not at all.
pub fn write_npy(features: &Features, path: &Path) -> Result<()> {
    let place = || format!("cannot write {}", path.display());
    let shape = [features.frames() as i64, features.coefficients() as i64];
    let tensor = Tensor::f_from_slice(features.values())?.f_view(shape)?;
    // tch writes to a name only, so it gets one beside the file's place.
    let Some(name) = path.file_name() else {
        bail!("{} is no file name", path.display());
    };
    let beside = path.with_file_name(format!(".writing-{}", name.to_string_lossy()));
    let written = tensor
        .write_npy(&beside)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(std::fs::rename(&beside, path)?));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.with_context(place)
}
