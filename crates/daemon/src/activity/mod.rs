//! The watch: what running GPU containers do with their units, read every few seconds, and what follows from it.
//!
//! Answers for: readings at a cost that grows with running GPU containers alone, their sum over time, and telling the
//! coordinator. It must never decide (the rules do), never ask the Engine, and never hold up anybody: readers see the
//! board, which says when it was written.

mod board;
mod counters;
mod keep_file;
mod outsiders;
mod sample;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ds01_domain::{
    Action, Activity, ContainerId, Epoch, Hurry, Kind, Mode, Outsiders, Phase, Reading, Standing, Thresholds,
    Time, TimeLimits, Uid, UnitId, Watched, in_demand,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use board::{Board, Seen};
use counters::Counters;
use keep_file::KeepFiles;
use store::{Store, Stored};

use crate::cgroup::Group;
use crate::clock;
use crate::gateway::Door;

/// How often everything is read.
const EVERY: Duration = Duration::from_secs(10);
/// The most often, where times are so short that it has to be.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// How often what is known is written down.
const WRITTEN_EVERY: Duration = Duration::from_secs(60);
/// How many people the directory is asked for at once, fewer than it may be: others ask as well.
const MET_AT_ONCE: usize = 16;

/// The watch over all running GPU containers.
#[derive(Debug)]
pub struct Watch {
    door: Arc<Door>,
    receipts: PathBuf,
    store: Store,
    runs: BTreeMap<ContainerId, Run>,
    /// What an earlier daemon had written down.
    stored: BTreeMap<ContainerId, Stored>,
    outsiders: Outsiders,
    keep_files: KeepFiles,
    /// Whether something was seen that a daemon after this one would not see again.
    unwritten: bool,
}

/// One run of a container.
#[derive(Debug)]
struct Run {
    epoch: Epoch,
    activity: Activity,
    counters: Counters,
}

/// What the state says of a container that holds units.
#[derive(Debug, Clone)]
struct Holder {
    id: ContainerId,
    epoch: Epoch,
    units: Vec<UnitId>,
    since: Time,
    kind: Kind,
    owner: Uid,
    owner_name: String,
}

impl Watch {
    /// A watch that goes on from what lies in this directory.
    #[must_use]
    pub fn new(door: Arc<Door>, receipts: PathBuf, state: PathBuf) -> Self {
        let (store, known) = Store::open(state);
        door.board.begin(store.begun());
        let outsiders = outsiders::resumed(known.outsiders);
        Self {
            door,
            receipts,
            store,
            runs: BTreeMap::new(),
            stored: known.runs,
            outsiders,
            keep_files: KeepFiles::default(),
            unwritten: false,
        }
    }

