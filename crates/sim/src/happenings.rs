//! What happens in the machine: what the Engine does with requests, how runs begin and end, and what the daemon hears of
//! it.

use std::collections::BTreeSet;
use std::time::Duration;

use ds01_domain::{ContainerId, Epoch, Identity, Run, Token, UnitId};

use crate::coordinator::Message;
use crate::engine::Real;
use crate::job::Job;
use crate::truth::{Kept, Truth};
use crate::world::{Answer, Call, Happening, World};

/// Everything is looked at this often.
const TICK: Duration = Duration::from_secs(10);
/// How long a request waits for a container that the Engine is at work on.
const BUSY: Duration = Duration::from_millis(100);
/// How long the hinge waits for its answer.
const HINGE_WAITS: Duration = Duration::from_secs(2);

impl World {
    pub(crate) fn happen(&mut self, happening: Happening) {
        if !self.is_heard(&happening) {
            return;
        }
        match happening {
            Happening::UserActs(user) => self.user_acts(user),
            Happening::Disturbs => self.disturbs(),
            Happening::CreateArrives { token, identity, life, boot } => {
                if boot == self.engine.boot {
                    self.create_arrives(token, identity, life);
                }
            }
            Happening::CreateAnswered { token, container, .. } => {
                self.message(Message::Created { token, container });
            }
            Happening::StartArrives { container, call } => self.start_arrives(&container, call),
            Happening::Binds { container, call } => self.binds(&container, call),
            Happening::BindAnswered { container, call, bound } => self.is_bound(&container, call, bound),
            Happening::Starts { container, call, works } => self.starts(&container, call, works),
            Happening::StartAnswered { container, call, answer } => {
                self.message(Message::StartEnded { container, call, answer });
            }
            Happening::Dies { container, round, exit } => self.dies(&container, round, exit),
            Happening::Empties { container, round } => self.empties(&container, round),
            Happening::Removes { container, by_force } => self.removes(&container, by_force),
            Happening::LookBegins { at, .. } => self.message(Message::BeginLook(at)),
            Happening::Looks { number, observed, at, .. } => self.looks(number, observed, at),
            Happening::LookEnds { number, observed, later, .. } => self.look_ends(number, *observed, later),
            Happening::Tick { life } => {
                self.message(Message::BeginLook(None));
                self.later(TICK, Happening::Tick { life });
            }
            Happening::Pass { life } => {
                self.judge_delays();
                self.judge_vacancies();
                self.pass();
                let wait = self.next_pass();
                self.later(wait, Happening::Pass { life });
            }
            Happening::Due { .. } => {
                self.due_at = None;
                self.message(Message::Due);
            }
            Happening::Commits { .. } => self.commits(),
            Happening::Acts { act, .. } => self.act(act),
            Happening::Warns { container, epoch, cause, stage, stop_at, .. } => {
                self.warns(container, epoch, cause, stage, stop_at);
            }
            Happening::Stops { container, epoch, cause, .. } => self.stops(container, epoch, cause),
            Happening::StopAnswered { container, .. } => {
                self.daemon.stopping.remove(&container);
                self.look_soon(&container, Duration::ZERO);
            }
            Happening::IsKept { container, length, until } => self.is_kept(&container, length, until),
            Happening::ComesBack => self.come_back(),
        }
    }

    /// Whether whoever it is meant for still lives.
    fn is_heard(&self, happening: &Happening) -> bool {
        match happening {
            Happening::CreateAnswered { life, .. }
            | Happening::LookBegins { life, .. }
            | Happening::Looks { life, .. }
            | Happening::LookEnds { life, .. }
            | Happening::Tick { life }
            | Happening::Pass { life }
            | Happening::Due { life }
            | Happening::Commits { life }
            | Happening::Acts { life, .. }
            | Happening::Warns { life, .. }
            | Happening::Stops { life, .. }
            | Happening::StopAnswered { life, .. } => self.daemon.up && self.daemon.life == *life,
            Happening::StartArrives { call, .. }
            | Happening::Binds { call, .. }
            | Happening::BindAnswered { call, .. }
            | Happening::Starts { call, .. } => call.boot == self.engine.boot,
            _ => true,
        }
    }

    /// The Engine does what it was asked, whether or not whoever asked still lives; its labels say whose it is.
    fn create_arrives(&mut self, token: Token, identity: Identity, life: u64) {
        if self.clock < self.engine.down_until {
            self.daemon.creating.remove(&token);
            return;
        }
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
            job: None,
            truth: Truth::default(),
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
        let away = self.clock < self.engine.down_until;
        let Some(real) = self.engine.get(id).filter(|_| !away) else {
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

    /// The hinge asks, and waits only so long.
    fn binds(&mut self, id: &ContainerId, call: Call) {
        self.engine.binding.insert(id.clone(), call.number);
        self.later(HINGE_WAITS, Happening::BindAnswered { container: id.clone(), call, bound: None });
        self.message(Message::Bind { container: id.clone(), call });
    }

    fn is_bound(&mut self, id: &ContainerId, call: Call, bound: Option<(Epoch, Vec<UnitId>)>) {
        if self.engine.binding.get(id) != Some(&call.number) {
            return;
        }
        self.engine.binding.remove(id);
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
        let job = Job::some(&mut self.rng, self.clock);
        let text = if works { format!("runs: {job}") } else { "does not start".to_owned() };
        let clock = self.clock;
        let Some(real) = self.engine.containers.get_mut(id) else { return };
        real.busy = false;
        let round = real.round;
        if works {
            real.run = Run::Running;
            real.truth.begins(clock);
            let end = job.exit.map(|exit| (job.end().since(clock), exit));
            real.job = Some(job);
            if let Some((wait, exit)) = end {
                self.later(wait, Happening::Dies { container: id.clone(), round, exit });
            }
            if !self.open {
                let soon = Duration::from_millis(10);
                self.later(soon, Happening::Dies { container: id.clone(), round, exit: 137 });
            }
        } else {
            real.occupied = false;
        }
        self.tell(format!("{} {text}", self.name(id)));
        self.answer(id, call, if works { Answer::Running } else { Answer::Failed });
    }

    fn answer(&mut self, id: &ContainerId, call: Call, answer: Answer) {
        let wait = self.rng.between(1, 50);
        self.later(wait, Happening::StartAnswered { container: id.clone(), call, answer });
    }

    pub(crate) fn dies(&mut self, id: &ContainerId, round: u64, exit: i32) {
        let lingers = self.rng.permille(self.faults.linger);
        let wait = if lingers { self.rng.between(1, 50_000) } else { Duration::ZERO };
        let heard = !self.rng.permille(self.faults.deaf);
        let clock = self.clock;
        let Some(real) = self.engine.containers.get_mut(id) else { return };
        if real.round != round || real.run != Run::Running {
            return;
        }
        real.run = Run::Exited(exit);
        real.truth.ended(clock);
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

    fn empties(&mut self, id: &ContainerId, round: u64) {
        if let Some(real) = self.engine.containers.get_mut(id).filter(|real| real.round == round) {
            real.occupied = false;
        }
    }

    /// Its owner was promised time.
    fn is_kept(&mut self, id: &ContainerId, length: Duration, until: ds01_domain::Time) {
        let asked = self.clock;
        self.tell(format!("{} is kept for {} s", self.name(id), length.as_secs()));
        if let Some(real) = self.engine.get(id) {
            real.truth.kept = Some(Kept { asked, length, until });
        }
    }
}
