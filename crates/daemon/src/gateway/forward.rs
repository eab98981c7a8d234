//! Sending a judged request on to the Engine and its reply back to the client.

use std::time::Duration;

use bytes::Bytes;
use ds01_docker::object::ObjectRef;
use ds01_docker::route::Op;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::http::{self, Body, Refusal, boxed};
use super::tunnel::{self, Terminal};
use super::{Call, Visit};
use crate::engine::{EngineError, QUESTION_TIME_MAX, REPLY_BYTES_MAX, docker_message, send_on};

/// Builds the upstream request of a call: its own method, a built target, the few headers that mean something.
pub(super) fn upstream_request(call: &Call, target: &str, body: Body) -> Result<Request<Body>, Refusal> {
    let uri: hyper::Uri = target.parse().map_err(|_| Refusal::bad("the request's path cannot be sent on"))?;
    let mut request = Request::new(body);
    *request.method_mut() =
        Method::from_bytes(call.route.method().as_str().as_bytes()).unwrap_or(Method::GET);
    *request.uri_mut() = uri;
    *request.headers_mut() = http::request_headers(call.request.headers());
    request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
    Ok(request)
}

/// Sends on the visit's own connection, opening one where there is none.
pub(super) async fn send(visit: &Visit, request: Request<Body>) -> Result<Response<Incoming>, EngineError> {
    let mut slot = visit.upstream.lock().await;
    let mut connection = match slot.take() {
        Some(connection) if connection.is_ready() => connection,
        _ => visit.door.engine.connect().await?,
    };
    let response = send_on(&mut connection, request).await?;
    *slot = Some(connection);
    Ok(response)
}

/// A streaming body of the Engine's.
pub(super) trait FromEngine:
    hyper::body::Body<Data = Bytes, Error = hyper::Error> + Send + Sync + 'static
{
}

impl<B: hyper::body::Body<Data = Bytes, Error = hyper::Error> + Send + Sync + 'static> FromEngine for B {}

/// Shows an Engine's reply to the client: status, headers, streaming body.
pub(super) fn reply(upstream: Response<impl FromEngine>) -> Response<Body> {
    let (parts, body) = upstream.into_parts();
    let mut response = Response::new(boxed(body));
    *response.status_mut() = parts.status;
    *response.headers_mut() = http::reply_headers(&parts.headers);
    response
}

/// Where Docker's errors repeat the word by which the user named a container; elsewhere they tell its full id.
const REPEATS_THE_NAME: [&str; 4] =
    ["annot kill container: ", "annot stop container: ", "annot restart container ", " in container "];

/// As [`reply`]; an error says the container's name as the user gave it, where Docker would: we sent the full id.
pub(super) async fn reply_as_asked(
    upstream: Response<impl FromEngine>,
    id: &str,
    asked: &str,
) -> Result<Response<Body>, Refusal> {
    let status = upstream.status();
    if asked == id || !(status.is_client_error() || status.is_server_error()) {
        return Ok(reply(upstream));
    }
    let message = docker_message(&read(upstream).await?, status);
    let message = REPEATS_THE_NAME
        .iter()
        .fold(message, |said, words| said.replace(&format!("{words}{id}"), &format!("{words}{asked}")));
    Ok(http::refusal(&Refusal::new(status, message)))
}

/// Forwards a call with a target that the handler chose and the client's body as a stream.
pub(super) async fn stream(call: Call, target: &str) -> Result<Response<Body>, Refusal> {
    Ok(reply(upload(call, target).await?))
}

/// As [`stream`], with the Engine's reply as it came.
pub(super) async fn upload(mut call: Call, target: &str) -> Result<Response<Incoming>, Refusal> {
    let mut request = upstream_request(&call, target, http::empty())?;
    if let Some(body) = call.body.take() {
        *request.body_mut() = boxed(body);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    }
    // A connection of its own: a client that breaks off an upload leaves one that nobody can use again.
    Ok(call.door.engine.send(request).await?)
}

/// Forwards a call without a body.
pub(super) async fn bare(call: &Call, target: &str) -> Result<Response<Incoming>, Refusal> {
    let request = upstream_request(call, target, http::empty())?;
    let what = format!("{} {target}", request.method());
    match tokio::time::timeout(patience(call.route.op), send(&call.visit, request)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(EngineError::Unknown { what }.into()),
    }
}

/// How long a reply to a request without a body may be on its way: it says how things are, or does one small thing.
fn patience(op: Op) -> Duration {
    match op {
        // The one walks through everything that is stored, the other mounts images from slow disks.
        Op::SystemDf | Op::ContainerStart => Duration::from_secs(600),
        _ => QUESTION_TIME_MAX,
    }
}

