//! A laboratory in a box: seeded users, a slow and failing Engine, a daemon that dies at any moment, and the rules in
//! the middle, for hours that pass in milliseconds.
//!
//! It decides nothing and knows no rule: it carries questions to `ds01-domain` as the daemon does and watches the
//! devices. A seed that fails is a defect of the rules, or of what the daemon owes them, and tells its story.

mod coordinator;
mod daemon;
mod engine;
mod happenings;
mod rng;
pub mod traces;
mod world;

use std::fmt;
use std::time::Duration;

/// How long users go on in each story.
pub const STORY: Duration = Duration::from_secs(30 * 60);

/// What a story was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Units granted.
    pub grants: u64,
    /// Starts that waited.
    pub waits: u64,
    /// Starts that were denied, at once or after a wait.
    pub denials: u64,
    /// Deaths of the daemon.
    pub crashes: u64,
    /// Answers of the Engine that nobody heard.
    pub lost: u64,
}

/// A story that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
    /// What led to it, the last lines last.
    pub story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

impl std::error::Error for Failure {}

/// Plays the story of a seed.
///
/// # Errors
/// Two containers that can open one unit, a grant beyond a quota, a start that nobody answers, something left behind
/// when everybody has gone, or a ledger that does not give the state again.
pub fn play(seed: u64) -> Result<Summary, Box<Failure>> {
    world::World::new(seed).play(STORY)
}
