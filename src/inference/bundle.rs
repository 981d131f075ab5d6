//! A trained run in one file for distribution: a safetensors file with the settings in its header.
//!
//! It has the content of `config.toml`, `split.csv`, `ancestors.csv` and `best.ot` of the run, but
//! no paths of the machine on which the run was trained. One of its tensors is a hash of everything
//! else, because safetensors files have no checksum.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::bounded;
use crate::config::RunConfig;
use crate::corpus::Clip;
use crate::corpus::split::{Split, Subset};
use crate::leakage::Caveats;
use crate::model::{
    BEGINNING, check_numbers, from_safetensors, safetensors_metadata, to_safetensors,
};
use crate::run::{Lineage, RunFolder, parse_lineage, parse_split, print_lineage, print_split};

/// Version of the bundle format; a file with a later version is rejected.
const FORMAT: u32 = 1;

/// Name of the tensor with the hash.
const HASH: &str = "blake3";

/// Precision of the weights in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits: the weights as they were trained.
    Single,
    /// 16 bits, which halves the file. The statistics of the features keep 32 bits.
    Half,
}

impl Precision {
    /// A tensor of a model in this precision.
    fn of(self, name: &str, tensor: &Tensor) -> Tensor {
        let is_weight = tensor.kind() == Kind::Float && !name.starts_with("normalisation.");
        if self == Precision::Half && is_weight {
            tensor.to_kind(Kind::Half)
        } else {
            tensor.shallow_clone()
        }
    }
}

/// Content of a bundle.
#[derive(Debug)]
pub(super) struct Bundle {
    /// Name of the run.
    pub name: String,
    pub config: RunConfig,
    /// The clips of all subsets.
    pub clips: Vec<Clip>,
    /// The subset of each clip.
    pub subsets: Vec<Subset>,
    /// Lineage of the initial weights.
    pub initial: Lineage,
    /// Number of completed epochs, if the training is not finished.
    pub unfinished: Option<usize>,
    /// Weights and normalisation, on the CPU.
    pub tensors: Vec<(String, Tensor)>,
}

/// The header, as JSON.
#[derive(Serialize, Deserialize)]
struct Header {
    bundle: u32,
    emovox: String,
    run: String,
    /// Licence of the training recordings.
    licence: String,
    /// `config.toml`
    config: String,
    /// `split.csv`
    split: String,
    /// `ancestors.csv`, for a run that started from given weights. Earlier versions did not write
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ancestors: Option<String>,
    /// Number of completed epochs, if the training is not finished. Earlier versions did not write
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unfinished: Option<usize>,
    /// Notes that belong to the scores of the run. Earlier versions did not write it.
    #[serde(default)]
    notes: Vec<String>,
}

impl Bundle {
    /// Encodes the bundle as the bytes of the file.
    pub(super) fn encode(&self, licence: String, precision: Precision) -> Result<Vec<u8>> {
        RunFolder::check_name(&self.name).context("rename the folder of the run")?;
        let mut split = Vec::new();
        let mut ancestors = Vec::new();
        print_lineage(&mut ancestors, &self.initial)?;
        print_split(&mut split, &self.clips, &self.subsets)?;
        let header = serde_json::to_string(&Header {
            bundle: FORMAT,
            emovox: env!("CARGO_PKG_VERSION").to_string(),
            run: self.name.clone(),
            licence,
            config: without_paths(&self.config).text()?,
            split: String::from_utf8(split)?,
            ancestors: if self.initial.is_empty() {
                None
            } else {
                Some(String::from_utf8(ancestors)?)
            },
            unfinished: self.unfinished,
            notes: self.caveats().notes(),
        })?;
        let tensors = self.tensors.iter();
        let mut tensors: BTreeMap<String, Tensor> = tensors
            .map(|(name, tensor)| (name.clone(), precision.of(name, tensor)))
            .collect();
        let hash = hash(&header, &tensors)?;
        tensors.insert(HASH.to_string(), Tensor::from_slice(&hash));
        let tensors: Vec<(String, Tensor)> = tensors.into_iter().collect();
        to_safetensors(&tensors, &header)
    }

    /// Caveats about the recordings that belong to the scores of the run.
    pub(super) fn caveats(&self) -> Caveats {
        let split = Split::new(&self.clips, self.subsets.clone());
        Caveats::new(&self.config.data, &self.clips, &split, &self.initial)
    }

