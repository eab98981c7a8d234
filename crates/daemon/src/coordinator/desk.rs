//! What only the coordinator's task touches: the state, the ledger, and the starts that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ds01_domain::{
    Action, ContainerId, Decision, Event, LeftWhy, Observed, Policy, Request, State, Ticket, Time, Token,
    decide, plan,
};
use tokio::sync::{mpsc, watch};

use super::books::Books;
use super::mailbox::{Coordinator, Fault, Message, Permit, Planned, WeakCoordinator};
use super::starts::{Reservation, WaitNews};
use super::sweep::Inherited;
use super::{Errands, Place};
use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::ledger::Ledger;

/// What a desk is made of.
pub(super) struct Parts {
    pub(super) state: State,
    pub(super) policy: Arc<Policy>,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) inventory: Arc<Inventory>,
    pub(super) receipts: PathBuf,
    pub(super) handle: WeakCoordinator,
    pub(super) errands: Errands,
    pub(super) looked: watch::Sender<bool>,
}

pub(super) struct Desk {
    pub(super) state: State,
    pub(super) policy: Arc<Policy>,
    pub(super) books: Books,
    clock: Clock,
    pub(super) inventory: Arc<Inventory>,
    pub(super) receipts: PathBuf,
    handle: WeakCoordinator,
    /// The waiting starts, by their place in the line.
    pub(super) waiting: BTreeMap<Ticket, mpsc::Sender<WaitNews>>,
    /// Containers whose start is on its way to the Engine or back: a look at them settles nothing yet.
    pub(super) in_flight: BTreeSet<ContainerId>,
    /// When starts came back: a look that began before saw them half-way.
    pub(super) started: BTreeMap<ContainerId, Time>,
    /// Creates that are on their way: a look that does not see them says nothing.
    pub(super) creating: BTreeSet<Token>,
    /// When creates came back.
    pub(super) created: BTreeMap<Token, Time>,
    /// Containers that were to remove themselves and whose clients went with the last daemon.
    pub(super) inherited: Inherited,
    pub(super) errands: Errands,
    /// Whether somebody has looked at everything since the start.
    pub(super) looked: watch::Sender<bool>,
    /// For what time it was planned last: nothing that was due by then is open.
    planned: Time,
}

impl Desk {
    pub(super) fn new(parts: Parts) -> Self {
        let inherited = Inherited::of(&parts.state);
        Self {
            state: parts.state,
            policy: parts.policy,
            books: Books::new(parts.ledger),
            clock: parts.clock,
            inventory: parts.inventory,
            receipts: parts.receipts,
            handle: parts.handle,
            waiting: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            started: BTreeMap::new(),
            creating: BTreeSet::new(),
            created: BTreeMap::new(),
            inherited,
            errands: parts.errands,
            looked: parts.looked,
            planned: Time::default(),
        }
    }

    pub(super) async fn run(mut self, mut mailbox: mpsc::Receiver<Message>) {
        loop {
            // Since the last plan, not from now on: what fell due while the disk or a processor kept us is due still.
            let message = match self.state.next_due(self.planned) {
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
                    self.books.close(&self.state);
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
                self.created.insert(token, self.now());
            }
            Message::Record { mut events, reply } => {
                events.retain(|event| !self.is_old_news(event));
                let answer = if events.is_empty() { Ok(()) } else { self.record(&events) };
                let _ = reply.send(answer);
            }
            Message::Admit { person, container, cause, patience, reply } => {
                let answer = self.admit(&person, &container, cause, patience);
                // A caller that is gone drops what it was given, and with it its place or its reservation.
                let _ = reply.send(answer);
            }
            Message::StartEnded { container, epoch, outcome } => self.start_ended(&container, epoch, outcome),
            Message::Leave { ticket } => self.leave(ticket),
            Message::CancelWait { container, reply } => {
                let _ = reply.send(self.cancel_wait(&container));
            }
            Message::StopAsked { container, reply } => {
                let _ = reply.send(self.stop_asked(&container));
            }
            Message::KeepForRestart { container, reply } => {
                let _ = reply.send(self.keep_for_restart(&container));
            }
            Message::LostCreates(reply) => {
                let pending = self.state.creates().map(|create| create.token.clone());
                let _ = reply.send(pending.filter(|token| !self.creating.contains(token)).collect());
            }
            Message::IsStarting { container, reply } => {
                let waits = self.state.waiter_of(&container).is_some();
                let _ = reply.send(waits || self.in_flight.contains(&container));
            }
            Message::Bind { request, reply } => {
                let answer = self.bind(&request);
                let _ = reply.send(answer);
            }
            Message::BeginLook(reply) => {
                let _ = reply.send(self.clock.ledger_later());
            }
            Message::Observed { observed, done } => {
                self.look(*observed);
                let _ = done.send(());
            }
            Message::Read(question) => question(&self.state, &self.policy, self.clock.ledger_now()),
            Message::Owners(question) => question(self.books.ledger()),
            Message::NewPolicy(policy) => {
                self.policy = policy;
                self.observe(&Observed::default());
            }
            Message::Due => self.observe(&Observed::default()),
            Message::Close(_) => {}
        }
    }

