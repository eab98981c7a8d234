//! What the kernel knows of the process at the other end of a Unix socket.
//!
//! It answers for facts that belong to *that* process: everything read from `/proc` is only believed if the process
//! still lives after the reading, because a process number is used again. It draws no conclusion but [`Peer::place`],
//! and that in `place`.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use ds01_domain::ContainerId;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};

use super::cgroup::{self, Membership, Mounted};
use super::diag;
use super::place::{ContainerFacts, Inode, Ours, PidNamespace, Place, Proof, Whereabouts, verdict};
use crate::sys;

/// Pid namespaces are nested this deep at most (the kernel's own limit).
const NESTED_MAX: usize = 33;
/// What `/proc/PID/loginuid` says of a process that nobody logged in for.
const NO_LOGIN: u32 = u32::MAX;

/// What ties a process number to one process.
#[derive(Clone, Debug)]
enum Life {
    /// The kernel's own handle from the moment of connecting (Linux 6.5 and newer), or one that was opened after.
    Handle(Arc<OwnedFd>),
    /// The process was gone before anybody could look.
    Gone,
}

/// The process at the other end, as it was when it connected and was accepted.
#[derive(Debug)]
pub struct Peer {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    pid: i32,
    life: Life,
    seen: Option<Seen>,
}

/// What `/proc` said while the process surely lived.
#[derive(Debug)]
struct Seen {
    ours: Ours,
    pid_namespaces: Vec<PidNamespace>,
    user_namespace: Inode,
    memberships: Vec<Membership>,
    candidates: Vec<ContainerId>,
    login_uid: Option<u32>,
}

impl Peer {
    /// Asks the kernel about the other end of `socket`, right after it was accepted. It does not block.
    ///
    /// # Errors
    /// Where `socket` is not a connected Unix socket.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
        let groups = sys::peer_groups(socket)?;
        let pid = credentials.pid();
        let life = life(socket, pid, credentials.uid());
        let mut peer = Self { uid: credentials.uid(), gid: credentials.gid(), groups, pid, life, seen: None };
        let seen = Seen::read(pid).ok();
        // In this order: what was read is the peer's own only if the peer lives on after the reading.
        if peer.is_alive() {
            peer.seen = seen;
        }
        Ok(peer)
    }

    /// The user id of the process when it connected.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The group id of the process when it connected.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// The supplementary groups of the process when it connected.
    #[must_use]
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// The process's number, in our pid namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// A descriptor that stands for the process, to be polled for its end.
    #[must_use]
    pub fn pidfd(&self) -> Option<Arc<OwnedFd>> {
        match &self.life {
            Life::Handle(pidfd) => Some(Arc::clone(pidfd)),
            Life::Gone => None,
        }
    }

    /// The person who logged in, behind `sudo` and `su`.
    #[must_use]
    pub fn login_uid(&self) -> Option<u32> {
        self.seen.as_ref()?.login_uid
    }

    /// Whether the process has not ended yet.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let Life::Handle(pidfd) = &self.life else { return false };
        let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut ended, PollTimeout::ZERO) == Ok(0)
    }

    /// Whether the process had ended before anybody could look where it runs: then its user id proves nothing, not
    /// even on the host.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
        self.seen.is_none()
    }

    /// Whether the process was in the daemon's own user namespace, where a user id means what it says.
    pub(super) fn is_ours(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.user_namespace == seen.ours.user)
    }

    /// The containers that the process's cgroups name, outermost first: those whose facts [`Peer::place`] needs.
    /// Mostly none.
    #[must_use]
    pub fn candidates(&self) -> &[ContainerId] {
        self.seen.as_ref().map_or(&[], |seen| &seen.candidates)
    }

    /// The innermost container into whose cgroup root put the process, by the cgroup's name, or where that cannot be
    /// ruled out: whose share of the door it takes. A cgroup that was delegated to a user may bear any name.
    #[must_use]
    pub fn named_container(&self) -> Option<&ContainerId> {
        let seen = self.seen.as_ref().filter(|seen| !seen.candidates.is_empty())?;
        let mounts = cgroup_mounts();
        seen.candidates.iter().rev().find(|id| is_named_by_root(&seen.memberships, id, &mounts))
    }

    /// Where the process runs, given what the Engine says of those of [`Peer::candidates`] that run.
    ///
    /// It holds for the whole connection. It reads `/proc` and the cgroup tree for containers, and nothing for the
    /// host. A container that is left out of `facts` is not known.
    #[must_use]
    pub fn place(&self, facts: &[ContainerFacts]) -> Place {
        let Some(seen) = &self.seen else { return Place::Unknown };
        let mut whereabouts = Whereabouts {
            pid_namespaces: seen.pid_namespaces.clone(),
            cgroups: Vec::new(),
            in_container: false,
        };
        let mut proofs = Vec::new();
        if !seen.candidates.is_empty() {
            let mounts = cgroup_mounts();
            whereabouts.cgroups = with_all_above(&seen.memberships, &mounts);
            whereabouts.in_container = in_container(&seen.memberships, &seen.candidates, &mounts);
            // In the order of the candidates, whatever order the facts come in.
            for candidate in &seen.candidates {
                let known = facts.iter().filter(|fact| fact.id == *candidate);
                proofs.extend(known.filter_map(|fact| proof(fact, &seen.ours, &mounts).ok()));
            }
        }
        verdict(&seen.ours, &whereabouts, &proofs)
    }
}

