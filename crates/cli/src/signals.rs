//! The signals that end a command which has nothing else to end for: it leaves quietly, with the number that tells of it.
//!
//! It must never end the process itself.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that end us have this added to their number.
const EXIT_SIGNAL_BASE: u8 = 128;

/// Hang-up, Ctrl-C and the request to end, listened for.
#[derive(Debug)]
pub(crate) struct Signals(Vec<(u8, Signal)>);

impl Signals {
    /// From now on they do not end the process by themselves.
    pub(crate) fn new() -> Self {
        let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
        let listen = |kind: SignalKind| Some((u8::try_from(kind.as_raw_value()).ok()?, signal(kind).ok()?));
        Self(kinds.into_iter().filter_map(listen).collect())
    }

    /// Waits for one; returns the exit code that tells of it.
    pub(crate) async fn fatal(&mut self) -> u8 {
        std::future::poll_fn(|context| {
            for (number, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(EXIT_SIGNAL_BASE + *number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
