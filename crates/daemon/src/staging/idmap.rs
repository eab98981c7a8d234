//! Which id on the disk is which id in the container. Pure.
//!
//! It answers for [`IdMap`]: one-to-one, the container's own user is the caller, nobody else's id but the caller's own
//! groups and subordinate range is reachable. It must never map an id that is not the caller's to give.

use std::collections::BTreeSet;

use super::{Credentials, SubRange};

/// How many of the caller's groups are translated. The kernel takes a map of one page at most, and every group may
/// split the subordinate range in two; the groups beyond show as nobody.
const GROUPS_MAPPED_MAX: usize = 64;
/// Ids of a container below this get a subordinate id, as far as the range goes.
const CONTAINER_IDS: u32 = 65_536;
/// Not an id: the kernel's word for "none".
const NO_ID: u32 = u32::MAX;

/// A run of ids: `disk .. disk + count` on the disk are `inside .. inside + count` in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extent {
    /// The first id on the disk.
    pub disk: u32,
    /// The first id in the container.
    pub inside: u32,
    /// How many.
    pub count: u32,
}

/// The caller's subordinate ids, as `/etc/subuid` and `/etc/subgid` give them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubIds {
    /// Of users.
    pub uids: Option<SubRange>,
    /// Of groups.
    pub gids: Option<SubRange>,
}

/// The container's user cannot be translated: 4294967295 is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{NO_ID} is not a user or group id; choose another user for the container")]
pub struct InvalidContainerUser;

/// How owners on the disk and users in a container translate into each other, one to one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdMap(pub(super) Translation);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Translation {
    /// The same numbers on both sides. Only for who is no more inside than outside.
    Same,
    /// Everything not listed shows as nobody and cannot be written.
    Mapped { uids: Vec<Extent>, gids: Vec<Extent> },
}

impl IdMap {
    /// The map for a container whose processes run as `container` (uid, gid; `None` is root).
    ///
    /// - The container's user is the caller. Its group is the caller's primary group, unless it already is one of his
    ///   groups: then it is itself.
    /// - His supplementary groups keep their numbers.
    /// - Container id *n* below 65 536 is the *n*th of his subordinate ids, so root is the first (unless root is the
    ///   container's user), and one id looks the same to all his containers. Without a range it is nobody.
    ///
    /// For a caller who is root on the host nothing is translated: he is himself on both sides.
    ///
    /// # Errors
    /// [`InvalidContainerUser`] where `container` names 4294967295.
    pub fn for_user(
        container: Option<(u32, u32)>,
        caller: &Credentials,
        subordinate: SubIds,
    ) -> Result<Self, InvalidContainerUser> {
        let (uid, gid) = container.unwrap_or((0, 0));
        if [uid, gid, caller.uid, caller.gid].contains(&NO_ID) {
            return Err(InvalidContainerUser);
        }
        if caller.uid == 0 {
            return Ok(Self(Translation::Same));
        }
        let mut uids = Pairs::default();
        uids.add(caller.uid, uid);
        let mut gids = Pairs::default();
        // Root's group is nobody's to keep: files made by container root would be the host's root group's.
        let keeps = |group: u32| group != 0 && (group == caller.gid || caller.groups.contains(&group));
        if keeps(gid) {
            gids.add(gid, gid);
            gids.add(caller.gid, caller.gid);
        } else {
            gids.add(caller.gid, gid);
        }
        for group in caller.groups.iter().filter(|group| keeps(**group)).take(GROUPS_MAPPED_MAX) {
            gids.add(*group, *group);
        }
        Ok(Self(Translation::Mapped {
            uids: uids.extents(subordinate.uids),
            gids: gids.extents(subordinate.gids),
        }))
    }

    /// The map that changes nothing, for a container that the daemon forces to run as exactly the caller's numbers,
    /// with no capabilities and no way to another user: for file systems that cannot translate owners.
    ///
    /// `None` where `container` (uid, gid) is not the caller himself with one of his own groups.
    #[must_use]
    pub fn for_forced_user(container: (u32, u32), caller: &Credentials) -> Option<Self> {
        let (uid, gid) = container;
        let own_group = gid != 0 && (gid == caller.gid || caller.groups.contains(&gid));
        (uid == caller.uid && uid != 0 && own_group).then_some(Self(Translation::Same))
    }

    /// Whether numbers are the same on both sides, so that no translation is set up.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.0 == Translation::Same
    }

    /// The runs of user ids; empty where nothing is translated.
    #[must_use]
    pub fn uids(&self) -> &[Extent] {
        match &self.0 {
            Translation::Same => &[],
            Translation::Mapped { uids, .. } => uids,
        }
    }

    /// The runs of group ids; empty where nothing is translated.
    #[must_use]
    pub fn gids(&self) -> &[Extent] {
        match &self.0 {
            Translation::Same => &[],
            Translation::Mapped { gids, .. } => gids,
        }
    }
}

/// Single pairs of one kind of id, to which a subordinate range is added in the gaps.
#[derive(Default)]
struct Pairs {
    list: Vec<Extent>,
    disk: BTreeSet<u32>,
    inside: BTreeSet<u32>,
}

impl Pairs {
    /// Adds a pair, unless one of its sides has a partner already.
    fn add(&mut self, disk: u32, inside: u32) {
        if disk == NO_ID || self.disk.contains(&disk) || self.inside.contains(&inside) {
            return;
        }
        self.disk.insert(disk);
        self.inside.insert(inside);
        self.list.push(Extent { disk, inside, count: 1 });
    }

    /// All runs: the pairs, and container id *n* to the *n*th subordinate id wherever both sides are still free.
    fn extents(mut self, subordinate: Option<SubRange>) -> Vec<Extent> {
        let Some(range) = subordinate else { return self.list };
        let count = range.count().min(CONTAINER_IDS);
        let start = range.start();
        // Each of these is one n that has to be left out.
        let from_disk = self.disk.range(start..start.saturating_add(count)).map(|disk| disk - start);
        let gaps: BTreeSet<u32> = self.inside.range(..count).copied().chain(from_disk).collect();
        let mut from = 0;
        for gap in gaps.into_iter().chain(std::iter::once(count)) {
            if gap > from {
                self.list.push(Extent { disk: start + from, inside: from, count: gap - from });
            }
            from = gap + 1;
        }
        self.list
    }
}
