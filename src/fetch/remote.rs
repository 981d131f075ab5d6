//! Download of recordings that are listed in a table, each a separate file.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::download::hexadecimal;
use super::{CorpusSource, RemoteList, Step};
use crate::io::write_bytes;

/// Number of parallel downloads.
const THREADS: usize = 6;
/// Maximum size of the table in bytes.
const MAX_TABLE: u64 = 64_000_000;
/// Maximum size of a Git LFS pointer in bytes.
const MAX_POINTER: u64 = 1000;
/// Maximum size of a recording in bytes.
const MAX_RECORDING: u64 = 20_000_000;

/// Fetches all recordings that are not in the folder yet. Existing recordings were checked before.
pub(super) fn fetch_listed(
    client: &Client,
    source: &CorpusSource,
    listed: &RemoteList,
    folder: &Path,
    callback: &(dyn Fn(Step) + Sync),
) -> Result<()> {
    let table = client.small(&listed.table, MAX_TABLE)?;
    let names = names(&table, listed).with_context(|| format!("in {}", listed.table))?;
    ensure!(
        names.len() <= 2 * source.clips,
        "{} lists {} recordings, but {} has {}",
        listed.table,
        names.len(),
        source.title,
        source.clips
    );
    let folder = folder.join(&listed.into);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;

    let most = 2_000_000 * source.unpacked_megabytes;
    let (next, done, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU64::new(0));
    let first_error = Mutex::new(None);
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let path = folder.join(name);
            let fetched = match path.metadata() {
                Ok(existing) => Ok(existing.len()),
                Err(_) => fetch_recording(client, listed, name, &path),
            };
            let fetched = fetched.and_then(|size| {
                let all = size + bytes.fetch_add(size, Ordering::Relaxed);
                ensure!(
                    all <= most,
                    "more than {most} bytes were received, but {} has about {} MB",
                    source.title,
                    source.unpacked_megabytes
                );
                Ok(())
            });
            if let Err(error) = fetched {
                // The other threads stop after their current recording.
                next.store(names.len(), Ordering::Relaxed);
                if let Ok(mut first_error) = first_error.lock() {
                    first_error.get_or_insert(error);
                }
                return;
            }
            let done = 1 + done.fetch_add(1, Ordering::Relaxed);
            callback(Step::Recordings {
                done,
                of: names.len(),
            });
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(work);
        }
    });
    match first_error.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(error)) => {
            Err(error.context("the received recordings are kept; the same command continues"))
        }
        Err(_) => anyhow::bail!("the download of another recording failed"),
    }
}

/// The file names that a table lists, without duplicates.
fn names(table: &[u8], listed: &RemoteList) -> Result<Vec<String>> {
    let mut reader = csv::Reader::from_reader(table);
    let column = reader
        .headers()?
        .iter()
        .position(|name| name == listed.column)
        .with_context(|| format!("there is no column '{}'", listed.column))?;
    let mut names = Vec::new();
    for line in reader.records() {
        let line = line?;
        let name = line.get(column).unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        ensure!(
            !name.is_empty() && name.chars().all(plain),
            "'{name}' is not the name of a recording"
        );
        names.push(format!("{name}{}", listed.ending));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Fetches a recording to `path`. Returns its size in bytes.
fn fetch_recording(client: &Client, listed: &RemoteList, name: &str, path: &Path) -> Result<u64> {
    let pointer = client.small(&format!("{}{name}", listed.notes), MAX_POINTER)?;
    let pointer = String::from_utf8_lossy(&pointer);
    let after = |key: &str| pointer.lines().find_map(|line| line.strip_prefix(key));
    let (hash, size) = after("oid sha256:")
        .zip(after("size "))
        .with_context(|| format!("{}{name} is not a Git LFS pointer", listed.notes))?;
    let url = format!("{}{name}", listed.files);
    let bytes = client.small(&url, MAX_RECORDING)?;
    ensure!(
        bytes.len().to_string() == size && hexadecimal(&Sha256::digest(&bytes)) == hash,
        "{url} differs from the published file: its publisher states {size} bytes and SHA-256 {hash}"
    );
    write_bytes(path, &bytes)?;
    Ok(bytes.len() as u64)
}
