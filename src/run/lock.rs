//! One training at a time in a run folder.

use std::path::Path;

use anyhow::{Result, bail};

use crate::io::LockFile;

/// Held while a process trains in a folder. The operating system lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    _file: LockFile,
}

impl RunLock {
    /// Takes the lock of a folder, or tells who has it. On a file system that knows no locks there
    /// is nothing to take, and nobody is kept out.
    pub fn take(folder: &Path) -> Result<RunLock> {
        let mut file = LockFile::open(&folder.join(".lock"))?;
        if !file.try_lock()? {
            let holder = file.holder().map_or(String::new(), |number| {
                format!(" (process {number}, here or where this folder is shared)")
            });
            bail!(
                "{} is being trained by another process{holder}; wait for it, or stop it first",
                folder.display()
            );
        }
        Ok(RunLock { _file: file })
    }
}
