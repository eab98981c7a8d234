//! The caller's containers as listings show them: the rules' facts beside the Engine's.

use std::collections::HashMap;

use ds01_api::{Container, ContainerKind, ContainerList, ContainerState, UnitRef};
use ds01_domain as domain;
use ds01_domain::{Kind, Time, Uid};
use hyper::{Response, StatusCode};

use super::machine::{holder, unit_ref};
use super::{Ask, Fault};
use crate::engine::{Listed, RunState};
use crate::gateway::http::{self, Body};
use crate::gateway::own::Own;

/// What a container does, in this API's words, by the Engine alone.
pub(super) fn state_of(run: RunState) -> ContainerState {
    match run {
        RunState::Created => ContainerState::Created,
        RunState::Running => ContainerState::Running,
        RunState::Paused => ContainerState::Paused,
        RunState::Exited(_) => ContainerState::Stopped,
        RunState::Unsettled => ContainerState::Stopping,
    }
}

/// Everything a listing says of one container that the rules know.
struct Known {
    container: domain::Container,
    units: Vec<UnitRef>,
    waiting: Option<ds01_api::Waiting>,
    reserved: bool,
    want: Option<String>,
    now: Time,
}

pub(super) async fn containers(ask: Ask) -> Result<Response<Body>, Fault> {
    let all = ask.query("all").is_some_and(|v| v != "0" && v != "false");
    let (uid, admin, name) = (Uid(ask.caller.uid), ask.caller.admin, ask.caller.name.clone());
    let mut known = ask
        .door
        .coordinator
        .read(move |state, policy, now| {
            let mine = state.containers().filter(|c| c.exists() && (admin || c.owner == uid));
            mine.map(|c| known(state, policy, now, c, &name)).collect::<Vec<_>>()
        })
        .await?;
    let listed: HashMap<_, _> =
        ask.door.engine.list_all().await?.into_iter().map(|l| (l.id.clone(), l)).collect();
    let records =
        ask.door.records.of(&ask.door, known.iter().filter_map(|k| k.container.token.clone())).await?;
    // The Engine tells whole seconds only; of those that were made in the same one, our own clock knows the newer.
    known.sort_by_key(|one| std::cmp::Reverse(one.container.created));
    let mut containers = Vec::new();
    let mut hidden = 0;
    for one in known {
        let Some(listed) = listed.get(&one.container.id) else { continue };
        let record = one.container.token.as_ref().and_then(|t| records.get(t));
        let shown = shown(&ask, one, listed, record.map(|r| &r.record));
        if all || shown.state.is_alive() || shown.waiting.is_some() || shown.state == ContainerState::Starting
        {
            containers.push(shown);
        } else {
            hidden += 1;
        }
    }
    containers.sort_by_key(|c| std::cmp::Reverse(c.created));
    Ok(http::json(StatusCode::OK, &ContainerList { containers, hidden }))
}

fn known(
    state: &domain::State,
    policy: &domain::Policy,
    now: Time,
    container: &domain::Container,
    caller: &str,
) -> Known {
    let held = state.holding(&container.id);
    let units = held.map(|h| {
        let units = state.units().filter(|v| h.units.contains(&v.unit.id));
        units.map(|v| unit_ref(v.unit)).collect()
    });
    let waiting = state.waiter_of(&container.id).map(|_| ());
    let waiting =
        waiting.and_then(|()| crate::coordinator::place_of(state, policy, &container.id, now)).map(|place| {
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            ds01_api::Waiting {
                position: number(place.position),
                of: number(place.of),
                reason: place.reason.clone(),
                holders: place.holders.iter().map(|h| holder(h, caller, now)).collect(),
                waited_seconds: place.waited.as_secs(),
                left_seconds: place.left.as_secs(),
                // A list is of many; ds01 queue tells it.
                outlook: None,
            }
        });
    Known {
        container: container.clone(),
        units: units.unwrap_or_default(),
        waiting,
        reserved: held.is_some_and(|h| matches!(h.phase, domain::Phase::Reserved | domain::Phase::Bound)),
        want: container.want.as_ref().map(|want| want.in_words(state)),
        now,
    }
}

