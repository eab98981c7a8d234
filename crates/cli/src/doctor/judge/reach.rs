//! Who gets at a file, by the permissions on the way to it.

use std::fmt;
use std::path::Path;

use super::super::facts::{Accounts, Program, Step};
use super::super::finding::Finding;

const STICKY: u32 = 0o1000;

/// Who beside root can write a file, or put another in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Everybody,
    User(String),
    Group { name: String, members: Vec<String> },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody on this machine"),
            Self::User(name) => write!(f, "the user {name}"),
            Self::Group { name, members } if members.is_empty() => {
                write!(f, "the group {name}, which is empty now,")
            }
            Self::Group { name, members } => write!(f, "the group {name} ({})", members.join(", ")),
        }
    }
}

/// What somebody wants with the file at the end of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Read,
    Write,
}

impl Want {
    /// The bit for others; that for the group is three further left.
    fn bit(self) -> u32 {
        match self {
            Self::Read => 0o4,
            Self::Write => 0o2,
        }
    }
}

/// Everybody, or the first group or user beside root, that gets what it wants; groups only by one membership at a time.
pub(super) fn who(way: &[Step], want: Want, accounts: &Accounts) -> Option<Who> {
    let (file, directories) = way.split_last()?;
    // Somebody who can rename on the way can put his own file there.
    let moved = |step: &Step, bit: u32| step.mode & bit != 0 && step.mode & STICKY == 0;
    let by_all = |step: &Step| step.mode & 0o1 != 0;
    let entered = directories.iter().all(by_all);
    if entered && (file.mode & want.bit() != 0 || directories.iter().any(|step| moved(step, 0o2))) {
        return Some(Who::Everybody);
    }
    if let Some(step) = way.iter().find(|step| step.uid != 0) {
        let known = accounts.people.iter().find(|(_, uid)| *uid == step.uid);
        return Some(Who::User(known.map_or_else(|| step.uid.to_string(), |(name, _)| name.clone())));
    }
    let gids = way.iter().map(|step| step.gid).filter(|gid| *gid != 0);
    gids.into_iter().find_map(|gid| {
        let has =
            |step: &Step, bit: u32| step.mode & bit != 0 || step.gid == gid && step.mode & (bit << 3) != 0;
        let enters = directories.iter().all(|step| has(step, 0o1));
        let moves = directories.iter().any(|step| step.gid == gid && moved(step, 0o20));
        (enters && (has(file, want.bit()) || moves)).then(|| group(gid, accounts))
    })
}

/// A group with its members.
pub(super) fn group(gid: u32, accounts: &Accounts) -> Who {
    let unknown = || (gid.to_string(), Vec::new());
    let (name, members) = accounts.groups.get(&gid).cloned().unwrap_or_else(unknown);
    Who::Group { name, members }
}

/// A program that root runs must be root's, and every directory above it.
pub(super) fn only_roots(program: &Program, whose: &str) -> Option<Finding> {
    let step = program.unsafe_step.as_deref()?;
    Some(Finding::problem(
        format!("{whose} is {}, and others than root can write {}", program.path.display(), step.display()),
        "root runs it, so whoever can write there is root",
        make_roots(step),
    ))
}

/// The command that takes a file from everybody else.
pub(super) fn make_roots(path: &Path) -> String {
    format!("chown root:root {0} && chmod go-w {0}", path.display())
}
