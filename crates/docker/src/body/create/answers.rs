//! Answers for: what the daemon puts into a judged create body, and writing the body that is sent on.
//!
//! Must never: write a body while a question is open.

use std::collections::BTreeMap;

use super::super::desk::{Found, VolumeSent};
use super::super::env;
use super::{ContainerRole, JudgedCreate};
use crate::json::{Json, Object};

/// What the daemon has answered so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    binds: Vec<Option<String>>,
    containers: Vec<Option<String>>,
    volumes: Vec<Option<String>>,
    networks: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    default_network: Option<String>,
    /// `None`: GPUs were asked for and the daemon has not answered.
    gpu: Option<Gpu>,
}

#[derive(Clone, Debug)]
enum Gpu {
    None,
    Bound { runtime: String },
}

impl Answers {
    pub(crate) fn new(found: &Found, gpu_asked: bool) -> Self {
        Answers {
            binds: vec![None; found.binds.len()],
            containers: vec![None; found.containers.len()],
            volumes: found.volumes.iter().map(|volume| volume.name.clone()).collect(),
            gpu: (!gpu_asked).then_some(Gpu::None),
            ..Answers::default()
        }
    }
}

/// Something that the daemon has to answer before the body may be sent on. A defect of the daemon,
/// never of the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// A bind without a staged path.
    #[error("no staged path for bind {0}")]
    Bind(usize),
    /// A container without its full id.
    #[error("no full id for container reference {0}")]
    Container(usize),
    /// A network that was not looked up.
    #[error("network {0:?} was not looked up")]
    Network(String),
    /// Two networks of the body are the same one.
    #[error("network {0:?} is named twice")]
    NetworkTwice(String),
    /// GPUs were asked for and neither granted nor denied.
    #[error("the GPU request was not answered")]
    Gpu,
}

impl JudgedCreate {
    /// Where the Engine finds bind `slot`. The path must exist when the body is sent on: the Engine
    /// looks at create, and a stage that is missing at a later start fails instead of showing an
    /// empty directory.
    pub fn set_bind(&mut self, slot: usize, staged: &str) {
        if let Some(answer) = self.answers.binds.get_mut(slot) {
            *answer = Some(staged.to_owned());
        }
    }

    /// Staged paths that were answered, with the caller's own.
    pub(super) fn answered_binds(&self) -> impl Iterator<Item = (&str, &str)> {
        let asked = self.found.binds.iter().map(|bind| bind.source.as_str());
        self.answers.binds.iter().zip(asked).filter_map(|(staged, asked)| Some((staged.as_deref()?, asked)))
    }

    /// The full id of container reference `slot`.
    pub fn set_container(&mut self, slot: usize, id: &str) {
        if let Some(answer) = self.answers.containers.get_mut(slot) {
            *answer = Some(id.to_owned());
        }
    }

    /// Another name for volume `slot`; without it the caller's own name is sent on.
    pub fn set_volume(&mut self, slot: usize, name: &str) {
        if let Some(answer) = self.answers.volumes.get_mut(slot) {
            *answer = Some(name.to_owned());
        }
    }

    /// Lets the container only read volume `slot`.
    pub fn set_volume_read_only(&mut self, slot: usize) {
        if let (Some(asked), Some(sent)) =
            (self.found.volumes.get_mut(slot), self.found.volumes_sent.get_mut(slot))
        {
            asked.read_only = true;
            match sent {
                VolumeSent::Bind { modes } => {
                    let kept = modes.split(',').filter(|mode| !matches!(*mode, "" | "rw" | "ro"));
                    *modes = kept.chain(["ro"]).collect::<Vec<_>>().join(",");
                }
                VolumeSent::Mount(mount) => mount.set("ReadOnly", Json::Bool(true)),
            }
        }
    }

    /// The id or name that is sent on for a network the caller named.
    pub fn set_network(&mut self, name: &str, resolved: &str) {
        self.answers.networks.insert(name.to_owned(), resolved.to_owned());
    }

    /// Puts a container that would be on the shared bridge on this network instead.
    pub fn set_default_network(&mut self, resolved: &str) {
        self.answers.default_network = Some(resolved.to_owned());
    }

    /// Adds a label of the daemon's own.
    pub fn set_label(&mut self, key: &str, value: &str) {
        self.answers.labels.insert(key.to_owned(), value.to_owned());
    }

    /// Sets a variable, in place of every value the caller gave it.
    pub fn set_env(&mut self, name: &str, value: &str) {
        env::set(&mut self.found.env, name, value);
    }

    /// Sets the user inside.
    pub fn set_user(&mut self, user: &str) {
        self.found.user = Some(user.to_owned());
        self.config.set("User", Json::text(user));
    }

    /// Sets the image that is sent on, for instance by its full id.
    pub fn set_image(&mut self, image: &str) {
        image.clone_into(&mut self.found.image);
        self.config.set("Image", Json::text(image));
    }

