//! Units: which there are, and which are fit to be granted.

use std::collections::BTreeSet;

use super::Draft;
use crate::event::Event;
use crate::grant::Holding;
use crate::ids::{Time, UnitId};
use crate::observed::{Processes, Run};
use crate::state::DIRTY_GRACE;
use crate::unit::Health;

/// Records units that came, changed or went.
pub(super) fn compare(draft: &mut Draft<'_>) {
    for (id, seen) in &draft.observed.units {
        let same = draft
            .state
            .record(id)
            .is_some_and(|known| *known.unit == seen.unit && known.health != Health::Lost);
        if !same {
            draft.record(Event::UnitSeen(seen.unit.clone()));
        }
    }
    if !draft.observed.units_complete {
        return;
    }
    let gone: Vec<UnitId> = draft
        .state
        .records()
        .filter(|known| known.health != Health::Lost && !draft.observed.units.contains_key(&known.unit.id))
        .map(|known| known.unit.id.clone())
        .collect();
    for unit in gone {
        draft.record(Event::UnitGone { unit, at: draft.now });
    }
}

/// Whether the driver sees nobody on a unit. A unit that is gone has nobody; one that was not looked at: who knows.
pub(super) fn is_clean(draft: &Draft<'_>, unit: &UnitId) -> Option<bool> {
    match draft.observed.units.get(unit).map(|seen| seen.processes) {
        Some(Processes::Count(count)) => Some(count == 0),
        Some(Processes::Unknowable) => Some(true),
        Some(Processes::Unknown) => None,
        None => match draft.state.unit(unit).map(|view| view.health) {
            None | Some(Health::Lost) => Some(true),
            Some(_) => None,
        },
    }
}

/// Units that a running container can open, whoever holds them.
pub(super) fn claimed<'d>(draft: &'d Draft<'_>) -> &'d BTreeSet<UnitId> {
    let open = || {
        let containers = draft.observed.containers.values();
        let running =
            containers.filter(|seen| !matches!(seen.run, Run::Created | Run::Exited(_) | Run::Gone));
        running.flat_map(super::adopt::units_of).collect()
    };
    draft.claimed.get_or_init(open)
}

/// Marks the units of a holding that ended and is not clear.
pub(super) fn soil(draft: &mut Draft<'_>, holding: &Holding) {
    for unit in &holding.units {
        let available = draft.state.unit(unit).is_some_and(|view| view.health == Health::Available);
        if available {
            draft.record(Event::Health { unit: unit.clone(), health: Health::Dirty, at: draft.now });
        }
    }
}

/// Marks free units on which somebody computes all the same: a program of the host's, or what a container left behind.
pub(super) fn occupied(draft: &mut Draft<'_>) {
    let taken = |id: &UnitId| {
        !draft.state.is_held(id)
            && draft
                .state
                .record(id)
                .is_some_and(|known| known.health == Health::Available && draft.is_newer_than(known.since))
            && draft.state.given_back(id).is_none_or(|at| draft.is_newer_than(at))
            && !claimed(draft).contains(id)
    };
    let units = draft.observed.units.iter();
    let busy = units.filter(|(_, seen)| matches!(seen.processes, Processes::Count(1..)));
    let taken: Vec<UnitId> = busy.map(|(id, _)| id).filter(|id| taken(id)).cloned().collect();
    for unit in taken {
        draft.record(Event::Health { unit, health: Health::Dirty, at: draft.now });
    }
}

/// Declares units fit again: nobody holds them or runs with them, and somebody looked.
pub(super) fn wash(draft: &mut Draft<'_>, units: &[UnitId]) {
    for unit in units {
        let dirty = draft
            .state
            .unit(unit)
            .is_some_and(|view| matches!(view.health, Health::Dirty | Health::Draining));
        if dirty {
            draft.record(Event::Health { unit: unit.clone(), health: Health::Available, at: draft.now });
        }
    }
}

/// Looks after dirty units that nobody holds, and after those that stay dirty.
pub(super) fn clean(draft: &mut Draft<'_>) {
    let dirty: Vec<(UnitId, Health, Time, bool)> = draft
        .state
        .records()
        .filter(|record| matches!(record.health, Health::Dirty | Health::Draining))
        .filter_map(|record| draft.state.unit(&record.unit.id))
        .map(|view| (view.unit.id.clone(), view.health, view.health_since, view.holder.is_some()))
        .collect();
    for (unit, health, since, held) in dirty {
        let seen_clean = draft.observed.complete
            && draft.is_newer_than(since)
            && !claimed(draft).contains(&unit)
            && is_clean(draft, &unit) == Some(true);
        if !held && seen_clean {
            wash(draft, std::slice::from_ref(&unit));
        } else if health == Health::Dirty && draft.now >= since.after(DIRTY_GRACE) {
            draft.record(Event::Health { unit, health: Health::Draining, at: draft.now });
        }
    }
}
