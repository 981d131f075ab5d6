//! Weights on the disk: `.ot` files, checked before a number of them is used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::archive;
use super::listing::{self, Listed};
use super::{Arch, EmotionModel};
use crate::bounded;
use crate::run::write_bytes;

/// The format of emovox's `.ot` files; a file of another one is refused.
const FORMAT: u32 = 2;

/// The tensor that holds [`About`].
const ABOUT: &str = "emovox";

/// What a file says about the model in it: JSON, as a tensor of bytes.
#[derive(Serialize, Deserialize)]
struct About {
    format: u32,
    arch: Arch,
    classes: Vec<String>,
}

impl About {
    fn of(saved: &BTreeMap<String, Tensor>) -> Result<Option<About>> {
        let Some(tensor) = saved.get(ABOUT) else {
            return Ok(None);
        };
        let garbled = "what it says about itself is garbled";
        let bytes = tensor.to_device(Device::Cpu).f_view([-1]).ok();
        let bytes = bytes.and_then(|bytes| Vec::<u8>::try_from(bytes).ok());
        let about: serde_json::Value =
            serde_json::from_slice(&bytes.context(garbled)?).context(garbled)?;
        let format = about["format"].as_u64();
        ensure!(
            format == Some(u64::from(FORMAT)),
            "its format is {}, this emovox ({}) knows {FORMAT}",
            about["format"],
            env!("CARGO_PKG_VERSION")
        );
        Ok(Some(serde_json::from_value(about).context(garbled)?))
    }
}

/// What is to be known about a model, as a tensor that goes into its files.
pub fn about(model: &EmotionModel) -> Result<(String, Tensor)> {
    let about = serde_json::to_vec(&About {
        format: FORMAT,
        arch: model.arch(),
        classes: model.classes().to_vec(),
    })?;
    Ok((ABOUT.to_string(), Tensor::from_slice(&about)))
}

/// Refuses what was saved from a model of another architecture or of other classes.
pub fn check_about(model: &EmotionModel, saved: &BTreeMap<String, Tensor>) -> Result<()> {
    let about = About::of(saved)?.context("it does not say which model it belongs to")?;
    check_arch(model, &about)?;
    ensure!(
        about.classes == model.classes(),
        "it tells apart {}, but config.toml says {}",
        about.classes.join(", "),
        model.classes().join(", ")
    );
    Ok(())
}

fn check_arch(model: &EmotionModel, about: &About) -> Result<()> {
    ensure!(
        about.arch == model.arch(),
        "it holds a {} model, this one is a {}",
        about.arch,
        model.arch()
    );
    Ok(())
}

/// Weights and normalisation of a model, as [`EmotionModel::tensors`] gives them, as the bytes of an
/// `.ot` file.
pub fn encode_weights(model: &EmotionModel, weights: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut tensors = vec![about(model)?];
    let weights = weights.iter();
    tensors.extend(weights.map(|(name, weight)| (name.clone(), weight.shallow_clone())));
    encode(&tensors)
}

/// Saves what [`encode_weights`] gives.
pub fn save_weights(model: &EmotionModel, weights: &[(String, Tensor)], path: &Path) -> Result<()> {
    write_bytes(path, &encode_weights(model, weights)?)
}

/// Puts saved weights into a model that was built from the same configuration.
pub fn load_weights(model: &EmotionModel, path: &Path) -> Result<()> {
    let saved = read_tensors(path, model.device())?;
    check_about(model, &saved)
        .and_then(|()| fit(&model.tensors(), &[], &saved))
        .with_context(|| {
            format!(
                "the weights in {} do not fit this run's config.toml",
                path.display()
            )
        })
}

/// Whether a model's last layer came from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The file tells apart the same classes.
    Kept,
    /// It tells apart others, or does not say which.
    New,
}

/// Lets a model start from the weights in a file, as fine-tuning does. The normalisation stays the
/// model's own, and so does the last layer where the classes differ.
pub fn start_from(model: &EmotionModel, path: &Path) -> Result<Head> {
    let misfit = || {
        format!(
            "{} cannot start this model; --config takes the settings of the run that made it",
            path.display()
        )
    };
    let saved = read_tensors(path, model.device())?;
    let about = About::of(&saved).with_context(misfit)?;
    if let Some(about) = &about {
        check_arch(model, about).with_context(misfit)?;
    }
    let head = match about {
        Some(about) if about.classes == model.classes() => Head::Kept,
        _ => Head::New,
    };
    let mut tensors = model.parameters();
    // Each member of a committee has one.
    let is_last_layer = |name: &str| name.split('.').any(|part| part == "output");
    tensors.retain(|(name, _)| head == Head::Kept || !is_last_layer(name));
    restore(&tensors, &saved).with_context(misfit)?;
    Ok(head)
}

