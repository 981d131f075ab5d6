//! A plain folder per class: `CLASS/SPEAKER/clip.wav`, or `CLASS/clip.wav` where nobody knows who
//! speaks. The folder's name is the label, in lower case, so that `Happy` and `happy` are one.

use std::path::{Component, Path};

use super::Labels;

pub(super) fn parse(file: &Path) -> Option<Labels> {
    let folders: Vec<&str> = file
        .parent()?
        .components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let label = folders.first()?.to_lowercase();
    let speaker = folders.get(1).copied().unwrap_or_default();
    Some(Labels::new(label, speaker, ""))
}
