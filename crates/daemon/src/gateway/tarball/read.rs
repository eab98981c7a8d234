//! Reading an archive: ustar, with GNU's long names and PAX headers, plain or gzip.
//!
//! It must never read more into memory than a header needs, and never pass over what it does not understand.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::super::http::Refusal;
use super::carry::Client;
use super::{Entry, Kind};

pub(super) const BLOCK: usize = 512;
/// The longest name that GNU's way of writing one may have: the kernel takes paths of 4096 bytes.
const LONG_NAME_BYTES_MAX: u64 = 64 * 1024;
/// All headers that say something of one entry, together: attributes are 64 KiB at most each.
const EXTRA_BYTES_MAX: u64 = 1024 * 1024;
/// How much a compressed archive may grow to: no workspace is larger, and every bomb is.
const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// One piece of what is unpacked.
const UNPACKED_PIECE_BYTES: usize = 64 * 1024;
const ATTRIBUTE: &str = "SCHILY.xattr.";

/// What an archive is read from.
pub(super) trait Source: Read + Send {
    /// The next bytes, to be handed on without being looked at; none at the end.
    fn piece(&mut self, bytes_max: usize) -> io::Result<Bytes>;

    /// Whether the next bytes are the very ones that the client sends next.
    fn is_as_sent(&self) -> bool {
        false
    }
}

impl Source for Box<dyn Source> {
    fn piece(&mut self, bytes_max: usize) -> io::Result<Bytes> {
        (**self).piece(bytes_max)
    }

    fn is_as_sent(&self) -> bool {
        (**self).is_as_sent()
    }
}

/// An archive that is no archive, or none that is read here.
fn broken(what: &str) -> io::Error {
    io::Error::other(Refusal::bad(format!("the archive cannot be read: {what}")))
}

/// The plain archive behind what a client sent, by its first bytes.
pub(super) fn unpacked(mut source: Client) -> io::Result<Box<dyn Source>> {
    let first = source.peek(6)?;
    let packed: &[(&[u8], &str)] =
        &[(b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x9d", "compress")];
    if let Some((_, name)) = packed.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Err(io::Error::other(Refusal::bad(format!(
            "an archive packed with {name} cannot be looked into here; send it plain or packed with gzip"
        ))));
    }
    let gzip = first.starts_with(b"\x1f\x8b");
    Ok(if gzip {
        Box::new(Bounded { inner: MultiGzDecoder::new(source), left: UNPACKED_BYTES_MAX })
    } else {
        Box::new(source)
    })
}

/// Ends in an error, not in an end, when more comes than may.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| broken(&format!("unpacked it is larger than {} GiB", UNPACKED_BYTES_MAX >> 30)))?;
        Ok(count)
    }
}

impl<R: Read + Send> Source for Bounded<R> {
    fn piece(&mut self, bytes_max: usize) -> io::Result<Bytes> {
        let mut piece = vec![0; bytes_max.min(UNPACKED_PIECE_BYTES)];
        let count = self.read(&mut piece)?;
        piece.truncate(count);
        Ok(piece.into())
    }
}

/// Reads until the buffer is full or there is nothing more.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match source.read(&mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

/// Reads entries one after the other. The content of one must be read before the next.
pub(super) struct Reader<R> {
    pub(super) source: R,
}