    /// Whether a removal is on record already: who removes tells it, and so does the look that follows.
    fn is_old_news(&self, event: &Event) -> bool {
        matches!(event, Event::Removed { container, .. }
            if self.state.container(container).is_none_or(|known| !known.exists()))
    }

    /// Writes facts to the ledger, then applies them. A grant that is not written did not happen.
    pub(super) fn record(&mut self, events: &[Event]) -> Result<(), Fault> {
        self.books.write(events)?;
        for event in events {
            tell(event);
            self.state.apply(event);
        }
        self.books.shorten_if_due(&self.state);
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
    pub(super) fn observe(&mut self, observed: &Observed) {
        let mut any = false;
        loop {
            self.planned = self.now();
            let actions = plan(&self.policy, &self.state, observed, self.planned);
            any |= !actions.is_empty();
            // What comes after a grant that could not be written rests on it: it is planned anew.
            if actions.into_iter().all(|action| self.carry_out(action)) {
                break;
            }
        }
        if any {
            self.tell_places();
        }
    }

    /// Carries out one thing; whether what was planned with it still stands.
    fn carry_out(&mut self, action: Action) -> bool {
        match action {
            Action::Record(event) => {
                self.before(&event);
                match self.record(std::slice::from_ref(&event)) {
                    Ok(()) => self.after(&event),
                    // Not even a list of what waits can be kept any more; the next look finds it again.
                    Err(fault) => {
                        tracing::error!(error = %crate::Chain(&fault), "a fact could not be written")
                    }
                }
                true
            }
            Action::Grant { grant, ticket } => match self.reserve(grant) {
                Ok(reservation) => {
                    // A full or closed channel drops the reservation, which frees the units.
                    if let Some(sender) = self.waiting.remove(&ticket) {
                        drop(sender.try_send(WaitNews::Granted(reservation)));
                    }
                    true
                }
                Err(fault) => {
                    self.send_away(ticket, LeftWhy::Cancelled, WaitNews::Failed(fault));
                    false
                }
            },
            Action::Deny { ticket, denial } => {
                self.send_away(ticket, LeftWhy::Denied, WaitNews::Denied(Box::new(denial)));
                true
            }
            other => {
                self.errands.act(other);
                true
            }
        }
    }

    fn send_away(&mut self, ticket: Ticket, why: LeftWhy, news: WaitNews) {
        let sender = self.waiting.remove(&ticket);
        // The line is not written: this cannot fail.
        let _ = self.record(&[Event::Left { ticket, why }]);
        if let Some(sender) = sender {
            let _ = sender.try_send(news);
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
            // A slow reader misses a place that is old by then anyway; room is kept for how the wait ends.
            if let Some(sender) = self.waiting.get(&wait.ticket).filter(|sender| sender.capacity() > 1) {
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
            tracing::info!(container = container.short(), %epoch, "bound");
        }
        Event::Ran { container, epoch, .. } => {
            tracing::info!(container = container.short(), %epoch, "running");
        }
        Event::Ended { container, epoch, exit, .. } => {
            tracing::info!(container = container.short(), %epoch, ?exit, "ended");
        }
        Event::Released { container, epoch, .. } => {
            tracing::info!(container = container.short(), %epoch, "released");
        }
        Event::Adopted { container, epoch, .. } => {
            tracing::warn!(container = container.short(), %epoch, "adopted");
        }
        Event::Created { container, token, .. } => {
            tracing::info!(container = container.short(), %token, "created");
        }
        Event::Removed { container, .. } => tracing::info!(container = container.short(), "removed"),
        Event::Health { unit, health, .. } => tracing::warn!(%unit, %health, "unit health"),
        _ => {}
    }
}
