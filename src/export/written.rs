//! Recognition of files that emovox exported, by their first bytes or their contents.

use std::fs::File;
use std::path::Path;

use zip::ZipArchive;

use super::torchscript::CARD;
use crate::model::BEGINNING;
use crate::run::beginning;

/// True if the file is a bundle.
pub fn is_bundle(file: &Path) -> bool {
    is_safetensors_with(file, "\"{\\\"bundle\\\":")
}

/// True for the weights of a run that [`safetensors`](super::safetensors()) wrote.
pub fn is_safetensors(file: &Path) -> bool {
    is_safetensors_with(file, "\"{\\\"emovox\\\":")
}

/// True for a model that [`torchscript`](super::torchscript()) wrote.
pub fn is_torchscript(file: &Path) -> bool {
    let archive = File::open(file).map(ZipArchive::new);
    let name = format!("archive/{CARD}");
    matches!(archive, Ok(Ok(archive)) if archive.index_for_name(&name).is_some())
}

/// True if the metadata of a safetensors file start with the key `first_key`. The metadata are JSON
/// inside JSON, behind the eight bytes of the header's length.
fn is_safetensors_with(file: &Path, first_key: &str) -> bool {
    let expected = [BEGINNING, first_key.as_bytes()].concat();
    beginning(file, 8 + expected.len() as u64).get(8..) == Some(&expected)
}
