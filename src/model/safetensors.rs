//! Tensors as a safetensors file, which other programs can read: a JSON header and the raw values.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use safetensors::{Dtype, SafeTensors, View};
use tch::{Device, Kind, Tensor};

/// Key of emovox's text in the metadata of a file. It is the only key: several keys would be in a
/// different order in each file.
const METADATA: &str = "emovox";

/// First bytes of a file from [`to_safetensors`], after the eight bytes of the header's length.
pub const BEGINNING: &[u8] = b"{\"__metadata__\":{\"emovox\":";

/// Tensors and their metadata `text` as the bytes of a file. The same tensors give the same bytes.
///
/// # Errors
/// A tensor of a type other than f32 and u8.
pub fn to_safetensors(tensors: &[(String, Tensor)], text: &str) -> Result<Vec<u8>> {
    let mut views = Vec::new();
    for (name, tensor) in tensors {
        views.push((name.as_str(), Numbers::of(tensor)?));
    }
    let metadata = HashMap::from([(METADATA.to_string(), text.to_string())]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

/// The tensors in the bytes of a file.
///
/// # Errors
/// A damaged file, or a tensor of a type other than f32, f16 and u8.
pub fn from_safetensors(bytes: &[u8], device: Device) -> Result<BTreeMap<String, Tensor>> {
    let file = SafeTensors::deserialize(bytes)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::U8 => Kind::Uint8,
            other => {
                bail!("its tensor '{name}' has the type {other:?}, which emovox does not read")
            }
        };
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)?.f_to_device(device)?;
        tensors.insert(name.to_string(), tensor);
    }
    Ok(tensors)
}

/// The metadata that [`to_safetensors`] wrote into a file.
pub fn safetensors_metadata(bytes: &[u8]) -> Result<String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|all| all.get(METADATA));
    text.cloned().context("it has no metadata of emovox")
}

/// The values of a tensor as bytes of a file.
struct Numbers {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Numbers {
    fn of(tensor: &Tensor) -> Result<Numbers> {
        let dtype = match tensor.kind() {
            Kind::Float => Dtype::F32,
            Kind::Half => Dtype::F16,
            Kind::Uint8 => Dtype::U8,
            kind => bail!("emovox does not write tensors of type {kind:?}"),
        };
        let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        Ok(Numbers {
            dtype,
            shape: tensor.size().iter().map(|&size| size as usize).collect(),
            bytes,
        })
    }
}

impl View for Numbers {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
