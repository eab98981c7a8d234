//! Everything that the checks judge, as plain data: what was seen of the machine, and what could not be seen. It must never
//! say whether a thing is good.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ds01_api::{Configuration, GpuSource, Machine};
use serde::Deserialize;

use super::finding::{Seen, Unseen};

/// The machine as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// What `ds01d` would take, or why it could not be asked.
    pub(crate) configuration: Seen<Configuration>,
    pub(crate) accounts: Accounts,
    pub(crate) engine: Engine,
    pub(crate) parts: Parts,
    pub(crate) nvidia: Nvidia,
    pub(crate) host: Host,
    pub(crate) own: Own,
}

impl Facts {
    /// Where GPUs come from; unknown is not none.
    pub(crate) fn gpus(&self) -> Option<GpuSource> {
        self.configuration.as_ref().ok().map(|configuration| configuration.gpus)
    }
}

/// One step on the way to a file, from `/` on, the file itself last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) path: PathBuf,
    /// Type and permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The way to a file; missing where the file is.
pub(crate) type Way = Seen<Option<Vec<Step>>>;

/// A program that root runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// The first step at which somebody else than root could put another file.
    pub(crate) unsafe_step: Option<PathBuf>,
}

/// Users and groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    /// Names and ids of people: accounts of the local file with a shell.
    pub(crate) people: Vec<(String, u32)>,
    /// Group ids with their names and members.
    pub(crate) groups: BTreeMap<u32, (String, Vec<String>)>,
}

/// The Docker Engine.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    /// Its socket, where the configuration has it.
    pub(crate) socket: PathBuf,
    pub(crate) info: Seen<Info>,
    /// What `info` leaves out for users: they ask through the door.
    pub(crate) asked_itself: bool,
    pub(crate) api: Seen<String>,
    /// Its own settings: the flags of the running process, then its file.
    pub(crate) settings: Seen<EngineSettings>,
    /// The ways to its sockets and to containerd's.
    pub(crate) sockets: Seen<Vec<(PathBuf, Way)>>,
    pub(crate) data_root: Way,
    /// The program behind the runtime of ours.
    pub(crate) runtime: Seen<Option<Program>>,
}

/// What the Engine says of itself, as far as somebody judges it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Info {
    pub(crate) driver: String,
    pub(crate) driver_status: Option<Vec<Vec<String>>>,
    pub(crate) cgroup_driver: String,
    pub(crate) default_runtime: String,
    pub(crate) runtimes: BTreeMap<String, Runtime>,
    pub(crate) live_restore_enabled: bool,
    pub(crate) logging_driver: String,
    pub(crate) security_options: Option<Vec<String>>,
    pub(crate) docker_root_dir: PathBuf,
    pub(crate) memory_limit: bool,
    pub(crate) swap_limit: bool,
    pub(crate) cpu_cfs_quota: bool,
    pub(crate) pids_limit: bool,
    pub(crate) swarm: Swarm,
    pub(crate) plugins: Plugins,
}

/// A runtime that the Engine has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Runtime {
    pub(crate) path: PathBuf,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Swarm {
    pub(crate) local_node_state: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Plugins {
    pub(crate) authorization: Option<Vec<String>>,
}

/// How the Engine was told to run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EngineSettings {
    /// Its file, whether it is there or not.
    pub(crate) file: PathBuf,
    /// Where it listens, as it was told: `unix:///…`, `tcp://…`, `fd://`.
    pub(crate) hosts: Vec<String>,
    pub(crate) userland_proxy: bool,
    pub(crate) log_opts: BTreeMap<String, String>,
}

/// Versions of what DS01 stands on.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) engine: Seen<Part>,
    pub(crate) containerd: Seen<Part>,
    pub(crate) runc: Seen<Part>,
    pub(crate) toolkit: Seen<Part>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// As it says itself.
    pub(crate) version: String,
    /// Where it is the distribution's package: its name, and the advisories that its changelog names.
    pub(crate) package: Option<(String, BTreeSet<String>)>,
}

/// The NVIDIA driver and container toolkit.
#[derive(Debug, Clone)]
pub(crate) struct Nvidia {
    /// The loaded kernel module's version.
    pub(crate) module: Option<String>,
    /// The version in the name of the installed library.
    pub(crate) library: Option<String>,
    /// The toolkit's settings: their text, where there is a file.
    pub(crate) toolkit: Seen<Option<String>>,
    /// Whom the hinge hands containers with a GPU to.
    pub(crate) runtime: Seen<Option<Program>>,
    /// Where each low-level runtime is that the toolkit could mean, by name.
    pub(crate) low_level: BTreeMap<String, PathBuf>,
    pub(crate) cdi: Vec<CdiSpec>,
    /// UUIDs of the cards of the loaded driver.
    pub(crate) cards: BTreeSet<String>,
    pub(crate) is_persistent: bool,
    /// The device nodes.
    pub(crate) nodes: Vec<Step>,
}

