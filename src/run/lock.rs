//! One training at a time in a run folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Held while a process trains in a folder. The operating system lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of a folder, or tells who has it. On a file system that knows no locks there
    /// is nothing to take, and nobody is kept out.
    pub fn take(folder: &Path) -> Result<RunLock> {
        let path = &folder.join(".lock");
        let place = || format!("cannot write {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(place)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => String::new(),
                number => format!(" (process {number}, here or where this folder is shared)"),
            };
            bail!(
                "{} is being trained by another process{holder}; wait for it, or stop it first",
                folder.display()
            );
        }
        // Only for the message above: who holds the lock is the file system's knowledge.
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .with_context(place)?;
        Ok(RunLock { _file: file })
    }
}
