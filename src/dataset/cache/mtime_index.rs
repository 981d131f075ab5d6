//! Index of recordings by length and modification time, so that unchanged recordings need not be
//! read to know their hashes.
//!
//! A recording counts as unchanged if its length and its times of change, in nanoseconds, are equal
//! to those in the index. Only times that were at least two seconds old at the read are stored,
//! because a file can be written twice within one tick of the clock. All other recordings are read
//! and hashed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::corpus::ContentHash;
use crate::io::write_bytes;

/// Minimum age of the times of a recording that is stored.
const MIN_AGE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stamp {
    /// Length of the recording in bytes.
    bytes: u64,
    /// Times of the last change of the content and of the metadata, in nanoseconds since 1970.
    times: (i64, i64),
    content: ContentHash,
}

/// The stamps of the recordings below a folder, by their paths in it.
type MtimeIndex = BTreeMap<PathBuf, Stamp>;

/// The hash of each of some recordings below `folder`; `None` if a recording cannot be read. The
/// index in `file` is updated if it can be written.
pub(super) fn contents(files: &[PathBuf], folder: &Path, file: &Path) -> Vec<Option<ContentHash>> {
    let relative = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_path_buf();
    let mut stamps = read(file);
    let now = SystemTime::now();
    let look = |path: &PathBuf| -> Option<(ContentHash, Option<Stamp>)> {
        let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
        let (bytes, times) = (metadata.len(), times(&metadata));
        if let Some(stamp) = stamps.get(&relative(path))
            && (stamp.bytes, stamp.times) == (bytes, times)
        {
            return Some((stamp.content, None));
        }
        let content = ContentHash::of_file(path).ok()?;
        let settled = is_before(times, now - MIN_AGE).then_some(Stamp {
            bytes,
            times,
            content,
        });
        Some((content, settled))
    };
    let found: Vec<_> = files.par_iter().map(look).collect();
    let mut new = 0;
    let mut contents = Vec::with_capacity(files.len());
    for (path, found) in files.iter().zip(found) {
        let (content, stamp) = found.unzip();
        if let Some(stamp) = stamp.flatten() {
            stamps.insert(relative(path), stamp);
            new += 1;
        }
        contents.push(content);
    }
    if new > 0 {
        // If the write fails, the recordings are hashed again at the next call.
        let _ = write(file, &stamps);
    }
    contents
}

/// Reads the index. It is empty if the file does not exist or is damaged.
fn read(file: &Path) -> MtimeIndex {
    let text = fs::read_to_string(file).unwrap_or_default();
    let Some((hash, stamps)) = text.split_once('\n') else {
        return MtimeIndex::new();
    };
    if blake3::hash(stamps.as_bytes()).to_hex().as_str() == hash {
        serde_json::from_str(stamps).unwrap_or_default()
    } else {
        MtimeIndex::new()
    }
}

fn write(file: &Path, stamps: &MtimeIndex) -> Result<()> {
    let text = serde_json::to_string(stamps)?;
    let hash = blake3::hash(text.as_bytes()).to_hex();
    write_bytes(file, format!("{hash}\n{text}").as_bytes())
}

#[cfg(unix)]
fn times(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt;
    let nanoseconds = |seconds: i64, more: i64| seconds.saturating_mul(1_000_000_000) + more;
    (
        nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
    )
}

#[cfg(not(unix))]
fn times(metadata: &Metadata) -> (i64, i64) {
    let since = metadata.modified().ok().map(since_1970).unwrap_or(i64::MAX);
    (since, since)
}

fn is_before(times: (i64, i64), moment: SystemTime) -> bool {
    times.0.max(times.1) < since_1970(moment)
}

fn since_1970(moment: SystemTime) -> i64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as i64)
}
