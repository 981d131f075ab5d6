//! A large file that comes in as many parts as it takes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use md5::{Digest, Md5};
use ureq::Body;
use ureq::http::{Response, StatusCode, header};

use super::client::{Client, Failure, Pace, content_range, header_text};
use crate::io::no_follow;

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
    let mut out = no_follow(OpenOptions::new().create(true).append(true)).open(file)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Patience;
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    /// A server that does this with each connection.
    fn server(answer: impl Fn(&mut TcpStream) + Send + Sync + Clone + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = answer.clone();
                thread::spawn(move || answer(&mut stream.unwrap()));
            }
        });
        url
    }

    /// A head, and then a byte each so many milliseconds until the client is gone.
    fn drip(stream: &mut TcpStream, head: &str, milliseconds: u64) {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let mut goes_on = stream.write_all(head.as_bytes()).is_ok();
        while goes_on {
            thread::sleep(Duration::from_millis(milliseconds));
            goes_on = stream.write_all(b"x").is_ok();
        }
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";

    fn patience() -> Patience {
        Patience {
            attempts: 1000,
            wait: Duration::from_millis(1),
            stall: Duration::from_millis(500),
            window: Duration::from_millis(1500),
            least: 1000,
            total: Duration::from_secs(60),
        }
    }

    /// The result of a download, which must end by itself long before a test that hangs is killed.
    fn error_of(url: &str, patience: &Patience) -> String {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted {
            url,
            bytes: Some(1_000_000),
            most: 1_000_000,
        };
        let began = Instant::now();
        let result = download(
            &Client::new(patience),
            &wanted,
            &folder.path().join("file"),
            &|_, _| (),
        );
        assert!(began.elapsed() < Duration::from_secs(45));
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_server_that_sends_a_byte_now_and_then_is_given_up_and_the_bytes_are_kept() {
        let url = server(|stream| drip(stream, HEAD, 20));
        let error = error_of(&url, &patience());
        assert!(error.contains("is too slow"), "{error}");
        assert!(error.contains("bytes are kept"), "{error}");
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up_after_a_window_however_many_attempts_there_are() {
        let url = server(|stream| drip(stream, "", 100_000));
        let error = error_of(&url, &patience());
        assert!(error.contains("says nothing"), "{error}");
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_given_up() {
        let url = server(|stream| drip(stream, "HTTP/1.1 200 OK\r\nX: ", 20));
        let error = error_of(&url, &patience());
        assert!(error.contains("says nothing"), "{error}");
    }

    #[test]
    fn a_server_that_is_just_quick_enough_is_given_up_after_the_total_time() {
        let url = server(|stream| drip(stream, HEAD, 10));
        let slow = Patience {
            least: 10,
            total: Duration::from_secs(2),
            ..patience()
        };
        let error = error_of(&url, &slow);
        assert!(error.contains("takes longer than 2 s"), "{error}");
    }

    #[test]
    fn a_small_file_that_drips_is_given_up_too() {
        let url = server(|stream| drip(stream, HEAD, 20));
        let error = Client::new(&patience()).small(&url, 1000).unwrap_err();
        assert!(error.to_string().contains("is too slow"), "{error}");
    }
}
