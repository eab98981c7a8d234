//! What users do, what the Engine does about it, and what the daemon hears of that.

use std::collections::BTreeSet;
use std::time::Duration;

use ds01_domain::{ContainerId, Event, Identity, LeftWhy, Observed, Run, Token};

use crate::engine::Real;
use crate::world::{Answer, Call, Happening, World};

/// Everything is looked at this often.
const TICK: Duration = Duration::from_secs(10);
/// How long a request waits for a container that the Engine is at work on.
const BUSY: Duration = Duration::from_millis(100);
/// Containers of one user.
const CONTAINERS_MAX: usize = 4;

impl World {
    pub(crate) fn happen(&mut self, happening: Happening) {
        let heard = |life: u64, world: &Self| world.daemon.up && world.daemon.life == life;
        match happening {
            Happening::UserActs(user) => self.user_acts(user),
            Happening::CreateArrives { token, identity, life } => self.create_arrives(token, identity, life),
            Happening::CreateAnswered { token, container, life } if heard(life, self) => {
                self.daemon.creating.remove(&token);
                let at = self.daemon.now(self.clock);
                self.record(&Event::Created { token, container, at });
            }
            Happening::StartArrives { container, call } => self.start_arrives(&container, call),
            Happening::Binds { container, call } => self.binds(&container, call),
            Happening::Starts { container, call, works } => self.starts(&container, call, works),
            Happening::StartAnswered { container, call, answer } => {
                self.start_answered(&container, call, answer)
            }
            Happening::Dies { container, round, exit } => self.dies(&container, round, exit),
            Happening::Empties { container, round } => {
                if let Some(real) =
                    self.engine.containers.get_mut(&container).filter(|real| real.round == round)
                {
                    real.occupied = false;
                }
            }
            Happening::LookBegins { at, life } if heard(life, self) => self.begin_look(at),
            Happening::LookEnds { look, life } if heard(life, self) => self.end_look(look),
            Happening::Tick { life } if heard(life, self) => {
                self.begin_look(None);
                self.later(TICK, Happening::Tick { life });
            }
            Happening::Due { life } if heard(life, self) => {
                self.due_at = None;
                self.follow(&Observed::default());
            }
            Happening::ComesBack => self.come_back(),
            // Meant for a daemon that has died since.
            Happening::CreateAnswered { .. }
            | Happening::LookBegins { .. }
            | Happening::LookEnds { .. }
            | Happening::Tick { .. }
            | Happening::Due { .. } => {}
        }
    }

    fn user_acts(&mut self, user: usize) {
        if !self.open {
            return;
        }
        let pause = self.rng.between(200, 60_000);
        self.later(pause, Happening::UserActs(user));
        if !self.daemon.up {
            return;
        }
        let Some(uid) = self.people.get(user).map(|person| person.uid) else { return };
        let mine: Vec<ContainerId> = self
            .daemon
            .state
            .containers()
            .filter(|container| container.owner == uid && container.exists())
            .map(|container| container.id.clone())
            .collect();
        let some = self.rng.pick(&mine).cloned();
        match (self.rng.below(12), some) {
            (0..=2, _) if mine.len() < CONTAINERS_MAX => self.create(user),
            (0..=7, Some(id)) => {
                self.numbers += 1;
                let request = self.numbers;
                self.start(&id, request);
            }
            (8, Some(id)) => self.stop(&id),
            (9, Some(id)) => self.remove(&id),
            (11, Some(id)) => self.restart(&id),
            (10, Some(id)) => {
                if let Some(ticket) = self.daemon.state.waiter_of(&id).map(|waiter| waiter.ticket) {
                    self.tell(format!("{} hangs up", self.name(&id)));
                    self.leave(ticket, LeftWhy::Cancelled);
                }
            }
            _ => {}
        }
    }

