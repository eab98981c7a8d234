//! What happened: lines of the journal, and who held which units from when to when.

use serde::{Deserialize, Serialize};

/// One line of `GET events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// When, in Unix seconds.
    pub at: i64,
    /// What happened, in one stable word (`granted`, `warned`, `stopped`).
    pub event: String,
    /// Whose container it was; absent where it was none's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The container (project name where there is one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The units, by address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// The rest, in half a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// The answer to `GET history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// From when on it was asked for, in Unix seconds.
    pub since: i64,
    /// Each time that a container held units, the oldest first.
    pub stints: Vec<Stint>,
    /// Earlier ones that are left out of `stints`; they are in the totals.
    pub earlier: u64,
    /// How much that was, for each person and each of his containers.
    pub totals: Vec<Total>,
}

/// One time that a container held units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stint {
    /// Whose container it was.
    pub owner: String,
    /// Whether that is the caller.
    pub mine: bool,
    /// The container (project name where there is one); absent where the caller may not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The units, by address.
    pub units: Vec<String>,
    /// What they count, in thousandths of a card.
    pub weight_milli: u32,
    /// From when on, in Unix seconds.
    pub from: i64,
    /// Until when; absent while it holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// For how long, within the time that was asked for.
    pub held_seconds: u64,
    /// How it ended; absent while it goes on, and where the caller may not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// How a stint ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ending {
    /// The start came to nothing.
    NotStarted,
    /// The program ended by itself.
    Exited {
        /// With this code; absent where nobody saw it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
    },
    /// Its owner stopped it.
    Stopped,
    /// Its owner stopped it and had it removed.
    Retired,
    /// DS01 stopped it: it did not use its GPU.
    Idle,
    /// DS01 stopped it: it had run for as long as it may.
    Runtime,
}

/// What one person, or one container of his, held altogether.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Whose it was.
    pub owner: String,
    /// The container; absent for all that the person held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Seconds of a whole card: a slice counts as its share of one.
    pub gpu_seconds: u64,
}