fn shown(ask: &Ask, known: Known, listed: &Listed, record: Option<&crate::ledger::Record>) -> Container {
    let spec = &known.container;
    let mut state = state_of(listed.state);
    if known.waiting.is_some() {
        state = ContainerState::Waiting;
    } else if known.reserved && !state.is_alive() {
        state = ContainerState::Starting;
    }
    let state_seconds = state_seconds(state, &known, listed);
    let seen = super::using::seen(&ask.door, spec, known.now).filter(|_| state.is_alive());
    let mode = ask.door.board.mode(&ask.door.config().policy.rules);
    let stop = seen.and_then(|watched| super::using::stop_of(spec, &watched, mode, known.now));
    let age = u64::try_from(jiff::Timestamp::now().as_second().saturating_sub(listed.created)).unwrap_or(0);
    Container {
        id: listed.id.to_string(),
        name: listed.name.clone(),
        project: ds01_api::names::project_of(&listed.name, &spec.owner_name).map(|p| p.to_string()),
        owner: spec.owner_name.clone(),
        mine: spec.owner.0 == ask.caller.uid,
        kind: match spec.kind {
            Kind::Ds01 => ContainerKind::Ds01,
            Kind::DevContainer => ContainerKind::DevContainer,
            Kind::Compose => ContainerKind::Compose,
            Kind::Docker => ContainerKind::Docker,
            Kind::Infrastructure => ContainerKind::Infrastructure,
        },
        state,
        exit_code: match listed.state {
            RunState::Exited(code) => Some(code),
            _ => None,
        },
        image: listed.image.clone(),
        units: known.units,
        want: known.want,
        waiting: known.waiting,
        workspace: record.and_then(|r| r.workspace.as_ref()).map(|w| w.display().to_string()),
        created: listed.created,
        age_seconds: age,
        state_seconds,
        stop,
    }
}

/// For how long it has been in its state: by the rules, else by the Engine.
fn state_seconds(state: ContainerState, known: &Known, listed: &Listed) -> Option<u64> {
    let since = |time: Time| Some(known.now.since(time).as_secs());
    match (state, known.container.standing) {
        (ContainerState::Waiting, _) => known.waiting.as_ref().map(|waiting| waiting.waited_seconds),
        (ContainerState::Running, domain::Standing::Running { since: began }) => since(began),
        (ContainerState::Stopped, domain::Standing::Stopped { at, .. }) => since(at),
        (ContainerState::Created, domain::Standing::Created) => since(known.container.created),
        (ContainerState::Running | ContainerState::Paused | ContainerState::Stopped, _) => {
            listed.state_seconds
        }
        _ => None,
    }
}

/// One container of the caller's.
pub(super) async fn one(ask: &Ask, name: &str) -> Result<(Container, Own), Fault> {
    let own = ask.container(name).await?;
    let (id, caller) = (own.id.clone(), ask.caller.name.clone());
    let found = ask
        .door
        .coordinator
        .read(move |state, policy, now| state.container(&id).map(|c| known(state, policy, now, c, &caller)))
        .await?;
    let not_ours = || {
        Fault::new(
            StatusCode::NOT_FOUND,
            ds01_api::codes::CONTAINER_NOT_FOUND,
            format!("{name} was not made through DS01; docker inspect shows it"),
        )
    };
    let known = found.ok_or_else(not_ours)?;
    let listed = ask.door.engine.listed(&own.id).await?.ok_or_else(not_ours)?;
    let record = ask.door.records.one(&ask.door, own.token()).await?;
    Ok((shown(ask, known, &listed, Some(&record.record)), own))
}

pub(super) async fn container(ask: Ask, name: &str) -> Result<Response<Body>, Fault> {
    let (container, _) = one(&ask, name).await?;
    Ok(http::json(StatusCode::OK, &container))
}
