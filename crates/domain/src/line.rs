//! The line of starts that wait for units: its order, and who is next.
//!
//! Higher priority goes first, then whoever used less of late, then whoever came first. Who cannot use what is free
//! keeps nobody else from it, until too many who came later have passed him.
//!
//! Starts that are alike are looked at as one queue: what the first of them cannot have, none of them can.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use crate::choose::{Among, Claim, Estimate, Wanted};
use crate::grant::{Choice, Grant};
use crate::ids::{ContainerId, Ticket, Time, Uid, UnitId};
use crate::policy::{Limits, Policy};
use crate::queues::{Kins, Overtaking, Queue, Shape};
use crate::state::State;
use crate::unit::Unit;
use crate::usage;
use crate::want::Want;

/// A start that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its place. Tickets are given in order of arrival.
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
    pub limits: Arc<Limits>,
    /// When it came.
    pub arrived: Time,
    /// When it gives up.
    pub deadline: Time,
    /// How often it had been passed when it came to its queue; [`State::overtaken`] knows how often that is by now.
    pub(crate) overtaken: u32,
    /// Whether it came to its queue later than to the line.
    pub(crate) missed_some: bool,
}

impl Waiter {
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted::new(&self.want, self.limits.allow_full_gpu)
    }

    pub(crate) fn claim<'a>(&'a self, state: &'a State, wanted: &'a Wanted<'a>) -> Claim<'a> {
        Claim {
            state,
            container: Some(&self.container),
            owner: self.owner,
            owner_name: &self.owner_name,
            wanted,
            limits: &self.limits,
        }
    }

    /// Whether it could start now, had it units: its container exists and is not still clearing up its last run.
    pub(crate) fn can_start(&self, state: &State) -> bool {
        state.container(&self.container).is_some_and(|container| container.exists())
            && state.holding(&self.container).is_none()
    }
}

/// Where somebody stands: the least is the head of the line.
pub(crate) type Rank = (Reverse<i32>, Reverse<bool>, u64, Ticket);

/// The line at one moment, with what was found out about its order.
pub(crate) struct Line<'a> {
    policy: &'a Policy,
    state: &'a State,
    now: Time,
    used: BTreeMap<Uid, u64>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(policy: &'a Policy, state: &'a State, now: Time) -> Self {
        Self { policy, state, now, used: BTreeMap::new() }
    }

    /// What an owner used of late, as the line compares it.
    fn used(&mut self, owner: Uid) -> u64 {
        let (state, now, half_life) = (self.state, self.now, self.policy.rules.usage_half_life);
        *self.used.entry(owner).or_insert_with(|| usage::steps(state.recent_use(owner, now, half_life)))
    }

    pub(crate) fn rank(&mut self, waiter: &Waiter) -> Rank {
        // Nobody may overtake it any more.
        let passed = self.state.overtaken(waiter) >= self.policy.rules.overtakes_max;
        let used = if passed { 0 } else { self.used(waiter.owner) };
        (Reverse(waiter.limits.priority), Reverse(passed), used, waiter.ticket)
    }

    /// The line, the head first.
    pub(crate) fn order(&mut self) -> Vec<(Rank, &'a Waiter)> {
        let mut line: Vec<(Rank, &Waiter)> =
            self.state.waiters().map(|waiter| (self.rank(waiter), waiter)).collect();
        line.sort_unstable_by_key(|(rank, _)| *rank);
        line
    }

    /// How many stand before somebody.
    pub(crate) fn before(&mut self, waiter: &Waiter) -> usize {
        let rank = self.rank(waiter);
        let held_up: usize = self.state.held_up().filter(|other| self.rank(other) < rank).count();
        let mut before = held_up;
        for (shape, kins) in self.state.queues().shapes() {
            if shape.priority > rank.0 {
                break;
            }
            for (kin, queue) in kins {
                before += if shape.priority < rank.0 {
                    queue.len()
                } else {
                    self.before_of(kin.owner, queue, rank)
                };
            }
        }
        before
    }

    /// How many of a queue of the same priority stand before a rank.
    fn before_of(&mut self, owner: Uid, queue: &Queue, (_, Reverse(passed), used, ticket): Rank) -> usize {
        let below = queue.passed_before(self.policy.rules.overtakes_max);
        if passed {
            return queue.earlier(below.min(ticket));
        }
        let all_passed = queue.earlier(below);
        if all_passed == queue.len() {
            return all_passed;
        }
        match self.used(owner).cmp(&used) {
            std::cmp::Ordering::Less => queue.len(),
            std::cmp::Ordering::Equal => queue.earlier(ticket).max(all_passed),
            std::cmp::Ordering::Greater => all_passed,
        }
    }
}

