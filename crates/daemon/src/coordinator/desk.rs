//! What only the coordinator's task touches: the state, the ledger, and the starts that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ds01_domain::{
    Action, ContainerId, Decision, Event, LeftWhy, Observed, Policy, Request, State, Ticket, Time, Token,
    decide, plan,
};
use ds01_runtime::receipt;
use tokio::sync::mpsc;

use super::mailbox::{Coordinator, Fault, Message, Permit, Planned, WeakCoordinator};
use super::starts::{Reservation, WaitNews};
use super::{Errand, Place};
use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::ledger::Ledger;

pub(super) struct Desk {
    pub(super) state: State,
    pub(super) policy: Arc<Policy>,
    ledger: Ledger,
    clock: Clock,
    pub(super) inventory: Arc<Inventory>,
    receipts: PathBuf,
    handle: WeakCoordinator,
    /// The waiting starts, by their place in the line.
    pub(super) waiting: BTreeMap<Ticket, mpsc::Sender<WaitNews>>,
    /// Containers whose start is on its way to the Engine or back: a look at them settles nothing yet.
    pub(super) in_flight: BTreeSet<ContainerId>,
    /// Creates that are on their way: a look that does not see them says nothing.
    creating: BTreeSet<Token>,
    pub(super) errands: mpsc::UnboundedSender<Errand>,
}

impl Desk {
    #[expect(clippy::too_many_arguments, reason = "each is a part of the desk, named once")]
    pub(super) fn new(
        state: State,
        policy: Arc<Policy>,
        ledger: Ledger,
        clock: Clock,
        inventory: Arc<Inventory>,
        receipts: PathBuf,
        handle: WeakCoordinator,
        errands: mpsc::UnboundedSender<Errand>,
    ) -> Self {
        Self {
            state,
            policy,
            ledger,
            clock,
            inventory,
            receipts,
            handle,
            waiting: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            creating: BTreeSet::new(),
            errands,
        }
    }

    pub(super) async fn run(mut self, mut mailbox: mpsc::Receiver<Message>) {
        loop {
            let message = match self.state.next_due(self.now()) {
                Some(time) => {
                    let pause = time.since(self.now());
                    tokio::select! {
                        message = mailbox.recv() => message,
                        () = tokio::time::sleep(pause) => Some(Message::Due),
                    }
                }
                None => mailbox.recv().await,
            };
            match message {
                Some(Message::Close(done)) => {
                    if let Err(error) = self.ledger.close(&self.state) {
                        tracing::error!(error = %crate::Chain(&error), "the ledger did not close cleanly; it is replayed");
                    }
                    let _ = done.send(());
                    return;
                }
                Some(message) => self.handle(message),
                None => return,
            }
        }
    }

    pub(super) fn now(&self) -> Time {
        self.clock.ledger_now()
    }

