//! Files of weights (`.ot`), which are checked before their values are used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::archive;
use super::pickle::{self, TensorEntry};
use super::{Arch, EmotionModel};
use crate::bounded;
use crate::io::write_bytes;

/// Format number of emovox's `.ot` files. A file with another number is rejected.
const FORMAT: u32 = 2;

/// Name of the tensor that contains [`Metadata`].
const METADATA: &str = "emovox";

/// Metadata of the model in a file: JSON, as a tensor of bytes.
#[derive(Serialize, Deserialize)]
struct Metadata {
    format: u32,
    arch: Arch,
    classes: Vec<String>,
}

impl Metadata {
    fn of(saved: &BTreeMap<String, Tensor>) -> Result<Option<Metadata>> {
        let Some(tensor) = saved.get(METADATA) else {
            return Ok(None);
        };
        let garbled = "its description of the model is damaged";
        let bytes = tensor.to_device(Device::Cpu).f_view([-1]).ok();
        let bytes = bytes.and_then(|bytes| Vec::<u8>::try_from(bytes).ok());
        let metadata: serde_json::Value =
            serde_json::from_slice(&bytes.context(garbled)?).context(garbled)?;
        let format = metadata["format"].as_u64();
        ensure!(
            format == Some(u64::from(FORMAT)),
            "its format is {}, but this emovox ({}) reads format {FORMAT}",
            metadata["format"],
            env!("CARGO_PKG_VERSION")
        );
        Ok(Some(serde_json::from_value(metadata).context(garbled)?))
    }
}

/// The metadata tensor of a model's files, with its name.
pub fn metadata(model: &EmotionModel) -> Result<(String, Tensor)> {
    let metadata = serde_json::to_vec(&Metadata {
        format: FORMAT,
        arch: model.arch(),
        classes: model.classes().to_vec(),
    })?;
    Ok((METADATA.to_string(), Tensor::from_slice(&metadata)))
}

/// Checks that tensors were saved from a model of this architecture with these classes.
///
/// # Errors
/// Tensors of another model, or without metadata.
pub fn check_metadata(model: &EmotionModel, saved: &BTreeMap<String, Tensor>) -> Result<()> {
    let metadata = Metadata::of(saved)?.context("it does not name the model that it belongs to")?;
    check_arch(model, &metadata)?;
    ensure!(
        metadata.classes == model.classes(),
        "its classes are {}, but those in config.toml are {}",
        metadata.classes.join(", "),
        model.classes().join(", ")
    );
    Ok(())
}

fn check_arch(model: &EmotionModel, metadata: &Metadata) -> Result<()> {
    ensure!(
        metadata.arch == model.arch(),
        "it contains a {} model, but this model is a {}",
        metadata.arch,
        model.arch()
    );
    Ok(())
}

/// Weights and normalisation of a model as the bytes of an `.ot` file. `weights` are the tensors from
/// [`EmotionModel::tensors`].
pub fn encode_weights(model: &EmotionModel, weights: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut tensors = vec![metadata(model)?];
    let weights = weights.iter();
    tensors.extend(weights.map(|(name, weight)| (name.clone(), weight.shallow_clone())));
    encode(&tensors)
}

/// Writes the bytes from [`encode_weights`] to a file.
pub fn save_weights(model: &EmotionModel, weights: &[(String, Tensor)], path: &Path) -> Result<()> {
    write_bytes(path, &encode_weights(model, weights)?)
}

/// Loads saved weights into a model that was built from the same configuration.
///
/// # Errors
/// A file that cannot be read, or that was saved from another model.
pub fn load_weights(model: &EmotionModel, path: &Path) -> Result<()> {
    let saved = read_tensors(path, model.device())?;
    check_numbers(&saved).with_context(|| unusable(path))?;
    check_metadata(model, &saved)
        .and_then(|()| load_state_dict(&model.tensors(), &[], &saved))
        .with_context(|| {
            format!(
                "the weights in {} do not fit this run's config.toml",
                path.display()
            )
        })
}

