//! Advisory locks on separate lock files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::no_follow;

/// Maximum length of a lock file in bytes: a process number and a line feed.
const MAX_LENGTH: u64 = 32;
/// Time between two attempts to take a lock that another process holds.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(50);
/// Time that a process waits for a lock before it reports this.
const REPORT_AFTER: Duration = Duration::from_secs(2);

/// A lock file. It contains the number of the process that locked it last. The operating system
/// releases the lock when that process ends, also after a crash.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// Opens a lock file, or makes an empty one, without locking it.
    ///
    /// # Errors
    /// Fails if the file cannot be opened for writing, or is not a regular file (also if it is a
    /// symbolic link).
    pub fn open(path: &Path) -> Result<LockFile> {
        if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            bail!(
                "{} is not a regular file, so it cannot be a lock of emovox (it may be a link that somebody \
                 else made); remove it",
                path.display()
            );
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        // A link that was made in the meantime is rejected here.
        let file = no_follow(&mut options).open(path);
        Ok(LockFile {
            file: file.with_context(|| format!("cannot write {}", path.display()))?,
            path: path.into(),
        })
    }

    /// Takes the lock and writes the number of this process; false if another process holds the
    /// lock. On a file system without locks the result is always true.
    ///
    /// # Errors
    /// Fails if the file contains anything but a process number: then it is not a lock file, and is
    /// not changed.
    pub fn try_lock(&mut self) -> Result<bool> {
        if let Err(TryLockError::WouldBlock) = self.file.try_lock() {
            return Ok(false);
        }
        let text = self.text()?;
        let path = self.path.display();
        ensure!(
            text.trim().chars().all(|c| c.is_ascii_digit()),
            "{path} is not a lock file of emovox: it has other content; move it elsewhere"
        );
        // The number is only for messages: the file system decides which process holds the lock.
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| writeln!(self.file, "{}", std::process::id()))
            .with_context(|| format!("cannot write {path}"))?;
        Ok(true)
    }

    /// Waits for the lock and takes it. Returns false if another process holds the lock and
    /// `progress`, a number that changes while that process works, has not changed for the time
    /// `at_most`. Calls `waiting` once after two seconds, with the number of that process if the
    /// file contains it.
    ///
    /// # Errors
    /// Fails like [`LockFile::try_lock`].
    pub fn wait(
        &mut self,
        at_most: Duration,
        progress: impl Fn() -> u64,
        waiting: impl FnOnce(Option<u32>),
    ) -> Result<bool> {
        let started = Instant::now();
        let (mut changed, mut last) = (started, progress());
        let mut waiting = Some(waiting);
        loop {
            if self.try_lock()? {
                return Ok(true);
            }
            let now = progress();
            if now != last {
                (changed, last) = (Instant::now(), now);
            }
            let idle = changed.elapsed();
            if idle >= at_most {
                return Ok(false);
            }
            if started.elapsed() >= REPORT_AFTER
                && let Some(waiting) = waiting.take()
            {
                waiting(self.holder());
            }
            thread::sleep(ATTEMPT_INTERVAL.min(at_most - idle));
        }
    }

    /// The number of the process that locked the file last, on this or another machine.
    pub fn holder(&mut self) -> Option<u32> {
        self.text().ok()?.trim().parse().ok()
    }

    fn text(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.file
            .rewind()
            .and_then(|()| (&self.file).take(MAX_LENGTH).read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn wait_continues_while_the_holder_makes_progress() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let mut holder = LockFile::open(&path).unwrap();
        assert!(holder.try_lock().unwrap());
        let holder = RefCell::new(Some(holder));
        let calls = Cell::new(0);
        let progress = || {
            calls.set(calls.get() + 1);
            if calls.get() == 10 {
                holder.take();
            }
            calls.get()
        };
        let mut waiting = LockFile::open(&path).unwrap();
        let at_most = 3 * ATTEMPT_INTERVAL;
        assert!(waiting.wait(at_most, progress, |_| {}).unwrap());
        assert_eq!(calls.get(), 10);
    }
}
