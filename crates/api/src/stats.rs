//! What containers do with their GPUs, as the driver last told.

use serde::{Deserialize, Serialize};

use crate::{Figures, UnitRef};

/// The answer to `GET stats`: the caller's containers that hold units, or everybody's for an admin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuStats {
    /// How long ago the driver told; absent where it told nothing of late, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// Each with its units.
    pub containers: Vec<ContainerGpus>,
}

/// What one container does with its units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerGpus {
    /// Docker's id, 64 hex digits.
    pub id: String,
    /// The units it holds.
    pub units: Vec<UnitStats>,
}

/// What one unit does, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStats {
    /// Which unit it is.
    #[serde(flatten)]
    pub unit: UnitRef,
    /// What it does.
    #[serde(flatten)]
    pub figures: Figures,
    /// The container's processes that compute on it; absent where the driver does not list them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// The memory that those have; absent where the driver does not tell it of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_memory_mib: Option<u64>,
}
