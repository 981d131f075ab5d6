//! A shard: one file with the features of some recordings, that never changes once it is there.
//!
//! ```text
//! the values of one recording after the other, f32
//! an entry for each: BLAKE3 of the recording, BLAKE3 of its values, first value, frames
//! a note for people: the folder that the recordings were in
//! a tail: how many entries and columns, the note's length, a magic number, BLAKE3 of all but the values
//! ```
//!
//! Numbers are as the machine has them; on another kind of machine the magic number is none, and the
//! shard counts as damaged.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use super::map::Mapped;
use crate::features::{Features, Values};

/// BLAKE3 of the bytes of a recording, or of values.
pub(super) type Hash = [u8; 32];

const MAGIC: u64 = 0x3130_7866_766f_6d65; // "emovfx01"
const ENTRY: usize = 80;
const TAIL: usize = 64;

/// A shard that is whole but for its values, which are checked when they are taken.
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) note: String,
    pub(super) entries: Vec<Entry>,
    coefficients: usize,
    values: Arc<Mapped>,
}

/// Where a recording's features are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) recording: Hash,
    values: Hash,
    start: u64,
    frames: u64,
}

impl Shard {
    /// `None` where the file is damaged, cut off, or no shard.
    pub(super) fn open(path: &Path) -> Option<Shard> {
        let map = Mapped::open(path).ok()?;
        let bytes = map.bytes();
        let (before, tail) = bytes.split_at_checked(bytes.len().checked_sub(TAIL)?)?;
        let (fields, hash) = tail.split_at(32);
        let number = |field: usize| usize::try_from(number(fields, 8 * field)).ok();
        let (entries, coefficients, note) = (number(0)?, number(1)?, number(2)?);
        if number(3)? as u64 != MAGIC {
            return None;
        }
        let index = entries.checked_mul(ENTRY)?.checked_add(note)?;
        let index = &before[before.len().checked_sub(index)?..];
        if *tail_hash(index, fields).as_bytes() != hash {
            return None;
        }
        let (entries, note) = index.split_at(index.len() - note);
        Some(Shard {
            path: path.into(),
            note: std::str::from_utf8(note).ok()?.into(),
            entries: entries
                .chunks_exact(ENTRY)
                .map(Entry::read)
                .collect::<Option<_>>()?,
            coefficients,
            values: Arc::new(map),
        })
    }

    /// The features of an entry; `None` where they are not what was written.
    pub(super) fn features(&self, entry: &Entry) -> Option<Features> {
        let start = usize::try_from(entry.start).ok()?;
        let frames = usize::try_from(entry.frames).ok()?;
        let values: Values = self.values.clone();
        let features = Features::within(frames, self.coefficients, values, start)?;
        let bytes = &self.values.bytes()[4 * start..][..4 * features.values().len()];
        (*blake3::hash(bytes).as_bytes() == entry.values).then_some(features)
    }

    /// The file's length.
    pub(super) fn bytes(&self) -> usize {
        self.values.bytes().len()
    }
}

impl Entry {
    fn read(bytes: &[u8]) -> Option<Entry> {
        Some(Entry {
            recording: bytes.get(..32)?.try_into().ok()?,
            values: bytes.get(32..64)?.try_into().ok()?,
            start: number(bytes, 64),
            frames: number(bytes, 72),
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.recording, self.values].concat();
        bytes.extend(self.start.to_ne_bytes());
        bytes.extend(self.frames.to_ne_bytes());
        bytes
    }
}

/// Fills a shard, recording after recording.
pub(super) struct Writer<'a, 'b> {
    file: &'a mut BufWriter<&'b File>,
    coefficients: usize,
    entries: Vec<Entry>,
    next: u64,
}

impl<'a, 'b> Writer<'a, 'b> {
    pub(super) fn new(file: &'a mut BufWriter<&'b File>, coefficients: usize) -> Self {
        Writer {
            file,
            coefficients,
            entries: Vec::new(),
            next: 0,
        }
    }

    pub(super) fn push(&mut self, recording: Hash, features: &Features) -> Result<()> {
        let bytes: Vec<u8> = features
            .values()
            .iter()
            .flat_map(|value| value.to_ne_bytes())
            .collect();
        self.file.write_all(&bytes)?;
        self.entries.push(Entry {
            recording,
            values: *blake3::hash(&bytes).as_bytes(),
            start: self.next,
            frames: features.frames() as u64,
        });
        self.next += features.values().len() as u64;
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes what stands behind the values.
    pub(super) fn finish(self, note: &str) -> Result<()> {
        let mut index: Vec<u8> = self.entries.iter().flat_map(Entry::bytes).collect();
        index.extend(note.as_bytes());
        let fields = [self.entries.len(), self.coefficients, note.len()].map(|n| n as u64);
        let mut tail: Vec<u8> = fields.iter().flat_map(|n| n.to_ne_bytes()).collect();
        tail.extend(MAGIC.to_ne_bytes());
        let hash = tail_hash(&index, &tail);
        tail.extend(hash.as_bytes());
        self.file.write_all(&index)?;
        self.file.write_all(&tail).context("the end of a shard")
    }
}

fn tail_hash(index: &[u8], fields: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(index).update(fields);
    hasher.finalize()
}

/// The eight bytes from `at` on.
fn number(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes[at..].first_chunk().copied();
    u64::from_ne_bytes(eight.unwrap_or_default())
}