/// What PAX and GNU headers say of the entry behind them.
#[derive(Default)]
struct Said {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
    attributes: Vec<(String, Vec<u8>)>,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source }
    }

    /// The next entry; `None` at the end of the archive.
    pub(super) fn entry(&mut self) -> io::Result<Option<Entry>> {
        let mut said = Said::default();
        // What is said of one entry is kept until it comes, and it may never come.
        let mut left = EXTRA_BYTES_MAX;
        loop {
            let mut block = [0_u8; BLOCK];
            match fill(&mut self.source, &mut block)? {
                0 => return Ok(None),
                BLOCK => {}
                _ => return Err(broken("it ends within a header")),
            }
            if block.iter().all(|b| *b == 0) {
                return Ok(None);
            }
            check_sum(&block)?;
            let size = number(&block[124..136])?;
            if !matches!(block[156], b'L' | b'K' | b'x' | b'g') {
                return entry_of(&block, size, said).map(Some);
            }
            left = left
                .checked_sub(size.max(1))
                .ok_or_else(|| broken("the headers of an entry are too long"))?;
            match block[156] {
                b'L' => said.path = Some(self.long_name(size)?),
                b'K' => said.link = Some(self.long_name(size)?),
                b'x' => self.pax(size, &mut said)?,
                // Of a whole archive: the comment of `git archive`. What it says of entries is not read here.
                _ => drop(self.extra(size, EXTRA_BYTES_MAX)?),
            }
        }
    }

    /// Passes over what fills the last block of a content.
    pub(super) fn padding(&mut self, size: u64) -> io::Result<()> {
        let mut rest = [0_u8; BLOCK];
        let count = padding(size);
        // Docker's own client leaves out the last filling of a context to which it adds a Dockerfile: an archive that
        // ends here ends after a whole file.
        match fill(&mut self.source, &mut rest[..count])? {
            read if read == count || read == 0 => Ok(()),
            _ => Err(broken("it ends within a file")),
        }
    }

    /// The content of a header that says something of the next.
    fn extra(&mut self, size: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        if size > bytes_max {
            return Err(broken("a header in it is too long"));
        }
        let mut content = Vec::new();
        (&mut self.source).take(size).read_to_end(&mut content)?;
        if content.len() as u64 != size {
            return Err(broken("it ends within a header"));
        }
        self.padding(size)?;
        Ok(content)
    }

    fn long_name(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let name = self.extra(size, LONG_NAME_BYTES_MAX)?;
        Ok(until_nul(&name).to_vec())
    }

    fn pax(&mut self, size: u64, said: &mut Said) -> io::Result<()> {
        let content = self.extra(size, EXTRA_BYTES_MAX)?;
        let mut rest = &content[..];
        while !rest.is_empty() {
            // `LENGTH KEY=VALUE\n`, the length of the whole record in decimal digits.
            let space =
                rest.iter().position(|b| *b == b' ').ok_or_else(|| broken("a PAX record has no length"))?;
            let length: usize = std::str::from_utf8(&rest[..space])
                .ok()
                .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .filter(|length| (space + 3..=rest.len()).contains(length))
                .ok_or_else(|| broken("a PAX record has a wrong length"))?;
            let (record, after) = rest.split_at(length);
            rest = after;
            let record =
                record[space + 1..].strip_suffix(b"\n").ok_or_else(|| broken("a PAX record has no end"))?;
            let equals =
                record.iter().position(|b| *b == b'=').ok_or_else(|| broken("a PAX record has no value"))?;
            let key = std::str::from_utf8(&record[..equals]).map_err(|_| broken("a PAX key is not text"))?;
            said.take(key, &record[equals + 1..])?;
        }
        Ok(())
    }
}

