//! Features as NumPy files.

use std::path::Path;

use anyhow::Result;
use tch::Tensor;

use crate::features::Features;
use crate::run::write_by_name;

/// Writes frames × coefficients as float32 to a `.npy` file, whole or not at all.
pub fn write_npy(features: &Features, path: &Path) -> Result<()> {
    let shape = [features.frames() as i64, features.coefficients() as i64];
    let tensor = Tensor::f_from_slice(features.values())?.f_view(shape)?;
    write_by_name(path, |temporary| Ok(tensor.write_npy(temporary)?))
}
