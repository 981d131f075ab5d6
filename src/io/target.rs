//! Output paths of the user: links are followed to their targets, and devices, pipes and sockets
//! are written to directly.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{write_atomically, write_unsynced};

/// Maximum length of a chain of symbolic links; the limit of Linux.
const MAX_LINKS: usize = 40;

/// Writes the data that `write` produces to an output path of the user. A link stays, and the file
/// that it points to is replaced as by [`write_atomically`]. A device, a pipe or standard output
/// gets the bytes when all of them are complete.
///
/// # Errors
/// Fails if `write` fails, and then nothing is written; or if `path` cannot be written to.
pub fn write_output(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    write_target(path, true, write)
}

/// Like [`write_output`], for one of many files; [`sync_file_system`](super::sync_file_system) must
/// follow the last one.
pub(crate) fn write_one_of_many(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    write_target(path, false, write)
}

fn write_target(
    path: &Path,
    is_synced: bool,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    let target = target_of(path)?;
    if is_written_straight(&target) {
        write_straight(path, &target, write)
    } else if is_synced {
        write_atomically(&target, write)
    } else {
        write_unsynced(&target, write)
    }
}

/// Writes to a device, a pipe or standard output.
fn write_straight(
    path: &Path,
    target: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    // Some formats seek to their beginning, which a pipe does not support.
    let buffer = tempfile::tempfile().context("cannot write a temporary file")?;
    let mut writer = BufWriter::new(&buffer);
    write(&mut writer)?;
    writer.flush().with_context(context)?;
    drop(writer);
    let mut buffer = buffer;
    buffer.rewind().with_context(context)?;
    if is_standard_output(target) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the output path of the user is standard output, and gets the bytes unchanged"
        )]
        let mut out = io::stdout().lock();
        let written = io::copy(&mut buffer, &mut out).and_then(|_| out.flush());
        return unless_closed(written).with_context(context);
    }
    let mut out = OpenOptions::new()
        .append(true)
        .open(target)
        .with_context(context)?;
    unless_closed(io::copy(&mut buffer, &mut out).map(|_| ())).with_context(context)
}

/// Ignores a closed pipe: a reader that has read enough is not an error.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The end of the chain of links that starts at `path`. It does not need to exist.
pub(crate) fn target_of(path: &Path) -> Result<PathBuf> {
    let mut target = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        let is_link = fs::symlink_metadata(&target).is_ok_and(|metadata| metadata.is_symlink());
        // These links are open files of a process, without a target path.
        if !is_link || is_of_a_process(&target) {
            return Ok(target);
        }
        let link = fs::read_link(&target)
            .with_context(|| format!("cannot read the link {}", target.display()))?;
        target = target.parent().unwrap_or(Path::new("")).join(link);
    }
    bail!(
        "cannot write {}: its symbolic links form a cycle",
        path.display()
    )
}

/// True for files that a new file cannot replace: devices, pipes, sockets, open files of a process.
pub(crate) fn is_written_straight(target: &Path) -> bool {
    let is_special = |metadata: Metadata| !metadata.is_file() && !metadata.is_dir();
    is_of_a_process(target) || fs::metadata(target).is_ok_and(is_special)
}

fn is_of_a_process(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/dev/fd")
}

/// True for a path of standard output, such as `/dev/stdout`.
pub fn goes_to_standard_output(path: &Path) -> bool {
    target_of(path).is_ok_and(|target| is_standard_output(&target))
}

fn is_standard_output(target: &Path) -> bool {
    let names = ["/proc/self/fd/1", "/dev/fd/1"];
    names.iter().any(|name| target == Path::new(name))
}

/// Identity of a file: two paths with the same ID are the same file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileId(#[cfg(unix)] (u64, u64), #[cfg(not(unix))] PathBuf);

impl FileId {
    /// `None` if there is no such file.
    pub(crate) fn of(path: &Path) -> Option<FileId> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let metadata = fs::metadata(path).ok()?;
            Some(FileId((metadata.dev(), metadata.ino())))
        }
        #[cfg(not(unix))]
        fs::canonicalize(path).ok().map(FileId)
    }
}
