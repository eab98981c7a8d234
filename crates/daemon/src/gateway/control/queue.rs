//! The line, and the explanation of one container.

use std::time::Duration;

use ds01_api::{ContainerState, Fact, Queue, Waiter, Why};
use ds01_domain as domain;
use hyper::{Response, StatusCode};

use super::list::one;
use super::{Ask, Fault};
use crate::clock;
use crate::gateway::http::{self, Body};
use crate::gateway::own::Own;

pub(super) async fn queue(ask: Ask) -> Result<Response<Body>, Fault> {
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
                        want: spec.and_then(|s| s.want).map(|w| w.to_string()).unwrap_or_default(),
                        reason: place.reason,
                        waited_seconds: place.waited.as_secs(),
                        left_seconds: place.left.as_secs(),
                    }
                })
                .collect();
            let free = state.units().filter(domain::UnitView::is_free).count();
            Queue { waiting, free_units: u32::try_from(free).unwrap_or(u32::MAX) }
        })
        .await?;
    Ok(http::json(StatusCode::OK, &queue))
}

pub(super) async fn why(ask: Ask, name: &str) -> Result<Response<Body>, Fault> {
    let (container, own) = one(&ask, name).await?;
    let label = container.short_name().to_owned();
    let fact = |label: &str, text: String| Fact { label: label.to_owned(), text };
    let mut facts = vec![
        fact("image", container.image.clone()),
        fact(
            "asks for",
            container.want.clone().unwrap_or_else(|| "no GPU: it is never stopped by DS01".to_owned()),
        ),
    ];
    if let Some(workspace) = &container.workspace {
        facts.push(fact("workspace", format!("{workspace}, which stays whatever happens to the container")));
    }
    let mut next = Vec::new();
    let verdict = match container.state {
        ContainerState::Waiting => {
            next.push("ds01 queue".to_owned());
            let waiting = container.waiting.as_ref();
            if let Some(w) = waiting {
                facts.push(fact("line", format!("place {} of {}: {}", w.position, w.of, w.reason)));
                facts.push(fact(
                    "wait ends",
                    format!("in {}", clock::for_people(Duration::from_secs(w.left_seconds))),
                ));
            }
            format!("{label} waits for a GPU")
        }
        ContainerState::Running | ContainerState::Paused if !container.units.is_empty() => {
            let held =
                container.units.iter().map(|u| format!("{} ({})", u.address, u.id)).collect::<Vec<_>>();
            facts.push(fact("GPU", held.join(", ")));
            next.push(format!("container retire {label}"));
            format!(
                "{label} runs and holds {} of the GPU units, nobody else's while it runs",
                container.units.len()
            )
        }
        ContainerState::Running | ContainerState::Paused => format!("{label} runs without a GPU"),
        ContainerState::Starting => format!("{label} is being started"),
        ContainerState::Stopping => format!("{label} is being stopped"),
        ContainerState::Created => {
            next.push(format!("container run {label}"));
            format!("{label} was made and never started; it holds no GPU")
        }
        ContainerState::Stopped => {
            next.push(format!("container run {label}"));
            stopped_facts(&own, &mut facts);
            format!("{label} has stopped; it holds no GPU")
        }
    };
    Ok(http::json(StatusCode::OK, &Why { name: container.name, verdict, facts, next }))
}

fn stopped_facts(own: &Own, facts: &mut Vec<Fact>) {
    if let Some(c) = &own.container
        && let domain::Standing::Stopped { exit, by_user, .. } = c.standing
    {
        let how = match (by_user, exit) {
            (true, _) => "it was told to stop".to_owned(),
            (false, Some(0)) => "its program ended by itself (exit code 0)".to_owned(),
            (false, Some(137)) => {
                "its program was killed (exit code 137): by the memory limit, or by hand".to_owned()
            }
            (false, Some(code)) => {
                format!("its program ended with exit code {code}; docker logs shows its last words")
            }
            (false, None) => "its end was not seen".to_owned(),
        };
        facts.push(Fact { label: "stopped".to_owned(), text: how });
    }
}
