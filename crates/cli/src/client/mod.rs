//! The client of the door: HTTP/1.1 on a unix socket, one connection per request.
//!
//! This module answers for finding the socket, for sending and for reading answers into the API's types. It must never
//! print, and never let a control character from an answer through: what it returns can be shown on a terminal.

mod archive;
mod build;
mod containers;
mod error;
mod events;
mod exec;
mod files;
mod images;
mod line;
mod lines;
mod logs;
mod start;
mod stats;
mod upload;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use ds01_api::{ApiError, Container, paths};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

pub(crate) use archive::Archive;
pub(crate) use build::{BuildNews, BuildWanted};
pub(crate) use error::ClientError;
pub(crate) use exec::ExecHandle;
pub(crate) use images::{Change, ImageFacts, ListedImage, User};
pub(crate) use line::{Line, Sizer};
pub(crate) use logs::LogsWanted;
pub(crate) use stats::Usage;

/// Where the door is where nobody says otherwise, best first.
const SOCKETS: [&str; 2] = ["/run/ds01/docker.sock", "/var/run/docker.sock"];
/// How long a question may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long an act may take that stops or makes containers: grace periods are in it.
pub(crate) const ACT_MAX: Duration = Duration::from_secs(180);
/// The largest answer that is read; a list of a thousand containers has about 1 MiB.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The door, before anyone has knocked.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    socket: PathBuf,
}

impl Door {
    /// The door, or the Engine, at this socket.
    pub(crate) fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The socket that `DOCKER_HOST` names, else the first of [`SOCKETS`] that is there.
    pub(crate) fn find(docker_host: Option<&str>) -> Result<Self, ClientError> {
        let socket = match docker_host.filter(|host| !host.is_empty()) {
            Some(host) => match host.strip_prefix("unix://") {
                Some(path) if path.starts_with('/') => PathBuf::from(path),
                _ => return Err(ClientError::DockerHost(host.to_owned())),
            },
            None => SOCKETS.iter().find(|path| Path::new(path).exists()).unwrap_or(&SOCKETS[0]).into(),
        };
        Ok(Self { socket })
    }

