//! Who is calling.
//!
//! The kernel says it, not the client: [`Peer`] holds what the kernel knew of the process that connected,
//! [`Peer::place`] says where that process runs, [`Identity::judge`] makes a [`Caller`] of both, once per request.
//!
//! - A process in a known container is that container's owner, whatever user it is inside.
//! - A process in a place that is not known is nobody: its user id may have been chosen by whoever runs that place.
//! - Only a living process of the host itself can be an administrator. Root elsewhere never is.
//!
//! This module must never take a name from the client, never take a cgroup's *name* for more than a hint, and never
//! wait longer than two seconds for the directory service.

mod account;
mod cgroup;
mod diag;
mod names;
mod peer;
mod place;

#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use ds01_domain::ContainerId;

pub use account::{Account, Directory, SystemDirectory};
pub use names::{Known, Names};
pub use peer::Peer;
pub use place::{ContainerFacts, Place};

/// The home of who has none.
const NO_HOME: &str = "/nonexistent";
/// The group of who is not known to the directory service: `nogroup`.
const NO_GROUP: u32 = 65_534;

/// Who is an administrator, by names from the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admins {
    /// Names of users.
    pub users: Vec<String>,
    /// Names of Unix groups.
    pub groups: Vec<String>,
}

/// Who is calling, as far as this one request is concerned.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user on whose behalf the request is carried out; for a process in a container, the container's owner.
    pub uid: u32,
    /// His primary group: the process's own on the host, else the account's.
    pub gid: u32,
    /// His supplementary groups: the process's own on the host, else the account's.
    pub groups: Vec<u32>,
    /// His name; his number where the directory service does not know him or does not answer.
    pub name: String,
    /// Whether the directory service knows him, now or lately.
    pub known: bool,
    /// His home; `/nonexistent` where he is not known.
    pub home: PathBuf,
    /// The names of his Unix groups by the directory service, the primary one included.
    pub unix_groups: Vec<String>,
    /// The process that connected, in our numbers.
    pub pid: i32,
    /// Stands for that process; `None` on kernels before 5.3 or where it was gone already.
    pub pidfd: Option<Arc<OwnedFd>>,
    /// Where the process runs.
    pub place: Place,
    /// Whether he may do what administrators may.
    pub admin: bool,
    /// The user id of the process itself, for the audit log.
    pub process_uid: u32,
    /// The person who logged in, behind `sudo` and `su`, for the audit log; `None` for services and containers.
    pub login_uid: Option<u32>,
}

impl Caller {
    /// With whose rights the caller's files are opened.
    #[must_use]
    pub fn credentials(&self) -> crate::staging::Credentials {
        crate::staging::Credentials {
            uid: self.uid,
            gid: self.gid,
            groups: self.groups.clone(),
            home: self.home.clone(),
        }
    }
}

/// Why it cannot be said who is calling. The text is a sentence for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The process runs in namespaces that root made and that belong to no container that is known.
    #[error(
        "DS01 cannot tell who you are: this process runs in a container that was not started through DS01, or is gone \
         already; run the command on the host or in a container of your own"
    )]
    UnknownPlace,
    /// The process runs in a container that has no owner.
    #[error("DS01 does not know the owner of container {0}; run the command on the host")]
    NoOwner(ContainerId),
    /// The user id is one of somebody's subordinate ids.
    #[error("user id {uid} is one that {owner} has for containers, not a person; run the command as {owner}")]
    Subordinate {
        /// The user id of the process.
        uid: u32,
        /// Whose range it is in.
        owner: String,
    },
}

/// The container in whose cgroup a process says it is: the outermost that its cgroups name. Enough to show what belongs to
/// whom, and never a proof.
#[must_use]
pub fn named_container(pid: u32) -> Option<ContainerId> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    cgroup::candidates(&cgroup::parse(&text)).into_iter().next()
}

/// The judge of who is calling. Cheap to share: it holds the cache of names and nothing else.
#[derive(Clone, Debug)]
pub struct Identity {
    names: Arc<Names>,
}

impl Identity {
    /// A judge that asks `directory` for names.
    #[must_use]
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self { names: Arc::new(Names::new(directory)) }
    }

    /// The cache of names, for whoever else needs to know a user.
    #[must_use]
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Who `peer` is for this request, given the `place` that [`Peer::place`] found.
    ///
    /// `owner_of` says who owns a container that is known. It waits for the directory service for two
    /// seconds at most, and then makes do with what it knew or with the number.
    ///
    /// # Errors
    /// [`Refusal`] where it cannot be said who that is.
    pub async fn judge(
        &self,
        peer: &Peer,
        place: &Place,
        owner_of: impl FnOnce(&ContainerId) -> Option<u32>,
        admins: &Admins,
    ) -> Result<Caller, Refusal> {
        let owner = match place {
            Place::Unknown => return Err(Refusal::UnknownPlace),
            Place::Container(id) => Some(owner_of(id).ok_or_else(|| Refusal::NoOwner(id.clone()))?),
            Place::Host | Place::Sandbox => None,
        };
        let uid = owner.unwrap_or(peer.uid());
        let known = self.names.lookup(uid).await;
        if let Some(owner) = known.subordinate_of() {
            return Err(Refusal::Subordinate { uid, owner: owner.to_owned() });
        }
        let account = known.account();
        // Looked at last, after everything that may take time.
        let admin = *place == Place::Host
            && peer.is_ours()
            && may_administer(uid, account, admins)
            && peer.is_alive();
        let (gid, groups) = match (owner, account) {
            (None, _) => (peer.gid(), peer.groups().to_vec()),
            (Some(_), Some(account)) => (account.gid, account.groups.clone()),
            (Some(_), None) => (NO_GROUP, Vec::new()),
        };
        Ok(Caller {
            uid,
            gid,
            groups,
            name: account.map_or_else(|| uid.to_string(), |account| account.name.clone()),
            known: account.is_some(),
            home: account.map_or_else(|| PathBuf::from(NO_HOME), |account| account.home.clone()),
            unix_groups: account.map(|account| account.unix_groups.clone()).unwrap_or_default(),
            pid: peer.pid(),
            pidfd: peer.pidfd(),
            place: place.clone(),
            admin,
            process_uid: peer.uid(),
            login_uid: peer.login_uid().filter(|_| owner.is_none()),
        })
    }
}

/// Root, and whom the configuration names. A number in place of a name is nobody's name.
fn may_administer(uid: u32, account: Option<&Account>, admins: &Admins) -> bool {
    uid == 0
        || account.is_some_and(|account| {
            admins.users.contains(&account.name)
                || account.unix_groups.iter().any(|group| admins.groups.contains(group))
        })
}
