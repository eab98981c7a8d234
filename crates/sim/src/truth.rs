//! What really happened to a container, and the oracles on its course: no stop of somebody at work, none unwarned, no
//! warning twice, and nothing idle that stays.
//!
//! Judged by what its programs did and by what was made to fail, never by the verdict that led to the stop.

use std::time::Duration;

use ds01_domain::{Cause, ContainerId, Event, Kind, Mode, Run, Stage, Thresholds, Time, TimeLimits};

use crate::engine::Real;
use crate::job::Job;
use crate::watch::{FILE_HOLDS, PASS};
use crate::world::World;

/// The rules pass over silences so long; what is longer counts as work.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A stop may rest on a reading that missed work for so long at most: a silence, a pass, and the second it is late.
const MISSED_MAX: Duration = Duration::from_secs(75);
/// … on the units: what samples of the driver miss is work beside them only.
const MISSED_ON_UNITS_MAX: Duration = Duration::from_secs(240);
/// Work beside the units that began so shortly before a reading may be too little in its mean over ten seconds.
const FIRST_MOMENTS: Duration = Duration::from_secs(3);
/// How late a decision may be: the pass that sees the end of the work, the one that is due, the disk.
const LATE_MAX: Duration = Duration::from_secs(30);
/// How long a stop may take that the Engine fails, delays and loses.
const STOP_TAKES_MAX: Duration = Duration::from_secs(600);
/// How much less than was recorded a container may have run: its start and its end are seen late.
const RUN_SEEN_LATE_MAX: Duration = Duration::from_secs(240);
/// How many times as long a container may work beside its units.
const BUSY_FACTOR: u32 = 6;

/// A warning that somebody heard.
#[derive(Clone, Debug)]
struct Told {
    cause: Cause,
    stage: Stage,
    at: Time,
    /// Whether that is on the disk.
    written: bool,
}

/// That idleness be passed over for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) asked: Time,
    pub(crate) length: Duration,
    /// Its end in ledger time.
    pub(crate) until: Time,
}

/// The truth about one container, in real time.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// The last reading, and the last one in which everything could be measured.
    read: Time,
    measured: Time,
    /// What is on the disk of that.
    measured_written: Option<Time>,
    /// Whether nobody could say what its units do.
    blind: bool,
    /// The end of the last time in which nobody could measure for long.
    hole: Time,
    /// Time that passed unmeasured since, in short silences.
    lost: Duration,
    /// How much later than planned readings came, all together.
    held_up: Duration,
    /// When somebody last came in, as far as that was noticed.
    pub(crate) entered: Option<Time>,
    /// When the keep file was last touched.
    pub(crate) touched: Option<Time>,
    /// What its owner asked for, and was promised.
    pub(crate) kept: Option<Kept>,
    told: Vec<Told>,
    /// When the rules decided to stop it, and why.
    decided: Option<(Cause, Time)>,
    /// Why it is being stopped, or was, by the rules, and in which life of the daemon.
    pub(crate) stopped_by: Option<(Cause, u64)>,
    /// The runs before: from when until when.
    before: Vec<(Time, Time)>,
    began: Time,
    pub(crate) ended_at: Option<Time>,
    /// Since when it holds units and nothing of it is there.
    pub(crate) vacant_since: Option<Time>,
}

impl Truth {
    /// A run begins.
    pub(crate) fn begins(&mut self, now: Time) {
        *self = Self {
            read: now,
            measured: now,
            hole: now,
            began: now,
            touched: self.touched,
            kept: self.kept,
            before: std::mem::take(&mut self.before),
            ..Self::default()
        };
    }

    /// It ends.
    pub(crate) fn ended(&mut self, now: Time) {
        self.before.push((self.began, now));
        self.ended_at = Some(now);
    }

    /// How long all its runs have taken.
    fn ran(&self, now: Time) -> Duration {
        let before: Duration = self.before.iter().map(|(began, ended)| ended.since(*began)).sum();
        before + now.since(self.began)
    }

    /// It was read; whether its units told anything, and whether everything did.
    pub(crate) fn has_been_read(&mut self, now: Time, told: bool, complete: bool) {
        self.held_up += now.since(self.read).saturating_sub(PASS);
        (self.read, self.blind) = (now, !told);
        if !complete {
            return;
        }
        let silent = now.since(self.measured);
        if silent > SILENCE_MAX {
            (self.hole, self.lost) = (now, Duration::ZERO);
        } else {
            self.lost += silent.saturating_sub(PASS);
        }
        self.measured = now;
    }