impl Said {
    fn take(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        let whole = || {
            let text = std::str::from_utf8(value).ok()?;
            // Times have fractions; whole seconds will do.
            text.split('.').next()?.parse::<u64>().ok()
        };
        let needed = || whole().ok_or_else(|| broken(&format!("{key} is no number")));
        match key {
            "path" => self.path = Some(value.to_vec()),
            "linkpath" => self.link = Some(value.to_vec()),
            "size" => self.size = Some(needed()?),
            "uid" => self.uid = Some(needed()?),
            "gid" => self.gid = Some(needed()?),
            "mtime" => self.mtime = whole(),
            key if key.starts_with("GNU.sparse.") => return Err(sparse()),
            key => {
                if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                    self.attributes.push((name.to_owned(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

fn sparse() -> io::Error {
    broken("it holds a sparse file; write it without --sparse")
}

fn entry_of(block: &[u8; BLOCK], size: u64, said: Said) -> io::Result<Entry> {
    let mut name = until_nul(&block[..100]).to_vec();
    let ustar = &block[257..263] == b"ustar\0";
    let prefix = until_nul(&block[345..500]);
    if ustar && !prefix.is_empty() {
        name = [prefix, b"/", &name].concat();
    }
    let name = said.path.unwrap_or(name);
    let kind = match block[156] {
        // Before POSIX, a directory was a file whose name ends in a slash.
        0 | b'0' if name.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::SymbolicLink,
        b'3' => Kind::Special("character device"),
        b'4' => Kind::Special("block device"),
        b'5' => Kind::Directory,
        b'6' => Kind::Special("named pipe"),
        b'S' => return Err(sparse()),
        other => {
            return Err(broken(&format!(
                "it holds an entry of the unknown type {}",
                char::from(other).escape_default()
            )));
        }
    };
    // Nothing but a file has a content, whatever its header says; so the Engine reads it as well.
    let size = if kind == Kind::File { said.size.unwrap_or(size) } else { 0 };
    let link = said.link.unwrap_or_else(|| until_nul(&block[157..257]).to_vec());
    if matches!(kind, Kind::HardLink | Kind::SymbolicLink) && link.is_empty() {
        return Err(broken("a link in it leads nowhere"));
    }
    if link.contains(&0) || name.contains(&0) {
        return Err(broken("a name in it holds a zero byte"));
    }
    Ok(Entry {
        kind,
        path: clean(&name)?,
        link: if matches!(kind, Kind::HardLink | Kind::SymbolicLink) { link } else { Vec::new() },
        mode: u32::try_from(number(&block[100..108])? & 0o7777).unwrap_or_default(),
        uid: said.uid.map_or_else(|| number(&block[108..116]), Ok)?,
        gid: said.gid.map_or_else(|| number(&block[116..124]), Ok)?,
        mtime: said.mtime.map_or_else(|| number(&block[136..148]), Ok).unwrap_or_default(),
        size,
        attributes: said.attributes,
    })
}

/// The path as the Engine would clean it, beneath the place where it unpacks.
fn clean(name: &[u8]) -> io::Result<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(broken("a name in it leads upwards with ..")),
            part => parts.push(part),
        }
    }
    Ok(if parts.is_empty() { b".".to_vec() } else { parts.join(&b'/') })
}

/// What is missing to a whole number of blocks.
pub(super) fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    (BLOCK - over) % BLOCK
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len())]
}

/// A number field: octal digits, or GNU's binary form with the highest bit set.
fn number(field: &[u8]) -> io::Result<u64> {
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let small = field.len() <= 8 || field[1..field.len() - 8].iter().all(|b| *b == 0);
        if negative || !small || (field.len() > 8 && field[0] & 0x3f != 0) {
            return Err(broken("a number in it is too large"));
        }
        let first = u64::from(field[0] & 0x3f);
        let tail = if field.len() > 8 { &field[field.len() - 8..] } else { &field[1..] };
        let start = if field.len() > 8 { 0 } else { first };
        return Ok(tail.iter().fold(start, |value, b| (value << 8) | u64::from(*b)));
    }
    let text = until_nul(field);
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(0);
    }
    text.iter()
        .try_fold(0_u64, |value, b| match b {
            b'0'..=b'7' => value.checked_mul(8).map(|value| value + u64::from(b - b'0')),
            _ => None,
        })
        .ok_or_else(|| broken("a number in it is no number"))
}

/// The sum over a header with its own field as spaces; old programs took bytes for signed.
fn check_sum(block: &[u8; BLOCK]) -> io::Result<()> {
    let written = number(&block[148..156])?;
    let bytes = || block.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { b' ' } else { *b });
    let unsigned: u64 = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|b| i64::from(b.cast_signed())).sum();
    if written == unsigned || i64::try_from(written) == Ok(signed) {
        Ok(())
    } else {
        Err(broken("it is no tar archive, or was damaged on the way"))
    }
}
