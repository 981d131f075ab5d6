//! Download of a large file, with resumption after an interruption.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use md5::{Digest, Md5};
use ureq::Body;
use ureq::http::{Response, StatusCode, header};

use super::client::{Client, Failure, Pace, content_range, header_text};
use crate::io::no_follow;

/// The requested file.
pub(super) struct Request<'a> {
    pub url: &'a str,
    /// Size in bytes, if it is known.
    pub bytes: Option<u64>,
    /// Maximum size in bytes if the size is unknown.
    pub most: u64,
}

/// Downloads to `file`, and continues after the bytes of an earlier call. `callback` is called with
/// the number of received bytes, and the size if it is known.
pub(super) fn download(
    client: &Client,
    wanted: &Request,
    file: &Path,
    callback: &dyn Fn(u64, Option<u64>),
) -> Result<()> {
    let mut pace = Pace::new(&client.patience);
    let mut furthest = length(file);
    let mut failures = 0;
    loop {
        let error = match attempt(client, wanted, file, &mut pace, callback) {
            Ok(()) => return Ok(()),
            Err(Failure::Lasting(error)) => return Err(error),
            Err(Failure::Passing(error)) => error,
        };
        let have = length(file);
        failures = if have > furthest { 1 } else { failures + 1 };
        furthest = furthest.max(have);
        if failures >= client.patience.attempts || pace.is_too_slow() {
            bail!("{error}. {have} bytes are kept; the same command continues the download");
        }
        client.wait(failures);
    }
}

