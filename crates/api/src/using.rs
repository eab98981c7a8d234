//! What becomes of a container that does not use its GPU.

use serde::{Deserialize, Serialize};

/// When a container is to be stopped, if nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Why.
    pub cause: StopCause,
    /// In how many seconds.
    pub in_seconds: u64,
    /// Whether that will be done, or is only observed.
    pub enforced: bool,
}

/// Why a container is stopped by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// It does not use its GPU.
    Idle,
    /// It has run for as long as it may.
    Runtime,
}

/// The body of `POST containers/{name}/keep`: idleness is passed over for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// For how many seconds, at most a day; zero takes it back.
    pub seconds: u64,
}

/// The answer to `POST containers/{name}/keep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// For how many seconds.
    pub seconds: u64,
    /// Until when, in Unix seconds.
    pub until: i64,
}
