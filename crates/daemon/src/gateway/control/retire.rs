//! `POST retire`: stopped, removed, free; and what stays.

use std::time::Duration;

use ds01_api::{RetireRequest, Retired};
use hyper::{Response, StatusCode};

use super::machine::unit_ref;
use super::{Ask, Fault};
use crate::engine::RunState;
use crate::gateway::containers::forget;
use crate::gateway::http::{self, Body};

/// How long a container has to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long the answer waits for the units to be free; they become free all the same.
const FREE_WAIT_MAX: Duration = Duration::from_secs(5);

pub(super) async fn retire(mut ask: Ask) -> Result<Response<Body>, Fault> {
    let request: RetireRequest = ask.read().await?;
    let own = ask.container(&request.name).await?;
    let remembered = ask.door.records.one(&ask.door, own.token()).await?;
    let door = ask.door.clone();
    door.coordinator.cancel_wait(&own.id).await?;
    let id = own.id.clone();
    let released = door
        .coordinator
        .read(move |state, _, _| {
            let held = state.holding(&id).map(|h| h.units.clone()).unwrap_or_default();
            state.units().filter(|v| held.contains(&v.unit.id)).map(|v| unit_ref(v.unit)).collect::<Vec<_>>()
        })
        .await?;
    let work = async move {
        let stopped = match door.engine.look(&own.id).await {
            Ok(look) => matches!(look.state, RunState::Running | RunState::Paused),
            Err(error) if error.is_not_found() => false,
            Err(error) => return Err(error.into()),
        };
        if own.container.is_some() {
            door.coordinator.stop_asked(&own.id).await?;
        }
        if stopped && !request.force {
            match door.engine.stop(&own.id, GRACE).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        door.engine.remove(&own.id).await?;
        forget(&door, &own).await;
        await_free(&door, &own.id).await;
        Ok((own, stopped))
    };
    let (own, stopped) = crate::gateway::forward::to_the_end(work).await?;
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

/// Waits until the units are somebody else's to have.
async fn await_free(door: &crate::gateway::Door, id: &ds01_domain::ContainerId) {
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
