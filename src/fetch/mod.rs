//! Download of corpora: fetches with retries, checks and unpacks a corpus, and only then gives it
//! its name.
//!
//! ```no_run
//! use emovox::fetch::{RetryPolicy, fetch, source_of};
//!
//! let emodb = source_of("emodb").expect("EmoDB is in the list");
//! let into = std::path::Path::new("data/emodb");
//! let clips = fetch(emodb, into, &RetryPolicy::default(), &|step| eprintln!("{step:?}"))?;
//! # Ok::<(), anyhow::Error>(())
//! ```

mod check;
mod client;
mod download;
mod remote;
mod source;
mod unpack;

pub use check::{Count, Holds, holds, recognise};
pub use client::RetryPolicy;
pub use source::{Archive, CorpusSource, RemoteList, read_sources, registry, source_of};

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::corpus::find_recordings;
use crate::io::LockFile;
use client::Client;
use download::{Request, download, md5_of};
use remote::fetch_listed;
use unpack::unpack;

/// Progress of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An archive is downloaded.
    Bytes {
        /// Number of received bytes.
        have: u64,
        /// Size in bytes, if the server states it.
        of: Option<u64>,
    },
    /// Recordings are downloaded one by one.
    Recordings {
        /// Number of received recordings.
        done: usize,
        /// Number of all recordings.
        of: usize,
    },
    /// The archive is compared with its published checksum.
    Checking,
    /// The archive is unpacked.
    Unpacking {
        /// Number of unpacked files.
        done: usize,
        /// Number of all files.
        of: usize,
    },
}

/// Fetches a corpus into the folder `into`, which must not exist or must be empty. Returns the
/// number of recordings. `callback` is called with the progress, from any thread. The received data
/// of an interrupted download is beside the folder, in `.fetching-NAME`, and is not fetched again.
///
/// # Errors
/// If `into` is not empty, if the download fails, or if the data differs from the published corpus.
pub fn fetch(
    source: &CorpusSource,
    into: &Path,
    patience: &RetryPolicy,
    callback: &(dyn Fn(Step) + Sync),
) -> Result<usize> {
    if fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some()) || into.is_file() {
        bail!(
            "{} exists already; check it with `emovox corpus check`, or choose another folder with --into",
            into.display()
        );
    }
    let temporary = temporary_folder(source, into);
    // The content of this folder is removed later; a symbolic link could point to any folder.
    ensure!(
        !temporary.is_symlink(),
        "{} is a symbolic link; remove it, and repeat the command",
        temporary.display()
    );
    fs::create_dir_all(&temporary)
        .with_context(|| format!("cannot create the folder {}", temporary.display()))?;
    let _lock = lock(&temporary)?;

    let client = Client::new(patience);
    let unpacked = temporary.join("unpacked");
    if let Some(listed) = &source.listed {
        fs::create_dir_all(&unpacked)?;
        fetch_listed(&client, source, listed, &unpacked, callback)?;
    } else {
        let archives = source.archive.iter().enumerate();
        let archives = archives
            .map(|(number, archive)| {
                let file = temporary.join(format!("{}.zip", number + 1));
                fetch_archive(&client, source, archive, &file, callback).map(|()| file)
            })
            .collect::<Result<Vec<PathBuf>>>()?;
        // An earlier call may have been interrupted while it unpacked.
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)?;
        }
        fs::create_dir_all(&unpacked)?;
        for (archive, file) in source.archive.iter().zip(&archives) {
            let most = 2_000_000 * source.unpacked_megabytes;
            let report = |done, of| callback(Step::Unpacking { done, of });
            if let Err(error) = unpack(file, &unpacked, most, &report) {
                if is_local(&error) {
                    // The next call unpacks the same archive.
                    let _ = fs::remove_dir_all(&unpacked);
                    return Err(error.context(
                        "the archive cannot be unpacked; it is kept: make room or set the permission, and \
                         repeat the command",
                    ));
                }
                // The next call would fail too.
                let _ = fs::remove_dir_all(&temporary);
                return Err(error.context(format!("{} cannot be used", archive.url)));
            }
        }
    }

    let clips = find_recordings(&unpacked)?.recordings.len();
    if clips < source.clips {
        fs::remove_dir_all(&temporary)?;
        bail!(
            "the download contains {clips} recordings, but {} has {}; see {}",
            source.title,
            source.clips,
            source.home
        );
    }
    fs::rename(&unpacked, into)
        .with_context(|| format!("cannot rename {} to {}", unpacked.display(), into.display()))?;
    // An error is ignored, because the folder is harmless.
    let _ = fs::remove_dir_all(&temporary);
    Ok(clips)
}

/// Downloads an archive and compares it with the published size and checksum.
fn fetch_archive(
    client: &Client,
    source: &CorpusSource,
    archive: &Archive,
    file: &Path,
    callback: &(dyn Fn(Step) + Sync),
) -> Result<()> {
    let wanted = Request {
        url: &archive.url,
        bytes: archive.bytes,
        most: 2_000_000 * source.megabytes,
    };
    // An incomplete archive has another extension.
    let part = file.with_extension("part");
    if !file.exists() {
        download(client, &wanted, &part, &|have, of| {
            callback(Step::Bytes { have, of })
        })?;
        callback(Step::Checking);
        if let Some(stated) = &archive.md5 {
            let found = md5_of(&part)?;
            if !found.eq_ignore_ascii_case(stated) {
                fs::remove_file(&part)?;
                bail!(
                    "{} differs from the published file: its MD5 is {found} instead of {stated}. The \
                     download was removed; try again",
                    archive.url
                );
            }
        }
        fs::rename(&part, file)?;
    }
    Ok(())
}

/// The folder of an incomplete corpus.
fn temporary_folder(source: &CorpusSource, into: &Path) -> PathBuf {
    let parent = into.parent().unwrap_or(Path::new(""));
    parent.join(format!(".fetching-{}", source.name))
}

/// Locks the folder, because two processes would write the same files.
fn lock(folder: &Path) -> Result<LockFile> {
    let mut lock = LockFile::open(&folder.join("lock"))?;
    ensure!(
        lock.try_lock()?,
        "another process fetches this corpus: {} is in use; wait until it ends",
        folder.display()
    );
    Ok(lock)
}

/// True for an error of this machine's disk, not of the archive.
fn is_local(error: &anyhow::Error) -> bool {
    let of_disk = |error: &io::Error| {
        matches!(
            error.kind(),
            ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
        )
    };
    error
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(of_disk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_of_this_machine() {
        let error = |kind| anyhow::Error::from(io::Error::from(kind)).context("clip.wav");
        assert!(is_local(&error(ErrorKind::StorageFull)));
        assert!(!is_local(&error(ErrorKind::InvalidData)));
        assert!(!is_local(&anyhow::anyhow!("damaged")));
    }
}
