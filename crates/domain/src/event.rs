//! What happened. Events are the only way in which the state changes.
//!
//! Each is true when it is written, and applying the same ones in the same order gives the same state.

use crate::container::{Container, Kind, RestartPolicy};
use crate::course::{Cause, Stage};
use crate::exempt::{Exempt, Exemption};
use crate::grant::{Grant, Holding};
use crate::ids::{ContainerId, Epoch, Ticket, Time, Token, Uid, UnitId};
use crate::line::Waiter;
use crate::unit::{Health, Preference, Unit};
use crate::want::Want;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The machine has this unit.
    UnitSeen(Unit),
    /// The machine has it no more.
    UnitGone {
        /// The unit.
        unit: UnitId,
        /// When that was seen.
        at: Time,
    },
    /// A unit became fit or unfit for granting.
    Health {
        /// The unit.
        unit: UnitId,
        /// What it is now.
        health: Health,
        /// When that was seen.
        at: Time,
    },

    /// A create was admitted and is about to be sent.
    CreatePlanned {
        /// Its name until the Engine gives it one.
        token: Token,
        /// The user whose container it will be.
        owner: Uid,
        /// His login name.
        owner_name: String,
        /// The container's name, without Docker's slash.
        name: String,
        /// Who makes it.
        kind: Kind,
        /// Its wish as `decide` resolved it; `None` if it asks for no GPU.
        want: Option<Want>,
        /// The user's own restart policy.
        restart: RestartPolicy,
        /// Whether it is removed when it ends.
        auto_remove: bool,
        /// When it was admitted.
        at: Time,
    },
    /// The Engine made the container.
    Created {
        /// The create.
        token: Token,
        /// The Engine's id.
        container: ContainerId,
        /// When that was known.
        at: Time,
    },
    /// The Engine refused the create, or never saw it.
    CreateAbandoned {
        /// The create.
        token: Token,
    },
    /// The container has another name.
    Renamed {
        /// The container.
        container: ContainerId,
        /// Its name now, without Docker's slash.
        name: String,
    },
    /// The container has another restart policy.
    RestartChanged {
        /// The container.
        container: ContainerId,
        /// Its policy now.
        restart: RestartPolicy,
    },
    /// The Engine has forgotten the container.
    Removed {
        /// The container.
        container: ContainerId,
        /// When that was known.
        at: Time,
    },

    /// Units were granted.
    Reserved(Grant),
    /// The hinge was told the units. To be recorded each time, also when the Engine starts a container anew that was
    /// believed to run.
    Bound {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// When.
        at: Time,
    },
    /// The Engine said that the container runs.
    Ran {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// When.
        at: Time,
    },
    /// A user asked for the container to stop.
    StopAsked {
        /// The container.
        container: ContainerId,
        /// When.
        at: Time,
    },
    /// The run is over, or the start failed. Its units are not yet free.
    Ended {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// When.
        at: Time,
        /// The exit code, where it is known; never for a start that failed.
        exit: Option<i32>,
        /// Whether a user stopped it.
        by_user: bool,
    },
    /// Somebody looked and found the units free.
    Released {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// When.
        at: Time,
    },
    /// A container was found running with units that nobody had recorded for it.
    Adopted {
        /// The container.
        container: ContainerId,
        /// Whose it is, for one that nobody knew.
        owner: Uid,
        /// His login name.
        owner_name: String,
        /// The container's name.
        name: String,
        /// The grant by which it holds them from now on.
        epoch: Epoch,
        /// All its units. Whoever was recorded with one of them has it no more.
        units: Vec<UnitId>,
        /// When that was seen.
        at: Time,
    },
    /// A restart was tried, because the policy says so.
    RestartTried {
        /// The container.
        container: ContainerId,
        /// The number of the try since a user last started it.
        attempt: u32,
        /// When.
        at: Time,
    },

    /// The owner was warned of a stop.
    Warned {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// Why it will be stopped.
        cause: Cause,
        /// How near the stop is.
        stage: Stage,
        /// When it will be stopped.
        stop_at: Time,
        /// When he was warned.
        at: Time,
    },
    /// The stop is off: it works again, or was given more time.
    Spared {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// When that was seen.
        at: Time,
    },
    /// It would have been stopped, were stops carried out.
    WouldStop {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// Why.
        cause: Cause,
        /// When.
        at: Time,
    },
    /// The rules stop it; about to be told to the Engine.
    StopDecided {
        /// The container.
        container: ContainerId,
        /// The grant.
        epoch: Epoch,
        /// Why.
        cause: Cause,
        /// When.
        at: Time,
    },
    /// Its owner asked that idleness be passed over.
    Kept {
        /// The container.
        container: ContainerId,
        /// Until then.
        until: Time,
        /// When he asked.
        at: Time,
    },

    /// An administrator let somebody's containers run on.
    Exempted(Exemption),
    /// He took it back.
    ExemptionOver {
        /// What is exempt no longer.
        of: Exempt,
        /// The administrator.
        by: String,
        /// When.
        at: Time,
    },

    /// Part of a shortened history: what events that are no longer kept led to. See `State::to_events`.
    Carried(Carried),

    /// A start waits in line.
    Queued(Box<Waiter>),
    /// A start waits no more, and was not granted. (A grant takes its container out of the line by itself.)
    Left {
        /// Its place.
        ticket: Ticket,
        /// Why.
        why: LeftWhy,
    },
}

/// One part of a state, as a shortened history carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Where the counting of epochs and the clock stand.
    Counters {
        /// The latest epoch of any grant.
        last_epoch: Epoch,
        /// The latest time of any event.
        latest: Time,
    },
    /// A container.
    Container(Box<Container>),
    /// A holding.
    Holding(Holding),
    /// For whom a unit is kept to the last.
    Preference {
        /// The unit.
        unit: UnitId,
        /// For whom.
        preference: Preference,
    },
    /// Time that one container of a user was given.
    Keep {
        /// The user.
        owner: Uid,
        /// The container, which may be gone.
        container: ContainerId,
        /// From then.
        from: Time,
        /// Until then.
        until: Time,
    },
    /// Use of one user in one hour.
    Usage {
        /// The user.
        owner: Uid,
        /// The hour of ledger time, counted from its beginning.
        hour: u64,
        /// Thousandths of a card times milliseconds.
        amount: u64,
    },
}

/// Why a start left the line without units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftWhy {
    /// It was denied: too late, or no longer within the quota.
    Denied,
    /// The user hung up, or stopped or removed the container.
    Cancelled,
}

impl Event {
    /// The container of an event about the use of its units.
    #[must_use]
    pub const fn on_course(&self) -> Option<&ContainerId> {
        match self {
            Self::Warned { container, .. }
            | Self::Spared { container, .. }
            | Self::WouldStop { container, .. }
            | Self::StopDecided { container, .. } => Some(container),
            _ => None,
        }
    }

    /// Whether the ledger keeps it. The line is not kept: those who waited have hung up when the daemon comes back.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        !matches!(self, Self::Queued(_) | Self::Left { .. })
    }
}
