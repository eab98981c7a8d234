//! The state: what all events so far add up to, and how to read it.
//!
//! Only [`State::apply`] changes it. A unit has at most one holder because the state has one place to write him. A
//! copy costs nothing, however much there is: it shares everything with the first until one of them changes.

mod apply;
mod carry;
mod index;

use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use imbl::{OrdMap, OrdSet};

use crate::account::Account;
use crate::container::{Container, PendingCreate};
use crate::exempt::{Exempt, Exemption};
use crate::grant::{Holding, Phase};
use crate::ids::{ContainerId, Epoch, Ticket, Time, Token, Uid, UnitId, Weight};
use crate::keep::Keeps;
use crate::line::Waiter;
use crate::queues::Queues;
use crate::restart;
use crate::shelf::Shelf;
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
    units: OrdMap<UnitId, Arc<UnitRecord>>,
    containers: OrdMap<ContainerId, Arc<Container>>,
    creates: OrdMap<Token, Arc<PendingCreate>>,
    holdings: OrdMap<ContainerId, Arc<Holding>>,
    /// Who has a unit. The holder's `Holding` names the unit, and nobody else's does.
    holders: OrdMap<UnitId, ContainerId>,
    usage: Usage,
    keeps: Keeps,
    exemptions: OrdMap<Exempt, Arc<Exemption>>,
    /// The latest epoch of any grant; none has the epoch zero.
    last_epoch: Epoch,
    latest: Time,
    /// Containers that went of late, for looks that began before. Not durable: no look outlives the daemon.
    gone: OrdMap<ContainerId, Time>,
    /// The same in the order in which they went.
    went: OrdSet<(Time, ContainerId)>,
    /// When units were given back, for the same. Not durable.
    given_back: OrdMap<UnitId, Time>,
    /// In order of arrival. Not durable, nor is `next_ticket`.
    line: OrdMap<Ticket, Arc<Waiter>>,
    next_ticket: Ticket,
    index: index::Index,
}

