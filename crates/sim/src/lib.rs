//! A laboratory in a box: seeded users, a slow and failing Engine, a daemon that dies at any moment, and the rules in
//! the middle, for hours that pass in milliseconds.
//!
//! It decides nothing and knows no rule: it carries questions to `ds01-domain` as the daemon does and watches the
//! devices. A seed that fails is a defect of the rules, or of what the daemon owes them, and tells its story.

mod coordinator;
mod daemon;
mod enforcer;
mod engine;
mod happenings;
mod job;
mod people;
mod rng;
pub mod traces;
mod truth;
mod watch;
mod world;

use std::fmt;

/// Lines of a failing story that are told.
const STORY_LINES_MAX: usize = 400;

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
    /// Commits of more than one message.
    pub batches: u64,
    /// Warnings that were told.
    pub warnings: u64,
    /// Stops by the rules.
    pub stops: u64,
    /// Stops that were off.
    pub spared: u64,
    /// How late the latest stop of somebody idle was decided where nothing went wrong, in milliseconds.
    pub latest_ms: u64,
    /// Virtual minutes in which users went on.
    pub minutes: u64,
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

impl Summary {
    /// Adds what another story was made of.
    pub fn add(&mut self, other: &Self) {
        self.grants += other.grants;
        self.waits += other.waits;
        self.denials += other.denials;
        self.crashes += other.crashes;
        self.lost += other.lost;
        self.batches += other.batches;
        self.warnings += other.warnings;
        self.stops += other.stops;
        self.spared += other.spared;
        self.minutes += other.minutes;
        self.latest_ms = self.latest_ms.max(other.latest_ms);
    }
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

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} h: {} grants, {} waits, {} denials, ",
            self.minutes / 60,
            self.grants,
            self.waits,
            self.denials
        )?;
        write!(f, "{} crashes, {} answers lost, {} batches, ", self.crashes, self.lost, self.batches)?;
        write!(f, "{} warnings, {} stops, {} spared, ", self.warnings, self.stops, self.spared)?;
        write!(
            f,
            "{}.{:03} s late at most where nothing went wrong",
            self.latest_ms / 1000,
            self.latest_ms % 1000
        )
    }
}

/// Plays the story of a seed.
///
/// # Errors
/// Two containers that can open one unit, a grant beyond a quota, a start that nobody answers, a stop of somebody at
/// work or unwarned, somebody idle who is not stopped, something left behind when everybody has gone, or a ledger that
/// does not give the state again.
pub fn play(seed: u64) -> Result<Summary, Box<Failure>> {
    let (mut story, end) = replay(seed);
    end.map_err(|what| {
        let story = story.split_off(story.len().saturating_sub(STORY_LINES_MAX));
        Box::new(Failure { seed, what, story })
    })
}

/// Plays the story of a seed, and tells all of it: its lines, and how it ended.
pub fn replay(seed: u64) -> (Vec<String>, Result<Summary, String>) {
    world::World::new(seed).play()
}
