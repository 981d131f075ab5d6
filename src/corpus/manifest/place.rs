//! Where the recordings of a list are.

use std::path::{Component, Path, PathBuf};

/// So many files, all over the list, are looked for to know how the paths of a list are meant.
const LOOKED_FOR: usize = 200;

/// What becomes of the paths of a list.
pub(super) struct Places {
    root: PathBuf,
    /// Folders at the start of each path that are not there: lists name those of whoever made them.
    dropped: usize,
    example: String,
}

impl Places {
    /// Drops as few folders as are needed for some recording to be below the root. None where none is.
    pub fn find(root: &Path, files: &[&str]) -> Option<Places> {
        let step = files.len().div_ceil(LOOKED_FOR).max(1);
        let looked_for: Vec<&str> = files.iter().copied().step_by(step).collect();
        let deepest = looked_for.iter().map(|file| parts(file).count()).max()?;
        (0..deepest).find_map(|dropped| {
            let places = Places {
                root: root.into(),
                dropped,
                example: String::new(),
            };
            let there = |file: &&&str| root.join(places.of(file)).is_file();
            let example = looked_for.iter().find(there)?.to_string();
            Some(Places { example, ..places })
        })
    }

    /// Relative to the root, where it is below it.
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

    /// What was dropped, if anything.
    pub fn note(&self) -> Option<String> {
        (self.dropped > 0).then(|| {
            format!(
                "of the paths the first {} folder(s) are left out: {} is {}",
                self.dropped,
                self.example,
                self.root.join(self.of(&self.example)).display()
            )
        })
    }
}

/// The folders and the name of a path; `./a.wav` is `a.wav`.
fn parts(file: &str) -> impl Iterator<Item = Component<'_>> {
    let parts = Path::new(file).components();
    parts.filter(|part| *part != Component::CurDir)
}