    /// What was measured is written down.
    pub(crate) fn is_written(&mut self) {
        self.measured_written = Some(self.measured);
    }

    /// A new daemon knows what was written.
    pub(crate) fn is_read_anew(&mut self) {
        self.measured = self.measured_written.unwrap_or(self.began);
    }

    /// Since when nothing happened that counts as a sign of life.
    fn quiet_since(&self, job: &Job, now: Time) -> Time {
        let signs = [job.worked(now), job.changed(now), self.hole, self.entered.unwrap_or_default()];
        signs.into_iter().max().unwrap_or_default()
    }
}

impl World {
    /// A warning reaches its owner: not twice in one silence, unless the daemon died before it could write it down.
    pub(crate) fn is_told(&mut self, id: &ContainerId, cause: Cause, stage: Stage) {
        let (now, mode_since) = (self.clock, self.mode_since);
        let Some(real) = self.engine.get(id) else { return };
        let Some(job) = &real.job else { return };
        let truth = &mut real.truth;
        let renewed = [
            truth.quiet_since(job, now),
            truth.touched.map_or(Time::default(), |at| at.after(PASS)),
            truth
                .kept
                .map(|kept| kept.asked.after(kept.length))
                .filter(|end| *end <= now)
                .unwrap_or_default(),
            truth.touched.map(|at| at.after(FILE_HOLDS)).filter(|end| *end <= now).unwrap_or_default(),
            truth.kept.map_or(Time::default(), |kept| kept.asked),
            mode_since,
        ];
        let renewed = match cause {
            Cause::Idle | Cause::Demand => renewed.into_iter().max().unwrap_or_default(),
            Cause::Runtime => truth.began,
        };
        let same = |told: &&Told| (told.cause, told.stage) == (cause, stage) && told.at > renewed;
        let again = truth.told.iter().filter(same).any(|told| told.written);
        truth.told.push(Told { cause, stage, at: now, written: false });
        self.summary.warnings += 1;
        if again {
            self.fail(format!("{} is told twice in one silence: {stage:?}, {cause}", self.name(id)));
        }
    }

    /// Facts of a course have reached the disk.
    pub(crate) fn is_on_disk(&mut self, event: &Event) {
        let (clock, life) = (self.clock, self.daemon.life);
        let Some(id) = event.on_course().or(match event {
            Event::Ended { container, .. } => Some(container),
            _ => None,
        }) else {
            return;
        };
        let Some(real) = self.engine.containers.get_mut(id) else { return };
        match event {
            Event::Warned { cause, stage, .. } => {
                let same = |told: &&mut Told| (told.cause, told.stage) == (*cause, *stage);
                real.truth.told.iter_mut().filter(same).for_each(|told| told.written = true);
            }
            Event::StopDecided { cause, .. } => {
                real.truth.decided = Some((*cause, clock));
                self.note_lateness(id, *cause);
                let waits = self.waited.is_some_and(|waited| clock.since(waited) <= LATE_MAX);
                if *cause == Cause::Demand && !waits {
                    self.fail(format!("{} is to be stopped for somebody who does not wait", self.name(id)));
                }
            }
            Event::Spared { .. } => {
                real.truth.decided = None;
                self.summary.spared += 1;
            }
            Event::Ended { by_user, .. } => {
                // Who dies of a stop of the rules is said to: else his restart policy takes the unit again.
                let stopped = real.truth.stopped_by.take().filter(|(_, by)| *by == life);
                let known = self.daemon.state.container(id);
                let by_user = *by_user || known.is_none_or(|c| !c.exists() || ends_by_user(c));
                let told = known.and_then(|known| known.stopped_for);
                if let Some((cause, _)) = stopped.filter(|_| !by_user && told.is_none()) {
                    self.fail(format!("{} was stopped ({cause}), and nobody knows why", self.name(id)));
                }
            }
            _ => {}
        }
    }

