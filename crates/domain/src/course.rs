//! The course of a container that holds units and does not use them, or has used them for as long as it may: warnings,
//! then the stop.
//!
//! Nothing stops without its last warning, told so long before that somebody can act on it; no warning is told twice
//! for one silence; and what nobody could measure holds everything up. All of it is recorded, so that a daemon that
//! was away goes on where it was.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::container::{Container, Kind, Standing};
use crate::demand::Hurry;
use crate::event::Event;
use crate::grant::{Holding, Phase};
use crate::idle::{Verdict, VerdictState};
use crate::ids::{ContainerId, Epoch, Time, millis};
use crate::plan::Action;
use crate::state::State;

/// How many times the idle timeout a container may work beside its units before it is stopped for not using them:
/// loading, unpacking and evaluating end some time, `yes >/dev/null` does not.
const BUSY_FACTOR: u32 = 6;
/// A deadline that moved by less than this, or by less than a quarter of the time, is the same silence measured twice.
const SAME_SILENCE: Duration = Duration::from_secs(90);

/// Why a container is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Its units were not used.
    Idle,
    /// They were not used, and somebody waits for them.
    Demand,
    /// It ran for as long as it may.
    Runtime,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::Demand => "idle, and somebody waits",
            Self::Runtime => "maximum run time",
        })
    }
}

/// How near the stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Half of the time is over.
    Half,
    /// A quarter of an hour is left.
    Soon,
    /// Five minutes are left.
    Last,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Last, Self::Soon, Self::Half];

    /// How long before the stop it is told, of a time of this length: short times have short leads.
    #[must_use]
    pub fn lead(self, of: Duration) -> Duration {
        match self {
            Self::Half => of / 2,
            Self::Soon => (of / 2).min(Duration::from_secs(15 * 60)),
            Self::Last => (of / 6).min(Duration::from_secs(5 * 60)),
        }
    }
}

/// How far a container has come: what its owner was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// Why it will be stopped.
    pub cause: Cause,
    /// The last warning.
    pub stage: Stage,
    /// When it will be stopped, as the last warning said.
    pub stop_at: Time,
}

/// Whether stops are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nobody is warned and nothing is stopped: what would have been done is recorded.
    Observe,
    /// Warn, then stop.
    #[default]
    Enforce,
}

/// What is known of one running container beside the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// What it does with its units.
    pub verdict: Verdict,
    /// How long it may be idle; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// How long while somebody waits for what it holds, where that is shorter.
    pub hurry: Option<Hurry>,
    /// How long all its runs together may last; `None` for ever.
    pub max_runtime: Option<Duration>,
    /// Its owner has asked, by a file in the workspace, that idleness be passed over until then.
    pub keep_file_until: Option<Time>,
}

/// When a container will be stopped if nothing changes, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Time,
    /// The time that ends then: the idle timeout, or the maximum run time.
    pub of: Duration,
    /// What that time is where nobody waits.
    pub usual: Duration,
}

impl Deadline {
    /// How long before it this is told. The last warning leaves as much time as ever, however short the time is.
    fn lead(&self, stage: Stage) -> Duration {
        stage.lead(if stage == Stage::Last { self.usual } else { self.of })
    }
}

/// When this container will be stopped if nothing changes; `None` where nothing leads there.
#[must_use]
pub fn deadline(container: &Container, watched: &Watched, now: Time) -> Option<Deadline> {
    // Of two at the same time idleness is told: it is the one that somebody can do something about.
    let both = [idle_deadline(container, watched), runtime_deadline(container, watched.max_runtime, now)];
    both.into_iter().flatten().min_by_key(|deadline| deadline.at)
}

