//! The machine, who holds what of it, and who is asking.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ds01_api::{
    Card, Figures, GpuRelease, Health, Holder, Machine, Process, Unit, UnitRef, Via, WhoAmI, codes,
};
use ds01_domain as domain;
use ds01_domain::Time;
use hyper::{Response, StatusCode};

use super::{Ask, Fault};
use crate::gateway::http::{self, Body};
use crate::gateway::person_of;
use crate::identity::Place;
use crate::inventory;

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
    let outsiders =
        if ask.door.inventory.figures().age.is_some() { ask.door.board.outsiders() } else { Arc::default() };
    let mut machine =
        ask.door.coordinator.read(move |state, _, now| machine_of(state, &caller, &outsiders, now)).await?;
    machine.simulated = simulated;
    machine.host = hostname();
    machine.driver = ask.door.inventory.driver();
    machine.problems = ask.door.inventory.problems();
    let seen = ask.door.inventory.figures();
    machine.figures_age_seconds = seen.age.map(|age| age.as_secs());
    for unit in machine.cards.iter_mut().flat_map(|card| &mut card.units) {
        let found = seen.units.iter().find(|(id, _)| id.as_str() == unit.unit.id);
        unit.figures = figures(found.map(|(_, figures)| figures));
    }
    Ok(http::json(StatusCode::OK, &machine))
}

/// What the driver told of a unit, if it did.
pub(super) fn figures(told: Option<&inventory::Figures>) -> Figures {
    told.map_or_else(Figures::default, |told| Figures {
        utilization_percent: told.utilization_percent.or(told.exporter_percent),
        memory_used_mib: told.memory_used_mib,
    })
}

/// The longest time for which the driver is let go of: nobody gets a GPU meanwhile.
const RELEASE_SECONDS_MAX: u32 = 24 * 3600;

pub(super) async fn release(mut ask: Ask) -> Result<Response<Body>, Fault> {
    if !ask.caller.admin {
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            codes::NOT_PERMITTED,
            "only an administrator may take the GPU driver from ds01d",
        ));
    }
    if !matches!(ask.door.config().machine, crate::config::Machine::Nvidia { .. }) {
        return Err(Fault::new(
            StatusCode::CONFLICT,
            codes::REQUEST_INVALID,
            "this machine has no GPU driver to let go of: `machine` in the configuration is not nvidia",
        ));
    }
    let mut wanted: GpuRelease = ask.read().await?;
    wanted.seconds = wanted.seconds.min(RELEASE_SECONDS_MAX);
    if !ask.door.inventory.let_go(Duration::from_secs(wanted.seconds.into())).await {
        return Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            codes::INTERNAL,
            "the GPU driver does not answer, so ds01d cannot let go of it",
        )
        .hint(
            "`dmesg` may tell of a broken card; stopping ds01d lets go of everything, and containers run on",
        ));
    }
    tracing::warn!(seconds = wanted.seconds, admin = ask.caller.name, "the GPU driver is let go of");
    Ok(http::json(StatusCode::OK, &wanted))
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|h| h.trim().to_owned()).unwrap_or_default()
}

fn machine_of(state: &domain::State, caller: &str, outsiders: &[domain::Outsider], now: Time) -> Machine {
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
            figures: Figures::default(),
            ungranted: (outsiders.iter())
                .filter(|one| one.units.contains(&view.unit.id))
                .map(|one| process(state, one))
                .collect(),
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
        figures_age_seconds: None,
        driver: None,
        problems: Vec::new(),
    }
}

/// A program on a unit without a grant.
fn process(state: &domain::State, outsider: &domain::Outsider) -> Process {
    let container = outsider.container.as_ref().and_then(|id| state.container(id)).map(|container| {
        let project = ds01_api::names::project_of(&container.name, &container.owner_name);
        let name = project.map_or_else(|| container.name.clone(), |project| project.to_string());
        format!("{}/{name}", container.owner_name)
    });
    Process { pid: outsider.process.pid, name: outsider.name.clone(), user: outsider.user.clone(), container }
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
