//! Writing facts down: what must be on the disk before it may happen, and what may wait for a disk that is full.
//!
//! A grant is written or it is not made. That a run ended, a unit is free or a container is gone is true whether or
//! not it is written: it is applied, kept, and written before the next grant, so that a ledger never has a later fact
//! without an earlier one.

use ds01_domain::{Event, State};

use crate::ledger::{Ledger, LedgerError};

/// Facts that may wait for the disk. Beyond that nothing is applied unwritten: the machine has to be looked after.
const UNWRITTEN_MAX: usize = 10_000;

/// The ledger, and what is not in it yet.
#[derive(Debug)]
pub(super) struct Books {
    ledger: Ledger,
    unwritten: Vec<Event>,
    /// Whether the last write failed: told once, not with each fact.
    refused: bool,
}

/// Whether a fact holds without being on the disk: it gives nothing to anybody.
fn may_wait(event: &Event) -> bool {
    !matches!(event, Event::CreatePlanned { .. } | Event::Reserved(_) | Event::Bound { .. })
}

impl Books {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, unwritten: Vec::new(), refused: false }
    }

    pub(super) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Writes facts, those that had to wait first. When it returns without an error they may be applied.
    pub(super) fn write(&mut self, events: &[Event]) -> Result<(), LedgerError> {
        if !events.iter().any(Event::is_durable) {
            return Ok(());
        }
        let written = if self.unwritten.is_empty() {
            self.ledger.append(events)
        } else {
            self.ledger.append(&[self.unwritten.as_slice(), events].concat())
        };
        match written {
            Ok(()) => {
                self.unwritten.clear();
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
                Ok(())
            }
        }
    }

    /// Tries again to write what had to wait.
    pub(super) fn catch_up(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        match self.ledger.append(&self.unwritten) {
            Ok(()) => {
                self.unwritten.clear();
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
