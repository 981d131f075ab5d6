//! Identity of a recording by its bytes (and the times of a segment), independent of the name and
//! the folder of its file.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::audio::{Excerpt, Segment};
use crate::bounded;

/// BLAKE3 of all bytes of a recording. In files and messages it is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Hashes the file of a recording.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<ContentHash> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(bounded::open(path)?)?;
        Ok(ContentHash(*hasher.finalize().as_bytes()))
    }

    /// The identity of a recording: a file or a segment of it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn of_excerpt(excerpt: &Excerpt) -> io::Result<ContentHash> {
        Ok(ContentHash::of_file(&excerpt.path)?.of_segment(excerpt.segment))
    }

    /// The identity of several files: BLAKE3 of their names, each with its length, and their hashes.
    pub fn of_files(files: &[(&Path, ContentHash)]) -> ContentHash {
        let mut hasher = blake3::Hasher::new();
        for (name, content) in files {
            let name = name.as_os_str().as_encoded_bytes();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name);
            hasher.update(&content.0);
        }
        ContentHash(*hasher.finalize().as_bytes())
    }

    /// The identity of a segment of the file with this hash: BLAKE3 of the hash and the times in
    /// nanoseconds. A whole file has the hash of its bytes.
    pub fn of_segment(self, segment: Option<Segment>) -> ContentHash {
        let Some(Segment { start, end }) = segment else {
            return self;
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"emovox segment");
        hasher.update(&self.0);
        hasher.update(&start.as_nanos().to_le_bytes());
        // A segment up to the end of its file has no end.
        if let Some(end) = end {
            hasher.update(&end.as_nanos().to_le_bytes());
        }
        ContentHash(*hasher.finalize().as_bytes())
    }
}

/// Hashes each file, on all threads; `None` for a file that cannot be read.
pub fn hash_files(files: &[PathBuf]) -> Vec<Option<ContentHash>> {
    let hash = |file: &PathBuf| ContentHash::of_file(file).ok();
    files.par_iter().map(hash).collect()
}

/// The identity of each recording; `None` for a recording that cannot be read. Several segments may
/// be in one file, so `hash` gets every file once, and returns the hashes of all of them.
pub fn hash_excerpts(
    excerpts: &[Excerpt],
    hash: impl FnOnce(&[PathBuf]) -> Vec<Option<ContentHash>>,
) -> Vec<Option<ContentHash>> {
    let files: BTreeSet<&PathBuf> = excerpts.iter().map(|excerpt| &excerpt.path).collect();
    let files: Vec<PathBuf> = files.into_iter().cloned().collect();
    let hashes: HashMap<&PathBuf, Option<ContentHash>> = files.iter().zip(hash(&files)).collect();
    let of_excerpt = |excerpt: &Excerpt| Some(hashes[&excerpt.path]?.of_segment(excerpt.segment));
    excerpts.iter().map(of_excerpt).collect()
}

impl AsRef<[u8; 32]> for ContentHash {
    fn as_ref(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ContentHash {
    fn from(hash: [u8; 32]) -> ContentHash {
        ContentHash(hash)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> String {
        hash.to_string()
    }
}

impl TryFrom<String> for ContentHash {
    type Error = String;

    fn try_from(hex: String) -> Result<ContentHash, String> {
        let hash = blake3::Hash::from_hex(&hex);
        let hash = hash.map_err(|_| format!("'{hex}' is not the hash of a recording"))?;
        Ok(ContentHash(*hash.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::excerpt::segment_of;

    #[test]
    fn a_hash_is_that_of_the_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        // From BLAKE3's own test vectors for "abc" (b3sum).
        let expected = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        let hash = ContentHash::of_file(file.path()).unwrap();
        assert_eq!(hash.to_string(), expected);
        assert_eq!(ContentHash::try_from(expected.to_string()), Ok(hash));
        assert!(ContentHash::try_from("abc".to_string()).is_err());
    }

    #[test]
    fn every_segment_of_a_file_has_a_hash_of_its_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        let hash = |start: &str, end: &str| {
            let segment = segment_of(start, end).unwrap();
            let path = file.path().into();
            ContentHash::of_excerpt(&Excerpt { path, segment }).unwrap()
        };
        assert_eq!(hash("", ""), ContentHash::of_file(file.path()).unwrap());
        assert_eq!(hash("1", "2"), hash("1.0", "2.000"));
        let hashes = [
            hash("", ""),
            hash("1", "2"),
            hash("1", ""),
            hash("0", "2"),
            hash("2", "3"),
        ];
        let distinct: std::collections::BTreeSet<ContentHash> = hashes.into();
        assert_eq!(distinct.len(), 5);
    }
}