/// Origin of a model's last layer after [`init_from`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// From the file, which has the same classes.
    Kept,
    /// Random, because the file has other classes or does not list them.
    New,
}

/// Initialises a model with the content of an `.ot` file, for fine-tuning. The model keeps its own
/// normalisation, and also its own last layer if the classes differ. `path` is for messages.
///
/// # Errors
/// A damaged file, or one that was saved from a model of another shape, or with more layers or networks.
pub fn init_from(model: &EmotionModel, bytes: Vec<u8>, path: &Path) -> Result<Head> {
    let misfit = || {
        format!(
            "{} cannot initialise this model; use the settings of its run: --config FILE",
            path.display()
        )
    };
    let saved = decode(bytes, model.device()).with_context(|| unreadable(path))?;
    let metadata = Metadata::of(&saved).with_context(misfit)?;
    if let Some(metadata) = &metadata {
        check_arch(model, metadata).with_context(misfit)?;
    }
    let head = match metadata {
        Some(metadata) if metadata.classes == model.classes() => Head::Kept,
        _ => Head::New,
    };
    // The state of a training, in `last.ot`.
    let of_training = |name: &str| {
        let prefixes = ["best.", "optimizer.", "training."];
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    check_names(&model.tensors(), of_training, &saved).with_context(misfit)?;
    let mut tensors = model.parameters();
    tensors.retain(|(name, _)| head == Head::Kept || !is_last_layer(name));
    let used = tensors
        .iter()
        .filter_map(|(name, _)| saved.get_key_value(name));
    check_numbers(used).with_context(|| unusable(path))?;
    restore(&tensors, &saved).with_context(misfit)?;
    Ok(head)
}

/// Checks that a file has no tensors but those of the model, its metadata, and those that `may_have`
/// allows.
fn check_names(
    targets: &[(String, Tensor)],
    may_have: impl Fn(&str) -> bool,
    saved: &BTreeMap<String, Tensor>,
) -> Result<()> {
    let known: BTreeSet<&str> = targets.iter().map(|(name, _)| name.as_str()).collect();
    let is_known = |name: &str| known.contains(name) || name == METADATA || may_have(name);
    match saved.keys().find(|name| !is_known(name)) {
        Some(name) => bail!("it has a tensor '{name}' that this model lacks"),
        None => Ok(()),
    }
}

/// True for the name of a weight or bias of the last layer. Each network of an ensemble has one.
pub fn is_last_layer(name: &str) -> bool {
    name.split('.').any(|word| word == "output")
}

/// Copies the saved tensors into the targets of the same names, after checking all shapes. Apart from
/// `targets`, the file may only have tensors with a name in `others`; otherwise it is from another model.
pub fn load_state_dict(
    targets: &[(String, Tensor)],
    others: &[&str],
    saved: &BTreeMap<String, Tensor>,
) -> Result<()> {
    check_names(targets, |name| others.contains(&name), saved)?;
    restore(targets, saved)
}

/// Copies the saved tensors into the targets of the same names, after checking all shapes.
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
/// libtorch writes to memory, which cannot fail halfway. If libtorch fails to write to a file, it throws
/// an exception in a destructor, which ends the process.
pub fn encode(tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Tensor::save_multi_to_stream(tensors, &mut bytes)
        .map_err(|error| anyhow!(first_line(&error)))?;
    Ok(bytes)
}

/// Reads all tensors of an `.ot` file. Their values are not checked, see [`check_numbers`].
///
/// # Errors
/// A file that cannot be read, is damaged, or that libtorch did not write.
pub fn read_tensors(path: &Path, device: Device) -> Result<BTreeMap<String, Tensor>> {
    let bytes = bounded::read(path, bounded::WEIGHTS)
        .with_context(|| format!("cannot read {}", path.display()))?;
    decode(bytes, device).with_context(|| unreadable(path))
}

fn unreadable(path: &Path) -> String {
    format!("cannot read the weights in {}", path.display())
}

fn unusable(path: &Path) -> String {
    format!("{} cannot be used", path.display())
}

/// Rejects values that no training saves: NaN and infinity, standard deviations that are not above 0, and
/// negative means of squared gradients. A checksum proves that a file is unchanged, but not that emovox
/// wrote it.
pub fn check_numbers<'a>(
    tensors: impl IntoIterator<Item = (&'a String, &'a Tensor)>,
) -> Result<()> {
    let advice = "use another copy of the file, or train the model again";
    for (name, tensor) in tensors {
        if ![Kind::Float, Kind::Double].contains(&tensor.kind()) {
            continue;
        }
        let count = |found: Tensor| i64::try_from(found.f_sum(Kind::Int64)?);
        let broken = count(tensor.f_isfinite()?.f_logical_not()?)?;
        ensure!(
            broken == 0,
            "{broken} of the {} values of its tensor '{name}' are NaN or infinite; {advice}",
            tensor.numel()
        );
        if name.ends_with("normalisation.deviation") {
            ensure!(
                count(tensor.f_le(0.0)?)? == 0,
                "its tensor '{name}' has standard deviations that are not above 0; {advice}"
            );
        }
        if name.starts_with("optimizer.v.") {
            ensure!(
                count(tensor.f_lt(0.0)?)? == 0,
                "its tensor '{name}' has negative squares; {advice}"
            );
        }
    }
    Ok(())
}

