//! The coordinator's mailbox: what can be asked of it, and the handle that asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ds01_domain::{
    ContainerId, Denial, Epoch, Event, Mode, Observed, Person, Policy, State, Ticket, Time, Token, Turn,
    Watched,
};
use ds01_runtime::protocol;
use tokio::sync::{mpsc, oneshot, watch};

use super::starts::{Admitted, Cause, Reservation, StartOutcome};
use crate::ledger::{Ledger, LedgerError};

/// How long a start waits for the first look at everything after the daemon's own start.
const FIRST_LOOK_WAIT_MAX: Duration = Duration::from_secs(10);

/// Why the coordinator could not answer. No decision was taken.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The ledger takes no more facts: nothing new is granted until it does.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nobody has seen yet what runs: the Engine has not answered since the daemon started.
    #[error("the docker engine has not told yet what runs")]
    Blind,
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
    /// How many of his containers run, by the Engine.
    pub running_containers: u32,
}

/// Permission to forward a create that is in the ledger; while it lives, a look that does not see the container
/// says nothing.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    _creating: Creating,
}

impl Permit {
    pub(super) fn new(token: Token, coordinator: Coordinator) -> Self {
        Self { _creating: Creating { token, coordinator } }
    }
}

/// A create under way.
#[derive(Debug)]
pub struct Creating {
    token: Token,
    coordinator: Coordinator,
}

impl Drop for Creating {
    fn drop(&mut self) {
        self.coordinator.post(Message::CreateEnded(self.token.clone()));
    }
}

pub(super) type Question = Box<dyn FnOnce(&State, &Policy, Time) + Send>;
pub(super) type LedgerQuestion = Box<dyn FnOnce(&mut Ledger) + Send>;

pub(super) enum Message {
    PlanCreate {
        planned: Box<Planned>,
        reply: oneshot::Sender<Result<Result<Permit, Box<Denial>>, Fault>>,
    },
    CreateEnded(Token),
    Record {
        events: Vec<Event>,
        reply: oneshot::Sender<Result<(), Fault>>,
    },
    Admit {
        person: Box<Person>,
        container: ContainerId,
        cause: Cause,
        patience: Option<Duration>,
        reply: oneshot::Sender<Result<Admitted, Fault>>,
    },
    StartEnded {
        container: ContainerId,
        epoch: Epoch,
        outcome: StartOutcome,
    },
    Leave {
        ticket: Ticket,
    },
    CancelWait {
        container: ContainerId,
        reply: oneshot::Sender<bool>,
    },
    StopAsked {
        container: ContainerId,
        reply: oneshot::Sender<bool>,
    },
    KeepForRestart {
        container: ContainerId,
        reply: oneshot::Sender<Option<Reservation>>,
    },
    Keep {
        person: Box<Person>,
        container: ContainerId,
        length: Duration,
        reply: oneshot::Sender<Result<Result<(), Box<Denial>>, Fault>>,
    },
    LostCreates(oneshot::Sender<BTreeSet<Token>>),
    IsStarting {
        container: ContainerId,
        reply: oneshot::Sender<bool>,
    },
    Bind {
        request: protocol::Request,
        reply: oneshot::Sender<protocol::Response>,
    },
    BeginLook(oneshot::Sender<Time>),
    Observed {
        observed: Box<Observed>,
        done: oneshot::Sender<()>,
    },
    Course {
        mode: Mode,
        watched: BTreeMap<ContainerId, Watched>,
        holds: BTreeMap<ContainerId, Duration>,
        done: oneshot::Sender<()>,
    },
    Tell {
        turns: Vec<Turn>,
        done: oneshot::Sender<()>,
    },
    Read(Question),
    Owners(LedgerQuestion),
    NewPolicy(Arc<Policy>),
    Due,
    Close(oneshot::Sender<()>),
}

impl Message {
    /// Whether it only asks: there is nothing to write for it, and nothing to go back to.
    pub(super) fn is_question(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Owners(_))
    }
}

/// A handle on the coordinator; cheap to clone.
#[derive(Debug, Clone)]
pub struct Coordinator {
    mailbox: mpsc::Sender<Message>,
    looked: watch::Receiver<bool>,
    noted: watch::Receiver<u64>,
}

/// A handle that does not keep the coordinator alive: its own.
#[derive(Debug, Clone)]
pub(super) struct WeakCoordinator {
    mailbox: mpsc::WeakSender<Message>,
    looked: watch::Receiver<bool>,
    noted: watch::Receiver<u64>,
}

