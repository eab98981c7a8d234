//! A place in the line, told to people.

use std::sync::Arc;
use std::time::Duration;

use ds01_domain::{ContainerId, Holder, Policy, State, Time, Wait};

/// A place in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// 1 is the head of the line.
    pub position: usize,
    /// How many wait.
    pub of: usize,
    /// Why it waits, in half a sentence.
    pub reason: String,
    /// Who holds the units that would do.
    pub holders: Arc<[Arc<Holder>]>,
    /// How long it has waited.
    pub waited: Duration,
    /// How long it may wait still.
    pub left: Duration,
    /// When this was true.
    pub now: Time,
}

impl Place {
    pub(super) fn of(wait: &Wait, now: Time) -> Self {
        Self {
            position: wait.position,
            of: wait.of,
            reason: wait.reason.to_string(),
            holders: wait.holders.clone(),
            waited: now.since(wait.waiter().arrived),
            left: wait.deadline.since(now),
            now,
        }
    }

    /// How long the whole wait lasts at most.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.waited + self.left
    }
}

/// Everybody's place, in the order of the line.
#[must_use]
pub fn places(state: &State, policy: &Policy, now: Time) -> Vec<(ContainerId, Place)> {
    state.waits(policy, now).iter().map(|w| (w.container().clone(), Place::of(w, now))).collect()
}

/// The place of one container, if it waits.
#[must_use]
pub fn place_of(state: &State, policy: &Policy, container: &ContainerId, now: Time) -> Option<Place> {
    state.wait_of(policy, container, now).map(|wait| Place::of(&wait, now))
}
