//! A context as the archive that a build is sent. It must never hold more of it than a piece.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;

use bytes::Bytes;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{Context, DOCKERFILE, Entry};

/// Bytes that are handed on at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that may wait to be sent.
const PIECES_MAX: usize = 4;

/// Packs a context, on a thread of its own, as fast as somebody takes the pieces. Who stops taking them ends it.
pub(crate) fn pack(context: Context) -> Receiver<io::Result<Bytes>> {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces { sender, piece: Vec::with_capacity(PIECE_BYTES) };
        if let Err(error) = write(&context, &mut pieces).and_then(|()| pieces.flush()) {
            // Nobody there to be told: then nobody wants it any more.
            let _ = pieces.sender.blocking_send(Err(error));
        }
    });
    pieces
}

fn write(context: &Context, to: &mut impl Write) -> io::Result<()> {
    let mut archive = Builder::new(to);
    let mut header = header(0o644);
    header.set_size(context.dockerfile.len() as u64);
    archive.append_data(&mut header, DOCKERFILE, context.dockerfile.as_bytes())?;
    for entry in &context.entries {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", entry.path));
        append(context, entry, &mut archive).map_err(named)?;
    }
    archive.finish()
}

/// Root's, like everything that a Dockerfile copies: whose a file is here means nothing in an image.
fn header(mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn append(context: &Context, entry: &Entry, archive: &mut Builder<impl Write>) -> io::Result<()> {
    let (metadata, path) = (&entry.metadata, context.directory.join(&entry.path));
    let mut header = header(metadata.mode() & 0o7777);
    header.set_mtime(metadata.mtime().try_into().unwrap_or(0));
    if metadata.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        return archive.append_link(&mut header, &entry.path, std::fs::read_link(path)?);
    }
    if metadata.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        return archive.append_data(&mut header, format!("{}/", entry.path), io::empty());
    }
    let file = std::fs::File::open(path)?;
    // As long as it is now: a file that grows meanwhile is sent as it was.
    let size = file.metadata()?.len();
    header.set_size(size);
    let mut content = Exactly { file: file.take(size), left: size };
    archive.append_data(&mut header, &entry.path, &mut content)
}

/// A file that must not end early: the archive says how long it is.
struct Exactly<R> {
    file: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.left -= read as u64;
        if read == 0 && self.left > 0 && !into.is_empty() {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        Ok(read)
    }
}

/// Makes pieces of what is written.
struct Pieces {
    sender: Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(piece.into())).map_err(gone)
    }
}
