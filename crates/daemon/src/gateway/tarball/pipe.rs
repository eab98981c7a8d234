//! The way of an archive: from the client's stream through a thread that judges entries into the Engine's stream.
//!
//! It must never keep more of an archive in memory than a few pieces and what a judge asked for, and never let one
//! user's slow uploads take everybody's threads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::StatusCode;
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::super::http::{Body, BoxError, Refusal, boxed};
use super::super::unread::Unread;
use super::read::{self, Reader};
use super::{Content, Entry, Judge, Kind};

/// Pieces that wait between the stages before the earlier one waits.
const PIECES_MAX: usize = 4;
/// One piece that is written.
const PIECE_BYTES: usize = 128 * 1024;
/// How long a client may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Archives that one user may send at once.
const ARCHIVES_PER_USER_MAX: usize = 8;
const STACK_BYTES: usize = 512 * 1024;
/// The longest target of a link that a header holds by itself.
const LINK_BYTES: usize = 100;

/// An archive behind a judge.
#[derive(Debug)]
pub(in super::super) struct Filtered {
    /// What the Engine is sent; it breaks off where the judge says no.
    pub(in super::super) body: Body,
    /// Why it broke off, if it did.
    pub(in super::super) refusal: Arc<OnceLock<Refusal>>,
}

static ACTIVE: Mutex<BTreeMap<u32, usize>> = Mutex::new(BTreeMap::new());

/// One of a user's archives under way.
struct Turn(u32);

impl Turn {
    fn take(uid: u32) -> Result<Self, Refusal> {
        let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let count = active.entry(uid).or_insert(0);
        if *count >= ARCHIVES_PER_USER_MAX {
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!(
                    "{ARCHIVES_PER_USER_MAX} uploads of yours are under way already; wait for one to end"
                ),
            ));
        }
        *count += 1;
        Ok(Self(uid))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = active.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                active.remove(&self.0);
            }
        }
    }
}

/// Puts a judge between a client's archive and the Engine.
///
/// # Errors
/// When the user sends too many archives at once, or no thread can be had.
pub(in super::super) fn filter(uid: u32, body: Incoming, judge: impl Judge) -> Result<Filtered, Refusal> {
    let turn = Turn::take(uid)?;
    let (to_judge, from_client) = mpsc::channel(PIECES_MAX);
    let (to_engine, judged) = mpsc::channel(PIECES_MAX);
    let refusal = Arc::new(OnceLock::new());
    let told = refusal.clone();
    std::thread::Builder::new()
        .name("ds01-archive".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let _turn = turn;
            work(from_client, &to_engine, judge, &told);
        })
        .map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "DS01 is too busy for an upload; try again")
        })?;
    tokio::spawn(pump(body, to_judge));
    let frames = ReceiverStream::new(judged).map(|piece: Result<Bytes, BoxError>| piece.map(Frame::data));
    Ok(Filtered { body: boxed(StreamBody::new(frames)), refusal })
}

/// Carries the client's pieces to the thread.
async fn pump(mut body: Incoming, to_judge: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let piece = match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
            Ok(None) => return,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Ok(data),
                Err(_) => continue,
            },
            Ok(Some(Err(_))) => {
                Err(io::Error::other(Refusal::bad("the upload ended before it was complete")))
            }
            Err(_) => Err(io::Error::other(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("nothing came for {} s, so the upload was ended", SILENCE_MAX.as_secs()),
            ))),
        };
        let last = piece.is_err();
        if to_judge.send(piece).await.is_err() {
            // The judge has said no: the rest is read and forgotten, so that the client hears why.
            drop(Unread::new(body));
            return;
        }
        if last {
            return;
        }
    }
}

/// What the thread does. Its end closes the Engine's stream, in an error where the archive was not judged to its end.
fn work(
    from_client: mpsc::Receiver<io::Result<Bytes>>,
    to_engine: &mpsc::Sender<Result<Bytes, BoxError>>,
    mut judge: impl Judge,
    told: &OnceLock<Refusal>,
) {
    let source = Pieces { receiver: from_client, current: Bytes::new() };
    let sink = Sink { sender: to_engine.clone(), buffer: Vec::with_capacity(PIECE_BYTES) };
    let Err(error) = carry(source, sink, &mut judge) else { return };
    let refusal = match error.downcast::<Refusal>() {
        Ok(refusal) => refusal,
        Err(error) => Refusal::bad(format!("the archive cannot be read: {error}")),
    };
    let _ = told.set(refusal);
    let _ = to_engine.blocking_send(Err("the archive was refused".into()));
}

