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
//! when it is whole, and who finds another run computing waits for what comes of it.

mod map;
mod shard;
mod stamps;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

use super::extract::Extraction;
use crate::audio::AudioConfig;
use crate::corpus::{ContentHash, Skipped};
use crate::features::{self, FeatureConfig};
use crate::run::write_bytes;
use shard::Hash;
use store::{Make, Store, lock};

/// A folder with features that were computed before.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    folder: PathBuf,
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
        }
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
        let note = place_of(corpus);
        let contents = self.hashes(corpus, files);

        let mut found = Store::open(&folder).take(&contents);
        let mut reasons = HashMap::new();
        let held = found.iter().flatten().count();
        (0..held).for_each(|_| advance());
        if found.iter().any(Option::is_none) {
            let _lock = lock(&folder)?;
            write_bytes(&folder.join("settings.toml"), text.as_bytes())?;
            // Another run may have made them while this one waited.
            found = Store::open(&folder).take(&contents);
            let missing: Vec<usize> = (0..files.len()).filter(|&i| found[i].is_none()).collect();
            (0..files.len() - held - missing.len()).for_each(|_| advance());
            let make = Make {
                folder: &folder,
                note: &note,
                audio,
                config,
            };
            reasons = make.all(files, &contents, &missing, &advance)?;
            let made = Store::open(&folder).take(&contents);
            for (found, made) in found.iter_mut().zip(made) {
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
                    held.bytes += shard.bytes() as u64;
                    held.made = held.made.max(made);
                } else {
                    all.push(Held {
                        corpus: shard.note.clone(),
                        settings: settings.clone(),
                        clips: shard.entries.len(),
                        bytes: shard.bytes() as u64,
                        made,
                    });
                }
            }
        }
        all.sort_by(|a, b| a.corpus.cmp(&b.corpus).then(b.made.cmp(&a.made)));
        all
    }

    /// Removes what it holds, and nothing else that may be in its folder. A run that reads from it goes
    /// on undisturbed.
    pub fn clear(&self) -> Result<()> {
        for entry in entries(&self.folder) {
            let is_stamps = entry
                .extension()
                .is_some_and(|extension| extension == "stamps");
            if is_stamps || is_temporary(&entry) {
                remove(&entry)?;
            }
            let inside = entries(&entry);
            // Nothing but ours has a folder with settings and shards.
            for file in inside.iter().filter(|file| is_ours(file)) {
                remove(file)?;
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

fn is_temporary(path: &Path) -> bool {
    name(path).starts_with(".writing-")
}

fn is_ours(path: &Path) -> bool {
    let name = name(path);
    name.ends_with(".shard") || name == "settings.toml" || name == ".lock" || is_temporary(path)
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}
