//! The enforcer: looks at what is, reports it to the coordinator, carries out what follows.
//!
//! Events of the Engine only trigger looks; a full look every [`FULL_LOOK_EVERY`] finds what events have missed. It
//! must never decide: a second look finds nothing to do.

mod events;
mod farewell;
mod looking;
mod notify;
mod recover;
mod seen;
mod tidy;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ds01_domain::{Action, ContainerId};
use tokio::sync::watch;

use crate::coordinator::Errand;
use crate::gateway::{Cause, Door, StartRefusal, start_container};
use crate::inventory::Inventory;
use farewell::{Telling, Warning};
use looking::Looking;

pub use crate::coordinator::Errands as Looks;

/// How often everything is looked at, whether or not an event came.
pub const FULL_LOOK_EVERY: Duration = Duration::from_secs(10);

/// What the enforcer works with.
#[derive(Debug, Clone)]
pub struct Enforcer {
    door: Arc<Door>,
    inventory: Arc<Inventory>,
    receipts: PathBuf,
    looking: Looking,
    restarting: Arc<Mutex<BTreeSet<ContainerId>>>,
    /// Warnings that are being told, or that could not be written down since.
    warnings: Arc<Mutex<BTreeMap<ContainerId, Telling>>>,
}

impl Enforcer {
    /// An enforcer over the door (for the Engine, and for starts that restart policies ask for), what there is to be
    /// granted, and where the hinge leaves its receipts.
    #[must_use]
    pub fn new(door: Arc<Door>, inventory: Arc<Inventory>, receipts: PathBuf) -> Self {
        Self {
            door,
            inventory,
            receipts,
            looking: Looking::default(),
            restarting: Arc::default(),
            warnings: Arc::default(),
        }
    }

    /// Looks and acts until told to stop.
    pub async fn run(self, errands: Looks, mut stop: watch::Receiver<bool>) {
        let events = tokio::spawn(events::follow(self.door.clone(), errands.clone()));
        let mut tick = tokio::time::interval(FULL_LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // One full look at a time, in a task of its own: a slow Engine must not keep the rest waiting.
        let (mut full, mut due) = (None, false);
        loop {
            if due && full.is_none() {
                due = false;
                let enforcer = self.clone();
                full = Some(tokio::spawn(async move { enforcer.look_at_everything().await }));
            }
            tokio::select! {
                () = told(&mut stop) => break,
                _ = tick.tick() => due = true,
                () = self.inventory.changed() => due = true,
                () = ended(&mut full) => full = None,
                errand = errands.next() => match errand {
                    Errand::LookAtEverything => due = true,
                    Errand::Look(id, waiters) => self.look_until_settled(id, waiters),
                    Errand::Act(action) => {
                        let enforcer = self.clone();
                        tokio::spawn(async move { enforcer.act(action).await });
                    }
                },
            }
        }
        events.abort();
    }

    async fn act(&self, action: Action) {
        match action {
            Action::Restart { container } => self.restart(&container).await,
            Action::Warn { container, epoch, cause, stage, stop_at } => {
                self.warn(container, Warning { epoch, cause, stage, stop_at }).await;
            }
            Action::Stop { container, epoch, cause } => self.stop(&container, epoch, cause).await,
            Action::Expel { container } => self.expel(&container).await,
            Action::RemoveContainer { container } => {
                if let Err(error) = self.door.engine.remove_stopped(&container).await {
                    tracing::warn!(%error, %container, "a container could not be removed; it is tried again");
                }
                self.door.looks.at(&container);
            }
            Action::Conflict { unit, holder, other } => {
                tracing::error!(%unit, %holder, %other, "two running containers have the same unit; it is granted to nobody");
            }
            // Decisions are the coordinator's own to carry out.
            Action::Record(_) | Action::Grant { .. } | Action::Deny { .. } => {}
        }
    }

    fn restarting(&self) -> std::sync::MutexGuard<'_, BTreeSet<ContainerId>> {
        // Every change is one insertion or removal: a panic elsewhere leaves the set whole.
        self.restarting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warnings(&self) -> std::sync::MutexGuard<'_, BTreeMap<ContainerId, Telling>> {
        // As above.
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Restarts a container, unless that is being done.
    async fn restart(&self, id: &ContainerId) {
        if self.restarting().insert(id.clone()) {
            self.restart_once(id).await;
            self.restarting().remove(id);
        }
    }

    async fn restart_once(&self, id: &ContainerId) {
        let key = id.clone();
        let Ok(Some(container)) =
            self.door.coordinator.read(move |state, _, _| state.container(&key).cloned()).await
        else {
            return;
        };
        // Somebody stopped or started it since the restart was due.
        if !container.restarts.ours {
            return;
        }
        let person = self.door.person(container.owner.0, &container.owner_name).await;
        match start_container(&self.door, person, id, Cause::RestartPolicy, None, |_| {}).await {
            Ok(_) => tracing::info!(container = %id, "restarted by its policy"),
            Err(StartRefusal::Denied(denial)) => {
                tracing::info!(container = %id, %denial, "a restart was denied");
            }
            Err(StartRefusal::Cancelled) => {}
            Err(StartRefusal::Other(refusal)) => {
                tracing::warn!(container = %id, error = %refusal, "a restart failed");
            }
        }
    }
}

/// Resolves when the daemon is told to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(stop.wait_for(|s| *s).await);
}

/// Resolves when the task has ended; never while there is none.
async fn ended(task: &mut Option<tokio::task::JoinHandle<()>>) {
    match task {
        Some(task) => {
            if let Err(error) = task.await {
                tracing::error!(%error, "a look at everything failed");
            }
        }
        None => std::future::pending().await,
    }
}
