//! `POST retire`: stopped, removed, free; and what stays.

use std::time::Duration;

use ds01_api::{GRACE_SECONDS_MAX, RetireRequest, Retired, codes};
use hyper::{Response, StatusCode};

use super::machine::unit_ref;
use super::{Ask, Fault};
use crate::engine::{EngineError, RunState};
use crate::gateway::Door;
use crate::gateway::containers::forget;
use crate::gateway::http::{self, Body};
use crate::gateway::own::Own;

/// How long a container has to end by itself before it is killed, unless the caller says otherwise.
const GRACE: Duration = Duration::from_secs(3);
/// How long the answer waits for the units to be free; they become free all the same.
const FREE_WAIT_MAX: Duration = Duration::from_secs(5);

pub(super) async fn retire(mut ask: Ask) -> Result<Response<Body>, Fault> {
    let request: RetireRequest = ask.read().await?;
    let grace = grace(&request)?;
    let own = ask.container(&request.name).await?;
    let remembered = ask.door.records.one(&ask.door, own.token()).await?;
    let door = ask.door.clone();
    if request.stopped_only && runs(&door, &own).await? {
        return Err(running(&own, &ask.caller.name));
    }
    door.coordinator.cancel_wait(&own.id).await?;
    let id = own.id.clone();
    let released = door
        .coordinator
        .read(move |state, _, _| {
            let held = state.holding(&id).map(|h| h.units.clone()).unwrap_or_default();
            state.units().filter(|v| held.contains(&v.unit.id)).map(|v| unit_ref(v.unit)).collect::<Vec<_>>()
        })
        .await?;
    let RetireRequest { force, stopped_only, keep_volumes, .. } = request;
    let caller = ask.caller.name.clone();
    let work = async move {
        if stopped_only {
            // It may have been started since it was looked at: the Engine has the last word.
            match door.engine.remove_unforced(&own.id, !keep_volumes).await {
                Err(EngineError::Refused { status: StatusCode::CONFLICT, .. })
                    if runs(&door, &own).await? =>
                {
                    return Ok(Err((own, caller)));
                }
                // Somebody else removes it this moment.
                Err(EngineError::Refused { status: StatusCode::CONFLICT, .. }) => {}
                other => other?,
            }
            forget(&door, &own).await;
            return Ok(Ok((own, false)));
        }
        let stopped = runs(&door, &own).await?;
        if own.container.is_some() {
            door.coordinator.stop_asked(&own.id).await?;
        }
        if stopped && !force {
            match door.engine.stop(&own.id, grace).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        door.engine.remove_forced(&own.id, !keep_volumes).await?;
        forget(&door, &own).await;
        await_free(&door, &own.id).await;
        Ok(Ok((own, stopped)))
    };
    let (own, stopped) = match crate::gateway::forward::to_the_end(work).await? {
        Ok(done) => done,
        Err((own, caller)) => return Err(running(&own, &caller)),
    };
    let name = own.container.as_ref().map_or_else(|| own.id.to_string(), |c| c.name.clone());
    let record = &remembered.record;
    Ok(http::json(
        StatusCode::OK,
        &Retired {
            project: ds01_api::names::project_of(&name, &ask.caller.name).map(|p| p.to_string()),
            name,
            stopped,
            released,
            workspace: record.workspace.as_ref().map(|w| w.display().to_string()),
            image: (!record.image.is_empty()).then(|| record.image.clone()),
        },
    ))
}

/// The grace period that is asked for.
fn grace(request: &RetireRequest) -> Result<Duration, Fault> {
    match request.grace_seconds {
        None => Ok(GRACE),
        Some(seconds) if seconds <= GRACE_SECONDS_MAX => Ok(Duration::from_secs(seconds.into())),
        Some(_) => Err(Fault::new(
            StatusCode::BAD_REQUEST,
            codes::REQUEST_INVALID,
            format!("a container has {GRACE_SECONDS_MAX} seconds at most to end by itself"),
        )),
    }
}

/// Whether there are processes in it now; what is gone has none.
async fn runs(door: &Door, own: &Own) -> Result<bool, EngineError> {
    match door.engine.look(&own.id).await {
        Ok(look) => Ok(matches!(look.state, RunState::Running | RunState::Paused)),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The refusal of those that are to be stopped first.
fn running(own: &Own, caller: &str) -> Fault {
    let name = own.container.as_ref().map_or_else(|| own.id.to_string(), |c| c.name.clone());
    let name = ds01_api::names::project_of(&name, caller).map_or(name, |project| project.to_string());
    Fault::new(
        StatusCode::CONFLICT,
        codes::CONTAINER_RUNNING,
        format!("{name} is running and was not removed"),
    )
    .hint(format!("container retire {name} stops it first; container remove --force {name} kills it"))
}

/// Waits until the units are somebody else's to have.
async fn await_free(door: &Door, id: &ds01_domain::ContainerId) {
    let deadline = tokio::time::Instant::now() + FREE_WAIT_MAX;
    loop {
        let key = id.clone();
        let held =
            door.coordinator.read(move |state, _, _| state.holding(&key).is_some()).await.unwrap_or(false);
        if !held || tokio::time::Instant::now() >= deadline {
            return;
        }
        door.looks.at(id);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