    /// Asks a question of the `/ds01/v1/` API.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.exchange(Method::GET, path, Bytes::new(), ANSWER_MAX).await.map_err(|error| match error {
            // A question changes nothing, so there is nothing to be unsure about.
            ClientError::Broken(what) => ClientError::Garbled { socket: self.socket.clone(), what },
            other => other,
        })
    }

    /// Has something done through the `/ds01/v1/` API.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.post_within(path, body, ACT_MAX).await
    }

    /// As [`Door::post`], with a limit of its own: a grace period is in it.
    pub(crate) async fn post_within<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<T, ClientError> {
        self.exchange(Method::POST, path, json(body)?, limit).await
    }

    /// Looks a container up by project, name or id.
    pub(crate) async fn container(&self, name: &str) -> Result<Container, ClientError> {
        self.get(&paths::with_name(paths::CONTAINER, name)).await
    }

    /// Stops a container as `docker stop` does; when it returns, the container has ended.
    pub(crate) async fn stop(&self, id: &str, grace_seconds: Option<u32>) -> Result<(), ClientError> {
        let grace = grace_seconds.map(|seconds| format!("?t={seconds}")).unwrap_or_default();
        let limit = ACT_MAX + Duration::from_secs(grace_seconds.unwrap_or(0).into());
        // 304 says that it had stopped already.
        self.act(id, &format!("stop{grace}"), limit).await
    }

    /// Freezes what runs in a container, or lets it go on.
    pub(crate) async fn pause(&self, id: &str, paused: bool) -> Result<(), ClientError> {
        self.act(id, if paused { "pause" } else { "unpause" }, ACT_MAX).await
    }

    /// One of Docker's acts on a container that answer with nothing.
    async fn act(&self, id: &str, act: &str, limit: Duration) -> Result<(), ClientError> {
        let path = paths::with_name("/containers/{name}/", id) + act;
        within(limit, async { self.send(Method::POST, &path, Bytes::new(), None).await.map(drop) }).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<T, ClientError> {
        within(limit, async {
            let response = self.send(method, path, body, None).await?;
            read_json(response.into_body()).await
        })
        .await
    }

    /// Sends one request and returns the answer's head, if it is not an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        upgrade: Option<&'static str>,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(protocol) = upgrade {
            request = request.header("connection", "Upgrade").header("upgrade", protocol);
        }
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        self.send_request(request.body(body).map_err(ClientError::broken)?).await
    }

    /// As [`Door::send`], with whatever body.
    async fn send_request(&self, mut request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        let path = request.uri().path().to_owned();
        request.headers_mut().insert(HOST, HeaderValue::from_static("ds01"));
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::Connect { socket: self.socket.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake::<_, Body>(TokioIo::new(stream)).await.map_err(ClientError::broken)?;
        // Ends with the connection: when the answer's body is read or dropped, or with the process.
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(ClientError::broken)?;
        let status = response.status();
        if status.is_success()
            || status == StatusCode::SWITCHING_PROTOCOLS
            || status == StatusCode::NOT_MODIFIED
        {
            return Ok(response);
        }
        Err(self.refusal(status, &path, response.into_body()).await)
    }

    /// Reads an error in our shape or in Docker's.
    async fn refusal(&self, status: StatusCode, path: &str, body: Incoming) -> ClientError {
        let answer: Value = match read_json(body).await {
            Ok(answer) => answer,
            Err(_) => Value::Null,
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        let ours = text("code").is_some();
        if !ours && path.starts_with(paths::PREFIX) && status == StatusCode::NOT_FOUND {
            return ClientError::PlainEngine(self.socket.clone());
        }
        let message = text("message").unwrap_or_else(|| format!("ds01d answered {status}"));
        let code = text("code").unwrap_or_else(|| format!("http.{}", status.as_u16()));
        ClientError::Api { status: status.as_u16(), error: ApiError { code, message, hint: text("hint") } }
    }
}

fn json(body: &impl Serialize) -> Result<Bytes, ClientError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(ClientError::broken)
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(ClientError::Late(limit.as_secs())))
}

async fn read_json<T: DeserializeOwned>(body: Incoming) -> Result<T, ClientError> {
    let bytes = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(ClientError::broken)?.to_bytes();
    parse(&bytes)
}

/// Reads JSON and takes every control character out of its strings, so that no name can speak to the terminal.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(ClientError::broken)?;
    scrub(&mut value);
    serde_json::from_value(value).map_err(ClientError::broken)
}

fn scrub(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().any(speaks) => {
            *text = text.chars().map(|c| if speaks(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
        }
        Value::Array(items) => items.iter_mut().for_each(scrub),
        Value::Object(fields) => fields.values_mut().for_each(scrub),
        _ => {}
    }
}

/// Control characters, and those that turn the reading direction; messages may have several lines.
fn speaks(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_where_docker_host_says() {
        let found = |host| Door::find(Some(host)).map(|door| door.socket);
        assert_eq!(found("unix:///tmp/x.sock").unwrap(), Path::new("/tmp/x.sock"));
        for host in ["tcp://1.2.3.4:2375", "ssh://lab", "unix://relative", "/tmp/x.sock"] {
            let error = found(host).unwrap_err();
            assert_eq!(error.exit().code(), 2, "{host}");
            assert!(error.hint().unwrap().contains("unset DOCKER_HOST"));
        }
        assert!(SOCKETS.contains(&found("").unwrap().to_str().unwrap()));
    }

    #[test]
    fn answers_cannot_speak_to_the_terminal() {
        let read: Value = parse(br#"{"a":["x\u001b[31my\u0007","two\nlines","\u202egpj"],"n":1}"#).unwrap();
        assert_eq!(read.to_string(), r#"{"a":["x�[31my�","two\nlines","�gpj"],"n":1}"#);
    }
}
