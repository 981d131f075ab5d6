//! Atomic file writes: a temporary file in the same folder is filled, synced and renamed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow};
use tempfile::NamedTempFile;

use super::no_follow;

/// Prefix of the name of a temporary file. A killed process leaves its temporary file behind.
pub(crate) const TEMPORARY: &str = ".writing-";
/// Suffix of that name. With it, no file of the user is mistaken for a temporary file.
const ENDING: &str = ".tmp";

/// Writes a file atomically: the data that `write` produces replaces `path` only when it is
/// complete and on the disk.
///
/// # Errors
/// Fails if `write` fails or the file cannot be written. An earlier file at `path` is unchanged
/// then.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    replace(path, None, sync, buffered(write))
}

/// Like [`write_atomically`], but the data may reach the disk later. If the machine stops before
/// [`sync_file_system`], the file may be incomplete.
pub(crate) fn write_unsynced(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    // Without one call for all files, each file needs its own.
    let sync = if cfg!(target_os = "linux") {
        |_: &File| Ok(())
    } else {
        sync
    };
    replace(path, None, sync, buffered(write))
}

/// Waits until all data of the file system of `folder` are on the disk. For many small files this
/// takes far less time than one sync for each.
///
/// # Errors
/// Fails if the folder cannot be opened, or if the disk reports an error.
pub(crate) fn sync_file_system(folder: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    File::open(folder)
        .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
        .with_context(|| format!("cannot write {}", folder.display()))?;
    Ok(())
}

fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Like [`write_atomically`], but renames the earlier file at `path` to `previous`.
///
/// This happens when the new file is complete. Between the two renames only `previous` exists, so a
/// reader should look for both files.
///
/// # Errors
/// Fails if `write` fails or the file cannot be written or renamed.
pub fn write_keeping_previous(
    path: &Path,
    previous: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    replace(path, Some(previous), sync, buffered(write))
}

/// Writes `bytes` to `path` with [`write_atomically`].
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |file| Ok(file.write_all(bytes)?))
}

/// Checks that files can be written into a folder, before the work on their content. The folder is
/// made if it does not exist.
///
/// # Errors
/// If the folder cannot be made, or if no file can be made in it.
pub fn check_writable(folder: &Path) -> Result<()> {
    let context = || format!("cannot write into the folder {}", folder.display());
    fs::create_dir_all(folder).with_context(context)?;
    temporary_in(folder).map(|_| ()).with_context(context)
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
    sync: fn(&File) -> io::Result<()>,
    fill: impl FnOnce(&NamedTempFile) -> Result<()>,
) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let folder = folder_of(path);
    let temporary = temporary_in(folder)
        .map_err(|error| not_made(folder, error))
        .with_context(context)?;
    fill(&temporary).with_context(context)?;
    sync(temporary.as_file()).with_context(context)?;
    if let Some(previous) = previous {
        match fs::rename(path, previous) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(context);
            }
            _ => {}
        }
    }
    temporary
        .persist(path)
        .map_err(|error| error.error)
        .with_context(context)?;
    // The rename is on the disk only after a sync of the folder.
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| sync(&folder))
        .with_context(context)?;
    Ok(())
}

/// The folder of a file; `.` for a bare file name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The reason that no file can be made in a folder.
fn not_made(folder: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        let folder = folder.display();
        return anyhow!("there is no folder {folder}; create it first, or give another path");
    }
    error.into()
}

/// Makes a temporary file, which stays locked until its writer ends.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // By default only the owner can read a temporary file; the umask decides about a result.
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
        // Before the lock, another process may have removed the file as abandoned.
        if !matches!(locked, Err(TryLockError::WouldBlock)) && temporary.path().exists() {
            return Ok(temporary);
        }
    }
}

/// True for a temporary file whose writer has ended: a running writer holds the lock. False on a
/// file system without locks.
pub(crate) fn is_abandoned(path: &Path) -> bool {
    lock_abandoned(path).is_some()
}

/// Removes a temporary file if its writer has ended, and returns true if the file was removed.
///
/// The lock is held until the file is removed. A writer that has just made the file has not locked
/// it yet: it finds the file locked or removed, and makes another one.
///
/// # Errors
/// Fails if the file cannot be removed.
pub(crate) fn remove_if_abandoned(path: &Path) -> io::Result<bool> {
    let Some(_lock) = lock_abandoned(path) else {
        return Ok(false);
    };
    match fs::remove_file(path) {
        // The writer has renamed the file in the meantime.
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

/// Removes the abandoned temporary files in a folder of the user.
pub(crate) fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TEMPORARY) && name.ends_with(ENDING) {
            // A file that stays does no harm.
            let _ = remove_if_abandoned(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::reason;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_temporary_file_is_removed_after_its_writer_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let live = temporary_in(folder.path()).unwrap();
        remove_abandoned(folder.path());
        assert!(live.path().exists());
        // The state after a process was killed: the file exists without a lock.
        let (file, path) = live.keep().unwrap();
        drop(file);
        remove_abandoned(folder.path());
        assert!(!path.exists());
    }

    #[test]
    fn only_temporary_files_of_emovox_are_removed() {
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
    fn a_file_is_complete_while_abandoned_files_are_removed() {
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
    fn a_write_into_no_folder_names_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = reason(&write_bytes(&missing.join("x"), b"x").unwrap_err());
        let expected = format!("there is no folder {}; create it first", missing.display());
        assert!(error.contains(&expected), "{error}");
        assert!(
            !error.contains(TEMPORARY) && !error.contains("os error"),
            "{error}"
        );
    }

    #[test]
    fn a_failed_write_leaves_the_earlier_file() {
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