    /// Reads a bundle from a file, and checks its hash and its content.
    pub(super) fn read(path: &Path) -> Result<Bundle> {
        ensure!(
            has_signature(path).with_context(|| format!("cannot read {}", path.display()))?,
            "{} is not a bundle of emovox; `emovox export RUN --format bundle` makes one from a run",
            path.display()
        );
        let bytes = bounded::read(path, bounded::WEIGHTS)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Bundle::decode(&bytes, path)
            .with_context(|| format!("{} cannot be used as a run", path.display()))
    }

    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Bundle> {
        let damaged = "it is truncated or damaged; copy it again";
        let header = safetensors_metadata(bytes).context(damaged)?;
        let json: serde_json::Value = serde_json::from_str(&header).context(damaged)?;
        let format = json.get("bundle").context(
            "it is an export for other programs; `emovox export RUN --format bundle` makes one for emovox",
        )?;
        ensure!(
            format.as_u64() == Some(u64::from(FORMAT)),
            "its format is {format}, but this emovox ({}) supports format {FORMAT}; use a newer emovox",
            env!("CARGO_PKG_VERSION")
        );
        let mut tensors = from_safetensors(bytes, Device::Cpu).context(damaged)?;
        let found = tensors.remove(HASH).context(damaged)?;
        let found = Vec::<u8>::try_from(found).ok().context(damaged)?;
        ensure!(
            found == hash(&header, &tensors)?,
            "it is damaged: its checksum is wrong; copy it again"
        );
        for tensor in tensors.values_mut() {
            if tensor.kind() == Kind::Half {
                *tensor = tensor.to_kind(Kind::Float);
            }
        }
        check_numbers(&tensors)?;
        let header: Header = serde_json::from_value(json).context(damaged)?;
        RunFolder::check_name(&header.run).context("the name of its run is invalid")?;
        let config = RunConfig::of_text(&header.config, path)?;
        let (clips, subsets) = parse_split(header.split.as_bytes(), &config.data.sources)?;
        let initial = match (&header.ancestors, &config.training.init_weights) {
            (Some(text), _) => parse_lineage(text.as_bytes())?,
            (None, Some(weights)) => Lineage::unknown(weights),
            (None, None) => Lineage::default(),
        };
        Ok(Bundle {
            name: header.run,
            config,
            clips,
            subsets,
            initial,
            unfinished: header.unfinished,
            tensors: tensors.into_iter().collect(),
        })
    }
}

/// Settings without information about the machine: only the last component of each path remains.
fn without_paths(config: &RunConfig) -> RunConfig {
    let file_name = |path: &Path| path.file_name().unwrap_or_default().into();
    let mut config = config.clone();
    let data = &mut config.data;
    data.folder = file_name(&data.folder);
    for file in [
        &mut data.manifest,
        &mut data.test_manifest,
        &mut data.label_map,
    ] {
        *file = file.as_deref().map(file_name);
    }
    for source in &mut data.sources {
        source.manifest = source.manifest.as_deref().map(file_name);
    }
    let noise = &mut config.training.disturbance.noise_folder;
    *noise = noise.as_deref().map(file_name);
    config.training.init_weights = config.training.init_weights.as_deref().map(file_name);
    config
}

/// True if the file begins like a bundle. Only the first bytes are read, because the file can be
/// any large file, such as a film.
pub(super) fn has_signature(path: &Path) -> std::io::Result<bool> {
    let mut beginning = Vec::new();
    let length = 8 + BEGINNING.len() as u64;
    bounded::open(path)?
        .take(length)
        .read_to_end(&mut beginning)?;
    Ok(beginning.get(8..) == Some(BEGINNING))
}

/// Hash of the header, and of the name, kind, shape and values of each tensor.
fn hash(header: &str, tensors: &BTreeMap<String, Tensor>) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut update = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    update(header.as_bytes());
    for (name, tensor) in tensors {
        update(name.as_bytes());
        update(format!("{:?} {:?}", tensor.kind(), tensor.size()).as_bytes());
        let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut numbers = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut numbers, tensor.numel())?;
        update(&numbers);
    }
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Trained;
    use crate::model::{Arch, ModelConfig};

    /// The hash proves that the file is unchanged, but not that its settings are plausible.
    #[test]
    fn a_bundle_with_implausible_sizes_reserves_no_memory() {
        let mut config = RunConfig::recipe(Arch::Bilstm);
        config.data.classes = vec!["a".into(), "b".into()];
        let ModelConfig::Bilstm(sizes) = &mut config.model else {
            unreachable!()
        };
        (sizes.ensemble_size, sizes.hidden, sizes.layers) = (4096, 4096, 4096);
        let bundle = Bundle {
            name: "huge".into(),
            config,
            clips: Vec::new(),
            subsets: Vec::new(),
            initial: Lineage::default(),
            unfinished: None,
            tensors: vec![("normalisation.mean".into(), Tensor::from_slice(&[0f32; 92]))],
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            bundle.encode("none".into(), Precision::Single).unwrap(),
        )
        .unwrap();
        let error = Trained::of_bundle(file.path()).unwrap_err().to_string();
        assert!(
            error.contains("at least") && error.contains("weights, but it has 92"),
            "{error}"
        );
    }
}
