//! `emovox serve`: predictions over HTTP.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::adapt::AdaptArgs;
use super::models::{load, open_or_builtin};
use super::stop::Stop;
use super::{Runs, say, warning};
use emovox::device::DeviceChoice;
use emovox::parallel;
use emovox::process::exit_at_once;
use emovox::serve::{Limits, ServeConfig, Stopped, Tokens, serve};

/// Serve predictions over HTTP: a page for browsers, and an interface for other programs
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox serve                                         the built-in model at http://127.0.0.1:8080/
  emovox serve ravdess-bilstm --address 127.0.0.1:9000    a run of your own, at another port
  curl --data-binary @talk.wav http://127.0.0.1:8080/v1/predict
  curl --data-binary @talk.wav 'http://127.0.0.1:8080/v1/predict?window=3&smooth=3'
  openssl rand -hex 32 > tokens && chmod 600 tokens
  emovox serve --address 0.0.0.0:8080 --token-file tokens    for other machines, with a token

The page and the interface are described in docs/serve.md and at /openapi.json. --threads is the \
number of predictions at once. Recordings are in memory only until their answer; nothing is saved \
or logged. SIGTERM and Ctrl-C end the server after the running requests.

The server has no TLS: for other machines, put a proxy with TLS in front of it.")]
pub struct ServeArgs {
    /// Run: its name below runs/, its folder, or its bundle [default: the built-in model]
    run: Option<String>,
    #[command(flatten)]
    runs: Runs,
    /// Address and port; port 0 is any free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    address: String,
    /// File with one token a line; requests need one of them
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Accept requests without a token at an address that other machines can reach
    #[arg(long, conflicts_with = "token_file")]
    allow_anyone: bool,
    /// Origin of another web page that may use the server: https://name (repeatable)
    #[arg(long, value_name = "URL", value_parser = origin)]
    allow_origin: Vec<String>,
    /// Accepted name in the Host header (repeatable) [default: on a loopback address the names of
    /// this machine, which are always accepted there; on another address every name]
    #[arg(long, value_name = "NAME", value_parser = host)]
    allow_host: Vec<String>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,
    #[command(flatten)]
    adapt: AdaptArgs,
    /// Print one line on standard error for each request
    #[arg(long)]
    log: bool,
}

/// Arguments for [`Limits`].
#[derive(Args)]
struct LimitArgs {
    /// Largest body of a request
    #[arg(long, value_name = "MEGABYTES", default_value_t = 25,
          value_parser = clap::value_parser!(u32).range(1..=2000))]
    max_body: u32,
    /// Longest recording; above 48 kHz, as many samples as at 48 kHz
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_seconds: u32,
    /// Memory for the bodies of all requests together
    #[arg(long, value_name = "MEGABYTES", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=4000))]
    max_uploads: u32,
    /// Number of requests that may wait for a thread
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_queue: u16,
    /// Number of HTTP connections
    #[arg(long, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,
    /// Number of streams
    #[arg(long, value_name = "N", default_value_t = 32)]
    max_streams: u16,
    /// Time for a header, for a slow body, for a write, for an idle connection, and for a stream without
    /// audio
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,
    /// Time for running requests after SIGTERM or Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u16,
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        const MEGABYTE: usize = 1_000_000;
        Limits {
            body: self.max_body as usize * MEGABYTE,
            seconds: self.max_seconds.into(),
            uploads: self.max_uploads as usize * MEGABYTE,
            queue: self.max_queue.into(),
            connections: self.max_connections.into(),
            streams: self.max_streams.into(),
            timeout: Duration::from_secs(self.timeout.into()),
            grace: Duration::from_secs(self.grace.into()),
        }
    }
}

/// Checks the value of --allow-origin, which a browser sends literally.
fn origin(text: &str) -> Result<String, String> {
    let name = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    if name.is_some_and(is_host) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("an origin is a scheme and a name, without a path: https://app.example".into())
    }
}

/// Checks the value of --allow-host, which is compared with the Host header without its port.
fn host(text: &str) -> Result<String, String> {
    let is_address = text.starts_with('[') && text.ends_with(']');
    if is_host(text) && (is_address || !text.contains(':')) {
        Ok(text.to_string())
    } else {
        Err("a host is a name without a scheme and a port: proxy.example, or [::1]".into())
    }
}

/// True for a name of a host, or an address, with or without a port.
fn is_host(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    !name.is_empty() && name.chars().all(is_allowed)
}

pub fn run(args: ServeArgs) -> Result<ExitCode> {
    ensure!(
        args.limits.max_body <= args.limits.max_uploads,
        "--max-body {} is more than --max-uploads {}, the memory for all bodies together, so a body of \
         this size would never be accepted; give a larger --max-uploads",
        args.limits.max_body,
        args.limits.max_uploads
    );
    let tokens = match &args.token_file {
        Some(file) => read_tokens(file)?,
        None => Tokens::default(),
    };
    let listener = listen(&args.address, !tokens.is_empty() || args.allow_anyone)?;
    let trained = open_or_builtin(&args.runs.runs_dir, args.run.as_deref())?;
    let mut predictor = load(trained, args.device)?;
    args.adapt.adapt(&mut predictor)?;
    let stop = Stop::listen();
    let config = ServeConfig {
        workers: parallel::threads(),
        tokens,
        origins: args.allow_origin,
        hosts: args.allow_host,
        limits: args.limits.limits(),
        log: |line| warning!("{line}"),
        logs_requests: args.log,
    };
    // The model exists until the process ends.
    let predictor = Box::leak(Box::new(predictor));
    let ready = |address: SocketAddr| say!("listening on http://{address}/");
    match serve(predictor, config, listener, ready, || stop.is_asked())? {
        Stopped::Complete => Ok(ExitCode::SUCCESS),
        Stopped::Unfinished => {
            warning!(
                "warning: some requests did not end within --grace {} s",
                args.limits.grace
            );
            // Their threads still use libtorch, so its destructors must not run.
            exit_at_once(0)
        }
    }
}

fn read_tokens(file: &Path) -> Result<Tokens> {
    let tokens = Tokens::read(file)?;
    const READABLE_BY_OTHERS: u32 = 0o004;
    if file.metadata()?.permissions().mode() & READABLE_BY_OTHERS != 0 {
        warning!(
            "warning: every user of this machine can read the tokens in {}; protect them: chmod 600 {}",
            file.display(),
            file.display()
        );
    }
    Ok(tokens)
}

/// Opens the address. One that other machines can reach needs a token, unless the user allows
/// everyone.
fn listen(address: &str, is_protected: bool) -> Result<TcpListener> {
    let addresses = address.to_socket_addrs().with_context(|| {
        format!("--address {address} is not a host and a port, such as 127.0.0.1:8080")
    })?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    ensure!(
        is_protected || addresses.iter().all(|address| address.ip().is_loopback()),
        "other machines can reach {address}, and there is no token: give --token-file FILE, or \
         --allow-anyone if everyone who can reach the address may use the server"
    );
    TcpListener::bind(addresses.as_slice()).with_context(|| {
        format!(
            "cannot listen on {address}; another program may use the port, and --address gives another one"
        )
    })
}
