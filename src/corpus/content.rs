//! Identity of a recording by its bytes, independent of the name and the folder of its file.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

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
}
