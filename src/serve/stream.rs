//! `GET /v1/stream`: a WebSocket with audio in one direction and events in the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::access::protocols;
use super::limits::{MESSAGE, WEBSOCKET_VERSION, check_windowing};
use super::live::{Events, Live, LiveSettings, RawFormat};
use super::pool::Lane;
use super::{App, Failure, Phase};
use crate::audio::Channel;
use crate::audio::stream::{RawEncoding, SoundStream, VoiceActivityConfig};
use crate::inference::Windowing;

/// The protocol of this route; a client may offer it.
const PROTOCOL: &str = "emovox.v1";
/// The text message after the last audio.
const END: &str = "end";
/// Wait for the client's part of the end of a connection.
const CLOSING: Duration = Duration::from_secs(2);

/// The query of a stream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    encoding: Option<Encoding>,
    rate: Option<u32>,
    channels: Option<u16>,
    window: Option<f64>,
    hop: Option<f64>,
    gate: Option<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Wav,
    S16le,
    F32le,
}

impl StreamQuery {
    /// The settings of a stream whose `channel` the model reads.
    fn settings(&self, channel: Channel) -> Result<LiveSettings, Failure> {
        let window = self.window.unwrap_or(Windowing::default().window);
        let windowing = Windowing::new(window, self.hop, 0.0);
        check_windowing(&windowing)?;
        let threshold = self
            .gate
            .unwrap_or(VoiceActivityConfig::default().threshold);
        if !(1.0..=60.0).contains(&threshold) {
            return Err(Failure::bad_request(format!(
                "a gate of {threshold} dB is outside 1 to 60 dB"
            )));
        }
        Ok(LiveSettings {
            raw: self.raw(channel)?,
            windowing,
            gate: VoiceActivityConfig { threshold },
        })
    }

    fn raw(&self, channel: Channel) -> Result<Option<RawFormat>, Failure> {
        let encoding = match self.encoding.unwrap_or(Encoding::Wav) {
            Encoding::Wav if self.rate.is_some() || self.channels.is_some() => {
                return Err(Failure::bad_request(
                    "a WAV stream has its rate and its channels in the header; for samples without a \
                     header, give encoding=s16le or encoding=f32le",
                ));
            }
            Encoding::Wav => return Ok(None),
            Encoding::S16le => RawEncoding::S16le,
            Encoding::F32le => RawEncoding::F32le,
        };
        let rate = self.rate.ok_or_else(|| {
            Failure::bad_request("samples without a header need their sample rate; give rate=16000")
        })?;
        let channels = self.channels.unwrap_or(1);
        if !(1..=64).contains(&channels) {
            return Err(Failure::bad_request("channels is a number from 1 to 64"));
        }
        // The same check as at the first samples, before the client sends them.
        let checked = SoundStream::raw(io::empty(), encoding, rate, channels, channel);
        checked.map_err(|error| Failure::bad_request(error.to_string()))?;
        Ok(Some(RawFormat {
            encoding,
            rate,
            channels,
        }))
    }
}

/// `GET /v1/stream`
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    query: Result<Query<StreamQuery>, QueryRejection>,
    mut request: Request,
) -> Result<Response, Failure> {
    let Query(query) = query?;
    let settings = query.settings(app.predictor.config().audio.channel)?;
    let response = handshake(request.method(), request.headers())?;
    let permit = app.streams.clone().try_acquire_owned().map_err(|_| {
        Failure::busy(
            "too-many-streams",
            "the server has as many streams as it accepts; try again later",
        )
    })?;
    let upgrade = hyper::upgrade::on(&mut request);
    let live = Live::new(app.predictor, settings);
    tokio::spawn(serve_stream(app, live, upgrade, permit));
    Ok(response)
}

