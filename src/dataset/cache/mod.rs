//! Features that were computed before, for recordings and settings that are the same.
//!
//! ```text
//! features/
//!   SETTINGS/            a hash of the audio and feature settings, and of the code's version of them
//!     settings.toml      the settings, for people
//!     NAME.shard         the features of some recordings, by the hash of their bytes
//!     .lock              held while shards are made
//!   NAME.stamps          lengths, times and hashes of the recordings below a folder
//! ```
//!
//! The bytes of a recording decide, not its name: a corpus that was moved or renamed is found, a
//! recording that was changed is not. Shards are checked by their hashes whenever they are read; one that
//! is damaged is removed, and made again. Two runs may share a cache: a shard is renamed into its place
//! when it is whole, and who finds another run computing waits for what comes of it, for a minute at
//! most. What a killed run was writing (`.writing-…`) is removed by the next one.

mod shard;
mod stamps;
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
use crate::audio::AudioConfig;
use crate::corpus::{ContentHash, Skipped};
use crate::features::{self, FeatureConfig};
use crate::io::{LockFile, TEMPORARY, is_abandoned, remove_if_abandoned, write_bytes};
use shard::Hash;
use store::{Make, Store};

/// Time that a run waits for another one that makes shards.
const PATIENCE: Duration = Duration::from_secs(60);
/// Values that are read into memory at most: 256 MiB of them. Where there are more, all stay in their
/// files, and are read from there whenever they are needed.
const IN_MEMORY: usize = 1 << 26;

/// A folder with features that were computed before.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    folder: PathBuf,
    patience: Duration,
    in_memory: usize,
    waiting: fn(&CacheWait),
}

/// A run that waits for another one, which holds the lock of the cache.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheWait {
    /// The lock file.
    pub lock: PathBuf,
    /// The number of the process that holds it, where the file has one.
    pub holder: Option<u32>,
    /// The time without progress of that process after which the run continues without the cache.
    pub at_most: Duration,
}

/// Files that killed processes left unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// Number of files.
    pub files: usize,
    /// Their size on the disk.
    pub bytes: u64,
}

/// What a cache holds for one folder of recordings and one set of settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Where the recordings were.
    pub corpus: String,
    /// What their settings are called.
    pub settings: String,
    /// How many recordings.
    pub clips: usize,
    /// What they take on the disk.
    pub bytes: u64,
    /// When the latest was made.
    pub made: SystemTime,
}

/// What decides about features, beside the recording.
#[derive(Serialize)]
struct Settings<'a> {
    version: u32,
    audio: &'a AudioConfig,
    features: &'a FeatureConfig,
}

impl FeatureCache {
    /// A cache in a folder, which is made when there is something to keep.
    pub fn new(folder: &Path) -> FeatureCache {
        FeatureCache {
            folder: folder.join("features"),
            patience: PATIENCE,
            in_memory: IN_MEMORY,
            waiting: |_| {},
        }
    }

    /// Calls `tell` when a run has waited for two seconds for another one.
    pub fn when_waiting(self, tell: fn(&CacheWait)) -> FeatureCache {
        FeatureCache {
            waiting: tell,
            ..self
        }
    }

    /// Waits for another run so long at most [default: a minute].
    pub fn with_patience(self, patience: Duration) -> FeatureCache {
        FeatureCache { patience, ..self }
    }

    /// Reads at most so many values into memory [default: 256 MiB of them]; where a corpus has more,
    /// all of them stay in their files.
    pub fn with_memory(self, in_memory: usize) -> FeatureCache {
        FeatureCache { in_memory, ..self }
    }