    /// The rules stop a container: whether they may.
    pub(crate) fn judge_stop(&mut self, id: &ContainerId, cause: Cause) {
        self.summary.stops += 1;
        let Some(times) = self.times(id) else { return };
        let hurried = times.idle_timeout.map(|idle| self.policy.hurried(idle).unwrap_or(idle));
        let kind = self.daemon.state.container(id).map(|container| container.kind);
        let ledger = self.daemon.now(self.clock);
        let (clock, away, mode) = (self.clock, self.away_since(Time::default()) + self.jumped, self.mode);
        let Some(real) = self.engine.get(id).filter(|real| real.run == Run::Running) else { return };
        let Some(job) = &real.job else { return };
        let wrong = if mode == Mode::Observe {
            Some("in a lab that is only observed".to_owned())
        } else if kind == Some(Kind::Infrastructure) {
            Some("though it is the lab's own".to_owned())
        } else {
            let warned = unwarned(&real.truth, job, cause, &times, clock);
            warned.or_else(|| match cause {
                Cause::Idle => at_work(&real.truth, job, &times, times.idle_timeout, clock, ledger),
                Cause::Demand => at_work(&real.truth, job, &times, hurried, clock, ledger),
                Cause::Runtime => too_early(&real.truth, &times, clock, away),
            })
        };
        if let Some(why) = wrong {
            self.fail(format!("{} is stopped ({cause}) {why}", self.name(id)));
        }
    }

    /// Whether anything that runs should have been stopped by now.
    pub(crate) fn judge_delays(&mut self) {
        let ids: Vec<ContainerId> = self.daemon.runs.keys().cloned().collect();
        for id in ids {
            let Some(times) = self.times(&id) else { continue };
            let Some(container) = self.daemon.state.container(&id) else { continue };
            let (kind, told) = (container.kind, container.would_stop.is_some());
            let Some(real) = self.engine.containers.get(&id).filter(|real| real.run == Run::Running) else {
                continue;
            };
            let observed = self.mode == Mode::Observe;
            let over = self.overdue(real, &times);
            let Some(why) = over.filter(|_| kind != Kind::Infrastructure) else { continue };
            if !(observed && told) {
                self.fail(format!("{} goes on: {why}", self.name(&id)));
            }
        }
    }

    fn overdue(&self, real: &Real, times: &TimeLimits) -> Option<String> {
        let (truth, job, now) = (&real.truth, real.job.as_ref()?, self.clock);
        let away = self.away_since(truth.began) + truth.held_up;
        if let Some((cause, at)) = truth.decided {
            // While nobody can say what it does nobody is stopped for idleness, whatever was decided.
            if cause != Cause::Runtime && truth.blind {
                return None;
            }
            let late = now.since(at.max(truth.hole)) > STOP_TAKES_MAX + away * 3;
            return late.then(|| format!("its stop ({cause}) was decided {} s ago", now.since(at).as_secs()));
        }
        let latest_mode = |of: Duration| self.mode_since.after(Stage::Last.lead(of));
        if let Some(most) = times.max_runtime {
            let ran = truth.ran(now);
            // A run that began while nobody looked counts from when it was seen, those before as well.
            let before: Duration =
                truth.before.iter().map(|(from, until)| self.away_within(*from, *until)).sum();
            let bound = most + Stage::Last.lead(most) + RUN_SEEN_LATE_MAX + (away + before) * 3;
            // One that was started anew is warned anew.
            let anew = latest_mode(most).max(truth.began.after(Stage::Last.lead(most) + RUN_SEEN_LATE_MAX));
            if ran > bound && now > anew.after(LATE_MAX + away * 3) {
                return Some(format!("it has run for {} s of {}", ran.as_secs(), most.as_secs()));
            }
        }
        let timeout = times.idle_timeout?;
        if truth.measured < now {
            return None;
        }
        let deadline = idle_deadline(truth, job, timeout, now).max(latest_mode(timeout));
        let working = job.units_worked(now) == now;
        let late = now > deadline.after(truth.lost + LATE_MAX);
        (late && !working)
            .then(|| format!("it is idle, and its time was over {} s ago", now.since(deadline).as_secs()))
    }

    /// In a story without faults a deadline is met as soon as the watch can know.
    fn note_lateness(&mut self, id: &ContainerId, cause: Cause) {
        if !self.faults.are_none() || cause != Cause::Idle {
            return;
        }
        let Some(timeout) = self.times(id).and_then(|times| times.idle_timeout) else { return };
        let Some(real) = self.engine.containers.get(id) else { return };
        let Some(job) = &real.job else { return };
        let late = self.clock.since(idle_deadline(&real.truth, job, timeout, self.clock));
        let late = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        self.summary.latest_ms = self.summary.latest_ms.max(late);
    }
}

