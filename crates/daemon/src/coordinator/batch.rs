//! Messages that came together: decided one after the other, written in one commit, answered only then.
//!
//! While a commit waits for the disk, messages gather in the mailbox; they are the next batch. Each is decided on the
//! state as the ones before it leave it, as if their facts were written already. Nothing that a decision says leaves
//! the desk before the commit: answers, news for those who wait, errands, receipts. Where the commit fails, the desk
//! knows again what it knew before (a copy of it costs nothing), and each message is decided anew and written alone, so
//! that ends are taken in and grants refused one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use ds01_domain::{
    Action, ContainerId, Denial, Epoch, Event, Note, Policy, State, Ticket, Time, Token, UnitId,
};
use ds01_runtime::protocol;
use imbl::{OrdMap, OrdSet};
use tokio::sync::mpsc;

use super::Place;
use super::desk::Desk;
use super::mailbox::{Coordinator, Fault, Message, Permit};
use super::starts::{Admitted, InLine, Reservation, WaitNews};
use super::sweep::Inherited;

/// Messages of one commit: so many are decided in less time than a disk takes.
pub(super) const BATCH_MAX: usize = 256;

/// What the desk knows, to go back to when a commit fails.
pub(super) struct Known {
    state: State,
    policy: Arc<Policy>,
    waiting: OrdMap<Ticket, mpsc::Sender<WaitNews>>,
    in_flight: OrdSet<ContainerId>,
    started: OrdMap<ContainerId, Time>,
    creating: OrdSet<Token>,
    created: OrdMap<Token, Time>,
    inherited: Inherited,
    planned: Time,
}

/// What is to leave the desk once the facts behind it are written.
#[derive(Default)]
pub(super) struct Outbox {
    /// The facts, applied already.
    pub(super) page: Vec<Event>,
    /// What the journal is to say of them.
    pub(super) notes: Vec<Note>,
    /// Receipts of runs that are over, with their epochs.
    pub(super) receipts: Vec<(ContainerId, u64)>,
    /// News for those who wait.
    pub(super) news: Vec<(mpsc::Sender<WaitNews>, News)>,
    /// Acts for the enforcer, then containers for it to look at.
    pub(super) acts: Vec<Action>,
    pub(super) looks: Vec<ContainerId>,
    /// Whether places in the line may have changed.
    pub(super) moved: bool,
    /// Whether everything was looked at.
    pub(super) looked: bool,
}

/// Units that are somebody's once that is written. No proof yet: [`Reservation`] is.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) container: ContainerId,
    pub(super) epoch: Epoch,
    pub(super) units: Vec<UnitId>,
}

/// How a wait ends.
pub(super) enum News {
    Granted(Granted),
    Denied(Box<Denial>),
    Failed(Fault),
    Cancelled,
}

/// The answer to "may this container start?", before it is written.
pub(super) enum Ruling {
    NoNeed,
    Runs,
    Granted(Granted),
    Waits { place: Box<Place>, ticket: Ticket, news: mpsc::Receiver<WaitNews> },
    Denied(Box<Denial>),
    CalledOff,
}

/// What a message is answered with.
pub(super) enum Answer {
    /// Nobody waits for one, or it is found when it is given: a question is put to what is written.
    Nothing,
    Planned(Result<Result<Token, Box<Denial>>, Fault>),
    Recorded(Result<(), Fault>),
    Admitted(Result<Ruling, Fault>),
    Whether(bool),
    Kept(Option<Granted>),
    /// Idleness is passed over, or not.
    PassedOver(Result<Result<(), Box<Denial>>, Fault>),
    Lost(BTreeSet<Token>),
    Bound(protocol::Response),
    Began(Time),
}

impl Granted {
    fn into_reservation(self, coordinator: Coordinator) -> Reservation {
        Reservation::new(self.container, self.epoch, self.units, coordinator)
    }
}

impl Ruling {
    fn into_admitted(self, coordinator: Coordinator) -> Admitted {
        match self {
            Self::NoNeed => Admitted::NoNeed,
            Self::Runs => Admitted::Runs,
            Self::Granted(granted) => Admitted::Granted(granted.into_reservation(coordinator)),
            Self::Waits { place, ticket, news } => {
                Admitted::Waits(Box::new(InLine::new(*place, news, ticket, coordinator)))
            }
            Self::Denied(denial) => Admitted::Denied(denial),
            Self::CalledOff => Admitted::CalledOff,
        }
    }
}

impl Desk {
    /// Decides some messages, writes what follows in one commit, and answers.
    pub(super) fn take(&mut self, messages: Vec<Message>) {
        let before = self.known();
        let answers: Vec<Answer> = messages.iter().map(|message| self.decide(message)).collect();
        if self.books.write(&self.outbox.page, &self.outbox.notes).is_ok() {
            self.hand_out(messages.into_iter().zip(answers));
            return;
        }
        self.go_back_to(before);
        self.alone = true;
        for message in messages {
            let answer = self.decide(&message);
            self.hand_out(std::iter::once((message, answer)));
        }
        self.alone = false;
    }

