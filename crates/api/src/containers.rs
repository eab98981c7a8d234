//! Containers as their owner sees them, and putting them away.

use serde::{Deserialize, Serialize};

use crate::{Stop, UnitRef, Waiting};

/// The answer to `GET containers`: the caller's, or everybody's for an admin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerList {
    /// Newest first.
    pub containers: Vec<Container>,
    /// How many more `all=1` would show.
    #[serde(default)]
    pub hidden: u32,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Docker's id, 64 hex digits.
    pub id: String,
    /// Docker's name, without the leading slash.
    pub name: String,
    /// The project, if the name is `<project>._.<user>` of its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The owner's user name.
    pub owner: String,
    /// Whether that is the caller.
    pub mine: bool,
    /// How it came to be.
    pub kind: ContainerKind,
    /// What it does now.
    pub state: ContainerState,
    /// The exit code of a container that has stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The image, as it was asked for.
    pub image: String,
    /// The units it holds now.
    #[serde(default)]
    pub units: Vec<UnitRef>,
    /// What it asks for at each start (`1 GPU`); absent if it asks for no GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<String>,
    /// Its place in line, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// The host directory that is `/workspace` inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// When it was created, in Unix seconds.
    pub created: i64,
    /// How long ago that is.
    pub age_seconds: u64,
    /// For how long it has been in its state; absent if nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_seconds: Option<u64>,
    /// When it is to be stopped if nothing changes; absent where nothing leads there, or nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

impl Container {
    /// What people call it: the project for the caller's own, Docker's name otherwise.
    pub fn short_name(&self) -> &str {
        match &self.project {
            Some(project) if self.mine => project,
            _ => &self.name,
        }
    }
}

/// How a container came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerKind {
    /// `container deploy`.
    Ds01,
    /// An editor's dev container.
    DevContainer,
    /// A compose service.
    Compose,
    /// Plain `docker run` or an SDK.
    Docker,
    /// Marked by an admin.
    Infrastructure,
}

/// What a container does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// In line for a GPU.
    Waiting,
    /// Between grant and first process.
    Starting,
    /// Its processes run.
    Running,
    /// Its processes are frozen; it keeps what it holds.
    Paused,
    /// Being stopped.
    Stopping,
    /// Stopped; it can be started again.
    Stopped,
}

impl ContainerState {
    /// Whether there are processes in it, so that a shell can be opened (or could, once unpaused).
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// The longest time that a container may be given to end by itself, in seconds.
pub const GRACE_SECONDS_MAX: u32 = 60 * 60;

/// The body of `POST retire`: stop, remove, free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireRequest {
    /// A project, a container name, or an id.
    pub name: String,
    /// Kill at once instead of the grace period.
    #[serde(default)]
    pub force: bool,
    /// How long programs have to end by themselves, at most [`GRACE_SECONDS_MAX`]; absent for 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u32>,
    /// Refuse a container that runs, with [`crate::codes::CONTAINER_RUNNING`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped_only: bool,
    /// Keep its volumes that have no name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_volumes: bool,
}

/// The answer to `POST retire`; when it comes, the container is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Docker's name of the container that was.
    pub name: String,
    /// Its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Whether it ran and had to be stopped.
    pub stopped: bool,
    /// The units that it held and that are free, or about to be.
    #[serde(default)]
    pub released: Vec<UnitRef>,
    /// The host directory that was `/workspace`, untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The image, which is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}