    /// The user's own: in EMOVOX_CACHE, else in XDG_CACHE_HOME/emovox, else in ~/.cache/emovox.
    pub fn of_user() -> Option<FeatureCache> {
        let folder = |name| env::var_os(name).filter(|value| !value.is_empty());
        let folder = folder("EMOVOX_CACHE")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(folder("XDG_CACHE_HOME")?).join("emovox")))
            .or_else(|| Some(PathBuf::from(folder("HOME")?).join(".cache/emovox")))?;
        Some(FeatureCache::new(&folder))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// As [`extract`](super::extract), but computes only what is not there yet, and keeps it.
    /// `corpus` is the folder that the recordings are in. `advance` is called for each recording.
    ///
    /// # Errors
    /// If the cache cannot be written, or another process holds its lock for too long.
    pub fn extract(
        &self,
        corpus: &Path,
        files: &[PathBuf],
        audio: &AudioConfig,
        config: &FeatureConfig,
        advance: impl Fn() + Sync,
    ) -> Result<Extraction> {
        let text = toml::to_string(&Settings {
            version: features::VERSION,
            audio,
            features: config,
        })?;
        let folder = self.folder.join(name_of(text.as_bytes()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for left in temporary(&self.folder).chain(temporary(&folder)) {
            // It does no harm if it stays.
            let _ = remove_if_abandoned(&left);
        }
        let note = place_of(corpus);
        let contents = self.hashes(corpus, files);

        let take = || Store::open(&folder).take(&contents, self.in_memory);
        let mut found = take();
        let mut reasons = HashMap::new();
        let held = found.iter().flatten().count();
        (0..held).for_each(|_| advance());
        if found.iter().any(Option::is_none) {
            let _lock = self.lock(&folder)?;
            write_bytes(&folder.join("settings.toml"), text.as_bytes())?;
            // Another run may have made them while this one waited.
            found = take();
            let missing: Vec<usize> = (0..files.len()).filter(|&i| found[i].is_none()).collect();
            (0..files.len() - held - missing.len()).for_each(|_| advance());
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

        let mut extraction = Extraction {
            features: Vec::new(),
            skipped: Vec::new(),
            contents: Some(contents.iter().map(|hash| hash.map(Into::into)).collect()),
        };
        for (index, features) in found.into_iter().enumerate() {
            match (features, reasons.remove(&index)) {
                (Some(features), _) => extraction.features.push((index, features)),
                (None, Some(reason)) => extraction.skipped.push(Skipped {
                    file: files[index].clone(),
                    reason,
                }),
                (None, None) => {
                    return Err(anyhow!(
                        "{} does not keep what is written to it",
                        folder.display()
                    ));
                }
            }
        }
        Ok(extraction)
    }

    /// Waits until no other run makes shards in a folder.
    fn lock(&self, folder: &Path) -> Result<LockFile> {
        let path = folder.join(".lock");
        let mut lock = LockFile::open(&path)?;
        let mut wait = CacheWait {
            lock: path,
            holder: None,
            at_most: self.patience,
        };
        // A run that makes shards writes all the time.
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
                "{holder} holds {} and wrote nothing for {:.0} s",
                wait.lock.display(),
                self.patience.as_secs_f64()
            );
        }
        Ok(lock)
    }

    /// The files of killed processes, which the next run removes.
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

    /// The hash of each recording, of which those that have not changed since are not read again. None
    /// where one cannot be read.
    pub fn contents(&self, corpus: &Path, files: &[PathBuf]) -> Vec<Option<ContentHash>> {
        let hashes = self.hashes(corpus, files).into_iter();
        hashes.map(|hash| hash.map(Into::into)).collect()
    }

    fn hashes(&self, corpus: &Path, files: &[PathBuf]) -> Vec<Option<Hash>> {
        let stamps = format!("{}.stamps", name_of(place_of(corpus).as_bytes()));
        stamps::contents(files, corpus, &self.folder.join(stamps))
    }

    /// What it holds.
    pub fn list(&self) -> Vec<Held> {
        let mut all: Vec<Held> = Vec::new();
        for folder in entries(&self.folder) {
            let settings = name(&folder);
            for shard in Store::open(&folder).shards {
                let made = fs::metadata(&shard.path).and_then(|metadata| metadata.modified());
                let made = made.unwrap_or(SystemTime::UNIX_EPOCH);
                let same =
                    |held: &&mut Held| held.corpus == shard.note && held.settings == settings;
                if let Some(held) = all.iter_mut().find(same) {
                    held.clips += shard.entries.len();
                    held.bytes += shard.bytes();
                    held.made = held.made.max(made);
                } else {
                    all.push(Held {
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

    /// Removes what it holds, and nothing else that may be in its folder. A run that reads from it or
    /// writes to it goes on undisturbed.
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
                // Stays where something else is in it.
                let _ = fs::remove_dir(&entry);
            }
        }
        Ok(())
    }
}

/// The folder of a corpus, however it was typed.
fn place_of(corpus: &Path) -> String {
    let place = fs::canonicalize(corpus).unwrap_or_else(|_| corpus.into());
    place.to_string_lossy().into_owned()
}

/// A name for what has these bytes.
fn name_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_string()
}

/// What is in a folder; nothing where there is none.
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

/// True for the files that only emovox makes in the folder of some settings.
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
