//! The enforcer: looks at what is, and carries out what the desk hands it. After each call it may be dead.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::{
    Action, Cause, ContainerId, Epoch, Event, Holding, Observed, Processes, Run, Seen, Stage, Time, UnitId,
    UnitSeen,
};

use crate::coordinator::Message;
use crate::world::{Happening, Look, World};

/// How long units may be held by what is not there: some looks, each as slow as the Engine may be.
const VACANT_MAX: Duration = Duration::from_secs(180);
/// The longest that an owner's own program takes before a stop.
const ON_STOP_MAX_MS: u64 = 120_000;

impl World {
    /// Looks: at half of it now, at the other half when the look ends.
    pub(crate) fn looks(&mut self, number: u64, mut observed: Observed, at: Option<ContainerId>) {
        if self.clock < self.engine.down_until {
            // The Engine lists nothing; what its silence says of each container is unknown.
            observed.complete = false;
        }
        let mut ids: Vec<ContainerId> = match at {
            Some(id) => vec![id],
            None if observed.complete => {
                let listed = self.engine.containers.iter().filter(|(_, real)| !real.gone);
                observed.created = listed.map(|(id, real)| (real.token.clone(), id.clone())).collect();
                let held = self.daemon.state.holdings().map(|holding| holding.container.clone());
                observed.created.values().cloned().chain(held).collect()
            }
            None => Vec::new(),
        };
        ids.sort();
        ids.dedup();
        let (now, later): (Vec<_>, Vec<_>) = ids.into_iter().partition(|_| self.rng.permille(500));
        self.see(&mut observed, now);
        let wait = self.engine_time();
        let life = self.daemon.life;
        self.later(wait, Happening::LookEnds { number, observed: Box::new(observed), later, life });
    }

    fn see(&mut self, observed: &mut Observed, ids: Vec<ContainerId>) {
        for id in ids {
            let mut seen: Seen = self.engine.look(&id, self.clock);
            if self.rng.permille(self.faults.deaf / 10) {
                seen.run = Run::Unknown;
            }
            if self.rng.permille(self.faults.deaf / 10) {
                seen.cgroup = ds01_domain::Occupancy::Unknown;
            }
            observed.containers.insert(id, seen);
        }
    }

    /// The rest of a look, and what it saw to the desk.
    pub(crate) fn look_ends(&mut self, number: u64, mut observed: Observed, later: Vec<ContainerId>) {
        self.see(&mut observed, later);
        observed.units_complete = true;
        observed.units = self.units_seen();
        self.message(Message::Observed(Box::new(Look { number, observed })));
    }

    /// Half of the machine says who is on it, the other half cannot.
    fn units_seen(&mut self) -> BTreeMap<UnitId, UnitSeen> {
        let mut units = BTreeMap::new();
        for (number, (id, unit)) in self.machine.iter().enumerate() {
            let users = u32::try_from(self.engine.users_of(id).len()).unwrap_or(u32::MAX);
            let processes = if number % 2 == 0 { Processes::Count(users) } else { Processes::Unknowable };
            units.insert(id.clone(), UnitSeen { unit: unit.clone(), processes });
        }
        for seen in units.values_mut() {
            if self.rng.permille(self.faults.deaf / 10) {
                seen.processes = Processes::Unknown;
            }
        }
        units
    }

    pub(crate) fn look_soon(&mut self, id: &ContainerId, wait: Duration) {
        let life = self.daemon.life;
        self.later(wait, Happening::LookBegins { at: Some(id.clone()), life });
    }

    /// Carries out one thing.
    pub(crate) fn act(&mut self, act: Action) {
        if self.rng.permille(self.faults.crash) {
            self.die();
            return;
        }
        match act {
            Action::Restart { container } => self.message(Message::Start { container, by_policy: true }),
            Action::RemoveContainer { container } => {
                self.later(Duration::from_millis(1), Happening::Removes { container, by_force: false });
            }
            Action::Warn { container, epoch, cause, stage, stop_at } => {
                self.warn(container, epoch, cause, stage, stop_at);
            }
            Action::Stop { container, epoch, cause } => self.stop_by_rules(&container, epoch, cause),
            other => self.fail(format!("{other:?} is nothing for the enforcer")),
        }
    }

    fn warn(&mut self, container: ContainerId, epoch: Epoch, cause: Cause, stage: Stage, stop_at: Time) {
        if !self.daemon.warning.insert(container.clone()) {
            return;
        }
        let life = self.daemon.life;
        let slow = self.rng.permille(self.faults.slow);
        let wait = if slow { self.rng.between(500, 15_000) } else { self.rng.between(1, 50) };
        self.later(wait, Happening::Warns { container, epoch, cause, stage, stop_at, life });
    }

