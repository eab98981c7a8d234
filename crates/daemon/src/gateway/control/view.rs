//! Looking: who am I, the machine, my containers, my limits, the line, and why.

use std::collections::HashMap;
use std::time::Duration;

use ds01_api::{
    Card, Container, ContainerKind, ContainerList, ContainerState, Fact, Health, Holder, Limit, LimitUnit, Limits,
    Machine, Queue, Source, Unit, UnitRef, Via, Waiter, WhoAmI, Why,
};
use ds01_domain as domain;
use ds01_domain::{Kind, Time, Uid};
use hyper::{Response, StatusCode};

use super::{Ask, Fault};
use crate::clock;
use crate::engine::{Listed, RunState};
use crate::gateway::http::{self, Body};
use crate::gateway::own::Own;
use crate::gateway::person_of;
use crate::identity::Place;

pub(super) fn unit_ref(unit: &domain::Unit) -> UnitRef {
    UnitRef {
        id: unit.id.to_string(),
        address: unit.label(),
        model: unit.model.clone(),
        profile: unit.slice.as_ref().map(|s| s.profile.clone()),
        memory_mib: unit.memory_mib,
        weight_milli: unit.weight.as_milli(),
    }
}

/// A holder as everybody may see him: who holds what is no secret where people share.
pub(super) fn holder(holder: &domain::Holder, caller: &str, now: Time) -> Holder {
    let project = ds01_api::names::project_of(&holder.container_name, &holder.owner_name);
    Holder {
        mine: holder.owner_name == caller,
        owner: holder.owner_name.clone(),
        container: Some(project.map_or_else(|| holder.container_name.clone(), |p| p.to_string())),
        units: holder.units.clone(),
        held_seconds: now.since(holder.since).as_secs(),
        left_seconds: None,
    }
}

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

pub(super) async fn whoami(ask: Ask) -> Result<Response<Body>, Fault> {
    let caller = &ask.caller;
    let via = match &caller.place {
        Place::Container(id) => {
            let key = id.clone();
            let name = ask
                .door
                .coordinator
                .read(move |state, _, _| state.container(&key).map(|c| c.name.clone()))
                .await?;
            Via::Container { name: name.unwrap_or_else(|| id.to_string()) }
        }
        _ => Via::Host,
    };
    let login = match caller.login_uid.filter(|uid| *uid != caller.uid) {
        Some(uid) => ask.door.identities.names().lookup(uid).await.account().map(|a| a.name.clone()),
        None => None,
    };
    let limits = ask.door.config().policy.resolve(&person_of(caller));
    Ok(http::json(
        StatusCode::OK,
        &WhoAmI {
            uid: caller.uid,
            name: caller.name.clone(),
            docker_name: ds01_api::names::user_part(&caller.name),
            group: limits.group,
            unix_groups: caller.unix_groups.clone(),
            admin: caller.admin,
            via,
            login_name: login,
        },
    ))
}

pub(super) async fn machine(ask: Ask) -> Result<Response<Body>, Fault> {
    let caller = ask.caller.name.clone();
    let simulated = matches!(ask.door.config().machine, crate::config::Machine::Simulated(_));
    let mut machine =
        ask.door.coordinator.read(move |state, _, now| machine_of(state, &caller, now)).await?;
    machine.simulated = simulated;
    machine.host = hostname();
    Ok(http::json(StatusCode::OK, &machine))
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|h| h.trim().to_owned()).unwrap_or_default()
}

fn machine_of(state: &domain::State, caller: &str, now: Time) -> Machine {
    let mut cards: Vec<Card> = Vec::new();
    let (mut free, mut total) = (0, 0);
    let holders: HashMap<_, _> =
        state.holdings().flat_map(|h| h.units.iter().map(move |u| (u.clone(), h))).collect();
    for view in state.units() {
        total += 1;
        free += u32::from(view.is_free());
        let held = holders.get(&view.unit.id);
        let unit = Unit {
            unit: unit_ref(view.unit),
            health: match view.health {
                domain::Health::Available => Health::Available,
                domain::Health::Dirty => Health::Dirty,
                domain::Health::Draining => Health::Draining,
                domain::Health::Lost => Health::Lost,
            },
            holder: held.map(|h| holder_of(state, h, caller, now)),
            preferred_for: view
                .preferred
                .filter(|p| p.until > now && view.holder.is_none())
                .and_then(|p| state.container(&p.container).map(|c| c.owner_name.clone())),
        };
        match cards.iter_mut().find(|c| c.uuid == view.unit.card.as_str()) {
            Some(card) => card.units.push(unit),
            None => cards.push(Card {
                index: view.unit.index,
                uuid: view.unit.card.to_string(),
                model: view.unit.model.clone(),
                memory_mib: 0,
                mig: view.unit.slice.is_some(),
                units: vec![unit],
            }),
        }
    }
    for card in &mut cards {
        card.units.sort_by_key(|u| u.unit.address.clone());
        card.memory_mib = card.units.iter().map(|u| u.unit.memory_mib).sum();
    }
    cards.sort_by_key(|c| c.index);
    Machine {
        host: String::new(),
        simulated: false,
        cards,
        free_units: free,
        total_units: total,
        waiting: u32::try_from(state.waiters().count()).unwrap_or(u32::MAX),
    }
}

