//! A shell in a container: the user's keys to it, its words to the user, until it ends.
//!
//! On a terminal every key goes through raw and the size follows the window; on pipes standard input's end is passed on
//! and the two outputs stay apart. However it ends, the terminal is as it was before. It must never stop the container.

use std::future::pending;
use std::io::{Read as _, stdin, stdout};
use std::os::fd::AsFd as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ds01_api::Container;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::client::{ClientError, Door, ExecHandle, ExecSession};
use crate::failure::Failure;
use crate::frames::Outputs;
use crate::signals::Signals;
use crate::terminal::{self, RawMode};
use crate::ui::Ui;

/// What is read or written at a time.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks of input that may wait for the connection.
const INPUT_CHUNKS_MAX: usize = 16;
/// How often a question about a shell that only just began or ended is asked again, and how long in between.
const SETTLE_TRIES: u32 = 20;
const SETTLE_PAUSE: Duration = Duration::from_millis(25);

/// Opens a shell in `container` and stays until it ends; returns its exit code.
pub(crate) async fn enter(door: &Door, container: &Container, ui: Ui) -> Result<u8, Failure> {
    let interactive = terminal::is_interactive();
    let term = std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned());
    let session = door.shell(container, interactive.then_some(term.as_str())).await?;
    let handle = session.handle();
    let end = {
        let _raw = match interactive.then(RawMode::enter).transpose() {
            Ok(raw) => raw,
            Err(error) => return Err(Failure::usage(format!("the terminal cannot be used: {error}"))),
        };
        carry(session, &handle, interactive).await
    };
    let code = match end {
        End::Signal(code) => return Ok(code),
        End::Stream => settled_exit(&handle).await,
        End::Broken(error) => Err(ClientError::broken(error)),
    };
    if interactive {
        farewell(door, container, ui).await;
    }
    Ok(code?)
}

/// Why the carrying ended.
enum End {
    /// The shell's output ended.
    Stream,
    /// The connection or our own output failed.
    Broken(std::io::Error),
    /// A signal told us to go; the exit code for it.
    Signal(u8),
}

async fn carry(session: ExecSession, handle: &ExecHandle, interactive: bool) -> End {
    let ExecSession { stream, early, .. } = session;
    let (from_shell, to_shell) = stream.into_split();
    let mut signals = Signals::new();
    let input = tokio::spawn(send_input(to_shell));
    let end = tokio::select! {
        end = receive_output(from_shell, early, interactive) => match end {
            Ok(()) => End::Stream,
            Err(error) => End::Broken(error),
        },
        code = signals.fatal() => End::Signal(code),
        never = follow_size(handle, interactive) => match never {},
    };
    input.abort();
    end
}

/// Passes standard input on, and its end as a half-close.
async fn send_input(mut to_shell: OwnedWriteHalf) {
    let (sender, mut chunks) = mpsc::channel::<Bytes>(INPUT_CHUNKS_MAX);
    // A thread, because a terminal or file cannot be waited for without changing it for everyone who shares it. It ends
    // with its input, with the channel, or with the process.
    std::thread::spawn(move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(read @ 1..) = stdin().lock().read(&mut chunk) {
            if sender.blocking_send(Bytes::copy_from_slice(&chunk[..read])).is_err() {
                return;
            }
        }
    });
    while let Some(chunk) = chunks.recv().await {
        if to_shell.write_all(&chunk).await.is_err() {
            // The shell reads no more; what it still says comes on the other half.
            return;
        }
    }
    let _ = to_shell.shutdown().await;
    // Dropping this half would close nothing more; the stream lives until its output has ended.
}

async fn receive_output(mut from_shell: OwnedReadHalf, early: Bytes, raw: bool) -> std::io::Result<()> {
    let mut outputs = Outputs::new(raw);
    let mut chunk = BytesMut::from(early.as_ref());
    loop {
        outputs.pass(&chunk.split())?;
        chunk.reserve(CHUNK_BYTES);
        if from_shell.read_buf(&mut chunk).await? == 0 {
            return Ok(());
        }
    }
}

/// Gives the shell's terminal the size of ours, now and whenever that changes.
async fn follow_size(handle: &ExecHandle, interactive: bool) -> std::convert::Infallible {
    let Some(mut changes) = interactive.then(|| signal(SignalKind::window_change()).ok()).flatten() else {
        return pending().await;
    };
    // The start may not have got far enough to have a terminal yet.
    for _ in 0..SETTLE_TRIES {
        if send_size(handle).await.is_ok() {
            break;
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    while changes.recv().await.is_some() {
        // A size that does not arrive is no reason to end anybody's session.
        let _ = send_size(handle).await;
    }
    pending().await
}

async fn send_size(handle: &ExecHandle) -> Result<(), ClientError> {
    match terminal::size_of(stdout().as_fd()) {
        Some((columns, rows)) => handle.resize(columns, rows).await,
        None => Ok(()),
    }
}

/// The exit code of a shell whose output has ended.
async fn settled_exit(handle: &ExecHandle) -> Result<u8, ClientError> {
    for _ in 0..SETTLE_TRIES {
        let exit = handle.exit().await?;
        if let (false, Some(code)) = (exit.running, exit.exit_code) {
            // As the kernel does: the low eight bits.
            return Ok(code.to_le_bytes()[0]);
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    // It runs on without us; that was the user's doing.
    Ok(0)
}

/// Says what becomes of the container now that nobody looks at it.
async fn farewell(door: &Door, container: &Container, ui: Ui) {
    let name = container.short_name();
    match door.container(&container.id).await {
        Ok(now) if now.state.is_alive() && !now.units.is_empty() => {
            ui.note(&format!("{name} keeps running and keeps its GPU; container retire {name} frees it"));
        }
        Ok(now) if now.state.is_alive() => {
            ui.note(&format!("{name} keeps running; container stop {name} stops it"));
        }
        Ok(_) => ui.note(&format!("{name} is not running any more; container run {name} starts it again")),
        Err(error) if error.is_not_found() => {
            let kept = if container.workspace.is_some() { "; your files in /workspace are kept" } else { "" };
            ui.note(&format!("{name} is gone{kept}"));
        }
        Err(_) => {}
    }
}
