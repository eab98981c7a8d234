//! Starts: admission, the line, the binding that the hinge asks for, and the proof that a start may be forwarded.

use std::time::Duration;

use ds01_domain::{
    Action, ContainerId, Decision, Denial, Epoch, Event, Grant, Holder, LeftWhy, Observed, Person, Phase, Request,
    Ticket, UnitId, decide, plan,
};
use ds01_runtime::protocol;
use tokio::sync::mpsc;

use super::mailbox::{Coordinator, Fault};
use super::Desk;

/// News that may pile up before a slow reader misses some.
const NEWS_MAX: usize = 16;

/// Proof that units are reserved for one start of one container. Only the coordinator makes one, and every way of
/// losing it is told to the coordinator: dropped means nobody knows how the start ended.
#[derive(Debug)]
#[must_use = "a reservation that is dropped leaves its units reserved until somebody has looked"]
pub struct Reservation {
    container: ContainerId,
    epoch: Epoch,
    units: Vec<UnitId>,
    coordinator: Coordinator,
    settled: bool,
}

impl Reservation {
    fn new(grant: &Grant, coordinator: Coordinator) -> Self {
        Self {
            container: grant.container().clone(),
            epoch: grant.epoch(),
            units: grant.units().to_vec(),
            coordinator,
            settled: false,
        }
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

    /// Says how the start ended.
    pub fn settle(mut self, outcome: StartOutcome) {
        self.settled = true;
        self.coordinator.start_ended(self.container.clone(), outcome);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            self.coordinator.start_ended(self.container.clone(), StartOutcome::Unknown);
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
}

/// A place in the line, told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// 1 is the head of the line.
    pub position: usize,
    /// How many wait.
    pub of: usize,
    /// Why it waits, in one sentence.
    pub reason: String,
    /// Who holds the units that would do.
    pub holders: Vec<Holder>,
    /// How long the wait may still last.
    pub remaining: Duration,
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

impl Drop for InLine {
    fn drop(&mut self) {
        if !self.over {
            self.coordinator.leave(self.ticket);
        }
        // A grant that was on its way to us is dropped with the channel: its reservation says "unknown", and the
        // look that follows frees the units.
    }
}

/// The answer to "may this container start?".
#[derive(Debug)]
pub enum Admitted {
    /// It asked for no GPU, or runs already: forward the start as it is.
    NoNeed,
    /// It has its units.
    Granted(Reservation),
    /// It waits.
    Waits(Box<InLine>),
    /// It may not.
    Denied(Box<Denial>),
}

impl Desk {
    pub(super) fn admit(
        &mut self,
        person: &Person,
        container: &ContainerId,
        patience: Duration,
    ) -> Result<Admitted, Fault> {
        if self.state.container(container).is_none_or(|c| c.want.is_none()) {
            return Ok(Admitted::NoNeed);
        }
        let request = Request::Start { person, container, patience };
        match decide(&self.policy, &self.state, &request, self.now()) {
            Decision::AlreadyHolding => Ok(Admitted::NoNeed),
            Decision::Denial(denial) => Ok(Admitted::Denied(Box::new(denial))),
            Decision::Grant(grant) => Ok(Admitted::Granted(self.reserve(grant)?)),
            Decision::Wait(wait) => {
                let (sender, news) = mpsc::channel(NEWS_MAX);
                let place = Place {
                    position: wait.position,
                    of: wait.of,
                    reason: wait.reason.to_string(),
                    holders: wait.holders.clone(),
                    remaining: Duration::from_millis(wait.deadline.0.saturating_sub(self.now().0)),
                };
                let ticket = wait.ticket;
                self.record(&[wait.into_event()])?;
                self.waiting.insert(ticket, sender);
                let coordinator = self.handle.clone();
                Ok(Admitted::Waits(Box::new(InLine { place, news, ticket, coordinator, over: false })))
            }
            Decision::Admit(_) => Err(Fault::Confused),
        }
    }

    /// Writes the grant, then hands out the proof.
    fn reserve(&mut self, grant: Grant) -> Result<Reservation, Fault> {
        // Append before anything is forwarded: a crash may strand a reservation, never lend one unit twice.
        let reservation = Reservation::new(&grant, self.handle.clone());
        if let Err(fault) = self.record(&[Event::Reserved(grant)]) {
            let mut reservation = reservation;
            reservation.settled = true;
            return Err(fault);
        }
        self.in_flight.insert(reservation.container.clone());
        tracing::info!(container = %reservation.container, epoch = %reservation.epoch, "reserved");
        Ok(reservation)
    }

    pub(super) fn start_ended(&mut self, container: ContainerId, outcome: StartOutcome) {
        self.in_flight.remove(&container);
        let Some(holding) = self.state.holding(&container) else { return };
        if outcome == StartOutcome::Running {
            let ran = Event::Ran { container, epoch: holding.epoch, at: self.now() };
            // The container runs whether or not this is written; recovery reads its receipt.
            if let Err(fault) = self.record(&[ran]) {
                tracing::warn!(error = %fault, "a start could not be written to the ledger");
            }
        } else {
            let _ = self.errands.send(super::Errand::Look(container));
        }
    }

    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        if self.state.is_waiting(ticket) {
            let _ = self.record(&[Event::Left { ticket, why: LeftWhy::Cancelled }]);
            self.observe(Observed::default());
        }
    }

    /// The hinge asks during a start: the answer comes from the state alone.
    pub(super) fn bind(&mut self, request: &protocol::Request) -> protocol::Response {
        let refused = |text: &str| protocol::Response::Refused(text.to_owned());
        let Some(container) = ContainerId::new(&request.container) else {
            return refused("this is not a container id that Docker gives");
        };
        let Some(holding) = self.state.holding(&container) else {
            return refused(
                "no GPU is reserved for this container; start it through DS01 (docker start, or container start), \
                 which reserves one first",
            );
        };
        if holding.phase == Phase::Ending {
            return refused("the last run of this container is still being cleared away; start it again in a moment");
        }
        let (epoch, units) = (holding.epoch, holding.units.clone());
        let Some(bound) = self.inventory.bound(epoch, &units) else {
            return refused("a GPU that was reserved for this container has disappeared; start it again");
        };
        if holding.phase == Phase::Reserved
            && let Err(fault) = self.record(&[Event::Bound { container: container.clone(), epoch, at: self.now() }])
        {
            tracing::error!(error = %fault, %container, "a binding was refused: it cannot be written");
            return refused("DS01 cannot write its ledger (is the disk full?); no GPU is given out until it can");
        }
        protocol::Response::Bound(bound)
    }

    /// Something was seen, or time has passed: decide what follows, until nothing more follows.
    pub(super) fn observe(&mut self, mut observed: Observed) {
        observed.in_flight.extend(self.in_flight.iter().cloned());
        let actions = plan(&self.policy, &self.state, &observed, self.now());
        for action in actions {
            if let Err(fault) = self.carry_out(action) {
                tracing::error!(error = %fault, "a decision could not be written; it is taken again at the next look");
                return;
            }
        }
        self.tell_places();
    }

    fn carry_out(&mut self, action: Action) -> Result<(), Fault> {
        match action {
            Action::Record(event) => {
                self.clear_receipt_of(&event);
                self.record(&[event])
            }
            Action::Grant { grant, ticket } => {
                let news = self.waiting.remove(&ticket);
                let reservation = self.reserve(grant)?;
                match news {
                    // A full or closed channel drops the reservation, which asks for a look.
                    Some(sender) => drop(sender.try_send(WaitNews::Granted(reservation))),
                    None => drop(reservation),
                }
                Ok(())
            }
            Action::Deny { ticket, denial } => {
                let news = self.waiting.remove(&ticket);
                self.record(&[Event::Left { ticket, why: LeftWhy::Denied }])?;
                if let Some(sender) = news {
                    let _ = sender.try_send(WaitNews::Denied(Box::new(denial)));
                }
                Ok(())
            }
            other => {
                let _ = self.errands.send(super::Errand::Act(other));
                Ok(())
            }
        }
    }

    /// Tells everybody in the line whose place has changed.
    fn tell_places(&mut self) {
        let now = self.now();
        for wait in self.state.waits(&self.policy, now) {
            if let Some(sender) = self.waiting.get(&wait.ticket) {
                let place = Place {
                    position: wait.position,
                    of: wait.of,
                    reason: wait.reason.to_string(),
                    holders: wait.holders.clone(),
                    remaining: Duration::from_millis(wait.deadline.0.saturating_sub(now.0)),
                };
                let _ = sender.try_send(WaitNews::Moved(place));
            }
        }
    }
}
