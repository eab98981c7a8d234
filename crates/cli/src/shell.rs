//! A shell in a container: the user's keys to it, its words to the user, until it ends.
//!
//! On a terminal every key goes through raw and the size follows the window; on pipes standard input's end is passed on
//! and the two outputs stay apart. However it ends, the terminal is as it was before. It must never stop the container.

use std::future::pending;
use std::io::{Read as _, Write, stderr, stdin, stdout};
use std::os::fd::AsFd as _;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use ds01_api::Container;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::client::{ClientError, Door, ExecHandle, ExecSession};
use crate::failure::Failure;
use crate::terminal::{self, RawMode};
use crate::ui::Ui;

/// What is read or written at a time.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks of input that may wait for the connection.
const INPUT_CHUNKS_MAX: usize = 16;
/// The header of a frame on a stream without a terminal: which output, three zeroes, the length.
const FRAME_HEADER_BYTES: usize = 8;
/// How often a question about a shell that only just began or ended is asked again, and how long in between.
const SETTLE_TRIES: u32 = 20;
const SETTLE_PAUSE: Duration = Duration::from_millis(25);
/// Signals that end us have this added to their number.
const EXIT_SIGNAL_BASE: u8 = 128;

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
    let mut unread = BytesMut::from(early.as_ref());
    loop {
        if raw {
            write_all(&mut stdout(), &unread.split())?;
        } else {
            while let Some((output, text)) = next_frame(&mut unread) {
                match output {
                    2 => write_all(&mut stderr(), &text)?,
                    _ => write_all(&mut stdout(), &text)?,
                }
            }
        }
        unread.reserve(CHUNK_BYTES);
        if from_shell.read_buf(&mut unread).await? == 0 {
            return Ok(());
        }
    }
}

fn write_all(output: &mut impl Write, text: &[u8]) -> std::io::Result<()> {
    output.write_all(text)?;
    output.flush()
}

/// Takes what there is of the next frame off `unread`: a frame that is not whole yet is handed on in parts.
fn next_frame(unread: &mut BytesMut) -> Option<(u8, BytesMut)> {
    let header: [u8; FRAME_HEADER_BYTES] = unread.get(..FRAME_HEADER_BYTES)?.try_into().ok()?;
    let [output, _, _, _, a, b, c, d] = header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let here = (unread.len() - FRAME_HEADER_BYTES).min(length);
    if here == 0 && length > 0 {
        return None;
    }
    unread.advance(FRAME_HEADER_BYTES);
    let text = unread.split_to(here);
    if here < length {
        // The rest becomes a frame of its own.
        let rest = u32::try_from(length - here).unwrap_or(u32::MAX).to_be_bytes();
        let mut header = BytesMut::from(&[output, 0, 0, 0][..]);
        header.extend_from_slice(&rest);
        header.extend_from_slice(unread);
        *unread = header;
    }
    Some((output, text))
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

/// The signals that end the command line and not the shell.
struct Signals(Vec<(u8, Signal)>);

impl Signals {
    fn new() -> Self {
        let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
        let listen = |kind: SignalKind| Some((u8::try_from(kind.as_raw_value()).ok()?, signal(kind).ok()?));
        Self(kinds.into_iter().filter_map(listen).collect())
    }

    /// Waits for one; returns the exit code that tells of it.
    async fn fatal(&mut self) -> u8 {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(parts: &[&[u8]]) -> Vec<(u8, String)> {
        let mut unread = BytesMut::new();
        let mut seen: Vec<(u8, String)> = Vec::new();
        for part in parts {
            unread.extend_from_slice(part);
            while let Some((output, text)) = next_frame(&mut unread) {
                let text = String::from_utf8(text.to_vec()).unwrap();
                match seen.last_mut() {
                    Some((last, so_far)) if *last == output => so_far.push_str(&text),
                    _ => seen.push((output, text)),
                }
            }
        }
        seen
    }

    #[test]
    fn frames_come_in_any_pieces() {
        let whole =
            b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01!";
        let expected = [(1, "hello".to_owned()), (2, "err".to_owned()), (1, "!".to_owned())];
        assert_eq!(frames(&[whole]), expected);
        for cut in 1..whole.len() {
            let (a, b) = whole.split_at(cut);
            assert_eq!(frames(&[a, b]), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(frames(&bytes), expected);
    }
}
