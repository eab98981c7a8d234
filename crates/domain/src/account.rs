//! What each user holds, kept together so that a quota need not be added up from all holdings.

use std::sync::Arc;

use crate::denial::Holder;
use crate::grant::Phase;
use crate::ids::{ContainerId, Time, Weight};
use crate::unit::{Unit, weigh};

/// The holdings of one user, by container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    entries: Vec<Entry>,
    /// What all of it weighs together, and what of it has not ended.
    total: Weight,
    running: Weight,
    /// How many units that is.
    count: usize,
    running_count: usize,
}

/// One holding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) container: ContainerId,
    /// All of it as others are told.
    pub(crate) told: Arc<Holder>,
    pub(crate) phase: Phase,
    /// When it was granted, and what it weighs.
    pub(crate) since: Time,
    pub(crate) weight: Weight,
    /// Its units, as far as the machine has them, as people count them.
    pub(crate) units: Vec<Arc<Unit>>,
}

impl Entry {
    pub(crate) fn is_ending(&self) -> bool {
        self.phase == Phase::Ending
    }
}

impl Account {
    /// Puts a holding in the place of what the container held before.
    pub(crate) fn put(&mut self, container: &ContainerId, entry: Option<Entry>) {
        match (self.entries.binary_search_by(|known| known.container.cmp(container)), entry) {
            (Ok(at), Some(entry)) => self.entries[at] = entry,
            (Ok(at), None) => drop(self.entries.remove(at)),
            (Err(at), Some(entry)) => self.entries.insert(at, entry),
            (Err(_), None) => return,
        }
        self.total = weigh(self.units(|_| true));
        self.running = weigh(self.units(|entry| !entry.is_ending()));
        self.count = self.units(|_| true).count();
        self.running_count = self.units(|entry| !entry.is_ending()).count();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn total(&self) -> Weight {
        self.total
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What has not ended: its weight, and how many units it is.
    pub(crate) fn running(&self) -> (Weight, usize) {
        (self.running, self.running_count)
    }

    /// The units of some of it.
    pub(crate) fn units(&self, which: impl Fn(&Entry) -> bool) -> impl Iterator<Item = &Unit> {
        self.entries.iter().filter(move |entry| which(entry)).flat_map(|entry| &entry.units).map(Arc::as_ref)
    }
}
