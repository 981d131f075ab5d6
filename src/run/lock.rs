//! The lock of a run folder: one training at a time.

use std::path::Path;

use anyhow::{Result, bail};

use crate::io::LockFile;

/// The lock of a process that trains in a run folder. The operating system releases it when the
/// process ends, also after a crash.
#[derive(Debug)]
pub struct RunLock {
    _file: LockFile,
}

impl RunLock {
    /// Takes the lock of a folder. On a file system without locks this always succeeds.
    ///
    /// # Errors
    /// Fails if another process holds the lock; the message names that process.
    pub fn take(folder: &Path) -> Result<RunLock> {
        let mut file = LockFile::open(&folder.join(".lock"))?;
        if !file.try_lock()? {
            let holder = file.holder().map_or(String::new(), |number| {
                format!(" (process {number}, on this machine or one that shares the folder)")
            });
            bail!(
                "{} is being trained by another process{holder}; wait for that process, or stop it first",
                folder.display()
            );
        }
        Ok(RunLock { _file: file })
    }

    /// True if a process holds the lock of a folder.
    pub fn is_held(folder: &Path) -> bool {
        let lock = LockFile::open(&folder.join(".lock"));
        lock.is_ok_and(|mut file| matches!(file.try_lock(), Ok(false)))
    }
}