fn holder_of(state: &domain::State, held: &domain::Holding, caller: &str, now: Time) -> Holder {
    let spec = state.container(&held.container);
    let owner = spec.map_or_else(|| held.owner.to_string(), |s| s.owner_name.clone());
    let name = spec.map_or_else(|| held.container.short().to_owned(), |s| s.name.clone());
    let project = ds01_api::names::project_of(&name, &owner);
    Holder {
        mine: owner == caller,
        container: Some(project.map_or(name, |p| p.to_string())),
        owner,
        units: Vec::new(),
        held_seconds: now.since(held.since).as_secs(),
        left_seconds: None,
    }
}

/// Everything a listing says of one container that the rules know.
struct Known {
    container: domain::Container,
    units: Vec<UnitRef>,
    waiting: Option<ds01_api::Waiting>,
    reserved: bool,
}

pub(super) async fn containers(ask: Ask) -> Result<Response<Body>, Fault> {
    let all = ask.query("all").is_some_and(|v| v != "0" && v != "false");
    let (uid, admin, name) = (Uid(ask.caller.uid), ask.caller.admin, ask.caller.name.clone());
    let known = ask
        .door
        .coordinator
        .read(move |state, policy, now| {
            let mine = state.containers().filter(|c| c.exists() && (admin || c.owner == uid));
            mine.map(|c| known(state, policy, now, c, &name)).collect::<Vec<_>>()
        })
        .await?;
    let listed: HashMap<_, _> = ask.door.engine.list_all().await?.into_iter().map(|l| (l.id.clone(), l)).collect();
    let records = ask.door.records.of(&ask.door, known.iter().filter_map(|k| k.container.token.clone())).await?;
    let mut containers = Vec::new();
    let mut hidden = 0;
    for one in known {
        let Some(listed) = listed.get(&one.container.id) else { continue };
        let record = one.container.token.as_ref().and_then(|t| records.get(t));
        let shown = shown(&ask, one, listed, record.map(|r| &r.record));
        if all || shown.state.is_alive() || shown.waiting.is_some() || shown.state == ContainerState::Starting {
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
    let waiting = waiting.and_then(|()| crate::coordinator::place_of(state, policy, &container.id, now)).map(|place| {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        ds01_api::Waiting {
            position: number(place.position),
            of: number(place.of),
            reason: place.reason.clone(),
            holders: place.holders.iter().map(|h| holder(h, caller, now)).collect(),
            waited_seconds: place.waited.as_secs(),
            left_seconds: place.left.as_secs(),
        }
    });
    Known {
        container: container.clone(),
        units: units.unwrap_or_default(),
        waiting,
        reserved: held.is_some_and(|h| matches!(h.phase, domain::Phase::Reserved | domain::Phase::Bound)),
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
        want: spec.want.as_ref().map(ToString::to_string),
        waiting: known.waiting,
        workspace: record.and_then(|r| r.workspace.as_ref()).map(|w| w.display().to_string()),
        created: listed.created,
        age_seconds: age,
        state_seconds: None,
    }
}

/// One container of the caller's.
async fn one(ask: &Ask, name: &str) -> Result<(Container, Own), Fault> {
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

pub(super) async fn limits(ask: Ask) -> Result<Response<Body>, Fault> {
    let person = person_of(&ask.caller);
    let uid = person.uid;
    let (used, running) = ask
        .door
        .coordinator
        .read(move |state, _, _| {
            let running = state.holdings().filter(|h| h.owner == uid).count();
            (state.used_by(uid), running)
        })
        .await?;
    let _ = running;
    let containers = crate::gateway::running_containers(&ask.door, ask.caller.uid).await?;
    let limits = ask.door.config().policy.resolve(&person);
    Ok(http::json(
        StatusCode::OK,
        &Limits {
            user: person.name.clone(),
            group: limits.group.clone(),
            admin: person.admin,
            limits: rows(&limits, u64::from(used.as_milli()), u64::from(containers)),
        },
    ))
}

fn rows(limits: &domain::Limits, used_milli: u64, containers: u64) -> Vec<Limit> {
    let row = |key: &str, label: &str, unit, limit: Option<u64>, used| Limit {
        key: key.to_owned(),
        label: label.to_owned(),
        unit,
        limit,
        used,
        source: source_of(limits.source(key)),
    };
    let seconds = |d: Option<Duration>| d.map(|d| d.as_secs());
    vec![
        row(
            "max_gpu_equivalents",
            "GPUs at once",
            LimitUnit::GpuMilli,
            limits.max_gpu_equivalents.map(|w| u64::from(w.as_milli())),
            Some(used_milli),
        ),
        row(
            "max_gpu_slots_per_container",
            "GPU units in one container",
            LimitUnit::Count,
            limits.max_gpu_slots_per_container.map(u64::from),
            None,
        ),
        row("allow_full_gpu", "full GPUs allowed", LimitUnit::Flag, Some(u64::from(limits.allow_full_gpu)), None),
        row(
            "max_containers_per_user",
            "running containers",
            LimitUnit::Count,
            limits.max_containers_per_user.map(u64::from),
            Some(containers),
        ),
        row("max_cpus", "CPUs in one container", LimitUnit::CpuMilli, limits.max_cpus_milli, None),
        row("memory", "memory of one container", LimitUnit::Bytes, limits.memory_bytes, None),
        row("memory_swap", "memory and swap of one container", LimitUnit::Bytes, limits.memory_swap_bytes, None),
        row("shm_size", "shared memory of one container", LimitUnit::Bytes, limits.shm_bytes, None),
        row("pids_limit", "processes in one container", LimitUnit::Count, limits.pids_limit, None),
        row(
            "gpu_hold_after_stop_h",
            "GPU preferred for you after a stop",
            LimitUnit::Seconds,
            Some(limits.gpu_hold_after_stop.as_secs()),
            None,
        ),
        row("start_wait", "longest wait for a GPU", LimitUnit::Seconds, seconds(Some(limits.start_wait)), None),
    ]
}

fn source_of(source: &domain::Source) -> Source {
    match source {
        domain::Source::BuiltIn => Source::BuiltIn,
        domain::Source::Defaults => Source::Defaults,
        domain::Source::Group(name) => Source::Group { name: name.clone() },
        domain::Source::User(name) => Source::User { name: name.clone() },
        domain::Source::Admin => Source::Admin,
    }
}

pub(super) async fn queue(ask: Ask) -> Result<Response<Body>, Fault> {
    let caller = ask.caller.name.clone();
    let queue = ask
        .door
        .coordinator
        .read(move |state, policy, now| {
            let waiting = crate::coordinator::places(state, policy, now)
                .into_iter()
                .map(|(container, place)| {
                    let spec = state.container(&container).map(|c| c.clone());
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
        fact("asks for", container.want.clone().unwrap_or_else(|| "no GPU: it is never stopped by DS01".to_owned())),
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
                facts.push(fact("wait ends", format!("in {}", clock::for_people(Duration::from_secs(w.left_seconds)))));
            }
            format!("{label} waits for a GPU")
        }
        ContainerState::Running | ContainerState::Paused if !container.units.is_empty() => {
            let held = container.units.iter().map(|u| format!("{} ({})", u.address, u.id)).collect::<Vec<_>>();
            facts.push(fact("GPU", held.join(", ")));
            next.push(format!("container retire {label}"));
            format!("{label} runs and holds {} GPU unit(s), which are nobody else's while it runs", container.units.len())
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
            (false, Some(137)) => "its program was killed (exit code 137): by the memory limit, or by hand".to_owned(),
            (false, Some(code)) => format!("its program ended with exit code {code}; docker logs shows its last words"),
            (false, None) => "its end was not seen".to_owned(),
        };
        facts.push(Fact { label: "stopped".to_owned(), text: how });
    }
}
