//! The coordinator's mailbox: what can be asked of it, and the handle that asks.

use std::sync::Arc;
use std::time::Duration;

use ds01_domain::{ContainerId, Denial, Event, Observed, Person, Policy, State, Ticket, Time, Token, Want};
use ds01_runtime::protocol;
use tokio::sync::{mpsc, oneshot};

use super::starts::{Admitted, StartOutcome};
use crate::ledger::{Ledger, LedgerError, Record};

/// Why the coordinator could not answer. No decision was taken.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The ledger takes no more facts: nothing new is granted until it does.
    #[error("the ledger cannot be written")]
    Ledger(#[from] LedgerError),
    /// The daemon is going down.
    #[error("ds01d is stopping")]
    Stopping,
    /// An answer that does not fit the question: a defect of ours.
    #[error("the coordinator was asked something it does not decide")]
    Confused,
}

/// A container about to be created.
#[derive(Debug)]
pub struct Planned {
    /// Whose container it will be.
    pub person: Person,
    /// The fact to write: [`Event::CreatePlanned`].
    pub event: Event,
    /// What the door must remember of it.
    pub record: Record,
}

pub(super) type Question = Box<dyn FnOnce(&State, &Policy, Time) + Send>;
pub(super) type LedgerQuestion = Box<dyn FnOnce(&mut Ledger) + Send>;

pub(super) enum Message {
    PlanCreate { planned: Box<Planned>, reply: oneshot::Sender<Result<Result<Option<Want>, Denial>, Fault>> },
    Record { events: Vec<Event>, reply: oneshot::Sender<Result<(), Fault>> },
    Admit {
        person: Box<Person>,
        container: ContainerId,
        patience: Duration,
        reply: oneshot::Sender<Result<Admitted, Fault>>,
    },
    StartEnded { container: ContainerId, outcome: StartOutcome },
    Leave { ticket: Ticket },
    Bind { request: protocol::Request, reply: oneshot::Sender<protocol::Response> },
    Observed(Box<Observed>),
    Read(Question),
    Owners(LedgerQuestion),
    NewPolicy(Arc<Policy>),
    Due,
    Close(oneshot::Sender<()>),
}

/// A handle on the coordinator; cheap to clone.
#[derive(Debug, Clone)]
pub struct Coordinator {
    mailbox: mpsc::Sender<Message>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

impl Coordinator {
    pub(super) fn new(mailbox: mpsc::Sender<Message>) -> Self {
        Self { mailbox }
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(message(reply)).await.map_err(|_| Fault::Stopping)?;
        answer.await.map_err(|_| Fault::Stopping)
    }

    /// Decides whether a container may be created and, if so, writes that it will be.
    ///
    /// The answer carries the want as it was understood (ids resolved).
    ///
    /// # Errors
    /// [`Fault`]; a denial is an answer, not an error.
    pub async fn plan_create(&self, planned: Planned) -> Result<Result<Option<Want>, Denial>, Fault> {
        self.ask(|reply| Message::PlanCreate { planned: Box::new(planned), reply }).await?
    }

    /// Writes facts that need no decision: created, renamed, removed, stopped by hand.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn record(&self, events: Vec<Event>) -> Result<(), Fault> {
        self.ask(|reply| Message::Record { events, reply }).await?
    }

    /// Asks for the units of a container that is to start.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn admit(
        &self,
        person: Person,
        container: ContainerId,
        patience: Duration,
    ) -> Result<Admitted, Fault> {
        self.ask(|reply| Message::Admit { person: Box::new(person), container, patience, reply }).await?
    }

    /// Tells how a start ended that a reservation stood for.
    pub(super) fn start_ended(&self, container: ContainerId, outcome: StartOutcome) {
        self.post(Message::StartEnded { container, outcome });
    }

    pub(super) fn leave(&self, ticket: Ticket) {
        self.post(Message::Leave { ticket });
    }

    /// What the hinge asks for a container that is being started this very moment.
    pub async fn bind(&self, request: protocol::Request) -> protocol::Response {
        self.ask(|reply| Message::Bind { request, reply }).await.unwrap_or_else(|_| {
            protocol::Response::Refused("ds01d is stopping; start the container again in a minute".into())
        })
    }

    /// Reports what was seen; whatever follows from it is decided and handed to the enforcer.
    pub async fn observed(&self, observed: Observed) {
        // A closed mailbox means the daemon stops: the next one looks again.
        let _ = self.mailbox.send(Message::Observed(Box::new(observed))).await;
    }

    /// Reads the state.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&State, &Policy, Time) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.ask(|reply| {
            Message::Read(Box::new(move |state, policy, now| {
                let _ = reply.send(question(state, policy, now));
            }))
        })
        .await
    }

    /// Asks the ledger for what stands beside the events: owners of objects, records of containers.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn ledger<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Ledger) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.ask(|reply| {
            Message::Owners(Box::new(move |ledger| {
                let _ = reply.send(question(ledger));
            }))
        })
        .await
    }

    /// Replaces the running policy as one value.
    pub async fn new_policy(&self, policy: Arc<Policy>) {
        let _ = self.mailbox.send(Message::NewPolicy(policy)).await;
    }

    /// Closes the ledger cleanly; nothing is answered afterwards.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.mailbox.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Posts from a place that cannot wait (a drop); the mailbox being full, a task waits instead.
    fn post(&self, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(message)) = self.mailbox.try_send(message) {
            let mailbox = self.mailbox.clone();
            tokio::spawn(async move {
                let _ = mailbox.send(message).await;
            });
        }
    }

    /// The token's record, by container.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn record_of(&self, token: Token) -> Result<Option<Record>, Fault> {
        self.ledger(move |ledger| ledger.record_of(&token)).await?.map_err(Fault::from)
    }
}