/// The tensors in the bytes of an `.ot` file.
///
/// # Errors
/// Damaged bytes, or a file that libtorch did not write.
pub fn decode(bytes: Vec<u8>, device: Device) -> Result<BTreeMap<String, Tensor>> {
    let entries = archive::entries(&bytes)?;
    let list = entries
        .get("data.pkl")
        .context("it is a zip archive, but not a checkpoint")?;
    // Tensors may share an entry; a forged list could share it a million times.
    let mut left = bytes.len();
    let mut tensors = BTreeMap::new();
    for listed in pickle::read(list)? {
        let kind = kind(listed.storage.kind).with_context(|| {
            format!(
                "its tensor '{}' is a {}, which emovox does not read",
                listed.name, listed.storage.kind
            )
        })?;
        let numbers = numbers(&listed, kind, &entries)
            .filter(|numbers| numbers.len() <= left)
            .with_context(|| format!("the values of its tensor '{}' are missing", listed.name))?;
        left -= numbers.len();
        let tensor = Tensor::f_from_data_size(numbers, &listed.shape, kind)?.f_to_device(device)?;
        // libtorch allows no dots in a name, so tch writes '|' instead.
        tensors.insert(listed.name.replace('|', "."), tensor);
    }
    Ok(tensors)
}

/// Converts PyTorch's names of the types that emovox saves.
fn kind(storage: &str) -> Option<Kind> {
    match storage {
        "FloatStorage" => Some(Kind::Float),
        "DoubleStorage" => Some(Kind::Double),
        "LongStorage" => Some(Kind::Int64),
        "ByteStorage" => Some(Kind::Uint8),
        _ => None,
    }
}

/// The bytes of a tensor, exactly as many as its shape needs: tch does not check the length.
fn numbers<'a>(
    listed: &TensorEntry,
    kind: Kind,
    entries: &BTreeMap<&str, &'a [u8]>,
) -> Option<&'a [u8]> {
    let width = kind.elt_size_in_bytes();
    let length = listed.shape.iter().try_fold(width, |length, &size| {
        length.checked_mul(usize::try_from(size).ok()?)
    })?;
    let entry = entries.get(format!("data/{}", listed.storage.key).as_str())?;
    entry
        .get(listed.offset.checked_mul(width)?..)?
        .get(..length)
}

/// The first line of a libtorch error; the other lines are a C++ stack.
fn first_line(error: &TchError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_string()
}
