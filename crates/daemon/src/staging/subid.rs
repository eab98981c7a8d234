//! `/etc/subuid` and `/etc/subgid`: which ids a user was given for his containers. Pure but for reading the two files.
//!
//! It answers for a range that is the user's alone. A range that reaches into real users' ids, or into somebody
//! else's range, is not believed: files of one user's containers would be another's.

use std::path::Path;

use super::SubIds;

/// Where the ranges of user ids are written down.
pub const SUBUID: &str = "/etc/subuid";
/// Where the ranges of group ids are written down.
pub const SUBGID: &str = "/etc/subgid";
/// Below this are the ids of real users and of the system.
const START_MIN: u32 = 65_536;
/// The two files are a few lines; more than this (in bytes) is not one of them.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A range of subordinate ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubRange {
    start: u32,
    count: u32,
}

impl SubRange {
    /// The range of `count` ids from `start` on; `None` where it is empty, reaches below 65 536, or past the last id.
    #[must_use]
    pub fn new(start: u32, count: u32) -> Option<Self> {
        let end = start.checked_add(count)?;
        (start >= START_MIN && count > 0 && end < u32::MAX).then_some(Self { start, count })
    }

    /// The first id.
    #[must_use]
    pub fn start(self) -> u32 {
        self.start
    }

    /// How many ids.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether `id` is in it.
    #[must_use]
    pub fn holds(self, id: u32) -> bool {
        id >= self.start && id - self.start < self.count
    }

    fn overlaps(self, other: Self) -> bool {
        self.start < other.start + other.count && other.start < self.start + self.count
    }
}

/// Why a range is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubIdFault {
    /// The line names ids that no range may have.
    #[error(
        "line {line}: the range reaches into the ids of real users (below {START_MIN}) or past the last id"
    )]
    Range {
        /// Its number, from 1.
        line: usize,
    },
    /// Somebody else has a part of it.
    #[error("line {line}: the range overlaps that of {other}")]
    Overlap {
        /// Its number, from 1.
        line: usize,
        /// Whose range it overlaps.
        other: String,
    },
}

/// The first range of the user `name` (or his number `uid`) in the text of `/etc/subuid` or `/etc/subgid`.
///
/// # Errors
/// [`SubIdFault`] where there is one that cannot be used; lines of others that say nothing are passed over.
pub(super) fn range(text: &str, name: &str, uid: u32) -> Result<Option<SubRange>, SubIdFault> {
    let number = uid.to_string();
    let is_his = |owner: &str| owner == name || owner == number;
    let lines = || text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, fields(line)?)));
    let Some((line, (_, start, count))) = lines().find(|(_, (owner, ..))| is_his(owner)) else {
        return Ok(None);
    };
    let his = SubRange::new(start, count).ok_or(SubIdFault::Range { line })?;
    for (_, (owner, start, count)) in lines().filter(|(_, (owner, ..))| !is_his(owner)) {
        let other = SubRange { start, count: count.min(u32::MAX - start) };
        if his.overlaps(other) {
            return Err(SubIdFault::Overlap { line, other: owner.to_owned() });
        }
    }
    Ok(Some(his))
}

/// Whose range `uid` is in, by the text of `/etc/subuid`.
pub(crate) fn subordinate_owner(text: &str, uid: u32) -> Option<String> {
    let holds = |start: u32, count: u32| uid >= start && uid - start < count;
    let mut lines = text.lines().filter_map(fields);
    lines
        .find(|(_, start, count)| *start >= START_MIN && holds(*start, *count))
        .map(|(owner, ..)| owner.to_owned())
}

fn fields(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.trim().split(':');
    let (owner, start, count) = (fields.next()?, fields.next()?, fields.next()?);
    let no_more = fields.next().is_none() && !owner.is_empty() && !owner.starts_with('#');
    no_more.then_some((owner, start.parse().ok()?, count.parse().ok()?))
}

impl SubIds {
    /// The subordinate ids of the user `name` with the number `uid`, from `subuid` and `subgid` (the two files), and
    /// what is wrong with them if something is. A missing file gives none.
    pub fn read(subuid: &Path, subgid: &Path, name: &str, uid: u32) -> (Self, Vec<SubIdFault>) {
        let mut faults = Vec::new();
        let mut of = |path: &Path| {
            let small = std::fs::metadata(path).is_ok_and(|found| found.len() <= FILE_BYTES_MAX);
            let text = if small { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() };
            range(&text, name, uid).unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        };
        let found = Self { uids: of(subuid), gids: of(subgid) };
        (found, faults)
    }
}
