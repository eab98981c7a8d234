//! Looks at one container until nothing about it is open: one task for each, however many ask for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ds01_domain::ContainerId;
use tokio::sync::Notify;

use super::Enforcer;
use crate::coordinator::Waiters;

/// How soon a cgroup that is still occupied is looked at again; doubled up to [`LOOK_AGAIN_MAX`].
const LOOK_AGAIN_FIRST: Duration = Duration::from_millis(15);
/// The longest pause between two looks at one container that is ending.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(2);

/// The containers that are being looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Looking {
    tasks: Arc<Mutex<BTreeMap<ContainerId, Ask>>>,
}

#[derive(Debug, Default)]
struct Ask {
    /// Somebody asked since the last look began.
    again: bool,
    /// Who waits for the next look to be over.
    waiters: Waiters,
    wake: Arc<Notify>,
}

impl Looking {
    fn tasks(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Ask>> {
        // Every change is one insertion or removal: a panic elsewhere leaves the map whole.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look. `Some` if there is no task yet: the caller makes one.
    fn ask(&self, id: &ContainerId, waiters: Waiters) -> Option<Arc<Notify>> {
        let mut tasks = self.tasks();
        let is_new = !tasks.contains_key(id);
        let ask = tasks.entry(id.clone()).or_default();
        ask.again = true;
        ask.waiters.extend(waiters);
        ask.wake.notify_one();
        is_new.then(|| ask.wake.clone())
    }

    /// A look begins: whoever asked so far is answered by it.
    fn begins(&self, id: &ContainerId) -> Waiters {
        self.tasks().get_mut(id).map_or_else(Waiters::new, |ask| {
            ask.again = false;
            std::mem::take(&mut ask.waiters)
        })
    }

    fn is_asked_again(&self, id: &ContainerId) -> bool {
        self.tasks().get(id).is_some_and(|ask| ask.again)
    }

    /// Ends the task, unless somebody has asked again.
    fn ends(&self, id: &ContainerId) -> bool {
        let mut tasks = self.tasks();
        let over = tasks.get(id).is_none_or(|ask| !ask.again);
        if over {
            tasks.remove(id);
        }
        over
    }
}

impl Enforcer {
    /// Looks at a container, and again while it is ending or nobody can say what it does.
    pub(super) fn look_until_settled(&self, id: ContainerId, waiters: Waiters) {
        let Some(wake) = self.looking.ask(&id, waiters) else { return };
        let enforcer = self.clone();
        tokio::spawn(async move {
            // Taken off the map also where a look panics.
            let mut guard = Guard { looking: enforcer.looking.clone(), id: id.clone(), armed: true };
            let mut pause = LOOK_AGAIN_FIRST;
            loop {
                let waiters = enforcer.looking.begins(&id);
                let open = enforcer.look_at(&id).await;
                drop(waiters);
                if enforcer.looking.is_asked_again(&id) {
                    pause = LOOK_AGAIN_FIRST;
                } else if open {
                    // Woken or not: the next look comes.
                    let _ = tokio::time::timeout(pause, wake.notified()).await;
                    pause = (pause * 2).min(LOOK_AGAIN_MAX);
                } else if enforcer.looking.ends(&id) {
                    guard.armed = false;
                    return;
                }
            }
        });
    }
}

struct Guard {
    looking: Looking,
    id: ContainerId,
    armed: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.armed {
            self.looking.tasks().remove(&self.id);
        }
    }
}
