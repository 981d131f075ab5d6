//! What recordings contained when they were last read, so that not all of them have to be read to
//! know whether they have changed.
//!
//! A recording is taken as unchanged where its length and its times of change, to the nanosecond, are
//! what they were, and lay at least two seconds back when it was read: within a clock's tick it could
//! have been written twice. Everything else is read and hashed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::shard::Hash;
use crate::io::write_bytes;

const AT_LEAST: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    /// Nanoseconds since 1970: when the content changed, and when anything did.
    times: (i64, i64),
    content: Hash,
}

/// The stamps of the recordings below a folder, by their place in it.
type Stamps = BTreeMap<PathBuf, Stamp>;

/// What each of some recordings below `folder` contains; `None` where it cannot be read. `file` keeps
/// what was found out, if it can be written.
pub(super) fn contents(files: &[PathBuf], folder: &Path, file: &Path) -> Vec<Option<Hash>> {
    let place = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_path_buf();
    let mut stamps = read(file);
    let now = SystemTime::now();
    let look = |path: &PathBuf| -> Option<(Hash, Option<Stamp>)> {
        let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
        let (bytes, times) = (metadata.len(), times(&metadata));
        if let Some(stamp) = stamps.get(&place(path))
            && (stamp.bytes, stamp.times) == (bytes, times)
        {
            return Some((stamp.content, None));
        }
        let content = *blake3::hash(&fs::read(path).ok()?).as_bytes();
        let settled = is_before(times, now - AT_LEAST).then_some(Stamp {
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
            stamps.insert(place(path), stamp);
            new += 1;
        }
        contents.push(content);
    }
    if new > 0 {
        // Without it they are hashed again.
        let _ = write(file, &stamps);
    }
    contents
}

/// No stamps where there is no such file, or where it is not as it was written.
fn read(file: &Path) -> Stamps {
    let text = fs::read_to_string(file).unwrap_or_default();
    let Some((hash, stamps)) = text.split_once('\n') else {
        return Stamps::new();
    };
    match blake3::hash(stamps.as_bytes()).to_hex().as_str() == hash {
        true => serde_json::from_str(stamps).unwrap_or_default(),
        false => Stamps::new(),
    }
}

fn write(file: &Path, stamps: &Stamps) -> Result<()> {
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
