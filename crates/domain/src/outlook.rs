//! When those who wait may expect their units: the rules themselves, played forward over the ends that are known.
//!
//! Twice: as things look now (an idle container is stopped at its deadline), and at the latest (whoever is idle works
//! again, and runs for as long as he may). It promises nothing: who ends by himself, and who comes later with a higher
//! priority, nobody can know.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::container::Container;
use crate::course::{Cause, Deadline, Watched, deadline, runtime_deadline};
use crate::event::Event;
use crate::ids::{ContainerId, Ticket, Time};
use crate::line::Waiter;
use crate::observed::Observed;
use crate::plan::{Action, plan};
use crate::policy::Policy;
use crate::state::State;

/// Those at the head of the line who are told; further back it would be guessing, and cost.
pub const OUTLOOKS_MAX: usize = 32;
/// Ends that are played. More of them lie further ahead than anybody waits.
const ENDS_MAX: usize = 256;

/// When a running container gives its units back, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoesBack {
    /// If nothing changes.
    pub expected: Option<(Time, Cause)>,
    /// Whatever it does.
    pub latest: Option<Time>,
}

impl GoesBack {
    /// By what was seen of a container.
    #[must_use]
    pub fn of(container: &Container, watched: &Watched, now: Time) -> Self {
        let at = |deadline: Deadline| (deadline.at.max(now), deadline.cause);
        Self {
            expected: deadline(container, watched, now).map(at),
            ..Self::by_run_time(container, watched.max_runtime, now)
        }
    }

    /// By the rules alone, of one that nobody has looked at yet.
    #[must_use]
    pub fn by_run_time(container: &Container, max_runtime: Option<Duration>, now: Time) -> Self {
        let latest = runtime_deadline(container, max_runtime, now).map(|deadline| deadline.at.max(now));
        Self { expected: latest.map(|at| (at, Cause::Runtime)), latest }
    }
}

/// A container, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its owner's login name.
    pub owner_name: String,
    /// Its name, without Docker's slash.
    pub name: String,
}

impl Named {
    fn of(container: &Container) -> Self {
        Self { owner_name: container.owner_name.clone(), name: container.name.clone() }
    }
}

/// What somebody who waits may expect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// If nothing changes: when, and what gives the last unit back that it needs.
    pub expected: Option<(Time, Cause, Named)>,
    /// At the latest.
    pub latest: Option<Time>,
    /// Where there is no latest time: somebody who may run for ever on what it needs.
    pub endless: Option<Named>,
}

/// What the first of the line may expect, by container. `ends` are those of the containers that run; who is not in it
/// may run for ever.
#[must_use]
pub fn outlooks(
    policy: &Policy,
    state: &State,
    ends: &BTreeMap<ContainerId, GoesBack>,
    now: Time,
) -> BTreeMap<ContainerId, Outlook> {
    let line: Vec<Ticket> =
        state.waits(policy, now).iter().map(|wait| wait.ticket).take(OUTLOOKS_MAX).collect();
    let waiters: Vec<&Waiter> = line.iter().filter_map(|ticket| state.waiter(*ticket)).collect();
    let later = |ends: &GoesBack| ends.latest.map(|at| (at, Cause::Runtime));
    let expected = play(policy, state, &waiters, ends, |ends| ends.expected.or_else(|| later(ends)), now);
    let latest = play(policy, state, &waiters, ends, later, now);
    let told = |waiter: &&Waiter| {
        // An end that comes earlier can let others go first, who hold up this one: then that is the latest.
        let sooner = expected.get(&waiter.container).map(|(at, ..)| *at);
        let latest =
            latest.get(&waiter.container).map(|(at, ..)| sooner.map_or(*at, |sooner| sooner.max(*at)));
        let endless = if latest.is_none() { endless(state, waiter, ends) } else { None };
        let expected = expected
            .get(&waiter.container)
            .and_then(|(at, cause, holder)| Some((*at, *cause, Named::of(state.container(holder)?))));
        (waiter.container.clone(), Outlook { expected, latest, endless })
    };
    waiters.iter().map(told).collect()
}

/// Somebody whose end is not known and who holds what this one could use.
fn endless(state: &State, waiter: &Waiter, ends: &BTreeMap<ContainerId, GoesBack>) -> Option<Named> {
    let wanted = waiter.wanted();
    let claim = waiter.claim(state, &wanted);
    let for_ever = |id: &ContainerId| ends.get(id).is_none_or(|ends| ends.latest.is_none());
    let mut holdings = state.holdings().filter(|holding| for_ever(&holding.container));
    let holding = holdings.find(|holding| {
        let mut units = holding.units.iter().filter_map(|unit| state.unit(unit));
        units.any(|view| claim.could_use(view.unit))
    })?;
    state.container(&holding.container).map(Named::of)
}

/// Plays the ends in order; who is granted units when, and whose end gave them.
fn play(
    policy: &Policy,
    state: &State,
    waiters: &[&Waiter],
    ends: &BTreeMap<ContainerId, GoesBack>,
    end_of: impl Fn(&GoesBack) -> Option<(Time, Cause)>,
    now: Time,
) -> BTreeMap<ContainerId, (Time, Cause, ContainerId)> {
    let mut world = state.durable();
    for waiter in waiters {
        // Who gives up before is told as if he stayed.
        let waiter = Waiter { deadline: Time(u64::MAX), ..Waiter::clone(waiter) };
        world.apply(&Event::Queued(Box::new(waiter)));
    }
    let mut due: BTreeSet<(Time, ContainerId, Cause)> = ends
        .iter()
        .filter_map(|(id, ends)| end_of(ends).map(|(at, cause)| (at, id.clone(), cause)))
        .collect();
    let mut granted = BTreeMap::new();
    for _ in 0..ENDS_MAX {
        if granted.len() == waiters.len() {
            break;
        }
        let Some((at, container, cause)) = due.pop_first() else { break };
        let Some(epoch) = world.holding(&container).map(|holding| holding.epoch) else { continue };
        let at = at.max(now);
        // By its user: no restart policy takes the units again.
        world.apply(&Event::Ended { container: container.clone(), epoch, at, exit: None, by_user: true });
        world.apply(&Event::Released { container: container.clone(), epoch, at });
        for action in plan(policy, &world, &Observed::default(), at) {
            let Action::Grant { grant, ticket } = action else { continue };
            let (next, epoch) = (grant.container().clone(), grant.epoch());
            let limits = world.waiter(ticket).map(|waiter| waiter.limits.clone());
            world.apply(&Event::Reserved(grant));
            world.apply(&Event::Ran { container: next.clone(), epoch, at });
            granted.insert(next.clone(), (at, cause, container.clone()));
            // It holds them for as long as it may, and no shorter.
            let longest = limits.zip(world.container(&next)).and_then(|(limits, container)| {
                let most = policy.times(&limits, container.kind).max_runtime?;
                Some(most.saturating_sub(container.running_total))
            });
            due.extend(longest.map(|longest| (at.after(longest), next, Cause::Runtime)));
        }
    }
    granted
}
