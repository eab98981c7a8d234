//! What was found and not recorded: creates whose answer was lost, containers that run with units nobody gave them.

use std::collections::BTreeSet;

use super::{Action, Draft};
use crate::container::Standing;
use crate::event::Event;
use crate::grant::{Holding, Phase};
use crate::ids::{ContainerId, Epoch, Token, Uid, UnitId};
use crate::observed::{Identity, Run, Seen};
use crate::state::CREATE_SETTLE;
use crate::unit::Health;

/// Settles creates that nobody has heard the end of.
pub(super) fn created(draft: &mut Draft<'_>) {
    let pending: Vec<(Token, bool)> = draft
        .state
        .creates()
        .map(|create| {
            let over = draft.is_newer_than(create.at.after(CREATE_SETTLE))
                && draft.observed.complete
                && !draft.observed.creating.contains(&create.token);
            (create.token.clone(), over)
        })
        .collect();
    for (token, over) in pending {
        match draft.observed.created.get(&token).cloned() {
            Some(container) => draft.record(Event::Created { token, container, at: draft.now }),
            None if over => draft.record(Event::CreateAbandoned { token }),
            None => {}
        }
    }
}

/// The units that a container can open, by its devices where they were looked at, else by its receipt.
pub(super) fn units_of(seen: &Seen) -> BTreeSet<UnitId> {
    match (&seen.devices, &seen.receipt) {
        (Some(devices), _) => devices.clone(),
        (None, Some((_, units))) => units.iter().cloned().collect(),
        (None, None) => BTreeSet::new(),
    }
}

/// Whether a running container is known to run with other units than these.
pub(super) fn disagrees(draft: &Draft<'_>, holding: &Holding, seen: &Seen) -> bool {
    // Nearly always it is as it was written down, and nothing has to be looked up.
    let same = match (&seen.devices, &seen.receipt) {
        (Some(devices), _) => {
            devices.len() == holding.units.len() && holding.units.iter().all(|unit| devices.contains(unit))
        }
        (None, Some((_, units))) => *units == holding.units,
        (None, None) => true,
    };
    if same {
        return false;
    }
    let lost = holding
        .units
        .iter()
        .filter(|unit| draft.state.unit(unit).is_some_and(|view| view.health == Health::Lost))
        .cloned()
        .collect::<BTreeSet<_>>();
    let mut found = units_of(seen);
    // A unit that has gone from the machine cannot be opened, and is still his until he ends.
    found.extend(lost);
    found != holding.units.iter().cloned().collect::<BTreeSet<_>>()
}

/// Adopts containers that run with units other than recorded, the latest grant first.
pub(super) fn found(draft: &mut Draft<'_>) {
    let observed = draft.observed;
    let mut running: Vec<(Epoch, &ContainerId, &Seen)> = observed
        .containers
        .iter()
        .filter(|(_, seen)| matches!(seen.run, Run::Running | Run::Paused))
        .map(|(id, seen)| (seen.receipt.as_ref().map_or(Epoch(0), |(epoch, _)| *epoch), id, seen))
        .collect();
    running.sort_by_key(|(epoch, id, _)| (std::cmp::Reverse(*epoch), *id));
    for (epoch, id, seen) in running {
        adopt(draft, epoch, id, seen);
    }
}

fn adopt(draft: &mut Draft<'_>, epoch: Epoch, id: &ContainerId, seen: &Seen) {
    let held = draft.state.holding(id);
    if let Some(holding) = held {
        let starting = matches!(holding.phase, Phase::Reserved | Phase::Bound);
        let unsettled = starting && draft.observed.in_flight.contains(id);
        if unsettled || !draft.is_newer_than(holding.changed) {
            return;
        }
        // Ended as far as was recorded, and seen to run: it runs.
        if holding.phase != Phase::Ending && !disagrees(draft, holding, seen) {
            return;
        }
    } else if draft.observed.in_flight.contains(id) || is_recent_end(draft, id) {
        return;
    }
    let (units, held) = (units_of(seen), held.cloned());
    if held.is_none() && units.is_empty() {
        return;
    }
    let kept = settle_conflicts(draft, epoch, id, &units);
    let unchanged = held.as_ref().is_some_and(|holding| {
        holding.phase == Phase::Running && kept == holding.units.iter().cloned().collect()
    });
    if unchanged || (held.is_none() && kept.is_empty()) {
        return;
    }
    let identity = identity(draft, id, seen);
    // A binding is (container, epoch): the number of the receipt, unless it has been used for something since.
    let fresh = epoch != Epoch(0) && held.as_ref().is_none_or(|holding| holding.epoch <= epoch);
    let used = draft.state.holdings().any(|other| other.epoch == epoch && other.container != *id);
    draft.record(Event::Adopted {
        container: id.clone(),
        owner: identity.owner,
        owner_name: identity.owner_name,
        name: identity.name,
        epoch: if fresh && !used { epoch } else { draft.state.next_epoch() },
        units: kept.into_iter().collect(),
        at: draft.now,
    });
}

/// Whether the look is older than the end of this container's last run, or of the container: then it saw that run.
fn is_recent_end(draft: &Draft<'_>, id: &ContainerId) -> bool {
    let ended = match draft.state.container(id).map(|container| container.standing) {
        Some(Standing::Stopped { at, .. }) => Some(at),
        Some(_) => None,
        None => draft.state.gone_since(id),
    };
    ended.is_some_and(|at| !draft.is_newer_than(at))
}

/// Which of the units a container may be recorded with: not those that a later grant gave to somebody who still has
/// them. Every unit that two can open is reported once and kept from everybody else.
fn settle_conflicts(
    draft: &mut Draft<'_>,
    epoch: Epoch,
    id: &ContainerId,
    units: &BTreeSet<UnitId>,
) -> BTreeSet<UnitId> {
    let mut kept = BTreeSet::new();
    for unit in units {
        let rival =
            draft.state.unit(unit).and_then(|view| view.holder).filter(|rival| rival.container != *id);
        let Some((other, later)) = rival.map(|rival| (rival.container.clone(), rival.epoch > epoch)) else {
            kept.insert(unit.clone());
            continue;
        };
        if !later {
            kept.insert(unit.clone());
        }
        let known = draft.state.unit(unit).is_some_and(|view| view.health != Health::Available);
        if !known {
            draft.record(Event::Health { unit: unit.clone(), health: Health::Dirty, at: draft.now });
            let (holder, other) = if later { (other, id.clone()) } else { (id.clone(), other) };
            draft.push(Action::Conflict { unit: unit.clone(), holder, other });
        }
    }
    kept
}

/// Whose container it is: as recorded, as its labels say, or root's, who alone can start one past the door.
fn identity(draft: &Draft<'_>, id: &ContainerId, seen: &Seen) -> Identity {
    match (draft.state.container(id), &seen.identity) {
        (Some(container), _) => Identity {
            owner: container.owner,
            owner_name: container.owner_name.clone(),
            name: container.name.clone(),
        },
        (None, Some(identity)) => identity.clone(),
        (None, None) => {
            Identity { owner: Uid(0), owner_name: "root".to_owned(), name: id.short().to_owned() }
        }
    }
}
