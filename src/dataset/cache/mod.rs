//! Cache of computed features, keyed by the content of the recordings and by the settings.
//!
//! ```text
//! features/
//!   SETTINGS/            a hash of the audio and feature settings, and of the version of the features
//!     settings.toml      the settings, for users
//!     NAME.shard         the features of some recordings, by the hash of their bytes
//!     .lock              locked while shards are written
//!   NAME.stamps          lengths, times and hashes of the recordings below a folder
//! ```
//!
//! Recordings are found by their bytes (and the times of a segment), not by their names: the features of a moved or renamed
//! corpus are found, the features of a changed recording are computed again. Shards are checked by
//! their hashes at each read; a damaged shard is removed and computed again. Two runs may use one
//! cache: a shard is renamed to its name when it is complete, and a run waits for at most a minute
//! if another run is computing features. Temporary files of a killed run (`.writing-…`) are removed
//! by the next run.

mod mtime_index;
mod shard;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use super::extract::Extraction;
use crate::audio::{self, AudioConfig, Excerpt};
use crate::corpus::{ContentHash, hash_excerpts};
use crate::features::{self, FeatureConfig};
use crate::io::{LockFile, TEMPORARY, is_abandoned, remove_if_abandoned, write_bytes};
use store::{Make, Store};

/// Maximum time that a run waits for another run that writes shards.
const PATIENCE: Duration = Duration::from_secs(60);
/// Maximum number of values that are read into memory: 256 MiB. If a corpus has more values, all of
/// them stay in their files and are read from there when they are needed.
const IN_MEMORY: usize = 1 << 26;

/// A folder with computed features.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    folder: PathBuf,
    patience: Duration,
    in_memory: usize,
    waiting: fn(&CacheWait),
}

/// State of a run that waits for another run, which holds the lock of the cache.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheWait {
    /// The lock file.
    pub lock: PathBuf,
    /// The ID of the process that holds the lock, if the file has one.
    pub holder: Option<u32>,
    /// The time without progress of that process after which the run continues without the cache.
    pub at_most: Duration,
}

/// Incomplete files of killed processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// Number of files.
    pub files: usize,
    /// Total size in bytes.
    pub bytes: u64,
}

/// Entry of the cache: the features for one folder of recordings and one set of settings.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheEntry {
    /// The folder of the recordings when the features were computed.
    pub corpus: String,
    /// Name of the settings: the start of their hash.
    pub settings: String,
    /// Number of recordings.
    pub clips: usize,
    /// Total size of the shards in bytes.
    pub bytes: u64,
    /// Time of the latest shard.
    pub made: SystemTime,
}

/// Cache key: every setting that affects features.
#[derive(Serialize)]
struct Settings<'a> {
    version: u32,
    decoding: u32,
    audio: &'a AudioConfig,
    features: &'a FeatureConfig,
}

impl FeatureCache {
    /// A cache in a folder. The folder is created when the first features are stored.
    pub fn new(folder: &Path) -> FeatureCache {
        FeatureCache {
            folder: folder.join("features"),
            patience: PATIENCE,
            in_memory: IN_MEMORY,
            waiting: |_| {},
        }
    }

    /// Sets a callback for a run that has waited for another run for two seconds.
    pub fn when_waiting(self, callback: fn(&CacheWait)) -> FeatureCache {
        FeatureCache {
            waiting: callback,
            ..self
        }
    }

    /// Sets the maximum time that a run waits for another run [default: a minute].
    pub fn with_patience(self, patience: Duration) -> FeatureCache {
        FeatureCache { patience, ..self }
    }

    /// Sets the maximum number of values that are read into memory [default: 2²⁶, which is 256
    /// MiB]. If a corpus has more, all of them stay in their files.
    pub fn with_memory(self, in_memory: usize) -> FeatureCache {
        FeatureCache { in_memory, ..self }
    }

