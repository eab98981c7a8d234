//! A connection that stopped being request and reply: bytes both ways between a client and the Engine.
//!
//! Answers for half-close, for bytes that came early, for peers that vanish, and for what a waiting terminal is told
//! before its container runs. It must never decide who may attach.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bytes::{BufMut, Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::carrier::Carrier;

/// What a terminal sends for Ctrl-C.
const CTRL_C: u8 = 0x03;

/// Resolves when the peer of a socket has closed it in both directions.
///
/// A half-close is not that: the peer may still read. The descriptor is a duplicate, so the caller keeps the stream.
#[derive(Debug)]
pub struct Vanished {
    fd: AsyncFd<OwnedFd>,
}

impl Vanished {
    /// Watches a socket.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated or registered.
    pub fn watch(socket: &impl AsFd) -> io::Result<Self> {
        let fd = socket.as_fd().try_clone_to_owned()?;
        // A hang-up is reported whatever is asked for; urgent data, which is asked for, nobody sends. So the watch sleeps
        // while bytes pass, and "read closed" means closed both ways: a half-close is not reported.
        #[expect(unsafe_code, reason = "registering a descriptor has no safe form any more")]
        // SAFETY: the descriptor is owned by the `AsyncFd` and closed only with it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::PRIORITY) }?;
        Ok(Self { fd })
    }

    /// Waits until the peer is gone.
    pub async fn wait(&self) {
        loop {
            match self.fd.ready(Interest::PRIORITY).await {
                Ok(mut guard) => {
                    if guard.ready().is_read_closed() {
                        return;
                    }
                    guard.clear_ready();
                }
                Err(_) => return,
            }
        }
    }
}

/// What the start of a container tells and hears through its attached terminals while it waits.
#[derive(Debug)]
pub struct Terminal {
    /// Text for the person at the terminal.
    pub notices: mpsc::Receiver<String>,
    /// Told once when the person presses Ctrl-C while the start waits.
    pub interrupt: mpsc::Sender<()>,
    /// Whether the container has a terminal: raw bytes, else Docker's framed streams.
    pub tty: bool,
    /// Whether the container's start is in the line right now.
    pub waiting: tokio::sync::watch::Receiver<bool>,
}

/// Both ends of an upgraded connection, as sockets.
fn into_socket(upgraded: Upgraded) -> io::Result<(UnixStream, Bytes)> {
    let parts = upgraded
        .downcast::<TokioIo<UnixStream>>()
        .map_err(|_| io::Error::other("the upgraded connection is not a unix socket"))?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

/// Carries bytes both ways until both directions have ended or the client has vanished.
///
/// # Errors
/// The first error of either socket; the other is closed with it.
pub async fn carry(client: Upgraded, engine: Upgraded, terminal: Option<Terminal>) -> io::Result<()> {
    let (client, client_early) = into_socket(client)?;
    let (engine, engine_early) = into_socket(engine)?;
    let gone = Vanished::watch(&client)?;
    let (notices, ears) = match terminal {
        Some(t) => (Some((t.notices, t.tty)), t.tty.then_some((t.interrupt, t.waiting))),
        None => (None, None),
    };
    let up = upwards(Carrier::new(&client, &engine, &client_early), ears);
    let down = downwards(Carrier::new(&engine, &client, &engine_early), notices);
    // The Engine ends a stream by closing it; after that nobody reads what the client still sends.
    let up_then_rest = async {
        up.await?;
        std::future::pending::<io::Result<()>>().await
    };
    tokio::select! {
        result = down => result,
        result = up_then_rest => result,
        () = gone.wait() => Ok(()),
    }
}

/// Who hears the keys of a terminal while its container's start waits, and whether it does.
type Ears = (mpsc::Sender<()>, tokio::sync::watch::Receiver<bool>);

async fn upwards(mut stream: Carrier<'_>, ears: Option<Ears>) -> io::Result<()> {
    loop {
        if let Some((interrupt, waiting)) = &ears
            && *waiting.borrow()
            && stream.buffer.contains(&CTRL_C)
        {
            // The key is meant for the wait, not for a program that does not run yet.
            stream.buffer.clear();
            let _ = interrupt.try_send(());
        }
        stream.deliver().await?;
        stream.ready().await?;
        if stream.take(ears.is_some())? == Some(0) {
            // Half-close: the program inside sees the end of its stdin, its output goes on.
            return stream.close();
        }
    }
}

async fn downwards(
    mut stream: Carrier<'_>,
    mut notices: Option<(mpsc::Receiver<String>, bool)>,
) -> io::Result<()> {
    loop {
        stream.deliver().await?;
        let next_notice = async {
            match &mut notices {
                Some((receiver, tty)) => receiver.recv().await.map(|text| frame_notice(&text, *tty)),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            notice = next_notice => match notice {
                Some(bytes) => stream.buffer.extend_from_slice(&bytes),
                None => notices = None,
            },
            ready = stream.ready() => {
                ready?;
                if stream.take(false)? == Some(0) {
                    return stream.close();
                }
            }
        }
    }
}

/// A notice as the attached client expects bytes: raw with carriage returns on a terminal, else a stderr frame
/// (one byte stream number, three zero bytes, a big-endian length: Docker's attach format).
fn frame_notice(text: &str, tty: bool) -> Bytes {
    if tty {
        return Bytes::from(text.replace('\n', "\r\n"));
    }
    let mut frame = BytesMut::with_capacity(8 + text.len());
    frame.put_slice(&[2, 0, 0, 0]);
    frame.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    frame.put_slice(text.as_bytes());
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn a_notice_without_a_terminal_is_a_stderr_frame() {
        assert_eq!(&frame_notice("hi\n", false)[..], b"\x02\0\0\0\0\0\0\x03hi\n");
    }

    #[test]
    fn a_notice_on_a_terminal_returns_the_carriage() {
        assert_eq!(&frame_notice("a\nb\n", true)[..], b"a\r\nb\r\n");
    }

    #[tokio::test]
    async fn a_half_close_is_not_a_vanished_peer() {
        let (a, b) = UnixStream::pair().unwrap();
        let gone = Vanished::watch(&a).unwrap();
        let (_read, mut write) = b.into_split();
        write.shutdown().await.unwrap();
        tokio::select! {
            biased;
            () = gone.wait() => panic!("a half-close was taken for a hang-up"),
            () = tokio::task::yield_now() => {}
        }
        drop(write);
        drop(_read);
        gone.wait().await;
    }
}