/// When a container will have run for as long as it may; `None` for ever.
pub(crate) fn runtime_deadline(
    container: &Container,
    max_runtime: Option<Duration>,
    now: Time,
) -> Option<Deadline> {
    let most = max_runtime.filter(|_| container.kind != Kind::Infrastructure)?;
    let ran = container.running_total_at(now);
    // One that has passed stays where it was.
    let over = Time(now.0.saturating_sub(millis(ran.saturating_sub(most))));
    let exempt = container.exempt_until.unwrap_or_default();
    let at = over.after(most.saturating_sub(ran)).max(exempt);
    Some(Deadline { cause: Cause::Runtime, at, of: most, usual: most })
}

fn idle_deadline(container: &Container, watched: &Watched) -> Option<Deadline> {
    let usual = idle_deadline_for(Cause::Idle, container, watched)?;
    let hurried = idle_deadline_for(Cause::Demand, container, watched);
    let hurried = hurried.filter(|hurried| match container.stopping {
        // What was decided is carried out, whoever waits by then.
        Some(cause) => cause == Cause::Demand,
        // What was told of the usual time is not brought forward.
        None => {
            let told = container.course.filter(|course| course.cause == Cause::Idle);
            let stands = told.is_some_and(|course| !is_later(usual, course.stop_at));
            watched.hurry.is_some_and(|hurry| hurry.now) && hurried.at < usual.at && !stands
        }
    });
    Some(hurried.unwrap_or(usual))
}

/// When the idle time ends that goes with this cause, whether or not it holds now.
fn idle_deadline_for(cause: Cause, container: &Container, watched: &Watched) -> Option<Deadline> {
    let usual = watched.idle_timeout.filter(|_| container.kind != Kind::Infrastructure)?;
    let timeout = if cause == Cause::Demand { watched.hurry?.timeout } else { usual };
    if !watched.verdict.counts() {
        return None;
    }
    let all_quiet = watched.verdict.quiet_since.after(timeout);
    // Who works beside its units is not idle, and has the usual time for that.
    let units_quiet = watched.verdict.units_quiet_since.after(usual * BUSY_FACTOR);
    let kept =
        [container.kept_until, watched.keep_file_until, container.exempt_until].into_iter().flatten().max();
    let at = all_quiet.min(units_quiet).max(kept.unwrap_or_default());
    Some(Deadline { cause, at, of: timeout, usual })
}

/// What the containers' use of their units asks for now. To be carried out in order; asked again, it gives nothing new but
/// the warnings that were not told yet and the stops that are not over.
#[must_use]
pub fn course(state: &State, mode: Mode, watched: &BTreeMap<ContainerId, Watched>, now: Time) -> Vec<Action> {
    let running = state.holdings().filter(|holding| holding.phase == Phase::Running);
    running
        .filter_map(|holding| {
            Some((holding, state.container(&holding.container)?, watched.get(&holding.container)?))
        })
        .flat_map(|(holding, container, watched)| step(mode, holding, container, watched, now))
        .collect()
}

/// The stopped containers that were kept for as long as they are to be: each is removed, its workspace stays.
#[must_use]
pub fn expired(state: &State, holds: &BTreeMap<ContainerId, Duration>, now: Time) -> Vec<Action> {
    let over = |container: &&Container| match container.standing {
        Standing::Stopped { at, .. } => holds.get(&container.id).is_some_and(|hold| now.since(at) >= *hold),
        _ => false,
    };
    state
        .containers()
        .filter(over)
        .filter(|container| container.want.is_some() && container.kind != Kind::Infrastructure)
        .filter(|container| container.restarts.due.is_none())
        .filter(|container| {
            state.holding(&container.id).is_none() && state.waiter_of(&container.id).is_none()
        })
        .map(|container| Action::RemoveContainer { container: container.id.clone() })
        .collect()
}