/// Forwards a call with a body that was judged and written anew.
pub(super) async fn with_json(
    call: &Call,
    target: &str,
    body: Vec<u8>,
) -> Result<Response<Incoming>, Refusal> {
    let mut request = upstream_request(call, target, boxed(Full::new(Bytes::from(body))))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(send(&call.visit, request).await?)
}

/// Reads an Engine's reply whole as JSON; an error of the Engine's becomes a refusal with its own words.
pub(super) async fn read_json(upstream: Response<Incoming>) -> Result<(StatusCode, Value), Refusal> {
    let status = upstream.status();
    let bytes = read_whole(upstream).await?;
    let value = if bytes.is_empty() { Value::Null } else { parse(&bytes)? };
    Ok((status, value))
}

/// Reads a reply whole. One that is an error becomes a refusal with the Engine's message.
pub(super) async fn read_whole(upstream: Response<Incoming>) -> Result<Bytes, Refusal> {
    let status = upstream.status();
    let bytes = read(upstream).await?;
    if !status.is_success() {
        return Err(Refusal::new(status, docker_message(&bytes, status)));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes).map_err(|_| {
        Refusal::new(StatusCode::BAD_GATEWAY, "the Docker Engine's answer cannot be read; tell an admin")
    })
}

/// Reads an Engine's reply whole.
pub(super) async fn read(upstream: Response<impl FromEngine>) -> Result<Bytes, Refusal> {
    Ok(Limited::new(upstream.into_body(), REPLY_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| {
            Refusal::new(
                StatusCode::BAD_GATEWAY,
                "the Docker Engine's answer broke off; try again in a minute, or tell an admin",
            )
        })?
        .to_bytes())
}

/// Forwards a call as it was judged: no object, nothing rewritten but what the table rewrote.
pub(super) async fn pass(mut call: Call) -> Result<Response<Body>, Refusal> {
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let body = match call.route.body {
        ds01_docker::route::BodyRule::Json => call.json_body().await?,
        _ => Bytes::new(),
    };
    let mut request = upstream_request(&call, &target, boxed(Full::new(body)))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(reply(send(&call.visit, request).await?))
}

/// An object reference from a full id, which is always one.
pub(super) fn full(id: &str) -> Result<ObjectRef, Refusal> {
    ObjectRef::new(id).ok_or_else(|| Refusal::fault("an id of the Engine's is no id"))
}

/// Whether the client offers to stop speaking HTTP after this request.
pub(super) fn wants_upgrade(call: &Call) -> bool {
    call.request.headers().contains_key(UPGRADE)
        && call
            .request
            .headers()
            .get(CONNECTION)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case("upgrade")))
}

/// Forwards a request that may become a tunnel, and tunnels if the Engine agrees; only the Engine's 101 decides.
pub(super) async fn hijack(
    mut call: Call,
    target: &str,
    body: Bytes,
    terminal: Option<Terminal>,
) -> Result<Response<Body>, Refusal> {
    let offered = wants_upgrade(&call);
    let protocol = call.request.headers().get(UPGRADE).cloned();
    let client = hyper::upgrade::on(&mut call.request);
    let has_body = !body.is_empty();
    let mut request = upstream_request(&call, target, boxed(Full::new(body)))?;
    if has_body {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if offered && let Some(protocol) = &protocol {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert(UPGRADE, protocol.clone());
        for name in ["sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "origin"] {
            if let Some(value) = call.request.headers().get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
    }
    // A connection of its own: after the upgrade it is no HTTP connection any more.
    let mut upstream = call.door.engine.send(request).await?;
    if upstream.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(reply(upstream));
    }
    let engine = hyper::upgrade::on(&mut upstream);
    let mut response = Response::new(http::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = http::reply_headers(upstream.headers());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = upstream.headers().get(UPGRADE).or(protocol.as_ref()) {
        response.headers_mut().insert(UPGRADE, protocol.clone());
    }
    let visit = call.visit.clone();
    tokio::spawn(async move {
        // A tunnel is a connection of its user's as well.
        let _visit = visit;
        match tokio::try_join!(client, engine) {
            Ok((client, engine)) => {
                if let Err(error) = tunnel::carry(client, engine, terminal).await {
                    tracing::debug!(%error, "a tunnel ended");
                }
            }
            Err(error) => tracing::debug!(%error, "a connection could not become a tunnel"),
        }
    });
    Ok(response)
}

/// Runs the rest of a call where a client that hangs up cannot stop it half-way.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(%error, "a request's task failed");
            Err(Refusal::fault("DS01 met a fault of its own; tell an admin what you did"))
        }
    }
}
