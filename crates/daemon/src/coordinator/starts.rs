//! Starts: admission, the line, the binding that the hinge asks for, and the proof that a start may be forwarded.

use std::time::Duration;

use ds01_domain::{
    ContainerId, Decision, Denial, Epoch, Event, LeftWhy, Observed, Person, Phase, Request, Ticket, UnitId,
    decide,
};
use ds01_runtime::protocol;
use tokio::sync::mpsc;

use super::Place;
use super::batch::{Granted, News, Ruling};
use super::desk::Desk;
use super::mailbox::{Coordinator, Fault};

/// News that may pile up before a slow reader misses some.
const NEWS_MAX: usize = 16;

/// Proof that units are reserved for one start of one container. Only the coordinator makes one, and every way of
/// losing it is told to the coordinator: dropped before the start was on its way means that it never was, dropped
/// afterwards that nobody knows how it ended.
#[derive(Debug)]
#[must_use = "a reservation that is dropped leaves its units reserved until somebody has looked"]
pub struct Reservation {
    container: ContainerId,
    epoch: Epoch,
    units: Vec<UnitId>,
    coordinator: Coordinator,
    forwarded: bool,
    settled: bool,
}

impl Reservation {
    pub(super) fn new(
        container: ContainerId,
        epoch: Epoch,
        units: Vec<UnitId>,
        coordinator: Coordinator,
    ) -> Self {
        Self { container, epoch, units, coordinator, forwarded: false, settled: false }
    }

    /// The container whose start may be forwarded.
    #[must_use]
    pub fn container(&self) -> &ContainerId {
        &self.container
    }

    /// The units it will get.
    #[must_use]
    pub fn units(&self) -> &[UnitId] {
        &self.units
    }

    /// The binding's number.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Marks that the start is on its way: from now on, losing the reservation means that nobody knows.
    pub fn forwarding(mut self) -> Self {
        self.forwarded = true;
        self
    }

    /// Says how the start ended.
    pub fn settle(mut self, outcome: StartOutcome) {
        self.settled = true;
        self.coordinator.start_ended(self.container.clone(), self.epoch, outcome);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            let outcome = if self.forwarded { StartOutcome::Unknown } else { StartOutcome::Failed };
            self.coordinator.start_ended(self.container.clone(), self.epoch, outcome);
        }
    }
}

/// How a forwarded start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartOutcome {
    /// The Engine says it runs.
    Running,
    /// The Engine says it does not; somebody must look before the units are free.
    Failed,
    /// No answer: it may run. The units stay reserved until somebody has looked.
    Unknown,
}

/// What a waiting start is told.
#[derive(Debug)]
pub enum WaitNews {
    /// Its place changed.
    Moved(Place),
    /// It has units.
    Granted(Reservation),
    /// It waited in vain.
    Denied(Box<Denial>),
    /// Its turn came and the grant could not be written.
    Failed(Fault),
    /// Somebody took it out of the line: kill, stop, rm.
    Cancelled,
}

/// A start that waits; dropping it leaves the line.
#[derive(Debug)]
pub struct InLine {
    /// What the person is told first.
    pub place: Place,
    news: mpsc::Receiver<WaitNews>,
    ticket: Ticket,
    coordinator: Coordinator,
    over: bool,
}

impl InLine {
    /// The next piece of news; after a grant or a denial there is none.
    pub async fn news(&mut self) -> Option<WaitNews> {
        let news = self.news.recv().await;
        if !matches!(news, Some(WaitNews::Moved(_))) {
            self.over = true;
        }
        news
    }
}

impl InLine {
    pub(super) fn new(
        place: Place,
        news: mpsc::Receiver<WaitNews>,
        ticket: Ticket,
        coordinator: Coordinator,
    ) -> Self {
        Self { place, news, ticket, coordinator, over: false }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if !self.over {
            self.coordinator.leave(self.ticket);
        }
        // A grant that was on its way to us is dropped with the channel: its reservation says "unknown", and the
        // look that follows frees the units.
    }
}

/// On whose behalf a container starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked.
    Person,
    /// Its restart policy; nobody waits for an answer.
    RestartPolicy,
}

/// The answer to "may this container start?".
#[derive(Debug)]
pub enum Admitted {
    /// It asked for no GPU, or is being started already: forward the start as it is.
    NoNeed,
    /// It runs, as far as is known: look, and ask again if it does not.
    Runs,
    /// It has its units.
    Granted(Reservation),
    /// It waits.
    Waits(Box<InLine>),
    /// It may not.
    Denied(Box<Denial>),
    /// Its restart policy wanted it, and does not any more.
    CalledOff,
}

impl Desk {
    pub(super) fn admit(
        &mut self,
        person: &Person,
        container: &ContainerId,
        cause: Cause,
        patience: Option<Duration>,
    ) -> Result<Ruling, Fault> {
        // Asked here and not before: whoever stopped it meanwhile was told that it stays so.
        let ours = || self.state.container(container).is_some_and(|known| known.restarts.ours);
        if cause == Cause::RestartPolicy && !ours() {
            return Ok(Ruling::CalledOff);
        }
        self.inherited.is_wanted(container);
        let request = Request::Start { person, container, patience };
        match decide(&self.policy, &self.state, &request, self.now()) {
            Decision::NoGpu => Ok(Ruling::NoNeed),
            Decision::AlreadyHolding => Ok(self.admit_holder(container)),
            Decision::Denial(denial) => Ok(Ruling::Denied(Box::new(denial))),
            Decision::Grant(grant) => Ok(Ruling::Granted(self.reserve(grant)?)),
            Decision::Wait(wait) => {
                let (sender, news) = mpsc::channel(NEWS_MAX);
                let (place, ticket) = (Box::new(Place::of(&wait, self.now())), wait.ticket);
                self.record(&[wait.into_event()])?;
                self.waiting.insert(ticket, sender);
                Ok(Ruling::Waits { place, ticket, news })
            }
            Decision::Admit(_) => Err(Fault::Confused),
        }
    }

