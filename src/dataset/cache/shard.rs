//! A shard: one file with the features of some recordings, which never changes after it was
//! written.
//!
//! ```text
//! values: f32, one recording after the other
//! entries, one for each recording: BLAKE3 of the recording, BLAKE3 of its values, first value, frames
//! note for users: the folder of the recordings
//! tail: number of entries, number of columns, length of the note, a magic number, BLAKE3 of all
//!   bytes except the values
//! ```
//!
//! Numbers have the byte order of the machine. On a machine with the other byte order, the magic
//! number differs, and the shard counts as damaged.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};

use crate::corpus::ContentHash;
use crate::features::{Features, StoredValues};
use crate::io::no_follow;

const MAGIC: u64 = 0x3130_7866_766f_6d65; // "emovfx01"
const ENTRY: usize = 80;
const TAIL: usize = 64;

/// An open shard. Everything except its values is checked; the values are checked at each read.
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) note: String,
    pub(super) entries: Vec<Entry>,
    coefficients: usize,
    bytes: Arc<ShardFile>,
}

/// The position of the features of a recording.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) recording: ContentHash,
    /// BLAKE3 of the values.
    values: [u8; 32],
    start: u64,
    frames: u64,
}

impl Shard {
    /// Opens a shard. `None` if the file is damaged, truncated, or not a shard.
    ///
    /// # Errors
    /// If the file cannot be opened; its content may be valid.
    pub(super) fn open(path: &Path) -> io::Result<Option<Shard>> {
        Ok(Shard::parse(path, ShardFile::open(path)?))
    }

    fn parse(path: &Path, file: ShardFile) -> Option<Shard> {
        let before = file.length.checked_sub(TAIL as u64)?;
        let tail = file.read(before, TAIL).ok()?;
        let (fields, hash) = tail.split_at(32);
        let number = |field: usize| usize::try_from(number(fields, 8 * field)).ok();
        let (entries, coefficients, note) = (number(0)?, number(1)?, number(2)?);
        if number(3)? as u64 != MAGIC {
            return None;
        }
        let index = entries.checked_mul(ENTRY)?.checked_add(note)?;
        let index = file.read(before.checked_sub(index as u64)?, index).ok()?;
        if *tail_hash(&index, fields).as_bytes() != hash {
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
            bytes: Arc::new(file),
        })
    }

    /// Number of values of an entry.
    pub(super) fn size(&self, entry: &Entry) -> u64 {
        entry.frames.saturating_mul(self.coefficients as u64)
    }

    /// The features of an entry, in memory or left in the file; `None` if they do not have their
    /// hash.
    pub(super) fn features(&self, entry: &Entry, in_memory: bool) -> Option<Features> {
        let stored = StoredClip {
            shard: self.bytes.clone(),
            entry: *entry,
            size: usize::try_from(self.size(entry)).ok()?,
        };
        let frames = usize::try_from(entry.frames).ok()?;
        let values = stored.read().ok()?;
        if in_memory {
            Features::new(frames, self.coefficients, values)
        } else {
            Some(Features::in_file(
                frames,
                self.coefficients,
                Arc::new(stored),
            ))
        }
    }

    /// Length of the file in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.length
    }
}

/// The file of a shard. It is read and not memory-mapped: if another process truncates the file, a
/// read is an error, but an access to a map would kill the process with a signal.
struct ShardFile {
    path: PathBuf,
    file: Mutex<File>,
    length: u64,
}

impl ShardFile {
    fn open(path: &Path) -> io::Result<ShardFile> {
        let file = no_follow(OpenOptions::new().read(true)).open(path)?;
        Ok(ShardFile {
            path: path.into(),
            length: file.metadata()?.len(),
            file: Mutex::new(file),
        })
    }

    /// Reads `length` bytes from position `from`. The length is checked before memory is allocated.
    fn read(&self, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let end = from.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().map_err(|_| io::ErrorKind::Other)?;
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The values of a recording in a shard.
struct StoredClip {
    shard: Arc<ShardFile>,
    entry: Entry,
    size: usize,
}

impl StoredValues for StoredClip {
    fn read(&self) -> io::Result<Vec<f32>> {
        let damaged = || {
            let path = self.shard.path.display();
            io::Error::other(format!(
                "{path} was damaged or truncated while it was in use; the next run computes it again"
            ))
        };
        let start = self.entry.start.checked_mul(4).ok_or_else(damaged)?;
        let length = self.size.checked_mul(4).ok_or_else(damaged)?;
        let bytes = self.shard.read(start, length).map_err(|_| damaged())?;
        if *blake3::hash(&bytes).as_bytes() != self.entry.values {
            return Err(damaged());
        }
        let (values, _) = bytes.as_chunks();
        Ok(values
            .iter()
            .map(|&value| f32::from_ne_bytes(value))
            .collect())
    }
}

impl Entry {
    fn read(bytes: &[u8]) -> Option<Entry> {
        Some(Entry {
            recording: <[u8; 32]>::try_from(bytes.get(..32)?).ok()?.into(),
            values: bytes.get(32..64)?.try_into().ok()?,
            start: number(bytes, 64),
            frames: number(bytes, 72),
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [*self.recording.as_ref(), self.values].concat();
        bytes.extend(self.start.to_ne_bytes());
        bytes.extend(self.frames.to_ne_bytes());
        bytes
    }
}

/// Writer of a shard, one recording after the other.
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

    pub(super) fn push(&mut self, recording: ContentHash, features: &Features) -> Result<()> {
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

    /// Writes the entries, the note and the tail.
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

/// The number in the eight bytes from `at`.
fn number(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes[at..].first_chunk().copied();
    u64::from_ne_bytes(eight.unwrap_or_default())
}
