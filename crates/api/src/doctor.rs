//! What `ds01d` tells `ds01 doctor` when it is run for an answer and not as a daemon: `ds01d check --json` and
//! `ds01d probe`. It must never hold anything that users may not read.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A configuration as the daemon would take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The file; none where there is none and the defaults hold.
    pub file: Option<PathBuf>,
    /// Everything that is wrong with it, with line and column. If there is something, what follows is what could be read.
    pub mistakes: Vec<String>,
    /// What it says and DS01 does not carry out.
    pub notes: Vec<String>,
    /// The door's socket.
    pub door: PathBuf,
    /// The Engine's own socket.
    pub engine: PathBuf,
    /// The hinge's socket.
    pub hinge: PathBuf,
    /// The receipts' directory.
    pub receipts: PathBuf,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// The name under which the Engine has `ds01-runtime`.
    pub runtime: String,
    /// Where GPUs come from.
    pub gpus: GpuSource,
    /// Whether people may mount from their homes.
    pub binds_homes: bool,
    /// Other places from which people may mount.
    pub binds: Vec<PathBuf>,
}

/// Where GPUs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuSource {
    /// There are none.
    None,
    /// They are made up.
    Simulated,
    /// The NVIDIA driver.
    Nvidia,
}

/// Whether the owners of what lies in a directory can be translated for a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The directory.
    pub path: PathBuf,
    /// Why not, if not.
    pub problem: Option<String>,
}
