//! `decide`: may this be created, may this start? The answer is a grant, a place in the line, or a denial.
//!
//! It changes nothing. Whoever asked records what follows: `Event::Reserved` of a grant, [`Wait::into_event`] of a
//! wait.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::account::Account;
use crate::choose::{Among, Claim, Estimate, Wanted, resolve, running_names};
use crate::container::Container;
use crate::denial::{Denial, Holder, Timeout};
use crate::event::Event;
use crate::grant::{Grant, Phase};
use crate::ids::{ContainerId, Ticket, Time};
use crate::line::{Line, Waiter, next_grant};
use crate::policy::{Person, Policy};
use crate::queues::Shape;
use crate::state::State;
use crate::unit::{Health, Place, Unit};
use crate::want::Want;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// May this person create a container that wants this?
    Create {
        /// Whose container it will be.
        person: &'a Person,
        /// What it asks for.
        want: Option<&'a Want>,
        /// How many containers of his run or are being made.
        running_containers: u32,
    },
    /// May this container start?
    Start {
        /// The container's owner, whoever asks: it is his quota.
        person: &'a Person,
        /// The container.
        container: &'a ContainerId,
        /// How long it waits in line at most; `None` is as long as the owner's limits say.
        patience: Option<Duration>,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It may be created.
    Admit(Admission),
    /// It may start with these units, once the grant is recorded.
    Grant(Grant),
    /// It may start later.
    Wait(Box<Wait>),
    /// It asked for no GPU: nothing has to be decided.
    NoGpu,
    /// It holds its units already: it runs, or is being started.
    AlreadyHolding,
    /// It may not.
    Denial(Denial),
}

/// Proof that a create was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    want: Option<Want>,
}

impl Admission {
    /// The want to record: units by UUID, nothing for a want of no units.
    #[must_use]
    pub const fn want(&self) -> Option<&Want> {
        self.want.as_ref()
    }
}

/// A place in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Its number.
    pub ticket: Ticket,
    /// 1 is the head of the line.
    pub position: usize,
    /// How many wait.
    pub of: usize,
    /// Why it waits.
    pub reason: WaitReason,
    /// Who holds the units that would do.
    pub holders: Arc<[Arc<Holder>]>,
    /// When it gives up.
    pub deadline: Time,
    waiter: Waiter,
}

impl Wait {
    /// The container that waits.
    #[must_use]
    pub const fn container(&self) -> &ContainerId {
        &self.waiter.container
    }

    /// The waiter, as the line knows it.
    #[must_use]
    pub const fn waiter(&self) -> &Waiter {
        &self.waiter
    }

    /// The fact to record, for the wait to begin.
    #[must_use]
    pub fn into_event(self) -> Event {
        Event::Queued(Box::new(self.waiter))
    }
}

/// Why a start waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitReason {
    /// Its own last run is not cleared away.
    LastRun,
    /// What the owner stopped a moment ago is not cleared away, and counts until then.
    QuotaClearing,
    /// None that would do is free.
    NoneFree,
    /// Some are free, but too few.
    TooFew {
        /// Free.
        free: usize,
        /// Asked for.
        asked: usize,
    },
    /// What is free is kept for somebody who was passed too often.
    Kept,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastRun => f.write_str("the last run of this container is being cleared away"),
            Self::QuotaClearing => f.write_str("a container that you stopped is being cleared away"),
            Self::NoneFree => f.write_str("no GPU that would do is free"),
            Self::TooFew { free, asked } => {
                write!(f, "{free} of the {asked} GPUs {} free", if *free == 1 { "is" } else { "are" })
            }
            Self::Kept => f.write_str("the next free GPU goes to somebody who has waited longer"),
        }
    }
}

/// Decides one request on the state as it is.
pub fn decide(policy: &Policy, state: &State, request: &Request<'_>, now: Time) -> Decision {
    match *request {
        Request::Create { person, want, running_containers } => {
            match admit(policy, state, person, want, running_containers) {
                Ok(admission) => Decision::Admit(admission),
                Err(denial) => Decision::Denial(denial),
            }
        }
        Request::Start { person, container, patience } => {
            start(policy, state, person, container, patience, now)
        }
    }
}

fn admit(
    policy: &Policy,
    state: &State,
    person: &Person,
    want: Option<&Want>,
    running: u32,
) -> Result<Admission, Denial> {
    let limits = policy.resolve(person);
    if let Some(max) = limits.max_containers_per_user.filter(|max| running >= *max) {
        return Err(Denial::Containers { running, max });
    }
    let Some(want) = want.map(|want| resolve(state, want)).transpose()?.flatten() else {
        return Ok(Admission { want: None });
    };
    let (owner, owner_name) = (person.uid, person.name.as_str());
    let wanted = Wanted::new(&want, limits.allow_full_gpu);
    Claim { state, container: None, owner, owner_name, wanted: &wanted, limits: &limits }.judge_ever()?;
    Ok(Admission { want: Some(want) })
}