    /// The Engine does what it was asked, whether or not whoever asked still lives; its labels say whose it is.
    fn create_arrives(&mut self, token: Token, identity: Identity, life: u64) {
        self.numbers += 1;
        let Some(id) = ContainerId::new(&format!("{:064x}", self.numbers)) else { return };
        let real = Real {
            token: token.clone(),
            identity,
            run: Run::Created,
            occupied: false,
            devices: BTreeSet::new(),
            receipt: None,
            round: 0,
            busy: false,
            gone: false,
        };
        self.tell(format!("{} is created", real.identity.name));
        self.engine.containers.insert(id.clone(), real);
        if self.rng.permille(self.faults.lost) {
            self.summary.lost += 1;
            self.daemon.creating.remove(&token);
        } else {
            let wait = self.engine_time();
            self.later(wait, Happening::CreateAnswered { token, container: id, life });
        }
    }

    fn start_arrives(&mut self, id: &ContainerId, call: Call) {
        let Some(real) = self.engine.get(id) else {
            self.answer(id, call, Answer::Failed);
            return;
        };
        if real.busy {
            self.later(BUSY, Happening::StartArrives { container: id.clone(), call });
        } else if real.run == Run::Running {
            self.answer(id, call, Answer::Running);
        } else {
            real.busy = true;
            let wait = self.engine_time();
            self.later(wait, Happening::Binds { container: id.clone(), call });
        }
    }

    fn binds(&mut self, id: &ContainerId, call: Call) {
        let bound = self.bind(id);
        let works = bound.is_some() && !self.rng.permille(self.faults.fail);
        let wait = self.engine_time();
        self.tell(format!("{} is bound: {bound:?}", self.name(id)));
        let Some(real) = self.engine.containers.get_mut(id) else { return };
        if let Some((epoch, units)) = bound {
            real.receipt = Some((epoch, units.clone()));
            real.devices = units.into_iter().collect();
            real.occupied = true;
            real.round += 1;
        }
        self.later(wait, Happening::Starts { container: id.clone(), call, works });
    }

    fn starts(&mut self, id: &ContainerId, call: Call, works: bool) {
        let exit = i32::from(self.rng.permille(400));
        let length =
            if self.rng.permille(300) { self.rng.between(1, 9000) } else { self.rng.between(9000, 600_000) };
        let Some(real) = self.engine.containers.get_mut(id) else { return };
        real.busy = false;
        let round = real.round;
        if works {
            real.run = Run::Running;
            self.later(length, Happening::Dies { container: id.clone(), round, exit });
            if !self.open {
                self.later(
                    Duration::from_millis(10),
                    Happening::Dies { container: id.clone(), round, exit: 137 },
                );
            }
        } else {
            real.occupied = false;
        }
        self.tell(format!("{} {}", self.name(id), if works { "runs" } else { "does not start" }));
        self.answer(id, call, if works { Answer::Running } else { Answer::Failed });
    }

    fn answer(&mut self, id: &ContainerId, call: Call, answer: Answer) {
        let wait = self.rng.between(1, 50);
        self.later(wait, Happening::StartAnswered { container: id.clone(), call, answer });
    }

    fn dies(&mut self, id: &ContainerId, round: u64, exit: i32) {
        let lingers = self.rng.permille(self.faults.linger);
        let wait = if lingers { self.rng.between(1, 50_000) } else { Duration::ZERO };
        let heard = !self.rng.permille(self.faults.deaf);
        let Some(real) = self.engine.containers.get_mut(id) else { return };
        if real.round != round || real.run != Run::Running {
            return;
        }
        real.run = Run::Exited(exit);
        if lingers {
            self.later(wait, Happening::Empties { container: id.clone(), round });
        } else {
            real.occupied = false;
        }
        self.tell(format!(
            "{} dies with {exit}{}",
            self.name(id),
            if lingers { ", not all of it" } else { "" }
        ));
        if self.daemon.up && heard {
            self.look_soon(id, Duration::from_millis(1));
        }
    }

    /// A container is removed, by force; its processes may take their time.
    pub(crate) fn remove(&mut self, id: &ContainerId) {
        let Some(real) = self.engine.get(id).filter(|real| !real.busy) else { return };
        let (round, running) = (real.round, real.run == Run::Running);
        if running {
            let at = self.daemon.now(self.clock);
            if !self.record(&Event::StopAsked { container: id.clone(), at }) {
                return;
            }
            self.dies(id, round, 137);
        }
        self.tell(format!("{} is removed", self.name(id)));
        if let Some(real) = self.engine.get(id) {
            real.gone = true;
        }
        self.look_soon(id, Duration::from_millis(1));
    }
}