/// Copies tensors of the same names into `targets`, once all of them are known to fit. The file must
/// hold nothing else but the tensors called one of `others`: else it was made for another model.
pub fn fit(
    targets: &[(String, Tensor)],
    others: &[&str],
    saved: &BTreeMap<String, Tensor>,
) -> Result<()> {
    let mut known: BTreeSet<&str> = targets.iter().map(|(name, _)| name.as_str()).collect();
    known.extend(others);
    known.insert(ABOUT);
    if let Some(name) = saved.keys().find(|name| !known.contains(name.as_str())) {
        bail!("it has a tensor '{name}' that this model lacks");
    }
    restore(targets, saved)
}

/// Copies tensors of the same names into `targets`, once all of them are known to fit.
fn restore(targets: &[(String, Tensor)], saved: &BTreeMap<String, Tensor>) -> Result<()> {
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

/// Named tensors as the bytes of an `.ot` file. The same tensors in the same order give the same
/// bytes.
///
/// libtorch writes to memory, which does not fail halfway: where a write of its own fails, it
/// throws in a destructor, and that ends the process.
pub fn encode(tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Tensor::save_multi_to_stream(tensors, &mut bytes)
        .map_err(|error| anyhow!(first_line(&error)))?;
    Ok(bytes)
}

/// Reads all tensors of an `.ot` file, and checks their numbers.
pub fn read_tensors(path: &Path, device: Device) -> Result<BTreeMap<String, Tensor>> {
    let bytes = bounded::read(path, bounded::WEIGHTS)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let tensors = decode(bytes, device)
        .with_context(|| format!("{} holds no weights that can be read", path.display()))?;
    check_numbers(&tensors).with_context(|| format!("{} cannot be used", path.display()))?;
    Ok(tensors)
}

/// Rejects numbers that no training saves: NaN and infinity, standard deviations that are not above 0, means of
/// squared gradients that are negative. A checksum shows that a file is as it was written, but not by whom.
pub fn check_numbers(tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let advice = "use another copy of the file, or train the model again";
    for (name, tensor) in tensors {
        if ![Kind::Float, Kind::Double].contains(&tensor.kind()) {
            continue;
        }
        let count = |found: Tensor| i64::try_from(found.f_sum(Kind::Int64)?);
        let broken = count(tensor.f_isfinite()?.f_logical_not()?)?;
        ensure!(
            broken == 0,
            "{broken} of the {} numbers of its tensor '{name}' are NaN or infinite; {advice}",
            tensor.numel()
        );
        if name.ends_with("normalisation.deviation") {
            ensure!(
                count(tensor.f_le(0.0)?)? == 0,
                "its tensor '{name}' holds standard deviations that are not above 0; {advice}"
            );
        }
        if name.starts_with("optimizer.v.") {
            ensure!(
                count(tensor.f_lt(0.0)?)? == 0,
                "its tensor '{name}' holds squares that are negative; {advice}"
            );
        }
    }
    Ok(())
}

/// The tensors in the bytes of an `.ot` file.
pub fn decode(bytes: Vec<u8>, device: Device) -> Result<BTreeMap<String, Tensor>> {
    let parts = archive::parts(&bytes)?;
    let list = parts
        .get("data.pkl")
        .context("it is a zip archive, but no checkpoint")?;
    // Tensors may share a part; a made-up list could share it a million times.
    let mut left = bytes.len();
    let mut tensors = BTreeMap::new();
    for listed in listing::read(list)? {
        let kind = kind(listed.storage.kind).with_context(|| {
            format!(
                "its tensor '{}' is a {}, a kind of number that is not read",
                listed.name, listed.storage.kind
            )
        })?;
        let numbers = numbers(&listed, kind, &parts)
            .filter(|numbers| numbers.len() <= left)
            .with_context(|| format!("the numbers of its tensor '{}' are missing", listed.name))?;
        left -= numbers.len();
        let tensor = Tensor::f_from_data_size(numbers, &listed.shape, kind)?.f_to_device(device)?;
        // libtorch allows no dots in a name, so tch writes them as strokes.
        tensors.insert(listed.name.replace('|', "."), tensor);
    }
    Ok(tensors)
}

/// The kinds of numbers that emovox saves, as PyTorch calls them.
fn kind(storage: &str) -> Option<Kind> {
    match storage {
        "FloatStorage" => Some(Kind::Float),
        "DoubleStorage" => Some(Kind::Double),
        "LongStorage" => Some(Kind::Int64),
        "ByteStorage" => Some(Kind::Uint8),
        _ => None,
    }
}

/// Exactly the bytes of a tensor: tch believes the shape, it does not count.
fn numbers<'a>(listed: &Listed, kind: Kind, parts: &BTreeMap<&str, &'a [u8]>) -> Option<&'a [u8]> {
    let width = kind.elt_size_in_bytes();
    let length = listed.shape.iter().try_fold(width, |length, &size| {
        length.checked_mul(usize::try_from(size).ok()?)
    })?;
    let part = parts.get(format!("data/{}", listed.storage.key).as_str())?;
    part.get(listed.offset.checked_mul(width)?..)?.get(..length)
}

/// libtorch's errors carry a C++ stack; a person needs its first line.
fn first_line(error: &TchError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_string()
}
