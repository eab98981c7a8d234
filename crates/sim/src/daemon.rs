//! The daemon as the rules see it: a state, a ledger, and what is on its way. It dies at any moment and keeps only its
//! ledger.
//!
//! It owes the rules what the real one owes them: append before acting, name what is in flight for as long as a look
//! is open, and begin each look later than everything that was recorded.

use std::collections::{BTreeMap, BTreeSet};

use ds01_domain::{ContainerId, Event, Observed, State, Ticket, Time, Token};

/// Durable events between two shortenings of the ledger.
const EVENTS_PER_SHORTENING: usize = 400;

/// What the daemon has in memory, but for its ledger.
#[derive(Debug, Default)]
pub(crate) struct Daemon {
    pub(crate) up: bool,
    /// Grows with each death: what was meant for an earlier one is not heard.
    pub(crate) life: u64,
    pub(crate) state: State,
    /// On the disk.
    pub(crate) ledger: Vec<Event>,
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
}

impl Daemon {
    /// A daemon with nothing behind it.
    pub(crate) fn new() -> Self {
        Self { up: true, ..Self::default() }
    }

    /// Ledger time.
    pub(crate) fn now(&mut self, clock: Time) -> Time {
        self.told = self.told.max(clock);
        self.told
    }

    /// Appends a fact and applies it.
    pub(crate) fn record(&mut self, event: &Event) {
        if event.is_durable() {
            self.ledger.push(event.clone());
        }
        self.state.apply(event);
        if self.ledger.len() >= self.shorten_at.max(EVENTS_PER_SHORTENING) {
            self.ledger = self.state.to_events();
            self.shorten_at = self.ledger.len() + EVENTS_PER_SHORTENING;
        }
    }

    /// Dies. The clock goes on from where the ledger ends.
    pub(crate) fn die(&mut self) {
        let ledger = std::mem::take(&mut self.ledger);
        *self = Self {
            life: self.life + 1,
            ledger,
            told: self.told,
            shorten_at: self.shorten_at,
            ..Self::default()
        };
    }

    /// Comes back with what the ledger has.
    pub(crate) fn come_back(&mut self) {
        self.state = replay(&self.ledger);
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
