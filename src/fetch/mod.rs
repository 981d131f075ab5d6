//! Corpora from their homes: fetched as often as it takes, checked, unpacked, and in their place only then.
//!
//! ```no_run
//! use emovox::fetch::{Patience, fetch, home};
//!
//! let emodb = home("emodb").expect("emovox knows EmoDB");
//! let clips = fetch(emodb, "data/emodb".as_ref(), &Patience::default(), &|step| eprintln!("{step:?}"))?;
//! # Ok::<(), anyhow::Error>(())
//! ```

mod check;
mod client;
mod download;
mod home;
mod listed;
mod unpack;

pub use check::{Count, Holds, holds, recognise};
pub use client::Patience;
pub use home::{Archive, Home, Listed, home, homes, read_homes};

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::corpus::find_recordings;
use crate::io::LockFile;
use client::Client;
use download::{Wanted, download, md5_of};
use listed::fetch_listed;
use unpack::unpack;

/// How far a corpus has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many bytes of an archive are there, of how many if the server says it.
    Bytes {
        /// There.
        have: u64,
        /// Of how many.
        of: Option<u64>,
    },
    /// So many recordings that are fetched one by one.
    Recordings {
        /// There.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// The archive is compared with what its publisher states.
    Checking,
    /// So many of its files are unpacked.
    Unpacking {
        /// Unpacked.
        done: usize,
        /// Of how many.
        of: usize,
    },
}

/// Brings a corpus into the folder `into`, which must not be there yet, and says how many recordings it
/// has now. What was fetched before it was stopped lies beside, in `.fetching-NAME`, and is not fetched
/// again.
pub fn fetch(
    home: &Home,
    into: &Path,
    patience: &Patience,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<usize> {
    if fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some()) || into.is_file() {
        bail!(
            "{} is there already; `emovox corpus check` tells whether it is whole, --into chooses \
             another place",
            into.display()
        );
    }
    let beside = beside(home, into);
    // What lies in it is removed again; a link could lead to any folder.
    ensure!(
        !beside.is_symlink(),
        "{} is a symbolic link; remove it, and give the command again",
        beside.display()
    );
    fs::create_dir_all(&beside)
        .with_context(|| format!("cannot make the folder {}", beside.display()))?;
    let _lock = lock(&beside)?;

    let client = Client::new(patience);
    let unpacked = beside.join("unpacked");
    if let Some(listed) = &home.listed {
        fs::create_dir_all(&unpacked)?;
        fetch_listed(&client, home, listed, &unpacked, tell)?;
    } else {
        let archives = home.archive.iter().enumerate();
        let archives = archives
            .map(|(number, archive)| {
                let file = beside.join(format!("{}.zip", number + 1));
                bring(&client, home, archive, &file, tell).map(|()| file)
            })
            .collect::<Result<Vec<PathBuf>>>()?;
        // What an earlier call left half unpacked.
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)?;
        }
        fs::create_dir_all(&unpacked)?;
        for (archive, file) in home.archive.iter().zip(&archives) {
            let most = 2_000_000 * home.unpacked_megabytes;
            let told = |done, of| tell(Step::Unpacking { done, of });
            if let Err(error) = unpack(file, &unpacked, most, &told) {
                // It would fail the next time, too.
                fs::remove_dir_all(&beside)?;
                return Err(error.context(format!("{} cannot be used", archive.url)));
            }
        }
    }

    let clips = find_recordings(&unpacked)?.recordings.len();
    if clips < home.clips {
        fs::remove_dir_all(&beside)?;
        bail!(
            "what came holds {clips} recordings, and {} has {}; see {}",
            home.title,
            home.clips,
            home.home
        );
    }
    fs::rename(&unpacked, into)
        .with_context(|| format!("cannot rename {} to {}", unpacked.display(), into.display()))?;
    // It does no harm if it stays.
    let _ = fs::remove_dir_all(&beside);
    Ok(clips)
}

/// An archive, whole and as its publisher states it.
fn bring(
    client: &Client,
    home: &Home,
    archive: &Archive,
    file: &Path,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<()> {
    let wanted = Wanted {
        url: &archive.url,
        bytes: archive.bytes,
        most: 2_000_000 * home.megabytes,
    };
    // Its name says that it is not whole.
    let part = file.with_extension("part");
    if !file.exists() {
        download(client, &wanted, &part, &|have, of| {
            tell(Step::Bytes { have, of })
        })?;
        tell(Step::Checking);
        if let Some(stated) = &archive.md5 {
            let found = md5_of(&part)?;
            if !found.eq_ignore_ascii_case(stated) {
                fs::remove_file(&part)?;
                bail!(
                    "{} is not what its publisher states: its MD5 is {found} instead of {stated}. \
                     It was removed",
                    archive.url
                );
            }
        }
        fs::rename(&part, file)?;
    }
    Ok(())
}

/// Where a corpus is until it is whole.
fn beside(home: &Home, into: &Path) -> PathBuf {
    let parent = into.parent().unwrap_or(Path::new(""));
    parent.join(format!(".fetching-{}", home.name))
}

/// Two processes would write into the same file.
fn lock(folder: &Path) -> Result<LockFile> {
    let mut lock = LockFile::open(&folder.join("lock"))?;
    ensure!(
        lock.try_lock()?,
        "another emovox fetches it: {} is in use",
        folder.display()
    );
    Ok(lock)
}
