//! Files that are whole or not there: written beside their place, synced, renamed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use super::no_follow;

/// Beginning of a file's name while it is written. A process that was killed leaves such a file behind.
pub(crate) const TEMPORARY: &str = ".writing-";
/// End of that name: no file of a user's own is taken for one of ours.
const ENDING: &str = ".tmp";

/// Lets `write` fill a file that takes its place only once it is whole and on the disk. Whatever
/// stood there before stays until then, and stays for good if `write` fails.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    replace(path, None, buffered(write))
}

/// As [`write_atomically`], but what stood at `path` before goes on as `previous`.
///
/// It moves there once the new file is whole. Between the two renames there is only the previous
/// one, so whoever looks for a file should look for both.
pub fn write_keeping_previous(
    path: &Path,
    previous: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    replace(path, Some(previous), buffered(write))
}

/// Writes these bytes as a whole.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |file| Ok(file.write_all(bytes)?))
}

fn buffered(
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> impl FnOnce(&NamedTempFile) -> Result<()> {
    |temporary| {
        let mut writer = BufWriter::new(temporary.as_file());
        write(&mut writer)?;
        Ok(writer.flush()?)
    }
}

fn replace(
    path: &Path,
    previous: Option<&Path>,
    fill: impl FnOnce(&NamedTempFile) -> Result<()>,
) -> Result<()> {
    let place = || format!("cannot write {}", path.display());
    let folder = folder_of(path);
    let temporary = temporary_in(folder).with_context(place)?;
    fill(&temporary).with_context(place)?;
    temporary.as_file().sync_all().with_context(place)?;
    if let Some(previous) = previous {
        match fs::rename(path, previous) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(place);
            }
            _ => {}
        }
    }
    temporary
        .persist(path)
        .map_err(|error| error.error)
        .with_context(place)?;
    // The rename itself is on the disk once the folder is.
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(place)?;
    Ok(())
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A new temporary file, locked as long as its writer lives.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // Temporary files are for their owner alone; a result is for whom the umask lets read it.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    loop {
        let temporary = builder
            .prefix(TEMPORARY)
            .suffix(ENDING)
            .tempfile_in(folder)?;
        let locked = temporary.as_file().try_lock();
        // Before it was locked, another process may have taken it for one of a dead writer.
        if !matches!(locked, Err(TryLockError::WouldBlock)) && temporary.path().exists() {
            return Ok(temporary);
        }
    }
}

/// True for a temporary file whose writer is dead: a live one holds its lock. On a file system without
/// locks no file is.
pub(crate) fn is_abandoned(path: &Path) -> bool {
    lock_abandoned(path).is_some()
}

/// Removes a temporary file if its writer is dead, and returns true if it did.
///
/// The lock is held until the file is gone. A writer that has just made the file has not locked it yet: it
/// finds it locked or gone, and makes another one.
///
/// # Errors
/// If the file cannot be removed.
pub(crate) fn remove_if_abandoned(path: &Path) -> io::Result<bool> {
    let Some(_lock) = lock_abandoned(path) else {
        return Ok(false);
    };
    match fs::remove_file(path) {
        // Its writer has renamed it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

fn lock_abandoned(path: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    let file = no_follow(options.read(true).write(true)).open(path).ok()?;
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    (is_file && file.try_lock().is_ok()).then_some(file)
}

/// Removes the temporary files that dead writers left in a folder of the user's.
pub(crate) fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TEMPORARY) && name.ends_with(ENDING) {
            // It does no harm if it stays.
            let _ = remove_if_abandoned(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_temporary_file_is_removed_once_its_writer_is_dead() {
        let folder = tempfile::tempdir().unwrap();
        let live = temporary_in(folder.path()).unwrap();
        remove_abandoned(folder.path());
        assert!(live.path().exists());
        // As the operating system leaves it behind a process that was killed.
        let (file, path) = live.keep().unwrap();
        drop(file);
        remove_abandoned(folder.path());
        assert!(!path.exists());
    }

    #[test]
    fn only_our_own_temporary_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "mine").unwrap();
        fs::write(folder.path().join(".writing-thesis"), "mine").unwrap();
        fs::create_dir(folder.path().join(".writing-folder.tmp")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("mine", folder.path().join(".writing-link.tmp")).unwrap();
        let before = names(folder.path());
        remove_abandoned(folder.path());
        assert_eq!(names(folder.path()), before);
    }

    #[test]
    fn a_file_is_whole_while_others_clear_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::thread::scope(|scope| {
            let writers = [scope.spawn(|| {
                (0..200).for_each(|n| write_bytes(&path, &[n; 100]).unwrap());
            })];
            while writers.iter().any(|writer| !writer.is_finished()) {
                remove_abandoned(folder.path());
            }
        });
        assert_eq!(fs::read(&path).unwrap(), [199; 100]);
        assert_eq!(names(folder.path()), ["x"]);
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write_bytes(&path, b"before").unwrap();
        let failed = write_atomically(&path, |file| {
            file.write_all(b"half")?;
            anyhow::bail!("the disk is full")
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
