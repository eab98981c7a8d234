//! Writing facts down: what must be on the disk before it may happen, and what may wait for a disk that is full.
//!
//! A grant is written or it is not made. That a run ended, a unit is free or a container is gone is true whether or
//! not it is written: it is applied, kept, and written before the next grant, so that a ledger never has a later fact
//! without an earlier one.

use ds01_domain::{Event, Note, State};

use crate::ledger::{Ledger, LedgerError};

/// Facts that may wait for the disk. Beyond that nothing is applied unwritten: the machine has to be looked after.
const UNWRITTEN_MAX: usize = 10_000;

/// The ledger, and what is not in it yet.
#[derive(Debug)]
pub(super) struct Books {
    ledger: Ledger,
    unwritten: Vec<Event>,
    /// What the journal is to say of them, and of what is not kept otherwise.
    unnoted: Vec<Note>,
    /// Whether the last write failed: told once, not with each fact.
    refused: bool,
}

/// Whether a fact holds without being on the disk: it gives nothing to anybody. A binding only repeats what its
/// reservation has given.
fn may_wait(event: &Event) -> bool {
    !matches!(event, Event::CreatePlanned { .. } | Event::Reserved(_))
}

impl Books {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, unwritten: Vec::new(), unnoted: Vec::new(), refused: false }
    }

    pub(super) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Writes facts, those that had to wait first. When it returns without an error they may be applied.
    pub(super) fn write(&mut self, events: &[Event], notes: &[Note]) -> Result<(), LedgerError> {
        if !events.iter().any(Event::is_durable) {
            self.keep_in_mind(notes);
            return Ok(());
        }
        let written = if self.unwritten.is_empty() && self.unnoted.is_empty() {
            self.ledger.append_with(events, notes)
        } else {
            let notes = [self.unnoted.as_slice(), notes].concat();
            self.ledger.append_with(&[self.unwritten.as_slice(), events].concat(), &notes)
        };
        match written {
            Ok(()) => {
                self.unwritten.clear();
                self.unnoted.clear();
                self.accepted();
                Ok(())
            }
            Err(error) => {
                self.failed(&error);
                let room = self.unwritten.len() + events.len() <= UNWRITTEN_MAX;
                if !room || !events.iter().all(may_wait) {
                    return Err(error);
                }
                self.unwritten.extend(events.iter().filter(|event| event.is_durable()).cloned());
                self.keep_in_mind(notes);
                Ok(())
            }
        }
    }

    fn keep_in_mind(&mut self, notes: &[Note]) {
        let room = UNWRITTEN_MAX.saturating_sub(self.unnoted.len());
        self.unnoted.extend(notes.iter().take(room).cloned());
    }

    /// Writes what the journal is to say of things that are not kept otherwise. Nobody waits for it.
    pub(super) fn note_down(&mut self) {
        // What waits for the disk comes first.
        if self.unnoted.is_empty() || !self.unwritten.is_empty() {
            return;
        }
        match self.ledger.note_down(&self.unnoted) {
            Ok(()) => self.unnoted.clear(),
            Err(error) => self.failed(&error),
        }
    }

    /// Tries again to write what had to wait.
    pub(super) fn catch_up(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        match self.ledger.append_with(&self.unwritten, &self.unnoted) {
            Ok(()) => {
                self.unwritten.clear();
                self.unnoted.clear();
                self.accepted();
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Shortens the ledger when it is time.
    pub(super) fn shorten_if_due(&mut self, state: &State) {
        if !self.unwritten.is_empty() {
            return;
        }
        if let Err(error) = self.ledger.snapshot_if_due(state) {
            tracing::warn!(error = %crate::Chain(&error), "the ledger could not be shortened; it goes on growing");
        }
    }

    /// Closes the ledger over a state; what waited is in it.
    pub(super) fn close(&mut self, state: &State) {
        self.catch_up();
        self.note_down();
        if let Err(error) = self.ledger.close(state) {
            tracing::error!(error = %crate::Chain(&error), "the ledger did not close cleanly; it is replayed");
        }
    }

    fn failed(&mut self, error: &LedgerError) {
        if !std::mem::replace(&mut self.refused, true) {
            tracing::error!(
                error = %crate::Chain(error),
                "the ledger cannot be written: nothing new is granted until it can; running containers go on"
            );
        }
    }

    fn accepted(&mut self) {
        if std::mem::take(&mut self.refused) {
            tracing::info!("the ledger can be written again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ds01_domain::{ContainerId, Epoch, Grant, Issuer, Time, Uid, UnitId, Weight};

    use super::*;

    fn id() -> ContainerId {
        ContainerId::new(&"a".repeat(64)).unwrap()
    }

    fn grant(epoch: u64) -> Event {
        // Long enough that a full disk has no room for it.
        let units = (0..100).map(|n| UnitId::new(&format!("GPU-{n:050}")).unwrap()).collect();
        let weight = Weight::from_milli(1000);
        let hold = Duration::ZERO;
        Event::Reserved(Grant::from_ledger(
            id(),
            Uid(1),
            Epoch(epoch),
            units,
            weight,
            Issuer::Local,
            hold,
            Time(epoch),
        ))
    }

    fn ends(at: u64) -> Vec<Event> {
        // Many, so that they need room as well.
        (0..200).map(|n| Event::Renamed { container: id(), name: format!("{at}-{n:050}") }).collect()
    }

    #[test]
    fn on_a_full_disk_nothing_is_granted_and_nothing_is_forgotten() {
        let directory = std::env::temp_dir().join(format!("ds01-books-{}", std::process::id()));
        let path = directory.join("ledger.db");
        let (ledger, _) = Ledger::open(&path).unwrap();
        let mut books = Books::new(ledger);
        let mut told = vec![grant(1)];
        books.write(&told, &[]).unwrap();

        books.ledger().fill_disk(true);
        assert!(books.write(&[grant(2)], &[]).is_err(), "a grant is written or it is not made");
        for at in [5, 6] {
            books.write(&ends(at), &[]).unwrap();
            told.extend(ends(at));
        }
        assert!(books.write(&[grant(3)], &[]).is_err());
        books.catch_up();
        assert_eq!(books.unwritten.len(), 400);

        books.ledger().fill_disk(false);
        told.push(grant(4));
        books.write(&[grant(4)], &[]).unwrap();
        assert!(books.unwritten.is_empty());
        drop(books);
        let (_, replayed) = Ledger::open(&path).unwrap();
        let mut state = State::default();
        told.iter().for_each(|event| state.apply(event));
        assert_eq!(replayed.durable(), state.durable(), "in the order in which it happened");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
