//! Making a ds01 container.

use serde::{Deserialize, Serialize};

use crate::ContainerState;

/// The body of `POST deploy`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The project ([`crate::names::Project`]).
    pub project: String,
    /// The project whose workspace and image it has; absent for `project` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_project: Option<String>,
    /// The image; absent for `ds01-<user>/<project>:latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What to take where the project has no image of its own: a name in the machine's catalogue ([`crate::Framework`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// GPUs for the container; absent for the default (1, or 0 with `cpu_only`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// The least memory of each GPU, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_memory_mib: Option<u64>,
    /// Whole cards only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full_gpu: bool,
    /// A part of the model's name, or a slice's profile: `a100`, `2g.20gb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// No GPU at all.
    #[serde(default)]
    pub cpu_only: bool,
    /// The host directory to mount at `/workspace`, absolute; absent for `~/workspace/<project>`, which is made if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Host directories to mount read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataMount>,
    /// Remove a container that this project already has, running or not, and make a new one.
    #[serde(default)]
    pub force: bool,
    /// Say what would be done and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

impl DeployRequest {
    /// Whether it says anything about GPUs.
    pub fn mentions_gpus(&self) -> bool {
        self.cpu_only
            || self.gpus.is_some()
            || self.gpu_memory_mib.is_some()
            || self.full_gpu
            || self.gpu_model.is_some()
    }

    /// How many GPUs that comes to.
    pub fn gpu_count(&self) -> u32 {
        if self.cpu_only { 0 } else { self.gpus.unwrap_or(1) }
    }
}

/// A host directory that a container may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataMount {
    /// The host directory, absolute.
    pub source: String,
    /// The path inside: `/data`, or below it.
    pub target: String,
}

/// The answer to `POST deploy`.
///
/// A project has one container. If it is there already and `force` was not given, it is returned (`reused`) if its image,
/// GPUs, workspace and data are those asked for or were not mentioned, and is refused with
/// [`crate::codes::CONTAINER_CONFLICT`] if not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// Docker's id; empty after a dry run that would create one.
    pub id: String,
    /// Docker's name.
    pub name: String,
    /// The project.
    pub project: String,
    /// The image.
    pub image: String,
    /// How many GPUs it asks for at each start.
    pub gpus: u32,
    /// The host directory that is `/workspace` inside.
    pub workspace: String,
    /// Whether that directory was (or would be) made just now.
    #[serde(default)]
    pub workspace_created: bool,
    /// The read-only directories.
    #[serde(default)]
    pub data: Vec<DataMount>,
    /// What the container does now: `created`, unless it was reused.
    pub state: ContainerState,
    /// It was there already.
    #[serde(default)]
    pub reused: bool,
    /// One was there, and was (or would be) removed for this one.
    #[serde(default)]
    pub replaced: bool,
    /// Nothing was changed.
    #[serde(default)]
    pub dry_run: bool,
    /// For a dry run: what a start would meet now (`a GPU is free: it would start at once`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<String>,
    /// What was asked for and not given in full, as sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
}
