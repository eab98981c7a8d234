//! Listening at the door: connections in, one request after another to the handler, hang-ups noticed.
//!
//! It must never look into a request beyond its framing.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ds01_domain::ContainerId;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::http::{self, Body, HEADER_BYTES_MAX, Refusal};
use super::tunnel::Vanished;
use super::{Door, Visit};
use crate::identity::Peer;

/// Connections that may be open at once, everybody's together.
const CONNECTIONS_MAX: usize = 4096;
/// Connections that one user, or one container, may have open at once.
const CONNECTIONS_EACH_MAX: usize = 256;
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
    let guests = Guests::default();
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
        let (door, guests) = (door.clone(), guests.clone());
        tokio::spawn(async move {
            connection(door, stream, &guests, permit).await;
        });
    }
}

/// Whose connections they are: a user's on the host, or a container's, in which anybody may be any user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Guest {
    User(u32),
    Container(ContainerId),
}

/// How many connections each has open.
#[derive(Debug, Default, Clone)]
struct Guests(Arc<Mutex<HashMap<Guest, usize>>>);

/// One connection of a guest, counted for as long as it lives, also as a tunnel.
#[derive(Debug)]
pub(super) struct Seat {
    guests: Guests,
    guest: Guest,
    _permit: OwnedSemaphorePermit,
}

impl Guests {
    fn seat(&self, peer: &Peer, permit: OwnedSemaphorePermit) -> Option<Seat> {
        let container = peer.candidates().last().cloned();
        let guest = container.map_or(Guest::User(peer.uid()), Guest::Container);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(guest.clone()).or_insert(0);
        // Root of the host is never locked out.
        if *count >= CONNECTIONS_EACH_MAX && guest != Guest::User(0) {
            return None;
        }
        *count += 1;
        Some(Seat { guests: self.clone(), guest, _permit: permit })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.guest) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.guest);
            }
        }
    }
}

async fn connection(door: Arc<Door>, stream: UnixStream, guests: &Guests, permit: OwnedSemaphorePermit) {
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
    let Some(seat) = guests.seat(&peer, permit) else {
        tracing::warn!(uid = peer.uid(), "too many connections of one user; one more was closed");
        return;
    };
    let visit = Arc::new(Visit::new(door, peer, seat));
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
