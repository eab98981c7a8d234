//! The state: what all events so far add up to, and how to read it.
//!
//! Only [`State::apply`] changes it. A unit has at most one holder because the state has one place to write him.

mod apply;
mod carry;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::container::{Container, PendingCreate};
use crate::grant::{Holding, Phase};
use crate::ids::{ContainerId, Epoch, Ticket, Time, Token, Uid, UnitId, Weight};
use crate::line::Waiter;
use crate::restart;
use crate::unit::{Health, Preference, Unit, weigh};
use crate::usage::Usage;

/// Dirty for longer than this is draining: no process takes so long to end by itself.
pub const DIRTY_GRACE: Duration = Duration::from_secs(30);

/// How long a start may take to show after its grant. A look sooner than this says nothing about a start that nobody
/// has answered yet.
pub const START_SETTLE: Duration = Duration::from_secs(10);

/// How long a create that nobody waits for any more may take to show. Giving it up early would leave a container that
/// nobody owns; giving it up late costs nothing.
pub const CREATE_SETTLE: Duration = Duration::from_secs(120);

/// How long a container that is no more is remembered: longer than any look takes.
const GONE_REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Everything that the rules know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    units: BTreeMap<UnitId, UnitRecord>,
    containers: BTreeMap<ContainerId, Container>,
    creates: BTreeMap<Token, PendingCreate>,
    holdings: BTreeMap<ContainerId, Holding>,
    /// Who has a unit. The holder's `Holding` names the unit, and nobody else's does.
    holders: BTreeMap<UnitId, ContainerId>,
    usage: Usage,
    /// The latest epoch of any grant; none has the epoch zero.
    last_epoch: Epoch,
    latest: Time,
    /// Containers that went of late, for looks that began before. Not durable: no look outlives the daemon.
    gone: BTreeMap<ContainerId, Time>,
    /// When units were given back, for the same. Not durable.
    given_back: BTreeMap<UnitId, Time>,
    /// In order of arrival. Not durable, nor is `next_ticket`.
    line: Vec<Waiter>,
    next_ticket: Ticket,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct UnitRecord {
    unit: Unit,
    health: Health,
    /// When it became so; the beginning of time for an available unit.
    since: Time,
    preferred: Option<Preference>,
}

/// A unit and all that is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitView<'a> {
    /// The unit.
    pub unit: &'a Unit,
    /// Whether it can be given out.
    pub health: Health,
    /// When its health last changed.
    pub health_since: Time,
    /// Who holds it, if anybody does.
    pub holder: Option<&'a Holding>,
    /// For whom it is kept to the last; the claim may be over.
    pub preferred: Option<&'a Preference>,
}

impl UnitView<'_> {
    /// Whether it can be granted now.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.health == Health::Available && self.holder.is_none()
    }
}

