//! Answers for: the plain values by which a body is judged; the daemon fills them in for each caller.
//!
//! Must never: know where a value comes from.

use std::ops::RangeInclusive;

/// Lowest host port that a container of a user may publish by default.
const HOST_PORT_MIN: u16 = 1024;

/// What holds for one caller.
#[derive(Clone, Debug)]
pub struct Rules {
    /// An admin may use the dangerous fields. GPU requests are taken out for admins too, and
    /// fields that nobody knows are refused for admins too.
    pub admin: bool,
    /// The caller's user id on the host.
    pub uid: u32,
    /// The caller's primary group id on the host.
    pub gid: u32,
    /// All group ids of the caller on the host.
    pub groups: Vec<u32>,
    /// The most that one container may have.
    pub limits: LimitValues,
    /// Control group under which every container of this caller is put.
    pub cgroup_parent: String,
    /// Name under which `ds01-runtime` is registered with the Engine.
    pub gpu_runtime: String,
    /// Runtime of a container without GPUs.
    pub plain_runtime: String,
    /// Ports of the host that may be published.
    pub host_ports: RangeInclusive<u16>,
    /// Address on which a port is published when the caller names none. `None`: all addresses.
    pub host_ip: Option<String>,
    /// Capabilities that may be added to Docker's own default set, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Largest log file in bytes. `None`: as the Engine is configured.
    pub log_bytes: Option<u64>,
    /// What root means inside.
    pub profile: Profile,
    /// Whether a container may be on the host's own network.
    pub host_network: bool,
}

/// What root means inside a caller's containers. An admin's are never confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Root inside with most of Docker's capabilities: `apt` and `sudo` work, and files are the caller's outside.
    #[default]
    Lab,
    /// Nobody inside but the caller himself, without capabilities and without a way to any.
    Strict,
}

/// The most of each thing that one container may have; `None` = no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitValues {
    /// Thousandths of a CPU. Must not be more than the host has: the Engine refuses that.
    pub cpus_milli: Option<u64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Memory and swap together in bytes, as Docker counts it.
    pub memory_swap_bytes: Option<u64>,
    /// `/dev/shm` in bytes.
    pub shm_bytes: Option<u64>,
    /// Processes.
    pub pids: Option<u64>,
}

impl Rules {
    /// The rules of an ordinary user with these ids, without limits, in the lab profile.
    #[must_use]
    pub fn lab(uid: u32, gid: u32, groups: Vec<u32>) -> Self {
        Rules {
            admin: false,
            uid,
            gid,
            groups,
            limits: LimitValues::default(),
            cgroup_parent: String::new(),
            gpu_runtime: "ds01".to_owned(),
            plain_runtime: "runc".to_owned(),
            host_ports: HOST_PORT_MIN..=u16::MAX,
            host_ip: None,
            capabilities: vec!["SYS_PTRACE".to_owned(), "IPC_LOCK".to_owned()],
            log_bytes: None,
            profile: Profile::Lab,
            host_network: false,
        }
    }

    pub(crate) fn in_own_groups(&self, gid: u32) -> bool {
        gid == self.gid || self.groups.contains(&gid)
    }
}

/// A restart policy as Docker names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// `no`
    #[default]
    No,
    /// `always`
    Always,
    /// `unless-stopped`
    UnlessStopped,
    /// `on-failure`, with the most tries; 0 = for ever.
    OnFailure {
        /// The most tries.
        max: u32,
    },
}
