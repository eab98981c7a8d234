//! The line of starts that wait for units: its order, and who is next.
//!
//! Higher priority goes first, then whoever used less of late, then whoever came first. Who cannot use what is free
//! keeps nobody else from it, until too many who came later have passed him.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::choose::Claim;
use crate::grant::Grant;
use crate::ids::{ContainerId, Ticket, Time, Uid, UnitId};
use crate::policy::{Limits, Policy};
use crate::state::{State, UnitView};
use crate::usage;
use crate::want::Want;

/// A start that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its place.
    pub ticket: Ticket,
    /// The container that is to start. It is in the line once.
    pub container: ContainerId,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: Uid,
    /// His login name.
    pub owner_name: String,
    /// What it asks for.
    pub want: Want,
    /// What held for its owner when it came.
    pub limits: Limits,
    /// When it came.
    pub arrived: Time,
    /// When it gives up.
    pub deadline: Time,
    /// How many who came later, and are of no higher priority, were given units that it could have used.
    pub overtaken: u32,
}

impl Waiter {
    /// Whether nobody may overtake it any more.
    fn is_passed_enough(&self, policy: &Policy) -> bool {
        self.overtaken >= policy.rules.overtakes_max
    }

    pub(crate) fn claim<'a>(&'a self, state: &'a State) -> Claim<'a> {
        Claim {
            state,
            container: Some(&self.container),
            owner: self.owner,
            owner_name: &self.owner_name,
            want: &self.want,
            limits: &self.limits,
        }
    }

    /// Whether it could start now, had it units: its container exists and is not still clearing up its last run.
    pub(crate) fn can_start(&self, state: &State) -> bool {
        state.container(&self.container).is_some_and(|container| container.exists())
            && state.holding(&self.container).is_none()
    }
}

/// The line, the head first.
pub(crate) fn order<'a>(policy: &Policy, state: &'a State, now: Time) -> Vec<&'a Waiter> {
    let mut recent: BTreeMap<Uid, u64> = BTreeMap::new();
    for waiter in state.waiters() {
        recent.entry(waiter.owner).or_insert_with(|| {
            usage::steps(state.recent_use(waiter.owner, now, policy.rules.usage_half_life))
        });
    }
    let mut line: Vec<&Waiter> = state.waiters().collect();
    line.sort_by_key(|waiter| {
        let passed = waiter.is_passed_enough(policy);
        let used = if passed { 0 } else { recent.get(&waiter.owner).copied().unwrap_or(0) };
        (Reverse(waiter.limits.priority), Reverse(passed), used, waiter.arrived, waiter.ticket)
    });
    line
}

/// The next grant to somebody in the line, if anybody can be given what he waits for.
pub(crate) fn next_grant(policy: &Policy, state: &State, now: Time) -> Option<(Grant, Ticket)> {
    let free: Vec<UnitView<'_>> = state.units().filter(UnitView::is_free).collect();
    if free.is_empty() {
        return None;
    }
    let line = order(policy, state, now);
    let mut kept: BTreeSet<&UnitId> = BTreeSet::new();
    for waiter in line.iter().filter(|waiter| waiter.can_start(state)) {
        let claim = waiter.claim(state);
        let pool: Vec<UnitView<'_>> =
            free.iter().copied().filter(|view| !kept.contains(&view.unit.id)).collect();
        if let Some(mut choice) = claim.choose(&pool, now) {
            choice.overtook = overtaken(state, &line, waiter, &choice.units);
            let grant = Grant::local(waiter.container.clone(), waiter.owner, state.next_epoch(), choice, now);
            return Some((grant, waiter.ticket));
        }
        if waiter.is_passed_enough(policy) {
            kept.extend(pool.iter().filter(|view| claim.could_use(view.unit)).map(|view| &view.unit.id));
        }
    }
    None
}

/// Those who came before a waiter, have no lower priority, and could have used one of the units that he is given.
fn overtaken(state: &State, line: &[&Waiter], winner: &Waiter, units: &[UnitId]) -> Vec<Ticket> {
    line.iter()
        .filter(|waiter| waiter.ticket < winner.ticket && waiter.limits.priority >= winner.limits.priority)
        .filter(|waiter| waiter.can_start(state))
        .filter(|waiter| {
            let claim = waiter.claim(state);
            units.iter().filter_map(|id| state.unit(id)).any(|view| claim.could_use(view.unit))
        })
        .map(|waiter| waiter.ticket)
        .collect()
}
