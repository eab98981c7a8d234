//! Answers for: the body of container create: what the daemon must still answer, and the body that
//! is sent on once it has.
//!
//! Must never: send on a path, a name or a GPU request that the daemon has not answered.

mod answers;
mod config;
mod confined;
mod devcontainer;
mod devices;
mod host;
mod log;
mod mounts;
mod networks;
mod original;
mod ports;
mod security;
mod spaces;
mod tmpfs;

use std::collections::BTreeMap;

/// The tables, to be told and to be held against the API.
pub(crate) mod table {
    pub(crate) use super::config::CREATE;
    #[cfg(test)]
    pub(crate) use super::devices::{DEVICE, DEVICE_REQUEST};
    pub(crate) use super::host::{HOST, RESTART};
    #[cfg(test)]
    pub(crate) use super::host::{THROTTLE, WEIGHT};
    pub(crate) use super::log::LOG;
    pub(crate) use super::mounts::{
        BIND_OPTIONS, DRIVER_CONFIG, IMAGE_OPTIONS, MOUNT, TMPFS_OPTIONS, VOLUME_OPTIONS,
    };
    pub(crate) use super::networks::NETWORKING;
    #[cfg(test)]
    pub(crate) use super::original::remembered_shape;
}

pub use answers::Unresolved;
pub use devcontainer::METADATA_LABEL;
pub(crate) use host::{PRIVILEGED, THROTTLE, WEIGHT, read_restart};
pub(crate) use mounts::check_volume_name;
pub(crate) use spaces::container_name;
pub(crate) use tmpfs::tmpfs_options;

use super::desk::{Desk, Found, Stage};
use super::fields::text_bytes;
use super::refusal::Refusal;
use super::rules::{Profile, Restart, Rules};
use super::table::{check_keys, judge_object, same_field};
use crate::gpu::GpuAsk;
use crate::json::{Json, Object, parse};
use crate::present::Original;

/// In which field a bind was asked for, so that inspect can show it there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindForm {
    /// `HostConfig.Binds[position]`
    Binds {
        /// Place in the caller's list.
        position: usize,
    },
    /// `HostConfig.Mounts[position]`
    Mounts {
        /// Place in the caller's list.
        position: usize,
    },
}

/// In which field a volume was asked for.
pub type VolumeForm = BindForm;

/// A directory or file of the host that the caller wants to see inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAsk {
    /// Number of this bind, for [`JudgedCreate::set_bind`].
    pub slot: usize,
    /// Where it was asked for.
    pub form: BindForm,
    /// Absolute path on the host as the caller wrote it; not cleaned, not looked up.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Whether it is read-only inside.
    pub read_only: bool,
    /// Whether Docker makes the directory if it is missing (`-v` does, `--mount` does not).
    pub create_source: bool,
}

/// A volume that the caller wants to see inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeAsk {
    /// Number of this volume, for [`JudgedCreate::set_volume`].
    pub slot: usize,
    /// Where it was asked for.
    pub form: VolumeForm,
    /// Its name; `None` = a new one of this container.
    pub name: Option<String>,
    /// Absolute path in the container.
    pub target: String,
    /// Whether it is read-only inside.
    pub read_only: bool,
}

/// What another container is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerRole {
    /// Its network.
    Network,
    /// Its processes.
    Pid,
    /// Its shared memory.
    Ipc,
    /// Its mounts.
    VolumesFrom,
    /// Its address under another name, and on the shared bridge its environment.
    Link,
}

/// Another container that the caller names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRef {
    /// Number of this reference, for [`JudgedCreate::set_container`].
    pub slot: usize,
    /// What it is wanted for.
    pub role: ContainerRole,
    /// Name, id or prefix as the caller wrote it.
    pub name: String,
    /// `ro` or `rw` of a `VolumesFrom` entry or empty; the alias of a link.
    pub(crate) mode: String,
}

/// What the labels say about the kind of container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KindHint {
    /// Made by a Dev Containers client.
    DevContainer {
        /// `devcontainer.local_folder`, if it is there.
        local_folder: Option<String>,
    },
    /// Made by Compose.
    Compose {
        /// `com.docker.compose.project`
        project: String,
        /// `com.docker.compose.service`
        service: String,
    },
    /// Marked by an administrator as the lab's own: `ds01.kind=infrastructure`.
    Infrastructure,
    /// Anything else.
    Docker,
}

