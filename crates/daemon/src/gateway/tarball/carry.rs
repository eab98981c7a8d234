//! An archive judged entry by entry and written anew, on a thread where blocking is allowed.
//!
//! It must never keep more of an archive in memory than a few pieces and what a judge asked for, and never hand on a
//! content that is shorter or longer than its header says.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::super::http::Refusal;
use super::pipe::Word;
use super::read::{self, BLOCK, Reader, Source};
use super::{Content, Entry, Judge, Kind};

/// What is written goes to the Engine in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;
/// The rest of a content that is this long never comes to the thread: waking it for every piece costs more than the
/// piece.
const PASSED_BYTES_MIN: u64 = 4 * 1024;
/// The longest target of a link that a header holds by itself.
const LINK_BYTES: usize = 100;

/// Carries every entry from an archive to another.
pub(super) fn carry(source: Client, sink: Engine, judge: &mut impl Judge) -> io::Result<()> {
    let mut reader = Reader::new(read::unpacked(source)?);
    let mut builder = tar::Builder::new(sink);
    if let Err(error) = carry_entries(&mut reader, &mut builder, judge) {
        // The builder ends its archive whatever happens. The Engine must not take this one for whole.
        builder.get_mut().break_off();
        return Err(error);
    }
    builder.into_inner()?.flush()?;
    // What stands behind the end of an archive is nobody's; it is read so that the client is not cut off.
    io::copy(&mut reader.source, &mut io::sink()).map(drop)
}

/// Carries them up to, and not with, the end of the archive.
fn carry_entries(
    reader: &mut Reader<impl Source>,
    builder: &mut tar::Builder<Engine>,
    judge: &mut impl Judge,
) -> io::Result<()> {
    while let Some(mut entry) = reader.entry()? {
        let size = entry.size;
        match judge.entry(&mut entry).map_err(io::Error::other)? {
            Content::LeftOut => pass_over(&mut reader.source, size)?,
            Content::Whole(bytes_max) if entry.kind == Kind::File => {
                let whole = whole(&mut reader.source, &entry, bytes_max)?;
                let whole = judge.content(&entry, whole).map_err(io::Error::other)?;
                entry.size = whole.len() as u64;
                write_attributes(builder, &entry)?;
                write(builder, &entry, &whole[..])?;
            }
            Content::Whole(_) | Content::Stream => {
                write_attributes(builder, &entry)?;
                write(builder, &entry, io::empty())?;
                hand_on(&mut reader.source, builder.get_mut(), size)?;
            }
        }
        reader.padding(size)?;
    }
    judge.end().map_err(io::Error::other)
}

/// Reads a content that a judge wants to see.
fn whole(source: &mut impl Source, entry: &Entry, bytes_max: usize) -> io::Result<Vec<u8>> {
    if entry.size > bytes_max as u64 {
        let sentence = format!("{} is larger than {} KiB", entry.shown(), bytes_max >> 10);
        return Err(io::Error::other(Refusal::bad(sentence)));
    }
    let mut whole = Vec::new();
    Exactly { inner: source.take(entry.size), left: entry.size }.read_to_end(&mut whole)?;
    Ok(whole)
}

/// Reads a content that nobody gets.
fn pass_over(source: &mut impl Source, size: u64) -> io::Result<()> {
    io::copy(&mut Exactly { inner: source.take(size), left: size }, &mut io::sink()).map(drop)
}

/// Hands a content on as it comes, and fills its last block.
fn hand_on(source: &mut impl Source, sink: &mut Engine, size: u64) -> io::Result<()> {
    let mut left = size;
    while left > 0 {
        if left >= PASSED_BYTES_MIN && source.is_as_sent() {
            sink.pass(left)?;
            break;
        }
        let piece = source.piece(usize::try_from(left).unwrap_or(usize::MAX))?;
        if piece.is_empty() {
            return Err(ends_within_a_file());
        }
        left = left.saturating_sub(piece.len() as u64);
        sink.write_all(&piece)?;
    }
    sink.write_all(&[0; BLOCK][..read::padding(size)])
}

/// What is said of an archive whose client stopped too early.
pub(super) fn ends_within_a_file() -> io::Error {
    io::Error::other(Refusal::bad("the archive cannot be read: it ends within a file"))
}

fn write_attributes(builder: &mut tar::Builder<impl Write>, entry: &Entry) -> io::Result<()> {
    if entry.attributes.is_empty() {
        return Ok(());
    }
    let named: Vec<(String, &[u8])> =
        entry.attributes.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), &value[..])).collect();
    builder.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), *value)))
}

/// Writes an entry's header, and its content where that is given.
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
        _ => builder.append_data(&mut header, path, content),
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
            return Err(ends_within_a_file());
        }
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// What the client sends: a piece is asked for when the last one has been read, never before.
pub(super) struct Client {
    words: mpsc::Sender<Word>,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    ended: bool,
}

impl Client {
    pub(super) fn new(words: mpsc::Sender<Word>, pieces: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { words, pieces, current: Bytes::new(), ended: false }
    }

    /// Makes sure that there is something to read, unless the archive has ended.
    fn more(&mut self) -> io::Result<()> {
        while self.current.is_empty() && !self.ended {
            self.words.blocking_send(Word::More).map_err(|_| engine_is_gone())?;
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => self.ended = true,
            }
        }
        Ok(())
    }

    /// The first bytes, or fewer where there are no more; they are read again.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<Bytes> {
        let mut first = BytesMut::new();
        while first.len() < count {
            let piece = self.piece(usize::MAX)?;
            if piece.is_empty() {
                break;
            }
            first.extend_from_slice(&piece);
        }
        self.current = first.freeze();
        Ok(self.current.slice(..count.min(self.current.len())))
    }
}

impl Source for Client {
    fn piece(&mut self, bytes_max: usize) -> io::Result<Bytes> {
        self.more()?;
        Ok(self.current.split_to(self.current.len().min(bytes_max)))
    }

    fn is_as_sent(&self) -> bool {
        self.current.is_empty()
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.piece(buffer.len())?;
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// What the Engine gets.
pub(super) struct Engine {
    words: mpsc::Sender<Word>,
    written: BytesMut,
    is_broken_off: bool,
}

impl Engine {
    pub(super) fn new(words: mpsc::Sender<Word>) -> Self {
        Self { words, written: BytesMut::new(), is_broken_off: false }
    }

    /// Nothing that is written from now on goes anywhere.
    fn break_off(&mut self) {
        self.is_broken_off = true;
        self.written.clear();
    }

    /// Lets the next bytes of the client's go on as they come.
    fn pass(&mut self, bytes: u64) -> io::Result<()> {
        self.flush()?;
        self.words.blocking_send(Word::Pass(bytes)).map_err(|_| engine_is_gone())
    }
}

impl Write for Engine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_broken_off {
            return Ok(bytes.len());
        }
        self.written.extend_from_slice(bytes);
        if self.written.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.written.is_empty() {
            return Ok(());
        }
        let piece = self.written.split().freeze();
        self.words.blocking_send(Word::Written(piece)).map_err(|_| engine_is_gone())
    }
}

fn engine_is_gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
