//! Advisory locks on files of their own.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::no_follow;

/// Longest text of a lock file: a process number and the end of its line.
const LONGEST: u64 = 32;
/// Time between two attempts to take a lock that another process holds.
const ATTEMPTS: Duration = Duration::from_millis(50);
/// Time that a process waits for a lock before it says so.
const SILENCE: Duration = Duration::from_secs(2);

/// A lock file, which holds the number of the process that locked it last. The operating system
/// releases the lock when that process ends, however it ends.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// Opens a lock file, or makes an empty one. Nothing is locked or written yet.
    ///
    /// # Errors
    /// If the file cannot be opened for writing, or is a symbolic link or another thing than a file.
    pub fn open(path: &Path) -> Result<LockFile> {
        if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            bail!(
                "{} is not a file, so it cannot be a lock of emovox (it may be a link that somebody \
                 planted); remove it",
                path.display()
            );
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        // A link that came between is refused here.
        let file = no_follow(&mut options).open(path);
        Ok(LockFile {
            file: file.with_context(|| format!("cannot write {}", path.display()))?,
            path: path.into(),
        })
    }

    /// Takes the lock and writes the number of this process; false if another process holds it. On a
    /// file system without locks there is nothing to take, and no process is kept out.
    ///
    /// # Errors
    /// If the file holds anything but a process number: it is not a lock file then, and stays as it is.
    pub fn try_lock(&mut self) -> Result<bool> {
        if let Err(TryLockError::WouldBlock) = self.file.try_lock() {
            return Ok(false);
        }
        let text = self.text()?;
        let place = self.path.display();
        ensure!(
            text.trim().chars().all(|c| c.is_ascii_digit()),
            "{place} is not a lock file of emovox: it holds something else; move it elsewhere"
        );
        // Only for messages: the file system alone knows who holds the lock.
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| writeln!(self.file, "{}", std::process::id()))
            .with_context(|| format!("cannot write {place}"))?;
        Ok(true)
    }

    /// Takes the lock once it is free; false if another process still holds it and `progress`, a number
    /// that changes while it works, has not changed for `at_most`. `waiting` is called after two seconds,
    /// with the number of that process if the file holds one.
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
            if started.elapsed() >= SILENCE
                && let Some(waiting) = waiting.take()
            {
                waiting(self.holder());
            }
            thread::sleep(ATTEMPTS.min(at_most - idle));
        }
    }

    /// The number of the process that locked the file last, here or on another machine.
    pub fn holder(&mut self) -> Option<u32> {
        self.text().ok()?.trim().parse().ok()
    }

    fn text(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.file
            .rewind()
            .and_then(|()| (&self.file).take(LONGEST).read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn a_process_that_makes_progress_is_waited_for() {
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
        let at_most = 3 * ATTEMPTS;
        assert!(waiting.wait(at_most, progress, |_| {}).unwrap());
        assert_eq!(calls.get(), 10);
    }
}
