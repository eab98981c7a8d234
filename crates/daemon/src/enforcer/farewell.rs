//! Warning the owner of a container, and stopping it in good order.
//!
//! A stop is: the user's own program in the workspace, then the stop signal, then, after the grace period, SIGKILL.
//! What cannot be told is not waited for; what cannot be stopped is tried again with the next pass of the watch. A
//! warning is written down once it was told: no stop rests on one that nobody heard.

use std::collections::btree_map::Entry;
use std::time::Duration;

use ds01_domain::{Cause, Container, ContainerId, Epoch, Event, Stage, Time};
use tokio::time::Instant;

use super::Enforcer;
use super::notify;
use crate::coordinator::Fault;
use crate::words;

/// A user's program that is run in his container before it is stopped: to save a checkpoint.
const ON_STOP: &str = "/workspace/.ds01/on-stop";
/// How long it may take.
const ON_STOP_MAX: Duration = Duration::from_secs(120);
/// How often it is asked whether it has ended.
const ON_STOP_ASKED_EVERY: Duration = Duration::from_millis(500);

/// A warning of a stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Warning {
    pub(super) epoch: Epoch,
    pub(super) cause: Cause,
    pub(super) stage: Stage,
    pub(super) stop_at: Time,
}

impl Warning {
    /// Whether it says the same, but for the time: that is told later and later for as long as it is not written.
    fn is_of(&self, other: &Self) -> bool {
        (self.epoch, self.cause, self.stage) == (other.epoch, other.cause, other.stage)
    }
}

/// How far a warning has come.
#[derive(Debug)]
pub(super) enum Telling {
    UnderWay,
    /// Told, and not written.
    Told(Warning),
}

impl Enforcer {
    /// Warns the owner of a container of its stop, and writes down that he was: once, however often it is asked for
    /// meanwhile. What was told and could not be written is not told again.
    pub(super) async fn warn(&self, id: ContainerId, warning: Warning) {
        let told = match self.warnings().entry(id.clone()) {
            Entry::Occupied(mut entry) => match entry.get() {
                Telling::UnderWay => return,
                Telling::Told(told) if told.is_of(&warning) => Some(*told),
                Telling::Told(_) => {
                    entry.insert(Telling::UnderWay);
                    None
                }
            },
            Entry::Vacant(entry) => {
                entry.insert(Telling::UnderWay);
                None
            }
        };
        let said = told.unwrap_or(warning);
        // Of a run that is over nobody is told, nor is it written.
        if told.is_none() && !self.holds(&id, warning.epoch).await {
            self.warnings().remove(&id);
            return;
        }
        if told.is_none() {
            self.tell(&id, said).await;
        }
        match self.write_down(&id, said).await {
            Ok(()) => drop(self.warnings().remove(&id)),
            Err(fault) => {
                tracing::error!(error = %crate::Chain(&fault), container = id.short(), "a warning could not be written: nobody is stopped on it");
                self.warnings().insert(id, Telling::Told(said));
            }
        }
    }

    async fn write_down(&self, id: &ContainerId, warning: Warning) -> Result<(), Fault> {
        let Warning { epoch, cause, stage, stop_at } = warning;
        let at = self.door.coordinator.now().await?;
        let container = id.clone();
        let warned = Event::Warned { container, epoch, cause, stage, stop_at, at };
        self.door.coordinator.record(vec![warned]).await
    }

    async fn tell(&self, id: &ContainerId, warning: Warning) {
        let Some((container, now)) = self.known(id).await else { return };
        let Warning { cause, stage, stop_at, .. } = warning;
        let since = match self.door.board.seen(id) {
            Some(seen) if cause != Cause::Runtime => Some(now.since(seen.watched.verdict.quiet_since)),
            _ => None,
        };
        let text = words::will_be_stopped(&container.name, cause, stop_at.since(now), since);
        let pid = self.witness(id);
        let owner = container.owner.0;
        let heard = tokio::task::spawn_blocking(move || notify::tell(owner, pid, &text)).await.unwrap_or(0);
        tracing::info!(container = id.short(), user = container.owner_name, %cause, ?stage, heard, "warned of its stop");
    }

    /// Stops a container for this reason, unless that is being done, or is no longer so.
    pub(super) async fn stop(&self, id: &ContainerId, epoch: Epoch, cause: Cause) {
        if !self.door.board.stop_begins(id) {
            return;
        }
        if self.is_decided(id, epoch, cause).await {
            self.stop_now(id, epoch, cause).await;
        }
        self.door.board.stop_ends(id);
    }

