//! What people do, and what befalls the machine.

use std::time::Duration;

use ds01_domain::{ContainerId, Mode, Run};

use crate::coordinator::Message;
use crate::world::{Happening, World};

/// Containers of one user.
const CONTAINERS_MAX: usize = 4;

impl World {
    /// One of the users does something, and something else later.
    pub(crate) fn user_acts(&mut self, user: usize) {
        if !self.open {
            return;
        }
        let pause = self.rng.between(200, self.pause_max);
        self.later(pause, Happening::UserActs(user));
        if !self.daemon.up {
            return;
        }
        let Some(uid) = self.people.get(user).map(|person| person.uid) else { return };
        let mine: Vec<ContainerId> = self
            .daemon
            .written
            .containers()
            .filter(|container| container.owner == uid && container.exists())
            .map(|container| container.id.clone())
            .collect();
        let Some(id) = self.rng.pick(&mine).cloned() else {
            self.message(Message::Create(user));
            return;
        };
        let running = self.engine.get(&id).is_some_and(|real| real.run == Run::Running);
        match self.rng.below(16) {
            0..=2 if mine.len() < CONTAINERS_MAX => self.message(Message::Create(user)),
            // Who asks for what runs already asks for one that does not, for once.
            0..=7 => {
                let idle = |id: &&ContainerId| {
                    self.engine.containers.get(*id).is_none_or(|real| real.run != Run::Running)
                };
                let start = mine.iter().find(idle).filter(|_| self.rng.permille(700)).unwrap_or(&id).clone();
                self.message(Message::Start { container: start, by_policy: false });
            }
            8 => self.message(Message::Stop(id)),
            9 => self.message(Message::Remove(id)),
            10 => self.message(Message::HangUp(id)),
            11 => self.message(Message::Restart(id)),
            12 if running => {
                let length = self.rng.between(60_000, 3 * 3_600_000);
                self.message(Message::Keep { container: id, length });
            }
            13 if running => self.touches(&id),
            14 if running => {
                self.tell(format!("somebody comes into {}", self.name(&id)));
                self.daemon.entered.insert(id);
            }
            _ => {}
        }
    }

    fn touches(&mut self, id: &ContainerId) {
        let clock = self.clock;
        self.tell(format!("{}: .keep-alive is touched", self.name(id)));
        if let Some(real) = self.engine.get(id) {
            real.truth.touched = Some(clock);
        }
    }

    /// Something befalls the machine, and something else later.
    pub(crate) fn disturbs(&mut self) {
        if !self.open || self.faults.disturb == 0 {
            return;
        }
        let most = 20_000_000 / self.faults.disturb;
        let pause = self.rng.between(10_000, most);
        self.later(pause, Happening::Disturbs);
        match self.rng.below(10) {
            0..=3 => {
                let length = self.rng.between(1_000, 600_000);
                self.tell(format!("the driver says nothing for {} s", length.as_secs()));
                self.blind_until = self.clock.after(length);
            }
            4 | 5 => {
                let length = self.rng.between(500, 240_000);
                self.tell(format!("the Engine is away for {} s", length.as_secs()));
                self.engine.down_until = self.clock.after(length);
                self.is_away(length);
            }
            6 | 7 if self.daemon.up => self.die(),
            8 => {
                self.mode = if self.mode == Mode::Observe { Mode::Enforce } else { Mode::Observe };
                self.mode_since = self.clock;
                self.tell(format!("the lab's mode is {:?}", self.mode));
            }
            9 if self.rng.permille(300) => self.reboots(),
            _ => {}
        }
    }

    /// The machine boots; its wall clock may be wrong by then.
    fn reboots(&mut self) {
        let jump = self.rng.below(2 * 3_600_000).cast_signed();
        let ahead = match self.rng.below(3) {
            0 => jump,
            1 => -jump,
            _ => 0,
        };
        self.tell(format!("the machine boots, its clock is {} s ahead", ahead / 1000));
        if self.daemon.up {
            self.die();
        }
        self.engine.boots(self.clock);
        self.daemon.boots(self.clock, ahead);
        // Nobody can tell a jump from time that has passed.
        self.jumped += Duration::from_millis(ahead.max(0).cast_unsigned());
    }
}
