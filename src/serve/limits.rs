//! Limits, so that no client can take all of the machine.

use std::time::Duration;

use super::Failure;
use crate::inference::Windowing;

/// Limits of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Largest body of a request, in bytes.
    pub body: usize,
    /// Longest recording, in seconds; with several channels that are predicted, of all of them
    /// together. At rates above 48 kHz it is shorter, so that it has as many samples. A stream has no limit, because its memory does not grow.
    pub seconds: f64,
    /// Largest number of bytes of all bodies that are in memory at once.
    pub uploads: usize,
    /// Largest number of requests that wait for a worker.
    pub queue: usize,
    /// Largest number of HTTP connections. A stream is not one of them.
    pub connections: usize,
    /// Largest number of streams.
    pub streams: usize,
    /// Time for the header of a request, for a write without progress, for a connection without any
    /// data, and for a stream without audio. A body has this time too, and one more second for each
    /// 64 KiB.
    pub timeout: Duration,
    /// Time for running requests to end after the server was asked to stop.
    pub grace: Duration,
}

/// Lowest mean speed of a long body, in bytes per second.
pub(super) const SLOWEST_BODY: f64 = 65_536.0;

/// Largest number of files in one request.
pub(super) const FILES: usize = 64;

/// Largest message of a stream, in bytes.
pub(super) const MESSAGE: usize = 256 * 1024;

/// Largest memory for the header of a request, in bytes.
pub(super) const HEADER: usize = 32 * 1024;

/// Largest number of windows that contain a sample: with more, a short recording would take a worker
/// for hours.
const OVERLAP: f64 = 60.0;

/// The version of the WebSocket protocol (RFC 6455).
pub(super) const WEBSOCKET_VERSION: &str = "13";

/// Checks the settings of windows.
pub(super) fn check_windowing(windowing: &Windowing) -> Result<(), Failure> {
    let checked = windowing.validate();
    checked.map_err(|error| Failure::bad_request(error.to_string()))?;
    let Windowing { window, hop, .. } = *windowing;
    if hop * OVERLAP < window {
        return Err(Failure::bad_request(format!(
            "a hop of {hop} s is less than a {OVERLAP}th of the window, {window} s, the limit of this \
             server; give a longer hop"
        )));
    }
    Ok(())
}
