//! What was last done to a container from outside, for whoever asks later why it does not run: its start was denied, or
//! it was told to stop. Kept in memory only: it is told, and nothing is decided by it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ds01_domain::{ContainerId, Denial};

/// Containers that are remembered; the oldest goes first.
const DEEDS_MAX: usize = 4096;

/// Something that was done to a container that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// The rules did not let it start.
    Denied(Box<Denial>),
    /// Its owner, or an administrator, told it to stop.
    Stopped,
}

/// The last deed of each container.
#[derive(Debug, Default)]
pub struct Deeds {
    known: Mutex<HashMap<ContainerId, (Deed, Instant)>>,
}

impl Deeds {
    fn known(&self) -> MutexGuard<'_, HashMap<ContainerId, (Deed, Instant)>> {
        // Every change is one insertion or removal: a panic elsewhere leaves the map whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a deed in place of an earlier one.
    pub fn put(&self, container: &ContainerId, deed: Deed) {
        let mut known = self.known();
        known.insert(container.clone(), (deed, Instant::now()));
        if known.len() > DEEDS_MAX
            && let Some(oldest) = known.iter().min_by_key(|(_, (_, at))| *at).map(|(id, _)| id.clone())
        {
            known.remove(&oldest);
        }
    }

    /// Forgets what was done: it has been started since, or is gone.
    pub fn forget(&self, container: &ContainerId) {
        self.known().remove(container);
    }

    /// The last deed and when it was done, if no start has gone through since.
    #[must_use]
    pub fn of(&self, container: &ContainerId) -> Option<(Deed, Instant)> {
        self.known().get(container).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_the_last_counts() {
        let id = |n: usize| ContainerId::new(&format!("{n:064x}")).unwrap();
        let deeds = Deeds::default();
        for n in 0..=DEEDS_MAX {
            deeds.put(&id(n), Deed::Denied(Box::new(Denial::cancelled("first"))));
        }
        assert!(deeds.of(&id(0)).is_none() && deeds.of(&id(1)).is_some());
        deeds.put(&id(1), Deed::Stopped);
        assert_eq!(deeds.of(&id(1)).unwrap().0, Deed::Stopped);
        deeds.forget(&id(1));
        assert!(deeds.of(&id(1)).is_none());
    }
}
