//! HTTP client with retries and time limits.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, ResponseExt};

use crate::reason::io_reason;

/// Limits on the time of a server. A download that exceeds a limit ends with an error; the next
/// call continues it.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Maximum number of consecutive attempts without new bytes.
    pub attempts: u32,
    /// Time before the second attempt; it doubles before each further attempt.
    pub wait: Duration,
    /// Maximum time to open a connection, to the start of a response, and between two parts of it.
    pub stall: Duration,
    /// Time in which [`RetryPolicy::least`] bytes must be received, over all attempts.
    pub window: Duration,
    /// Minimum number of bytes in a window.
    pub least: u64,
    /// Maximum time for a whole file.
    pub total: Duration,
}

impl Default for RetryPolicy {
    /// A kilobyte per second over 30 seconds, and a day for a file.
    fn default() -> Self {
        RetryPolicy {
            attempts: 6,
            wait: Duration::from_secs(1),
            stall: Duration::from_secs(20),
            window: Duration::from_secs(30),
            least: 30_000,
            total: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Transfer rate of a file over all attempts.
#[derive(Debug)]
pub(super) struct Pace<'a> {
    patience: &'a RetryPolicy,
    started: Instant,
    /// Start of the current window.
    window: Instant,
    /// Number of bytes in the current window.
    bytes: u64,
}

impl Pace<'_> {
    pub(super) fn new(patience: &RetryPolicy) -> Pace<'_> {
        let now = Instant::now();
        Pace {
            patience,
            started: now,
            window: now,
            bytes: 0,
        }
    }

    /// Counts received bytes. It is an error if the rate is too low.
    pub(super) fn count(&mut self, url: &str, bytes: u64) -> Result<(), Failure> {
        self.bytes += bytes;
        if self.bytes >= self.patience.least {
            (self.window, self.bytes) = (Instant::now(), 0);
        }
        let total = self.patience.total;
        if self.started.elapsed() > total {
            let seconds = total.as_secs_f64();
            return Err(Failure::Passing(anyhow!(
                "{url} takes longer than {seconds} s"
            )));
        }
        if self.is_too_slow() {
            return Err(Failure::Passing(anyhow!(
                "{url} is too slow: {} bytes in the last {:.1} s",
                self.bytes,
                self.window.elapsed().as_secs_f64()
            )));
        }
        Ok(())
    }

    /// True if a limit is exceeded, so that no further attempt is made.
    pub(super) fn is_too_slow(&self) -> bool {
        self.window.elapsed() > self.patience.window || self.started.elapsed() > self.patience.total
    }
}

/// The reason that an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A temporary failure: another attempt can succeed.
    Passing(anyhow::Error),
    /// A permanent failure.
    Lasting(anyhow::Error),
}

impl From<io::Error> for Failure {
    /// Errors of the local disk are permanent.
    fn from(error: io::Error) -> Failure {
        Failure::Lasting(anyhow!(
            "cannot write the received data: {}",
            io_reason(&error)
        ))
    }
}

#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    pub patience: RetryPolicy,
}

