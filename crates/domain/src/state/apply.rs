//! How each event changes the state.
//!
//! Total and deterministic: an event that does not fit (a late one, a second one, one about something unknown)
//! changes nothing. That is what makes late events harmless: they carry an epoch that is over.

use std::time::Duration;

use super::{GONE_REMEMBERED, State, UnitRecord};
use crate::container::{Container, Kind, PendingCreate, RestartPolicy, Restarts, Standing};
use crate::event::{Carried, Event};
use crate::grant::{Grant, Holding, Issuer, Phase};
use crate::ids::{ContainerId, Epoch, Ticket, Time, Token, Uid, UnitId};
use crate::policy::GPU_HOLD_AFTER_STOP;
use crate::unit::{Health, Preference, Unit};
use crate::want::Want;

impl State {
    /// Makes a fact part of the state.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::UnitSeen(unit) => self.unit_seen(unit),
            Event::UnitGone { unit, at } => self.unit_gone(unit, *at),
            Event::Health { unit, health, at } => self.health(unit, *health, *at),
            Event::CreatePlanned { token, owner, owner_name, name, kind, want, restart, auto_remove, at } => {
                let create = PendingCreate {
                    token: token.clone(),
                    owner: *owner,
                    owner_name: owner_name.clone(),
                    name: name.clone(),
                    kind: *kind,
                    want: want.clone(),
                    restart: *restart,
                    auto_remove: *auto_remove,
                    at: *at,
                };
                self.passed(*at);
                self.creates.insert(token.clone(), create);
            }
            Event::Created { token, container, at } => self.created(token, container, *at),
            Event::CreateAbandoned { token } => {
                self.creates.remove(token);
            }
            Event::Renamed { container, name } => {
                if let Some(known) = self.containers.get_mut(container) {
                    known.name.clone_from(name);
                }
            }
            Event::RestartChanged { container, restart } => self.restart_changed(container, *restart),
            Event::Removed { container, at } => self.removed(container, *at),
            Event::Reserved(grant) => self.reserved(grant),
            Event::Bound { container, epoch, at } => self.bound(container, *epoch, *at),
            Event::Ran { container, epoch, at } => self.ran(container, *epoch, *at),
            Event::StopAsked { container, at } => {
                self.passed(*at);
                if let Some(known) = self.containers.get_mut(container) {
                    known.stop_asked = true;
                    known.restarts.stopped();
                }
            }
            Event::Ended { container, epoch, at, exit, by_user } => {
                self.ended(container, *epoch, *at, *exit, *by_user);
            }
            Event::Released { container, epoch, at } => self.released(container, *epoch, *at),
            Event::Adopted { container, owner, owner_name, name, epoch, units, at } => {
                self.introduce(container, *owner, owner_name, name, units.len(), *at);
                self.adopted(container, *epoch, units, *at);
            }
            Event::RestartTried { container, attempt, at } => {
                self.passed(*at);
                if let Some(known) = self.containers.get_mut(container) {
                    known.restarts.tried(*attempt, *at, known.restart);
                }
            }
            Event::Carried(part) => self.carried(part),
            Event::Queued(waiter) => {
                self.next_ticket = self.next_ticket.max(Ticket(waiter.ticket.0.saturating_add(1)));
                if self.waiter_of(&waiter.container).is_none() {
                    self.line.push(waiter.as_ref().clone());
                }
            }
            Event::Left { ticket, .. } => self.line.retain(|waiter| waiter.ticket != *ticket),
        }
    }

    fn passed(&mut self, at: Time) {
        self.latest = self.latest.max(at);
    }

    fn unit_seen(&mut self, unit: &Unit) {
        let record = self.units.entry(unit.id.clone()).or_insert_with(|| UnitRecord {
            unit: unit.clone(),
            health: Health::Available,
            since: Time::default(),
            preferred: None,
        });
        record.unit = unit.clone();
        if record.health == Health::Lost {
            record.health = Health::Available;
            record.since = Time::default();
        }
    }

    fn unit_gone(&mut self, unit: &UnitId, at: Time) {
        self.passed(at);
        if self.holders.contains_key(unit) {
            self.health(unit, Health::Lost, at);
        } else {
            self.units.remove(unit);
            self.given_back.remove(unit);
        }
    }

    fn health(&mut self, unit: &UnitId, health: Health, at: Time) {
        self.passed(at);
        if let Some(record) = self.units.get_mut(unit) {
            record.health = health;
            record.since = if health == Health::Available { Time::default() } else { at };
        }
    }

    fn created(&mut self, token: &Token, id: &ContainerId, at: Time) {
        self.passed(at);
        let Some(create) = self.creates.remove(token) else { return };
        let found = self.containers.remove(id);
        let container = Container {
            id: id.clone(),
            token: Some(create.token),
            owner: create.owner,
            owner_name: create.owner_name,
            name: create.name,
            kind: create.kind,
            want: create.want,
            restart: create.restart,
            auto_remove: create.auto_remove,
            created: at,
            // One that was found running before its create was known goes on running.
            standing: found.as_ref().map_or(Standing::Created, |c| c.standing),
            running_total: found.as_ref().map_or(Duration::ZERO, |c| c.running_total),
            last_units: found.map_or_else(Vec::new, |c| c.last_units),
            stop_asked: false,
            restarts: Restarts::default(),
        };
        self.containers.insert(id.clone(), container);
    }

    fn restart_changed(&mut self, id: &ContainerId, restart: RestartPolicy) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.restart = restart;
        if restart == RestartPolicy::No {
            container.restarts.due = None;
        }
    }

    fn removed(&mut self, id: &ContainerId, at: Time) {
        self.passed(at);
        if let Some(epoch) = self.holdings.get(id).map(|holding| holding.epoch) {
            self.ended(id, epoch, at, None, true);
            if let Some(container) = self.containers.get_mut(id) {
                container.standing = Standing::Removed;
            }
        } else {
            self.forget(id, at);
        }
    }

    fn forget(&mut self, id: &ContainerId, at: Time) {
        self.containers.remove(id);
        self.gone.retain(|_, went| at.since(*went) < GONE_REMEMBERED);
        self.gone.insert(id.clone(), at);
    }

    fn reserved(&mut self, grant: &Grant) {
        self.passed(grant.at());
        self.last_epoch = self.last_epoch.max(grant.epoch());
        let id = grant.container();
        let taken = grant.units().iter().any(|unit| self.holders.contains_key(unit));
        // Two grants of one unit can only be a damaged history: the first stands, and a look will tell.
        if taken || self.holdings.contains_key(id) {
            return;
        }
        self.line.retain(|waiter| waiter.container != *id);
        for waiter in self.line.iter_mut().filter(|waiter| grant.overtook().contains(&waiter.ticket)) {
            waiter.overtaken = waiter.overtaken.saturating_add(1);
        }
        for unit in grant.units() {
            self.holders.insert(unit.clone(), id.clone());
            if let Some(record) = self.units.get_mut(unit) {
                record.preferred = None;
            }
        }
        let holding = Holding {
            container: id.clone(),
            owner: grant.owner(),
            epoch: grant.epoch(),
            units: grant.units().to_vec(),
            phase: Phase::Reserved,
            since: grant.at(),
            changed: grant.at(),
            issuer: grant.issuer().clone(),
            hold_after_stop: grant.hold_after_stop(),
        };
        self.holdings.insert(id.clone(), holding);
        if let Some(container) = self.containers.get_mut(id) {
            container.standing = Standing::Starting;
            container.stop_asked = false;
            if !container.restarts.ours {
                container.restarts = Restarts::default();
            }
            container.restarts.due = None;
        }
    }

    /// The holding of this epoch, in case the event is not late.
    fn current(&mut self, id: &ContainerId, epoch: Epoch) -> Option<&mut Holding> {
        self.holdings.get_mut(id).filter(|holding| holding.epoch == epoch)
    }

    fn bound(&mut self, id: &ContainerId, epoch: Epoch, at: Time) {
        self.passed(at);
        let Some(holding) = self.current(id, epoch).filter(|holding| holding.phase != Phase::Ending) else {
            return;
        };
        // Also of one that ran: whoever is bound anew is being started anew, and an older look knows only the end.
        let anew = std::mem::replace(&mut holding.phase, Phase::Bound) == Phase::Running;
        holding.changed = at;
        if let Some(container) = self.containers.get_mut(id).filter(|container| container.exists()) {
            container.running_total = container.running_total_at(at);
            container.standing = Standing::Starting;
            if anew {
                // A person restarts it: what was asked of the run before, and how often it failed, is over.
                container.stop_asked = false;
                container.restarts = Restarts::default();
            }
        }
    }

    fn ran(&mut self, id: &ContainerId, epoch: Epoch, at: Time) {
        self.passed(at);
        let Some(holding) = self.current(id, epoch) else { return };
        if !matches!(holding.phase, Phase::Reserved | Phase::Bound) {
            return;
        }
        holding.phase = Phase::Running;
        holding.changed = at;
        let units = holding.units.clone();
        if let Some(container) = self.containers.get_mut(id) {
            container.standing = Standing::Running { since: at };
            container.last_units = units;
        }
    }

    fn ended(&mut self, id: &ContainerId, epoch: Epoch, at: Time, exit: Option<i32>, by_user: bool) {
        self.passed(at);
        let Some(holding) = self.current(id, epoch) else { return };
        if holding.phase == Phase::Ending {
            return;
        }
        holding.phase = Phase::Ending;
        holding.changed = at;
        let Some(container) = self.containers.get_mut(id) else { return };
        let by_user = by_user || container.stop_asked;
        let ran = match container.standing {
            Standing::Running { since } => Some(at.since(since)),
            _ => None,
        };
        container.running_total += ran.unwrap_or_default();
        container.standing = Standing::Stopped { at, exit, by_user };
        let policy = container.restart;
        let restarts = &mut container.restarts;
        match ran {
            _ if by_user => restarts.stopped(),
            Some(ran) => restarts.ended(at, ran, exit, policy),
            // The Engine, too, retries no start that a user made and that failed.
            None if restarts.ours => restarts.ended(at, Duration::ZERO, exit, policy),
            None => restarts.due = None,
        }
        restarts.ours = false;
    }

    fn released(&mut self, id: &ContainerId, epoch: Epoch, at: Time) {
        self.passed(at);
        if self.current(id, epoch).is_none() {
            return;
        }
        self.ended(id, epoch, at, None, false);
        let Some(holding) = self.holdings.remove(id) else { return };
        self.usage.add(holding.owner, holding.since, at, self.weight_of(&holding.units));
        let until = holding.changed.after(holding.hold_after_stop);
        for unit in &holding.units {
            self.holders.remove(unit);
            let Some(record) = self.units.get_mut(unit) else { continue };
            if record.health == Health::Lost {
                self.units.remove(unit);
                self.given_back.remove(unit);
            } else {
                self.given_back.insert(unit.clone(), at);
                record.preferred = Some(Preference { owner: holding.owner, container: id.clone(), until });
            }
        }
        if self.containers.get(id).is_some_and(|container| !container.exists()) {
            self.forget(id, at);
        }
    }

    /// Remembers a container that nobody recorded.
    fn introduce(
        &mut self,
        id: &ContainerId,
        owner: Uid,
        owner_name: &str,
        name: &str,
        units: usize,
        at: Time,
    ) {
        self.containers.entry(id.clone()).or_insert_with(|| Container {
            id: id.clone(),
            token: None,
            owner,
            owner_name: owner_name.to_owned(),
            name: name.to_owned(),
            kind: Kind::Docker,
            want: Some(Want::count(u32::try_from(units).unwrap_or(u32::MAX))),
            restart: RestartPolicy::No,
            auto_remove: false,
            created: at,
            standing: Standing::Created,
            running_total: Duration::ZERO,
            last_units: Vec::new(),
            stop_asked: false,
            restarts: Restarts::default(),
        });
    }

    fn adopted(&mut self, id: &ContainerId, epoch: Epoch, units: &[UnitId], at: Time) {
        self.passed(at);
        self.last_epoch = self.last_epoch.max(epoch);
        let Some(container) = self.containers.get_mut(id) else { return };
        let owner = container.owner;
        container.last_units = units.to_vec();
        container.restarts.due = None;
        if !matches!(container.standing, Standing::Running { .. } | Standing::Removed) {
            container.standing = Standing::Running { since: at };
        }
        let before = self.holdings.remove(id);
        let hold_after_stop = before.as_ref().map_or(GPU_HOLD_AFTER_STOP, |holding| holding.hold_after_stop);
        if let Some(before) = before {
            self.usage.add(before.owner, before.since, at, self.weight_of(&before.units));
            before.units.iter().for_each(|unit| drop(self.holders.remove(unit)));
        }
        for unit in units {
            if let Some(loser) = self.holders.insert(unit.clone(), id.clone())
                && let Some(holding) = self.holdings.get_mut(&loser)
            {
                holding.units.retain(|held| held != unit);
            }
        }
        let holding = Holding {
            container: id.clone(),
            owner,
            epoch,
            units: units.to_vec(),
            phase: Phase::Running,
            since: at,
            changed: at,
            issuer: Issuer::Local,
            hold_after_stop,
        };
        self.holdings.insert(id.clone(), holding);
    }

    fn carried(&mut self, part: &Carried) {
        match part {
            Carried::Counters { last_epoch, latest } => {
                self.last_epoch = self.last_epoch.max(*last_epoch);
                self.passed(*latest);
            }
            Carried::Container(container) => {
                self.containers.insert(container.id.clone(), container.as_ref().clone());
            }
            Carried::Holding(holding) => {
                for unit in &holding.units {
                    self.holders.insert(unit.clone(), holding.container.clone());
                }
                self.holdings.insert(holding.container.clone(), holding.clone());
            }
            Carried::Preference { unit, preference } => {
                if let Some(record) = self.units.get_mut(unit) {
                    record.preferred = Some(preference.clone());
                }
            }
            Carried::Usage { owner, hour, amount } => self.usage.carry(*owner, *hour, *amount),
        }
    }
}
