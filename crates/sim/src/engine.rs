//! The Engine and the kernel below it: slow, failing, away at times, and the only place where units are really in use.
//!
//! It knows nothing of the rules. What a container can open is what the hinge was told at its start, for as long as a
//! process of it lives.

use std::collections::{BTreeMap, BTreeSet};

use ds01_domain::{ContainerId, Epoch, Identity, Occupancy, Run, Seen, Time, Token, UnitId};

use crate::job::Job;
use crate::truth::Truth;

/// A container as it really is.
#[derive(Debug)]
pub(crate) struct Real {
    pub(crate) token: Token,
    pub(crate) identity: Identity,
    pub(crate) run: Run,
    /// Whether processes of it live.
    pub(crate) occupied: bool,
    /// What those can open.
    pub(crate) devices: BTreeSet<UnitId>,
    pub(crate) receipt: Option<(Epoch, Vec<UnitId>)>,
    /// The number of its run, so that the end of an earlier one is not taken for the end of this one.
    pub(crate) round: u64,
    /// Whether the Engine is at work on it, and answers no question about it.
    pub(crate) busy: bool,
    /// Whether the Engine has forgotten it; its processes may be there all the same.
    pub(crate) gone: bool,
    /// What its programs do, in the present run or the last.
    pub(crate) job: Option<Job>,
    /// What really happened to it.
    pub(crate) truth: Truth,
}

/// All containers of the machine.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    pub(crate) containers: BTreeMap<ContainerId, Real>,
    /// It answers nobody until then.
    pub(crate) down_until: Time,
    /// Counts boots of the machine: what was on its way in an earlier one never arrives.
    pub(crate) boot: u64,
    /// Containers whose hinge waits for an answer, and to which call.
    pub(crate) binding: BTreeMap<ContainerId, u64>,
}

impl Engine {
    /// A container that the Engine still has.
    pub(crate) fn get(&mut self, id: &ContainerId) -> Option<&mut Real> {
        self.containers.get_mut(id).filter(|real| !real.gone)
    }

    /// What a look at this container sees at this moment.
    pub(crate) fn look(&self, id: &ContainerId, now: Time) -> Seen {
        let away = now < self.down_until;
        let Some(real) = self.containers.get(id) else {
            return Seen::plain(if away { Run::Unknown } else { Run::Gone }, Occupancy::Empty);
        };
        let run = match real.run {
            _ if away => Run::Unknown,
            _ if real.gone => Run::Gone,
            _ if real.busy => Run::Unknown,
            run => run,
        };
        Seen {
            run,
            cgroup: if real.occupied { Occupancy::Occupied } else { Occupancy::Empty },
            receipt: real.receipt.clone(),
            devices: None,
            identity: Some(real.identity.clone()),
        }
    }

    /// How many containers have living processes that can open this unit. More than one is the end of the product.
    pub(crate) fn users_of(&self, unit: &UnitId) -> Vec<&ContainerId> {
        let users = self.containers.iter().filter(|(_, real)| real.occupied && real.devices.contains(unit));
        users.map(|(id, _)| id).collect()
    }

    /// The machine boots: nothing runs, nothing is on its way.
    pub(crate) fn boots(&mut self, now: Time) {
        self.boot += 1;
        self.binding.clear();
        for real in self.containers.values_mut() {
            if real.run == Run::Running {
                real.run = Run::Exited(137);
                real.truth.ended(now);
            }
            (real.occupied, real.busy) = (false, false);
        }
    }

    /// Forgets what has neither a name nor a process.
    pub(crate) fn bury(&mut self) {
        self.containers.retain(|_, real| !real.gone || real.occupied || real.busy);
    }
}
