//! The enforcer: looks at what is, reports it to the coordinator, carries out what follows.
//!
//! Events of the Engine only trigger looks; a full look every [`FULL_LOOK_EVERY`] finds what events have missed. It
//! must never decide: a second look finds nothing to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ds01_domain::{
    Action, ContainerId, Epoch, Identity, Observed, Occupancy, Processes, Run, Seen, Token, Uid, UnitId,
    UnitSeen,
};
use ds01_runtime::receipt::{self, Receipt};
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::cgroup;
use crate::coordinator::Errand;
use crate::engine::{EngineError, RunState};
use crate::gateway::{Cause, Door, StartRefusal, start_container};
use crate::inventory::Inventory;

/// How often everything is looked at, whether or not an event came.
pub const FULL_LOOK_EVERY: Duration = Duration::from_secs(10);
/// How soon a cgroup that is still occupied is looked at again; doubled up to [`LOOK_AGAIN_MAX`].
const LOOK_AGAIN_FIRST: Duration = Duration::from_millis(15);
/// The longest pause between two looks at one container that is ending.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(2);
/// How soon the Engine's event stream is tried again after it broke.
const EVENTS_AGAIN: Duration = Duration::from_millis(500);
/// Looks that may wait; more are covered by the next full look.
const LOOKS_MAX: usize = 4096;
/// The longest event line that is read.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, Clone)]
enum Nudge {
    At(ContainerId),
    Again(ContainerId, Duration),
    Everything,
}

/// A handle that asks the enforcer to look.
#[derive(Debug, Clone)]
pub struct Looks {
    nudges: mpsc::Sender<Nudge>,
}

impl Looks {
    /// Asks for a look at one container.
    pub fn at(&self, id: &ContainerId) {
        // A full box means that a full look is due anyway.
        let _ = self.nudges.try_send(Nudge::At(id.clone()));
    }

    /// Asks for a look at everything.
    pub fn everything(&self) {
        let _ = self.nudges.try_send(Nudge::Everything);
    }
}

/// The receiving end of [`Looks`].
#[derive(Debug)]
pub struct LookBox {
    nudges: mpsc::Receiver<Nudge>,
    sender: mpsc::Sender<Nudge>,
}

/// A handle and its receiving end.
#[must_use]
pub fn looks() -> (Looks, LookBox) {
    let (sender, nudges) = mpsc::channel(LOOKS_MAX);
    (Looks { nudges: sender.clone() }, LookBox { nudges, sender })
}

/// What the enforcer works with.
#[derive(Debug, Clone)]
pub struct Enforcer {
    /// The door, for the Engine and for starts that restart policies ask for.
    pub door: Arc<Door>,
    /// What there is to be granted.
    pub inventory: Arc<Inventory>,
    /// Where the hinge leaves its receipts.
    pub receipts: PathBuf,
}

