//! A view that is looked at again and again, in place, until Ctrl-C. It must never leave the terminal other than it was.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::screen::Screen;
use crate::ui::Ui;

/// Shows `frame` every so often. Where there is no terminal it is shown once, and that is an error.
pub(super) async fn watch(
    every: Duration,
    ui: Ui,
    mut frame: impl AsyncFnMut() -> Result<String, Failure>,
) -> Result<u8, Failure> {
    // What does not work at all is told as without --watch.
    let mut shown = frame().await?;
    if ui.columns().is_none() {
        ui.say(&shown);
        return Err(Failure::usage("--watch needs a terminal, and standard output is none: shown once")
            .with_hint("in a script: while sleep 2; do container list; done"));
    }
    let mut ends = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        ends.push(
            signal(kind).map_err(|error| Failure::usage(format!("Ctrl-C cannot be watched: {error}")))?,
        );
    }
    let mut resized = signal(SignalKind::window_change()).ok();
    {
        let screen = Screen::enter();
        loop {
            screen.show(&shown);
            tokio::select! {
                () = any(&mut ends) => break,
                () = changed(&mut resized) => {}
                () = tokio::time::sleep(every) => {}
            }
            // A door that is away for a moment comes back.
            shown = tokio::select! {
                () = any(&mut ends) => break,
                next = frame() => next.unwrap_or_else(|failure| format!("{}\n", failure.error.message)),
            };
        }
    }
    // What was seen last stays on the terminal.
    ui.say(&shown);
    Ok(0)
}

async fn any(signals: &mut [tokio::signal::unix::Signal]) {
    std::future::poll_fn(|context| {
        match signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

async fn changed(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
