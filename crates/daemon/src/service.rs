//! The service manager that may have started us: it holds the door's socket, so that clients wait while `ds01d` is
//! started anew, and it is told when the door is open. Without one, nothing here does anything.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;

use sd_notify::NotifyState;

use crate::sys;

/// The socket at `path`, if the service manager holds it. Others that it handed over are told of and left alone.
///
/// # Errors
/// What the system says of a socket that was handed over.
pub fn held_listener(path: &Path) -> io::Result<Option<UnixListener>> {
    let mut held = None;
    for descriptor in sys::handed_over()? {
        let listener = UnixListener::from(descriptor);
        let address = listener.local_addr()?;
        if address.as_pathname() == Some(path) {
            listener.set_nonblocking(true)?;
            held = Some(listener);
        } else {
            tracing::warn!(
                ?address,
                door = %path.display(),
                "the service manager holds a socket that is not the door's: its unit and paths.socket differ"
            );
        }
    }
    Ok(held)
}

/// Tells that the door is open.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// Tells that the door closes.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