/// The kernel's handle of the peer. On kernels that do not give it: one opened now, for a process that has the same
/// user and still holds the other end.
fn life(socket: BorrowedFd<'_>, pid: i32, uid: u32) -> Life {
    let handle = match getsockopt(&socket, sockopt::PeerPidfd) {
        Ok(pidfd) => Some(pidfd),
        Err(nix::errno::Errno::ENOPROTOOPT) if pid > 0 => {
            let opened = sys::pidfd_open(pid).ok();
            opened.filter(|_| effective_uid(pid) == Some(uid) && diag::holds_other_end(socket, pid))
        }
        // Gone and reaped.
        Err(_) => None,
    };
    handle.map_or(Life::Gone, |pidfd| Life::Handle(Arc::new(pidfd)))
}

/// The effective user id of a process, by `/proc/PID/status`.
fn effective_uid(pid: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().nth(1)?.parse().ok()
}

impl Seen {
    fn read(pid: i32) -> io::Result<Self> {
        if pid <= 0 {
            // The process is in a pid namespace that ours does not contain.
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let ours = Ours { pid: inode("/proc/self/ns/pid")?, user: inode("/proc/self/ns/user")? };
        let memberships = cgroup::parse(&fs::read_to_string(format!("/proc/{pid}/cgroup"))?);
        let login_uid = fs::read_to_string(format!("/proc/{pid}/loginuid"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|uid| *uid != NO_LOGIN);
        Ok(Self {
            pid_namespaces: pid_namespaces(pid, &ours)?,
            user_namespace: inode(&format!("/proc/{pid}/ns/user"))?,
            candidates: cgroup::candidates(&memberships),
            memberships,
            login_uid,
            ours,
        })
    }
}

/// The pid namespace of a process and those around it, up to ours.
fn pid_namespaces(pid: i32, ours: &Ours) -> io::Result<Vec<PidNamespace>> {
    let path = format!("/proc/{pid}/ns/pid");
    let id = inode(&path)?;
    if id == ours.pid {
        // The usual case, and the cheap one.
        return Ok(vec![PidNamespace { id, owner: Some(ours.user) }]);
    }
    let mut found = Vec::new();
    let mut next = Some(OwnedFd::from(File::open(path)?));
    while let Some(namespace) = next.filter(|_| found.len() < NESTED_MAX) {
        let owner = sys::owning_user_namespace(namespace.as_fd())?.map(inode_of).transpose()?;
        let around = sys::parent_namespace(namespace.as_fd())?;
        let id = inode_of(namespace)?;
        found.push(PidNamespace { id, owner });
        next = around.filter(|_| id != ours.pid);
    }
    Ok(found)
}

/// What the first process of a container proves about it.
fn proof(fact: &ContainerFacts, ours: &Ours, mounts: &[Mounted]) -> io::Result<Proof> {
    let pid = fact.init_pid;
    let alive = sys::pidfd_open(pid)?;
    let memberships = cgroup::parse(&fs::read_to_string(format!("/proc/{pid}/cgroup"))?);
    let mut cgroups = Vec::new();
    for membership in &memberships {
        // Up to the part that bears the container's name: an init system in the container may have gone deeper.
        let Some(path) = up_to_name(&membership.path, &fact.id) else { continue };
        let directory = directory(mounts, &membership.hierarchy, path);
        // The daemon's news may be old, and the number may be another process's by now. Only root can have made a
        // directory that belongs to root, so that process is in the container all the same.
        let found =
            directory.and_then(|directory| fs::metadata(directory).ok()).filter(|found| found.uid() == 0);
        cgroups.extend(found.map(|found| Inode { device: found.dev(), number: found.ino() }));
    }
    if cgroups.is_empty() {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    let namespace = inode(&format!("/proc/{pid}/ns/pid"))?;
    let mut ended = [PollFd::new(alive.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ended, PollTimeout::ZERO)? != 0 {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    Ok(Proof {
        id: fact.id.clone(),
        cgroups,
        pid_namespace: Some(namespace).filter(|found| *found != ours.pid),
    })
}

/// Whether root put the process into some container's cgroup, or that cannot be ruled out.
fn in_container(memberships: &[Membership], candidates: &[ContainerId], mounts: &[Mounted]) -> bool {
    candidates.iter().any(|id| is_named_by_root(memberships, id, mounts))
}

/// Whether root put the process into this container's cgroup, or that cannot be ruled out.
///
/// A user may give such a name to a cgroup that was delegated to him, but then it belongs to him.
fn is_named_by_root(memberships: &[Membership], id: &ContainerId, mounts: &[Mounted]) -> bool {
    memberships.iter().any(|membership| {
        up_to_name(&membership.path, id).is_some_and(|path| {
            let directory = directory(mounts, &membership.hierarchy, path);
            directory.and_then(|directory| fs::metadata(directory).ok()).is_none_or(|found| found.uid() == 0)
        })
    })
}

/// The part of `path` that ends with the name of the container.
fn up_to_name<'a>(path: &'a str, id: &ContainerId) -> Option<&'a str> {
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if cgroup::named_by(part).as_ref() == Some(id) {
            return path.get(..end);
        }
        end += 1;
    }
    None
}

/// The directories of all cgroups of a process and all above them, in the hierarchies where its path names a container.
fn with_all_above(memberships: &[Membership], mounts: &[Mounted]) -> Vec<Inode> {
    let mut found = Vec::new();
    for membership in
        memberships.iter().filter(|of| of.path.split('/').any(|part| cgroup::named_by(part).is_some()))
    {
        let ends = membership.path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for end in ends.chain(std::iter::once(membership.path.len())) {
            let directory =
                membership.path.get(..end).and_then(|path| directory(mounts, &membership.hierarchy, path));
            found.extend(directory.and_then(|directory| inode(&directory).ok()));
        }
    }
    found
}

fn directory(mounts: &[Mounted], hierarchy: &str, path: &str) -> Option<String> {
    mounts.iter().filter(|mount| mount.hierarchy == hierarchy).find_map(|mount| mount.directory(path))
}

fn cgroup_mounts() -> Vec<Mounted> {
    fs::read_to_string("/proc/self/mountinfo").map(|text| cgroup::mounts(&text)).unwrap_or_default()
}

fn inode(path: &str) -> io::Result<Inode> {
    let found = fs::metadata(path)?;
    Ok(Inode { device: found.dev(), number: found.ino() })
}

fn inode_of(namespace: OwnedFd) -> io::Result<Inode> {
    let found = File::from(namespace).metadata()?;
    Ok(Inode { device: found.dev(), number: found.ino() })
}
