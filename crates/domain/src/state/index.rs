//! Writing parts of the state, each with what is kept of it so that a decision need not look at everything.
//!
//! Whatever is in the index follows from the rest of the state. Nothing but this file writes units, holders, holdings,
//! containers and the line.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{State, UnitRecord};
use crate::account::{Account, Entry};
use crate::container::Container;
use crate::denial::Holder;
use crate::exempt::Exempt;
use crate::grant::Holding;
use crate::ids::{ContainerId, Ticket, Time, Uid, UnitId};
use crate::line::Waiter;
use crate::queues::{Overtaking, Queues};
use crate::shelf::Shelf;
use crate::unit::{Health, Unit};

/// What follows from the rest of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Units that are not lost, and those of them that can be granted now.
    pub(super) present: Shelf,
    pub(super) free: Shelf,
    /// What each user holds.
    pub(super) accounts: OrdMap<Uid, Arc<Account>>,
    /// The units that a container had last, where nobody had them since.
    pub(super) kept_for: OrdMap<ContainerId, Vec<UnitId>>,
    /// Restarts by the time at which they are due; whether they may be made is another question.
    pub(super) restarts: OrdSet<(Time, ContainerId)>,
    pub(super) line: LineIndex,
}

/// What follows from the line and the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LineIndex {
    /// Each container's place.
    pub(super) tickets: OrdMap<ContainerId, Ticket>,
    /// Those who could start, had they units.
    pub(super) queues: Queues,
    /// The others.
    pub(super) held_up: OrdSet<Ticket>,
    /// Those whose container had units that are kept for it.
    pub(super) returning: OrdSet<Ticket>,
    /// By the time at which they give up.
    pub(super) deadlines: OrdSet<(Time, Ticket)>,
}

impl State {
    /// Writes a unit, new or changed; `None` takes it away.
    pub(super) fn write_unit(&mut self, id: &UnitId, record: Option<UnitRecord>) {
        let before = self.units.get(id).cloned();
        if let Some(before) = &before {
            self.take_from_shelves(id, before);
            if let Some(preference) = &before.preferred {
                self.no_longer_kept(id, &preference.container.clone());
            }
        }
        match record.map(Arc::new) {
            Some(record) => {
                self.put_on_shelves(id, &record);
                if let Some(preference) = &record.preferred {
                    self.kept(id, &preference.container.clone());
                }
                let known = before.is_some_and(|before| before.unit == record.unit);
                self.units.insert(id.clone(), record);
                if known {
                    return;
                }
            }
            None => drop(self.units.remove(id)),
        }
        // What its holder has may weigh something else now.
        if let Some(holder) = self.holders.get(id).cloned() {
            self.reckon(&holder);
        }
    }

    /// Changes a unit that is known.
    pub(super) fn change_unit(&mut self, id: &UnitId, change: impl FnOnce(&mut UnitRecord)) {
        if let Some(known) = self.units.get(id) {
            let mut record = UnitRecord::clone(known);
            change(&mut record);
            self.write_unit(id, Some(record));
        }
    }

    /// Writes who has a unit; answers who had it.
    pub(super) fn write_holder(
        &mut self,
        unit: &UnitId,
        holder: Option<&ContainerId>,
    ) -> Option<ContainerId> {
        let record = self.units.get(unit).cloned();
        if let Some(record) = &record {
            self.take_from_shelves(unit, record);
        }
        let before = match holder {
            Some(holder) => self.holders.insert(unit.clone(), holder.clone()),
            None => self.holders.remove(unit),
        };
        if let Some(record) = &record {
            self.put_on_shelves(unit, record);
        }
        before
    }

    fn put_on_shelves(&mut self, id: &UnitId, record: &Arc<UnitRecord>) {
        if record.health != Health::Lost {
            self.index.present.put(record);
        }
        if record.health == Health::Available && !self.holders.contains_key(id) {
            self.index.free.put(record);
        }
    }

    fn take_from_shelves(&mut self, id: &UnitId, record: &UnitRecord) {
        if record.health != Health::Lost {
            self.index.present.take(record);
        }
        if record.health == Health::Available && !self.holders.contains_key(id) {
            self.index.free.take(record);
        }
    }

    fn kept(&mut self, unit: &UnitId, container: &ContainerId) {
        let units = self.index.kept_for.entry(container.clone()).or_default();
        if let Err(at) = units.binary_search(unit) {
            units.insert(at, unit.clone());
        }
        if let Some(ticket) = self.index.line.tickets.get(container) {
            self.index.line.returning.insert(*ticket);
        }
    }

    fn no_longer_kept(&mut self, unit: &UnitId, container: &ContainerId) {
        let Some(units) = self.index.kept_for.get_mut(container) else { return };
        units.retain(|kept| kept != unit);
        if units.is_empty() {
            self.index.kept_for.remove(container);
            if let Some(ticket) = self.index.line.tickets.get(container) {
                self.index.line.returning.remove(ticket);
            }
        }
    }

    /// Writes what a container holds; `None` if it holds nothing any more. Answers what it held.
    pub(super) fn write_holding(
        &mut self,
        id: &ContainerId,
        holding: Option<Holding>,
    ) -> Option<Arc<Holding>> {
        let before = match holding {
            Some(holding) => self.holdings.insert(id.clone(), Arc::new(holding)),
            None => self.holdings.remove(id),
        };
        if let Some(before) = &before
            && self.holdings.get(id).is_none_or(|holding| holding.owner != before.owner)
        {
            self.enter(before.owner, id, None);
        }
        self.reckon(id);
        self.settle(id);
        before
    }

