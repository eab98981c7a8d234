//! The board: what the watch last saw, for everybody to read, and who came in since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ds01_domain::{ContainerId, Minute, Mode, Outsider, Rules, Watched};

use crate::clock;

/// What is older than this says nothing any more.
const FRESH: Duration = Duration::from_secs(60);

/// How long a lab that says nothing about it is only observed.
const OBSERVED_FIRST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What was seen of one container.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it does with its units, and what it may.
    pub watched: Watched,
    /// Its minutes, the oldest first.
    pub minutes: Vec<Minute>,
}

/// The last pass of the watch.
#[derive(Debug, Clone)]
struct Page {
    at: Instant,
    seen: Arc<BTreeMap<ContainerId, Seen>>,
    outsiders: Arc<[Outsider]>,
}

/// What the watch last saw.
#[derive(Debug, Default)]
pub struct Board {
    page: RwLock<Option<Page>>,
    entered: Mutex<BTreeSet<ContainerId>>,
    /// Containers whose stop is being carried out.
    stopping: Mutex<BTreeSet<ContainerId>>,
    /// When this lab was first watched: wall time, in milliseconds.
    begun: AtomicU64,
}

impl Board {
    /// What was seen of a container, if it was seen of late.
    #[must_use]
    pub fn seen(&self, id: &ContainerId) -> Option<Seen> {
        self.page().and_then(|page| page.seen.get(id).cloned())
    }

    /// What was seen of everybody, if that was of late.
    #[must_use]
    pub fn all(&self) -> Arc<BTreeMap<ContainerId, Seen>> {
        self.page().map(|page| page.seen).unwrap_or_default()
    }

    /// Who was on units without a grant, if that was seen of late.
    #[must_use]
    pub fn outsiders(&self) -> Arc<[Outsider]> {
        self.page().map(|page| page.outsiders).unwrap_or_default()
    }

    /// Whether stops are carried out: as the lab says, else from its second week on.
    #[must_use]
    pub fn mode(&self, rules: &Rules) -> Mode {
        let age = Duration::from_millis(clock::wall_ms().saturating_sub(self.begun.load(Ordering::Relaxed)));
        rules.mode.unwrap_or(if age < OBSERVED_FIRST { Mode::Observe } else { Mode::Enforce })
    }

    pub(super) fn begin(&self, begun: u64) {
        self.begun.store(begun, Ordering::Relaxed);
    }

    /// Somebody has begun a command in a container.
    pub fn enter(&self, id: &ContainerId) {
        self.entered().insert(id.clone());
    }

    /// The rules' stop of a container begins, unless it has begun.
    pub fn stop_begins(&self, id: &ContainerId) -> bool {
        self.stopping().insert(id.clone())
    }

    /// The stop is over, or did not work.
    pub fn stop_ends(&self, id: &ContainerId) {
        self.stopping().remove(id);
    }

    /// Whether its stop is being carried out: what it does now (it may save a checkpoint on its unit) is no reason to
    /// take that back.
    pub(super) fn is_being_stopped(&self, id: &ContainerId) -> bool {
        self.stopping().contains(id)
    }

    pub(super) fn has_entered(&self, id: &ContainerId) -> bool {
        self.entered().remove(id)
    }

    pub(super) fn write(&self, seen: BTreeMap<ContainerId, Seen>, outsiders: Vec<Outsider>) {
        // Commands of containers without a unit are of no interest.
        self.entered().retain(|id| seen.contains_key(id));
        let page = Page { at: Instant::now(), seen: Arc::new(seen), outsiders: outsiders.into() };
        *self.page.write().unwrap_or_else(PoisonError::into_inner) = Some(page);
    }

    fn page(&self) -> Option<Page> {
        let page = self.page.read().unwrap_or_else(PoisonError::into_inner).clone();
        page.filter(|page| page.at.elapsed() < FRESH)
    }

    fn stopping(&self) -> std::sync::MutexGuard<'_, BTreeSet<ContainerId>> {
        // As below.
        self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entered(&self) -> std::sync::MutexGuard<'_, BTreeSet<ContainerId>> {
        // Every change is one insertion or removal: a panic elsewhere leaves the set whole.
        self.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