    /// A container that holds units is to start: it runs, is being started, or its last start was lost.
    fn admit_holder(&mut self, container: &ContainerId) -> Ruling {
        if self.in_flight.contains(container) {
            // The Engine takes one start after the other.
            return Ruling::NoNeed;
        }
        let phase = self.state.holding(container).map(|holding| holding.phase);
        if !matches!(phase, Some(Phase::Reserved | Phase::Bound)) {
            return Ruling::Runs;
        }
        // Its units wait for it still: this start takes the lost one's place.
        match self.keep_for_restart(container) {
            Some(granted) => Ruling::Granted(granted),
            None => Ruling::NoNeed,
        }
    }

    pub(super) fn start_ended(&mut self, container: &ContainerId, epoch: Epoch, outcome: StartOutcome) {
        self.in_flight.remove(container);
        self.started.insert(container.clone(), self.now());
        let at = self.now();
        let phase = self.state.holding(container).filter(|h| h.epoch == epoch).map(|h| h.phase);
        let event = match (outcome, phase) {
            (_, None) | (StartOutcome::Unknown, _) => None,
            (StartOutcome::Running, Some(_)) => Some(Event::Ran { container: container.clone(), epoch, at }),
            // It ran and was not bound anew: the Engine refused to touch it, and it may run still.
            (StartOutcome::Failed, Some(Phase::Running)) => None,
            (StartOutcome::Failed, Some(_)) => {
                Some(Event::Ended { container: container.clone(), epoch, at, exit: None, by_user: false })
            }
        };
        // The container does what it does whether or not this is written; the next look finds it again.
        if let Some(event) = event
            && let Err(fault) = self.record(&[event])
        {
            tracing::warn!(error = %crate::Chain(&fault), "the end of a start could not be written");
        }
        // Also when it runs: it may have ended before the answer came, and that look said nothing then.
        self.outbox.looks.push(container.clone());
    }

    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        if self.state.is_waiting(ticket)
            && self.record(&[Event::Left { ticket, why: LeftWhy::Cancelled }]).is_ok()
        {
            self.observe(&Observed::default());
            self.outbox.moved = true;
        }
    }

    /// A person wants the container to end: an end that follows is no reason to restart. One that waits leaves the
    /// line, and its restart policy does not put it there again. Both at once: nothing may come between.
    pub(super) fn stop_asked(&mut self, container: &ContainerId) -> bool {
        let event = Event::StopAsked { container: container.clone(), at: self.now() };
        if let Err(fault) = self.record(&[event]) {
            tracing::error!(error = %crate::Chain(&fault), "a fact could not be written");
        }
        self.cancel_wait(container)
    }

    pub(super) fn cancel_wait(&mut self, container: &ContainerId) -> bool {
        let Some(ticket) = self.state.waiter_of(container).map(|w| w.ticket) else { return false };
        self.send(ticket, News::Cancelled);
        self.leave(ticket);
        true
    }

    pub(super) fn keep_for_restart(&mut self, container: &ContainerId) -> Option<Granted> {
        let holding = self.state.holding(container)?;
        if holding.phase == Phase::Ending || self.in_flight.contains(container) {
            return None;
        }
        let (epoch, units) = (holding.epoch, holding.units.clone());
        self.in_flight.insert(container.clone());
        Some(Granted { container: container.clone(), epoch, units })
    }

    /// The hinge asks during a start: the answer comes from the state alone.
    pub(super) fn bind(&mut self, request: &protocol::Request) -> protocol::Response {
        let refused = |text: &str| protocol::Response::Refused(text.to_owned());
        let Some(container) = ContainerId::new(&request.container) else {
            return refused("this is not a container id that Docker gives");
        };
        let Some(holding) = self.state.holding(&container) else {
            return refused(
                "no GPU is reserved for this container; start it through DS01 (docker start, or container run), \
                 which reserves one first",
            );
        };
        if holding.phase == Phase::Ending {
            return refused(
                "the last run of this container is still being cleared away; start it again in a moment",
            );
        }
        let (epoch, units) = (holding.epoch, holding.units.clone());
        // As they were asked for at create: every start has them.
        let want = self.state.container(&container).and_then(|known| known.want.as_ref());
        let capabilities = want.map(|want| want.capabilities.clone()).unwrap_or_default();
        let bound = match self.inventory.bound(epoch, &units, &capabilities) {
            Ok(bound) => bound,
            Err(why) => return refused(&why.to_string()),
        };
        // Recorded each time, also of what runs already as far as is known: a look that began before this answer must
        // not end the holding that it speaks of.
        let event = Event::Bound { container: container.clone(), epoch, at: self.now() };
        if let Err(fault) = self.record(&[event]) {
            tracing::error!(error = %crate::Chain(&fault), %container, "a binding was refused: it cannot be written");
            return refused(
                "DS01 cannot write its ledger (is the disk full?); no GPU is given out until it can",
            );
        }
        protocol::Response::Bound(bound)
    }
}
