//! A line on somebody's terminals: those where he is logged in on the host, and those of his container.
//!
//! Writing must never wait, and never write into anything but a terminal: what lies in a container is its user's to
//! arrange.

use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, fstatfs};

/// What a devpts file system calls itself: `linux/magic.h`.
const DEVPTS: FsType = FsType(0x1cd1);
/// Terminals that are written to; who has more has seen it.
const TERMINALS_MAX: usize = 32;
/// Where `mesg y` lets others write.
const GROUP_WRITES: u32 = 0o020;

/// Tells a user something on his terminals on the host, and on those that a process sees; answers how many heard it.
pub(super) fn tell(uid: u32, witness: Option<i32>, text: &str) -> usize {
    let line = format!("\r\n{}\r\n", text.replace('\n', "\r\n"));
    let host = fs::read_dir("/dev/pts").into_iter().flatten().flatten().filter_map(|entry| {
        let found = entry.metadata().ok()?;
        if !is_his(&found, uid) {
            return None;
        }
        let terminal =
            fs::OpenOptions::new().write(true).custom_flags(quietly().bits()).open(entry.path()).ok()?;
        // Its number may have become somebody else's in between.
        terminal.metadata().is_ok_and(|opened| is_his(&opened, uid)).then_some(terminal)
    });
    let inside = witness.and_then(terminals_of).unwrap_or_default().into_iter().map(fs::File::from);
    host.chain(inside)
        .take(TERMINALS_MAX)
        .filter_map(|mut terminal| terminal.write_all(line.as_bytes()).ok())
        .count()
}

/// Whether it is a terminal of this user's that others may write to.
fn is_his(found: &fs::Metadata, uid: u32) -> bool {
    found.uid() == uid && found.file_type().is_char_device() && found.mode() & GROUP_WRITES != 0
}

/// Never becoming its controlling terminal, never waiting.
fn quietly() -> OFlag {
    OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW
}

/// The terminals in the root of a process: of a devpts file system, whatever leads there.
fn terminals_of(pid: i32) -> Option<Vec<OwnedFd>> {
    crate::namespace::has_own_mounts(pid).then_some(())?;
    let directory = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root =
        nix::fcntl::open(Path::new(&format!("/proc/{pid}/root")), directory | OFlag::O_PATH, Mode::empty())
            .ok()?;
    let how = OpenHow::new().flags(directory | OFlag::O_RDONLY | OFlag::O_NOFOLLOW).resolve(
        ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_SYMLINKS,
    );
    let pts = openat2(&root, "dev/pts", how).ok()?;
    is_devpts(&pts)?;
    let mut terminals = Vec::new();
    for number in 0..u32::try_from(TERMINALS_MAX).ok()? {
        let how = OpenHow::new().flags(OFlag::O_WRONLY | quietly()).resolve(ResolveFlag::RESOLVE_BENEATH);
        if let Ok(terminal) = openat2(&pts, number.to_string().as_str(), how)
            && is_devpts(&terminal).is_some()
        {
            terminals.push(terminal);
        }
    }
    Some(terminals)
}

fn is_devpts(file: &impl AsFd) -> Option<()> {
    fstatfs(file).is_ok_and(|found| found.filesystem_type() == DEVPTS).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_terminals_are_not_those_of_a_container() {
        // As of a container's process that has not changed its root yet, or whose number is another's by now.
        assert!(terminals_of(i32::try_from(std::process::id()).unwrap()).is_none());
    }
}
