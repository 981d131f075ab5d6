//! Files that are whole or not there: written beside their place, synced, renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// What a file is called while it is written. A process that was killed leaves such a file behind.
pub(super) const TEMPORARY: &str = ".writing-";

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
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // Temporary files are for their owner alone; a result is for whom the umask lets read it.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .with_context(place)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
