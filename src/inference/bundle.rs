//! A trained run as one file, to be given away: a safetensors file whose header holds the settings.
//!
//! It has what `config.toml`, `split.csv`, `ancestors.csv` and `best.ot` of the run have, but no place on the machine where
//! it was trained. One of its tensors is a hash of all the rest, since safetensors have no checksum.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::bounded;
use crate::config::RunConfig;
use crate::corpus::Clip;
use crate::corpus::split::{Part, Split};
use crate::leakage::Caveats;
use crate::model::{BEGINNING, about_safetensors, check_numbers, from_safetensors, to_safetensors};
use crate::run::{Lineage, RunFolder, parse_lineage, parse_split, print_lineage, print_split};

/// The format of bundles; a file of a later one is refused.
const FORMAT: u32 = 1;

/// The tensor that holds the hash.
const HASH: &str = "blake3";

/// What a bundle holds.
#[derive(Debug)]
pub(super) struct Bundle {
    /// The run's name.
    pub name: String,
    pub config: RunConfig,
    /// The clips that it was trained, validated and tested with.
    pub clips: Vec<Clip>,
    pub parts: Vec<Part>,
    /// Of the weights that it started from.
    pub initial: Lineage,
    /// Weights and normalisation, on the CPU.
    pub tensors: Vec<(String, Tensor)>,
}

/// What stands in the header, as JSON.
#[derive(Serialize, Deserialize)]
struct Header {
    bundle: u32,
    emovox: String,
    run: String,
    /// Of the recordings that it was trained on.
    licence: String,
    /// `config.toml`
    config: String,
    /// `split.csv`
    split: String,
    /// `ancestors.csv`, of a run that started from given weights. Earlier versions did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ancestors: Option<String>,
    /// Everything that a reader of the run's scores must know. Earlier versions did not write it.
    #[serde(default)]
    notes: Vec<String>,
}

impl Bundle {
    /// The bytes of the file.
    pub(super) fn encode(&self, licence: String) -> Result<Vec<u8>> {
        RunFolder::check_name(&self.name).context("rename the folder of the run")?;
        let mut split = Vec::new();
        let mut ancestors = Vec::new();
        print_lineage(&mut ancestors, &self.initial)?;
        print_split(&mut split, &self.clips, &self.parts)?;
        let header = serde_json::to_string(&Header {
            bundle: FORMAT,
            emovox: env!("CARGO_PKG_VERSION").to_string(),
            run: self.name.clone(),
            licence,
            config: without_places(&self.config).text()?,
            split: String::from_utf8(split)?,
            ancestors: match self.initial.is_empty() {
                true => None,
                false => Some(String::from_utf8(ancestors)?),
            },
            notes: self.caveats().notes(),
        })?;
        let tensors = self.tensors.iter();
        let mut tensors: BTreeMap<String, Tensor> = tensors
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect();
        let hash = hash(&header, &tensors)?;
        tensors.insert(HASH.to_string(), Tensor::from_slice(&hash));
        let tensors: Vec<(String, Tensor)> = tensors.into_iter().collect();
        to_safetensors(&tensors, &header)
    }

    /// Everything about its recordings that a reader of its scores must know.
    pub(super) fn caveats(&self) -> Caveats {
        let split = Split::new(&self.clips, self.parts.clone());
        Caveats::new(&self.config.data, &self.clips, &split, &self.initial)
    }

    /// Reads the file. Every bit of what it says has been checked then.
    pub(super) fn read(path: &Path) -> Result<Bundle> {
        ensure!(
            is_ours(path).with_context(|| format!("cannot read {}", path.display()))?,
            "{} is no bundle of emovox; `emovox export RUN --format bundle` makes one of a run",
            path.display()
        );
        let bytes = bounded::read(path, bounded::WEIGHTS)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Bundle::decode(&bytes, path)
            .with_context(|| format!("{} cannot be used as a run", path.display()))
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Bundle> {
        let damaged = "it was cut off or is damaged; copy it again";
        let header = about_safetensors(bytes).context(damaged)?;
        let json: serde_json::Value = serde_json::from_str(&header).context(damaged)?;
        let format = json.get("bundle").context(
            "it is an export for other programs; `emovox export RUN --format bundle` makes one for emovox",
        )?;
        ensure!(
            format.as_u64() == Some(u64::from(FORMAT)),
            "its format is {format}, this emovox ({}) knows {FORMAT}",
            env!("CARGO_PKG_VERSION")
        );
        let mut tensors = from_safetensors(bytes, Device::Cpu).context(damaged)?;
        let found = tensors.remove(HASH).context(damaged)?;
        let found = Vec::<u8>::try_from(found).ok().context(damaged)?;
        ensure!(
            found == hash(&header, &tensors)?,
            "it is damaged: its checksum is wrong; copy it again"
        );
        check_numbers(&tensors)?;
        let header: Header = serde_json::from_value(json).context(damaged)?;
        RunFolder::check_name(&header.run).context("its author gave it a name that is none")?;
        let config = RunConfig::of_text(&header.config, path)?;
        let (clips, parts) = parse_split(header.split.as_bytes(), &config.data.sources)?;
        let initial = match (&header.ancestors, &config.training.init_weights) {
            (Some(text), _) => parse_lineage(text.as_bytes())?,
            (None, Some(weights)) => Lineage::unknown(weights),
            (None, None) => Lineage::default(),
        };
        Ok(Bundle {
            name: header.run,
            config,
            clips,
            parts,
            initial,
            tensors: tensors.into_iter().collect(),
        })
    }
}

/// Settings without what they tell of the machine: of a folder only its own name stays.
fn without_places(config: &RunConfig) -> RunConfig {
    let own_name = |path: &Path| path.file_name().unwrap_or_default().into();
    let mut config = config.clone();
    let data = &mut config.data;
    data.folder = own_name(&data.folder);
    for list in [
        &mut data.manifest,
        &mut data.test_manifest,
        &mut data.label_map,
    ] {
        *list = list.as_deref().map(own_name);
    }
    config.training.init_weights = config.training.init_weights.as_deref().map(own_name);
    config
}

/// Looks at the first bytes alone: somebody may have named a film.
fn is_ours(path: &Path) -> std::io::Result<bool> {
    let mut beginning = Vec::new();
    let length = 8 + BEGINNING.len() as u64;
    bounded::open(path)?
        .take(length)
        .read_to_end(&mut beginning)?;
    Ok(beginning.get(8..) == Some(BEGINNING))
}

/// Of the header, and of each tensor's name, kind, shape and numbers.
fn hash(header: &str, tensors: &BTreeMap<String, Tensor>) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(header.as_bytes());
    for (name, tensor) in tensors {
        part(name.as_bytes());
        part(format!("{:?} {:?}", tensor.kind(), tensor.size()).as_bytes());
        let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut numbers = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut numbers, tensor.numel())?;
        part(&numbers);
    }
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Trained;
    use crate::model::{Arch, ModelConfig};

    /// A hash says that a file is as it was written, not who wrote it.
    #[test]
    fn a_made_up_bundle_reserves_no_memory() {
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
            parts: Vec::new(),
            initial: Lineage::default(),
            tensors: vec![("normalisation.mean".into(), Tensor::from_slice(&[0f32; 92]))],
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bundle.encode("none".into()).unwrap()).unwrap();
        let error = Trained::of_bundle(file.path()).unwrap_err().to_string();
        assert!(
            error.contains("weights or more") && error.contains("holds 92"),
            "{error}"
        );
    }
}
