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

/// The body of `POST exemptions`: a container or all of a person's run on until a day, or no longer do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exempt {
    /// The container; or `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The person's login name; or `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Until when, in Unix seconds; absent to take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Why; absent only to take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to `GET exemptions` and `POST exemptions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExemptionList {
    /// Those that hold.
    pub exemptions: Vec<Exemption>,
}

/// An exemption from being stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemption {
    /// Whose containers.
    pub user: String,
    /// The container (project name where there is one); absent for all of the person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Until when, in Unix seconds.
    pub until: i64,
    /// The same in seconds from now.
    pub left_seconds: u64,
    /// Why.
    pub reason: String,
    /// The administrator who said so.
    pub by: String,
}
