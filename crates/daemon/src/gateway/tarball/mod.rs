//! Archives of users on their way to the Engine, taken apart entry by entry and written anew.
//!
//! The Engine unpacks as root. What it gets is therefore never the client's bytes, in which it could read other entries
//! than the door did, but an archive of the door's own with the entries that were judged.

mod carry;
mod pipe;
mod read;

#[cfg(test)]
mod tests;

use super::http::Refusal;

pub(super) use carry::special;
pub(super) use pipe::filter;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    SymbolicLink,
    HardLink,
    /// A device or a named pipe; the word for it.
    Special(&'static str),
}

/// One entry without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Relative, without `.`, `..` and doubled slashes; `.` is the root itself.
    pub(super) path: Vec<u8>,
    /// Where a link leads, as it was written.
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// Seconds since 1970.
    pub(super) mtime: u64,
    /// Bytes of content; 0 for everything but files.
    pub(super) size: u64,
    /// Extended attributes.
    pub(super) attributes: Vec<(String, Vec<u8>)>,
}

/// What becomes of an entry's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// It is sent on as it comes.
    Stream,
    /// It is read whole, up to so many bytes, and given to [`Judge::content`].
    Whole(usize),
    /// Neither it nor the entry is sent on.
    LeftOut,
}

/// Who decides about every entry. It runs on a thread where blocking is allowed.
pub(super) trait Judge: Send + 'static {
    /// Looks at an entry, and changes what must be changed.
    fn entry(&mut self, entry: &mut Entry) -> Result<Content, Refusal>;

    /// Looks at a content that was asked for whole, and gives what is sent on.
    fn content(&mut self, _entry: &Entry, content: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        Ok(content)
    }

    /// Says whether all is well, when every entry was looked at and before the Engine sees the archive's end.
    fn end(&mut self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Every directory above a path.
pub(super) fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| &path[..at])
}

impl Entry {
    /// The path for a sentence.
    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).chars().filter(|c| !c.is_control()).take(80).collect()
    }
}
