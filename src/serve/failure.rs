//! Answers for requests that cannot be fulfilled: a status, and JSON with a code and a message.

use anyhow::Error;
use axum::extract::rejection::QueryRejection;
use axum::http::header::{
    CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::limits::WEBSOCKET_VERSION;
use crate::audio::AudioError;
use crate::features::FeatureError;
use crate::inference::NonFinitePrediction;
use crate::memory::is_out_of_memory;
use crate::reason::reason;

/// The reason that a request is not fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    status: StatusCode,
    /// A short name for programs.
    code: &'static str,
    message: String,
}

impl Failure {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Failure {
        Failure {
            status,
            code,
            message: message.into(),
        }
    }

    /// A query, a header or a form that is not understood.
    pub(super) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// A lack of room that ends by itself.
    pub(super) fn busy(code: &'static str, message: &str) -> Failure {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    pub(super) fn shutting_down() -> Failure {
        Failure::busy(
            "shutting-down",
            "the server is shutting down; try another server, or try again later",
        )
    }

    /// An error of this program. The client gets no details.
    pub(super) fn internal() -> Failure {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the prediction failed because of an error in the server; its log has the reason",
        )
    }

    /// The failure for an error of a prediction. Those that the recording did not cause are
    /// [`Failure::internal`].
    pub(super) fn of(error: &Error) -> Failure {
        if let Some(too_long @ (AudioError::TooLong(_) | AudioError::ChannelsTooLong(..))) =
            error.downcast_ref()
        {
            let message = too_long.to_string();
            return Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", message);
        }
        if is_out_of_memory(error) || matches!(error.downcast_ref(), Some(AudioError::Memory(_))) {
            return Failure::busy(
                "no-memory",
                "the server has not enough memory for this recording now; try again later, or send a \
                 shorter recording",
            );
        }
        let is_of_recording = error.is::<AudioError>()
            || error.is::<FeatureError>()
            || error.is::<NonFinitePrediction>();
        if is_of_recording {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Failure::new(status, "not-audio", reason(error));
        }
        Failure::internal()
    }

    pub(super) fn is_internal(&self) -> bool {
        self.status == StatusCode::INTERNAL_SERVER_ERROR
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// `{"code": …, "message": …}`
    pub(super) fn object(&self) -> Value {
        json!({ "code": self.code, "message": self.message })
    }

    /// The whole JSON text of the answer.
    pub(super) fn text(&self) -> String {
        json!({ "error": self.object() }).to_string()
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Failure {
        Failure::bad_request(rejection.body_text())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.text()).into_response();
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(CONTENT_TYPE, "application/json");
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => set(RETRY_AFTER, "1"),
            StatusCode::UPGRADE_REQUIRED => {
                set(UPGRADE, "websocket");
                set(SEC_WEBSOCKET_VERSION, WEBSOCKET_VERSION)
            }
            StatusCode::UNAUTHORIZED => set(WWW_AUTHENTICATE, "Bearer"),
            // The rest of the body is not read.
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => set(CONNECTION, "close"),
            _ => None,
        };
        response
    }
}
