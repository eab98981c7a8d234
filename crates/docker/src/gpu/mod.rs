//! Every way in which a client can ask for a GPU, read as one [`GpuAsk`].
//!
//! Answers for: recognising the forms (device requests, CDI names, the NVIDIA runtime with its variable, device nodes,
//! annotations, volume-mount lists), agreeing them with each other, and naming what must be taken out of the request,
//! because the hinge alone attaches GPUs.
//! Must never: decide whether the caller may have what he asks, or look at an image: a variable baked into an image is
//! not a want.

mod forms;
mod ids;
mod options;

use std::collections::BTreeSet;

pub(crate) use forms::clean as clean_path;
pub use ids::{GpuId, GpuIdError};
pub use options::is_a_model;

/// The most units that one request may name or count: beyond any machine, so that sums cannot overflow.
pub const UNITS_MAX: u32 = 1024;

/// The parts of a create body that can ask for a GPU, in the shape of the Engine API's fields.
///
/// The body's judge fills this from what it parsed; absent fields stay empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuInputs {
    /// `HostConfig.DeviceRequests`.
    pub device_requests: Vec<DeviceRequest>,
    /// `HostConfig.Runtime`, empty for the default.
    pub runtime: String,
    /// `Env` of the request (`KEY=value` or `KEY`), never the image's.
    pub env: Vec<String>,
    /// `HostConfig.Devices`.
    pub devices: Vec<DeviceNode>,
    /// `HostConfig.Annotations`.
    pub annotations: Vec<(String, String)>,
    /// `HostConfig.Binds`, as sent (`source:target[:mode]`).
    pub binds: Vec<String>,
    /// `HostConfig.Mounts`.
    pub mounts: Vec<MountPoint>,
}

/// One entry of `HostConfig.DeviceRequests`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// `Driver`: empty, `nvidia`, `cdi`, …
    pub driver: String,
    /// `Count`: -1 means all.
    pub count: i64,
    /// `DeviceIDs`.
    pub device_ids: Vec<String>,
    /// `Capabilities`: alternatives of sets that must all be had.
    pub capabilities: Vec<Vec<String>>,
    /// `Options`.
    pub options: Vec<(String, String)>,
}

/// One entry of `HostConfig.Devices`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceNode {
    /// `PathOnHost`: a path, or a CDI name.
    pub path_on_host: String,
    /// `PathInContainer`.
    pub path_in_container: String,
    /// `CgroupPermissions`.
    pub cgroup_permissions: String,
}

/// One entry of `HostConfig.Mounts`, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountPoint {
    /// `Type`: `bind`, `volume`, …
    pub kind: String,
    /// `Source`.
    pub source: String,
    /// `Target`.
    pub target: String,
}

/// What the request asks for, whichever form it took. Exactly one of a count and a list of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuAsk {
    /// How many units, where none is named; one where `all` was said without a number. At least 1.
    pub count: Option<u32>,
    /// Whether the request said `all`, which means one unit (a policy may read it otherwise).
    pub all: bool,
    /// The units named, in the order of the request, without repetition; empty when counted.
    pub ids: Vec<GpuId>,
    /// What each of them must be.
    pub kind: GpuKind,
    /// Driver capabilities asked beside `gpu` (`compute`, `utility`, `video`, `graphics`, …), sorted.
    pub capabilities: BTreeSet<String>,
}

/// What units must be. Options of device requests say it; the other forms have no words for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuKind {
    /// The least memory of each, in MiB.
    pub memory_mib: Option<u64>,
    /// A part of the model's name, or a slice's profile.
    pub model: Option<String>,
    /// Whole cards only.
    pub full: bool,
}

impl GpuAsk {
    /// The number of units asked for; at least 1.
    pub fn units(&self) -> u32 {
        self.count.unwrap_or_else(|| u32::try_from(self.ids.len()).unwrap_or(UNITS_MAX))
    }
}

/// What must be taken out of the request before it goes upstream. Positions index the fields of [`GpuInputs`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strip {
    /// Take every entry of `DeviceRequests` out. (All of them were judged; an unknown driver was refused.)
    pub device_requests: bool,
    /// `Runtime` names an NVIDIA runtime: take it out.
    pub runtime: bool,
    /// Positions in `Env` of variables that steer the NVIDIA runtime.
    pub env: BTreeSet<usize>,
    /// Positions in `Devices`.
    pub devices: BTreeSet<usize>,
    /// Keys of `Annotations`.
    pub annotations: BTreeSet<String>,
    /// Positions in `Binds`.
    pub binds: BTreeSet<usize>,
    /// Positions in `Mounts`.
    pub mounts: BTreeSet<usize>,
}

/// The outcome of [`read`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuReading {
    /// The ask, or `None`: the container gets no GPU.
    pub ask: Option<GpuAsk>,
    /// What to take out of the request.
    pub strip: Strip,
    /// Sentences for `Warnings` of the reply: forms that look like an ask and are none.
    pub warnings: Vec<String>,
}