impl State {
    /// All units, by UUID.
    pub fn units(&self) -> impl Iterator<Item = UnitView<'_>> {
        self.units.iter().map(|(id, record)| self.view(id, record))
    }

    /// One unit.
    #[must_use]
    pub fn unit(&self, id: &UnitId) -> Option<UnitView<'_>> {
        self.units.get_key_value(id).map(|(id, record)| self.view(id, record))
    }

    fn view<'a>(&'a self, id: &'a UnitId, record: &'a UnitRecord) -> UnitView<'a> {
        UnitView {
            unit: &record.unit,
            health: record.health,
            health_since: record.since,
            holder: self.holders.get(id).and_then(|container| self.holdings.get(container)),
            preferred: record.preferred.as_ref(),
        }
    }

    /// A unit's name for people, `0:1`; the UUID of one that is no more.
    #[must_use]
    pub fn label(&self, id: &UnitId) -> String {
        self.units.get(id).map_or_else(|| id.to_string(), |record| record.unit.label())
    }

    /// A container by id.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> Option<&Container> {
        self.containers.get(id)
    }

    /// All containers, by id; also those that the Engine has forgotten while their units are looked after.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.values()
    }

    /// The container of this name, if the Engine still has it.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Container> {
        self.containers.values().find(|container| container.exists() && container.name == name)
    }

    /// Creates that have not become containers yet.
    pub fn creates(&self) -> impl Iterator<Item = &PendingCreate> {
        self.creates.values()
    }

    /// When somebody gave a unit back, if that was since the daemon began.
    pub(crate) fn given_back(&self, unit: &UnitId) -> Option<Time> {
        self.given_back.get(unit).copied()
    }

    /// When a container went that is no more, if that was of late.
    pub(crate) fn gone_since(&self, container: &ContainerId) -> Option<Time> {
        self.gone.get(container).copied()
    }

    /// What a container holds.
    #[must_use]
    pub fn holding(&self, container: &ContainerId) -> Option<&Holding> {
        self.holdings.get(container)
    }

    /// All holdings, by container.
    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.holdings.values()
    }

    /// What a user's containers hold together, those included whose run has just ended.
    #[must_use]
    pub fn used_by(&self, owner: Uid) -> Weight {
        weigh(self.units_of(owner, |_| true))
    }

    /// The units of a user's holdings of some kind.
    pub(crate) fn units_of(
        &self,
        owner: Uid,
        which: impl Fn(&Holding) -> bool,
    ) -> impl Iterator<Item = &Unit> {
        self.holdings
            .values()
            .filter(move |holding| holding.owner == owner && which(holding))
            .flat_map(|holding| &holding.units)
            .filter_map(|id| self.units.get(id).map(|record| &record.unit))
    }

    /// A user's use up to now: thousandths of a card times milliseconds, halved with every half-life.
    #[must_use]
    pub fn recent_use(&self, owner: Uid, now: Time, half_life: Duration) -> u64 {
        let running =
            self.holdings.values().filter(|holding| holding.owner == owner).fold(0, |sum: u64, holding| {
                let ms = now.0.saturating_sub(holding.since.0);
                sum.saturating_add(ms.saturating_mul(u64::from(self.weight_of(&holding.units).as_milli())))
            });
        self.usage.recent(owner, now, half_life).saturating_add(running)
    }

    /// What these units weigh together.
    #[must_use]
    pub fn weight_of(&self, units: &[UnitId]) -> Weight {
        weigh(units.iter().filter_map(|id| self.units.get(id).map(|record| &record.unit)))
    }

    /// Whether this place in the line is taken.
    #[must_use]
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.line.iter().any(|waiter| waiter.ticket == ticket)
    }

    /// A container's place in the line.
    #[must_use]
    pub fn waiter_of(&self, container: &ContainerId) -> Option<&Waiter> {
        self.line.iter().find(|waiter| waiter.container == *container)
    }

    /// Those who wait, in order of arrival.
    pub fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.line.iter()
    }

    /// The next place in the line.
    #[must_use]
    pub const fn next_ticket(&self) -> Ticket {
        self.next_ticket
    }

    /// The epoch of the next grant.
    #[must_use]
    pub fn next_epoch(&self) -> Epoch {
        self.last_epoch.next()
    }

    /// The latest time of any event: the clock must not be behind it.
    #[must_use]
    pub const fn latest(&self) -> Time {
        self.latest
    }

    /// The state without the line and what else dies with the daemon, which is what replaying the ledger gives.
    #[must_use]
    pub fn durable(&self) -> Self {
        Self {
            gone: BTreeMap::new(),
            given_back: BTreeMap::new(),
            line: Vec::new(),
            next_ticket: Ticket::default(),
            ..self.clone()
        }
    }

    /// The next time after now at which `plan` has something to do that no look reveals: the end of a wait, a
    /// restart, a start that should have shown, a unit that stays dirty. Nobody needs to ask before then.
    #[must_use]
    pub fn next_due(&self, now: Time) -> Option<Time> {
        let waits = self.line.iter().map(|waiter| waiter.deadline);
        let restarts =
            self.containers.values().filter(|c| restart::may_start(self, c)).filter_map(|c| c.restarts.due);
        let starts = self
            .holdings
            .values()
            .filter(|holding| matches!(holding.phase, Phase::Reserved | Phase::Bound))
            .map(|holding| Time(holding.changed.after(START_SETTLE).0.saturating_add(1)));
        let dirty = self
            .units
            .values()
            .filter(|record| record.health == Health::Dirty)
            .map(|record| record.since.after(DIRTY_GRACE));
        waits.chain(restarts).chain(starts).chain(dirty).filter(|due| *due > now).min()
    }
}