/// What is known of a unit, but for its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitRecord {
    pub(crate) unit: Arc<Unit>,
    pub(crate) health: Health,
    /// When it became so; the beginning of time for an available unit.
    pub(crate) since: Time,
    pub(crate) preferred: Option<Preference>,
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
        self.units.get(id).map(|record| self.view(id, record))
    }

    /// Whether somebody holds a unit.
    pub(crate) fn is_held(&self, id: &UnitId) -> bool {
        self.holders.contains_key(id)
    }

    /// One unit, without its holder.
    pub(crate) fn record(&self, id: &UnitId) -> Option<&UnitRecord> {
        self.units.get(id).map(Arc::as_ref)
    }

    /// All units, by UUID, without their holders.
    pub(crate) fn records(&self) -> impl Iterator<Item = &UnitRecord> {
        self.units.values().map(Arc::as_ref)
    }

    fn view<'a>(&'a self, id: &UnitId, record: &'a UnitRecord) -> UnitView<'a> {
        UnitView {
            unit: &record.unit,
            health: record.health,
            health_since: record.since,
            holder: self.holders.get(id).and_then(|container| self.holding(container)),
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
        self.containers.get(id).map(Arc::as_ref)
    }

    /// All containers, by id; also those that the Engine has forgotten while their units are looked after.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.values().map(Arc::as_ref)
    }

    /// The container of this name, if the Engine still has it.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Container> {
        self.containers().find(|container| container.exists() && container.name == name)
    }

    /// Creates that have not become containers yet.
    pub fn creates(&self) -> impl Iterator<Item = &PendingCreate> {
        self.creates.values().map(Arc::as_ref)
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
        self.holdings.get(container).map(Arc::as_ref)
    }

    /// All holdings, by container.
    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.holdings.values().map(Arc::as_ref)
    }

    /// What a user's containers hold together, those included whose run has just ended.
    #[must_use]
    pub fn used_by(&self, owner: Uid) -> Weight {
        self.account(owner).map_or(Weight::ZERO, Account::total)
    }

    /// What a user holds; nothing if he holds nothing.
    pub(crate) fn account(&self, owner: Uid) -> Option<&Account> {
        self.index.accounts.get(&owner).map(Arc::as_ref)
    }

    /// What each user holds who holds anything.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.index.accounts.values().map(Arc::as_ref)
    }

    /// Whether a unit is lost.
    pub(crate) fn any_lost(&self) -> bool {
        self.index.present.len() < self.units.len()
    }

    /// Units that are not lost.
    pub(crate) const fn present(&self) -> &Shelf {
        &self.index.present
    }

    /// Units that can be granted now.
    pub(crate) const fn free(&self) -> &Shelf {
        &self.index.free
    }

    /// The units that a container had last, where nobody had them since.
    pub(crate) fn kept_for(&self, container: &ContainerId) -> &[UnitId] {
        self.index.kept_for.get(container).map_or(&[], Vec::as_slice)
    }

    /// A user's use up to now: thousandths of a card times milliseconds, halved with every half-life.
    #[must_use]
    pub fn recent_use(&self, owner: Uid, now: Time, half_life: Duration) -> u64 {
        let entries = self.account(owner).map_or(&[][..], Account::entries);
        let running = entries.iter().fold(0, |sum: u64, entry| {
            let ms = now.0.saturating_sub(entry.since.0);
            sum.saturating_add(ms.saturating_mul(u64::from(entry.weight.as_milli())))
        });
        self.usage.recent(owner, now, half_life).saturating_add(running)
    }

    /// What these units weigh together.
    #[must_use]
    pub fn weight_of(&self, units: &[UnitId]) -> Weight {
        weigh(units.iter().filter_map(|id| self.units.get(id).map(|record| &*record.unit)))
    }

    /// Whether this place in the line is taken.
    #[must_use]
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.line.contains_key(&ticket)
    }

    /// The time that people's containers were given.
    pub(crate) const fn keeps(&self) -> &Keeps {
        &self.keeps
    }

    /// All exemptions; some may be over.
    pub(crate) fn all_exemptions(&self) -> impl Iterator<Item = &Exemption> {
        self.exemptions.values().map(Arc::as_ref)
    }

    /// One exemption; it may be over.
    pub(crate) fn exemption(&self, of: &Exempt) -> Option<&Exemption> {
        self.exemptions.get(of).map(Arc::as_ref)
    }

    /// A container's place in the line.
    #[must_use]
    pub fn waiter_of(&self, container: &ContainerId) -> Option<&Waiter> {
        self.index.line.tickets.get(container).and_then(|ticket| self.waiter(*ticket))
    }

    /// Whoever has this place in the line.
    pub(crate) fn waiter(&self, ticket: Ticket) -> Option<&Waiter> {
        self.line.get(&ticket).map(Arc::as_ref)
    }

    /// Those who wait, in order of arrival.
    pub fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.line.values().map(Arc::as_ref)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Those of them who could start, had they units.
    pub(crate) const fn queues(&self) -> &Queues {
        &self.index.line.queues
    }

    /// The others.
    pub(crate) fn held_up(&self) -> impl Iterator<Item = &Waiter> {
        self.index.line.held_up.iter().filter_map(|ticket| self.waiter(*ticket))
    }

    /// Those whose container had units that are kept for it.
    pub(crate) fn returning(&self) -> impl Iterator<Item = &Waiter> {
        self.index.line.returning.iter().filter_map(|ticket| self.waiter(*ticket))
    }

    /// Those who have waited as long as they could by now.
    pub(crate) fn overdue(&self, now: Time) -> impl Iterator<Item = &Waiter> {
        let due = self.index.line.deadlines.range(..=(now, Ticket(u64::MAX)));
        due.filter_map(|(_, ticket)| self.waiter(*ticket))
    }

    /// How many who came later, and are of no higher priority, were given units that somebody could have used.
    pub(crate) fn overtaken(&self, waiter: &Waiter) -> u32 {
        self.queues().of(waiter).map_or(waiter.overtaken, |queue| queue.overtaken(waiter.ticket))
    }

    /// The containers whose restart is due by now, whether or not it may be made.
    pub(crate) fn restarts_due(&self, now: Time) -> impl Iterator<Item = &Container> {
        let due = self.index.restarts.iter().take_while(move |(due, _)| *due <= now);
        due.filter_map(|(_, id)| self.container(id))
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
            gone: OrdMap::new(),
            went: OrdSet::new(),
            given_back: OrdMap::new(),
            line: OrdMap::new(),
            next_ticket: Ticket::default(),
            index: index::Index { line: index::LineIndex::default(), ..self.index.clone() },
            ..self.clone()
        }
    }

    /// The next time after now at which `plan` has something to do that no look reveals: the end of a wait, a
    /// restart, a start that should have shown, a unit that stays dirty. Nobody needs to ask before then.
    #[must_use]
    pub fn next_due(&self, now: Time) -> Option<Time> {
        let after = |due: &(Time, Ticket)| due.0;
        let later = (Excluded((now, Ticket(u64::MAX))), Unbounded);
        let waits = self.index.line.deadlines.range(later).next().map(after);
        let mut restarts = self.index.restarts.iter().filter(|(due, _)| *due > now);
        let restarts =
            restarts.find(|(_, id)| self.container(id).is_some_and(|c| restart::may_start(self, c)));
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
        let restarts = restarts.map(|(due, _)| *due);
        waits.into_iter().chain(restarts).chain(starts.chain(dirty).filter(|due| *due > now)).min()
    }
}
