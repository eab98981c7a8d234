//! How each event changes the state.
//!
//! Total and deterministic: an event that does not fit (a late one, a second one, one about something unknown)
//! changes nothing. That is what makes late events harmless: they carry an epoch that is over.

use std::sync::Arc;
use std::time::Duration;

use super::{GONE_REMEMBERED, State, UnitRecord};
use crate::container::{Container, Kind, PendingCreate, RestartPolicy, Restarts, Standing};
use crate::course::Course;
use crate::event::{Carried, Event};
use crate::exempt::{Exempt, Exemption};
use crate::grant::{Grant, Holding, Issuer, Phase};
use crate::ids::{ContainerId, Epoch, Ticket, Time, Token, Uid, UnitId};
use crate::keep::Span;
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
                self.creates.insert(token.clone(), Arc::new(create));
            }
            Event::Created { token, container, at } => self.created(token, container, *at),
            Event::CreateAbandoned { token } => {
                self.creates.remove(token);
            }
            Event::Renamed { container, name } => {
                self.change_container(container, |known| known.name.clone_from(name));
            }
            Event::RestartChanged { container, restart } => self.restart_changed(container, *restart),
            Event::Removed { container, at } => self.removed(container, *at),
            Event::Reserved(grant) => self.reserved(grant),
            Event::Bound { container, epoch, at } => self.bound(container, *epoch, *at),
            Event::Ran { container, epoch, at } => self.ran(container, *epoch, *at),
            Event::StopAsked { container, at } => {
                self.passed(*at);
                self.change_container(container, |known| {
                    known.stop_asked = true;
                    known.restarts.stopped();
                });
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
                self.change_container(container, |known| known.restarts.tried(*attempt, *at, known.restart));
            }
            Event::Warned { container, epoch, cause, stage, stop_at, at } => {
                let course = Course { cause: *cause, stage: *stage, stop_at: *stop_at };
                self.on_course(container, *epoch, *at, |known| known.warned(course));
            }
            Event::Spared { container, epoch, at } => {
                self.on_course(container, *epoch, *at, Container::spared);
            }
            Event::WouldStop { container, epoch, cause, at } => {
                self.on_course(container, *epoch, *at, |known| known.would_stop = Some((*cause, *at)));
            }
            Event::StopDecided { container, epoch, cause, at } => {
                self.on_course(container, *epoch, *at, |known| known.stopping = Some(*cause));
            }
            Event::Kept { container, until, at } => {
                self.passed(*at);
                if let Some(owner) = self.container(container).map(|known| known.owner) {
                    self.keeps.given(owner, container, *at, *until);
                }
                self.change_container(container, |known| known.kept_until = Some(*until));
            }
            Event::Exempted(exemption) => self.exempted(exemption),
            Event::ExemptionOver { of, at, .. } => {
                self.passed(*at);
                self.write_exemption(of, None);
            }
            Event::Carried(part) => self.carried(part),
            Event::Queued(waiter) => {
                self.next_ticket = self.next_ticket.max(Ticket(waiter.ticket.0.saturating_add(1)));
                if self.waiter_of(&waiter.container).is_none() {
                    self.enqueue(waiter);
                }
            }
            Event::Left { ticket, .. } => self.dequeue(*ticket),
        }
    }

    fn exempted(&mut self, exemption: &Exemption) {
        self.passed(exemption.at);
        match &exemption.of {
            Exempt::Container(id) if self.container(id).is_none() => {}
            of => self.write_exemption(of, Some(exemption)),
        }
    }

    fn write_exemption(&mut self, of: &Exempt, exemption: Option<&Exemption>) {
        match exemption {
            Some(exemption) => drop(self.exemptions.insert(of.clone(), Arc::new(exemption.clone()))),
            None => drop(self.exemptions.remove(of)),
        }
        let concerned = self.containers().filter(|container| of.is_of(container));
        let concerned: Vec<ContainerId> = concerned.map(|container| container.id.clone()).collect();
        for id in concerned {
            // Written anew, with what follows from the exemptions.
            self.change_container(&id, |_| {});
        }
    }

    fn passed(&mut self, at: Time) {
        self.latest = self.latest.max(at);
    }

    fn unit_seen(&mut self, unit: &Unit) {
        let known = self.units.get(&unit.id).filter(|known| known.health != Health::Lost);
        let record = UnitRecord {
            unit: Arc::new(unit.clone()),
            health: known.map_or(Health::Available, |known| known.health),
            since: known.map_or(Time::default(), |known| known.since),
            preferred: self.units.get(&unit.id).and_then(|known| known.preferred.clone()),
        };
        self.write_unit(&unit.id, Some(record));
    }

    fn unit_gone(&mut self, unit: &UnitId, at: Time) {
        self.passed(at);
        if self.holders.contains_key(unit) {
            self.health(unit, Health::Lost, at);
        } else {
            self.write_unit(unit, None);
            self.given_back.remove(unit);
        }
    }

    fn health(&mut self, unit: &UnitId, health: Health, at: Time) {
        self.passed(at);
        self.change_unit(unit, |record| {
            record.health = health;
            record.since = if health == Health::Available { Time::default() } else { at };
        });
    }

    fn created(&mut self, token: &Token, id: &ContainerId, at: Time) {
        self.passed(at);
        let Some(create) = self.creates.remove(token) else { return };
        let create = PendingCreate::clone(&create);
        let found = self.container(id);
        let container = Container {
            id: id.clone(),
            token: Some(create.token),
            owner: create.owner,
            owner_name: create.owner_name,
            name: create.name,
            kind: create.kind,
            want: create.want,
            // What goes when it ends has no next run; the Engine refuses to be asked for both.
            restart: if create.auto_remove { RestartPolicy::No } else { create.restart },
            auto_remove: create.auto_remove,
            created: at,
            // One that was found running before its create was known goes on running.
            standing: found.map_or(Standing::Created, |c| c.standing),
            running_total: found.map_or(Duration::ZERO, |c| c.running_total),
            last_units: found.map_or_else(Vec::new, |c| c.last_units.clone()),
            stop_asked: false,
            restarts: Restarts::default(),
            course: None,
            runtime_course: None,
            stopping: None,
            stopped_for: None,
            would_stop: None,
            kept_until: None,
            exempt_until: None,
        };
        self.write_container(id, Some(container));
    }

    fn restart_changed(&mut self, id: &ContainerId, restart: RestartPolicy) {
        self.change_container(id, |container| {
            if container.auto_remove {
                return;
            }
            container.restart = restart;
            if restart == RestartPolicy::No {
                container.restarts.due = None;
            }
        });
    }

    fn removed(&mut self, id: &ContainerId, at: Time) {
        self.passed(at);
        if let Some(epoch) = self.holdings.get(id).map(|holding| holding.epoch) {
            self.ended(id, epoch, at, None, true);
            self.change_container(id, |container| container.standing = Standing::Removed);
        } else {
            self.forget(id, at);
        }
    }

    fn forget(&mut self, id: &ContainerId, at: Time) {
        self.write_container(id, None);
        self.exemptions.remove(&Exempt::Container(id.clone()));
        while let Some((went, oldest)) = self.went.get_min().cloned()
            && at.since(went) >= GONE_REMEMBERED
        {
            self.went.remove_min();
            self.gone.remove(&oldest);
        }
        if let Some(before) = self.gone.insert(id.clone(), at) {
            self.went.remove(&(before, id.clone()));
        }
        self.went.insert((at, id.clone()));
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
        if let Some(ticket) = self.waiter_of(id).map(|waiter| waiter.ticket) {
            self.dequeue(ticket);
        }
        if let Some(overtaking) = grant.overtook() {
            self.overtake(overtaking);
        }
        for unit in grant.units() {
            self.write_holder(unit, Some(id));
            self.change_unit(unit, |record| record.preferred = None);
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
        self.write_holding(id, Some(holding));
        self.change_container(id, |container| {
            container.standing = Standing::Starting;
            container.stop_asked = false;
            container.begin_anew();
            if !container.restarts.ours {
                container.restarts = Restarts::default();
            }
            container.restarts.due = None;
        });
    }

    /// The holding of this epoch, in case the event is not late.
    fn current(&self, id: &ContainerId, epoch: Epoch) -> Option<&Holding> {
        self.holding(id).filter(|holding| holding.epoch == epoch)
    }

    fn enters(&mut self, id: &ContainerId, phase: Phase, at: Time) {
        self.change_holding(id, |holding| {
            holding.phase = phase;
            holding.changed = at;
        });
    }

    /// What the rules said of a run, unless it is over.
    fn on_course(&mut self, id: &ContainerId, epoch: Epoch, at: Time, change: impl FnOnce(&mut Container)) {
        self.passed(at);
        if self.current(id, epoch).is_some_and(|holding| holding.phase != Phase::Ending) {
            self.change_container(id, change);
        }
    }

    fn bound(&mut self, id: &ContainerId, epoch: Epoch, at: Time) {
        self.passed(at);
        let Some(phase) = self.current(id, epoch).map(|holding| holding.phase) else { return };
        if phase == Phase::Ending {
            return;
        }
        self.enters(id, Phase::Bound, at);
        if !self.container(id).is_some_and(Container::exists) {
            return;
        }
        self.change_container(id, |container| {
            container.running_total = container.running_total_at(at);
            container.standing = Standing::Starting;
            // Also of one that ran: whoever is bound anew is being started anew, and an older look knows only the end.
            if phase == Phase::Running {
                // A person restarts it: what was asked of the run before, and how often it failed, is over.
                container.stop_asked = false;
                container.begin_anew();
                container.restarts = Restarts::default();
            }
        });
    }

    fn ran(&mut self, id: &ContainerId, epoch: Epoch, at: Time) {
        self.passed(at);
        let Some(holding) = self.current(id, epoch) else { return };
        if !matches!(holding.phase, Phase::Reserved | Phase::Bound) {
            return;
        }
        let units = holding.units.clone();
        self.enters(id, Phase::Running, at);
        self.change_container(id, |container| {
            container.standing = Standing::Running { since: at };
            container.last_units = units;
        });
    }

    fn ended(&mut self, id: &ContainerId, epoch: Epoch, at: Time, exit: Option<i32>, by_user: bool) {
        self.passed(at);
        if self.current(id, epoch).is_none_or(|holding| holding.phase == Phase::Ending) {
            return;
        }
        self.enters(id, Phase::Ending, at);
        self.change_container(id, |container| container.ended(at, exit, by_user));
    }

    fn released(&mut self, id: &ContainerId, epoch: Epoch, at: Time) {
        self.passed(at);
        if self.current(id, epoch).is_none() {
            return;
        }
        self.ended(id, epoch, at, None, false);
        let Some(holding) = self.write_holding(id, None) else { return };
        self.usage.add(holding.owner, holding.since, at, self.weight_of(&holding.units));
        let until = holding.changed.after(holding.hold_after_stop);
        for unit in &holding.units {
            self.write_holder(unit, None);
            let Some(record) = self.units.get(unit) else { continue };
            if record.health == Health::Lost {
                self.write_unit(unit, None);
                self.given_back.remove(unit);
            } else {
                let preference = Preference { owner: holding.owner, container: id.clone(), until };
                self.given_back.insert(unit.clone(), at);
                self.change_unit(unit, |record| record.preferred = Some(preference));
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
        if self.container(id).is_some() {
            return;
        }
        let container = Container {
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
            course: None,
            runtime_course: None,
            stopping: None,
            stopped_for: None,
            would_stop: None,
            kept_until: None,
            exempt_until: None,
        };
        self.write_container(id, Some(container));
    }

    fn adopted(&mut self, id: &ContainerId, epoch: Epoch, units: &[UnitId], at: Time) {
        self.passed(at);
        self.last_epoch = self.last_epoch.max(epoch);
        let Some(owner) = self.container(id).map(|container| container.owner) else { return };
        self.change_container(id, |container| {
            container.last_units = units.to_vec();
            container.restarts.due = None;
            if !matches!(container.standing, Standing::Running { .. } | Standing::Removed) {
                container.standing = Standing::Running { since: at };
            }
        });
        let before = self.write_holding(id, None);
        let hold_after_stop = before.as_ref().map_or(GPU_HOLD_AFTER_STOP, |holding| holding.hold_after_stop);
        if let Some(before) = before {
            self.usage.add(before.owner, before.since, at, self.weight_of(&before.units));
            before.units.iter().for_each(|unit| drop(self.write_holder(unit, None)));
        }
        for unit in units {
            if let Some(loser) = self.write_holder(unit, Some(id)) {
                self.change_holding(&loser, |holding| holding.units.retain(|held| held != unit));
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
        self.write_holding(id, Some(holding));
    }

    fn carried(&mut self, part: &Carried) {
        match part {
            Carried::Counters { last_epoch, latest } => {
                self.last_epoch = self.last_epoch.max(*last_epoch);
                self.passed(*latest);
            }
            Carried::Container(container) => {
                self.write_container(&container.id, Some(container.as_ref().clone()));
            }
            Carried::Holding(holding) => {
                for unit in &holding.units {
                    self.write_holder(unit, Some(&holding.container));
                }
                self.write_holding(&holding.container, Some(holding.clone()));
            }
            Carried::Preference { unit, preference } => {
                self.change_unit(unit, |record| record.preferred = Some(preference.clone()));
            }
            Carried::Keep { owner, container, from, until } => {
                let span = Span { container: container.clone(), from: *from, until: *until };
                self.keeps.carry(*owner, span);
            }
            Carried::Usage { owner, hour, amount } => self.usage.carry(*owner, *hour, *amount),
        }
    }
}