fn start(
    policy: &Policy,
    state: &State,
    person: &Person,
    id: &ContainerId,
    patience: Option<Duration>,
    now: Time,
) -> Decision {
    let Some(container) = state.container(id).filter(|container| container.exists()) else {
        return Decision::Denial(Denial::UnknownContainer { container: id.clone() });
    };
    if state.holding(id).is_some_and(|holding| holding.phase != Phase::Ending) {
        return Decision::AlreadyHolding;
    }
    let want = match container.want.as_ref().map(|want| resolve(state, want)).transpose() {
        Ok(Some(Some(want))) => want,
        Ok(_) => return Decision::NoGpu,
        Err(denial) => return Decision::Denial(denial),
    };
    if state.waiter_of(id).is_some() {
        return Decision::Denial(Denial::Waiting { name: container.name.clone() });
    }
    let waiter = arrival(policy, state, person, container, want, patience, now);
    if let Err(denial) = waiter.claim(state, &waiter.wanted()).judge_now() {
        return Decision::Denial(denial);
    }
    let ticket = waiter.ticket;
    let brief = waiter.deadline <= now;
    // Whoever comes takes his place in the line, and is served at once if it is his turn: nobody jumps it.
    let mut line = state.clone();
    line.apply(&Event::Queued(Box::new(waiter)));
    if let Some(grant) = turn(policy, &line, ticket, now) {
        return Decision::Grant(grant);
    }
    match Waits::new(policy, &line, now).of(ticket) {
        Some(wait) if brief => Decision::Denial(timeout(&line, &wait, now)),
        Some(wait) => Decision::Wait(Box::new(wait)),
        None => Decision::Denial(Denial::UnknownContainer { container: id.clone() }),
    }
}

/// A container's owner as somebody who comes to the line.
fn arrival(
    policy: &Policy,
    state: &State,
    person: &Person,
    container: &Container,
    want: Want,
    patience: Option<Duration>,
    now: Time,
) -> Waiter {
    let limits = policy.resolve(person);
    Waiter {
        ticket: state.next_ticket(),
        container: container.id.clone(),
        name: container.name.clone(),
        owner: container.owner,
        owner_name: container.owner_name.clone(),
        want,
        arrived: now,
        deadline: now.after(patience.unwrap_or(limits.start_wait)),
        limits: Arc::new(limits),
        overtaken: 0,
        missed_some: false,
    }
}

/// Whoever asks for a start as he would stand in the line, for tests of the line.
#[cfg(test)]
pub(crate) fn newcomer(
    policy: &Policy,
    state: &State,
    person: &Person,
    id: &ContainerId,
    now: Time,
) -> Waiter {
    let container = state.container(id).expect("a container");
    let want = container.want.clone().expect("a want");
    arrival(policy, state, person, container, want, None, now)
}

/// The grant to this place in the line, after those that come before it.
fn turn(policy: &Policy, line: &State, ticket: Ticket, now: Time) -> Option<Grant> {
    let (grant, served) = next_grant(policy, line, now)?;
    if served == ticket {
        return Some(grant);
    }
    let mut line = line.clone();
    line.apply(&Event::Reserved(grant));
    turn(policy, &line, ticket, now)
}

/// Where waiting starts stand, all at one moment: what was found out for one is not looked for again for the next.
pub(crate) struct Waits<'a> {
    state: &'a State,
    now: Time,
    line: Line<'a>,
    /// The line in order, once many were asked for.
    order: Vec<crate::line::Rank>,
    asked: usize,
    /// Who holds what would do, by what is asked for.
    holders: BTreeMap<Shape, Arc<[Arc<Holder>]>>,
}

/// Places that are counted one by one; for more of them the whole line is put in order.
const COUNTED_MAX: usize = 8;

impl<'a> Waits<'a> {
    pub(crate) fn new(policy: &'a Policy, state: &'a State, now: Time) -> Self {
        let line = Line::new(policy, state, now);
        Self { state, now, line, order: Vec::new(), asked: 0, holders: BTreeMap::new() }
    }

    /// Where this one stands.
    pub(crate) fn of(&mut self, ticket: Ticket) -> Option<Wait> {
        let waiter = self.state.waiter(ticket)?;
        let wanted = waiter.wanted();
        let state = self.state;
        let holders =
            self.holders.entry(Shape::of(waiter)).or_insert_with(|| holders(state, &wanted)).clone();
        Some(Wait {
            ticket,
            position: self.before(waiter) + 1,
            of: state.waiting(),
            reason: reason(state, &waiter.claim(state, &wanted), self.now),
            holders,
            deadline: waiter.deadline,
            waiter: waiter.clone(),
        })
    }

    fn before(&mut self, waiter: &Waiter) -> usize {
        self.asked += 1;
        if self.asked <= COUNTED_MAX {
            return self.line.before(waiter);
        }
        if self.order.is_empty() {
            self.order = self.line.order().into_iter().map(|(rank, _)| rank).collect();
        }
        let rank = self.line.rank(waiter);
        self.order.partition_point(|other| *other < rank)
    }
}

