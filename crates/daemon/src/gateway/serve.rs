//! Listening at the door: connections in, one request after another to the handler, hang-ups noticed.
//!
//! It must never look into a request beyond its framing.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
use tokio::time::Instant;

use super::http::{self, Body, HEADER_BYTES_MAX, Refusal};
use super::tunnel::Vanished;
use super::{Door, Visit};
use crate::identity::Peer;
use crate::{service, sys};

/// Connections that may be open at once, everybody's together, where there are open files for as many.
const CONNECTIONS_MAX: usize = 4096;
/// Open files that one connection takes: the socket, its watch, the peer's handle, the Engine's side.
const FILES_EACH: u64 = 4;
/// Connections that one user on the host may have open at once, or one container.
const CONNECTIONS_EACH_MAX: usize = 256;
/// Connections that all containers of one user may have open at once.
const CONNECTIONS_INSIDE_MAX: usize = 512;
/// Connections of processes that ended before they could be looked at: nobody can say whose they are.
const CONNECTIONS_NOBODYS_MAX: usize = 64;
/// Read buffer of one connection.
const READ_BYTES_MAX: usize = 256 * 1024;
/// How long a client may take to send the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How often the log says of somebody that he has too many connections.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Opens the door's socket: the one that the service manager holds, or one of our own in place of a stale one. Everybody
/// may connect: the kernel says who it is.
///
/// # Errors
/// When the socket cannot be made.
pub fn open(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(held) = service::held_listener(path)? {
        return UnixListener::from_std(held);
    }
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
    let permits = Arc::new(Semaphore::new(connections_max(sys::raise_open_files())));
    let (guests, turned_away) = (Guests::default(), TurnedAway::default());
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
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Without one only root is let in: somebody must be able to look what goes on.
        let permit = permits.clone().try_acquire_owned().ok();
        let (door, guests, turned_away) = (door.clone(), guests.clone(), turned_away.clone());
        tokio::spawn(async move {
            connection(door, stream, &guests, &turned_away, permit).await;
        });
    }
}

/// As many as there are open files for; a quarter of these is kept for everything else.
fn connections_max(files: std::io::Result<u64>) -> usize {
    let most = match files {
        Ok(files) => usize::try_from(files / 4 * 3 / FILES_EACH).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            CONNECTIONS_EACH_MAX
        }
    };
    if most < CONNECTIONS_MAX {
        tracing::warn!(
            most,
            "few files may be open at once, so there are few connections: raise the hard limit"
        );
    }
    most.min(CONNECTIONS_MAX)
}

/// Whose connections they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Guest {
    /// A user on the host.
    User(u32),
    /// A container, in which anybody may be any user.
    Container(ContainerId),
    /// All containers of a user.
    Inside(u32),
    /// Nobody can say whose.
    Nobody,
}

impl Guest {
    /// How many connections it may have; `None`: root of the host is never locked out.
    fn most(&self) -> Option<usize> {
        match self {
            Self::User(0) => None,
            Self::User(_) | Self::Container(_) => Some(CONNECTIONS_EACH_MAX),
            Self::Inside(_) => Some(CONNECTIONS_INSIDE_MAX),
            Self::Nobody => Some(CONNECTIONS_NOBODYS_MAX),
        }
    }

    /// The guests that a peer's connection is counted for.
    async fn of(door: &Door, peer: &Peer) -> Vec<Self> {
        let Some(id) = peer.named_container().cloned() else {
            return vec![if peer.has_vanished() { Self::Nobody } else { Self::User(peer.uid()) }];
        };
        let key = id.clone();
        let owner = door.coordinator.read(move |state, _, _| state.container(&key).map(|c| c.owner.0)).await;
        let all = owner.ok().flatten().map_or(Self::Nobody, Self::Inside);
        vec![Self::Container(id), all]
    }
}

/// How many connections each has open.
#[derive(Debug, Default, Clone)]
struct Guests(Arc<Mutex<HashMap<Guest, usize>>>);