    /// Changes what a container holds.
    pub(super) fn change_holding(&mut self, id: &ContainerId, change: impl FnOnce(&mut Holding)) {
        if let Some(known) = self.holdings.get(id) {
            let mut holding = Holding::clone(known);
            change(&mut holding);
            self.write_holding(id, Some(holding));
        }
    }

    /// Brings the account of a holding's owner up to date.
    fn reckon(&mut self, id: &ContainerId) {
        let Some(holding) = self.holdings.get(id) else { return };
        let units = holding.units.iter().filter_map(|unit| self.units.get(unit));
        let mut units: Vec<Arc<Unit>> = units.map(|record| record.unit.clone()).collect();
        units.sort_by(|one, other| one.place().cmp(&other.place()));
        let entry = Entry {
            container: id.clone(),
            told: Arc::new(self.told(holding, units.iter().map(Arc::as_ref))),
            phase: holding.phase,
            since: holding.since,
            weight: self.weight_of(&holding.units),
            units,
        };
        self.enter(holding.owner, id, Some(entry));
    }

    /// A holding as others are told of it, with some of its units.
    pub(crate) fn told<'a>(&self, holding: &Holding, units: impl Iterator<Item = &'a Unit>) -> Holder {
        let container = self.container(&holding.container);
        Holder {
            owner: holding.owner,
            owner_name: container.map_or_else(|| holding.owner.to_string(), |c| c.owner_name.clone()),
            container_name: container
                .map_or_else(|| holding.container.short().to_owned(), |c| c.name.clone()),
            units: units.map(Unit::label).collect(),
            since: holding.since,
        }
    }

    fn enter(&mut self, owner: Uid, container: &ContainerId, entry: Option<Entry>) {
        let account = Arc::make_mut(self.index.accounts.entry(owner).or_default());
        account.put(container, entry);
        if account.is_empty() {
            self.index.accounts.remove(&owner);
        }
    }

    /// Writes a container, new or changed; `None` forgets it.
    pub(super) fn write_container(
        &mut self,
        id: &ContainerId,
        mut container: Option<Container>,
    ) -> Option<Arc<Container>> {
        if let Some(container) = &mut container {
            let of = [Exempt::Container(id.clone()), Exempt::Person(container.owner)];
            container.exempt_until = of.iter().filter_map(|of| Some(self.exemption(of)?.until)).max();
        }
        let due = container.as_ref().and_then(|container| container.restarts.due);
        let before = match container {
            Some(container) => self.containers.insert(id.clone(), Arc::new(container)),
            None => self.containers.remove(id),
        };
        let name = |container: &Container| (container.owner_name.clone(), container.name.clone());
        if before.as_deref().map(name) != self.container(id).map(name) {
            self.reckon(id);
        }
        let was_due = before.as_ref().and_then(|container| container.restarts.due);
        if was_due != due {
            was_due.map(|due| self.index.restarts.remove(&(due, id.clone())));
            due.map(|due| self.index.restarts.insert((due, id.clone())));
        }
        self.settle(id);
        before
    }

    /// Changes a container that is known; whether it is.
    pub(super) fn change_container(&mut self, id: &ContainerId, change: impl FnOnce(&mut Container)) -> bool {
        let Some(known) = self.containers.get(id) else { return false };
        let mut container = Container::clone(known);
        change(&mut container);
        self.write_container(id, Some(container));
        true
    }

    /// Puts somebody into the line.
    pub(super) fn enqueue(&mut self, waiter: &Waiter) {
        let (ticket, id) = (waiter.ticket, &waiter.container);
        let line = &mut self.index.line;
        line.tickets.insert(id.clone(), ticket);
        line.deadlines.insert((waiter.deadline, ticket));
        if self.index.kept_for.contains_key(id) {
            line.returning.insert(ticket);
        }
        let mut waiter = waiter.clone();
        waiter.missed_some = !waiter.can_start(self);
        let line = &mut self.index.line;
        if waiter.missed_some {
            line.held_up.insert(ticket);
        } else {
            line.queues.add(&waiter);
        }
        self.line.insert(ticket, Arc::new(waiter));
    }

    /// Takes somebody out of the line.
    pub(super) fn dequeue(&mut self, ticket: Ticket) {
        let Some(waiter) = self.line.remove(&ticket) else { return };
        let line = &mut self.index.line;
        line.tickets.remove(&waiter.container);
        line.deadlines.remove(&(waiter.deadline, ticket));
        line.returning.remove(&ticket);
        if line.held_up.remove(&ticket).is_none() {
            line.queues.remove(&waiter);
        }
    }

    /// Counts a grant for those whom it passed.
    pub(super) fn overtake(&mut self, overtaking: &Overtaking) {
        self.index.line.queues.overtake(overtaking);
    }

    /// Puts whoever waits with a container where he belongs: among those who could start, or not.
    fn settle(&mut self, id: &ContainerId) {
        let Some(ticket) = self.index.line.tickets.get(id).copied() else { return };
        let Some(waiter) = self.line.get(&ticket) else { return };
        let held_up = self.index.line.held_up.contains(&ticket);
        if waiter.can_start(self) != held_up {
            return;
        }
        let mut waiter = Waiter::clone(waiter);
        let line = &mut self.index.line;
        if held_up {
            line.held_up.remove(&ticket);
            line.queues.add(&waiter);
        } else {
            waiter.overtaken = line.queues.of(&waiter).map_or(0, |queue| queue.overtaken(ticket));
            line.queues.remove(&waiter);
            waiter.missed_some = true;
            line.held_up.insert(ticket);
        }
        self.line.insert(ticket, Arc::new(waiter));
    }
}
