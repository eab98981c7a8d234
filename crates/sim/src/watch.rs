//! The watch: readings of what runs, every ten seconds if all goes well, and their sum over time.
//!
//! What goes wrong is made up here: a pass that comes late, a driver that does not tell, figures that are missing.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::{
    Activity, ContainerId, Epoch, Holding, Hurry, Phase, Reading, Run as Seen, Standing, Thresholds, Time,
    TimeLimits, UnitReading, Use, Watched, in_demand,
};

use crate::coordinator::Message;
use crate::world::{Happening, World};

/// How often everything is read.
pub(crate) const PASS: Duration = Duration::from_secs(10);
/// How often what is known is written down.
const WRITTEN_EVERY: Duration = Duration::from_secs(30);
/// How long a touch of the keep file holds.
pub(crate) const FILE_HOLDS: Duration = Duration::from_secs(45 * 60);

/// The watch's memory of one run.
#[derive(Debug)]
pub(crate) struct Run {
    epoch: Epoch,
    activity: Activity,
    /// The reading before, in real time.
    read: Option<Time>,
}

/// What is written of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    epoch: Epoch,
    units_worked: Time,
    worked: Time,
    measured: Time,
}

impl World {
    /// One pass over everything that runs.
    pub(crate) fn pass(&mut self) {
        let holders: Vec<(Holding, Time)> =
            self.daemon.written.holdings().filter_map(|held| self.running(held)).collect();
        let is_of = |id: &ContainerId, run: &Run| {
            let of = |(held, since): &(Holding, Time)| {
                held.container == *id && held.epoch == run.epoch && *since == run.activity.began()
            };
            holders.iter().any(of)
        };
        self.daemon.runs.retain(|id, run| is_of(id, run));
        let (wanted, came_in) = (in_demand(&self.daemon.written), !self.daemon.entered.is_empty());
        if self.daemon.written.waiting() > 0 {
            self.waited = Some(self.clock);
        }
        let mut watched = BTreeMap::new();
        for (held, since) in holders {
            let wanted = wanted.contains(&held.container);
            if let Some(one) = self.look_at_use(&held, since, wanted) {
                watched.insert(held.container, one);
            }
        }
        watched.retain(|id, _| !self.daemon.stopping.contains(id));
        let holds = self.holds();
        self.message(Message::Course { watched, holds });
        // A daemon that comes after this one does not hear again that somebody came in.
        if came_in || self.clock.since(self.written) >= WRITTEN_EVERY {
            self.write_activity();
        }
    }

    fn running(&self, held: &Holding) -> Option<(Holding, Time)> {
        let container = self.daemon.written.container(&held.container)?;
        match (held.phase, container.standing) {
            (Phase::Running, Standing::Running { since }) => Some((held.clone(), since)),
            _ => None,
        }
    }

    /// How long each stopped container is kept.
    fn holds(&self) -> BTreeMap<ContainerId, Duration> {
        let stopped =
            self.daemon.written.containers().filter(|c| matches!(c.standing, Standing::Stopped { .. }));
        let hold = |owner| {
            let person = self.people.iter().find(|person| person.uid == owner)?;
            self.policy.resolve(person).container_hold_after_stop
        };
        stopped.filter_map(|c| Some((c.id.clone(), hold(c.owner)?))).collect()
    }

    /// The times that hold for a container.
    pub(crate) fn times(&self, id: &ContainerId) -> Option<TimeLimits> {
        let container = self.daemon.state.container(id)?;
        let person = self.people.iter().find(|person| person.uid == container.owner)?;
        Some(self.policy.times(&self.policy.resolve(person), container.kind))
    }

    fn look_at_use(&mut self, held: &Holding, since: Time, wanted: bool) -> Option<Watched> {
        let id = &held.container;
        let times = self.times(id)?;
        let real = self.engine.containers.get(id)?;
        let job = real.job.clone().filter(|_| real.run == Seen::Running);
        let now = self.daemon.now(self.clock);
        let stored = self.daemon.stored.get(id).copied().filter(|stored| stored.epoch == held.epoch);
        let mut run = self.daemon.runs.remove(id).unwrap_or_else(|| Run {
            epoch: held.epoch,
            activity: match stored {
                Some(it) => Activity::resumed(since, it.units_worked, it.worked, it.measured),
                None => Activity::of_run(since),
            },
            read: None,
        });
        let mut reading = match job {
            Some(job) => job.reading(&mut self.rng, run.read, self.clock, &held.units),
            None => Reading {
                units: held.units.iter().map(|id| (id.clone(), UnitReading::default())).collect(),
                ..Reading::default()
            },
        };
        reading.at = now;
        reading.entered = self.daemon.entered.remove(id);
        if reading.entered
            && let Some(real) = self.engine.get(id)
        {
            real.truth.entered = Some(self.clock);
        }
        self.spoil(&mut reading);
        let limits =
            times.idle_timeout.map_or_else(Thresholds::default, |most| Thresholds::default().within(most));
        run.read = Some(self.clock);
        self.has_read(id, &reading, &limits);
        run.activity.read(reading, &limits);
        let touched = self.engine.containers.get(id).and_then(|real| real.truth.touched);
        let left = touched.and_then(|at| FILE_HOLDS.checked_sub(self.clock.since(at)));
        let watched = Watched {
            verdict: run.activity.verdict(&limits, now),
            idle_timeout: times.idle_timeout,
            hurry: times
                .idle_timeout
                .and_then(|timeout| self.policy.hurried(timeout))
                .map(|timeout| Hurry { timeout, now: wanted }),
            max_runtime: times.max_runtime,
            keep_file_until: left.map(|left| now.after(left)),
        };
        self.daemon.runs.insert(id.clone(), run);
        Some(watched)
    }

    /// Takes out of a reading what could not be measured.
    fn spoil(&mut self, reading: &mut Reading) {
        if self.blind_until > self.clock || self.rng.permille(self.faults.blind) {
            reading.units.values_mut().for_each(|unit| *unit = UnitReading::default());
        }
        if self.rng.permille(self.faults.blind) {
            reading.cpu_milli = None;
        }
    }

    /// Notes what could be measured: by what was read, not by what the rules make of it.
    fn has_read(&mut self, id: &ContainerId, reading: &Reading, limits: &Thresholds) {
        let told = reading.units.values().all(|unit| unit.shows(None, limits) != Use::Unknown);
        let complete = told && reading.cpu_milli.is_some();
        let clock = self.clock;
        if let Some(real) = self.engine.get(id) {
            real.truth.has_been_read(clock, told, complete);
        }
    }

    /// When the next pass comes: it may be held up.
    pub(crate) fn next_pass(&mut self) -> Duration {
        if self.rng.permille(self.faults.blind / 10) { self.rng.between(11_000, 200_000) } else { PASS }
    }

    fn write_activity(&mut self) {
        self.written = self.clock;
        let store = |(id, run): (&ContainerId, &Run)| {
            let (units_worked, worked) = (run.activity.units_worked(), run.activity.worked());
            (id.clone(), Stored { epoch: run.epoch, units_worked, worked, measured: run.activity.measured() })
        };
        self.daemon.stored = self.daemon.runs.iter().map(store).collect();
        for id in self.daemon.runs.keys() {
            if let Some(real) = self.engine.containers.get_mut(id) {
                real.truth.is_written();
            }
        }
    }

    /// The next pass of a new daemon.
    pub(crate) fn watch_begins(&mut self) {
        for real in self.engine.containers.values_mut() {
            real.truth.is_read_anew();
        }
        self.written = self.clock;
        let life = self.daemon.life;
        self.later(PASS / 10, Happening::Pass { life });
    }
}
