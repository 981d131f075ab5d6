//! `GET /v1/stream`: a WebSocket with audio in one direction and events in the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
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
use super::limits::MESSAGE;
use super::live::{Events, Live, LiveSettings, RawFormat};
use super::pool::Lane;
use super::{App, Failure, Phase};
use crate::audio::stream::{RawEncoding, VoiceActivityConfig};
use crate::inference::Windowing;

/// The protocol of this route; a client may offer it.
const PROTOCOL: &str = "emovox.v1";
/// The text message after the last audio.
const END: &str = "end";
/// Wait for the client's part of the end of a connection.
const GOODBYE: Duration = Duration::from_secs(2);

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
    fn settings(&self, longest: f64) -> Result<LiveSettings, Failure> {
        let usual = Windowing::default();
        let window = self.window.unwrap_or(usual.window);
        let windowing = Windowing {
            window,
            hop: self.hop.unwrap_or(usual.hop.min(window)),
            smooth: 0.0,
        };
        let checked = windowing.validate();
        checked.map_err(|error| Failure::bad_request(error.to_string()))?;
        let threshold = self
            .gate
            .unwrap_or(VoiceActivityConfig::default().threshold);
        if !(1.0..=60.0).contains(&threshold) {
            return Err(Failure::bad_request(format!(
                "a gate of {threshold} dB is outside 1 to 60 dB"
            )));
        }
        Ok(LiveSettings {
            raw: self.raw()?,
            windowing,
            gate: VoiceActivityConfig { threshold },
            longest,
        })
    }

    fn raw(&self) -> Result<Option<RawFormat>, Failure> {
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
    let settings = query.settings(app.limits.seconds)?;
    let response = handshake(request.headers())?;
    let place = app.streams.clone().try_acquire_owned().map_err(|_| {
        Failure::busy(
            "too-many-streams",
            "the server has as many streams as it accepts; try again later",
        )
    })?;
    let upgrade = hyper::upgrade::on(&mut request);
    let live = Live::new(app.predictor, settings);
    tokio::spawn(serve_stream(app, live, upgrade, place));
    Ok(response)
}

/// The answer that changes the connection to a WebSocket (RFC 6455, section 4.2).
fn handshake(headers: &HeaderMap) -> Result<Response, Failure> {
    let has = |name: HeaderName, wanted: &str| {
        let values = headers.get_all(name).iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let key = headers.get(SEC_WEBSOCKET_KEY);
    let is_websocket =
        has(UPGRADE, "websocket") && has(CONNECTION, "upgrade") && has(SEC_WEBSOCKET_VERSION, "13");
    let (true, Some(key)) = (is_websocket, key) else {
        return Err(Failure::bad_request(
            "this route is a WebSocket of version 13; use a WebSocket client",
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

/// Serves a stream until its end, then says goodbye. `_place` is one of the streams.
async fn serve_stream(app: Arc<App>, live: Live, upgrade: OnUpgrade, _place: OwnedSemaphorePermit) {
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
    let Some(end) = exchange(&app, live, &mut socket).await else {
        return;
    };
    let goodbye = async {
        if let Some(failure) = &end.failure {
            socket.send(Message::text(failure.text())).await?;
        }
        let frame = CloseFrame {
            code: end.code,
            reason: end.reason.into(),
        };
        socket.close(Some(frame)).await?;
        // The rest of the client's messages, up to its close frame.
        while socket.next().await.transpose()?.is_some() {}
        Ok::<(), tungstenite::Error>(())
    };
    // The client may be gone already, and then needs no goodbye.
    let _ = timeout(GOODBYE, goodbye).await;
}

/// The end of a stream: a close frame, after an error message if there was an error.
struct End {
    code: CloseCode,
    reason: &'static str,
    failure: Option<Failure>,
}

impl End {
    fn of(failure: Failure) -> End {
        let (code, reason) = match failure.status() {
            StatusCode::UNPROCESSABLE_ENTITY => (CloseCode::Invalid, "not audio"),
            StatusCode::INTERNAL_SERVER_ERROR => (CloseCode::Error, "internal error"),
            StatusCode::SERVICE_UNAVAILABLE => (CloseCode::Away, "shutting down"),
            _ => (CloseCode::Policy, "limit"),
        };
        End {
            code,
            reason,
            failure: Some(failure),
        }
    }
}

/// Passes the client's audio to the workers, and the events to the client. While a worker has a
/// piece, nothing more is read, so that a fast client waits. Returns `None` if the client is gone.
async fn exchange(app: &Arc<App>, mut live: Live, socket: &mut Socket) -> Option<End> {
    let mut phase = app.phase.subscribe();
    loop {
        let message = tokio::select! {
            message = timeout(app.limits.timeout, socket.next()) => message,
            _ = phase.wait_for(|phase| *phase != Phase::Running) => {
                return Some(End::of(Failure::shutting_down()));
            }
        };
        let Ok(message) = message else {
            let message = format!(
                "the stream had no audio for {} s; send silence too, or open a new stream",
                app.limits.timeout.as_secs()
            );
            return Some(End::of(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                message,
            )));
        };
        let arrived = Instant::now();
        let (bytes, is_last) = match message {
            Some(Ok(Message::Binary(bytes))) => (bytes, false),
            Some(Ok(Message::Text(text))) if text.as_str() == END => (Bytes::new(), true),
            Some(Ok(Message::Text(_))) => {
                let message = "the only text message is: end; audio is sent in binary messages";
                return Some(End::of(Failure::bad_request(message)));
            }
            Some(Err(tungstenite::Error::Capacity(_))) => {
                let message = format!("a message has more than {MESSAGE} bytes; send smaller ones");
                return Some(End::of(Failure::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too-large",
                    message,
                )));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            // tungstenite answers a ping.
            Some(Ok(_)) => continue,
        };
        let job = move |_: &dyn Fn() -> bool| {
            let mut events = Events::default();
            let pushed = live.push(&bytes, is_last, &mut events);
            (live, events, pushed)
        };
        let (back, events, pushed) = match app.pool.run(Lane::Live, job).await {
            Ok(done) => done,
            Err(failure) => return Some(End::of(failure)),
        };
        live = back;
        let milliseconds = (1000.0 * events.seconds).round() as u64;
        app.metrics
            .streamed
            .fetch_add(milliseconds, Ordering::Relaxed);
        for line in events.lines {
            app.metrics.stream_delay.add(arrived.elapsed());
            socket.send(Message::text(line)).await.ok()?;
        }
        if let Err(error) = pushed {
            return Some(End::of(app.failure(&error)));
        }
        if events.is_over {
            return Some(End {
                code: CloseCode::Normal,
                reason: "",
                failure: None,
            });
        }
    }
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