impl Nvidia {
    /// Whether there is anything of it on this machine.
    pub(crate) fn is_there(&self) -> bool {
        self.module.is_some() || self.library.is_some() || matches!(self.toolkit, Ok(Some(_)))
    }
}

/// A file that tells runtimes what to attach for the name of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CdiSpec {
    pub(crate) path: PathBuf,
    /// UUIDs of cards and slices in it.
    pub(crate) uuids: BTreeSet<String>,
}

/// The machine below it all.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) kernel: String,
    pub(crate) cgroups: Cgroups,
    /// Places that people mount from.
    pub(crate) places: Vec<Place>,
    /// Numbers below `/proc/sys`, by path: `fs/protected_hardlinks`.
    pub(crate) sysctls: BTreeMap<&'static str, u64>,
    /// `apparmor`, `selinux`: what the kernel has switched on.
    pub(crate) confinement: Vec<&'static str>,
    /// What keeps the clock right.
    pub(crate) clock: Option<String>,
    pub(crate) subuid: String,
    pub(crate) subgid: String,
    pub(crate) disks: Vec<Disk>,
}

/// Control groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cgroups {
    /// Whether the unified hierarchy has the controllers.
    pub(crate) is_v2: bool,
    pub(crate) controllers: BTreeSet<String>,
}

/// A mounted file system that people mount from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// One directory of it that people use.
    pub(crate) directory: PathBuf,
    /// How many of their homes are there.
    pub(crate) homes: usize,
    pub(crate) mount_point: PathBuf,
    pub(crate) file_system: String,
    pub(crate) options: Vec<String>,
    /// Whether its owners can be translated; `None` that they can.
    pub(crate) problem: Seen<Option<String>>,
}

/// Whether a file system asks another machine, or a program, whenever somebody looks at it.
pub(crate) fn is_remote(file_system: &str) -> bool {
    let prefixes = ["nfs", "cifs", "smb", "fuse", "autofs", "ceph", "lustre", "beegfs", "gpfs", "9p"];
    prefixes.iter().any(|prefix| file_system.starts_with(prefix))
}

/// A file system that must not be full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    /// What is on it.
    pub(crate) what: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) free: u64,
    pub(crate) total: u64,
    pub(crate) is_read_only: bool,
}

/// DS01 itself.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    /// The version of this `ds01`.
    pub(crate) version: &'static str,
    pub(crate) file: Way,
    pub(crate) door: Way,
    /// Whether somebody answers there as `ds01d` does, or why not.
    pub(crate) answers: Result<(), String>,
    /// The machine as `ds01d` sees it.
    pub(crate) machine: Seen<Machine>,
    pub(crate) daemon: Seen<Running>,
    pub(crate) hinge: Way,
    pub(crate) receipts: Way,
    pub(crate) ledger: Way,
    /// What the Engine's runtime of ours says that it is.
    pub(crate) runtime_version: Seen<String>,
    pub(crate) runtime_settings: Seen<RuntimeSettings>,
    /// Clients with BuildKit built in, and where they are.
    pub(crate) buildkit_clients: Vec<PathBuf>,
    /// Whether everybody's shell switches it off.
    pub(crate) buildkit_is_off: bool,
}

/// The running `ds01d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) version: String,
    /// Whether its program was replaced since it began.
    pub(crate) is_replaced: bool,
}

/// The settings of `ds01-runtime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeSettings {
    /// The file, where there is one.
    pub(crate) file: Option<PathBuf>,
    /// Whether somebody else than root can write it.
    pub(crate) is_unsafe: bool,
    /// What holds, or why the file cannot be used.
    pub(crate) values: Result<RuntimeValues, String>,
}

/// What `ds01-runtime` goes by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct RuntimeValues {
    pub(crate) socket: PathBuf,
    pub(crate) receipts: PathBuf,
    pub(crate) runtimes: BTreeMap<String, PathBuf>,
}

impl Default for RuntimeValues {
    fn default() -> Self {
        Self {
            socket: "/run/ds01/hinge.sock".into(),
            receipts: "/run/ds01/receipts".into(),
            runtimes: BTreeMap::new(),
        }
    }
}

/// For what cannot be said in a fact.
pub(crate) fn because<T>(why: impl Into<String>) -> Seen<T> {
    Err(Unseen::Because(why.into()))
}
