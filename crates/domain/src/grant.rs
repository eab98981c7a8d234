//! A grant is the proof that units were free and are now somebody's; a holding is what became of it.
//!
//! Only `decide` and `plan` make grants; the ledger gives back those that they made.

use std::fmt;
use std::time::Duration;

use crate::ids::{ContainerId, Epoch, Time, Uid, UnitId, Weight};
use crate::queues::Overtaking;

/// Who decided a grant. Beyond one machine it is the cluster's scheduler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Issuer {
    /// The rules of this machine.
    Local,
    /// Somebody else, whose grant is honoured.
    External(String),
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.pad("local"),
            Self::External(name) => f.pad(name),
        }
    }
}

/// Units for one start of one container. It binds nothing until its `Reserved` event is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Grant {
    container: ContainerId,
    owner: Uid,
    epoch: Epoch,
    units: Vec<UnitId>,
    weight: Weight,
    issuer: Issuer,
    hold_after_stop: Duration,
    at: Time,
    /// Those in line who could have used one of the units and arrived earlier. Not in the ledger, as no line is.
    overtook: Option<Overtaking>,
}

impl Grant {
    /// What a choice of units becomes.
    pub(crate) fn local(container: ContainerId, owner: Uid, epoch: Epoch, choice: Choice, at: Time) -> Self {
        let Choice { units, weight, hold_after_stop, overtook } = choice;
        Self { container, owner, epoch, units, weight, issuer: Issuer::Local, hold_after_stop, at, overtook }
    }

    /// A grant as the ledger recorded it. For replay alone: this is not a way to make one.
    #[expect(clippy::too_many_arguments, reason = "one argument per column of the ledger's row")]
    pub const fn from_ledger(
        container: ContainerId,
        owner: Uid,
        epoch: Epoch,
        units: Vec<UnitId>,
        weight: Weight,
        issuer: Issuer,
        hold_after_stop: Duration,
        at: Time,
    ) -> Self {
        Self { container, owner, epoch, units, weight, issuer, hold_after_stop, at, overtook: None }
    }

    /// The container that may start.
    #[must_use]
    pub const fn container(&self) -> &ContainerId {
        &self.container
    }

    /// Its owner.
    #[must_use]
    pub const fn owner(&self) -> Uid {
        self.owner
    }

    /// The number of the grant.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The units, in the order in which the container sees them.
    #[must_use]
    pub fn units(&self) -> &[UnitId] {
        &self.units
    }

    /// What they weigh.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// Who decided it.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// How long the units are given to others last once this run has ended.
    #[must_use]
    pub const fn hold_after_stop(&self) -> Duration {
        self.hold_after_stop
    }

    /// When it was decided.
    #[must_use]
    pub const fn at(&self) -> Time {
        self.at
    }

    /// The waiters whom it overtook.
    pub(crate) const fn overtook(&self) -> Option<&Overtaking> {
        self.overtook.as_ref()
    }
}

/// The units chosen for a start, and what the grant has to say about them.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) units: Vec<UnitId>,
    pub(crate) weight: Weight,
    pub(crate) hold_after_stop: Duration,
    pub(crate) overtook: Option<Overtaking>,
}

/// How far a holding has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Granted; the hinge has not yet asked.
    Reserved,
    /// The hinge was told the units; the Engine has not yet said that the container runs.
    Bound,
    /// The container runs.
    Running,
    /// The run is over; nobody has yet seen that the units are free.
    Ending,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reserved => "reserved",
            Self::Bound => "bound",
            Self::Running => "running",
            Self::Ending => "ending",
        })
    }
}

/// Units in the hands of a container, from the grant until somebody has looked and found them free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Who holds.
    pub container: ContainerId,
    /// Whose container it is.
    pub owner: Uid,
    /// The grant.
    pub epoch: Epoch,
    /// The units. Empty where another container turned out to have them by a later grant.
    pub units: Vec<UnitId>,
    /// How far it has come.
    pub phase: Phase,
    /// When it was granted.
    pub since: Time,
    /// When its phase last changed. A look that began no later says nothing about it.
    pub changed: Time,
    /// Who decided it.
    pub issuer: Issuer,
    /// How long the units are given to others last once the run has ended.
    pub hold_after_stop: Duration,
}
