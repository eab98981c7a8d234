//! Starting a container: staged binds, admission, the wait, the forwarded start, and what a refusal must still do.
//!
//! One path for `docker start`, `container start` and restarts that the daemon carries out itself.

use std::sync::Arc;
use std::time::Duration;

use ds01_domain::{ContainerId, Denial, Person, Standing, UnitId};
use hyper::{Response, StatusCode};

use super::deeds::Deed;
use super::forward::to_the_end;
use super::http::{self, Body, Refusal};
use super::own::Own;
use super::{Call, Door, forward};
use crate::coordinator::{Admitted, Place, Reservation, StartOutcome, WaitNews};
use crate::engine::EngineError;
use crate::words;

pub use crate::coordinator::Cause;

/// Clients of this kind stop reading after 60 s: they get their answer before that.
const IMPATIENT_CLIENTS: [&str; 3] = ["docker-sdk-python/", "docker-compose/1", "docker-py/"];
/// How long a start of theirs waits at most.
const IMPATIENT_WAIT_MAX: Duration = Duration::from_secs(50);

/// A start that went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// What it holds now.
    pub units: Vec<UnitId>,
    /// It ran before; nothing was done.
    pub already: bool,
}

/// A start that did not.
#[derive(Debug)]
pub enum StartRefusal {
    /// The rules say no, now or after a wait.
    Denied(Box<Denial>),
    /// Somebody took the wait back: Ctrl-C, kill, stop, rm.
    Cancelled,
    /// Everything else, in Docker's words.
    Other(Refusal),
}

impl From<Refusal> for StartRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal)
    }
}

impl From<crate::coordinator::Fault> for StartRefusal {
    fn from(fault: crate::coordinator::Fault) -> Self {
        Self::Other(fault.into())
    }
}

impl From<StartRefusal> for Refusal {
    fn from(refusal: StartRefusal) -> Self {
        match refusal {
            StartRefusal::Denied(denial) => Self::conflict(words::denial(&denial)),
            StartRefusal::Cancelled => Self::conflict("the start was cancelled while it waited for a GPU"),
            StartRefusal::Other(refusal) => refusal,
        }
    }
}

/// Starts a container. `told` hears of every change while it waits.
///
/// Dropping the future while it waits leaves the line; once units are reserved the start goes on to its end.
///
/// # Errors
/// Every [`StartRefusal`]; the container is then not running, and removed where Docker would have removed it.
pub async fn start_container(
    door: &Arc<Door>,
    person: Person,
    id: &ContainerId,
    cause: Cause,
    patience: Option<Duration>,
    mut told: impl FnMut(&Place) + Send,
) -> Result<Started, StartRefusal> {
    let mut abandoned = Abandoned { door: door.clone(), id: id.clone(), armed: cause == Cause::Person };
    let result = admit_and_start(door, person, id, cause, patience, &mut told, &mut abandoned).await;
    abandoned.armed = false;
    match &result {
        Err(StartRefusal::Denied(denial)) => door.deeds.put(id, Deed::Denied(denial.clone())),
        // It runs; or the Engine keeps its own word for a start that failed.
        _ => door.deeds.forget(id),
    }
    if let Err(refusal) = &result
        && cause == Cause::Person
        && !matches!(refusal, StartRefusal::Other(r) if r.status == StatusCode::BAD_GATEWAY)
    {
        side_effects_of_refusal(door, id).await;
    }
    result
}

