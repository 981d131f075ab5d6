//! Sounds that disturb speech: a folder with recordings of noise, or of impulse responses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rayon::prelude::*;

use crate::audio::{self, AudioConfig, Excerpt, Segment, Waveform};
use crate::corpus::{ContentHash, Skipped, find_recordings};
use crate::reason::reason;

/// Largest number of recordings in a folder that are read, evenly spaced in the order of their
/// names.
const MOST_RECORDINGS: usize = 100;
/// Seconds that are read of a recording. Together with their number this is at most 200 MB at
/// 16 kHz.
const MOST_SECONDS: u64 = 30;

/// Recordings that disturb speech.
#[derive(Debug, Clone, Default)]
pub struct Sounds {
    /// The recordings, with silence at both ends.
    pub waveforms: Vec<Waveform>,
    /// Recordings that could not be read, or are silent, with their paths below the folder.
    pub skipped: Vec<Skipped>,
    /// Identity of the waveforms: BLAKE3 of the names and the bytes of their files. None without a
    /// folder.
    pub content: Option<ContentHash>,
}

impl Sounds {
    /// The number of recordings that could not be used, as a sentence about `what`, such as
    /// `recordings of noise`; none if all could be used.
    pub fn note(&self, what: &str) -> Option<String> {
        let (skipped, read) = (self.skipped.len(), self.waveforms.len());
        (skipped > 0).then(|| format!("{skipped} of {} {what} could not be used", skipped + read))
    }
}

/// Checks that there is a folder with recordings, without reading them.
///
/// # Errors
/// If the folder does not exist, cannot be read, or has no recordings.
pub fn check_sounds(folder: &Path) -> Result<()> {
    find(folder).map(|_| ())
}

/// Reads the recordings in a folder on all cores: at most 100 of them, and at most the first 30
/// seconds of each.
///
/// # Errors
/// If the folder does not exist, cannot be read, or has no recordings, or if none of them can be
/// read and has sound.
pub fn read_sounds(folder: &Path, audio: &AudioConfig) -> Result<Sounds> {
    let found = find(folder)?;
    let step = found.len().div_ceil(MOST_RECORDINGS);
    let beginning = Segment {
        start: Duration::ZERO,
        end: Some(Duration::from_secs(MOST_SECONDS)),
    };
    let read = |file: &&PathBuf| -> Result<(Waveform, ContentHash)> {
        let excerpt = Excerpt {
            path: folder.join(file),
            segment: Some(beginning),
        };
        let waveform = audio::load_untrimmed(&excerpt, audio)?.waveform;
        ensure!(
            waveform.samples.iter().any(|&sample| sample != 0.0),
            "its first {MOST_SECONDS} s are digital silence, so it disturbs nothing"
        );
        Ok((waveform, ContentHash::of_file(&excerpt.path)?))
    };
    let files: Vec<&PathBuf> = found.iter().step_by(step).collect();
    let results: Vec<Result<_>> = files.par_iter().map(read).collect();
    let mut sounds = Sounds::default();
    let mut contents = Vec::new();
    for (file, result) in files.into_iter().zip(results) {
        match result {
            Ok((waveform, content)) => {
                sounds.waveforms.push(waveform);
                contents.push((file.as_path(), content));
            }
            Err(error) => sounds.skipped.push(Skipped {
                file: file.as_path().into(),
                reason: reason(&error),
            }),
        }
    }
    if let (true, Some(first)) = (sounds.waveforms.is_empty(), sounds.skipped.first()) {
        bail!(
            "no recording in {} can be used; the first is {}: {}",
            folder.display(),
            first.file.display(),
            first.reason
        );
    }
    sounds.content = Some(ContentHash::of_files(&contents));
    Ok(sounds)
}

/// The recordings in a folder, which has at least one.
fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = find_recordings(folder)?;
    found.require(folder)?;
    Ok(found.recordings)
}
