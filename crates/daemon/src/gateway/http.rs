//! HTTP as the door speaks it: Docker-shaped replies and errors, headers that may cross the door.
//!
//! It must never know what a route means.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Response, StatusCode};
use serde_json::json;

pub(crate) use crate::wire::{Body, BoxError, boxed, empty};

/// The largest block of request headers that is read.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// An answer the door gives instead of the Engine, in Docker's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Docker's status for it.
    pub status: StatusCode,
    /// The sentence that the client prints.
    pub message: String,
}

impl Refusal {
    /// A refusal with a status and a sentence.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 404 in Docker's own words, the same for what is absent and for what is somebody else's.
    #[must_use]
    pub fn no_such(kind: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("No such {kind}: {name}"))
    }

    /// 400 with a sentence.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 403 with a sentence.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 409 with a sentence.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 500 with a sentence.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl From<crate::engine::EngineError> for Refusal {
    fn from(error: crate::engine::EngineError) -> Self {
        use crate::engine::EngineError as E;
        match &error {
            E::Refused { status, message } => Self::new(*status, message.clone()),
            E::Unreachable { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the Docker Engine is not answering; running containers are not affected. \
                 Try again in a minute, or tell an admin",
            ),
            // A question changes nothing, whatever became of it.
            E::Unknown { what } | E::Rubbish { what }
                if what.starts_with("GET ") || what.starts_with("HEAD ") =>
            {
                Self::new(
                    StatusCode::BAD_GATEWAY,
                    "the Docker Engine did not answer as it should; nothing was changed, and running containers are \
                     not affected. Try again in a minute, or tell an admin",
                )
            }
            E::Unknown { .. } | E::Rubbish { .. } => Self::new(
                StatusCode::BAD_GATEWAY,
                format!("{error}; it may still have worked: look with `docker ps -a` before you repeat it"),
            ),
        }
    }
}

impl From<ds01_docker::body::Refusal> for Refusal {
    fn from(r: ds01_docker::body::Refusal) -> Self {
        Self::new(StatusCode::from_u16(r.status).unwrap_or(StatusCode::BAD_REQUEST), r.message)
    }
}

/// A whole JSON reply.
#[must_use]
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Body> {
    json_text(status, serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()))
}

/// A reply of JSON that is written already.
#[must_use]
pub fn json_text(status: StatusCode, text: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(boxed(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A reply without a body.
#[must_use]
pub fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// The Docker-shaped error reply.
#[must_use]
pub fn refusal(r: &Refusal) -> Response<Body> {
    json(r.status, &json!({ "message": r.message }))
}

/// Reply headers that the Engine may send through the door; framing is the door's own.
#[must_use]
pub fn reply_headers(upstream: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(upstream.len());
    for (name, value) in upstream {
        if !is_hop_by_hop(name) {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    name == CONNECTION
        || name == TRANSFER_ENCODING
        || name == UPGRADE
        || name == CONTENT_LENGTH
        || name == "keep-alive"
        || name == "trailer"
        || name == "te"
}

/// Request headers that mean something to the Engine; all others stay outside. What a body is, is not among them: the
/// Engine would take one that calls itself a form for the query that was judged, so the door says it.
pub const FORWARDED_REQUEST_HEADERS: [&str; 4] =
    ["x-registry-auth", "x-registry-config", "accept", "user-agent"];

/// Copies the request headers that may go upstream.
#[must_use]
pub fn request_headers(client: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in FORWARDED_REQUEST_HEADERS {
        if let Some(value) = client.get(name) {
            out.insert(HeaderName::from_static(name), value.clone());
        }
    }
    out
}
