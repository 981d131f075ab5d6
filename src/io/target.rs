//! Places that a user names for output: links are followed to what they stand for, and what is not a
//! regular file is written to as it is.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::write_atomically;

/// Symbolic links that lead to one another, at most; the same number as Linux has.
const MOST_LINKS: usize = 40;

/// Lets `write` fill the file that a user named. A link stays, and the file that it points to is
/// replaced as [`write_atomically`] does it. A device, a pipe or standard output gets the bytes once
/// all of them are there.
///
/// # Errors
/// If `write` fails: nothing was written then.
pub fn write_output(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    let target = target_of(path)?;
    if !is_written_straight(&target) {
        return write_atomically(&target, write);
    }
    let place = || format!("cannot write {}", path.display());
    // Some formats go back to their beginning, which a pipe cannot.
    let whole = tempfile::tempfile().context("cannot write a temporary file")?;
    let mut writer = BufWriter::new(&whole);
    write(&mut writer)?;
    writer.flush().with_context(place)?;
    drop(writer);
    let mut whole = whole;
    whole.rewind().with_context(place)?;
    if is_standard_output(&target) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the user's file is standard output, and gets its bytes"
        )]
        let mut out = io::stdout().lock();
        let written = io::copy(&mut whole, &mut out).and_then(|_| out.flush());
        return unless_closed(written).with_context(place);
    }
    let mut out = OpenOptions::new()
        .append(true)
        .open(&target)
        .with_context(place)?;
    unless_closed(io::copy(&mut whole, &mut out).map(|_| ())).with_context(place)
}

/// A reader that has read enough is no error.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The file that a path stands for: the end of its links, whether it is there or not.
pub(crate) fn target_of(path: &Path) -> Result<PathBuf> {
    let mut target = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let is_link = fs::symlink_metadata(&target).is_ok_and(|metadata| metadata.is_symlink());
        // The links there are open files, and lead nowhere else.
        if !is_link || is_of_a_process(&target) {
            return Ok(target);
        }
        let link = fs::read_link(&target)
            .with_context(|| format!("cannot read the link {}", target.display()))?;
        target = target.parent().unwrap_or(Path::new("")).join(link);
    }
    bail!(
        "cannot write {}: its symbolic links lead round in a circle",
        path.display()
    )
}

/// True for what cannot be replaced by a new file: devices, pipes, sockets, open files of a process.
pub(crate) fn is_written_straight(target: &Path) -> bool {
    let is_special = |metadata: Metadata| !metadata.is_file() && !metadata.is_dir();
    is_of_a_process(target) || fs::metadata(target).is_ok_and(is_special)
}

fn is_of_a_process(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/dev/fd")
}

/// True for a path that leads to standard output, such as `/dev/stdout`.
pub fn goes_to_standard_output(path: &Path) -> bool {
    target_of(path).is_ok_and(|target| is_standard_output(&target))
}

fn is_standard_output(target: &Path) -> bool {
    let names = ["/proc/self/fd/1", "/dev/fd/1"];
    names.iter().any(|name| target == Path::new(name))
}

/// Identity of a file: two paths with the same id are one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileId(#[cfg(unix)] (u64, u64), #[cfg(not(unix))] PathBuf);

impl FileId {
    /// `None` where there is no such file.
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
