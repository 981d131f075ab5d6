//! What can be wrong with a list of recordings.

use std::path::PathBuf;

use crate::corpus::UnclearSpeakers;

/// Why a list cannot be read. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ManifestError {
    #[error("cannot read {}", .file.display())]
    Unreadable {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("{} has no recording in it; a line has a file and a label, as in clips/a.wav,anger,anna", .0.display())]
    Empty(PathBuf),
    #[error("{place}: {what}")]
    Wrong { place: String, what: String },
    #[error("{lost} of the {all} recordings are not in {}; the first is {}: {reason}. --root names the \
             folder that the files are relative to", .root.display(), .first.display())]
    Lost {
        lost: usize,
        all: usize,
        root: PathBuf,
        first: PathBuf,
        reason: String,
    },
    #[error("{}: {unclear}", .file.display())]
    UnclearSpeakers {
        file: PathBuf,
        unclear: UnclearSpeakers,
    },
    #[error("{} names a class for none of its recordings; a line has a file and a label, as in clips/a.wav,anger,anna", .0.display())]
    NoLabels(PathBuf),
    #[error("{} lists recordings of one class only ('{class}'); a classifier needs at least two", .file.display())]
    OneClass { file: PathBuf, class: String },
}
