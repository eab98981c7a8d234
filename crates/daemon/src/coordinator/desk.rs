//! What only the coordinator's task touches: the state, the ledger, and the starts that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ds01_domain::{
    Action, ContainerId, Decision, Event, LeftWhy, Mode, Note, Observed, Policy, Request, State, Ticket,
    Time, Token, Turn, Watched, course, decide, expired, keep, note_of, notes, plan,
};
use imbl::{OrdMap, OrdSet};
use tokio::sync::{mpsc, watch};

use super::batch::{Answer, BATCH_MAX, Granted, News, Outbox};
use super::books::Books;
use super::mailbox::{Coordinator, Fault, Message, Planned, WeakCoordinator};
use super::starts::WaitNews;
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
    pub(super) noted: watch::Sender<u64>,
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
    pub(super) waiting: OrdMap<Ticket, mpsc::Sender<WaitNews>>,
    /// Containers whose start is on its way to the Engine or back: a look at them settles nothing yet.
    pub(super) in_flight: OrdSet<ContainerId>,
    /// When starts came back: a look that began before saw them half-way.
    pub(super) started: OrdMap<ContainerId, Time>,
    /// Creates that are on their way: a look that does not see them says nothing.
    pub(super) creating: OrdSet<Token>,
    /// When creates came back.
    pub(super) created: OrdMap<Token, Time>,
    /// Containers that were to remove themselves and whose clients went with the last daemon.
    pub(super) inherited: Inherited,
    pub(super) errands: Errands,
    /// Whether somebody has looked at everything since the start.
    pub(super) looked: watch::Sender<bool>,
    /// How often something was noted in the journal.
    pub(super) noted: watch::Sender<u64>,
    /// For what time it was planned last: nothing that was due by then is open.
    pub(super) planned: Time,
    /// What waits for the commit of the batch.
    pub(super) outbox: Outbox,
    /// Whether each fact is written by itself and at once, because a batch of them could not be.
    pub(super) alone: bool,
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
            waiting: OrdMap::new(),
            in_flight: OrdSet::new(),
            started: OrdMap::new(),
            creating: OrdSet::new(),
            created: OrdMap::new(),
            inherited,
            errands: parts.errands,
            looked: parts.looked,
            noted: parts.noted,
            planned: Time::default(),
            outbox: Outbox::default(),
            alone: false,
        }
    }

    pub(super) async fn run(mut self, mut mailbox: mpsc::Receiver<Message>) {
        // Since the last plan, not from now on: what fell due while the disk or a processor kept us is due still.
        let mut due = self.state.next_due(self.planned);
        loop {
            let mut messages = Vec::new();
            match due {
                Some(time) => {
                    let pause = time.since(self.now());
                    tokio::select! {
                        _ = mailbox.recv_many(&mut messages, BATCH_MAX) => {}
                        () = tokio::time::sleep(pause) => messages.push(Message::Due),
                    }
                }
                None => drop(mailbox.recv_many(&mut messages, BATCH_MAX).await),
            }
            if messages.is_empty() {
                return;
            }
            let close = messages.iter().position(|message| matches!(message, Message::Close(_)));
            // Nothing is answered after a close.
            let mut rest = messages.split_off(close.unwrap_or(messages.len())).into_iter();
            if messages.iter().all(Message::is_question) {
                messages.into_iter().for_each(|question| self.reply(question, Answer::Nothing));
            } else {
                self.take(messages);
                due = self.state.next_due(self.planned);
            }
            if let Some(Message::Close(done)) = rest.next() {
                self.books.close(&self.state);
                let _ = done.send(());
                return;
            }
        }
    }

    pub(super) fn now(&self) -> Time {
        self.clock.ledger_now()
    }

    pub(super) fn coordinator(&self) -> Option<Coordinator> {
        self.handle.upgrade()
    }

    /// Decides one message, on the state as those before it leave it. Nothing leaves the desk yet.
    pub(super) fn decide(&mut self, message: &Message) -> Answer {
        match message {
            Message::PlanCreate { planned, .. } => Answer::Planned(self.plan_create(planned)),
            Message::CreateEnded(token) => {
                self.creating.remove(token);
                self.created.insert(token.clone(), self.now());
                Answer::Nothing
            }
            Message::Record { events, .. } => {
                let news = events.iter().filter(|event| !self.is_old_news(event)).cloned();
                let news: Vec<Event> = news.collect();
                Answer::Recorded(self.record(&news))
            }
            Message::Admit { person, container, cause, patience, .. } => {
                Answer::Admitted(self.admit(person, container, *cause, *patience))
            }
            Message::StartEnded { container, epoch, outcome } => {
                self.start_ended(container, *epoch, *outcome);
                Answer::Nothing
            }
            Message::Leave { ticket } => {
                self.leave(*ticket);
                Answer::Nothing
            }
            Message::CancelWait { container, .. } => Answer::Whether(self.cancel_wait(container)),
            Message::StopAsked { container, .. } => Answer::Whether(self.stop_asked(container)),
            Message::KeepForRestart { container, .. } => Answer::Kept(self.keep_for_restart(container)),
            Message::Keep { person, container, length, .. } => {
                let kept = keep(&self.policy, &self.state, person, container, *length, self.now());
                Answer::PassedOver(match kept {
                    Ok(event) => self.record(&[event]).map(Ok),
                    Err(denial) => Ok(Err(denial)),
                })
            }
            Message::LostCreates(_) => {
                let pending = self.state.creates().map(|create| create.token.clone());
                Answer::Lost(pending.filter(|token| !self.creating.contains(token)).collect())
            }
            Message::IsStarting { container, .. } => {
                let waits = self.state.waiter_of(container).is_some();
                Answer::Whether(waits || self.in_flight.contains(container))
            }
            Message::Bind { request, .. } => Answer::Bound(self.bind(request)),
            Message::BeginLook(_) => Answer::Began(self.clock.ledger_later()),
            Message::Observed { observed, .. } => {
                self.look(Observed::clone(observed));
                Answer::Nothing
            }
            Message::Course { mode, watched, holds, .. } => {
                self.follow_use(*mode, watched, holds);
                Answer::Nothing
            }
            Message::Tell { turns, .. } => {
                self.tell(turns);
                Answer::Nothing
            }
            Message::NewPolicy(policy) => {
                self.policy = policy.clone();
                self.observe(&Observed::default());
                Answer::Nothing
            }
            Message::Due => {
                self.observe(&Observed::default());
                Answer::Nothing
            }
            // Put to what is written, when the others are answered.
            Message::Read(_) | Message::Owners(_) | Message::Close(_) => Answer::Nothing,
        }
    }

    /// Whether a removal is on record already: who removes tells it, and so does the look that follows.
    fn is_old_news(&self, event: &Event) -> bool {
        matches!(event, Event::Removed { container, .. }
            if self.state.container(container).is_none_or(|known| !known.exists()))
    }

    /// Makes facts part of the state; they are written with the batch, before anybody hears of them. Where each is
    /// written alone, a grant that is not written did not happen.
    pub(super) fn record(&mut self, events: &[Event]) -> Result<(), Fault> {
        let now = self.now();
        let applied = |state: &mut State| {
            let mut said = Vec::new();
            for event in events {
                said.extend(notes(state, event, now));
                state.apply(event);
            }
            said
        };
        let said = if self.alone {
            let mut state = self.state.clone();
            let said = applied(&mut state);
            self.books.write(events, &said)?;
            self.state = state;
            said
        } else {
            applied(&mut self.state)
        };
        self.outbox.page.extend_from_slice(events);
        self.outbox.notes.extend(said);
        Ok(())
    }

    /// Notes what is no fact of the state's.
    fn tell(&mut self, turns: &[Turn]) {
        let now = self.now();
        let said: Vec<Note> = turns.iter().map(|turn| note_of(&self.state, turn, now)).collect();
        if self.alone {
            // Without a fact nothing is written yet, so nothing fails.
            let _ = self.books.write(&[], &said);
        }
        self.outbox.notes.extend(said);
    }

    fn plan_create(&mut self, planned: &Planned) -> Result<Result<Token, Box<ds01_domain::Denial>>, Fault> {
        let Planned { person, event, running_containers } = planned;
        let mut event = event.clone();
        let now = self.now();
        let Event::CreatePlanned { token, want, at, .. } = &mut event else {
            return Err(Fault::Confused);
        };
        let request =
            Request::Create { person, want: want.as_ref(), running_containers: *running_containers };
        match decide(&self.policy, &self.state, &request, now) {
            Decision::Admit(admission) => *want = admission.want().cloned(),
            Decision::Denial(denial) => return Ok(Err(Box::new(denial))),
            _ => return Err(Fault::Confused),
        }
        *at = now;
        let token = token.clone();
        self.record(std::slice::from_ref(&event))?;
        self.creating.insert(token.clone());
        Ok(Ok(token))
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
        self.outbox.moved |= any;
    }

    /// Decides what the use of units asks for, and carries it out or hands it on. A fact that cannot be written holds up
    /// what rests on it: nobody is stopped whose warning is not on record.
    fn follow_use(
        &mut self,
        mode: Mode,
        watched: &BTreeMap<ContainerId, Watched>,
        holds: &BTreeMap<ContainerId, Duration>,
    ) {
        let now = self.now();
        let mut actions = course(&self.state, mode, watched, now);
        actions.extend(expired(&self.state, holds, now));
        let mut refused = BTreeSet::new();
        for action in actions {
            match action {
                Action::Record(event) => {
                    if self.record(std::slice::from_ref(&event)).is_err()
                        && let Some(container) = event.on_course()
                    {
                        refused.insert(container.clone());
                    }
                }
                Action::Stop { ref container, .. } if refused.contains(container) => {}
                other => self.outbox.acts.push(other),
            }
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
                Ok(granted) => {
                    self.send(ticket, News::Granted(granted));
                    true
                }
                Err(fault) => {
                    self.send_away(ticket, LeftWhy::Cancelled, News::Failed(fault));
                    false
                }
            },
            Action::Deny { ticket, denial } => {
                self.send_away(ticket, LeftWhy::Denied, News::Denied(Box::new(denial)));
                true
            }
            other => {
                self.outbox.acts.push(other);
                true
            }
        }
    }

    fn send_away(&mut self, ticket: Ticket, why: LeftWhy, news: News) {
        // The line is not written: this cannot fail.
        let _ = self.record(&[Event::Left { ticket, why }]);
        self.send(ticket, news);
    }

    /// The last that somebody who waits is told.
    pub(super) fn send(&mut self, ticket: Ticket, news: News) {
        if let Some(sender) = self.waiting.remove(&ticket) {
            self.outbox.news.push((sender, news));
        }
    }

    /// Records a grant. The proof of it is made when it is written.
    pub(super) fn reserve(&mut self, grant: ds01_domain::Grant) -> Result<Granted, Fault> {
        let (container, epoch, units) = (grant.container().clone(), grant.epoch(), grant.units().to_vec());
        // Append before anything is forwarded: a crash may strand a reservation, never lend one unit twice.
        self.record(&[Event::Reserved(grant)])?;
        self.in_flight.insert(container.clone());
        Ok(Granted { container, epoch, units })
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
pub(super) fn tell(event: &Event) {
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
        Event::Spared { container, .. } => {
            tracing::info!(
                container = container.short(),
                "its stop is off: it works again, or was given time"
            );
        }
        Event::WouldStop { container, cause, .. } => {
            tracing::info!(container = container.short(), %cause, "would be stopped, were stops carried out");
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
