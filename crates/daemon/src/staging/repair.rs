//! Giving files back to the person in whose subordinate ids a container has left them: `chown 33` inside is number
//! 100033 outside, and only root may change that.
//!
//! It answers for what is changed: owners in the person's own ranges become the person, and nothing else. It must never
//! decide by a path: everything is looked at and changed by a descriptor, below what he may bind, on one file system.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, fchownat};

use super::{BindRefusal, BindRules, Credentials, Missing, SubIds, SubRange, pin};

/// Directories in one another that are gone into; each costs a descriptor.
const DEPTH_MAX: usize = 256;

/// What was found and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// Files and directories that were looked at.
    pub seen: u64,
    /// Those that were given back, or would be.
    pub changed: u64,
    /// Those that could not be looked at or changed.
    pub failed: u64,
}

/// Gives back what lies at `path` and below it. Other mounts, links and other people's directories are passed over.
/// It takes as long as it takes; `ended` breaks it off.
///
/// # Errors
/// [`BindRefusal`] where the path is none that the person may bind.
pub fn repair(
    person: &Credentials,
    ranges: SubIds,
    rules: &BindRules,
    path: &Path,
    only_look: bool,
    ended: &AtomicBool,
) -> Result<Repair, BindRefusal> {
    let pinned = pin(person, path, Missing::Refuse, rules)?;
    let mut work = Work { person, ranges, only_look, ended, found: Repair::default() };
    let fd = pinned.fd.try_clone().map_err(|reason| BindRefusal::Other { path: path.to_owned(), reason })?;
    work.one(&File::from(fd), 0);
    Ok(work.found)
}

struct Work<'a> {
    person: &'a Credentials,
    ranges: SubIds,
    only_look: bool,
    ended: &'a AtomicBool,
    found: Repair,
}

impl Work<'_> {
    /// Looks at one file by its descriptor, gives it back, and goes into it where it is a directory of his.
    fn one(&mut self, file: &File, depth: usize) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        self.found.seen += 1;
        let Ok(found) = file.metadata() else {
            self.found.failed += 1;
            return;
        };
        let inside = |range: Option<SubRange>, id: u32| range.is_some_and(|range| range.holds(id));
        let uid = inside(self.ranges.uids, found.uid()).then_some(self.person.uid);
        let gid = inside(self.ranges.gids, found.gid()).then_some(self.person.gid);
        if uid.is_some() || gid.is_some() {
            self.give_back(file.as_fd(), uid, gid);
        }
        let his = uid.is_some() || found.uid() == self.person.uid;
        if found.is_dir() && his {
            self.below(file.as_fd(), depth);
        }
    }

    fn give_back(&mut self, file: BorrowedFd<'_>, uid: Option<u32>, gid: Option<u32>) {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        let done = self.only_look || fchownat(file, c"", uid, gid, AtFlags::AT_EMPTY_PATH).is_ok();
        *(if done { &mut self.found.changed } else { &mut self.found.failed }) += 1;
    }

    fn below(&mut self, directory: BorrowedFd<'_>, depth: usize) {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK;
        let opened = (depth < DEPTH_MAX).then(|| open_in(directory, c".", flags).and_then(Dir::from_fd));
        let Some(Ok(mut listed)) = opened else {
            self.found.failed += 1;
            return;
        };
        for entry in listed.iter().flatten() {
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            match open_in(directory, entry.file_name(), OFlag::O_PATH) {
                Ok(file) => self.one(&File::from(file), depth + 1),
                // A link, another mount, or gone since.
                Err(Errno::ELOOP | Errno::EXDEV | Errno::ENOENT) => {}
                Err(_) => self.found.failed += 1,
            }
        }
    }
}

/// Opens a name in a directory: no link is followed, and no other mount is entered.
fn open_in(directory: BorrowedFd<'_>, name: &CStr, flags: OFlag) -> Result<OwnedFd, Errno> {
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .mode(Mode::empty())
        .resolve(resolve);
    openat2(directory, name, how)
}
