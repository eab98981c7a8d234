//! The one owner of the state: a task with a mailbox that decides, appends to the ledger, applies, answers.
//!
//! It must never call the Engine or NVML, and never wait for anything but its mailbox and the ledger's disk.
//! Whoever wants to start a container gets a [`Reservation`] from here, or the reason why not; nobody else can make one.

mod mailbox;
mod starts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ds01_domain::{
    Action, ContainerId, Decision, Denial, Event, Grant, Observed, Person, Policy, Request, State, Ticket, Time, Token,
    Want, decide, plan,
};
use ds01_runtime::protocol;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::ledger::{Ledger, LedgerError, Record};

pub use mailbox::{Coordinator, Fault, Planned};
pub use starts::{Admitted, Place, Reservation, StartOutcome, WaitNews};

use mailbox::Message;

/// Messages that may wait in the mailbox before senders wait with them.
const MAILBOX_MAX: usize = 1024;

/// What only the coordinator's task touches.
struct Desk {
    state: State,
    policy: Arc<Policy>,
    ledger: Ledger,
    clock: Clock,
    inventory: Arc<Inventory>,
    /// The waiting starts, by their place in the line.
    waiting: BTreeMap<Ticket, mpsc::Sender<WaitNews>>,
    /// Containers whose start is on its way to the Engine or back: a look at them settles nothing yet.
    in_flight: BTreeSet<ContainerId>,
    /// What the Engine must be made to do next; the enforcer takes it from here.
    errands: mpsc::UnboundedSender<Action>,
}

/// Opens the mailbox over a state that the ledger has replayed.
///
/// The errands are the acts that a plan asked for; whoever holds the receiver carries them out.
#[must_use]
pub fn open(
    state: State,
    policy: Arc<Policy>,
    ledger: Ledger,
    clock: Clock,
    inventory: Arc<Inventory>,
) -> (Coordinator, mpsc::UnboundedReceiver<Action>, std::thread::JoinHandle<()>) {
    let (sender, mailbox) = mpsc::channel(MAILBOX_MAX);
    // Unbounded but bounded in fact: at most one errand per container and look.
    let (errands, errand_box) = mpsc::unbounded_channel();
    let desk = Desk {
        state,
        policy,
        ledger,
        clock,
        inventory,
        waiting: BTreeMap::new(),
        in_flight: BTreeSet::new(),
        errands,
    };
    // A thread of its own: a commit waits for the disk, and nothing else may wait with it.
    let thread = std::thread::Builder::new()
        .name("coordinator".into())
        .spawn(move || match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(desk.run(mailbox)),
            Err(error) => tracing::error!(%error, "the coordinator cannot run"),
        })
        .unwrap_or_else(|error| panic!("no thread for the coordinator: {error}"));
    (Coordinator::new(sender), errand_box, thread)
}

impl Desk {
    async fn run(mut self, mut mailbox: mpsc::Receiver<Message>) {
        loop {
            let due = self.state.next_due(&self.policy, self.now());
            let message = match due {
                Some(time) => {
                    let pause = std::time::Duration::from_millis(time.0.saturating_sub(self.now().0));
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
                        tracing::error!(%error, "the ledger did not close cleanly; it will be replayed");
                    }
                    let _ = done.send(());
                    return;
                }
                Some(message) => self.handle(message),
                None => return,
            }
        }
    }

    fn now(&self) -> Time {
        self.clock.ledger_now()
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::PlanCreate { planned, reply } => {
                let _ = reply.send(self.plan_create(*planned));
            }
            Message::Record { events, reply } => {
                let _ = reply.send(self.record(&events));
            }
            Message::Admit { person, container, patience, reply } => {
                let answer = self.admit(&person, &container, patience);
                let _ = reply.send(answer);
            }
            Message::StartEnded { container, outcome } => self.start_ended(&container, outcome),
            Message::Leave { ticket } => self.leave(ticket),
            Message::Bind { request, reply } => {
                let _ = reply.send(self.bind(&request));
            }
            Message::Observed(observed) => self.observe(*observed),
            Message::Read(question) => question(&self.state, &self.policy, self.now()),
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
    fn record(&mut self, events: &[Event]) -> Result<(), Fault> {
        self.ledger.append(events).map_err(Fault::from)?;
        for event in events {
            self.state.apply(event);
        }
        if let Err(error) = self.ledger.snapshot_if_due(&self.state) {
            tracing::warn!(%error, "the ledger could not be shortened; it goes on growing");
        }
        Ok(())
    }

    fn plan_create(&mut self, planned: Planned) -> Result<Result<Option<Want>, Denial>, Fault> {
        let Planned { person, event, record } = planned;
        let Event::CreatePlanned { token, want, .. } = &event else {
            return Err(Fault::Confused);
        };
        let request = Request::Create { person: &person, want: want.as_ref() };
        let want = match decide(&self.policy, &self.state, &request, self.now()) {
            Decision::Admit(admission) => admission.want().cloned(),
            Decision::Denial(denial) => return Ok(Err(denial)),
            Decision::Grant(_) | Decision::Wait(_) | Decision::AlreadyHolding => return Err(Fault::Confused),
        };
        self.ledger.keep_record(token, &record).map_err(Fault::from)?;
        self.record(std::slice::from_ref(&event))?;
        Ok(Ok(want))
    }
}
