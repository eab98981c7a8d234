//! Time that people ask for: how long idleness is passed over for somebody's containers, within a budget of his.
//!
//! What was asked for counts when it is asked, and comes back as it grows older than the window. What is taken back
//! before it is over was never asked for.

use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;

use crate::denial::{Denial, KeepBudget};
use crate::event::Event;
use crate::ids::{ContainerId, Time, Uid, millis};
use crate::policy::{Person, Policy};
use crate::state::State;

/// The time over which a budget is counted.
pub const KEEP_WINDOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What each person's containers were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keeps {
    people: OrdMap<Uid, Arc<Vec<Span>>>,
}

/// Time that one container was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) container: ContainerId,
    pub(crate) from: Time,
    pub(crate) until: Time,
}

impl Span {
    /// What of it counts: no part older than the window.
    fn counted(&self, now: Time) -> Duration {
        self.until.since(self.from.max(window_begins(now)))
    }
}

fn window_begins(now: Time) -> Time {
    Time(now.0.saturating_sub(millis(KEEP_WINDOW)))
}

impl Keeps {
    /// A container of this person is kept from now until then; what it had been given beyond now is given back.
    pub(crate) fn given(&mut self, owner: Uid, container: &ContainerId, at: Time, until: Time) {
        let mut spans = self.spans(owner).to_vec();
        give_back(&mut spans, container, at);
        spans.push(Span { container: container.clone(), from: at, until });
        spans.retain(|span| span.until > span.from && span.until > window_begins(at));
        if spans.is_empty() {
            self.people.remove(&owner);
        } else {
            self.people.insert(owner, Arc::new(spans));
        }
    }

    pub(crate) fn carry(&mut self, owner: Uid, span: Span) {
        let mut spans = self.spans(owner).to_vec();
        spans.push(span);
        self.people.insert(owner, Arc::new(spans));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Uid, &Span)> {
        self.people.iter().flat_map(|(owner, spans)| spans.iter().map(move |span| (*owner, span)))
    }

    fn spans(&self, owner: Uid) -> &[Span] {
        self.people.get(&owner).map_or(&[], |spans| spans.as_slice())
    }
}

fn give_back(spans: &mut [Span], container: &ContainerId, at: Time) {
    for span in spans.iter_mut().filter(|span| span.container == *container) {
        span.until = span.until.min(at.max(span.from));
    }
}

fn sum(spans: &[Span], now: Time) -> Duration {
    spans.iter().map(|span| span.counted(now)).sum()
}

impl State {
    /// How much of his budget somebody has used, counted now.
    #[must_use]
    pub fn kept_by(&self, owner: Uid, now: Time) -> Duration {
        sum(self.keeps().spans(owner), now)
    }
}

/// Whether this person may keep one of these containers for so long from now on; the fact to record if he may.
///
/// # Errors
/// The denial, where his budget does not suffice.
pub fn keep(
    policy: &Policy,
    state: &State,
    person: &Person,
    container: &ContainerId,
    length: Duration,
    now: Time,
) -> Result<Event, Box<Denial>> {
    let kept = Event::Kept { container: container.clone(), until: now.after(length), at: now };
    let Some(known) = state.container(container) else {
        return Err(Box::new(Denial::UnknownContainer { container: container.clone() }));
    };
    let Some(budget) = policy.resolve(person).keep_budget.filter(|_| !length.is_zero()) else {
        return Ok(kept);
    };
    // As if it had been taken back first: asking anew for the same hours costs nothing.
    let mut spans = state.keeps().spans(known.owner).to_vec();
    give_back(&mut spans, container, now);
    let used = sum(&spans, now);
    if used + length <= budget {
        return Ok(kept);
    }
    // Unless he takes it back, what runs goes on, and counts.
    let spans = state.keeps().spans(known.owner);
    let again_in = (length <= budget).then(|| fits_in(spans, length, budget, now));
    Err(Box::new(Denial::KeepBudget(Box::new(KeepBudget { asked: length, used, budget, again_in }))))
}

/// How long it takes until so much of a budget has come back. The sum only falls as time goes on.
fn fits_in(spans: &[Span], length: Duration, budget: Duration, now: Time) -> Duration {
    let (mut too_early, mut enough) = (now, spans.iter().map(|span| span.until).max().unwrap_or(now));
    enough = enough.max(now).after(KEEP_WINDOW);
    while enough.0 - too_early.0 > 1 {
        let middle = Time(too_early.0 + (enough.0 - too_early.0) / 2);
        if sum(spans, middle) + length <= budget {
            enough = middle;
        } else {
            too_early = middle;
        }
    }
    enough.since(now)
}