/// A create body that was judged. It is sent on once everything in it is answered.
#[derive(Clone, Debug)]
pub struct JudgedCreate {
    admin: bool,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    gpu: Option<GpuAsk>,
    warnings: Vec<String>,
    config: Object,
    host: Object,
    found: Found,
    answers: answers::Answers,
    given: Original,
    confined: bool,
}

/// Judges the body of `POST /containers/create`.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_create(body: &[u8], rules: &Rules) -> Result<JudgedCreate, Refusal> {
    let mut tree = parse(body)?;
    if let Json::Object(top) = &mut tree {
        for key in QUERY_KEYS {
            top.remove(key);
        }
    }
    let Json::Object(top) = &tree else {
        return Err(Refusal::wrong_kind("the body", "an object", tree.kind()));
    };
    check_keys("", top)?;
    refuse_misplaced(top)?;
    let mut desk = Desk::new(rules, Stage::Create);
    let (reading, env) = devices::read_gpu(top)?;
    desk.found.strip = reading.strip;
    let mut config = judge_object(config::CREATE, &mut desk, "", &tree)?;
    let host = match config.remove("HostConfig") {
        Some(Json::Object(host)) => host,
        _ => Object::new(),
    };
    desk.warnings.extend(reading.warnings.into_iter().map(|warning| sentence(&warning)));
    let given = original::given(top, &env, &desk.found.strip)?;
    let answers = answers::Answers::new(&desk.found, reading.ask.is_some());
    let mut judged = JudgedCreate {
        admin: rules.admin,
        uid: rules.uid,
        gid: rules.gid,
        groups: rules.groups.clone(),
        gpu: reading.ask,
        warnings: desk.warnings,
        config,
        host,
        found: desk.found,
        answers,
        given,
        confined: false,
    };
    if rules.profile == Profile::Strict {
        judged.confine();
    }
    judged.own_group_on_binds();
    Ok(judged)
}

/// Keys of the query, which clients with one bag for query and body (docker-modem, under dockerode and testcontainers)
/// write into the body as well. No Engine has fields of these names.
const QUERY_KEYS: [&str; 2] = ["name", "platform"];

/// A `HostConfig` field at the top of the body was obeyed by Engines up to 26.1.
fn refuse_misplaced(top: &Object) -> Result<(), Refusal> {
    for (key, value) in top.iter() {
        let misplaced = host::HOST.iter().find(|field| same_field(key, field.name));
        if let (Some(field), false) = (misplaced, value.is_neutral()) {
            return Err(Refusal::bad(format!(
                "\"{key}\" belongs inside HostConfig; move it to HostConfig.{}",
                field.name
            )));
        }
    }
    Ok(())
}

/// Docker's warnings are sentences.
fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

