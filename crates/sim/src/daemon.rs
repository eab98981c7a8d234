//! The daemon as the rules see it: a state, a ledger, and what is on its way. It dies at any moment and keeps only its
//! disk.
//!
//! It owes the rules what the real one owes them: what came together is decided one after the other and written in one
//! commit, nothing leaves it before that, what is in flight is named for as long as a look is open, and each look begins
//! later than everything that was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ds01_domain::{ContainerId, Event, Observed, State, Ticket, Time, Token};

use crate::coordinator::Message;
use crate::watch::{Run, Stored};
use crate::world::Happening;

/// Durable events between two shortenings of the ledger.
const EVENTS_PER_SHORTENING: usize = 400;

/// What the daemon has in memory, and its disk.
#[derive(Debug, Default)]
pub(crate) struct Daemon {
    pub(crate) up: bool,
    /// Grows with each death: what was meant for an earlier one is not heard.
    pub(crate) life: u64,
    /// What is known, facts included that are being written.
    pub(crate) state: State,
    /// What is on the disk, as a state.
    pub(crate) written: State,
    /// What is on the disk.
    pub(crate) ledger: Vec<Event>,
    /// Messages that wait for the commit under way.
    pub(crate) mailbox: Vec<Message>,
    /// Whether a commit is under way.
    pub(crate) committing: bool,
    /// Facts that were decided and are not on the disk yet.
    pub(crate) page: Vec<Event>,
    /// What leaves when they are.
    pub(crate) outbox: Vec<(Duration, Happening)>,
    /// For what time it was planned last.
    pub(crate) planned: Time,
    pub(crate) in_flight: BTreeSet<ContainerId>,
    pub(crate) creating: BTreeSet<Token>,
    /// Who is to be told about a place in the line.
    pub(crate) waiting: BTreeMap<Ticket, u64>,
    /// Looks that have begun, with what was in flight since.
    looks: BTreeMap<u64, (BTreeSet<ContainerId>, BTreeSet<Token>)>,
    looks_begun: u64,
    /// The length at which the ledger is shortened.
    shorten_at: usize,
    /// The latest time that was told to anybody.
    told: Time,
    /// How far ledger time is ahead of real time, in milliseconds: after a reboot it goes by the wall clock.
    skew: i64,
    /// The watch's memory of running containers.
    pub(crate) runs: BTreeMap<ContainerId, Run>,
    /// When they last worked, on the disk beside the ledger.
    pub(crate) stored: BTreeMap<ContainerId, Stored>,
    /// Containers into which somebody came since the last pass.
    pub(crate) entered: BTreeSet<ContainerId>,
    /// Containers whose owners are being warned.
    pub(crate) warning: BTreeSet<ContainerId>,
    /// Containers that the rules are stopping.
    pub(crate) stopping: BTreeSet<ContainerId>,
}

impl Daemon {
    /// A daemon with nothing behind it.
    pub(crate) fn new() -> Self {
        Self { up: true, ..Self::default() }
    }

    /// Ledger time.
    pub(crate) fn now(&mut self, clock: Time) -> Time {
        self.told = self.told.max(Time(clock.0.saturating_add_signed(self.skew)));
        self.told
    }

    /// The machine boots with a wall clock that is so many milliseconds ahead, or behind: ledger time never goes back.
    pub(crate) fn boots(&mut self, clock: Time, ahead: i64) {
        let wall = clock.0.saturating_add_signed(self.skew + ahead);
        self.skew = wall.max(self.told.0).cast_signed() - clock.0.cast_signed();
    }

    /// Makes a fact part of what is known; it is written with the others of its batch.
    pub(crate) fn record(&mut self, event: Event) {
        self.state.apply(&event);
        self.page.push(event);
    }

    /// The disk has the page.
    pub(crate) fn commit(&mut self) -> Vec<Event> {
        let page = std::mem::take(&mut self.page);
        self.ledger.extend(page.iter().filter(|event| event.is_durable()).cloned());
        self.written = self.state.clone();
        if self.ledger.len() >= self.shorten_at.max(EVENTS_PER_SHORTENING) {
            self.ledger = self.state.to_events();
            self.shorten_at = self.ledger.len() + EVENTS_PER_SHORTENING;
        }
        page
    }

    /// Dies. The clock goes on from where the ledger ends.
    pub(crate) fn die(&mut self) {
        *self = Self {
            life: self.life + 1,
            ledger: std::mem::take(&mut self.ledger),
            stored: std::mem::take(&mut self.stored),
            told: self.told,
            skew: self.skew,
            shorten_at: self.shorten_at,
            ..Self::default()
        };
    }

    /// Comes back with what the disk has.
    pub(crate) fn come_back(&mut self) {
        self.state = replay(&self.ledger);
        self.written = self.state.clone();
        self.told = self.told.max(self.state.latest());
        self.up = true;
    }

    /// Begins a look: its number, and a time later than everything recorded so far.
    pub(crate) fn begin_look(&mut self, clock: Time) -> (u64, Time) {
        let now = self.now(clock);
        self.told = Time(now.0 + 1);
        self.looks_begun += 1;
        self.looks.insert(self.looks_begun, (self.in_flight.clone(), self.creating.clone()));
        (self.looks_begun, self.told)
    }

    /// Ends a look: adds what was in flight at any moment since it began.
    pub(crate) fn end_look(&mut self, number: u64, observed: &mut Observed) {
        if let Some((starts, creates)) = self.looks.remove(&number) {
            observed.in_flight = starts;
            observed.creating = creates;
        }
    }

    pub(crate) fn start_sent(&mut self, container: &ContainerId) {
        self.in_flight.insert(container.clone());
        for (starts, _) in self.looks.values_mut() {
            starts.insert(container.clone());
        }
    }

    pub(crate) fn create_sent(&mut self, token: &Token) {
        self.creating.insert(token.clone());
        for (_, creates) in self.looks.values_mut() {
            creates.insert(token.clone());
        }
    }
}

/// The state that a ledger gives.
pub(crate) fn replay(ledger: &[Event]) -> State {
    let mut state = State::default();
    ledger.iter().for_each(|event| state.apply(event));
    state
}
