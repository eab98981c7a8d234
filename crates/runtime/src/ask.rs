//! Asking at the hinge: connect, one line there, one line back, all before a deadline.

use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ds01_runtime::protocol::{LINE_BYTES_MAX, ProtocolError, Request, Response};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::files;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The deadline passed.
    #[error("no answer in time")]
    Silent,
    /// Somebody else could answer in the daemon's name.
    #[error("others than root can write {0} or its directory")]
    Unsafe(PathBuf),
    /// What stands at the hinge's place is something else.
    #[error("{0} is not a socket")]
    NotASocket(PathBuf),
    /// The process that listens is not root's.
    #[error("uid {0} listens on the hinge instead of root")]
    Stranger(u32),
    /// The daemon hung up without an answer.
    #[error("it hung up")]
    HungUp,
    /// The question cannot be put, or the answer is not understood.
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    /// A system call failed.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Puts the question and reads the answer.
pub(crate) fn ask(path: &Path, request: &Request, deadline: Instant) -> Result<Response, AskError> {
    let line = request.to_line()?;
    check(path)?;
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => AskError::Silent,
        _ => AskError::Io { path: path.to_owned(), source: error },
    };
    let mut stream = connect_before(path, deadline, told)?;
    let peer = getsockopt(&stream, sockopt::PeerCredentials).map_err(|error| told(error.into()))?;
    if !files::is_trusted(peer.uid()) {
        return Err(AskError::Stranger(peer.uid()));
    }
    let mut unsent = line.as_slice();
    while !unsent.is_empty() {
        stream.set_write_timeout(Some(remaining(deadline)?)).map_err(told)?;
        match stream.write(unsent) {
            Ok(sent) => unsent = &unsent[sent..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(told(error)),
        }
    }
    let mut answer = Vec::with_capacity(4096);
    let mut chunk = [0; 4096];
    while !answer.ends_with(b"\n") && answer.len() <= LINE_BYTES_MAX {
        stream.set_read_timeout(Some(remaining(deadline)?)).map_err(told)?;
        match stream.read(&mut chunk) {
            Ok(0) => return Err(AskError::HungUp),
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(told(error)),
        }
    }
    Ok(Response::from_line(&answer)?)
}

fn remaining(deadline: Instant) -> Result<Duration, AskError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(AskError::Silent) } else { Ok(left) }
}

fn check(path: &Path) -> Result<(), AskError> {
    let io = |source| AskError::Io { path: path.to_owned(), source };
    let found = std::fs::symlink_metadata(path).map_err(io)?;
    if !found.file_type().is_socket() {
        return Err(AskError::NotASocket(path.to_owned()));
    }
    // Who listens is asked of the kernel later; this keeps others from turning us away from the daemon. Further up the
    // path a lab may well stand in somebody's home.
    let directory = path.parent().unwrap_or(path);
    let safe = files::only_root_writes(&found) && files::only_root_moves(directory).map_err(io)?;
    if safe { Ok(()) } else { Err(AskError::Unsafe(path.to_owned())) }
}

/// Connects, waiting for a place in the listener's backlog no longer than the deadline: connecting to a unix socket
/// waits as long as sending may.
fn connect_before(
    path: &Path,
    deadline: Instant,
    told: impl Fn(io::Error) -> AskError,
) -> Result<UnixStream, AskError> {
    let address = UnixAddr::new(path).map_err(|error| told(error.into()))?;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .map_err(|error| told(error.into()))?;
    loop {
        let left = remaining(deadline)?;
        let micros = i64::try_from(left.as_micros()).unwrap_or(i64::MAX).max(1);
        let timeout = TimeVal::new(micros / 1_000_000, micros % 1_000_000);
        setsockopt(&fd, sockopt::SendTimeout, &timeout).map_err(|error| told(error.into()))?;
        match connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &address) {
            Ok(()) => return Ok(UnixStream::from(fd)),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(told(error.into())),
        }
    }
}
