//! Bytes on their way from one socket to another: copied while they are few, moved inside the kernel once they are many.
//!
//! It must never look at what it carries, and never wait for one socket while it has undelivered bytes for the other.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use bytes::{Buf, BytesMut};
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// One copied read's worth.
const COPY_BYTES: usize = 64 * 1024;
/// A direction that has carried so much is a data set, and worth a pipe: two descriptors and the kernel's memory.
const MOVE_AFTER_BYTES: usize = 1024 * 1024;
/// How much a pipe may hold.
const PIPE_BYTES: i32 = 512 * 1024;

/// One direction between two sockets.
#[derive(Debug)]
pub(super) struct Carrier<'s> {
    from: &'s UnixStream,
    to: &'s UnixStream,
    /// How much it has carried so far.
    carried: usize,
    /// Whether the kernel moves bytes between sockets at all: some sandboxes for whole machines do not.
    can_move: bool,
    pipe: Option<Pipe>,
    /// What was copied and not yet handed on; empty whenever something is moved.
    pub(super) buffer: BytesMut,
}

/// The ends of a pipe that is empty between two calls of [`Carrier::take`] and [`Carrier::deliver`].
#[derive(Debug)]
struct Pipe {
    reading: OwnedFd,
    writing: OwnedFd,
    held: usize,
}

impl<'s> Carrier<'s> {
    /// Carries `early` first.
    pub(super) fn new(from: &'s UnixStream, to: &'s UnixStream, early: &[u8]) -> Self {
        let mut buffer = BytesMut::with_capacity(COPY_BYTES.max(early.len()));
        buffer.extend_from_slice(early);
        Self { from, to, carried: 0, can_move: true, pipe: None, buffer }
    }

    /// Whether the source can be asked for bytes. May be dropped at any time.
    pub(super) async fn ready(&self) -> io::Result<()> {
        self.from.readable().await
    }

    /// Takes what the source has now; `Some(0)` is its end, `None` says that it had nothing after all.
    ///
    /// Where `seen` is set the bytes are brought into [`Carrier::buffer`], to be looked at.
    pub(super) fn take(&mut self, seen: bool) -> io::Result<Option<usize>> {
        let taken = if seen || !self.can_move || self.carried < MOVE_AFTER_BYTES {
            self.from.try_read_buf(&mut self.buffer)
        } else {
            self.take_into_pipe()
        };
        match taken {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.can_move => {
                self.can_move = false;
                Ok(None)
            }
            Ok(bytes) => {
                self.carried = self.carried.saturating_add(bytes);
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take_into_pipe(&mut self) -> io::Result<usize> {
        let from = self.from;
        let pipe = match &mut self.pipe {
            Some(pipe) => pipe,
            None => self.pipe.insert(Pipe::open()?),
        };
        // The pipe is empty, so "would block" can only mean the socket.
        let moved = from.try_io(Interest::READABLE, || move_between(from, &pipe.writing, usize::MAX))?;
        pipe.held = moved;
        Ok(moved)
    }

    /// Hands on everything that was taken. Dropped half-way, what it held is lost with it.
    pub(super) async fn deliver(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            self.to.writable().await?;
            match self.to.try_write(&self.buffer) {
                Ok(written) => self.buffer.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.reserve(COPY_BYTES);
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        while pipe.held > 0 {
            self.to.writable().await?;
            match self.to.try_io(Interest::WRITABLE, || move_between(&pipe.reading, self.to, pipe.held)) {
                Ok(moved) => pipe.held = pipe.held.saturating_sub(moved),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells the target that no more will come.
    pub(super) fn close(&self) -> io::Result<()> {
        match nix::sys::socket::shutdown(self.to.as_raw_fd(), nix::sys::socket::Shutdown::Write) {
            Ok(()) | Err(nix::errno::Errno::ENOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Pipe {
    fn open() -> io::Result<Self> {
        let (reading, writing) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // A smaller pipe is slower, not wrong.
        let _ = fcntl(&writing, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Ok(Self { reading, writing, held: 0 })
    }
}

fn move_between(from: impl AsFd, to: impl AsFd, bytes: usize) -> io::Result<usize> {
    let bytes = bytes.min(usize::try_from(PIPE_BYTES).unwrap_or(COPY_BYTES));
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, bytes, flags)?)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn carry(carrier: &mut Carrier<'_>) {
        loop {
            carrier.deliver().await.unwrap();
            carrier.ready().await.unwrap();
            if carrier.take(false).unwrap() == Some(0) {
                return carrier.close().unwrap();
            }
        }
    }

    #[tokio::test]
    async fn few_bytes_and_many_arrive_as_they_were_sent() {
        for length in [0, 1, COPY_BYTES, MOVE_AFTER_BYTES, MOVE_AFTER_BYTES + 1, 5 * MOVE_AFTER_BYTES + 7] {
            let sent: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let (mut source, from) = UnixStream::pair().unwrap();
            let (to, mut target) = UnixStream::pair().unwrap();
            let (early, late) = sent.split_at(length / 3);
            let mut carrier = Carrier::new(&from, &to, early);
            let mut received = Vec::new();
            let send = async {
                source.write_all(late).await.unwrap();
                source.shutdown().await.unwrap();
            };
            tokio::join!(send, carry(&mut carrier), async {
                target.read_to_end(&mut received).await.unwrap()
            });
            assert!(received == sent, "{length} bytes");
        }
    }

    #[tokio::test]
    async fn a_target_that_is_gone_is_an_error() {
        let (mut source, from) = UnixStream::pair().unwrap();
        let (to, target) = UnixStream::pair().unwrap();
        drop(target);
        source.write_all(b"x").await.unwrap();
        let mut carrier = Carrier::new(&from, &to, b"");
        carrier.ready().await.unwrap();
        assert_eq!(carrier.take(false).unwrap(), Some(1));
        assert_eq!(carrier.deliver().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
