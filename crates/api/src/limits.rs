//! What the caller may have, what he has, and who says so.

use serde::{Deserialize, Serialize};

/// The answer to `GET limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The caller's name.
    pub user: String,
    /// His policy group.
    pub group: String,
    /// Whether he is an admin (and so has no quota).
    pub admin: bool,
    /// Every limit, the ones that users meet first at the top.
    pub limits: Vec<Limit>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The configuration's key (`max_gpu_equivalents`).
    pub key: String,
    /// What it means (`GPUs at once`).
    pub label: String,
    /// What the numbers count.
    pub unit: LimitUnit,
    /// The limit; absent if there is none.
    pub limit: Option<u64>,
    /// What the caller uses of it now; absent where that has no meaning.
    pub used: Option<u64>,
    /// Who set it.
    pub source: Source,
    /// Whether it holds; `false` for what is read and not carried out by this version.
    #[serde(default = "holds", skip_serializing_if = "Clone::clone")]
    pub enforced: bool,
}

/// Limits hold, unless they say otherwise.
const fn holds() -> bool {
    true
}

/// What a limit's numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    /// Things.
    Count,
    /// Thousandths of a GPU.
    GpuMilli,
    /// Thousandths of a CPU.
    CpuMilli,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// 1 yes, 0 no.
    Flag,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// The program's own default.
    BuiltIn,
    /// `defaults` in the configuration.
    Defaults,
    /// A group in the configuration.
    Group {
        /// Its name.
        name: String,
    },
    /// A user's own line in the configuration.
    User {
        /// His name.
        name: String,
    },
    /// What the configuration says of a kind of containers.
    ContainerType {
        /// The kind, as the configuration calls it.
        name: String,
    },
    /// He is an admin.
    Admin,
}
