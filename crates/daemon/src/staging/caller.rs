//! Doing something on the file system with the rights of the person who asked.
//!
//! It answers for one thing: a closure runs on a thread of its own that has the caller's file-system user, group and
//! groups and none of root's powers over files, and that thread is never used again. It must never run anything on a
//! thread that others use, and it must never wait without end: a dead network file system holds the thread, not us.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use super::Credentials;
use crate::sys;

/// How long the file system may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How many threads may wait for file systems at once; more than that means that one of them is dead.
const THREADS_MAX: usize = 64;
/// The stack of such a thread, in bytes: it opens a few files and no more.
const STACK_BYTES: usize = 256 * 1024;
/// Asks `setfsuid(2)` and `setfsgid(2)` for the present value: no user has this id.
const ASK: u32 = u32::MAX;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Why something could not be done as the caller.
#[derive(Debug, thiserror::Error)]
pub enum CallerFault {
    /// The file system did not answer in time.
    #[error("the file system did not answer within {} s", ANSWER_WAIT.as_secs())]
    Timeout,
    /// Too many threads wait for file systems already.
    #[error("{THREADS_MAX} requests wait for file systems already")]
    Busy,
    /// The thread could not be started, or could not take on the caller's rights.
    #[error("cannot act as the caller")]
    Thread(#[source] std::io::Error),
    /// What ran on the thread panicked.
    #[error("the thread that acted as the caller failed")]
    Panicked,
}

/// Counts a thread for as long as it lives, and not a moment less.
struct Counted;

impl Counted {
    fn take() -> Option<Self> {
        let admit = |threads| (threads < THREADS_MAX).then_some(threads + 1);
        THREADS.fetch_update(Ordering::AcqRel, Ordering::Acquire, admit).is_ok().then_some(Self)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs `work` with the file-system rights of `credentials`, on a thread that is thrown away, and waits for it.
///
/// It blocks the calling thread (10 s at most), so call it where blocking is allowed. After a timeout the work goes on
/// by itself and its result is dropped. Root's powers over files (`CAP_DAC_OVERRIDE` and its like) are gone in `work`
/// unless `credentials.uid` is 0; its other powers are not, so `work` must only touch files.
///
/// # Errors
/// See [`CallerFault`]; what `work` itself returns is not looked at.
pub fn as_caller<T, F>(credentials: &Credentials, work: F) -> Result<T, CallerFault>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let counted = Counted::take().ok_or(CallerFault::Busy)?;
    let (answer, answered) = sync_channel(1);
    let credentials = credentials.clone();
    std::thread::Builder::new()
        .name("ds01-as-caller".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let result = become_caller(&credentials).map(|()| work());
            // Nobody listens after a timeout; what was opened is closed here.
            let _ = answer.send(result);
            drop(counted);
        })
        .map_err(CallerFault::Thread)?;
    match answered.recv_timeout(ANSWER_WAIT) {
        Ok(result) => result.map_err(CallerFault::Thread),
        Err(RecvTimeoutError::Timeout) => Err(CallerFault::Timeout),
        Err(RecvTimeoutError::Disconnected) => Err(CallerFault::Panicked),
    }
}

/// Takes on the caller's rights for good, on the calling thread, and makes sure that it happened.
fn become_caller(credentials: &Credentials) -> std::io::Result<()> {
    // Groups first: they need root's powers, which leave with the user id.
    sys::set_groups_of_this_thread(&credentials.groups)?;
    setfsgid(Gid::from_raw(credentials.gid));
    setfsuid(Uid::from_raw(credentials.uid));
    // Both calls report no error, so look.
    let gid = setfsgid(Gid::from_raw(ASK)).as_raw();
    let uid = setfsuid(Uid::from_raw(ASK)).as_raw();
    if uid != credentials.uid || gid != credentials.gid {
        return Err(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
    }
    Ok(())
}