    pub(super) fn coordinator(&self) -> Option<Coordinator> {
        self.handle.upgrade()
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::PlanCreate { planned, reply } => {
                let answer = self.plan_create(*planned);
                let _ = reply.send(answer);
            }
            Message::CreateEnded(token) => {
                self.creating.remove(&token);
            }
            Message::Record { events, reply } => {
                let answer = self.record(&events);
                let _ = reply.send(answer);
            }
            Message::Admit { person, container, patience, reply } => {
                let answer = self.admit(&person, &container, patience);
                // A caller that is gone drops what it was given, and with it its place or its reservation.
                let _ = reply.send(answer);
            }
            Message::StartEnded { container, epoch, outcome } => self.start_ended(container, epoch, outcome),
            Message::Leave { ticket } => self.leave(ticket),
            Message::CancelWait { container, reply } => {
                let _ = reply.send(self.cancel_wait(&container));
            }
            Message::KeepForRestart { container, reply } => {
                let _ = reply.send(self.keep_for_restart(&container));
            }
            Message::IsStarting { container, reply } => {
                let waits = self.state.waiter_of(&container).is_some();
                let _ = reply.send(waits || self.in_flight.contains(&container));
            }
            Message::Bind { request, reply } => {
                let answer = self.bind(&request);
                let _ = reply.send(answer);
            }
            Message::Observed { observed, done } => {
                self.observe(*observed);
                let _ = done.send(());
            }
            Message::Read(question) => question(&self.state, &self.policy, self.clock.ledger_now()),
            Message::Owners(question) => question(&mut self.ledger),
            Message::NewPolicy(policy) => {
                self.policy = policy;
                self.observe(Observed::default());
            }
            Message::Due => self.observe(Observed::default()),
            Message::Close(_) => {}
        }
    }

    /// Writes facts to the ledger, then applies them. What is not written did not happen.
    pub(super) fn record(&mut self, events: &[Event]) -> Result<(), Fault> {
        self.ledger.append(events)?;
        for event in events {
            tell(event);
            self.state.apply(event);
        }
        if let Err(error) = self.ledger.snapshot_if_due(&self.state) {
            tracing::warn!(error = %crate::Chain(&error), "the ledger could not be shortened; it goes on growing");
        }
        Ok(())
    }

    fn plan_create(&mut self, planned: Planned) -> Result<Result<Permit, Box<ds01_domain::Denial>>, Fault> {
        let Planned { person, mut event, running_containers } = planned;
        let now = self.now();
        let Event::CreatePlanned { token, want, at, .. } = &mut event else {
            return Err(Fault::Confused);
        };
        let request = Request::Create { person: &person, want: want.as_ref(), running_containers };
        match decide(&self.policy, &self.state, &request, now) {
            Decision::Admit(admission) => *want = admission.want().cloned(),
            Decision::Denial(denial) => return Ok(Err(Box::new(denial))),
            _ => return Err(Fault::Confused),
        }
        *at = now;
        let token = token.clone();
        self.record(std::slice::from_ref(&event))?;
        let Some(coordinator) = self.coordinator() else { return Err(Fault::Stopping) };
        self.creating.insert(token.clone());
        Ok(Ok(Permit::new(token, coordinator)))
    }

    /// Something was seen, or time has passed: decide what follows, and carry it out or hand it on.
    pub(super) fn observe(&mut self, mut observed: Observed) {
        observed.in_flight.extend(self.in_flight.iter().cloned());
        observed.creating.extend(self.creating.iter().cloned());
        let actions = plan(&self.policy, &self.state, &observed, self.now());
        let some = !actions.is_empty();
        for action in actions {
            if let Err(fault) = self.carry_out(action) {
                tracing::error!(error = %crate::Chain(&fault), "a decision could not be written; it is taken again");
                return;
            }
        }
        if some {
            self.tell_places();
        }
    }

    fn carry_out(&mut self, action: Action) -> Result<(), Fault> {
        match action {
            Action::Record(event) => {
                self.clear_receipt(&event);
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
                let _ = self.errands.send(Errand::Act(other));
                Ok(())
            }
        }
    }

    /// Removes the hinge's receipt of a run that is over, before the container can be bound again.
    fn clear_receipt(&self, event: &Event) {
        if let Event::Released { container, epoch, .. } = event
            && let Err(error) = receipt::remove(&self.receipts, container.as_str(), epoch.0)
        {
            tracing::warn!(%error, %container, "a receipt could not be removed");
        }
    }

    /// Writes the grant, then hands out the proof.
    pub(super) fn reserve(&mut self, grant: ds01_domain::Grant) -> Result<Reservation, Fault> {
        let coordinator = self.coordinator().ok_or(Fault::Stopping)?;
        let (container, epoch, units) = (grant.container().clone(), grant.epoch(), grant.units().to_vec());
        // Append before anything is forwarded: a crash may strand a reservation, never lend one unit twice.
        self.record(&[Event::Reserved(grant)])?;
        self.in_flight.insert(container.clone());
        Ok(Reservation::new(container, epoch, units, coordinator))
    }

    /// Tells everybody in the line whose place may have changed.
    pub(super) fn tell_places(&self) {
        let now = self.now();
        for wait in self.state.waits(&self.policy, now) {
            if let Some(sender) = self.waiting.get(&wait.ticket) {
                // A slow reader misses a place that is old by then anyway.
                let _ = sender.try_send(WaitNews::Moved(Place::of(&wait, now)));
            }
        }
    }
}

/// One line in the log for each fact, for the admin at night.
fn tell(event: &Event) {
    match event {
        Event::Reserved(grant) => {
            let units: Vec<_> = grant.units().iter().map(ToString::to_string).collect();
            tracing::info!(container = grant.container().short(), epoch = %grant.epoch(), units = units.join(","), "reserved");
        }
        Event::Bound { container, epoch, .. } => {
            tracing::info!(container = container.short(), %epoch, "bound")
        }
        Event::Ran { container, epoch, .. } => {
            tracing::info!(container = container.short(), %epoch, "running")
        }
        Event::Ended { container, epoch, exit, .. } => {
            tracing::info!(container = container.short(), %epoch, ?exit, "ended");
        }
        Event::Released { container, epoch, .. } => {
            tracing::info!(container = container.short(), %epoch, "released")
        }
        Event::Adopted { container, epoch, .. } => {
            tracing::warn!(container = container.short(), %epoch, "adopted")
        }
        Event::Created { container, token, .. } => {
            tracing::info!(container = container.short(), %token, "created")
        }
        Event::Removed { container, .. } => tracing::info!(container = container.short(), "removed"),
        Event::Health { unit, health, .. } => tracing::warn!(%unit, %health, "unit health"),
        _ => {}
    }
}