impl WeakCoordinator {
    pub(super) fn upgrade(&self) -> Option<Coordinator> {
        let mailbox = self.mailbox.upgrade()?;
        Some(Coordinator::new(mailbox, self.looked.clone(), self.noted.clone()))
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

impl Coordinator {
    pub(super) fn new(
        mailbox: mpsc::Sender<Message>,
        looked: watch::Receiver<bool>,
        noted: watch::Receiver<u64>,
    ) -> Self {
        Self { mailbox, looked, noted }
    }

    /// Changes whenever something was noted in the journal.
    #[must_use]
    pub fn journal(&self) -> watch::Receiver<u64> {
        self.noted.clone()
    }

    pub(super) fn downgrade(&self) -> WeakCoordinator {
        WeakCoordinator {
            mailbox: self.mailbox.downgrade(),
            looked: self.looked.clone(),
            noted: self.noted.clone(),
        }
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(message(reply)).await.map_err(|_| Fault::Stopping)?;
        answer.await.map_err(|_| Fault::Stopping)
    }

    /// Decides whether a container may be created and, if so, writes that it will be.
    ///
    /// The want is written as it was understood (ids resolved).
    ///
    /// # Errors
    /// [`Fault`]; a denial is an answer, not an error.
    pub async fn plan_create(&self, planned: Planned) -> Result<Result<Permit, Box<Denial>>, Fault> {
        self.ask(|reply| Message::PlanCreate { planned: Box::new(planned), reply }).await?
    }

    /// Writes facts that need no decision: created, renamed, removed, stopped by hand.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn record(&self, events: Vec<Event>) -> Result<(), Fault> {
        self.ask(|reply| Message::Record { events, reply }).await?
    }

    /// Writes facts as far as the disk lets: for acts that must go on when it is full.
    pub async fn try_record(&self, events: Vec<Event>) {
        if let Err(fault) = self.record(events).await {
            tracing::error!(error = %crate::Chain(&fault), "a fact could not be written");
        }
    }

    /// The ledger's time now.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn now(&self) -> Result<Time, Fault> {
        self.read(|_, _, now| now).await
    }

    /// Takes a container out of the line; answers whether it was in it.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn cancel_wait(&self, container: &ContainerId) -> Result<bool, Fault> {
        let container = container.clone();
        self.ask(|reply| Message::CancelWait { container, reply }).await
    }

    /// Writes, as far as the disk lets, that a person wants a container to end, and takes it out of the line; answers
    /// whether it was in it. To be told before it is done: an end that follows was asked for.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn stop_asked(&self, container: &ContainerId) -> Result<bool, Fault> {
        let container = container.clone();
        self.ask(|reply| Message::StopAsked { container, reply }).await
    }

    /// Keeps the units of a running container through a restart; `None` where it holds none.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn keep_for_restart(&self, container: &ContainerId) -> Result<Option<Reservation>, Fault> {
        let container = container.clone();
        self.ask(|reply| Message::KeepForRestart { container, reply }).await
    }

    /// Passes idleness over for a container for a while, within the person's budget; writes that it is so.
    ///
    /// # Errors
    /// [`Fault`]; a denial is an answer, not an error.
    pub async fn keep(
        &self,
        person: Person,
        container: &ContainerId,
        length: Duration,
    ) -> Result<Result<(), Box<Denial>>, Fault> {
        let container = container.clone();
        self.ask(|reply| Message::Keep { person: Box::new(person), container, length, reply }).await?
    }

    /// The creates that are written and that nobody waits for any more: their answers were lost.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn lost_creates(&self) -> Result<BTreeSet<Token>, Fault> {
        self.ask(Message::LostCreates).await
    }

    /// Whether a start of this container waits or is under way.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn is_starting(&self, container: &ContainerId) -> Result<bool, Fault> {
        let container = container.clone();
        self.ask(|reply| Message::IsStarting { container, reply }).await
    }

    /// Asks for the units of a container that is to start. Waits for the first look at everything.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn admit(
        &self,
        person: Person,
        container: ContainerId,
        cause: Cause,
        patience: Option<Duration>,
    ) -> Result<Admitted, Fault> {
        let mut looked = self.looked.clone();
        match tokio::time::timeout(FIRST_LOOK_WAIT_MAX, looked.wait_for(|looked| *looked)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(Fault::Stopping),
            Err(_) => return Err(Fault::Blind),
        }
        self.ask(|reply| Message::Admit { person: Box::new(person), container, cause, patience, reply })
            .await?
    }

    /// Tells how a start ended that a reservation stood for.
    pub(super) fn start_ended(&self, container: ContainerId, epoch: Epoch, outcome: StartOutcome) {
        self.post(Message::StartEnded { container, epoch, outcome });
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

    /// Begins a look: a time later than everything that is recorded, and earlier than all that will be.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn begin_look(&self) -> Result<Time, Fault> {
        self.ask(Message::BeginLook).await
    }

    /// Reports what was seen; when it returns, what follows from it is decided and handed to the enforcer.
    pub async fn observed(&self, observed: Observed) {
        // An error means that the daemon stops: the next one looks again.
        let _ = self.ask(|done| Message::Observed { observed: Box::new(observed), done }).await;
    }

    /// Reports what containers do with their units, and how long stopped ones are kept; when it returns, what follows
    /// from it is decided and handed to the enforcer.
    pub async fn course(
        &self,
        mode: Mode,
        watched: BTreeMap<ContainerId, Watched>,
        holds: BTreeMap<ContainerId, Duration>,
    ) {
        // An error means that the daemon stops: the next one looks again.
        let _ = self.ask(|done| Message::Course { mode, watched, holds, done }).await;
    }

    /// Notes in the journal who came to units without a grant, and who went. Nobody waits for the
    /// disk.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn tell(&self, turns: Vec<Turn>) -> Result<(), Fault> {
        self.ask(|done| Message::Tell { turns, done }).await
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
    pub(super) fn post(&self, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(message)) = self.mailbox.try_send(message) {
            let mailbox = self.mailbox.clone();
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(async move { mailbox.send(message).await })),
                // Outside of any task there is time to wait.
                Err(_) => drop(mailbox.blocking_send(message)),
            }
        }
    }
}