/// Carries every entry from an archive to another.
pub(super) fn carry(
    source: impl Read + Send + 'static,
    sink: impl Write,
    judge: &mut impl Judge,
) -> io::Result<()> {
    let mut reader = Reader::new(read::unpacked(source)?);
    let mut builder = tar::Builder::new(sink);
    while let Some(mut entry) = reader.entry()? {
        let size = entry.size;
        let content = judge.entry(&mut entry).map_err(io::Error::other)?;
        write_attributes(&mut builder, &entry)?;
        match content {
            Content::Whole(bytes_max) if entry.kind == Kind::File => {
                if size > bytes_max as u64 {
                    return Err(io::Error::other(Refusal::bad(format!(
                        "{} is larger than {} KiB",
                        entry.shown(),
                        bytes_max >> 10
                    ))));
                }
                let mut whole = Vec::new();
                Exactly { inner: (&mut reader.source).take(size), left: size }.read_to_end(&mut whole)?;
                let whole = judge.content(&entry, whole).map_err(io::Error::other)?;
                entry.size = whole.len() as u64;
                write(&mut builder, &entry, &whole[..])?;
            }
            _ => write(&mut builder, &entry, (&mut reader.source).take(size))?,
        }
        reader.padding(size)?;
    }
    builder.into_inner()?.flush()?;
    // What stands behind the end of an archive is nobody's; it is read so that the client is not cut off.
    io::copy(&mut reader.source, &mut io::sink()).map(drop)
}

fn write_attributes(builder: &mut tar::Builder<impl Write>, entry: &Entry) -> io::Result<()> {
    if entry.attributes.is_empty() {
        return Ok(());
    }
    let named: Vec<(String, &[u8])> =
        entry.attributes.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), &value[..])).collect();
    builder.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), *value)))
}

fn write(builder: &mut tar::Builder<impl Write>, entry: &Entry, content: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(match entry.kind {
        Kind::File => tar::EntryType::Regular,
        Kind::Directory => tar::EntryType::Directory,
        Kind::SymbolicLink => tar::EntryType::Symlink,
        Kind::HardLink => tar::EntryType::Link,
        Kind::Special(_) => return Err(io::Error::other(special(entry))),
    });
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.gid);
    header.set_mtime(entry.mtime);
    header.set_size(entry.size);
    let path = Path::new(OsStr::from_bytes(&entry.path));
    match entry.kind {
        // As it was written where it fits: `a//b` and `a/` are good targets.
        Kind::SymbolicLink | Kind::HardLink if entry.link.len() <= LINK_BYTES => {
            header.set_link_name_literal(&entry.link)?;
            builder.append_data(&mut header, path, io::empty())
        }
        Kind::SymbolicLink | Kind::HardLink => {
            builder.append_link(&mut header, path, Path::new(OsStr::from_bytes(&entry.link)))
        }
        _ => builder.append_data(&mut header, path, Exactly { inner: content, left: entry.size }),
    }
}

/// The sentence for what no archive of a user may hold.
pub(in super::super) fn special(entry: &Entry) -> Refusal {
    let kind = match entry.kind {
        Kind::Special(kind) => kind,
        _ => "special file",
    };
    Refusal::bad(format!(
        "{} in the archive is a {kind}, which cannot be copied here; leave it out",
        entry.shown()
    ))
}

/// A content that must be as long as its header says, or the entries behind it would be read out of it.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other(Refusal::bad("the archive cannot be read: it ends within a file")));
        }
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// The client's pieces as one stream of bytes.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Pieces for the Engine.
struct Sink {
    sender: mpsc::Sender<Result<Bytes, BoxError>>,
    buffer: Vec<u8>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES));
        self.sender.blocking_send(Ok(Bytes::from(piece))).map_err(|_| {
            io::Error::other(Refusal::new(StatusCode::BAD_GATEWAY, "the Docker Engine ended the upload"))
        })
    }
}