/// The answer that changes the connection to a WebSocket (RFC 6455, section 4.2).
fn handshake(method: &Method, headers: &HeaderMap) -> Result<Response, Failure> {
    let has = |name: HeaderName, wanted: &str| {
        let values = headers.get_all(name).iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let key = headers.get(SEC_WEBSOCKET_KEY);
    let is_websocket = method == Method::GET
        && has(UPGRADE, "websocket")
        && has(CONNECTION, "upgrade")
        && has(SEC_WEBSOCKET_VERSION, WEBSOCKET_VERSION);
    let (true, Some(key)) = (is_websocket, key) else {
        return Err(Failure::new(
            StatusCode::UPGRADE_REQUIRED,
            "not-a-websocket",
            format!(
                "this route is a WebSocket of version {WEBSOCKET_VERSION}; use a WebSocket client"
            ),
        ));
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept_key(key.as_bytes())) {
        answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if protocols(headers).any(|name| name == PROTOCOL) {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    Ok(response)
}

/// The proof that the server read the key of a handshake (RFC 6455, section 4.2.2, 5.4).
fn accept_key(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(hash.finalize())
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves a stream until its end, then closes the connection. `_permit` is one of the streams.
async fn serve_stream(
    app: Arc<App>,
    live: Live,
    upgrade: OnUpgrade,
    _permit: OwnedSemaphorePermit,
) {
    // The client left before the answer.
    let Ok(Ok(connection)) = timeout(app.limits.timeout, upgrade).await else {
        return;
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE))
        .read_buffer_size(16 * 1024);
    let io = TokioIo::new(connection);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let failure = match exchange(&app, live, &mut socket).await {
        Ok(Outcome::ClientLeft) => return,
        Ok(Outcome::Complete) => None,
        Err(failure) => Some(failure),
    };
    let close = async {
        if let Some(failure) = &failure {
            socket.send(Message::text(failure.text())).await?;
        }
        socket.close(Some(close_frame(failure.as_ref()))).await?;
        // The rest of the client's messages, up to its close frame.
        while socket.next().await.transpose()?.is_some() {}
        Ok::<(), tungstenite::Error>(())
    };
    // The client may have left already.
    let _ = timeout(CLOSING, close).await;
}

fn close_frame(failure: Option<&Failure>) -> CloseFrame {
    let (code, reason) = match failure.map(Failure::status) {
        None => (CloseCode::Normal, ""),
        Some(StatusCode::UNPROCESSABLE_ENTITY) => (CloseCode::Invalid, "not audio"),
        Some(StatusCode::INTERNAL_SERVER_ERROR) => (CloseCode::Error, "internal error"),
        Some(StatusCode::SERVICE_UNAVAILABLE) if failure == Some(&Failure::shutting_down()) => {
            (CloseCode::Away, "shutting down")
        }
        Some(StatusCode::SERVICE_UNAVAILABLE) => (CloseCode::Again, "busy"),
        Some(_) => (CloseCode::Policy, "limit"),
    };
    CloseFrame {
        code,
        reason: reason.into(),
    }
}

/// The end of a stream without an error.
enum Outcome {
    Complete,
    ClientLeft,
}

/// Passes the client's audio to the workers, and the events to the client. While a worker has a
/// piece, nothing more is read, so that a fast client waits.
async fn exchange(app: &Arc<App>, mut live: Live, socket: &mut Socket) -> Result<Outcome, Failure> {
    let mut phase = app.phase.subscribe();
    loop {
        let message = tokio::select! {
            message = timeout(app.limits.timeout, next_audio(socket)) => message,
            _ = phase.wait_for(|phase| *phase != Phase::Running) => {
                return Err(Failure::shutting_down());
            }
        };
        let (bytes, is_last) = match message.map_err(|_| no_audio(app))?? {
            Received::Audio(bytes) => (bytes, false),
            Received::End => (Bytes::new(), true),
            Received::Close => return Ok(Outcome::ClientLeft),
        };
        let arrived = Instant::now();
        live.push(&bytes, is_last);
        loop {
            let job = move |_: &dyn Fn() -> bool| {
                let mut events = Events::default();
                let processed = live.process(&mut events);
                (live, events, processed)
            };
            let (back, events, processed) = app.pool.run(Lane::Live, job).await?;
            live = back;
            let microseconds = (1e6 * events.seconds).round() as u64;
            let streamed = &app.metrics.streamed;
            streamed.fetch_add(microseconds, Ordering::Relaxed);
            for line in events.lines {
                app.metrics.stream_delay.add(arrived.elapsed());
                if socket.send(Message::text(line)).await.is_err() {
                    return Ok(Outcome::ClientLeft);
                }
            }
            processed.map_err(|error| app.failure(&error))?;
            if events.is_over {
                return Ok(Outcome::Complete);
            }
            if !events.has_more {
                break;
            }
            if *app.phase.borrow() != Phase::Running {
                return Err(Failure::shutting_down());
            }
        }
    }
}

/// A message of the client.
enum Received {
    Audio(Bytes),
    End,
    /// The end of the connection.
    Close,
}

/// Waits for the next message that is not a ping and not empty. tungstenite answers pings.
async fn next_audio(socket: &mut Socket) -> Result<Received, Failure> {
    loop {
        return match socket.next().await {
            Some(Ok(Message::Binary(bytes))) if !bytes.is_empty() => Ok(Received::Audio(bytes)),
            Some(Ok(Message::Text(text))) if text.as_str() == END => Ok(Received::End),
            Some(Ok(Message::Text(_))) => Err(Failure::bad_request(
                "the only text message is: end; audio is sent in binary messages",
            )),
            Some(Err(tungstenite::Error::Capacity(_))) => Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                format!("a message has more than {MESSAGE} bytes; send smaller ones"),
            )),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Ok(Received::Close),
            Some(Ok(_)) => continue,
        };
    }
}

fn no_audio(app: &App) -> Failure {
    let message = format!(
        "the stream had no audio for {} s; send silence too, or open a new stream",
        app.limits.timeout.as_secs()
    );
    Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_that_of_the_standard() {
        // RFC 6455, section 1.3.
        assert_eq!(
            accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