async fn admit_and_start(
    door: &Arc<Door>,
    person: Person,
    id: &ContainerId,
    cause: Cause,
    patience: Option<Duration>,
    told: &mut (impl FnMut(&Place) + Send),
    abandoned: &mut Abandoned,
) -> Result<Started, StartRefusal> {
    // A container that a person starts is one more that runs; one that its policy restarts ran before.
    if cause == Cause::Person
        && let Some(denial) = super::quota::may_start(door, &person, id).await?
    {
        return Err(StartRefusal::Denied(Box::new(denial)));
    }
    super::quota::bound_together(door, &person).await;
    let (token, rests) = {
        let id = id.clone();
        let known = door.coordinator.read(move |state, _, _| {
            let container = state.container(&id)?;
            let rests = matches!(container.standing, Standing::Created | Standing::Stopped { .. });
            Some((container.token.clone(), rests))
        });
        known.await?.unwrap_or_default()
    };
    if let Some(token) = &token {
        let remembered = door.records.one(door, Some(token)).await?;
        if rests {
            super::binds::forget_removed(door, token, &remembered.record).await;
        }
        super::binds::ensure_staged_to_run(door, token, id, &remembered.record).await?;
        super::volumes::still_own(door, &person, &remembered.record).await?;
    }
    let mut admitted = door.coordinator.admit(person.clone(), id.clone(), cause, patience).await?;
    if matches!(admitted, Admitted::Runs) {
        // It may have ended a moment ago, and nobody has looked yet.
        door.looks.at_and_wait(id).await;
        admitted = door.coordinator.admit(person, id.clone(), cause, patience).await?;
    }
    let reservation = match admitted {
        Admitted::NoNeed => None,
        // Should it end before the Engine hears of this start, it begins anew with the units that it had.
        Admitted::Runs => door.coordinator.keep_for_restart(id).await?,
        Admitted::Granted(reservation) => Some(reservation),
        Admitted::Denied(denial) => return Err(StartRefusal::Denied(denial)),
        Admitted::CalledOff => return Err(StartRefusal::Cancelled),
        Admitted::Waits(line) => Some(wait(door, id, *line, told).await?),
    };
    // From here on a client that hangs up changes nothing.
    abandoned.armed = false;
    let (door, id) = (door.clone(), id.clone());
    Ok(to_the_end(async move { forward_start(&door, &id, reservation, token.as_ref()).await }).await?)
}

/// Waits in the line until there are units, or no hope, or no more wish.
async fn wait(
    door: &Arc<Door>,
    id: &ContainerId,
    mut line: crate::coordinator::InLine,
    told: &mut (impl FnMut(&Place) + Send),
) -> Result<Reservation, StartRefusal> {
    let mut terminal = door.terminals.wait_begins(id);
    terminal.tell(&words::waiting(&line.place));
    if let Some(outlook) = super::outlook::of(door, id).await {
        terminal.tell(&words::expected(&outlook.text));
    }
    told(&line.place);
    let mut shown = words::waiting(&line.place);
    loop {
        tokio::select! {
            news = line.news() => match news {
                Some(WaitNews::Moved(place)) => {
                    told(&place);
                    let text = words::waiting(&place);
                    // The time left changes at every look; people are told when their place does.
                    if text != shown {
                        terminal.tell(&text);
                        shown = text;
                    }
                }
                Some(WaitNews::Granted(reservation)) => {
                    terminal.tell(&words::granted(reservation.units()));
                    return Ok(reservation);
                }
                Some(WaitNews::Denied(denial)) => return Err(StartRefusal::Denied(denial)),
                Some(WaitNews::Failed(fault)) => return Err(fault.into()),
                Some(WaitNews::Cancelled) | None => return Err(StartRefusal::Cancelled),
            },
            () = terminal.interrupted() => return Err(StartRefusal::Cancelled),
        }
    }
}

/// Forwards a start for which everything is in place, and says how it ended.
async fn forward_start(
    door: &Arc<Door>,
    id: &ContainerId,
    reservation: Option<Reservation>,
    token: Option<&ds01_domain::Token>,
) -> Result<Started, Refusal> {
    let path = format!("/v1.40/containers/{id}/start");
    let reservation = reservation.map(Reservation::forwarding);
    tracing::debug!(container = id.short(), "start forwarded");
    let answer = door
        .engine
        .ask_raw(hyper::Method::POST, &path, bytes::Bytes::new(), "application/json", START_TIME_MAX)
        .await;
    let units = reservation.as_ref().map(|r| r.units().to_vec()).unwrap_or_default();
    let outcome = match &answer {
        Ok(_) => StartOutcome::Running,
        Err(error) if error.is_unknown() => StartOutcome::Unknown,
        Err(_) => StartOutcome::Failed,
    };
    if let Some(reservation) = reservation {
        reservation.settle(outcome);
    }
    match answer {
        Ok((status, _)) => Ok(Started { units, already: status == StatusCode::NOT_MODIFIED }),
        Err(EngineError::Refused { status, message }) => {
            let remembered = door.records.one(door, token).await?;
            let message = ds01_docker::present::engine_message(&message, &remembered.original);
            Err(Refusal::new(status, words::start_failed(&message)))
        }
        Err(error) => Err(error.into()),
    }
}