/// When a container that is idle now is to be stopped, by what it did.
fn idle_deadline(truth: &Truth, job: &Job, timeout: Duration, now: Time) -> Time {
    let all = truth.quiet_since(job, now).after(timeout);
    let units = [job.units_worked(now), job.changed(now), truth.hole].into_iter().max().unwrap_or_default();
    let units = units.after(timeout * BUSY_FACTOR);
    // Work now is no quiet, whenever it ended last.
    let quiet = if job.worked(now) == now { units } else { all.min(units) };
    let kept = truth.kept.map_or(Time::default(), |kept| kept.asked.after(kept.length));
    let touched = truth.touched.map_or(Time::default(), |at| at.after(FILE_HOLDS));
    quiet.max(kept).max(touched)
}

fn ends_by_user(container: &ds01_domain::Container) -> bool {
    matches!(container.standing, ds01_domain::Standing::Stopped { by_user: true, .. })
}

/// Nobody told the last warning in this silence, or too late.
fn unwarned(truth: &Truth, job: &Job, cause: Cause, times: &TimeLimits, now: Time) -> Option<String> {
    let of = match cause {
        Cause::Idle | Cause::Demand => times.idle_timeout,
        Cause::Runtime => times.max_runtime,
    };
    let Some(of) = of else { return Some("though it has all the time there is".to_owned()) };
    let of_time = |cause: Cause| cause == Cause::Runtime;
    let since = if of_time(cause) { truth.began } else { units_seen_at_work(truth, job) };
    let last =
        |told: &&Told| of_time(told.cause) == of_time(cause) && told.stage == Stage::Last && told.at >= since;
    let Some(told) = truth.told.iter().filter(last).map(|told| told.at).min() else {
        return Some("and nobody warned of it".to_owned());
    };
    let left = now.since(told) + Duration::from_secs(16);
    (left < Stage::Last.lead(of)).then(|| format!("{} s after the warning", now.since(told).as_secs()))
}

/// Up to when its units worked as far as readings must have shown it: the first moments of work may be missed.
fn units_seen_at_work(truth: &Truth, job: &Job) -> Time {
    let missed = u64::try_from(MISSED_ON_UNITS_MAX.as_millis()).unwrap_or(u64::MAX);
    job.units_worked(Time(truth.read.0.saturating_sub(missed)))
}

/// It works, or did within the time that it may be idle, or nobody can say, or it was given time.
fn at_work(
    truth: &Truth,
    job: &Job,
    times: &TimeLimits,
    may: Option<Duration>,
    now: Time,
    ledger: Time,
) -> Option<String> {
    let (timeout, may) = (times.idle_timeout?, may?);
    let at = truth.read;
    let shown = Time(at.0.saturating_sub(u64::try_from(FIRST_MOMENTS.as_millis()).unwrap_or(u64::MAX)));
    let worked = job.worked(shown).max(truth.entered.unwrap_or_default());
    let (quiet, units_quiet) = (at.since(worked), at.since(units_seen_at_work(truth, job)));
    if quiet + MISSED_MAX < may && units_quiet + MISSED_ON_UNITS_MAX < timeout * BUSY_FACTOR {
        return Some(format!(
            "having worked {} s ago, on its units {} s ago",
            quiet.as_secs(),
            units_quiet.as_secs()
        ));
    }
    let grace = Thresholds::default().within(timeout).grace;
    if now.since(truth.began) + LATE_MAX < grace {
        return Some(format!("{} s after its start", now.since(truth.began).as_secs()));
    }
    if truth.blind || now.since(at) > SILENCE_MAX {
        return Some("and nobody can say what it does".to_owned());
    }
    if truth.kept.is_some_and(|kept| ledger < kept.until) {
        return Some("though its owner asked for more time".to_owned());
    }
    let touched = truth.touched.filter(|touched| *touched <= at && at < touched.after(FILE_HOLDS));
    touched.map(|_| "though its keep file was touched".to_owned())
}

/// It has not run for as long as it may.
fn too_early(truth: &Truth, times: &TimeLimits, now: Time, away: Duration) -> Option<String> {
    let most = times.max_runtime?;
    let ran = truth.ran(now);
    // While nobody looked a run that had ended counted on.
    let counted = ran + RUN_SEEN_LATE_MAX + away;
    (counted < most).then(|| format!("after {} s", ran.as_secs()))
}