/// The next grant to somebody in the line, if anybody can be given what he waits for.
pub(crate) fn next_grant(policy: &Policy, state: &State, now: Time) -> Option<(Grant, Ticket)> {
    if state.free().is_empty() {
        return None;
    }
    let mut turn = Turn { line: Line::new(policy, state, now), kept: BTreeSet::new() };
    let mut shapes = state.queues().shapes().peekable();
    let mut group: Vec<Asked<'_>> = Vec::new();
    while let Some((shape, kins)) = shapes.next() {
        let wanted = Wanted::new(&shape.want, shape.allow_full);
        // Who would have none of what is free neither gets nor keeps any.
        let free = wanted.count(state, Among::Free);
        if free > 0 && wanted.want.units() > 0 {
            group.push(Asked { shape, wanted, kins, free });
        }
        if shapes.peek().is_none_or(|(next, _)| next.priority != shape.priority) {
            if let Some(found) = turn.serve_the_passed(&group).or_else(|| turn.serve_the_others(&group)) {
                return Some(found);
            }
            group.clear();
        }
    }
    None
}

/// All who ask for the same.
struct Asked<'a> {
    shape: &'a Shape,
    wanted: Wanted<'a>,
    kins: &'a Kins,
    /// Free units that would do.
    free: usize,
}

/// The search for whose turn it is.
struct Turn<'a> {
    line: Line<'a>,
    /// Free units that are kept for somebody who was passed too often.
    kept: BTreeSet<UnitId>,
}

