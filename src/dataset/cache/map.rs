//! A file of numbers that the system reads as it is needed and lets go of as memory is.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A file that is mapped, as bytes and as the numbers that fit into it.
pub(super) struct Mapped(Mmap);

impl Mapped {
    pub(super) fn open(path: &Path) -> io::Result<Mapped> {
        let file = File::open(path)?;
        // SAFETY: the bytes must not change while they are mapped. Nobody writes to a shard: it is
        // renamed into its place when it is whole, and removed, never cut. Whoever does it by hand
        // from outside ends the process by a signal or shows it other numbers; no code of ours depends
        // on their value.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Mapped(map))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[f32]> for Mapped {
    fn as_ref(&self) -> &[f32] {
        // SAFETY: any four bytes are an f32. A map starts on a page, so none come before the first.
        let (_, values, _) = unsafe { self.0.align_to::<f32>() };
        values
    }
}
