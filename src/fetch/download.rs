//! A large file that comes in as many parts as it takes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use md5::{Digest, Md5};
use ureq::Body;
use ureq::http::{Response, StatusCode, header};

use super::client::{Client, Failure, Pace, content_range, header_text};

/// What is to come.
pub(super) struct Wanted<'a> {
    pub url: &'a str,
    /// Its size, if that is known.
    pub bytes: Option<u64>,
    /// The most that is taken if it is not.
    pub most: u64,
}

/// Fills `file`, from where an earlier call left off. `tell` hears how much is there, and of how much.
pub(super) fn download(
    client: &Client,
    wanted: &Wanted,
    file: &Path,
    tell: &dyn Fn(u64, Option<u64>),
) -> Result<()> {
    let mut pace = Pace::new(&client.patience);
    let mut furthest = length(file);
    let mut failures = 0;
    loop {
        let error = match attempt(client, wanted, file, &mut pace, tell) {
            Ok(()) => return Ok(()),
            Err(Failure::Lasting(error)) => return Err(error),
            Err(Failure::Passing(error)) => error,
        };
        let have = length(file);
        failures = if have > furthest { 1 } else { failures + 1 };
        furthest = furthest.max(have);
        if failures >= client.patience.attempts || pace.is_too_slow() {
            bail!("{error}. {have} bytes are kept; the same command goes on from there");
        }
        client.wait(failures);
    }
}

fn attempt(
    client: &Client,
    wanted: &Wanted,
    file: &Path,
    pace: &mut Pace,
    tell: &dyn Fn(u64, Option<u64>),
) -> Result<(), Failure> {
    let had = length(file);
    if wanted.bytes == Some(had) {
        return Ok(());
    }
    let version_file = file.with_extension("version");
    let version = fs::read_to_string(&version_file).ok();
    let response = client.ask(wanted.url, had, version.as_deref())?;
    let part = Part::of(&response, had, wanted)?;
    let (mut have, total) = match part {
        Part::Nothing => return Ok(()),
        Part::Other => {
            fs::remove_file(file)?;
            let text = "{url} sends another part than was asked for";
            return Err(Failure::Passing(anyhow!(text.replace("{url}", wanted.url))));
        }
        Part::Rest { total } => (had, total),
        Part::Whole { total } => {
            match version_of(&response) {
                Some(version) => fs::write(&version_file, version)?,
                None => forget(&version_file)?,
            }
            (0, total)
        }
    };
    let expected = wanted.bytes.or(total);
    let mut out = OpenOptions::new().create(true).append(true).open(file)?;
    out.set_len(have)?;
    out.seek(io::SeekFrom::End(0))?;

    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        tell(have, expected);
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(client.explain(wanted.url, error.into())),
        };
        have += count as u64;
        if have > expected.unwrap_or(wanted.most) {
            let text = format!("{} sends more than it should", wanted.url);
            return Err(Failure::Lasting(anyhow!(text)));
        }
        out.write_all(&buffer[..count])?;
        pace.count(wanted.url, count as u64)?;
    }
    out.sync_all()?;
    match expected.is_some_and(|expected| have < expected) {
        true => Err(Failure::Passing(anyhow!(
            "{}: the connection was cut",
            wanted.url
        ))),
        false => Ok(()),
    }
}

/// What a response brings.
enum Part {
    /// All of the file, its length if the server says it.
    Whole { total: Option<u64> },
    /// What was missing.
    Rest { total: Option<u64> },
    /// Nothing was missing.
    Nothing,
    /// Something else.
    Other,
}

impl Part {
    fn of(response: &Response<Body>, had: u64, wanted: &Wanted) -> Result<Part, Failure> {
        let range = header_text(response, header::CONTENT_RANGE).map(content_range);
        let (first, of) = range.and_then(Result::ok).unwrap_or((None, None));
        let part = match response.status() {
            StatusCode::PARTIAL_CONTENT if had > 0 && first == Some(had) => {
                Part::Rest { total: of }
            }
            StatusCode::RANGE_NOT_SATISFIABLE if had > 0 && of == Some(had) => Part::Nothing,
            StatusCode::OK => Part::Whole {
                total: header_text(response, header::CONTENT_LENGTH)
                    .and_then(|length| length.parse().ok()),
            },
            _ if had > 0 => Part::Other,
            status => {
                let text = format!("{} answers {status}", wanted.url);
                return Err(Failure::Lasting(anyhow!(text)));
            }
        };
        let total = match part {
            Part::Whole { total } | Part::Rest { total } => total,
            Part::Nothing => of,
            Part::Other => None,
        };
        match (total, wanted.bytes) {
            (Some(total), Some(bytes)) if total != bytes => Err(Failure::Lasting(anyhow!(
                "{} has {total} bytes, and its publisher states {bytes}: it is another file",
                wanted.url
            ))),
            (Some(total), None) if total > wanted.most => Err(Failure::Lasting(anyhow!(
                "{} has {total} bytes, more than the {} that it may have",
                wanted.url,
                wanted.most
            ))),
            _ => Ok(part),
        }
    }
}

/// What tells one version of a file from the next, if the server says so.
fn version_of(response: &Response<Body>) -> Option<&str> {
    let strong = header_text(response, header::ETAG).filter(|tag| !tag.starts_with("W/"));
    strong.or(header_text(response, header::LAST_MODIFIED))
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

fn forget(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The MD5 of a file, in hexadecimal digits.
pub(super) fn md5_of(file: &Path) -> Result<String> {
    let mut hasher = Md5::new();
    io::copy(&mut File::open(file)?, &mut hasher)?;
    Ok(hexadecimal(&hasher.finalize()))
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
