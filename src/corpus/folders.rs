//! One folder per class: `CLASS/SPEAKER/clip.wav`, or `CLASS/clip.wav` if the speakers are unknown.
//! The name of the folder is the label, in lower case. A word in the table of emotions becomes its
//! common label, so that `Happy` and the `happy` of RAVDESS are the same label.

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