impl JudgedCreate {
    /// The image, as the caller wrote it.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.found.image
    }

    /// The GPUs asked for; `None`: the container gets none.
    #[must_use]
    pub fn gpu(&self) -> Option<&GpuAsk> {
        self.gpu.as_ref()
    }

    /// Host paths that must be staged.
    #[must_use]
    pub fn binds(&self) -> &[BindAsk] {
        &self.found.binds
    }

    /// Volumes whose owner must be looked up.
    #[must_use]
    pub fn volumes(&self) -> &[VolumeAsk] {
        &self.found.volumes
    }

    /// How many volumes the Engine makes for this container that nobody named, without those of its image.
    #[must_use]
    pub fn nameless_volumes(&self) -> usize {
        self.members("Volumes") + self.found.volumes.iter().filter(|volume| volume.name.is_none()).count()
    }

    /// How many ports of the host it is reached by, where its image says that it serves `of_image`.
    #[must_use]
    pub fn published_ports(&self, of_image: usize) -> usize {
        let bindings = self.host.get("PortBindings").and_then(Json::as_object);
        let bound =
            bindings.map_or(0, |ports| ports.iter().map(|(_, to)| to.as_array().map_or(1, <[_]>::len)).sum());
        let all = self.host.get("PublishAllPorts") == Some(&Json::Bool(true));
        if all { bound + self.members("ExposedPorts") + of_image } else { bound }
    }

    /// How many mounts it has that are neither binds nor volumes.
    #[must_use]
    pub fn memory_mounts(&self) -> usize {
        let tmpfs = self.host.get("Tmpfs").and_then(Json::as_object).map_or(0, Object::len);
        self.found.other_mounts.len() + tmpfs
    }

    /// Bytes of what the Engine's list of containers shows of it: labels, command, and where its mounts are.
    #[must_use]
    pub fn listed_bytes(&self) -> usize {
        let labels: usize = self.found.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
        let words = |field: &str| {
            let words = self.config.get(field).and_then(Json::as_array).unwrap_or_default();
            words.iter().filter_map(Json::as_str).map(|word| word.len() + 1).sum::<usize>()
        };
        let mounts = self.found.binds.iter().map(|bind| bind.target.len());
        let volumes = self.found.volumes.iter().map(|volume| volume.target.len());
        let others = self.found.other_mounts.iter().map(|mount| mount.to_bytes().len());
        let paths = self.config.get("Volumes").and_then(Json::as_object).map_or(0, text_bytes);
        labels
            + words("Cmd")
            + words("Entrypoint")
            + mounts.chain(volumes).chain(others).sum::<usize>()
            + paths
    }

    fn members(&self, field: &str) -> usize {
        self.config.get(field).and_then(Json::as_object).map_or(0, Object::len)
    }

    /// Other containers whose owner must be looked up.
    #[must_use]
    pub fn containers(&self) -> &[ContainerRef] {
        &self.found.containers
    }

    /// Networks whose owner must be looked up. The Engine's own (`bridge`, `none`) are not among them.
    #[must_use]
    pub fn networks(&self) -> &[String] {
        &self.found.networks
    }

    /// Images that are mounted; each must be visible to the caller.
    #[must_use]
    pub fn images(&self) -> &[String] {
        &self.found.images
    }

    /// The user inside, numeric ones as `uid:gid`; `None`: the image's.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.found.user.as_deref()
    }

    /// The user who will work inside, where the container's own processes tell nothing of him: a dev container's
    /// `remoteUser`. `image` is what the image's label says, which the request's own overrides.
    #[must_use]
    pub fn remote_user(&self, image: &str) -> Option<String> {
        if !matches!(self.kind_hint(), KindHint::DevContainer { .. }) {
            return None;
        }
        let own = self.found.labels.get(METADATA_LABEL).map(String::as_str);
        devcontainer::remote_user(own.unwrap_or(image))
    }

    /// The environment of the request, without the variables that choose GPUs.
    #[must_use]
    pub fn env(&self) -> &[String] {
        &self.found.env
    }

    /// The labels of the request, without `ds01.*`.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.found.labels
    }

    /// The restart policy that the caller asked for.
    #[must_use]
    pub fn restart(&self) -> Restart {
        self.found.restart
    }

    /// Whether the container has a terminal.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.config.get("Tty") == Some(&Json::Bool(true))
    }

    /// Whether the container is removed when it ends.
    #[must_use]
    pub fn auto_remove(&self) -> bool {
        self.found.auto_remove
    }

    /// Whether the container would be put on the bridge that everybody shares.
    #[must_use]
    pub fn uses_default_network(&self) -> bool {
        let shares = self.found.containers.iter().any(|other| other.role == ContainerRole::Network);
        !shares
            && (self.found.network_mode.is_empty()
                || spaces::DEFAULT_NETWORKS.contains(&self.found.network_mode.as_str()))
    }

    /// Sentences for the `Warnings` of the reply.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What the labels say about the kind of container.
    #[must_use]
    pub fn kind_hint(&self) -> KindHint {
        let label = |name: &str| self.found.labels.get(name).cloned();
        if self.found.infrastructure {
            return KindHint::Infrastructure;
        }
        if self.found.labels.keys().any(|key| key.starts_with("devcontainer.")) {
            return KindHint::DevContainer { local_folder: label("devcontainer.local_folder") };
        }
        match label("com.docker.compose.project") {
            Some(project) => KindHint::Compose {
                project,
                service: label("com.docker.compose.service").unwrap_or_default(),
            },
            None => KindHint::Docker,
        }
    }

    /// On binds a group counts: a caller who is himself inside is there with a group of his own.
    fn own_group_on_binds(&mut self) {
        if self.admin || self.found.binds.is_empty() {
            return;
        }
        let Some((user, group)) = self.found.user.as_deref().and_then(|user| user.split_once(':')) else {
            return;
        };
        let own_user = user == self.uid.to_string();
        let own_group = group.parse().is_ok_and(|gid: u32| gid == self.gid || self.groups.contains(&gid));
        if own_user && !own_group {
            let user = format!("{}:{}", self.uid, self.gid);
            self.warnings.push(format!("User was set to {user}: group {group} is not one of yours."));
            self.set_user(&user);
        }
    }
}
