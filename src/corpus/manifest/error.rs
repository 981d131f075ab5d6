//! Errors of manifests.

use std::path::PathBuf;

use crate::corpus::UnclearSpeakers;

/// The reason that a manifest cannot be read. Each message gives the next step.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum ManifestError {
    #[error("cannot read {}", .file.display())]
    Unreadable {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("{} lists no recordings; a line has a file and a label, as in clips/a.wav,anger,anna", .0.display())]
    Empty(PathBuf),
    #[error("{place}: {what}")]
    Wrong { place: String, what: String },
    #[error("{lost} of the {all} recordings are not in {}; the first is {}: {reason}. Set the folder \
             that the paths are relative to with --root", .root.display(), .first.display())]
    Lost {
        lost: usize,
        all: usize,
        root: PathBuf,
        first: PathBuf,
        reason: String,
    },
    #[error("{lost} of the {all} segments are not in their recordings; the first is in {}: {reason}", .first.display())]
    BehindEnd {
        lost: usize,
        all: usize,
        first: PathBuf,
        reason: String,
    },
    #[error("{}: {unclear}", .file.display())]
    UnclearSpeakers {
        file: PathBuf,
        unclear: UnclearSpeakers,
    },
    #[error("{} has no recording with a class; a line has a file and a label, as in clips/a.wav,anger,anna", .0.display())]
    NoLabels(PathBuf),
    #[error("{} lists recordings of one class only ('{class}'){left_out}; a classifier needs at least two", .file.display())]
    OneClass {
        file: PathBuf,
        class: String,
        /// The recordings that are left out, if there are any.
        left_out: String,
    },
}
