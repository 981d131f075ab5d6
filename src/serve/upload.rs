//! Bodies of requests: they are read completely, within limits of size, time and memory, before a
//! worker gets them.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use futures_util::{StreamExt, stream};
use multer::{Constraints, Multipart, SizeLimit};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use super::limits::{FILES, SLOWEST_BODY};
use super::{App, Failure};
use crate::bounded::size;

/// Name of a recording without a name, as on a command line.
const NO_NAME: &str = "-";

/// Largest memory that is reserved for a stated length, before any byte of the body.
const RESERVED: usize = 1 << 20;

/// Files that a client sent. Their bytes count as used memory until this value is dropped.
pub(super) struct Upload {
    pub(super) files: Vec<UploadedFile>,
    _memory: OwnedSemaphorePermit,
}

/// A file that a client sent.
pub(super) struct UploadedFile {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Upload {
    /// Reads the files of a form, or the body as one file with the name `name`.
    ///
    /// # Errors
    /// If the body is too large, arrives too slowly, is incomplete, is not a form with files, or
    /// if there is no memory for it now.
    pub(super) async fn read(
        app: &App,
        request: Request,
        name: Option<String>,
    ) -> Result<Upload, Failure> {
        let (parts, body) = request.into_parts();
        let kind = text_of(&parts.headers, CONTENT_TYPE).unwrap_or_default();
        let is_form = kind
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("multipart/");
        let stated = text_of(&parts.headers, CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let mut body = BodyReader::new(app, body)?;
        if stated.is_some_and(|bytes: usize| bytes > app.limits.body) {
            return Err(body.too_large());
        }
        let files = if is_form {
            let boundary = multer::parse_boundary(kind).map_err(of_form)?;
            read_form(&mut body, &boundary).await?
        } else {
            let mut bytes = Vec::with_capacity(stated.unwrap_or_default().min(RESERVED));
            while let Some(piece) = body.next().await? {
                bytes.extend_from_slice(&piece);
            }
            let name = name.unwrap_or_else(|| NO_NAME.into());
            vec![UploadedFile { name, bytes }]
        };
        Ok(Upload {
            files,
            _memory: body.memory,
        })
    }
}

/// The text of a header.
fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Reads the files of a form. Fields that are not files are ignored.
async fn read_form(
    body: &mut BodyReader<'_>,
    boundary: &str,
) -> Result<Vec<UploadedFile>, Failure> {
    let pieces = stream::try_unfold(body, |body| async {
        let piece = body.next().await?;
        Ok::<_, Failure>(piece.map(|piece| (piece, body)))
    });
    // The body has its own limit.
    let limits = Constraints::new().size_limit(SizeLimit::new());
    let mut form = Multipart::with_constraints(pieces, boundary, limits);
    let mut files = Vec::new();
    while let Some(mut field) = form.next_field().await.map_err(of_form)? {
        let Some(name) = field.file_name().map(String::from) else {
            continue;
        };
        if files.len() == FILES {
            return Err(Failure::bad_request(format!(
                "the form has more than {FILES} files; send several requests"
            )));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(of_form)? {
            bytes.extend_from_slice(&piece);
        }
        files.push(UploadedFile { name, bytes });
    }
    if files.is_empty() {
        return Err(Failure::bad_request(
            "the form has no file; send one, for example: curl -F file=@talk.wav URL",
        ));
    }
    Ok(files)
}

/// The failure for an error of a form: that of its body, or an error in its format.
fn of_form(error: multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(error) => match error.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(_) => Failure::internal(),
        },
        error => Failure::bad_request(format!(
            "the body is not a form of type multipart/form-data: {error}"
        )),
    }
}

/// Reads a body piece by piece within its limits.
struct BodyReader<'a> {
    app: &'a App,
    body: BodyDataStream,
    began: Instant,
    received: usize,
    memory: OwnedSemaphorePermit,
}

impl<'a> BodyReader<'a> {
    fn new(app: &'a App, body: Body) -> Result<BodyReader<'a>, Failure> {
        let memory = app.uploads.clone().try_acquire_many_owned(0);
        Ok(BodyReader {
            app,
            body: body.into_data_stream(),
            began: Instant::now(),
            received: 0,
            memory: memory.map_err(|_| Failure::shutting_down())?,
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let timeout = self.app.limits.timeout;
        let allowed = timeout + Duration::from_secs_f64(self.received as f64 / SLOWEST_BODY);
        let Ok(piece) = timeout_at((self.began + allowed).into(), self.body.next()).await else {
            return Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                format!(
                    "the body did not arrive within {} s; send it faster, or start the server with a \
                     larger --timeout",
                    allowed.as_secs()
                ),
            ));
        };
        let piece = match piece {
            None => return Ok(None),
            Some(Ok(piece)) => piece,
            Some(Err(_)) => {
                return Err(Failure::bad_request(
                    "the body ended too early; send it again",
                ));
            }
        };
        self.received = self.received.saturating_add(piece.len());
        if self.received > self.app.limits.body {
            return Err(self.too_large());
        }
        let full = || {
            Failure::busy(
                "uploads-full",
                "the server receives too many recordings at the moment; try again in a second",
            )
        };
        let bytes = u32::try_from(piece.len()).map_err(|_| full())?;
        let more = self.app.uploads.clone().try_acquire_many_owned(bytes);
        self.memory.merge(more.map_err(|_| full())?);
        Ok(Some(piece))
    }

    fn too_large(&self) -> Failure {
        Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!(
                "the body has more than {}, the limit of this server; send a shorter or a compressed \
                 recording, or start the server with a larger --max-body",
                size(self.app.limits.body as u64)
            ),
        )
    }
}