    fn known(&self) -> Known {
        Known {
            state: self.state.clone(),
            policy: self.policy.clone(),
            waiting: self.waiting.clone(),
            in_flight: self.in_flight.clone(),
            started: self.started.clone(),
            creating: self.creating.clone(),
            created: self.created.clone(),
            inherited: self.inherited.clone(),
            planned: self.planned,
        }
    }

    fn go_back_to(&mut self, known: Known) {
        self.outbox = Outbox::default();
        self.state = known.state;
        self.policy = known.policy;
        self.waiting = known.waiting;
        self.in_flight = known.in_flight;
        self.started = known.started;
        self.creating = known.creating;
        self.created = known.created;
        self.inherited = known.inherited;
        self.planned = known.planned;
    }

    /// Lets out what was decided: everything behind it is written.
    fn hand_out(&mut self, answered: impl Iterator<Item = (Message, Answer)>) {
        let outbox = std::mem::take(&mut self.outbox);
        outbox.page.iter().for_each(super::desk::tell);
        // Before anybody can start the container anew.
        for (container, epoch) in &outbox.receipts {
            self.remove_receipt(container, *epoch);
        }
        // What follows from a look is handed on before whoever looked is answered.
        outbox.acts.into_iter().for_each(|action| self.errands.act(action));
        outbox.looks.iter().for_each(|container| self.errands.at(container));
        if outbox.looked {
            self.looked.send_if_modified(|looked| !std::mem::replace(looked, true));
        }
        for (sender, news) in outbox.news {
            self.send_news(&sender, news);
        }
        for (message, answer) in answered {
            self.reply(message, answer);
        }
        if outbox.moved {
            self.tell_places();
        }
        self.books.note_down();
        if !outbox.notes.is_empty() {
            self.noted.send_modify(|times| *times += 1);
        }
        self.books.shorten_if_due(&self.state);
    }

    fn send_news(&self, sender: &mpsc::Sender<WaitNews>, news: News) {
        let news = match news {
            News::Granted(granted) => match self.coordinator() {
                Some(coordinator) => WaitNews::Granted(granted.into_reservation(coordinator)),
                None => WaitNews::Failed(Fault::Stopping),
            },
            News::Denied(denial) => WaitNews::Denied(denial),
            News::Failed(fault) => WaitNews::Failed(fault),
            News::Cancelled => WaitNews::Cancelled,
        };
        // A full or closed channel drops a reservation, which frees the units.
        drop(sender.try_send(news));
    }

    /// Answers one message. A caller that is gone drops what it was given, and with it its place or its reservation.
    pub(super) fn reply(&mut self, message: Message, answer: Answer) {
        let coordinator = || self.coordinator().ok_or(Fault::Stopping);
        match (message, answer) {
            (Message::PlanCreate { reply, .. }, Answer::Planned(answer)) => {
                let permit = |token| Ok(Permit::new(token, coordinator()?));
                let answer = answer.and_then(|judged| match judged {
                    Ok(token) => permit(token).map(Ok),
                    Err(denial) => Ok(Err(denial)),
                });
                drop(reply.send(answer));
            }
            (Message::Record { reply, .. }, Answer::Recorded(answer)) => drop(reply.send(answer)),
            (Message::Admit { reply, .. }, Answer::Admitted(answer)) => {
                let admitted = answer.and_then(|verdict| Ok(verdict.into_admitted(coordinator()?)));
                drop(reply.send(admitted));
            }
            (
                Message::CancelWait { reply, .. }
                | Message::StopAsked { reply, .. }
                | Message::IsStarting { reply, .. },
                Answer::Whether(answer),
            ) => drop(reply.send(answer)),
            (Message::KeepForRestart { reply, .. }, Answer::Kept(granted)) => {
                let kept = granted.zip(self.coordinator());
                drop(reply.send(kept.map(|(granted, coordinator)| granted.into_reservation(coordinator))));
            }
            (Message::Keep { reply, .. }, Answer::PassedOver(answer)) => drop(reply.send(answer)),
            (Message::LostCreates(reply), Answer::Lost(tokens)) => drop(reply.send(tokens)),
            (Message::Bind { reply, .. }, Answer::Bound(response)) => drop(reply.send(response)),
            (Message::BeginLook(reply), Answer::Began(began)) => drop(reply.send(began)),
            (
                Message::Course { done, .. } | Message::Observed { done, .. } | Message::Tell { done, .. },
                _,
            ) => drop(done.send(())),
            (Message::Read(question), _) => question(&self.state, &self.policy, self.now()),
            (Message::Owners(question), _) => question(self.books.ledger()),
            _ => {}
        }
    }
}