    /// Reads and tells until told to stop; then what is known is written down.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut every = EVERY_MIN;
        let mut unwritten = Duration::ZERO;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                () = tokio::time::sleep(every) => {}
            }
            let had = clock::cpu_time();
            let shortest = self.pass().await;
            // Of all threads: whatever else was done meanwhile is in it.
            let cpu_us = clock::cpu_time().saturating_sub(had).as_micros();
            tracing::debug!(runs = self.runs.len(), cpu_us, "a pass is over");
            every = match shortest {
                Some(shortest) => (shortest / 30).clamp(EVERY_MIN, EVERY),
                None => EVERY,
            };
            unwritten += every;
            if unwritten >= WRITTEN_EVERY.min(every * 6) {
                unwritten = Duration::ZERO;
                self.write();
            }
        }
        self.write();
    }

    /// One pass over everything; the shortest time that anybody has.
    async fn pass(&mut self) -> Option<Duration> {
        let read = self.door.coordinator.read(|state, policy, _| {
            let wanted = policy.rules.hurried_milli.map(|_| in_demand(state)).unwrap_or_default();
            (holders(state), stopped(state), wanted)
        });
        let (holders, stopped, wanted) = read.await.ok()?;
        // A restart keeps the grant and is a run of its own.
        let is_of = |holder: &Holder, id: &ContainerId, run: &Run| {
            holder.id == *id && holder.epoch == run.epoch && holder.since == run.activity.began()
        };
        self.runs.retain(|id, run| holders.iter().any(|holder| is_of(holder, id, run)));
        let read = self.read_all(&holders).await?;
        self.meet(
            holders.iter().map(|holder| holder.owner).chain(stopped.iter().map(|(_, owner, _)| *owner)),
        )
        .await;
        let at = self.door.coordinator.now().await.ok()?;
        let mut watched = BTreeMap::new();
        let mut shortest = None::<Duration>;
        for holder in holders {
            let times = self.times_of(&holder);
            let hurried = times.idle_timeout.and_then(|timeout| self.door.config().policy.hurried(timeout));
            let hurry = hurried.map(|timeout| Hurry { timeout, now: wanted.contains(&holder.id) });
            let Some(reading) = read.get(&holder.id) else { continue };
            let reading = Reading { at, ..reading.clone() };
            let Some(one) = self.judge(&holder, reading, times, hurry) else { continue };
            shortest = [shortest, times.idle_timeout, hurried, times.max_runtime].into_iter().flatten().min();
            watched.insert(holder.id.clone(), one);
        }
        let mode = self.door.board.mode(&self.door.config().policy.rules);
        let holds = if mode == Mode::Enforce { self.holds_of(stopped) } else { BTreeMap::new() };
        let mut judged = watched.clone();
        judged.retain(|id, _| !self.door.board.is_being_stopped(id));
        self.door.coordinator.course(mode, judged, holds).await;
        let minutes =
            |id: &ContainerId| self.runs.get(id).map(|run| run.activity.minutes().copied().collect());
        let seen = watched.into_iter().map(|(id, watched)| {
            let minutes = minutes(&id).unwrap_or_default();
            (id, Seen { watched, minutes })
        });
        let found = outsiders::look(&self.door, &self.receipts, &mut self.outsiders).await;
        self.unwritten |= found.news;
        self.door.board.write(seen.collect(), self.outsiders.told().map(|(one, _)| one.clone()).collect());
        // Whoever carries it out looks at the board.
        found.stops.into_iter().for_each(|container| self.door.looks.act(Action::Expel { container }));
        if std::mem::take(&mut self.unwritten) {
            self.write();
        }
        shortest
    }

    /// Asks who the owners are of whom nothing is known, of many at once: after a start that is everybody.
    async fn meet(&self, owners: impl Iterator<Item = Uid>) {
        let names = || self.door.identities.names();
        let owners: BTreeSet<Uid> = owners.collect();
        let unknown: Vec<Uid> = owners.into_iter().filter(|owner| !names().is_known(owner.0)).collect();
        for some in unknown.chunks(MET_AT_ONCE) {
            let mut asked = JoinSet::new();
            for owner in some {
                let (door, uid) = (self.door.clone(), owner.0);
                asked.spawn(async move { drop(door.identities.names().lookup(uid).await) });
            }
            asked.join_all().await;
        }
    }

    /// The times that hold for a container. Where it is not known who its owner is, the longest that may: nobody is stopped
    /// because a directory of users does not answer.
    fn times_of(&self, holder: &Holder) -> TimeLimits {
        let policy = &self.door.config().policy;
        let may_be = self.door.who_it_may_be(holder.owner.0, &holder.owner_name);
        let times = may_be.iter().map(|person| policy.times(&policy.resolve(person), holder.kind));
        times.reduce(TimeLimits::or_longer).unwrap_or_default()
    }

    /// How long each stopped container is kept, where there is surely an end to it.
    fn holds_of(&self, stopped: Vec<(ContainerId, Uid, String)>) -> BTreeMap<ContainerId, Duration> {
        let policy = &self.door.config().policy;
        let hold_of = |owner: Uid, name: &str| {
            let may_be = self.door.who_it_may_be(owner.0, name);
            let holds = may_be.iter().map(|person| policy.resolve(person).container_hold_after_stop);
            holds.collect::<Option<Vec<_>>>()?.into_iter().max()
        };
        stopped.into_iter().filter_map(|(id, owner, name)| Some((id, hold_of(owner, &name)?))).collect()
    }

    /// What each of them does, by readings made now. One of which it cannot be told which it is has none.
    async fn read_all(&mut self, holders: &[Holder]) -> Option<BTreeMap<ContainerId, Reading>> {
        let mut turns = Vec::new();
        for holder in holders {
            let stored = self.stored.remove(&holder.id).filter(|stored| stored.epoch == holder.epoch.0);
            let began = holder.since;
            let run = self.runs.entry(holder.id.clone()).or_insert_with(|| Run {
                epoch: holder.epoch,
                activity: stored.map_or_else(|| Activity::of_run(began), |stored| stored.activity(began)),
                counters: Counters::default(),
            });
            turns.push((holder.id.clone(), holder.units.clone(), std::mem::take(&mut run.counters)));
        }
        let (door, receipts) = (self.door.clone(), self.receipts.clone());
        // Files of the kernel's: quick, but not for a thread that others wait for.
        let read = tokio::task::spawn_blocking(move || {
            let read = |(id, units, mut counters): (ContainerId, Vec<UnitId>, Counters)| {
                if !counters.group.is_known() {
                    let receipt = ds01_runtime::receipt::read_one(&receipts, id.as_str()).ok().flatten();
                    let Some(receipt) = receipt else { return (id, None, counters) };
                    counters.group = Group::find(&receipt.cgroups_path);
                }
                let reading = sample::read(&door.inventory, &units, &mut counters);
                (id, Some(reading), counters)
            };
            turns.into_iter().map(read).collect::<Vec<_>>()
        });
        let mut readings = BTreeMap::new();
        for (id, reading, counters) in read.await.ok()? {
            let Some(run) = self.runs.get_mut(&id) else { continue };
            run.counters = counters;
            readings.extend(reading.map(|reading| (id, reading)));
        }
        let witnesses = self.runs.iter().filter_map(|(id, run)| Some((id.clone(), run.counters.witness?)));
        self.keep_files.look(witnesses.collect()).await;
        Some(readings)
    }

    /// Adds a reading to those before, and says what they show.
    fn judge(
        &mut self,
        holder: &Holder,
        mut reading: Reading,
        times: TimeLimits,
        hurry: Option<Hurry>,
    ) -> Option<Watched> {
        let run = self.runs.get_mut(&holder.id)?;
        reading.entered = self.door.board.has_entered(&holder.id);
        self.unwritten |= reading.entered;
        let limits = match times.idle_timeout {
            Some(timeout) => Thresholds::default().within(timeout),
            None => Thresholds::default(),
        };
        let at = reading.at;
        let file = self.keep_files.holds_for(&holder.id).map(|left| at.after(left));
        run.activity.read(reading, &limits);
        Some(Watched {
            verdict: run.activity.verdict(&limits, at),
            idle_timeout: times.idle_timeout,
            hurry,
            max_runtime: times.max_runtime,
            keep_file_until: file,
        })
    }

    fn write(&self) {
        let runs = self.runs.iter().map(|(id, run)| (id.clone(), Stored::of(run.epoch, &run.activity)));
        if let Err(error) = self.store.write(runs.collect(), outsiders::written(&self.outsiders)) {
            tracing::warn!(%error, "what containers did cannot be written down: a restart of ds01d forgets it");
        }
    }
}

fn holders(state: &ds01_domain::State) -> Vec<Holder> {
    let running = state.holdings().filter(|holding| holding.phase == Phase::Running);
    let holder = |holding: &ds01_domain::Holding| {
        let container = state.container(&holding.container)?;
        let Standing::Running { since } = container.standing else { return None };
        Some(Holder {
            id: holding.container.clone(),
            epoch: holding.epoch,
            units: holding.units.clone(),
            since,
            kind: container.kind,
            owner: container.owner,
            owner_name: container.owner_name.clone(),
        })
    };
    running.filter_map(holder).collect()
}

/// Stopped containers that were given units, with whose they are.
fn stopped(state: &ds01_domain::State) -> Vec<(ContainerId, Uid, String)> {
    let stopped =
        state.containers().filter(|c| c.want.is_some() && matches!(c.standing, Standing::Stopped { .. }));
    stopped.map(|c| (c.id.clone(), c.owner, c.owner_name.clone())).collect()
}
