//! Listening at the door: connections in, one request after another to the handler, hang-ups noticed.
//!
//! It must never look into a request beyond its framing.

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::sync::watch;

use super::http::{self, Body, HEADER_BYTES_MAX, Refusal};
use super::tunnel::Vanished;
use super::{Door, Visit};
use crate::identity::Peer;

/// Connections that may be open at once, everybody's together.
const CONNECTIONS_MAX: usize = 4096;
/// Read buffer of one connection.
const READ_BYTES_MAX: usize = 256 * 1024;
/// How long a client may take to send the head of a request.
const HEAD_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// Opens the door's socket, replacing a stale one; everybody may connect: the kernel says who it is.
///
/// # Errors
/// When the socket cannot be made.
pub fn open(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves until told to stop. Requests under way are not cut off: they end with their connections.
pub async fn serve(door: Arc<Door>, listener: UnixListener, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = async { drop(stop.wait_for(|s| *s).await) } => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors: give those who have some the time to return them.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            tracing::warn!("too many connections; one more was closed");
            continue;
        };
        let door = door.clone();
        tokio::spawn(async move {
            connection(door, stream).await;
            drop(permit);
        });
    }
}

async fn connection(door: Arc<Door>, stream: UnixStream) {
    let (peer, gone) = match (Peer::of(stream.as_fd()), Vanished::watch(&stream)) {
        (Ok(peer), Ok(gone)) => (peer, gone),
        (Err(error), _) => {
            tracing::debug!(%error, "a peer vanished before it could be asked who it is");
            return;
        }
        (_, Err(error)) => {
            tracing::warn!(%error, "a connection cannot be watched");
            return;
        }
    };
    let visit = Arc::new(Visit::new(door, peer));
    let service = service_fn(move |request| {
        let visit = visit.clone();
        async move { Ok::<_, std::convert::Infallible>(answer(&visit, request).await) }
    });
    let connection = http1::Builder::new()
        .half_close(true)
        .auto_date_header(false)
        .preserve_header_case(true)
        .max_buf_size(READ_BYTES_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        result = connection => if let Err(error) = result {
            tracing::debug!(%error, "a client connection ended");
        },
        // Dropping the connection drops its request: what must not stop half-way runs in a task of its own.
        () = gone.wait() => {}
    }
}

async fn answer(visit: &Arc<Visit>, request: Request<Incoming>) -> Response<Body> {
    let head = request.method() == hyper::Method::HEAD;
    let mut response = match framing(&request) {
        Err(refusal) => {
            let mut response = http::refusal(&refusal);
            response
                .headers_mut()
                .insert(hyper::header::CONNECTION, hyper::header::HeaderValue::from_static("close"));
            response
        }
        Ok(()) => match super::handle(visit, request).await {
            Ok(response) => response,
            Err(refusal) => http::refusal(&refusal),
        },
    };
    super::system::stamp(response.headers_mut(), visit);
    if head && response.status().is_client_error() {
        *response.body_mut() = http::empty();
    }
    response
}

/// What HTTP itself must be before anybody reads its meaning.
fn framing(request: &Request<Incoming>) -> Result<(), Refusal> {
    if request.version() != Version::HTTP_11 {
        return Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here"));
    }
    let headers = request.headers();
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::bad("a request has a length or chunks, not both"));
    }
    if headers.get_all(TRANSFER_ENCODING).iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Refusal::bad("the only transfer encoding known here is chunked"));
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > HEADER_BYTES_MAX {
        return Err(Refusal::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            format!("the request headers are larger than {} KiB", HEADER_BYTES_MAX >> 10),
        ));
    }
    Ok(())
}
