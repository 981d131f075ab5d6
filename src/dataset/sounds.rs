//! Sounds that disturb speech: a folder with recordings of noise, or of impulse responses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;

use crate::audio::{self, AudioConfig, Excerpt, Segment, Waveform};
use crate::corpus::find_recordings;

/// Largest number of recordings in a folder that are read, evenly spaced in the order of their
/// names.
const MOST_RECORDINGS: usize = 100;
/// Seconds that are read of a recording. Together with their number this is at most 200 MB at
/// 16 kHz.
const MOST_SECONDS: u64 = 30;

/// Reads the recordings in a folder on all cores, with silence at both ends: at most 100 of them, and
/// at most the first 30 seconds of each.
///
/// # Errors
/// If there is no such folder, if it has no recordings, or if one of them cannot be read.
pub fn read_sounds(folder: &Path, audio: &AudioConfig) -> Result<Vec<Waveform>> {
    ensure!(folder.is_dir(), "there is no folder {}", folder.display());
    let found = find_recordings(folder)?.recordings;
    ensure!(!found.is_empty(), "{} has no recordings", folder.display());
    let step = found.len().div_ceil(MOST_RECORDINGS);
    let beginning = Segment {
        start: Duration::ZERO,
        end: Some(Duration::from_secs(MOST_SECONDS)),
    };
    let read = |file: &PathBuf| -> Result<Waveform> {
        let excerpt = Excerpt {
            path: folder.join(file),
            segment: Some(beginning),
        };
        let loaded = audio::load_untrimmed(&excerpt, audio);
        Ok(loaded
            .with_context(|| excerpt.display().to_string())?
            .waveform)
    };
    let files: Vec<&PathBuf> = found.iter().step_by(step).collect();
    files.into_par_iter().map(read).collect()
}