    /// Its owner hears it; then that is written down.
    pub(crate) fn warns(
        &mut self,
        container: ContainerId,
        epoch: Epoch,
        cause: Cause,
        stage: Stage,
        stop_at: Time,
    ) {
        // Of a later run nothing was said.
        if self.daemon.written.holding(&container).is_none_or(|holding| holding.epoch != epoch) {
            self.daemon.warning.remove(&container);
            return;
        }
        self.tell(format!("{} is warned: {stage:?}, {cause}", self.name(&container)));
        self.is_told(&container, cause, stage);
        let at = self.daemon.now(self.clock);
        let fact = Event::Warned { container: container.clone(), epoch, cause, stage, stop_at, at };
        if self.rng.permille(self.faults.crash) {
            self.die();
            return;
        }
        self.message(Message::Warned { container, fact });
    }

    fn stop_by_rules(&mut self, id: &ContainerId, epoch: Epoch, cause: Cause) {
        if !self.is_decided(id, epoch, cause) || !self.daemon.stopping.insert(id.clone()) {
            return;
        }
        self.tell(format!("{} is being stopped: {cause}", self.name(id)));
        self.judge_stop(id, cause);
        let (life, now) = (self.daemon.life, self.clock);
        let length = self.rng.between(100, ON_STOP_MAX_MS);
        let mut wait = Duration::from_millis(1);
        if let Some(job) = self.engine.get(id).and_then(|real| real.job.as_mut()).filter(|job| job.on_stop) {
            job.saves(now, length);
            wait = length;
        }
        self.later(wait, Happening::Stops { container: id.clone(), epoch, cause, life });
    }

    fn is_decided(&self, id: &ContainerId, epoch: Epoch, cause: Cause) -> bool {
        let held = |holding: &&Holding| holding.epoch == epoch;
        self.daemon.written.holding(id).filter(held).is_some()
            && self.daemon.written.container(id).is_some_and(|known| known.stopping == Some(cause))
    }

    /// The Engine is told to stop it, after its owner's own program: if it is still that run.
    pub(crate) fn stops(&mut self, id: ContainerId, epoch: Epoch, cause: Cause) {
        let life = self.daemon.life;
        if !self.is_decided(&id, epoch, cause) {
            self.tell(format!("{} is not stopped: the run in question is over", self.name(&id)));
            self.daemon.stopping.remove(&id);
            self.look_soon(&id, Duration::ZERO);
            return;
        }
        if self.clock < self.engine.down_until || self.rng.permille(self.faults.fail) {
            self.tell(format!("{} cannot be stopped", self.name(&id)));
            self.daemon.stopping.remove(&id);
            return;
        }
        let wait = self.engine_time();
        if let Some(real) = self.engine.get(&id).filter(|real| real.run == Run::Running) {
            real.truth.stopped_by = Some((cause, life));
            let round = real.round;
            self.later(wait, Happening::Dies { container: id.clone(), round, exit: 137 });
        }
        if self.rng.permille(self.faults.crash) {
            self.die();
            return;
        }
        self.later(wait + Duration::from_millis(1), Happening::StopAnswered { container: id, life });
    }

    /// The Engine forgets a container: by force whatever it does, else one that does not run.
    pub(crate) fn removes(&mut self, id: &ContainerId, by_force: bool) {
        let clock = self.clock;
        let Some(real) = self.engine.get(id).filter(|real| !real.busy) else { return };
        let (round, running) = (real.round, real.run == Run::Running);
        if running && !by_force || clock < self.engine.down_until {
            return;
        }
        if running {
            self.dies(id, round, 137);
        }
        self.tell(format!("{} is removed", self.name(id)));
        if let Some(real) = self.engine.get(id) {
            real.gone = true;
        }
        if self.daemon.up {
            self.look_soon(id, Duration::from_millis(1));
        }
    }

    /// Nothing holds units for long without being there.
    pub(crate) fn judge_vacancies(&mut self) {
        let clock = self.clock;
        let mut vacant = Vec::new();
        for (id, real) in &mut self.engine.containers {
            let there = real.run == Run::Running || real.occupied || real.busy;
            if there || self.daemon.in_flight.contains(id) || self.daemon.state.holding(id).is_none() {
                real.truth.vacant_since = None;
            } else {
                vacant.push((id.clone(), *real.truth.vacant_since.get_or_insert(clock)));
            }
        }
        for (id, since) in vacant {
            if clock.since(since) > VACANT_MAX + self.away_since(since) * 3 {
                self.fail(format!("{} holds units and is not there", self.name(&id)));
            }
        }
    }
}