impl<'a> Turn<'a> {
    /// Serves those whom nobody may overtake any more, in order of arrival; whoever cannot be served keeps what he
    /// could use.
    fn serve_the_passed(&mut self, group: &[Asked<'a>]) -> Option<(Grant, Ticket)> {
        let times = self.line.policy.rules.overtakes_max;
        let mut queues: Vec<(&Asked<'a>, &Queue, Ticket)> = Vec::new();
        let mut heads = BinaryHeap::new();
        for asked in group {
            for queue in asked.kins.values() {
                let below = queue.passed_before(times);
                if let Some(first) = queue.first().filter(|first| *first < below) {
                    heads.push(Reverse((first, queues.len())));
                    queues.push((asked, queue, below));
                }
            }
        }
        if queues.is_empty() {
            return None;
        }
        for (asked, ticket, queue) in self.returning(group) {
            if ticket < queue.passed_before(times) {
                heads.push(Reverse((ticket, queues.len())));
                // One that stands for itself: nobody comes after it.
                queues.push((asked, queue, Ticket(0)));
            }
        }
        let mut parked: Vec<usize> = Vec::new();
        while let Some(Reverse((ticket, at))) = heads.pop() {
            let (asked, ..) = queues[at];
            let Some(waiter) = self.line.state.waiter(ticket) else { continue };
            if let Some(choice) = self.choose(waiter, &asked.wanted) {
                return Some(self.grant(waiter, choice));
            }
            // What it left, none of its queue can have; once less is left, that has to be seen anew.
            parked.push(at);
            if self.keep(waiter, &asked.wanted) {
                for at in parked.drain(..) {
                    let (_, queue, below) = queues[at];
                    heads.extend(
                        queue.after(ticket).filter(|next| *next < below).map(|next| Reverse((next, at))),
                    );
                }
            }
        }
        None
    }

    /// Serves the others: who used less of late, then who came first.
    fn serve_the_others(&mut self, group: &[Asked<'a>]) -> Option<(Grant, Ticket)> {
        let times = self.line.policy.rules.overtakes_max;
        let mut heads = Vec::new();
        for (at, asked) in group.iter().enumerate() {
            if asked.free < asked.wanted.want.units() {
                continue;
            }
            for (kin, queue) in asked.kins {
                if let Some(first) = queue.from(queue.passed_before(times)) {
                    heads.push(Reverse((self.line.used(kin.owner), first, at)));
                }
            }
        }
        for (asked, ticket, queue) in self.returning(group) {
            let at = group.iter().position(|one| std::ptr::eq(one, asked));
            if let (Some(at), Some(waiter)) = (at, self.line.state.waiter(ticket))
                && ticket >= queue.passed_before(times)
            {
                heads.push(Reverse((self.line.used(waiter.owner), ticket, at)));
            }
        }
        let mut heads = BinaryHeap::from(heads);
        while let Some(Reverse((_, ticket, at))) = heads.pop() {
            let Some(waiter) = self.line.state.waiter(ticket) else { continue };
            if let Some(choice) = self.choose(waiter, &group[at].wanted) {
                return Some(self.grant(waiter, choice));
            }
        }
        None
    }

    /// Those of a group whose own last units may be free: they may be given what the head of their queue is not.
    fn returning<'g>(&self, group: &'g [Asked<'a>]) -> Vec<(&'g Asked<'a>, Ticket, &'a Queue)> {
        let state = self.line.state;
        let found = state.returning().filter_map(|waiter| {
            let shape = Shape::of(waiter);
            let asked = group.iter().find(|asked| *asked.shape == shape)?;
            Some((asked, waiter.ticket, state.queues().of(waiter)?))
        });
        found.collect()
    }

    fn choose(&self, waiter: &Waiter, wanted: &Wanted<'_>) -> Option<Choice> {
        let may = |unit: &Unit| !self.kept.contains(&unit.id);
        waiter.claim(self.line.state, wanted).choose(self.line.now, may)
    }

    /// Keeps what somebody could use of what is free; whether anything new is kept.
    fn keep(&mut self, waiter: &Waiter, wanted: &Wanted<'_>) -> bool {
        let claim = waiter.claim(self.line.state, wanted);
        let before = self.kept.len();
        for record in wanted.smallest(self.line.state, Among::Free) {
            if !self.kept.contains(&record.unit.id) && claim.could_use(&record.unit) {
                self.kept.insert(record.unit.id.clone());
            }
        }
        self.kept.len() > before
    }

    fn grant(&self, waiter: &Waiter, mut choice: Choice) -> (Grant, Ticket) {
        let (state, now) = (self.line.state, self.line.now);
        choice.overtook = overtaken(state, waiter, &choice.units);
        let grant = Grant::local(waiter.container.clone(), waiter.owner, state.next_epoch(), choice, now);
        (grant, waiter.ticket)
    }
}

/// Those who came before a waiter, have no lower priority, and could have used one of the units that he is given.
fn overtaken(state: &State, winner: &Waiter, units: &[UnitId]) -> Option<Overtaking> {
    let units: Vec<&Unit> =
        units.iter().filter_map(|id| state.record(id)).map(|record| &*record.unit).collect();
    let mut queues = Vec::new();
    for (shape, kins) in state.queues().shapes() {
        if shape.priority.0 < winner.limits.priority {
            break;
        }
        let wanted = Wanted::new(&shape.want, shape.allow_full);
        let units: Vec<&Unit> = units.iter().copied().filter(|unit| wanted.takes(unit)).collect();
        if units.is_empty() {
            continue;
        }
        let estimate = Estimate::new(state, &wanted);
        let passed = kins.iter().filter(|(_, queue)| {
            let first = queue.first().filter(|first| *first < winner.ticket);
            let first = first.and_then(|first| state.waiter(first));
            first.is_some_and(|first| {
                let claim = first.claim(state, &wanted);
                units.iter().any(|unit| claim.could_surely_use(unit, &estimate) || claim.could_use(unit))
            })
        });
        let passed: Vec<_> = passed.map(|(kin, _)| *kin).collect();
        if !passed.is_empty() {
            queues.push((shape.clone(), passed));
        }
    }
    (!queues.is_empty()).then_some(Overtaking { winner: winner.ticket, queues })
}