fn reason(state: &State, claim: &Claim<'_>, now: Time) -> WaitReason {
    if claim.container.is_some_and(|container| state.holding(container).is_some()) {
        return WaitReason::LastRun;
    }
    let entries = state.account(claim.owner).map_or(&[][..], |account| account.entries());
    if entries.iter().any(|entry| entry.is_ending()) && !claim.sufficient().any(|unit| claim.could_use(unit))
    {
        return WaitReason::QuotaClearing;
    }
    let free =
        claim.wanted.smallest(state, Among::Free).filter(|record| claim.could_use(&record.unit)).count();
    match free {
        0 => WaitReason::NoneFree,
        _ if claim.choose(now, |unit| claim.could_use(unit)).is_some() => WaitReason::Kept,
        free => WaitReason::TooFew { free, asked: claim.wanted.want.units() },
    }
}

/// Who holds the units that would do, in the order in which people count units.
fn holders(state: &State, wanted: &Wanted<'_>) -> Arc<[Arc<Holder>]> {
    let any_lost = state.any_lost();
    let is_lost = |unit: &Unit| any_lost && state.record(&unit.id).is_some_and(|r| r.health == Health::Lost);
    let mut holders: Vec<(Place<'_>, &ContainerId, Arc<Holder>)> = state
        .accounts()
        .flat_map(Account::entries)
        .filter_map(|entry| {
            let would_do = |unit: &&Unit| wanted.takes(unit) && !is_lost(unit);
            let units = || entry.units.iter().map(Arc::as_ref).filter(would_do);
            let first = units().next()?.place();
            let told = match units().count() == entry.units.len() {
                true => entry.told.clone(),
                false => Arc::new(state.told(state.holding(&entry.container)?, units())),
            };
            Some((first, &entry.container, told))
        })
        .collect();
    holders.sort_unstable_by_key(|(place, ..)| *place);
    holders.into_iter().map(|(_, _, holder)| holder).collect()
}

fn timeout(state: &State, wait: &Wait, now: Time) -> Denial {
    let waiter = &wait.waiter;
    Denial::Timeout(Box::new(Timeout {
        waited: wait.deadline.since(waiter.arrived),
        own: running_names(state, waiter.owner, Some(&waiter.container)),
        position: wait.position,
        of: wait.of,
        holders: wait.holders.clone(),
        at: now,
    }))
}

/// Why somebody in the line has to leave it now, if he has to.
pub(crate) fn dismissal(waits: &mut Waits<'_>, waiter: &Waiter) -> Option<Denial> {
    let (state, now) = (waits.state, waits.now);
    if state.container(&waiter.container).is_none_or(|container| !container.exists()) {
        return Some(Denial::cancelled(&waiter.name));
    }
    if state.holding(&waiter.container).is_some_and(|holding| holding.phase != Phase::Ending) {
        return Some(Denial::Running { name: waiter.name.clone() });
    }
    if let Err(denial) = waiter.claim(state, &waiter.wanted()).judge_now() {
        return Some(denial);
    }
    if waiter.deadline > now {
        return None;
    }
    waits.of(waiter.ticket).map(|wait| timeout(state, &wait, now))
}

/// Those in the line who may have to leave it now, the head of it first: the others need not be looked at one by one.
pub(crate) fn doubtful<'a>(policy: &Policy, state: &'a State, now: Time) -> Vec<&'a Waiter> {
    let mut doubtful: Vec<&Waiter> = state.held_up().chain(state.overdue(now)).collect();
    // Nobody holds more than this: what it leaves room for is not asked of each.
    let most =
        state.accounts().map(Account::running).reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)));
    let most = most.unwrap_or_default();
    for (shape, kins) in state.queues().shapes() {
        let wanted = Wanted::new(&shape.want, shape.allow_full);
        let estimate = Estimate::new(state, &wanted);
        for (kin, queue) in kins {
            let held = || state.account(kin.owner).map(Account::running).unwrap_or_default();
            let sure = |held| estimate.allows(held, kin.max, shape.slots);
            if !sure(most) && !sure(held()) {
                doubtful.extend(queue.tickets().filter_map(|ticket| state.waiter(ticket)));
            }
        }
    }
    let mut line = Line::new(policy, state, now);
    let mut ranked: Vec<_> = doubtful.into_iter().map(|waiter| (line.rank(waiter), waiter)).collect();
    ranked.sort_unstable_by_key(|(rank, _)| *rank);
    ranked.dedup_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, waiter)| waiter).collect()
}

impl State {
    /// Everybody who waits, the head of the line first.
    #[must_use]
    pub fn waits(&self, policy: &Policy, now: Time) -> Vec<Wait> {
        let mut waits = Waits::new(policy, self, now);
        let line = Line::new(policy, self, now).order();
        line.into_iter().filter_map(|(_, waiter)| waits.of(waiter.ticket)).collect()
    }

    /// Where one container waits, if it does.
    #[must_use]
    pub fn wait_of(&self, policy: &Policy, container: &ContainerId, now: Time) -> Option<Wait> {
        let ticket = self.waiter_of(container)?.ticket;
        Waits::new(policy, self, now).of(ticket)
    }
}
