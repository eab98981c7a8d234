//! The line, and the explanation of one container.

use serde::{Deserialize, Serialize};

/// The answer to `GET queue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Who waits, the next one first.
    pub waiting: Vec<Waiter>,
    /// Units that are free and yet too small, or of the wrong kind, for those who wait.
    pub free_units: u32,
}

/// Someone in line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// 1 is next.
    pub position: u32,
    /// The user's name.
    pub owner: String,
    /// Whether that is the caller.
    pub mine: bool,
    /// The container (project name where there is one); absent where the caller may not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What it asks for (`1 GPU`, `2 GPUs of 40 GB`).
    pub want: String,
    /// Why it waits, as a sentence without a full stop.
    pub reason: String,
    /// How long it has waited.
    pub waited_seconds: u64,
    /// When the wait is given up.
    pub left_seconds: u64,
    /// What it may expect; absent far back in the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<Outlook>,
}

/// When somebody who waits may expect his units. It promises nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// In how many seconds, if nothing changes; absent where nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_seconds: Option<u64>,
    /// In how many at the latest; absent where nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_seconds: Option<u64>,
    /// The same in words, with the cause, in the time of the machine.
    pub text: String,
}

/// The answer to `GET why/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Docker's name.
    pub name: String,
    /// The verdict in one sentence (`my-project waits for a GPU, second of 3 in line`).
    pub verdict: String,
    /// The facts that it rests on, in the order to read them.
    #[serde(default)]
    pub facts: Vec<Fact>,
    /// Commands that could be typed next.
    #[serde(default)]
    pub next: Vec<String>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about (`GPU`, `idle`, `run time`).
    pub label: String,
    /// The fact.
    pub text: String,
}
