//! A plain folder per class: `CLASS/SPEAKER/clip.wav`, or `CLASS/clip.wav` where nobody knows who
//! speaks. The folder's name is the label, in lower case; a word that the
//! table of emotions knows becomes its label there, so that `Happy` is what RAVDESS calls happy.

use std::path::{Component, Path};

use super::{Labels, emotion};

pub(super) fn parse(file: &Path) -> Option<Labels> {
    let folders: Vec<&str> = file
        .parent()?
        .components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let word = *folders.first()?;
    let label = emotion::common(word);
    if label.is_empty() {
        return None;
    }
    let speaker = folders.get(1).copied().unwrap_or_default();
    Some(Labels::new(label, word, speaker, ""))
}
