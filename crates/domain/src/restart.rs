//! Restarts: which containers are to be started again because their policy says so.

use crate::container::{Container, RestartPolicy, Standing};
use crate::event::Event;
use crate::ids::{ContainerId, Time};
use crate::state::State;

/// Whether a restart could be made now, were it due: it is stopped, its units are looked after, and it does not wait
/// in line already.
pub(crate) fn may_start(state: &State, container: &Container) -> bool {
    matches!(container.standing, Standing::Stopped { .. })
        && container.restart != RestartPolicy::No
        && state.holding(&container.id).is_none()
        && state.waiter_of(&container.id).is_none()
}

/// The restarts that are due, each with the fact that it is tried.
pub(crate) fn due(state: &State, now: Time) -> Vec<(ContainerId, Event)> {
    let mut due: Vec<&Container> =
        state.restarts_due(now).filter(|container| may_start(state, container)).collect();
    due.sort_by(|one, other| one.id.cmp(&other.id));
    due.into_iter()
        .map(|container| {
            let attempt = container.restarts.tries.saturating_add(1);
            let id = container.id.clone();
            (id.clone(), Event::RestartTried { container: id, attempt, at: now })
        })
        .collect()
}
