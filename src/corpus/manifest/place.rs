//! Location of the recordings of a manifest.

use std::path::{Component, Path, PathBuf};

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
}

impl Places {
    /// Drops the smallest number of folders with which some recording exists below the root. `None`
    /// if no recording exists.
    pub fn find(root: &Path, files: &[&str]) -> Option<Places> {
        let step = files.len().div_ceil(SAMPLED).max(1);
        let sample: Vec<&str> = files.iter().copied().step_by(step).collect();
        let deepest = sample.iter().map(|file| parts(file).count()).max()?;
        (0..deepest).find_map(|dropped| {
            let places = Places {
                root: root.into(),
                dropped,
                example: String::new(),
            };
            let exists = |file: &&&str| root.join(places.of(file)).is_file();
            let example = sample.iter().find(exists)?.to_string();
            Some(Places { example, ..places })
        })
    }

    /// The path of a file, relative to the root if the file is below the root.
    pub fn of(&self, file: &str) -> PathBuf {
        let path = Path::new(file);
        if path.is_absolute() {
            return path.strip_prefix(&self.root).unwrap_or(path).into();
        }
        let parts: Vec<_> = parts(file).collect();
        parts[self.dropped.min(parts.len().saturating_sub(1))..]
            .iter()
            .collect()
    }

    /// A note about the dropped folders, if any.
    pub fn note(&self) -> Option<String> {
        (self.dropped > 0).then(|| {
            format!(
                "the first {} folder(s) of each path are left out: {} is {}",
                self.dropped,
                self.example,
                self.root.join(self.of(&self.example)).display()
            )
        })
    }
}

/// The components of a path; `./a.wav` is `a.wav`.
fn parts(file: &str) -> impl Iterator<Item = Component<'_>> {
    let parts = Path::new(file).components();
    parts.filter(|part| *part != Component::CurDir)
}
