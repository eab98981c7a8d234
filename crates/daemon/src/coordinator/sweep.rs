//! What a look at everything settles beyond the rules: receipts of runs that nobody knows any more, containers that
//! were to remove themselves and that nobody is left to start, restarts that were cut short.

use std::collections::BTreeSet;
use std::time::Duration;

use ds01_domain::{
    Action, ContainerId, Event, Observed, Occupancy, RestartPolicy, Run, Standing, State, Time,
};
use ds01_runtime::receipt;
use imbl::OrdMap;

use super::desk::Desk;

/// How long it is remembered when a start or a create came back: longer than any look takes.
const CAME_BACK_REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Containers that remove themselves and that were there, not running, when the daemon started, or whose create was
/// answered to nobody. The client that would have started them is gone: they are removed, as the Engine does with them
/// at its own start.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited {
    containers: BTreeSet<ContainerId>,
}

impl Inherited {
    /// What the ledger leaves to a new daemon.
    pub(super) fn of(state: &State) -> Self {
        let left = state.containers().filter(|container| container.auto_remove && container.exists());
        Self { containers: left.map(|container| container.id.clone()).collect() }
    }

    /// Somebody starts it after all.
    pub(super) fn is_wanted(&mut self, container: &ContainerId) {
        self.containers.remove(container);
    }
}

impl Desk {
    /// Takes in a look.
    pub(super) fn look(&mut self, mut observed: Observed) {
        self.name_what_was_under_way(&mut observed);
        self.observe(&observed);
        if !observed.complete {
            return;
        }
        self.books.catch_up();
        self.clear_old_receipts(&observed);
        self.remove_inherited(&observed);
        let oldest = observed.began.0.saturating_sub(millis(CAME_BACK_REMEMBERED));
        forget_before(&mut self.started, Time(oldest));
        forget_before(&mut self.created, Time(oldest));
        let first = !*self.looked.borrow() && !std::mem::replace(&mut self.outbox.looked, true);
        if first {
            self.restart_what_was_cut_short();
        }
    }

    /// Tries again the restarts that the last daemon had begun and whose end nobody will tell: each try counts once,
    /// and the last one that a policy allows has none to come after it.
    fn restart_what_was_cut_short(&mut self) {
        let cut_short = self.state.containers().filter(|container| {
            container.restarts.ours
                && container.restart != RestartPolicy::No
                && matches!(container.standing, Standing::Stopped { .. })
        });
        let restarts = cut_short.map(|container| Action::Restart { container: container.id.clone() });
        self.outbox.acts.extend(restarts);
    }

    /// Adds to a look what was under way at any moment since it began, and takes out what it says of such containers:
    /// it saw them half-way.
    fn name_what_was_under_way(&self, observed: &mut Observed) {
        let began = observed.began;
        let since = self.started.iter().filter(|(_, at)| **at >= began).map(|(id, _)| id.clone());
        observed.in_flight.extend(self.in_flight.iter().cloned().chain(since));
        let since = self.created.iter().filter(|(_, at)| **at >= began).map(|(token, _)| token.clone());
        observed.creating.extend(self.creating.iter().cloned().chain(since));
        let in_flight = &observed.in_flight;
        observed.containers.retain(|id, _| !in_flight.contains(id));
    }

    /// Before a fact that was planned is recorded.
    pub(super) fn before(&mut self, event: &Event) {
        // The hinge's receipt of a run that is over goes before the container can be bound again.
        if let Event::Released { container, epoch, .. } = event {
            self.outbox.receipts.push((container.clone(), epoch.0));
        }
    }

    /// After a fact that was planned was recorded.
    pub(super) fn after(&mut self, event: &Event) {
        if let Event::Created { token, container, .. } = event
            && !self.creating.contains(token)
            && self.state.container(container).is_some_and(|known| known.auto_remove)
        {
            self.inherited.containers.insert(container.clone());
        }
    }

    pub(super) fn remove_receipt(&self, container: &ContainerId, epoch: u64) {
        if let Err(error) = receipt::remove(&self.receipts, container.as_str(), epoch) {
            tracing::warn!(%error, %container, "a receipt could not be removed");
        }
    }

    /// Removes receipts that stand for no run: the container does not run, holds nothing, and its cgroup is empty.
    fn clear_old_receipts(&mut self, observed: &Observed) {
        for (id, seen) in &observed.containers {
            let over = matches!(seen.run, Run::Created | Run::Exited(_) | Run::Gone);
            if let Some((epoch, _)) = &seen.receipt
                && over
                && seen.cgroup == Occupancy::Empty
                && self.state.holding(id).is_none()
            {
                self.outbox.receipts.push((id.clone(), epoch.0));
            }
        }
    }

    fn remove_inherited(&mut self, observed: &Observed) {
        let (state, acts) = (&self.state, &mut self.outbox.acts);
        self.inherited.containers.retain(|id| {
            if !state.container(id).is_some_and(|container| container.exists()) {
                return false;
            }
            match observed.containers.get(id).map(|seen| seen.run) {
                // It removes itself when it ends.
                Some(Run::Running | Run::Paused | Run::Gone) => false,
                Some(Run::Created | Run::Exited(_)) => {
                    if state.holding(id).is_none() && state.waiter_of(id).is_none() {
                        acts.push(Action::RemoveContainer { container: id.clone() });
                    }
                    true
                }
                Some(Run::Unknown) | None => true,
            }
        });
    }
}

fn forget_before<K: Ord + Clone>(times: &mut OrdMap<K, Time>, oldest: Time) {
    let old: Vec<K> = times.iter().filter(|(_, at)| **at < oldest).map(|(key, _)| key.clone()).collect();
    for key in old {
        times.remove(&key);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
