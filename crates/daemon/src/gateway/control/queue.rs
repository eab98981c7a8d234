//! The line, as everybody may see it.

use ds01_api::{Queue, Waiter};
use ds01_domain as domain;
use hyper::{Response, StatusCode};

use super::{Ask, Fault};
use crate::gateway::http::{self, Body};
use crate::gateway::outlook;

pub(super) async fn queue(ask: Ask) -> Result<Response<Body>, Fault> {
    let mut outlooks = outlook::of_the_line(&ask.door).await;
    let caller = ask.caller.name.clone();
    let queue = ask
        .door
        .coordinator
        .read(move |state, policy, now| {
            let waiting = crate::coordinator::places(state, policy, now)
                .into_iter()
                .map(|(container, place)| {
                    let spec = state.container(&container).cloned();
                    let owner = spec.as_ref().map(|s| s.owner_name.clone()).unwrap_or_default();
                    let name = spec.as_ref().map(|s| s.name.clone()).unwrap_or_default();
                    let project = ds01_api::names::project_of(&name, &owner).map(|p| p.to_string());
                    Waiter {
                        position: u32::try_from(place.position).unwrap_or(u32::MAX),
                        mine: owner == caller,
                        container: Some(project.unwrap_or(name)),
                        owner,
                        want: spec.and_then(|s| s.want).map(|w| w.in_words(state)).unwrap_or_default(),
                        reason: place.reason,
                        waited_seconds: place.waited.as_secs(),
                        left_seconds: place.left.as_secs(),
                        outlook: outlooks.remove(&container),
                    }
                })
                .collect();
            let free = state.units().filter(domain::UnitView::is_free).count();
            Queue { waiting, free_units: u32::try_from(free).unwrap_or(u32::MAX) }
        })
        .await?;
    Ok(http::json(StatusCode::OK, &queue))
}
