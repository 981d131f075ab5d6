//! The shards of one set of settings: finds, checks and writes them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::shard::{Entry, Shard, Writer};
use super::{entries, name_of};
use crate::audio::{AudioConfig, Excerpt};
use crate::corpus::{ContentHash, hash_excerpts, hash_files};
use crate::dataset::extract_each;
use crate::features::{FeatureConfig, Features};
use crate::io::write_atomically;

/// Maximum number of recordings in a shard. A killed process loses the work on one shard.
const SHARD: usize = 4096;
/// Number of recordings for each core whose features are in memory while a shard is written.
const CHUNK: usize = 16;

/// All shards of one set of settings.
pub(super) struct Store {
    pub(super) shards: Vec<Shard>,
    places: HashMap<ContentHash, (usize, Entry)>,
}

impl Store {
    /// Opens the existing shards, and removes damaged ones.
    pub(super) fn open(folder: &Path) -> Store {
        let is_shard = |path: &PathBuf| path.extension().is_some_and(|name| name == "shard");
        let mut paths = entries(folder);
        paths.retain(is_shard);
        let mut shards = Vec::new();
        for path in paths {
            match Shard::open(&path) {
                Ok(Some(shard)) => shards.push(shard),
                Ok(None) => _ = fs::remove_file(&path),
                // For example too many open files: the features are computed again.
                Err(_) => {}
            }
        }
        let mut places = HashMap::new();
        for (number, shard) in shards.iter().enumerate() {
            places.extend(
                shard
                    .entries
                    .iter()
                    .map(|entry| (entry.recording, (number, *entry))),
            );
        }
        Store { shards, places }
    }

    /// The features of recordings, as far as the store has them. They are read into memory unless
    /// all of them together have more than `in_memory` values. A shard with damaged values is
    /// removed, and none of its features are returned.
    pub(super) fn take(
        &self,
        contents: &[Option<ContentHash>],
        in_memory: usize,
    ) -> Vec<Option<Features>> {
        let place = |content: &Option<ContentHash>| self.places.get(content.as_ref()?);
        let sizes = contents.iter().filter_map(place);
        let sizes = sizes.map(|(shard, entry)| self.shards[*shard].size(entry));
        let in_memory = sizes.fold(0, u64::saturating_add) <= in_memory as u64;
        let mut taken: Vec<Option<(usize, Option<Features>)>> = contents
            .par_iter()
            .map(|content| {
                let (shard, entry) = place(content)?;
                Some((*shard, self.shards[*shard].features(entry, in_memory)))
            })
            .collect();
        let damaged: HashSet<usize> = taken
            .iter()
            .flatten()
            .filter(|(_, features)| features.is_none())
            .map(|(shard, _)| *shard)
            .collect();
        for &shard in &damaged {
            let _ = fs::remove_file(&self.shards[shard].path);
        }
        taken
            .iter_mut()
            .map(|taken| match taken.take() {
                Some((shard, features)) if !damaged.contains(&shard) => features,
                _ => None,
            })
            .collect()
    }
}

/// The hash of the bytes of a recording and its features, or the reason that it has none.
type Computed = Result<(ContentHash, Features), String>;

/// Settings for new shards.
pub(super) struct Make<'a> {
    pub(super) folder: &'a Path,
    pub(super) note: &'a str,
    pub(super) audio: &'a AudioConfig,
    pub(super) config: &'a FeatureConfig,
}

impl Make<'_> {
    /// Computes and stores the features of the missing recordings. Returns the recordings that have
    /// no features with the reasons.
    pub(super) fn all(
        &self,
        files: &[Excerpt],
        contents: &[Option<ContentHash>],
        missing: &[usize],
        advance: &(impl Fn() + Sync),
    ) -> Result<HashMap<usize, String>> {
        let mut reasons = HashMap::new();
        for missing in missing.chunks(SHARD) {
            let known = missing.iter().filter_map(|&i| contents[i].as_ref());
            let hashes: Vec<u8> = known.flat_map(|hash| *hash.as_ref()).collect();
            let path = self.folder.join(format!("{}.shard", name_of(&hashes)));
            let written = write_atomically(&path, |file| {
                let mut writer = Writer::new(file, self.config.coefficients());
                for chunk in missing.chunks(CHUNK * rayon::current_num_threads()) {
                    for (index, features) in self.compute(files, contents, chunk, advance)? {
                        match features {
                            Ok((content, features)) => writer.push(content, &features)?,
                            Err(reason) => _ = reasons.insert(index, reason),
                        }
                    }
                }
                ensure!(!writer.is_empty(), "none of the recordings can be read");
                writer.finish(self.note)
            });
            // Without any features, no shard is written; this is not an error.
            if !missing.iter().all(|index| reasons.contains_key(index)) {
                written?;
            }
        }
        Ok(reasons)
    }

    /// Computes the features of some recordings. Each has the hash of its bytes.
    fn compute(
        &self,
        files: &[Excerpt],
        contents: &[Option<ContentHash>],
        chunk: &[usize],
        advance: &(impl Fn() + Sync),
    ) -> Result<Vec<(usize, Computed)>> {
        let read: Vec<Excerpt> = chunk.iter().map(|&i| files[i].clone()).collect();
        let all = extract_each(&read, self.audio, self.config, |_, features| {
            advance();
            features
        })?;
        let checked = chunk
            .iter()
            .zip(hash_excerpts(&read, hash_files).into_iter().zip(all))
            .map(|(&index, (after, features))| {
                let features = features.and_then(|features| match (contents[index], after) {
                    (Some(before), Some(after)) if before == after => Ok((after, features)),
                    _ => Err("the file changed while it was read; try again".to_string()),
                });
                (index, features)
            });
        Ok(checked.collect())
    }
}