/// Why the GPU part of a request cannot be followed: a sentence for its author. HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GpuRefusal {
    message: String,
}

impl GpuRefusal {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// What one form asks for, before the forms are agreed with each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FormAsk {
    /// How the user would recognise this form in his command line.
    spelling: &'static str,
    count: u32,
    all: bool,
    ids: Vec<GpuId>,
    kind: GpuKind,
    capabilities: BTreeSet<String>,
}

impl FormAsk {
    fn asks(&self) -> bool {
        self.count > 0 || self.all || !self.ids.is_empty()
    }
}

/// Reads every form in `inputs` as one ask.
///
/// Several device requests are summed; different forms must agree, where `all` agrees with anything more exact.
///
/// # Errors
/// A form that is malformed, names a device which is no GPU, or contradicts another one.
pub fn read(inputs: &GpuInputs) -> Result<GpuReading, GpuRefusal> {
    let mut reading = GpuReading::default();
    let asks = [
        forms::device_requests(inputs, &mut reading)?,
        forms::runtime_and_env(inputs, &mut reading)?,
        forms::devices(inputs, &mut reading)?,
        forms::annotations(inputs, &mut reading)?,
        forms::mount_lists(inputs, &mut reading)?,
    ];
    reading.ask = agree(asks.into_iter().filter(FormAsk::asks))?;
    Ok(reading)
}

fn agree(asks: impl Iterator<Item = FormAsk>) -> Result<Option<GpuAsk>, GpuRefusal> {
    let mut agreed: Option<FormAsk> = None;
    for ask in asks {
        agreed = Some(match agreed {
            None => ask,
            Some(first) => agree_two(first, ask)?,
        });
    }
    Ok(agreed.map(|ask| GpuAsk {
        count: ask.ids.is_empty().then_some(ask.count.max(1)),
        all: ask.all,
        ids: ask.ids,
        kind: ask.kind,
        capabilities: ask.capabilities,
    }))
}

fn agree_two(first: FormAsk, second: FormAsk) -> Result<FormAsk, GpuRefusal> {
    let exact = |ask: &FormAsk| ask.count > 0 || !ask.ids.is_empty();
    let same = first.count == second.count
        && first.ids.len() == second.ids.len()
        && first.ids.iter().all(|id| second.ids.contains(id));
    if exact(&first) && exact(&second) && !same {
        return Err(GpuRefusal::new(format!(
            "The request asks for GPUs in two ways that contradict each other ({} and {}). \
             Keep one of them, best `--gpus`.",
            first.spelling, second.spelling
        )));
    }
    let all = first.all && second.all;
    let capabilities = &first.capabilities | &second.capabilities;
    // Only the first of the forms, device requests, can say it.
    let kind = first.kind.clone();
    let kept = if exact(&first) { first } else { second };
    Ok(FormAsk { all, kind, capabilities, ..kept })
}

/// Whether an environment variable steers the NVIDIA runtime, so that a user's own value must not reach the Engine.
///
/// `key` is the part before `=`. The daemon sets the one variable that counts itself.
pub fn is_gpu_env_key(key: &str) -> bool {
    const STEERING: [&str; 10] = [
        "CUDA_MPS_PIPE_DIRECTORY",
        "NVIDIA_FABRIC_IMEX_MGMT",
        "NVIDIA_GDRCOPY",
        "NVIDIA_GDS",
        "NVIDIA_IMEX_CHANNELS",
        "NVIDIA_MIG_CONFIG_DEVICES",
        "NVIDIA_MIG_MONITOR_DEVICES",
        "NVIDIA_MOFED",
        "NVIDIA_NVSWITCH",
        "NVIDIA_VISIBLE_DEVICES",
    ];
    STEERING.binary_search(&key).is_ok() || key.starts_with("DOCKER_RESOURCE_")
}

/// The variable by which the NVIDIA runtime is told which parts of the driver a container is to have. It chooses no GPU,
/// and is its user's own.
pub(crate) const DRIVER_CAPABILITIES: &str = "NVIDIA_DRIVER_CAPABILITIES";

/// A value of [`DRIVER_CAPABILITIES`] without the names that NVIDIA's runtime does not know, over which it would fail at
/// the start, and the first of those. `None` as a value: nothing is left of it.
pub(crate) fn known_capabilities(value: &str) -> (Option<String>, Option<String>) {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    let (known, unknown): (Vec<&str>, Vec<&str>) = names.partition(|name| forms::is_driver_capability(name));
    match unknown.first() {
        None => (Some(value.to_owned()), None),
        Some(first) => ((!known.is_empty()).then(|| known.join(",")), Some(forms::shorten(first))),
    }
}

/// Whether a runtime's name is one of those which the NVIDIA toolkit registers.
pub fn is_nvidia_runtime(name: &str) -> bool {
    matches!(
        name,
        "nvidia" | "nvidia-cdi" | "nvidia-legacy" | "nvidia-experimental" | "nvidia-container-runtime"
    )
}

#[cfg(test)]
mod tests;
