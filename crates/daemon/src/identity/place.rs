//! Where a process runs: on the host, in one of the known containers, or who knows where. Pure.
//!
//! It answers for the verdict, given facts that others have read. It must never take the name of a cgroup for a
//! proof: what proves is the identity of a cgroup directory that root made, or of a pid namespace.

use ds01_domain::ContainerId;

/// Where the process that connected runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In our own pid namespace, and in no container.
    Host,
    /// In pid namespaces that a user made for himself on the host (bubblewrap, rootless containers): his user id is
    /// his own, because he cannot choose another, but he is never an administrator.
    Sandbox,
    /// In this container, or in something that was made inside it.
    Container(ContainerId),
    /// Elsewhere, or gone before anybody could look. Its user id proves nothing.
    Unknown,
}

/// What the daemon knows of a running container from the Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerFacts {
    /// Its id.
    pub id: ContainerId,
    /// Its first process, in our numbers (`State.Pid`).
    pub init_pid: i32,
}

/// A file by its device and number: a namespace, or the directory of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    pub(super) device: u64,
    pub(super) number: u64,
}

/// A pid namespace, and the user namespace that it belongs to (`None`: not inside ours).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PidNamespace {
    pub(super) id: Inode,
    pub(super) owner: Option<Inode>,
}

/// Where a process is, in the kernel's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whereabouts {
    /// Its pid namespace, then the one around that, and so on, ours the last if it is among them.
    pub(super) pid_namespaces: Vec<PidNamespace>,
    /// The directories of its cgroups in all hierarchies that matter, with all above them.
    pub(super) cgroups: Vec<Inode>,
    /// One of them bears a container's name and is root's, or cannot be seen.
    pub(super) in_container: bool,
}

/// The daemon's own namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) pid: Inode,
    pub(super) user: Inode,
}

/// What was found out about a container by way of its first process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) id: ContainerId,
    /// The directories that bear the container's name and belong to root, one per hierarchy.
    pub(super) cgroups: Vec<Inode>,
    /// Its pid namespace, if that is not ours.
    pub(super) pid_namespace: Option<Inode>,
}

/// Where a process is, given what is known of the containers that its cgroups name.
///
/// Of several containers the later in the list wins; the list is ordered outermost first. The cgroup decides before the
/// pid namespace, which containers may share.
pub(super) fn verdict(ours: &Ours, peer: &Whereabouts, containers: &[Proof]) -> Place {
    let in_cgroup = |proof: &&Proof| proof.cgroups.iter().any(|cgroup| peer.cgroups.contains(cgroup));
    let in_namespace = |proof: &&Proof| {
        proof
            .pid_namespace
            .is_some_and(|namespace| peer.pid_namespaces.iter().any(|around| around.id == namespace))
    };
    let found =
        containers.iter().rev().find(in_cgroup).or_else(|| containers.iter().rev().find(in_namespace));
    if let Some(proof) = found {
        return Place::Container(proof.id.clone());
    }
    let Some((last, inner)) = peer.pid_namespaces.split_last() else { return Place::Unknown };
    if last.id != ours.pid {
        return Place::Unknown;
    }
    if inner.is_empty() {
        // A container may share our pid namespace; one that is not known must not pass for the host.
        return if peer.in_container { Place::Unknown } else { Place::Host };
    }
    // Who makes a pid namespace without root's help needs a user namespace of his own for it, and there he cannot be
    // anybody else. A namespace that belongs to our user namespace was made by root: a container that is not known.
    let made_by_user = |namespace: &PidNamespace| namespace.owner.is_some_and(|owner| owner != ours.user);
    if inner.iter().all(made_by_user) { Place::Sandbox } else { Place::Unknown }
}
