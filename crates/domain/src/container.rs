//! What is remembered of a container, and of a create that has no container yet.
//!
//! Only containers that ask for GPUs have a standing here: the Engine alone runs the others.

use std::fmt;
use std::time::Duration;

use crate::course::{Cause, Course};
use crate::ids::{ContainerId, Time, Token, Uid, UnitId};
use crate::want::Want;

/// Who made a container, which decides how long it may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `container deploy` and its like.
    Ds01,
    /// An editor's Dev Container.
    DevContainer,
    /// A compose service.
    Compose,
    /// Plain Docker.
    Docker,
    /// What an administrator marked as the lab's own.
    Infrastructure,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ds01 => "ds01",
            Self::DevContainer => "dev container",
            Self::Compose => "compose",
            Self::Docker => "docker",
            Self::Infrastructure => "infrastructure",
        })
    }
}

/// Docker's restart policies. For GPU containers they are carried out here, through the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// However it ended, unless a user stopped it.
    Always,
    /// As `Always`; the Engine tells them apart only at boot.
    UnlessStopped,
    /// After a failure.
    OnFailure {
        /// So many times; zero is for ever.
        max: u32,
    },
}

/// A create that was sent, or is about to be sent, to the Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCreate {
    /// Its name in the Engine's labels.
    pub token: Token,
    /// The user whose container it will be.
    pub owner: Uid,
    /// His login name.
    pub owner_name: String,
    /// The container's name, without Docker's slash.
    pub name: String,
    /// Who makes it.
    pub kind: Kind,
    /// Its wish for units, named units resolved; `None` if it asks for no GPU.
    pub want: Option<Want>,
    /// The user's own restart policy.
    pub restart: RestartPolicy,
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// When it was admitted.
    pub at: Time,
}

/// A container that came through the door, or was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The Engine's id.
    pub id: ContainerId,
    /// The create that made it; `None` for one that was found.
    pub token: Option<Token>,
    /// The user whose container it is.
    pub owner: Uid,
    /// His login name at create.
    pub owner_name: String,
    /// The container's name, without Docker's slash.
    pub name: String,
    /// Who made it.
    pub kind: Kind,
    /// Its wish for units, named units resolved; `None` if it asked for no GPU.
    pub want: Option<Want>,
    /// The user's own restart policy.
    pub restart: RestartPolicy,
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// When the Engine was known to have it.
    pub created: Time,
    /// Where it stands.
    pub standing: Standing,
    /// Running time of all runs that ended.
    pub running_total: Duration,
    /// The units of its last run.
    pub last_units: Vec<UnitId>,
    /// Whether a user asked for the present run to stop.
    pub stop_asked: bool,
    /// What the restart policy has still to do.
    pub restarts: Restarts,
    /// What its owner was told of idleness, in the present silence.
    pub course: Option<Course>,
    /// What he was told of the end of its time, in the present run.
    pub runtime_course: Option<Course>,
    /// It is being stopped by the rules, for this reason.
    pub stopping: Option<Cause>,
    /// The rules stopped its last run, for this reason.
    pub stopped_for: Option<Cause>,
    /// It would have been stopped, were stops carried out.
    pub would_stop: Option<(Cause, Time)>,
    /// Idleness is passed over until then.
    pub kept_until: Option<Time>,
    /// The rules stop it no earlier than then. Follows from the exemptions: [`State`](crate::State) writes it.
    pub exempt_until: Option<Time>,
}

/// Where a GPU container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It never ran.
    Created,
    /// It holds units, and the Engine has not yet said that it runs.
    Starting,
    /// It runs.
    Running {
        /// Since then.
        since: Time,
    },
    /// It ended, or its start failed.
    Stopped {
        /// Then.
        at: Time,
        /// The exit code, where it is known.
        exit: Option<i32>,
        /// Whether a user stopped it.
        by_user: bool,
    },
    /// The Engine has forgotten it; it is kept while units of it have to be looked after.
    Removed,
}

impl Container {
    /// What was said and decided of a run is over with it.
    pub(crate) fn begin_anew(&mut self) {
        self.spared();
        (self.runtime_course, self.stopped_for) = (None, None);
    }