impl Enforcer {
    /// Looks and acts until told to stop.
    pub async fn run(
        self,
        mut looks: LookBox,
        mut errands: mpsc::UnboundedReceiver<Errand>,
        mut stop: watch::Receiver<bool>,
    ) {
        let events = tokio::spawn(follow_events(self.door.clone(), looks.sender.clone()));
        let mut tick = tokio::time::interval(FULL_LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = told(&mut stop) => break,
                _ = tick.tick() => self.look_at_everything().await,
                Some(nudge) = looks.nudges.recv() => match nudge {
                    Nudge::At(id) => self.spawn_look(id, LOOK_AGAIN_FIRST, &looks.sender),
                    Nudge::Again(id, pause) => self.spawn_look(id, (pause * 2).min(LOOK_AGAIN_MAX), &looks.sender),
                    Nudge::Everything => self.look_at_everything().await,
                },
                Some(errand) = errands.recv() => self.run_errand(errand, &looks.sender),
            }
        }
        events.abort();
    }

    fn run_errand(&self, errand: Errand, nudges: &mpsc::Sender<Nudge>) {
        match errand {
            Errand::Look(id) => self.spawn_look(id, LOOK_AGAIN_FIRST, nudges),
            Errand::Act(action) => {
                let enforcer = self.clone();
                tokio::spawn(async move { enforcer.act(action).await });
            }
        }
    }

    fn spawn_look(&self, id: ContainerId, pause: Duration, nudges: &mpsc::Sender<Nudge>) {
        let (enforcer, nudges) = (self.clone(), nudges.clone());
        tokio::spawn(async move {
            if enforcer.look_at(&id).await {
                tokio::time::sleep(pause).await;
                let _ = nudges.send(Nudge::Again(id, pause)).await;
            }
        });
    }

    /// The units as they are seen: of simulated ones nobody can say who computes on them.
    fn units(&self) -> BTreeMap<UnitId, UnitSeen> {
        let seen = self.inventory.units().iter();
        seen.map(|u| (u.id.clone(), UnitSeen { unit: u.clone(), processes: Processes::Unknowable })).collect()
    }

    /// Reports the units before anything else: a start that comes first must not find an empty machine.
    pub async fn look_at_units(&self) {
        let Ok(began) = self.door.coordinator.now().await else { return };
        let observed = Observed { began, units: self.units(), units_complete: true, ..Observed::default() };
        self.door.coordinator.observed(observed).await;
    }

    /// Looks at one container. Answers whether it is ending and must be looked at again.
    async fn look_at(&self, id: &ContainerId) -> bool {
        let Ok(began) = self.door.coordinator.now().await else { return false };
        let key = id.clone();
        let Ok(known) = self.door.coordinator.read(move |state, _, _| state.container(&key).cloned()).await
        else {
            return false;
        };
        let Some(known) = known else { return false };
        let seen = self.seen(id).await;
        let gone = seen.run == Run::Gone;
        let ending = matches!(seen.run, Run::Exited(_) | Run::Gone) && seen.cgroup != Occupancy::Empty;
        let unsettled = seen.run == Run::Unknown;
        let observed = Observed {
            began,
            containers: BTreeMap::from([(id.clone(), seen)]),
            units: self.units(),
            ..Observed::default()
        };
        self.door.coordinator.observed(observed).await;
        if gone && let Some(token) = &known.token {
            self.forget(token).await;
        }
        ending || unsettled
    }

    /// What a container does, by the Engine, by its cgroup and by its receipt.
    async fn seen(&self, id: &ContainerId) -> Seen {
        let run = match self.door.engine.look(id).await {
            Ok(look) => run_of(look.state),
            Err(error) if error.is_not_found() => Run::Gone,
            Err(_) => Run::Unknown,
        };
        let receipt = receipt_of(&self.receipts, id);
        seen_with(run, receipt.as_ref())
    }

    async fn forget(&self, token: &Token) {
        let (stage, key) = (self.door.stage.clone(), token.clone());
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || stage.unmount(&key)).await {
            tracing::warn!(error = %crate::Chain(&error), %token, "a stage could not be unmounted");
        }
        self.door.records.forget(token);
        let key = token.clone();
        if let Ok(Err(error)) = self.door.coordinator.ledger(move |ledger| ledger.forget_record(&key)).await {
            tracing::warn!(error = %crate::Chain(&error), %token, "a record could not be forgotten");
        }
    }

    /// Looks at everything there is; absence counts.
    pub async fn look_at_everything(&self) {
        let Ok(began) = self.door.coordinator.now().await else { return };
        let listed = match self.door.engine.list_all().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(%error, "the engine could not be asked for its containers");
                return;
            }
        };
        let Ok(known) = self.known().await else { return };
        let receipts = receipts(&self.receipts);
        let mut observed = Observed {
            began,
            complete: true,
            units_complete: true,
            units: self.units(),
            ..Observed::default()
        };
        for entry in &listed {
            if let Some(token) = &entry.token {
                observed.created.insert(token.clone(), entry.id.clone());
            }
            let receipt = receipts.get(entry.id.as_str());
            if !known.contains_key(&entry.id) && entry.token.is_none() && receipt.is_none() {
                continue;
            }
            let mut seen = seen_with(run_of(entry.state), receipt);
            if !known.contains_key(&entry.id) {
                seen.identity = self.identity_of(&entry.id).await;
            }
            observed.containers.insert(entry.id.clone(), seen);
        }
        for id in known.keys() {
            if observed.containers.contains_key(id) {
                continue;
            }
            let receipt = receipts.get(id.as_str());
            observed.containers.insert(id.clone(), seen_with(Run::Gone, receipt));
        }
        let gone: Vec<Token> = known
            .iter()
            .filter(|(id, _)| observed.containers.get(*id).is_some_and(|s| s.run == Run::Gone))
            .filter_map(|(_, token)| token.clone())
            .collect();
        self.door.coordinator.observed(observed).await;
        for token in gone {
            self.forget(&token).await;
        }
        self.clear_stages().await;
    }

    /// Every container that is recorded, with its token.
    async fn known(&self) -> Result<BTreeMap<ContainerId, Option<Token>>, crate::coordinator::Fault> {
        self.door
            .coordinator
            .read(|state, _, _| {
                state.containers().filter(|c| c.exists()).map(|c| (c.id.clone(), c.token.clone())).collect()
            })
            .await
    }

    /// Takes stages down whose create nobody remembers.
    async fn clear_stages(&self) {
        let Ok(tokens) = self
            .door
            .coordinator
            .read(|state, _, _| {
                let containers = state.containers().filter(|c| c.exists()).filter_map(|c| c.token.clone());
                containers
                    .chain(state.creates().map(|c| c.token.clone()))
                    .collect::<std::collections::BTreeSet<_>>()
            })
            .await
        else {
            return;
        };
        let stage = self.door.stage.clone();
        let orphans = tokio::task::spawn_blocking(move || {
            let staged = stage.list().unwrap_or_default();
            for orphan in staged.into_iter().filter(|s| !tokens.contains(&s.token)) {
                drop(stage.unmount(&orphan.token));
            }
        });
        let _ = orphans.await;
    }

    /// Who a container says it belongs to, by the labels that only the door can set.
    async fn identity_of(&self, id: &ContainerId) -> Option<Identity> {
        let look = self.door.engine.look(id).await.ok()?;
        let label = look.reply.pointer("/Config/Labels")?.get(crate::gateway::OWNER_LABEL)?.as_str()?;
        let uid: u32 = label.parse().ok()?;
        let person = self.door.person(uid, "").await;
        Some(Identity { owner: Uid(uid), owner_name: person.name, name: look.name })
    }

    async fn act(&self, action: Action) {
        match action {
            Action::Restart { container } => self.restart(&container).await,
            Action::RemoveContainer { container } => {
                if let Err(error) = self.door.engine.remove(&container).await {
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

    async fn restart(&self, id: &ContainerId) {
        let key = id.clone();
        let Ok(Some(container)) =
            self.door.coordinator.read(move |state, _, _| state.container(&key).cloned()).await
        else {
            return;
        };
        let person = self.door.person(container.owner.0, &container.owner_name).await;
        let patience = self.door.config().policy.resolve(&person).start_wait;
        match start_container(&self.door, person, id, Cause::RestartPolicy, patience, |_| {}).await {
            Ok(_) => tracing::info!(container = %id, "restarted by its policy"),
            Err(StartRefusal::Denied(denial)) => {
                tracing::info!(container = %id, %denial, "a restart was denied")
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

fn run_of(state: RunState) -> Run {
    match state {
        RunState::Created => Run::Created,
        RunState::Running => Run::Running,
        RunState::Paused => Run::Paused,
        RunState::Exited(code) => Run::Exited(code),
        RunState::Unsettled => Run::Unknown,
    }
}

fn seen_with(run: Run, receipt: Option<&Receipt>) -> Seen {
    // Without a receipt no runtime was ever let through: there is no cgroup to be in.
    let cgroup = receipt.map_or(Occupancy::Empty, |r| cgroup::occupancy(&r.cgroups_path));
    let mut seen = Seen::plain(run, cgroup);
    seen.receipt = receipt.map(|r| (Epoch(r.epoch), r.units.iter().filter_map(|u| UnitId::new(u)).collect()));
    seen
}

fn receipts(directory: &std::path::Path) -> BTreeMap<String, Receipt> {
    match receipt::read_all(directory) {
        Ok(found) => {
            for (path, fault) in &found.damaged {
                tracing::warn!(path = %path.display(), fault, "a receipt cannot be read");
            }
            found.sound.into_iter().map(|r| (r.container.clone(), r)).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "the receipts cannot be read");
            BTreeMap::new()
        }
    }
}

fn receipt_of(directory: &std::path::Path, id: &ContainerId) -> Option<Receipt> {
    receipts(directory).remove(id.as_str())
}

/// Follows the Engine's events for as long as the daemon lives; each line is a reason to look, nothing more.
async fn follow_events(door: Arc<Door>, nudges: mpsc::Sender<Nudge>) {
    loop {
        match one_stream(&door, &nudges).await {
            Ok(()) => tracing::debug!("the engine's event stream ended"),
            Err(error) => tracing::debug!(%error, "the engine's event stream broke"),
        }
        // It may come back as another version.
        *door.engine_api.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        tokio::time::sleep(EVENTS_AGAIN).await;
    }
}

async fn one_stream(door: &Door, nudges: &mpsc::Sender<Nudge>) -> Result<(), EngineError> {
    let path = "/v1.40/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";
    let response = door
        .engine
        .send(crate::engine::build(Method::GET, path, bytes::Bytes::new(), "application/json"))
        .await?;
    // What happened while nobody listened.
    let _ = nudges.send(Nudge::Everything).await;
    let mut body = response.into_body();
    let mut buffer = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        buffer.extend_from_slice(data);
        while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
            let line = buffer.split_to(end + 1);
            if let Some(id) = concerned(&line) {
                let _ = nudges.send(Nudge::At(id)).await;
            }
        }
        if buffer.len() > EVENT_BYTES_MAX {
            return Err(EngineError::Rubbish { what: "events".to_owned() });
        }
    }
    Ok(())
}

/// The container that an event line asks to look at.
fn concerned(line: &[u8]) -> Option<ContainerId> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let action = event.get("Action").or_else(|| event.get("status"))?.as_str()?;
    let worth_a_look = matches!(action, "die" | "destroy" | "start" | "rename" | "unpause");
    let id = event.pointer("/Actor/ID").or_else(|| event.get("id"))?.as_str()?;
    if worth_a_look { ContainerId::new(id) } else { None }
}
