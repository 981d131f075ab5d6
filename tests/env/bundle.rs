//! Bundles with changed contents and the correct hash, which anyone can compute.

use std::collections::BTreeMap;

use emovox::model::{from_safetensors, safetensors_metadata, to_safetensors};
use serde_json::Value;
use tch::{Device, Tensor};

/// The bundle after `change` of its header and tensors, with the correct hash.
pub fn changed_bundle(
    bundle: &[u8],
    change: impl FnOnce(&mut Value, &mut BTreeMap<String, Tensor>),
) -> Vec<u8> {
    let mut header: Value = serde_json::from_str(&safetensors_metadata(bundle).unwrap()).unwrap();
    let mut tensors = from_safetensors(bundle, Device::Cpu).unwrap();
    drop(tensors.remove("blake3").expect("the hash"));
    change(&mut header, &mut tensors);
    let header = header.to_string();
    let hash = Tensor::from_slice(&hash(&header, &tensors));
    tensors.insert("blake3".into(), hash);
    to_safetensors(&tensors.into_iter().collect::<Vec<_>>(), &header).unwrap()
}

/// The hash in a bundle, over its header and its tensors.
fn hash(header: &str, tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(header.as_bytes());
    for (name, tensor) in tensors {
        add(name.as_bytes());
        add(format!("{:?} {:?}", tensor.kind(), tensor.size()).as_bytes());
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        add(&bytes);
    }
    hasher.finalize().as_bytes().to_vec()
}