/// How long a forwarded start may take before its answer counts as lost: images on slow disks take their time.
const START_TIME_MAX: Duration = Duration::from_secs(120);

/// What the Engine does when a start fails, done here for a start that never reached it: a container that was to
/// remove itself is removed, else `docker run --rm` waits for its removal for ever.
async fn side_effects_of_refusal(door: &Arc<Door>, id: &ContainerId) {
    let key = id.clone();
    let found = door.coordinator.read(move |state, _, _| state.container(&key).cloned()).await;
    let Ok(Some(container)) = found else { return };
    if !container.auto_remove {
        return;
    }
    // Only one that never ran: a paused one, or one that another start got running, is not ours to remove.
    match door.engine.look(id).await {
        Ok(look) if look.state == crate::engine::RunState::Created => {}
        Ok(_) | Err(_) => return,
    }
    if let Err(error) = door.engine.remove(id).await {
        tracing::warn!(%error, container = %id, "a container that was to remove itself could not be removed");
        return;
    }
    super::containers::forget(door, &Own { id: id.clone(), container: Some(container) }).await;
}

/// A start whose client hung up while it waited: the container that was to remove itself must not stay.
struct Abandoned {
    door: Arc<Door>,
    id: ContainerId,
    armed: bool,
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if self.armed {
            let (door, id) = (self.door.clone(), self.id.clone());
            tokio::spawn(async move {
                // A start that was already forwarded runs on: looking first tells.
                side_effects_of_refusal(&door, &id).await;
            });
        }
    }
}

/// How long this client's start may wait, where it is less than its owner's limits say.
fn patience(call: &Call) -> Option<Duration> {
    let agent =
        call.request.headers().get(hyper::header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let impatient = IMPATIENT_CLIENTS.iter().any(|client| agent.contains(client));
    impatient.then(|| call.limits().start_wait.min(IMPATIENT_WAIT_MAX))
}

/// `POST /containers/{id}/start`.
pub(super) async fn start(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let patience = patience(&call);
    if own.container.is_none() {
        let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
        return Ok(forward::reply(forward::bare(&call, &target).await?));
    }
    let person = owner_person(&call.door, &own, call.person()).await;
    let started = start_container(&call.door, person, &own.id, Cause::Person, patience, |_| {}).await?;
    Ok(http::status(if started.already { StatusCode::NOT_MODIFIED } else { StatusCode::NO_CONTENT }))
}

/// The person whose quota a start counts against: the container's owner, also when an admin starts it.
pub(super) async fn owner_person(door: &Arc<Door>, own: &Own, caller: Person) -> Person {
    match &own.container {
        Some(container) if container.owner != caller.uid => {
            door.person(container.owner.0, &container.owner_name).await
        }
        _ => caller,
    }
}

/// `POST /containers/{id}/restart`: a running container keeps its GPU, a stopped one is started.
pub(super) async fn restart(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let kept = if own.holds_want() {
        // It may have ended a moment ago: then it is started like any other.
        call.door.looks.at_and_wait(&own.id).await;
        // Marked at once: a restart that is broken off leaves a container of which nobody knows what it does.
        call.door.coordinator.keep_for_restart(&own.id).await?.map(Reservation::forwarding)
    } else {
        None
    };
    if own.holds_want() && kept.is_none() {
        return start(call).await;
    }
    if kept.is_none() && own.container.is_some() {
        let person = owner_person(&call.door, &own, call.person()).await;
        if let Some(denial) = super::quota::may_start(&call.door, &person, &own.id).await? {
            return Err(StartRefusal::Denied(Box::new(denial)).into());
        }
    }
    if let Some(token) = own.token() {
        let remembered = call.door.records.one(&call.door, Some(token)).await?;
        super::binds::ensure_staged_to_run(&call.door, token, &own.id, &remembered.record).await?;
    }
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let request = forward::upstream_request(&call, &target, http::empty())?;
    let door = call.door.clone();
    to_the_end(async move {
        let response = door.engine.send(request).await;
        door.deeds.forget(&own.id);
        if let Some(reservation) = kept {
            reservation.settle(match &response {
                Ok(r) if r.status().is_success() => StartOutcome::Running,
                Ok(_) => StartOutcome::Failed,
                Err(_) => StartOutcome::Unknown,
            });
        }
        Ok(forward::reply(response?))
    })
    .await
}