    /// Stops a container of which a program stays on a unit without a grant, unless it is being stopped. If that fails, the
    /// watch finds it again.
    pub(super) async fn expel(&self, id: &ContainerId) {
        if !self.strays(id) || !self.door.board.stop_begins(id) {
            return;
        }
        if let Some((container, _)) = self.known(id).await {
            tracing::warn!(
                container = id.short(),
                user = container.owner_name,
                "stopping: on a unit without a grant"
            );
            let text = words::is_expelled(&container.name);
            let (owner, pid) = (container.owner.0, self.witness(id));
            let _ = tokio::task::spawn_blocking(move || notify::tell(owner, pid, &text)).await;
            let _ = self.door.engine.unpause(id).await;
            self.run_on_stop(id).await;
            // The program may have ended meanwhile, or been granted what it is on.
            if !self.strays(id) {
                tracing::info!(
                    container = id.short(),
                    "not stopped: it is on no unit without a grant any more"
                );
            } else if let Err(error) =
                self.door.engine.stop(id, self.door.config().policy.rules.stop_grace).await
            {
                tracing::warn!(%error, container = id.short(), "it could not be stopped; it is tried again");
            }
            self.door.looks.at(id);
        }
        self.door.board.stop_ends(id);
    }

    /// Whether the watch last saw a program of it on a unit without a grant.
    fn strays(&self, id: &ContainerId) -> bool {
        self.door.board.outsiders().iter().any(|outsider| outsider.container.as_ref() == Some(id))
    }

    async fn stop_now(&self, id: &ContainerId, epoch: Epoch, cause: Cause) {
        let grace = self.door.config().policy.rules.stop_grace;
        tracing::info!(container = id.short(), %cause, "stopping");
        // A frozen program saves nothing. One that is not frozen refuses this.
        let _ = self.door.engine.unpause(id).await;
        self.run_on_stop(id).await;
        // It may have ended meanwhile, and been started anew: that run is none of this stop's.
        if !self.is_decided(id, epoch, cause).await {
            tracing::info!(container = id.short(), %cause, "not stopped: the run in question is over");
            self.door.looks.at(id);
            return;
        }
        if let Some((container, _)) = self.known(id).await {
            let text = words::is_being_stopped(&container.name, cause);
            let (owner, pid) = (container.owner.0, self.witness(id));
            let _ = tokio::task::spawn_blocking(move || notify::tell(owner, pid, &text)).await;
        }
        match self.door.engine.stop(id, grace).await {
            Ok(()) => self.door.looks.at(id),
            Err(error) if error.is_not_found() => self.door.looks.at(id),
            Err(error) => {
                tracing::warn!(%error, container = id.short(), "it could not be stopped; it is tried again")
            }
        }
    }

    /// Runs the user's own program, if he has one, for as long as it may take.
    async fn run_on_stop(&self, id: &ContainerId) {
        if !self.door.engine.has_path(id, ON_STOP).await.unwrap_or(false) {
            return;
        }
        let Ok(exec) = self.door.engine.run_in(id, &[ON_STOP]).await else { return };
        let deadline = Instant::now() + ON_STOP_MAX;
        while Instant::now() < deadline {
            match self.door.engine.exec_runs(&exec).await {
                Ok(true) => tokio::time::sleep(ON_STOP_ASKED_EVERY).await,
                Ok(false) => return,
                // It ends with its container, in any case.
                Err(_) => return,
            }
        }
        tracing::info!(
            container = id.short(),
            "its on-stop takes too long: it is stopped with the container"
        );
    }

    /// Whether a container still runs by this grant.
    async fn holds(&self, id: &ContainerId, epoch: Epoch) -> bool {
        let key = id.clone();
        let read = self
            .door
            .coordinator
            .read(move |state, _, _| state.holding(&key).is_some_and(|holding| holding.epoch == epoch));
        read.await.unwrap_or(false)
    }

    async fn is_decided(&self, id: &ContainerId, epoch: Epoch, cause: Cause) -> bool {
        let key = id.clone();
        let read = self.door.coordinator.read(move |state, _, _| {
            let held = state.holding(&key).is_some_and(|holding| holding.epoch == epoch);
            held && state.container(&key).is_some_and(|container| container.stopping == Some(cause))
        });
        read.await.unwrap_or(false)
    }

    async fn known(&self, id: &ContainerId) -> Option<(Container, Time)> {
        let key = id.clone();
        let read =
            self.door.coordinator.read(move |state, _, now| Some((state.container(&key).cloned()?, now)));
        read.await.ok().flatten()
    }

    /// One of its processes, which sees what it sees.
    fn witness(&self, id: &ContainerId) -> Option<i32> {
        let receipt = ds01_runtime::receipt::read_one(&self.receipts, id.as_str()).ok().flatten()?;
        crate::cgroup::processes(&receipt.cgroups_path).first().copied()
    }
}