fn attempt(
    client: &Client,
    wanted: &Request,
    file: &Path,
    pace: &mut Pace,
    callback: &dyn Fn(u64, Option<u64>),
) -> Result<(), Failure> {
    let had = length(file);
    if wanted.bytes == Some(had) {
        return Ok(());
    }
    let version_file = file.with_extension("version");
    let version = fs::read_to_string(&version_file).ok();
    let response = client.ask(wanted.url, had, version.as_deref())?;
    let content = Content::parse(&response, had, wanted)?;
    let (mut have, total) = match content {
        Content::Nothing => return Ok(()),
        Content::Other => {
            fs::remove_file(file)?;
            let text = format!(
                "{}: the server sent another range of bytes than requested",
                wanted.url
            );
            return Err(Failure::Passing(anyhow!(text)));
        }
        Content::Rest { total } => (had, total),
        Content::Whole { total } => {
            match version_of(&response) {
                Some(version) => fs::write(&version_file, version)?,
                None => remove_if_exists(&version_file)?,
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
        callback(have, expected);
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(client.explain(wanted.url, error.into())),
        };
        have += count as u64;
        if have > expected.unwrap_or(wanted.most) {
            let text = format!("{}: the server sent more bytes than expected", wanted.url);
            return Err(Failure::Lasting(anyhow!(text)));
        }
        out.write_all(&buffer[..count])?;
        pace.count(wanted.url, count as u64)?;
    }
    out.sync_all()?;
    if expected.is_some_and(|expected| have < expected) {
        Err(Failure::Passing(anyhow!(
            "{}: the connection was interrupted",
            wanted.url
        )))
    } else {
        Ok(())
    }
}

/// Content of a response.
enum Content {
    /// The whole file, with its size if the server states it.
    Whole { total: Option<u64> },
    /// The missing bytes, with the size of the file if the server states it.
    Rest { total: Option<u64> },
    /// No byte was missing.
    Nothing,
    /// Any other range of bytes.
    Other,
}

impl Content {
    fn parse(response: &Response<Body>, had: u64, wanted: &Request) -> Result<Content, Failure> {
        let range = header_text(response, header::CONTENT_RANGE).map(content_range);
        let (first, size) = range.and_then(Result::ok).unwrap_or((None, None));
        let content = match response.status() {
            StatusCode::PARTIAL_CONTENT if had > 0 && first == Some(had) => {
                Content::Rest { total: size }
            }
            StatusCode::RANGE_NOT_SATISFIABLE if had > 0 && size == Some(had) => Content::Nothing,
            StatusCode::OK => Content::Whole {
                total: header_text(response, header::CONTENT_LENGTH)
                    .and_then(|length| length.parse().ok()),
            },
            _ if had > 0 => Content::Other,
            status => {
                let text = format!("{}: the server answered {status}", wanted.url);
                return Err(Failure::Lasting(anyhow!(text)));
            }
        };
        let total = match content {
            Content::Whole { total } | Content::Rest { total } => total,
            Content::Nothing => size,
            Content::Other => None,
        };
        match (total, wanted.bytes) {
            (Some(total), Some(bytes)) if total != bytes => Err(Failure::Lasting(anyhow!(
                "{} has {total} bytes, but its publisher states {bytes}: it is another file",
                wanted.url
            ))),
            (Some(total), None) if total > wanted.most => Err(Failure::Lasting(anyhow!(
                "{} has {total} bytes, more than the maximum of {}",
                wanted.url,
                wanted.most
            ))),
            _ => Ok(content),
        }
    }
}

/// Identifier of the version of a file, if the server states one: its ETag or its date.
fn version_of(response: &Response<Body>) -> Option<&str> {
    let strong = header_text(response, header::ETAG).filter(|tag| !tag.starts_with("W/"));
    strong.or(header_text(response, header::LAST_MODIFIED))
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

fn remove_if_exists(file: &Path) -> io::Result<()> {
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
    use crate::fetch::RetryPolicy;
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    /// A server that calls `answer` with each connection.
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

    /// Sends a head, and then one byte every `milliseconds` until the client closes the connection.
    fn drip(stream: &mut TcpStream, head: &str, milliseconds: u64) {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let mut is_open = stream.write_all(head.as_bytes()).is_ok();
        while is_open {
            thread::sleep(Duration::from_millis(milliseconds));
            is_open = stream.write_all(b"x").is_ok();
        }
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";

    fn patience() -> RetryPolicy {
        RetryPolicy {
            attempts: 1000,
            wait: Duration::from_millis(1),
            stall: Duration::from_millis(500),
            window: Duration::from_millis(1500),
            least: 1000,
            total: Duration::from_secs(60),
        }
    }

    /// The error of a download, which must end without a timeout of the test.
    fn error_of(url: &str, patience: &RetryPolicy) -> String {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Request {
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
    fn a_slow_server_is_given_up_and_the_bytes_are_kept() {
        let url = server(|stream| drip(stream, HEAD, 20));
        let error = error_of(&url, &patience());
        assert!(error.contains("is too slow"), "{error}");
        assert!(error.contains("bytes are kept"), "{error}");
    }

    #[test]
    fn a_server_without_data_is_given_up_after_a_window_with_any_number_of_attempts() {
        let url = server(|stream| drip(stream, "", 100_000));
        let error = error_of(&url, &patience());
        assert!(error.contains("sends no data"), "{error}");
    }

    #[test]
    fn a_head_that_is_sent_byte_by_byte_is_given_up() {
        let url = server(|stream| drip(stream, "HTTP/1.1 200 OK\r\nX: ", 20));
        let error = error_of(&url, &patience());
        assert!(error.contains("sends no data"), "{error}");
    }

    #[test]
    fn a_server_with_the_minimum_rate_is_given_up_after_the_total_time() {
        let url = server(|stream| drip(stream, HEAD, 10));
        let slow = RetryPolicy {
            least: 10,
            total: Duration::from_secs(2),
            ..patience()
        };
        let error = error_of(&url, &slow);
        assert!(error.contains("takes longer than 2 s"), "{error}");
    }

    #[test]
    fn a_small_file_that_is_sent_slowly_is_given_up_too() {
        let url = server(|stream| drip(stream, HEAD, 20));
        let error = Client::new(&patience()).small(&url, 1000).unwrap_err();
        assert!(error.to_string().contains("is too slow"), "{error}");
    }
}