fn step(mode: Mode, holding: &Holding, container: &Container, watched: &Watched, now: Time) -> Vec<Action> {
    let name = || (holding.container.clone(), holding.epoch);
    let mut actions = Vec::new();
    let spared = is_spared(container, watched, now);
    if spared {
        let (container, epoch) = name();
        actions.push(Action::Record(Event::Spared { container, epoch, at: now }));
    }
    let Some(deadline) = deadline(container, watched, now) else { return actions };
    if mode == Mode::Observe {
        if deadline.at <= now && (container.would_stop.is_none() || spared) {
            let (container, epoch) = name();
            actions.push(Action::Record(Event::WouldStop {
                container,
                epoch,
                cause: deadline.cause,
                at: now,
            }));
        }
        return actions;
    }
    let course = match deadline.cause {
        Cause::Idle | Cause::Demand => container.course.filter(|_| !spared),
        // A time that was lengthened is warned of anew.
        Cause::Runtime => container.runtime_course.filter(|course| !is_later(deadline, course.stop_at)),
    };
    actions.extend(go_on(name(), course, container.stopping.filter(|_| !spared), deadline, now));
    actions
}

/// The next thing on the way to a stop, if it is time for it.
fn go_on(
    (container, epoch): (ContainerId, Epoch),
    course: Option<Course>,
    stopping: Option<Cause>,
    deadline: Deadline,
    now: Time,
) -> Vec<Action> {
    let cause = deadline.cause;
    // It was told of a shorter time, and nobody waits any more.
    let lapsed = course.filter(|course| course.cause != cause && is_later(deadline, course.stop_at));
    let course = course.filter(|_| lapsed.is_none());
    if let Some(course) = course.filter(|course| course.stage == Stage::Last)
        && now >= course.stop_at.max(deadline.at)
    {
        let mut actions = Vec::new();
        if stopping.is_none() {
            let container = container.clone();
            actions.push(Action::Record(Event::StopDecided { container, epoch, cause, at: now }));
        }
        actions.push(Action::Stop { container, epoch, cause });
        return actions;
    }
    let left = Duration::from_millis(deadline.at.0.saturating_sub(now.0));
    let stage = Stage::ALL.into_iter().find(|stage| left <= deadline.lead(*stage));
    // Who was told that it ends in minutes is told at once that it does not.
    let stage = stage.or(lapsed.filter(|course| course.stage == Stage::Last).map(|_| Stage::Half));
    let Some(stage) = stage else { return Vec::new() };
    if course.is_some_and(|course| course.stage >= stage) {
        return Vec::new();
    }
    // Told late, because nobody was there to tell it, it is still told so long before.
    let stop_at =
        if stage == Stage::Last { deadline.at.max(now.after(deadline.lead(stage))) } else { deadline.at };
    vec![Action::Warn { container, epoch, cause, stage, stop_at }]
}

/// Whether what was begun is off: it works again, or it was given more time. What nobody can see spares nobody.
fn is_spared(container: &Container, watched: &Watched, now: Time) -> bool {
    let begun = |course: Option<Course>, is_of: fn(Cause) -> bool| {
        let course = course.map(|course| (course.cause, course.stop_at));
        course.or(container.would_stop.filter(|(cause, _)| is_of(*cause)))
    };
    let is_off = |deadline: Option<Deadline>, stop_at: Time| deadline.is_none_or(|it| is_later(it, stop_at));
    let unseen = watched.verdict.state == VerdictState::Unknown && watched.idle_timeout.is_some();
    // By the time that it was told of: that nobody waits any more is no work of its own.
    let idle = begun(container.course, |cause| cause != Cause::Runtime).is_some_and(|(cause, stop_at)| {
        !unseen && is_off(idle_deadline_for(cause, container, watched), stop_at)
    });
    // Its time goes on, whatever was told of it: only what was decided can be off.
    let decided = container.runtime_course.filter(|_| container.stopping == Some(Cause::Runtime));
    let runtime = begun(decided, |cause| cause == Cause::Runtime)
        .is_some_and(|(_, stop_at)| is_off(runtime_deadline(container, watched.max_runtime, now), stop_at));
    idle || runtime
}

/// Whether a deadline lies further ahead than what was told: no silence is measured twice to the second.
fn is_later(deadline: Deadline, told: Time) -> bool {
    deadline.at > told.after(SAME_SILENCE.min(deadline.of / 4))
}
