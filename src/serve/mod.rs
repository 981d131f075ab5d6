//! Predictions over HTTP, for browsers and for other programs.
//!
//! ```text
//! connection ── checks ── route ─┬─ recording: whole body in memory ──┐
//!                                └─ stream: a WebSocket, by messages ─┴─ queue ── worker threads ── one model
//! ```
//!
//! One thread does all input and output; the worker threads only predict. So a slow client never
//! holds a worker. Every resource that a client can take has a limit ([`Limits`]). Recordings exist
//! in memory only, and only until their answer.

mod access;
mod card;
mod connection;
mod failure;
mod limits;
mod live;
mod metrics;
mod page;
mod pool;
mod predict;
mod router;
mod stream;
mod timed;
mod upload;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::audio::stream::VoiceActivityConfig;
use crate::inference::{NotNeeded, Predictor, StreamingPredictor, Windowing};
use crate::reason::reason;

pub use access::Tokens;
pub use limits::Limits;

use access::Access;
use failure::Failure;
use metrics::{Gauge, Metrics};
use pool::Pool;

/// Interval of checks for a stop request and for the end of the running requests.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Sample rate of the stream with which a server prepares itself, in hertz.
const PREPARED_RATE: u32 = 16_000;

/// Settings of a server.
pub struct ServeConfig {
    /// Number of worker threads.
    pub workers: usize,
    /// Tokens, one of which a request needs.
    pub tokens: Tokens,
    /// Origins of other web pages that may use the server, as `https://name`.
    pub origins: Vec<String>,
    /// Accepted names of the host. On a loopback address, they are accepted beside those of this
    /// machine; on another address, no name means that every name is accepted.
    pub hosts: Vec<String>,
    /// Limits.
    pub limits: Limits,
    /// Prints a line of the log.
    pub log: fn(&str),
    /// True if each request is a line of the log. Errors of the program always are.
    pub logs_requests: bool,
}

impl fmt::Debug for ServeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeConfig")
            .field("workers", &self.workers)
            .field("tokens", &self.tokens)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The end of a server that was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// All requests have their answers.
    Complete,
    /// Some requests did not end in time. Their threads still run.
    Unfinished,
}

/// The state of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Running requests end, and new ones are rejected.
    Draining,
    /// All requests have ended; connections are closed.
    Ended,
}

/// All that the routes use.
struct App {
    predictor: &'static Predictor,
    /// The value of `GET /v1/model`.
    card: Value,
    access: Access,
    limits: Limits,
    log: fn(&str),
    logs_requests: bool,
    metrics: Arc<Metrics>,
    pool: Pool,
    /// Permits for requests in the queue or on a worker.
    requests: Arc<Semaphore>,
    /// Permits for bytes of bodies in memory.
    uploads: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Number of requests without an answer.
    running: Arc<AtomicUsize>,
    phase: watch::Sender<Phase>,
}

/// Serves predictions of a model on `listener`, until `is_stopped` is true and the running requests
/// have ended. Calls `ready` as soon as the server accepts connections.
///
/// # Errors
/// If the model cannot predict, if its files cannot be read, or if the server cannot start.
pub fn serve(
    predictor: &'static Predictor,
    config: ServeConfig,
    listener: TcpListener,
    ready: impl FnOnce(SocketAddr),
    is_stopped: impl Fn() -> bool,
) -> Result<Stopped> {
    let address = listener.local_addr()?;
    let (windowing, gate) = (Windowing::default(), VoiceActivityConfig::default());
    StreamingPredictor::new(predictor, PREPARED_RATE, &windowing, &gate)?.prepare()?;
    let app = Arc::new(App::new(predictor, config, address)?);
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the server")?;
    let stopped = runtime.block_on(run(&app, listener, || ready(address), is_stopped))?;
    if stopped == Stopped::Complete {
        app.pool.close();
    }
    Ok(stopped)
}

async fn run(
    app: &Arc<App>,
    listener: TcpListener,
    ready: impl FnOnce(),
    is_stopped: impl Fn() -> bool,
) -> Result<Stopped> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let accepting = tokio::spawn(connection::accept(listener, app.clone()));
    ready();
    while !is_stopped() {
        sleep(POLL_INTERVAL).await;
    }
    app.phase.send_replace(Phase::Draining);
    let deadline = Instant::now() + app.limits.grace;
    while app.is_busy() && Instant::now() < deadline {
        sleep(POLL_INTERVAL).await;
    }
    let stopped = if app.is_busy() {
        Stopped::Unfinished
    } else {
        Stopped::Complete
    };
    accepting.abort();
    app.phase.send_replace(Phase::Ended);
    let all = app.limits.connections as u32;
    // Connections end by themselves; those of unfinished requests end with the process.
    let _ = timeout(connection::CLOSING, app.connections.acquire_many(all)).await;
    Ok(stopped)
}

impl App {
    fn new(predictor: &'static Predictor, config: ServeConfig, address: SocketAddr) -> Result<App> {
        let ServeConfig {
            workers, limits, ..
        } = config;
        let metrics = Arc::<Metrics>::default();
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(u32::MAX as usize)));
        Ok(App {
            predictor,
            card: card::card(predictor, &limits)?,
            access: Access::new(address.ip(), config.tokens, config.origins, config.hosts),
            log: config.log,
            logs_requests: config.logs_requests,
            pool: Pool::start(workers, metrics.clone(), config.log)
                .context("cannot start the workers")?,
            metrics,
            requests: semaphore(workers + limits.queue),
            uploads: semaphore(limits.uploads),
            connections: semaphore(limits.connections),
            streams: semaphore(limits.streams),
            running: Arc::default(),
            phase: watch::Sender::new(Phase::Running),
            limits,
        })
    }

    /// Admits a request to the queue.
    fn admit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.requests.clone().try_acquire_owned().map_err(|_| {
            Failure::busy(
                "queue-full",
                "the server has as many waiting requests as it accepts; try again in a second",
            )
        })
    }

    /// The failure for an error of a prediction. The log gets the reasons of internal ones.
    fn failure(&self, error: &anyhow::Error) -> Failure {
        let failure = Failure::of(error);
        if failure.is_internal() && !error.is::<NotNeeded>() {
            (self.log)(&format!("error: a prediction failed: {}", reason(error)));
        }
        failure
    }

    /// True while requests, streams or predictions run. The client of a prediction may have left.
    fn is_busy(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0 || self.streams() > 0 || self.pool.is_busy()
    }

    fn streams(&self) -> usize {
        self.limits.streams - self.streams.available_permits()
    }

    fn gauges(&self) -> Vec<Gauge> {
        let limits = &self.limits;
        let gauge = |name, help, value: usize| Gauge {
            name,
            help,
            value: value as u64,
        };
        vec![
            gauge(
                "emovox_queue_length",
                "Jobs that wait for a worker.",
                self.pool.waiting(),
            ),
            gauge("emovox_workers", "Worker threads.", self.pool.workers()),
            gauge(
                "emovox_workers_busy",
                "Worker threads with a job.",
                self.pool.busy(),
            ),
            gauge(
                "emovox_connections",
                "Open HTTP connections.",
                limits.connections - self.connections.available_permits(),
            ),
            gauge("emovox_streams", "Open streams.", self.streams()),
            gauge(
                "emovox_upload_bytes",
                "Bytes of bodies in memory.",
                limits.uploads - self.uploads.available_permits(),
            ),
        ]
    }
}

/// An answer with a JSON text.
fn json(text: impl IntoResponse) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