impl Client {
    pub(super) fn new(patience: &RetryPolicy) -> Client {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("emovox/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .timeout_resolve(Some(patience.stall))
            .timeout_connect(Some(patience.stall))
            .timeout_send_request(Some(patience.stall))
            .timeout_recv_response(Some(patience.stall))
            .timeout_per_read(Some(patience.stall))
            .build();
        Client {
            agent: Agent::new_with_config(config),
            patience: patience.clone(),
        }
    }

    /// Sends one request for the bytes from position `from`; `unless_changed` is the version of the
    /// bytes before this position.
    pub(super) fn ask(
        &self,
        url: &str,
        from: u64,
        unless_changed: Option<&str>,
    ) -> Result<Response<Body>, Failure> {
        let mut request = self
            .agent
            .get(url)
            .header(header::ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
            if let Some(version) = unless_changed {
                request = request.header(header::IF_RANGE, version);
            }
        }
        let response = request.call().map_err(|error| self.explain(url, error))?;
        if url.starts_with("https:") && response.get_uri().scheme_str() != Some("https") {
            return Err(Failure::Lasting(anyhow!(
                "{url} redirects to {}, which has no HTTPS; the server cannot be verified",
                response.get_uri()
            )));
        }
        let status = response.status();
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                Ok(response)
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Failure::Passing(
                anyhow!("{url}: the server answered {status}"),
            )),
            _ if status.is_server_error() => Err(Failure::Passing(anyhow!(
                "{url}: the server answered {status}"
            ))),
            _ => Err(Failure::Lasting(anyhow!(
                "{url}: the server answered {status}"
            ))),
        }
    }

    /// Fetches a small file of at most `most` bytes into memory.
    pub(super) fn small(&self, url: &str, most: u64) -> Result<Vec<u8>> {
        let mut pace = Pace::new(&self.patience);
        let mut failures = 0;
        loop {
            let error = match self.small_once(url, most, &mut pace) {
                Ok(bytes) => return Ok(bytes),
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::Passing(error)) => error,
            };
            failures += 1;
            if failures >= self.patience.attempts || pace.is_too_slow() {
                return Err(error);
            }
            self.wait(failures);
        }
    }

    fn small_once(&self, url: &str, most: u64, pace: &mut Pace) -> Result<Vec<u8>, Failure> {
        let response = self.ask(url, 0, None)?;
        let mut bytes = Vec::new();
        let mut body = response.into_body().into_reader().take(most + 1);
        let mut piece = [0; 1 << 14];
        loop {
            match body.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    bytes.extend_from_slice(&piece[..count]);
                    pace.count(url, count as u64)?;
                }
                Err(error) => return Err(self.explain(url, error.into())),
            }
        }
        if bytes.len() as u64 > most {
            Err(Failure::Lasting(anyhow!(
                "{url} is longer than the maximum of {most} bytes"
            )))
        } else {
            Ok(bytes)
        }
    }

    /// Waits before the next attempt, after a number of consecutive failures.
    pub(super) fn wait(&self, failures: u32) {
        std::thread::sleep(self.patience.wait * 2u32.saturating_pow(failures.saturating_sub(1)));
    }

    /// Converts an error to a message, and decides if another attempt is useful.
    pub(super) fn explain(&self, url: &str, error: ureq::Error) -> Failure {
        use ureq::Error;
        let stall = self.patience.stall.as_secs_f64();
        match error {
            Error::Timeout(_) => {
                Failure::Passing(anyhow!("{url}: the server sends no data for {stall} s"))
            }
            Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                Failure::Passing(anyhow!("{url}: the server sends no data for {stall} s"))
            }
            Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Failure::Passing(anyhow!("{url}: the connection was interrupted"))
            }
            Error::HostNotFound => Failure::Passing(anyhow!(
                "{url}: the server was not found; check the network connection"
            )),
            Error::Io(error) => Failure::Passing(anyhow!("{url}: {error}")),
            Error::Protocol(error) => Failure::Passing(anyhow!("{url}: {error}")),
            Error::TooManyRedirects => Failure::Lasting(anyhow!("{url}: too many redirects")),
            error => Failure::Lasting(anyhow!("{url}: {error}")),
        }
    }
}

/// The text of a header; `None` if the response does not have it.
pub(super) fn header_text(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Parses a range of bytes: 100 and 200 for `bytes 100-199/200`.
pub(super) fn content_range(text: &str) -> Result<(Option<u64>, Option<u64>)> {
    let Some((range, total)) = text
        .strip_prefix("bytes ")
        .and_then(|rest| rest.split_once('/'))
    else {
        bail!("'{text}' is not a range of bytes");
    };
    let first = range
        .split_once('-')
        .and_then(|(first, _)| first.parse().ok());
    Ok((first, total.parse().ok()))
}