/// One connection of a guest, counted for as long as it lives, also as a tunnel.
#[derive(Debug)]
pub(super) struct Seat {
    guests: Guests,
    counted: Vec<Guest>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Guests {
    fn seat(&self, guests: Vec<Guest>, permit: Option<OwnedSemaphorePermit>) -> Option<Seat> {
        if permit.is_none() && guests.iter().any(|guest| guest.most().is_some()) {
            return None;
        }
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full =
            |guest: &Guest| guest.most().is_some_and(|most| open.get(guest).is_some_and(|n| *n >= most));
        if guests.iter().any(full) {
            return None;
        }
        for guest in &guests {
            *open.entry(guest.clone()).or_insert(0) += 1;
        }
        Some(Seat { guests: self.clone(), counted: guests, _permit: permit })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        for guest in &self.counted {
            if let Some(count) = open.get_mut(guest) {
                *count -= 1;
                if *count == 0 {
                    open.remove(guest);
                }
            }
        }
    }
}

/// Who was turned away, so that who comes again and again does not fill the log: by user id, when it was last said of
/// him, and how many there have been since.
#[derive(Debug, Default, Clone)]
struct TurnedAway(Arc<Mutex<HashMap<u32, (Instant, u64)>>>);

impl TurnedAway {
    /// How many connections were closed since it was last said, where it is time to say so again.
    fn one_more(&self, uid: u32, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In a container anybody may be any user: what was said long ago is forgotten, so that it does not pile up.
        said.retain(|of, (at, _)| *of == uid || now.duration_since(*at) < SAID_EVERY);
        let Some((at, closed)) = said.get_mut(&uid) else {
            said.insert(uid, (now, 0));
            return Some(1);
        };
        *closed += 1;
        if now.duration_since(*at) < SAID_EVERY {
            return None;
        }
        *at = now;
        Some(std::mem::take(closed))
    }
}

async fn connection(
    door: Arc<Door>,
    stream: UnixStream,
    guests: &Guests,
    turned_away: &TurnedAway,
    permit: Option<OwnedSemaphorePermit>,
) {
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
    let Some(seat) = guests.seat(Guest::of(&door, &peer).await, permit) else {
        if let Some(closed) = turned_away.one_more(peer.uid(), Instant::now()) {
            tracing::warn!(uid = peer.uid(), closed, "too many connections: those beyond are closed at once");
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn some(guests: &Guests, all: &[Guest], permits: &Arc<Semaphore>) -> Option<Seat> {
        guests.seat(all.to_vec(), permits.clone().try_acquire_owned().ok())
    }

    #[test]
    fn nobody_takes_all_the_seats() {
        let (guests, permits) = (Guests::default(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
        let mut seats = Vec::new();
        // Twenty containers of one user.
        for number in 0..20_u64 {
            let id = ContainerId::new(&format!("{number:064x}")).unwrap();
            let inside = [Guest::Container(id), Guest::Inside(1001)];
            seats.extend((0..CONNECTIONS_EACH_MAX).filter_map(|_| some(&guests, &inside, &permits)));
        }
        assert_eq!(seats.len(), CONNECTIONS_INSIDE_MAX);
        // He himself on the host, and those of whom nobody knows who they are.
        for guest in [Guest::User(1001), Guest::Nobody] {
            seats.extend(
                (0..CONNECTIONS_MAX).filter_map(|_| some(&guests, std::slice::from_ref(&guest), &permits)),
            );
        }
        assert_eq!(seats.len(), CONNECTIONS_INSIDE_MAX + CONNECTIONS_EACH_MAX + CONNECTIONS_NOBODYS_MAX);
        assert!(some(&guests, &[Guest::User(1002)], &permits).is_some());
        drop(seats);
        assert!(guests.0.lock().unwrap().is_empty());
    }

    #[test]
    fn who_comes_again_and_again_is_logged_once_a_minute() {
        let (turned_away, began) = (TurnedAway::default(), Instant::now());
        let said: Vec<u64> = (0..125_000_u32)
            .filter_map(|n| turned_away.one_more(1001, began + Duration::from_millis(u64::from(n))))
            .collect();
        assert_eq!(said, [1, 60_000, 60_000]);
        assert_eq!(turned_away.one_more(1002, began), Some(1));
        assert_eq!(turned_away.one_more(1003, began + 3 * SAID_EVERY), Some(1));
        assert_eq!(turned_away.0.lock().unwrap().len(), 1, "nobody is remembered for ever");
    }

    #[test]
    fn there_are_files_for_all_connections() {
        assert_eq!(connections_max(Ok(1 << 20)), CONNECTIONS_MAX);
        assert_eq!(connections_max(Ok(1024)), 192);
        assert!(sys::raise_open_files().is_ok_and(|files| files > 0));
    }

    #[test]
    fn root_comes_in_where_nobody_else_does() {
        let (guests, permits) = (Guests::default(), Arc::new(Semaphore::new(0)));
        assert!(some(&guests, &[Guest::User(1001)], &permits).is_none());
        assert!(some(&guests, &[Guest::User(0)], &permits).is_some());
    }
}
