//! Location of the recordings of a manifest.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::similar::Similar;
use crate::plural::{counted, is_or_are};

/// Number of files, spread over the manifest, that are searched for to resolve the paths.
const SAMPLED: usize = 200;

/// Resolution of the paths of a manifest.
pub(super) struct Places {
    root: PathBuf,
    /// Number of leading folders that are dropped from each path: many manifests have paths of the
    /// machine on which they were made.
    dropped: usize,
    /// A path of the manifest whose file exists.
    example: String,
    /// Recordings for paths that are not written as on the disk, by these paths.
    similar: BTreeMap<String, PathBuf>,
    /// Reasons that no recording is taken for a path, by these paths.
    unclear: BTreeMap<String, String>,
}

impl Places {
    /// Drops the smallest number of folders with which some recording exists below the root, and
    /// searches the root for the recordings that do not exist then. `None` if no recording exists.
    pub fn find(root: &Path, files: &[&str]) -> Option<Places> {
        let step = files.len().div_ceil(SAMPLED).max(1);
        let sample: Vec<&str> = files.iter().copied().step_by(step).collect();
        let deepest = sample.iter().map(|file| parts(file).count()).max()?;
        let plain = |dropped| Places {
            root: root.into(),
            dropped,
            example: String::new(),
            similar: BTreeMap::new(),
            unclear: BTreeMap::new(),
        };
        let mut places = (0..deepest)
            .find_map(|dropped| {
                let places = plain(dropped);
                let exists = |file: &&&str| root.join(places.of(file)).is_file();
                let example = sample.iter().find(exists)?.to_string();
                Some(Places { example, ..places })
            })
            .unwrap_or_else(|| plain(0));
        let is_missing = |file: &&&str| !root.join(places.of(file)).is_file();
        let missing: Vec<&str> = files.iter().filter(is_missing).copied().collect();
        if !missing.is_empty() {
            let exists = |file: &&&str| !is_missing(file);
            let taken = files.iter().filter(exists).map(|file| places.of(file));
            let similar = Similar::search(root, files, &missing, &taken.collect());
            (places.similar, places.unclear) = (similar.found, similar.unclear);
        }
        let is_lost = places.example.is_empty() && places.similar.is_empty();
        (!is_lost || !places.unclear.is_empty()).then_some(places)
    }

    /// The path of a file, relative to the root if the file is below the root.
    pub fn of(&self, file: &str) -> PathBuf {
        if let Some(similar) = self.similar.get(file) {
            return similar.clone();
        }
        let path = Path::new(file);
        if path.is_absolute() {
            return path.strip_prefix(&self.root).unwrap_or(path).into();
        }
        let parts: Vec<_> = parts(file).collect();
        parts[self.dropped.min(parts.len().saturating_sub(1))..]
            .iter()
            .collect()
    }

    /// The reason that the recording of a path is missing.
    pub fn reason(&self, file: &str) -> &str {
        let unclear = self.unclear.get(file);
        unclear.map_or("there is no such file", String::as_str)
    }

    /// Notes about the paths that are not written as on the disk.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.dropped > 0 {
            notes.push(format!(
                "each path is used without its first {}: {} is {}",
                counted(self.dropped, "folder"),
                self.example,
                self.root.join(self.of(&self.example)).display()
            ));
        }
        if let Some((file, found)) = self.similar.first_key_value() {
            notes.push(format!(
                "{} {} not written as on this disk, and one recording each is found for them: {file} \
                 is {}",
                counted(self.similar.len(), "path"),
                is_or_are(self.similar.len()),
                self.root.join(found).display()
            ));
        }
        notes
    }
}

/// The components of a path; `./a.wav` is `a.wav`.
fn parts(file: &str) -> impl Iterator<Item = Component<'_>> {
    let parts = Path::new(file).components();
    parts.filter(|part| *part != Component::CurDir)
}