    /// It uses its units again, or was given time.
    pub(crate) fn spared(&mut self) {
        (self.course, self.stopping, self.would_stop) = (None, None, None);
    }

    /// Its owner was told of its stop.
    pub(crate) fn warned(&mut self, course: Course) {
        match course.cause {
            Cause::Idle | Cause::Demand => self.course = Some(course),
            Cause::Runtime => self.runtime_course = Some(course),
        }
    }

    /// Running time of all runs, the present one included.
    #[must_use]
    pub fn running_total_at(&self, now: Time) -> Duration {
        match self.standing {
            Standing::Running { since } => self.running_total + now.since(since),
            _ => self.running_total,
        }
    }

    /// Its run ended, or its start failed.
    pub(crate) fn ended(&mut self, at: Time, exit: Option<i32>, by_user: bool) {
        let by_user = by_user || self.stop_asked;
        let ran = match self.standing {
            Standing::Running { since } => Some(at.since(since)),
            _ => None,
        };
        self.running_total += ran.unwrap_or_default();
        self.standing = Standing::Stopped { at, exit, by_user };
        let stopped_for = self.stopping.filter(|_| !by_user);
        self.begin_anew();
        self.stopped_for = stopped_for;
        match ran {
            // What the rules have stopped stays so: its restart policy would take the unit again.
            _ if by_user || stopped_for.is_some() => self.restarts.stopped(),
            Some(ran) => self.restarts.ended(at, ran, exit, self.restart),
            // The Engine, too, retries no start that a user made and that failed.
            None if self.restarts.ours => self.restarts.ended(at, Duration::ZERO, exit, self.restart),
            None => self.restarts.due = None,
        }
        self.restarts.ours = false;
    }

    /// Whether the Engine still has it.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.standing != Standing::Removed
    }
}

/// The wait before the first restart.
const RESTART_DELAY_FIRST: Duration = Duration::from_millis(100);
/// The longest wait between restarts.
const RESTART_DELAY_MAX: Duration = Duration::from_secs(60);
/// A run of this length was no failure: the next wait is the first again.
const RESTART_RUN_GOOD: Duration = Duration::from_secs(10);

/// The restart policy at work: Docker's own back-off, 100 ms doubling to a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    /// Restarts tried since a user last started it; a stop leaves them, so that they can be told.
    pub tries: u32,
    /// The last wait.
    pub delay: Duration,
    /// When the next try is due, if there is to be one.
    pub due: Option<Time>,
    /// Whether the present run, or the start that is under way, is a try of ours.
    pub ours: bool,
}

impl Restarts {
    /// A try was made. Another follows unless this one leads to a run: a denied start must not end a policy.
    pub(crate) fn tried(&mut self, attempt: u32, at: Time, policy: RestartPolicy) {
        let led_nowhere = std::mem::replace(&mut self.ours, true);
        self.tries = attempt;
        if led_nowhere {
            self.lengthen();
        }
        self.due = self.allows(policy).then(|| at.after(longer(self.delay)));
    }

    /// A user stopped it: nothing is due any more.
    pub(crate) fn stopped(&mut self) {
        *self = Self { tries: self.tries, ..Self::default() };
    }

    /// A run ended by itself.
    pub(crate) fn ended(&mut self, at: Time, ran: Duration, exit: Option<i32>, policy: RestartPolicy) {
        if ran >= RESTART_RUN_GOOD {
            self.delay = Duration::ZERO;
        }
        match policy {
            RestartPolicy::OnFailure { .. } if exit == Some(0) => self.due = None,
            _ => {
                self.lengthen();
                self.due = self.allows(policy).then(|| at.after(self.delay));
            }
        }
    }

    fn lengthen(&mut self) {
        self.delay = longer(self.delay);
    }

    /// Whether the policy allows one more try.
    fn allows(&self, policy: RestartPolicy) -> bool {
        match policy {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure { max } => max == 0 || self.tries < max,
        }
    }
}

/// The wait after one of this length.
fn longer(delay: Duration) -> Duration {
    (delay * 2).clamp(RESTART_DELAY_FIRST, RESTART_DELAY_MAX)
}
