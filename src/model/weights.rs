//! Weights on the disk: `.ot` files, checked before a number of them is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use tch::{Device, TchError, Tensor};

use super::EmotionModel;
use crate::run::write_atomically;

/// Saves a model's weights and normalisation.
pub fn save_weights(model: &EmotionModel, path: &Path) -> Result<()> {
    write_tensors(path, &model.tensors())
}

/// Puts saved weights into a model that was built from the same configuration.
pub fn load_weights(model: &EmotionModel, path: &Path) -> Result<()> {
    let tensors = read_tensors(path, model.device())?;
    restore(&model.tensors(), &tensors).with_context(|| misfit(path))?;
    refuse_others(&model.tensors(), &[], &tensors).with_context(|| misfit(path))
}

/// An error where a file holds tensors that are neither among `targets` nor called one of `others`:
/// it was made for another model.
pub fn refuse_others(
    targets: &[(String, Tensor)],
    others: &[&str],
    saved: &BTreeMap<String, Tensor>,
) -> Result<()> {
    let known: BTreeSet<&str> = targets.iter().map(|(name, _)| name.as_str()).collect();
    let stranger = saved
        .keys()
        .find(|name| !known.contains(name.as_str()) && !others.contains(&name.as_str()));
    match stranger {
        Some(name) => bail!("it has a tensor '{name}' that this model lacks"),
        None => Ok(()),
    }
}

fn misfit(path: &Path) -> String {
    format!(
        "the weights in {} do not fit this run's config.toml",
        path.display()
    )
}

/// Copies tensors of the same names into `targets`, once all of them are known to fit.
pub fn restore(targets: &[(String, Tensor)], saved: &BTreeMap<String, Tensor>) -> Result<()> {
    for (name, target) in targets {
        let Some(tensor) = saved.get(name) else {
            bail!("the tensor '{name}' is missing");
        };
        if tensor.size() != target.size() || tensor.kind() != target.kind() {
            bail!(
                "the tensor '{name}' is {:?} {:?}, but the model needs {:?} {:?}",
                tensor.kind(),
                tensor.size(),
                target.kind(),
                target.size()
            );
        }
    }
    tch::no_grad(|| {
        for (name, target) in targets {
            target.shallow_clone().f_copy_(&saved[name])?;
        }
        Ok(())
    })
}

/// Writes named tensors as one `.ot` file, whole or not at all. The same tensors in the same order
/// give the same bytes.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    write_atomically(path, |file| {
        Tensor::save_multi_to_stream(tensors, file).map_err(|error| anyhow!(first_line(&error)))
    })
}

/// Reads all tensors of an `.ot` file.
pub fn read_tensors(path: &Path, device: Device) -> Result<BTreeMap<String, Tensor>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let tensors = Tensor::load_multi_from_stream_with_device(BufReader::new(file), device)
        .map_err(|error| anyhow!(first_line(&error)))
        .with_context(|| format!("{} holds no weights that libtorch can read", path.display()))?;
    Ok(tensors.into_iter().collect())
}

/// libtorch's errors carry a C++ stack; a person needs its first line.
fn first_line(error: &TchError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_string()
}
