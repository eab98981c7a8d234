//! Runs that began, ended and are over: releasing is looking.
//!
//! A look counts only if it began after what it is compared with was recorded, so a late one frees nothing. What
//! nobody could find out changes nothing.

use super::inventory::{claimed, is_clean, soil, wash};
use super::{Draft, adopt};
use crate::event::Event;
use crate::grant::{Holding, Phase};
use crate::ids::ContainerId;
use crate::observed::{Occupancy, Run, Seen};
use crate::state::START_SETTLE;

/// Follows every known container to where it was seen to be.
pub(super) fn follow(draft: &mut Draft<'_>) {
    let observed = draft.observed;
    for (id, seen) in &observed.containers {
        let holding = draft.state.holding(id).filter(|holding| may_move(draft, holding, seen)).cloned();
        if let Some(holding) = holding {
            follow_holding(draft, &holding, seen);
        }
    }
    for id in vanished(draft) {
        draft.record(Event::Removed { container: id, at: draft.now });
    }
}

/// Whether the look may say anything new of a holding: of one that runs and was seen to run it does not.
fn may_move(draft: &Draft<'_>, holding: &Holding, seen: &Seen) -> bool {
    let runs = matches!(seen.run, Run::Running | Run::Paused);
    draft.is_newer_than(holding.changed) && (!runs || is_starting(holding))
}

fn is_starting(holding: &Holding) -> bool {
    matches!(holding.phase, Phase::Reserved | Phase::Bound)
}

fn follow_holding(draft: &mut Draft<'_>, holding: &Holding, seen: &Seen) {
    let (container, epoch, at) = (holding.container.clone(), holding.epoch, draft.now);
    match seen.run {
        Run::Unknown => {}
        // A start that shows. If it runs with other units than these, it is adopted as it is.
        Run::Running | Run::Paused => {
            if !adopt::disagrees(draft, holding, seen) {
                draft.record(Event::Ran { container, epoch, at });
            }
        }
        Run::Created | Run::Exited(_) | Run::Gone => {
            // On its way up: between the two halves of a restart, too, a container is seen not to run.
            if draft.observed.in_flight.contains(&container)
                || (is_starting(holding) && !is_settled(draft, holding))
            {
                return;
            }
            if holding.phase != Phase::Ending {
                let exit = match seen.run {
                    Run::Exited(code) if holding.phase == Phase::Running => Some(code),
                    _ => None,
                };
                draft.record(Event::Ended { container, epoch, at, exit, by_user: false });
            }
            release(draft, holding, seen);
        }
    }
}

/// Whether a start that has not shown will not show any more: it has had the time.
fn is_settled(draft: &Draft<'_>, holding: &Holding) -> bool {
    draft.is_newer_than(holding.changed.after(START_SETTLE))
}

/// Frees the units of a run that is over, if they are seen to be free.
fn release(draft: &mut Draft<'_>, holding: &Holding, seen: &Seen) {
    let clean: Vec<Option<bool>> = holding.units.iter().map(|unit| is_clean(draft, unit)).collect();
    if seen.cgroup == Occupancy::Occupied || clean.contains(&Some(false)) {
        soil(draft, holding);
        return;
    }
    if seen.cgroup == Occupancy::Unknown || clean.contains(&None) {
        return;
    }
    let (free, contested): (Vec<_>, Vec<_>) =
        holding.units.iter().cloned().partition(|unit| !claimed(draft).contains(unit));
    wash(draft, &free);
    if !contested.is_empty() {
        soil(draft, &Holding { units: contested, ..holding.clone() });
    }
    draft.record(Event::Released {
        container: holding.container.clone(),
        epoch: holding.epoch,
        at: draft.now,
    });
}

/// Containers that the Engine has forgotten.
fn vanished(draft: &Draft<'_>) -> Vec<ContainerId> {
    let containers = &draft.observed.containers;
    let gone = containers.iter().filter(|(_, seen)| seen.run == Run::Gone);
    let told = gone.filter_map(|(id, _)| draft.state.container(id));
    // Only a look at everything says something of containers that it does not name.
    let missing = draft.observed.complete.then(|| draft.state.containers()).into_iter().flatten();
    let mut vanished: Vec<ContainerId> = told
        .chain(missing.filter(|container| !containers.contains_key(&container.id)))
        .filter(|container| container.exists() && draft.is_newer_than(container.created))
        .filter(|container| {
            let held = draft.state.holding(&container.id);
            held.is_none_or(|holding| draft.is_newer_than(holding.changed) || holding.phase == Phase::Ending)
        })
        .filter(|container| !draft.observed.in_flight.contains(&container.id))
        .map(|container| container.id.clone())
        .collect();
    vanished.sort();
    vanished
}
