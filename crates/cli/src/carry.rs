//! A program in a container and its user: his keys to it, its words to him, until one of them ends.
//!
//! On a terminal every key goes through raw and the size follows the window; on pipes standard input's end is passed on
//! and the two outputs stay apart. However it ends, the terminal is as it was before. It must never end the program.

use std::future::pending;
use std::io::{Read as _, stdin, stdout};
use std::os::fd::AsFd as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::client::{ClientError, Line, Sizer};
use crate::failure::Failure;
use crate::frames::Outputs;
use crate::terminal::{self, RawMode};

/// What is read or written at a time.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks of input that may wait for the connection.
const INPUT_CHUNKS_MAX: usize = 16;
/// How often the first size is told to a terminal that may not be there yet, and how long in between.
const SETTLE_TRIES: u32 = 20;
const SETTLE_PAUSE: Duration = Duration::from_millis(25);

/// Why the carrying ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The output ended.
    Stream,
    /// The connection or our own output failed.
    Broken(std::io::Error),
    /// A signal told us to go; the exit code for it.
    Signal(u8),
}

/// Passes everything on both ways until the other side ends, or until `told` tells to leave.
pub(crate) async fn carry(
    line: Line,
    interactive: bool,
    told: impl Future<Output = u8>,
) -> Result<End, Failure> {
    let _raw = match interactive.then(RawMode::enter).transpose() {
        Ok(raw) => raw,
        Err(error) => return Err(Failure::usage(format!("the terminal cannot be used: {error}"))),
    };
    let Line { stream, early, sizer } = line;
    let (from_there, to_there) = stream.into_split();
    let input = tokio::spawn(send_input(to_there));
    let end = tokio::select! {
        end = receive_output(from_there, early, interactive) => match end {
            Ok(()) => End::Stream,
            Err(error) => End::Broken(error),
        },
        code = told => End::Signal(code),
        never = follow_size(&sizer, interactive) => match never {},
    };
    input.abort();
    Ok(end)
}

/// Passes standard input on, and its end as a half-close.
async fn send_input(mut to_there: OwnedWriteHalf) {
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
        if to_there.write_all(&chunk).await.is_err() {
            // Nobody reads any more; what it still says comes on the other half.
            return;
        }
    }
    let _ = to_there.shutdown().await;
    // Dropping this half would close nothing more; the stream lives until its output has ended.
}

async fn receive_output(mut from_there: OwnedReadHalf, early: Bytes, raw: bool) -> std::io::Result<()> {
    let mut outputs = Outputs::new(raw);
    let mut chunk = BytesMut::from(early.as_ref());
    loop {
        outputs.pass(&chunk.split())?;
        chunk.reserve(CHUNK_BYTES);
        if from_there.read_buf(&mut chunk).await? == 0 {
            return Ok(());
        }
    }
}

/// Gives the other side's terminal the size of ours, now and whenever that changes.
async fn follow_size(sizer: &Sizer, interactive: bool) -> std::convert::Infallible {
    let Some(mut changes) = interactive.then(|| signal(SignalKind::window_change()).ok()).flatten() else {
        return pending().await;
    };
    // The start may not have got far enough to have a terminal yet.
    for _ in 0..SETTLE_TRIES {
        if send_size(sizer).await.is_ok() {
            break;
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    while changes.recv().await.is_some() {
        // A size that does not arrive is no reason to end anybody's session.
        let _ = send_size(sizer).await;
    }
    pending().await
}

async fn send_size(sizer: &Sizer) -> Result<(), ClientError> {
    match terminal::size_of(stdout().as_fd()) {
        Some((columns, rows)) => sizer.resize(columns, rows).await,
        None => Ok(()),
    }
}
