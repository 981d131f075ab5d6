//! Recordings that lie each by itself, named by a table.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::download::hexadecimal;
use super::{Home, Listed, Step};
use crate::io::write_bytes;

/// Recordings that are asked for at once.
const AT_ONCE: usize = 6;
/// The most that the table, a note and a recording may have, in bytes.
const TABLE: u64 = 64_000_000;
const NOTE: u64 = 1000;
const RECORDING: u64 = 20_000_000;

/// Fetches all recordings that are not in the folder yet. One that is there was checked before.
pub(super) fn fetch_listed(
    client: &Client,
    home: &Home,
    listed: &Listed,
    folder: &Path,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<()> {
    let table = client.small(&listed.table, TABLE)?;
    let names = names(&table, listed).with_context(|| format!("in {}", listed.table))?;
    ensure!(
        names.len() <= 2 * home.clips,
        "{} names {} recordings, and {} has {}",
        listed.table,
        names.len(),
        home.title,
        home.clips
    );
    let folder = folder.join(&listed.into);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;

    let most = 2_000_000 * home.unpacked_megabytes;
    let (next, done, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU64::new(0));
    let trouble = Mutex::new(None);
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let place = folder.join(name);
            let fetched = match place.metadata() {
                Ok(there) => Ok(there.len()),
                Err(_) => one(client, listed, name, &place),
            };
            let fetched = fetched.and_then(|size| {
                let all = size + bytes.fetch_add(size, Ordering::Relaxed);
                ensure!(
                    all <= most,
                    "more than {most} bytes came, and {} has about {} MB",
                    home.title,
                    home.unpacked_megabytes
                );
                Ok(())
            });
            if let Err(error) = fetched {
                // The others stop after what they are at.
                next.store(names.len(), Ordering::Relaxed);
                if let Ok(mut trouble) = trouble.lock() {
                    trouble.get_or_insert(error);
                }
                return;
            }
            let done = 1 + done.fetch_add(1, Ordering::Relaxed);
            tell(Step::Recordings {
                done,
                of: names.len(),
            });
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(work);
        }
    });
    match trouble.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(error)) => Err(error.context("what came is kept; the same command goes on")),
        Err(_) => anyhow::bail!("another recording failed"),
    }
}

/// The files that a table names, each once.
fn names(table: &[u8], listed: &Listed) -> Result<Vec<String>> {
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
            "'{name}' names no recording"
        );
        names.push(format!("{name}{}", listed.ending));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Fetches a recording, and gives its size in bytes.
fn one(client: &Client, listed: &Listed, name: &str, place: &Path) -> Result<u64> {
    let note = client.small(&format!("{}{name}", listed.notes), NOTE)?;
    let note = String::from_utf8_lossy(&note);
    let after = |key: &str| note.lines().find_map(|line| line.strip_prefix(key));
    let (hash, size) = after("oid sha256:")
        .zip(after("size "))
        .with_context(|| format!("{}{name} is no note of size and SHA-256", listed.notes))?;
    let url = format!("{}{name}", listed.files);
    let bytes = client.small(&url, RECORDING)?;
    ensure!(
        bytes.len().to_string() == size && hexadecimal(&Sha256::digest(&bytes)) == hash,
        "{url} is not what its publisher states: {size} bytes, SHA-256 {hash}"
    );
    write_bytes(place, &bytes)?;
    Ok(bytes.len() as u64)
}
