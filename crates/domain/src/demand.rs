//! Who holds what somebody in the line waits for, and the shorter idle time that a lab may set for as long as somebody
//! does.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::choose::Wanted;
use crate::course::Stage;
use crate::grant::Phase;
use crate::ids::ContainerId;
use crate::state::State;
use crate::unit::Health;

/// Queues of starts that are looked at, by their first. Of more than that, those behind wait for what these wait for.
const QUEUES_MAX: usize = 256;

/// A shorter idle time, for as long as somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hurry {
    /// How long the container may be idle then.
    pub timeout: Duration,
    /// Whether somebody waits for a unit that it holds.
    pub now: bool,
}

/// What an idle timeout is shortened to, by a factor in thousandths: never so far that the last warning would come before
/// two thirds of it are over, as that keeps its usual lead.
pub(crate) fn shortened(idle_timeout: Duration, milli: u32) -> Duration {
    let least = Stage::Last.lead(idle_timeout) * 3;
    (idle_timeout * milli.min(1000) / 1000).max(least).min(idle_timeout)
}

/// The containers with a unit that somebody who waits could be given, were it free.
#[must_use]
pub fn in_demand(state: &State) -> BTreeSet<ContainerId> {
    let mut left: Vec<_> = state.holdings().filter(|holding| holding.phase != Phase::Ending).collect();
    let mut found = BTreeSet::new();
    let queues =
        state.queues().shapes().flat_map(|(shape, kins)| kins.values().map(move |queue| (shape, queue)));
    for (shape, queue) in queues.take(QUEUES_MAX) {
        if left.is_empty() {
            break;
        }
        let Some(first) = queue.first().and_then(|ticket| state.waiter(ticket)) else { continue };
        let wanted = Wanted::new(&shape.want, shape.allow_full);
        let claim = first.claim(state, &wanted);
        left.retain(|holding| {
            let mut units = holding.units.iter().filter_map(|id| state.record(id));
            let wants = units.any(|record| record.health != Health::Lost && claim.could_use(&record.unit));
            if wants {
                found.insert(holding.container.clone());
            }
            !wants
        });
    }
    found
}