    /// The cache of the user: in EMOVOX_CACHE, otherwise in XDG_CACHE_HOME/emovox, otherwise in
    /// ~/.cache/emovox. `None` if none of these variables and HOME is set.
    pub fn of_user() -> Option<FeatureCache> {
        let folder = |name| env::var_os(name).filter(|value| !value.is_empty());
        let folder = folder("EMOVOX_CACHE")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(folder("XDG_CACHE_HOME")?).join("emovox")))
            .or_else(|| Some(PathBuf::from(folder("HOME")?).join(".cache/emovox")))?;
        Some(FeatureCache::new(&folder))
    }

    /// The folder of the cache.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Like [`extract`](super::extract), but computes only features that are not in the cache, and
    /// stores them. `corpus` is the folder of the recordings. `advance` is called for each
    /// recording.
    ///
    /// # Errors
    /// If the cache cannot be written, or another process holds its lock for too long.
    pub fn extract(
        &self,
        corpus: &Path,
        files: &[Excerpt],
        audio: &AudioConfig,
        config: &FeatureConfig,
        advance: impl Fn() + Sync,
    ) -> Result<Extraction> {
        let text = toml::to_string(&Settings {
            version: features::VERSION,
            decoding: audio::VERSION,
            audio,
            features: config,
        })?;
        let folder = self.folder.join(name_of(text.as_bytes()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for left in temporary(&self.folder).chain(temporary(&folder)) {
            // An error is ignored, because a temporary file is harmless.
            let _ = remove_if_abandoned(&left);
        }
        let note = canonical(corpus);
        let contents = self.contents(corpus, files);

        let take = || Store::open(&folder).take(&contents, self.in_memory);
        let mut found = take();
        let mut reasons = HashMap::new();
        let cached = found.iter().flatten().count();
        (0..cached).for_each(|_| advance());
        if found.iter().any(Option::is_none) {
            let _lock = self.lock(&folder)?;
            write_bytes(&folder.join("settings.toml"), text.as_bytes())?;
            // Another run may have stored them while this run waited.
            found = take();
            let missing: Vec<usize> = (0..files.len()).filter(|&i| found[i].is_none()).collect();
            (0..files.len() - cached - missing.len()).for_each(|_| advance());
            let make = Make {
                folder: &folder,
                note: &note,
                audio,
                config,
            };
            reasons = make.all(files, &contents, &missing, &advance)?;
            for (found, made) in found.iter_mut().zip(take()) {
                *found = found.take().or(made);
            }
        }

        let extracted = found.into_iter().enumerate().map(|(index, features)| {
            match (features, reasons.remove(&index)) {
                (Some(features), _) => Ok(Ok(features)),
                (None, Some(reason)) => Ok(Err(reason)),
                (None, None) => Err(anyhow!(
                    "the files in {} disappear after they are written; check the disk",
                    folder.display()
                )),
            }
        });
        let extraction = Extraction::of(files, extracted.collect::<Result<_>>()?);
        Ok(Extraction {
            contents: Some(contents),
            ..extraction
        })
    }

    /// Waits until no other run writes shards in a folder.
    fn lock(&self, folder: &Path) -> Result<LockFile> {
        let path = folder.join(".lock");
        let mut lock = LockFile::open(&path)?;
        let mut wait = CacheWait {
            lock: path,
            holder: None,
            at_most: self.patience,
        };
        // A run that writes shards makes progress continuously.
        let bytes = |file: &PathBuf| fs::metadata(file).map_or(0, |file| file.len());
        let written = || entries(folder).iter().map(bytes).sum();
        let is_taken = lock.wait(self.patience, written, |holder| {
            wait.holder = holder;
            (self.waiting)(&wait);
        })?;
        if !is_taken {
            let holder = lock.holder().map_or("another process".into(), |number| {
                format!("process {number}")
            });
            bail!(
                "{holder} holds the lock {} and wrote nothing for {:.0} s",
                wait.lock.display(),
                self.patience.as_secs_f64()
            );
        }
        Ok(lock)
    }

    /// The incomplete files of killed processes, which the next run removes.
    pub fn unfinished(&self) -> Unfinished {
        let folders = entries(&self.folder);
        let inside = folders.iter().flat_map(|folder| temporary(folder));
        let all_temporary = temporary(&self.folder).chain(inside);
        let mut all = Unfinished::default();
        for file in all_temporary.filter(|file| is_abandoned(file)) {
            all.files += 1;
            all.bytes += fs::metadata(&file).map_or(0, |metadata| metadata.len());
        }
        all
    }

    /// The hash of each recording; `None` for a recording that cannot be read. Recordings that have
    /// not changed since the last call are not read again.
    pub fn contents(&self, corpus: &Path, files: &[Excerpt]) -> Vec<Option<ContentHash>> {
        let stamps = format!("{}.stamps", name_of(canonical(corpus).as_bytes()));
        let stamps = self.folder.join(stamps);
        hash_excerpts(files, |files| mtime_index::contents(files, corpus, &stamps))
    }

    /// Lists the entries of the cache, sorted by corpus, the latest first.
    pub fn list(&self) -> Vec<CacheEntry> {
        let mut all: Vec<CacheEntry> = Vec::new();
        for folder in entries(&self.folder) {
            let settings = name(&folder);
            for shard in Store::open(&folder).shards {
                let made = fs::metadata(&shard.path).and_then(|metadata| metadata.modified());
                let made = made.unwrap_or(SystemTime::UNIX_EPOCH);
                let same =
                    |held: &&mut CacheEntry| held.corpus == shard.note && held.settings == settings;
                if let Some(held) = all.iter_mut().find(same) {
                    held.clips += shard.entries.len();
                    held.bytes += shard.bytes();
                    held.made = held.made.max(made);
                } else {
                    all.push(CacheEntry {
                        corpus: shard.note.clone(),
                        settings: settings.clone(),
                        clips: shard.entries.len(),
                        bytes: shard.bytes(),
                        made,
                    });
                }
            }
        }
        all.sort_by(|a, b| a.corpus.cmp(&b.corpus).then(b.made.cmp(&a.made)));
        all
    }

    /// Removes all files of the cache, and no other file in its folder. A run that reads from the
    /// cache or writes to it continues without errors.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn clear(&self) -> Result<()> {
        for entry in entries(&self.folder) {
            let is_stamps = entry
                .extension()
                .is_some_and(|extension| extension == "stamps");
            if is_stamps {
                remove(&entry)?;
            } else if is_temporary(&entry) {
                remove_leftover(&entry)?;
            }
            let inside = entries(&entry);
            for file in &inside {
                if is_made(file) {
                    remove(file)?;
                } else if name(file) == ".lock" || is_temporary(file) {
                    remove_leftover(file)?;
                }
            }
            if !inside.is_empty() {
                // The folder remains if it contains other files.
                let _ = fs::remove_dir(&entry);
            }
        }
        Ok(())
    }
}

/// The folder of a corpus in its canonical spelling.
fn canonical(corpus: &Path) -> String {
    let folder = fs::canonicalize(corpus).unwrap_or_else(|_| corpus.into());
    folder.to_string_lossy().into_owned()
}

/// A name from the hash of some bytes.
fn name_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_string()
}

/// The entries of a folder, sorted; empty if the folder does not exist.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Temporary files in a folder.
fn temporary(folder: &Path) -> impl Iterator<Item = PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|file| is_temporary(file))
}

fn is_temporary(path: &Path) -> bool {
    name(path).starts_with(TEMPORARY)
}

/// True for the files that only emovox writes in the folder of some settings.
fn is_made(path: &Path) -> bool {
    let name = name(path);
    name.ends_with(".shard") || name == "settings.toml"
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Removes a lock or a temporary file, unless another process holds it.
fn remove_leftover(path: &Path) -> Result<()> {
    remove_if_abandoned(path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(())
}