    /// Adds a sentence to the warnings.
    pub fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }

    /// The outcome of the GPU request. `None`: the container gets none, whatever its image says.
    /// `Some(runtime)`: this runtime asks for the binding at every start, and the daemon carries the
    /// restart policy out itself.
    pub fn set_gpu(&mut self, runtime: Option<&str>) {
        self.answers.gpu = Some(match runtime {
            None => Gpu::None,
            Some(runtime) => Gpu::Bound { runtime: runtime.to_owned() },
        });
    }

    /// The body for the Engine, written anew from what was judged and answered.
    ///
    /// # Errors
    /// The first question that is still open.
    pub fn into_body(self) -> Result<Vec<u8>, Unresolved> {
        let JudgedCreate { mut config, mut host, found, answers, .. } = self;
        match &answers.gpu {
            None => return Err(Unresolved::Gpu),
            Some(Gpu::None) => {}
            Some(Gpu::Bound { runtime }) => {
                host.set("Runtime", Json::text(runtime.as_str()));
                host.set("RestartPolicy", restart_no());
            }
        }
        write_mounts(&mut host, &found, &answers)?;
        write_containers(&mut host, &found, &answers)?;
        let endpoints = write_networks(&mut host, &found, &answers)?;

        // The image may say `all`; only an explicit value holds against it. The hinge replaces it
        // where GPUs are bound.
        let mut variables = found.env;
        env::set(&mut variables, env::VISIBLE_DEVICES, env::VOID);
        config.set("Env", Json::texts(variables));
        let mut labels = found.labels;
        labels.extend(answers.labels);
        config.set(
            "Labels",
            Json::Object(labels.into_iter().map(|(key, value)| (key, Json::text(value))).collect()),
        );

        config.set("HostConfig", Json::Object(host));
        let networking = Object::from_iter([("EndpointsConfig".to_owned(), Json::Object(endpoints))]);
        config.set("NetworkingConfig", Json::Object(networking));
        Ok(Json::Object(config).to_bytes())
    }
}

fn restart_no() -> Json {
    Json::Object(Object::from_iter([
        ("Name".to_owned(), Json::text("no")),
        ("MaximumRetryCount".to_owned(), Json::int(0)),
    ]))
}

fn write_mounts(host: &mut Object, found: &Found, answers: &Answers) -> Result<(), Unresolved> {
    let mut mounts = found.other_mounts.clone();
    let mut strings = Vec::new();
    for (bind, options) in found.binds.iter().zip(&found.bind_options) {
        let staged = answers.binds[bind.slot].as_deref().ok_or(Unresolved::Bind(bind.slot))?;
        let mut mount = Object::new();
        mount.set("Type", Json::text("bind"));
        mount.set("Source", Json::text(staged));
        mount.set("Target", Json::text(&bind.target));
        mount.set("ReadOnly", Json::Bool(bind.read_only));
        if let Some(options) = options {
            mount.set("BindOptions", options.clone());
        }
        mounts.push(Json::Object(mount));
    }
    for (volume, sent) in found.volumes.iter().zip(&found.volumes_sent) {
        let name = answers.volumes[volume.slot].as_deref();
        match sent {
            VolumeSent::Bind { modes } => {
                let mut text = volume.target.clone();
                if let Some(name) = name {
                    text = format!("{name}:{text}");
                    if !modes.is_empty() {
                        text = format!("{text}:{modes}");
                    }
                }
                strings.push(text);
            }
            VolumeSent::Mount(mount) => {
                let mut mount = mount.clone();
                if let Some(name) = name {
                    mount.set("Source", Json::text(name));
                }
                mounts.push(Json::Object(mount));
            }
        }
    }
    if !strings.is_empty() {
        host.set("Binds", Json::texts(strings));
    }
    if !mounts.is_empty() {
        host.set("Mounts", Json::Array(mounts));
    }
    Ok(())
}

fn write_containers(host: &mut Object, found: &Found, answers: &Answers) -> Result<(), Unresolved> {
    let mut volumes_from = Vec::new();
    let mut links = Vec::new();
    for other in &found.containers {
        let id = answers.containers[other.slot].as_deref().ok_or(Unresolved::Container(other.slot))?;
        let field = match other.role {
            ContainerRole::Network => "NetworkMode",
            ContainerRole::Pid => "PidMode",
            ContainerRole::Ipc => "IpcMode",
            ContainerRole::VolumesFrom => {
                let mode = if other.mode.is_empty() { String::new() } else { format!(":{}", other.mode) };
                volumes_from.push(format!("{id}{mode}"));
                continue;
            }
            ContainerRole::Link => {
                links.push(format!("{id}:{}", other.mode));
                continue;
            }
        };
        host.set(field, Json::text(format!("container:{id}")));
    }
    if !volumes_from.is_empty() {
        host.set("VolumesFrom", Json::texts(volumes_from));
    }
    if !links.is_empty() {
        host.set("Links", Json::texts(links));
    }
    Ok(())
}

fn write_networks(host: &mut Object, found: &Found, answers: &Answers) -> Result<Object, Unresolved> {
    let resolve = |name: &str| -> Result<String, Unresolved> {
        let shared = matches!(name, "" | "default" | "bridge");
        match (&answers.default_network, shared) {
            (Some(own), true) => Ok(own.clone()),
            (None, true) => Ok(name.to_owned()),
            _ if matches!(name, "none" | "host") => Ok(name.to_owned()),
            _ => answers.networks.get(name).cloned().ok_or_else(|| Unresolved::Network(name.to_owned())),
        }
    };
    // A container that joins another's network has no network of its own.
    if host.get("NetworkMode").is_none() {
        let mode = resolve(&found.network_mode)?;
        if !mode.is_empty() {
            host.set("NetworkMode", Json::text(mode));
        }
    }
    let mut endpoints = Object::new();
    for (name, settings) in &found.endpoints {
        let resolved = resolve(name)?;
        if endpoints.get(&resolved).is_some() {
            return Err(Unresolved::NetworkTwice(name.clone()));
        }
        endpoints.set(&resolved, settings.clone());
    }
    Ok(endpoints)
}
