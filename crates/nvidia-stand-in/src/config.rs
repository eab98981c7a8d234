//! The stand-in's configuration, in the words of the real runtime's `config.toml`.

use std::path::PathBuf;

use serde::Deserialize;

/// How units are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// `cdi` if everything that is asked for is a qualified CDI name, else `jit-cdi`.
    Auto,
    /// As `nvidia-container-cli` does it.
    Legacy,
    /// From the specifications on the machine.
    Cdi,
    /// From specifications made on the spot.
    JitCdi,
}

/// The configuration; every key but the machine file has the real one's default.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default = "auto")]
    pub(crate) mode: Mode,
    /// Whether the environment counts in containers without `CAP_SYS_ADMIN`.
    #[serde(default = "yes")]
    pub(crate) accept_nvidia_visible_devices_envvar_when_unprivileged: bool,
    /// Whether mounts of `/dev/null` beneath `/var/run/nvidia-container-devices` count.
    #[serde(default)]
    pub(crate) accept_nvidia_visible_devices_as_volume_mounts: bool,
    /// Prefixes of the annotations that name CDI devices.
    #[serde(default = "annotation_prefixes")]
    pub(crate) annotation_prefixes: Vec<String>,
    /// The kind that completes unqualified names in mode `cdi`.
    #[serde(default = "default_kind")]
    pub(crate) default_kind: String,
    /// Variables that are preferred to `NVIDIA_VISIBLE_DEVICES`, with commas between them.
    #[serde(default)]
    pub(crate) swarm_resource: String,
    /// The runtime to hand over to.
    #[serde(default = "runc")]
    pub(crate) runtime: PathBuf,
    /// The file that lists the machine's cards (see `machine`).
    pub(crate) machine: PathBuf,
}

fn auto() -> Mode {
    Mode::Auto
}

fn yes() -> bool {
    true
}

fn annotation_prefixes() -> Vec<String> {
    vec!["cdi.k8s.io/".to_owned()]
}

fn default_kind() -> String {
    "nvidia.com/gpu".to_owned()
}

fn runc() -> PathBuf {
    PathBuf::from("runc")
}
