//! The Engine as the daemon's own client sees it: a thin HTTP client on the Engine's root-only socket.
//!
//! Answers for reaching the Engine, for deadlines on the daemon's own questions, and for telling apart
//! "the Engine said no", "the Engine cannot be reached" and "nobody knows whether it worked".
//! It must never decide anything, and never touch the ledger.

mod along;
mod calls;
mod facts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::wire::{Body, boxed};

pub use calls::{ContainerLook, ImageFacts, Listed, RunState, TOKEN_LABEL};
pub use facts::{CgroupDriver, EngineFacts};

/// How long a question of the daemon's own may take before the answer counts as lost.
pub const QUESTION_TIME_MAX: Duration = Duration::from_secs(30);
/// How long reaching the Engine's socket may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// The largest reply the daemon reads whole (an inspect or a list; streams are never read whole).
pub const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What can go wrong between the daemon and the Engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request never left: the Engine did nothing.
    #[error("the docker engine cannot be reached at {socket}")]
    Unreachable {
        /// Where it was looked for.
        socket: PathBuf,
        /// Why it could not be reached.
        #[source]
        source: std::io::Error,
    },
    /// The request left, the answer did not come: it may have worked.
    #[error("the docker engine did not answer {what}")]
    Unknown {
        /// What was asked.
        what: String,
    },
    /// The Engine answered with an error of its own.
    #[error("{message}")]
    Refused {
        /// Docker's status code.
        status: StatusCode,
        /// Docker's own words.
        message: String,
    },
    /// The Engine answered with something that is no answer.
    #[error("the docker engine answered {what} with something unreadable")]
    Rubbish {
        /// What was asked.
        what: String,
    },
}

impl EngineError {
    /// Whether the Engine said that the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// Whether the call may have worked although no answer came.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Rubbish { .. })
    }
}

/// A connection on which one request at a time can be sent.
pub type Connection = SendRequest<Body>;

/// The Engine behind the door.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
}

impl Engine {
    /// An Engine at a unix socket; nothing is contacted yet.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_path_buf() }
    }

    /// Opens a connection that nobody drives yet.
    async fn open(&self) -> Result<(Connection, http1::Connection<TokioIo<UnixStream>, Body>), EngineError> {
        let unreachable = |source| EngineError::Unreachable { socket: self.socket.clone(), source };
        let stream = tokio::time::timeout(CONNECT_TIME_MAX, UnixStream::connect(&self.socket))
            .await
            .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)?;
        http1::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| unreachable(std::io::Error::other(e)))
    }

    /// Opens a connection and lets a task drive it; the task ends with the connection.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`].
    pub async fn connect(&self) -> Result<Connection, EngineError> {
        let (sender, connection) = self.open().await?;
        // The task holds nothing but the connection: it ends when either side closes it.
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "engine connection ended");
            }
        });
        Ok(sender)
    }

    /// Sends one request on a fresh connection; the reply's body streams.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] when nothing was sent, [`EngineError::Unknown`] when it may have been.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, EngineError> {
        let mut connection = self.connect().await?;
        send_on(&mut connection, request).await
    }

    /// Asks a question and reads the JSON answer whole, within [`QUESTION_TIME_MAX`].
    ///
    /// # Errors
    /// Every [`EngineError`]: an error status becomes [`EngineError::Refused`] with Docker's message.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, EngineError> {
        self.ask_within(method, path, body, QUESTION_TIME_MAX).await
    }

    /// As [`Engine::ask`], with a deadline of its own (stopping a container takes its grace period).
    ///
    /// # Errors
    /// As [`Engine::ask`].
    pub async fn ask_within(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        deadline: Duration,
    ) -> Result<Value, EngineError> {
        let bytes = match &body {
            Some(value) => Bytes::from(value.to_string()),
            None => Bytes::new(),
        };
        let what = format!("{method} {path}");
        let (_, reply) = self.ask_raw(method, path, bytes, "application/json", deadline).await?;
        if reply.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&reply).map_err(|_| EngineError::Rubbish { what })
    }

    /// Sends bytes and reads the answer's bytes whole; success statuses only.
    ///
    /// # Errors
    /// As [`Engine::ask`].
    pub async fn ask_raw(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        content_type: &str,
        deadline: Duration,
    ) -> Result<(StatusCode, Bytes), EngineError> {
        let what = format!("{method} {path}");
        let request = build(method, path, body, content_type);
        let exchange = async {
            let response = self.send(request).await?;
            let status = response.status();
            let bytes = Limited::new(response.into_body(), REPLY_BYTES_MAX)
                .collect()
                .await
                .map_err(|_| EngineError::Unknown { what: what.clone() })?
                .to_bytes();
            Ok((status, bytes))
        };
        let (status, bytes) = tokio::time::timeout(deadline, exchange)
            .await
            .map_err(|_| EngineError::Unknown { what: what.clone() })??;
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok((status, bytes));
        }
        Err(EngineError::Refused { status, message: docker_message(&bytes, status) })
    }
}

/// Sends one request on a connection that is already open.
///
/// # Errors
/// [`EngineError::Unknown`]: once a request is handed over, nobody can say how far it went.
pub async fn send_on(
    connection: &mut Connection,
    request: Request<Body>,
) -> Result<Response<Incoming>, EngineError> {
    let what = format!("{} {}", request.method(), request.uri());
    connection.send_request(request).await.map_err(|error| {
        tracing::debug!(%error, what, "engine call failed");
        EngineError::Unknown { what }
    })
}

/// Builds an upstream request with nothing in it but what is named here.
#[must_use]
pub fn build(method: Method, path: &str, body: Bytes, content_type: &str) -> Request<Body> {
    let typed = !body.is_empty();
    let mut request = Request::new(boxed(Full::new(body)));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_else(|_| hyper::Uri::from_static("/_ping-unbuildable-path"));
    let headers = request.headers_mut();
    headers.insert(HOST, hyper::header::HeaderValue::from_static("docker"));
    if typed && let Ok(value) = content_type.parse() {
        headers.insert(CONTENT_TYPE, value);
    }
    request
}

/// Docker's own words in an error reply, or the status where there are none.
#[must_use]
pub fn docker_message(bytes: &[u8], status: StatusCode) -> String {
    serde_json::from_slice::<Value>(bytes)
        .ok()
        .and_then(|v| v.get("message").and_then(Value::as_str).map(str::to_owned))
        .unwrap_or_else(|| {
            let text = String::from_utf8_lossy(bytes);
            let text = text.trim();
            if text.is_empty() { format!("the docker engine answered {status}") } else { text.to_owned() }
        })
}
