//! The coordinator's desk: it asks the rules, and writes their answers down a batch at a time. What came while a commit
//! waited for the disk is the next batch. Nothing leaves before its facts are written, and before and after that the
//! daemon may be dead.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::{
    Action, Ask, ContainerId, Decision, Epoch, Event, Grant, Identity, Kind, LeftWhy, Observed, Phase,
    Request, RestartPolicy, Run, Selector, Ticket, Token, Want, Watched, course, decide, expired, plan,
};

use crate::daemon::replay;
use crate::world::{Answer, Call, Happening, Look, World};

/// Something that the desk is told or asked.
#[derive(Debug)]
pub(crate) enum Message {
    /// A user, by number, asks for a container.
    Create(usize),
    /// Somebody, or a restart policy, asks for a start.
    Start { container: ContainerId, by_policy: bool },
    /// A user restarts a container that runs.
    Restart(ContainerId),
    /// A user stops one, or breaks off its wait.
    Stop(ContainerId),
    /// A user removes one by force.
    Remove(ContainerId),
    /// A user hangs up.
    HangUp(ContainerId),
    /// A user asks for time.
    Keep { container: ContainerId, length: Duration },
    /// The Engine has made a container.
    Created { token: Token, container: ContainerId },
    /// What the Engine said of a start, or that it said nothing.
    StartEnded { container: ContainerId, call: Call, answer: Answer },
    /// The hinge asks what a container may have.
    Bind { container: ContainerId, call: Call },
    /// A look begins, at one container or at everything.
    BeginLook(Option<ContainerId>),
    /// What it saw.
    Observed(Box<Look>),
    /// Something is due in the state.
    Due,
    /// What containers do with their units, and how long stopped ones are kept.
    Course { watched: BTreeMap<ContainerId, Watched>, holds: BTreeMap<ContainerId, Duration> },
    /// A warning was told.
    Warned { container: ContainerId, fact: Event },
}

impl World {
    /// Gives the desk a message; the dead hear nothing.
    pub(crate) fn message(&mut self, message: Message) {
        if !self.daemon.up {
            return;
        }
        self.daemon.mailbox.push(message);
        if !self.daemon.committing {
            self.take();
        }
    }

    /// Decides all that is there, and begins to write.
    fn take(&mut self) {
        let messages = std::mem::take(&mut self.daemon.mailbox);
        if messages.len() > 1 {
            self.summary.batches += 1;
        }
        for message in messages {
            self.decide(message);
        }
        if self.daemon.page.is_empty() {
            self.hand_out(usize::MAX);
            return;
        }
        self.daemon.committing = true;
        let (slow, life) = (self.rng.permille(self.faults.slow), self.daemon.life);
        let wait = if slow { self.rng.between(20, 3000) } else { self.rng.between(1, 15) };
        self.later(wait, Happening::Commits { life });
    }

    /// The disk has what was decided, unless the daemon dies before; or it dies after, with some of it handed out.
    pub(crate) fn commits(&mut self) {
        let dies = self.rng.permille(self.faults.crash).then(|| self.rng.below(3));
        if dies == Some(0) {
            self.die();
            return;
        }
        for event in self.daemon.commit() {
            self.is_on_disk(&event);
        }
        self.daemon.committing = false;
        if dies.is_some() {
            let some = usize::try_from(self.rng.below(self.daemon.outbox.len() as u64 + 1)).unwrap_or(0);
            self.hand_out(if dies == Some(1) { 0 } else { some });
            self.die();
            return;
        }
        self.hand_out(usize::MAX);
        if !self.daemon.mailbox.is_empty() {
            self.take();
        }
    }

    fn hand_out(&mut self, most: usize) {
        for (wait, happening) in std::mem::take(&mut self.daemon.outbox).into_iter().take(most) {
            self.later(wait, happening);
        }
    }

    /// Has something happen once everything decided so far is written.
    fn out(&mut self, wait: Duration, happening: Happening) {
        self.daemon.outbox.push((wait, happening));
    }

    /// The daemon dies, and everybody who waits for an answer learns that the line is cut.
    pub(crate) fn die(&mut self) {
        self.summary.crashes += 1;
        self.tell("ds01d dies");
        if replay(&self.daemon.ledger).durable() != self.daemon.written.durable() {
            self.fail("the ledger does not give the state again".to_owned());
        }
        self.daemon.die();
        self.asked.clear();
        self.due_at = None;
        let pause = if self.rng.permille(850) {
            self.rng.between(100, 20_000)
        } else {
            self.rng.between(20_000, 900_000)
        };
        self.is_away(pause);
        self.later(pause, Happening::ComesBack);
    }

    fn decide(&mut self, message: Message) {
        match message {
            Message::Create(user) => self.create(user),
            Message::Start { container, by_policy } => self.start(&container, by_policy),
            Message::Restart(id) => self.restart(&id),
            Message::Stop(id) => self.stop(&id),
            Message::Remove(id) => self.user_removes(&id),
            Message::HangUp(id) => self.hang_up(&id),
            Message::Keep { container, length } => self.keep(container, length),
            Message::Created { token, container } => {
                self.daemon.creating.remove(&token);
                let at = self.daemon.now(self.clock);
                self.record(Event::Created { token, container, at });
            }
            Message::StartEnded { container, call, answer } => self.start_ended(&container, call, answer),
            Message::Bind { container, call } => self.bind(&container, call),
            Message::BeginLook(at) => {
                let (number, began) = self.daemon.begin_look(self.clock);
                let life = self.daemon.life;
                let observed = Observed { began, complete: at.is_none(), ..Observed::default() };
                self.out(Duration::ZERO, Happening::Looks { number, observed, at, life });
            }
            Message::Observed(look) => self.end_look(*look),
            Message::Due => self.follow(&Observed::default()),
            Message::Course { watched, holds } => self.follow_use(&watched, &holds),
            Message::Warned { container, fact } => {
                self.daemon.warning.remove(&container);
                self.record(fact);
            }
        }
    }

    /// Records a fact; it is written with the batch.
    fn record(&mut self, event: Event) {
        if let Event::Reserved(grant) = &event {
            self.summary.grants += 1;
            let grant = grant.clone();
            self.daemon.record(event);
            self.check_grant(&grant);
        } else {
            self.daemon.record(event);
        }
    }

    fn check_grant(&mut self, grant: &Grant) {
        if self.daemon.state.holding(grant.container()).is_none_or(|held| held.epoch != grant.epoch()) {
            self.fail(format!("a grant was not taken: {grant:?}"));
        }
        let person = self.people.iter().find(|person| person.uid == grant.owner());
        let max = person.and_then(|person| self.policy.resolve(person).max_gpu_equivalents);
        if max.is_some_and(|max| self.daemon.state.used_by(grant.owner()) > max) {
            self.fail(format!("a grant exceeds the quota: {grant:?}"));
        }
    }

    fn create(&mut self, user: usize) {
        let Some(person) = self.people.get(user).cloned() else { return };
        let want = self.some_want();
        let request = Request::Create { person: &person, want: Some(&want), running_containers: 0 };
        let now = self.daemon.now(self.clock);
        let Decision::Admit(admission) = decide(&self.policy, &self.daemon.state, &request, now) else {
            self.summary.denials += 1;
            return;
        };
        self.numbers += 1;
        let Some(token) = Token::new(&format!("{:032x}", self.numbers)) else { return };
        let restart = match self.rng.below(6) {
            0 => RestartPolicy::Always,
            1 => RestartPolicy::OnFailure { max: 3 },
            _ => RestartPolicy::No,
        };
        let kind = match self.rng.below(12) {
            0 => Kind::Infrastructure,
            1..=3 => Kind::Docker,
            4 => Kind::DevContainer,
            _ => Kind::Ds01,
        };
        let auto_remove = self.rng.permille(200);
        let name = format!("{}-{}", person.name, self.numbers);
        let identity = Identity { owner: person.uid, owner_name: person.name.clone(), name: name.clone() };
        self.record(Event::CreatePlanned {
            token: token.clone(),
            owner: person.uid,
            owner_name: person.name.clone(),
            name,
            kind,
            want: admission.want().cloned(),
            restart,
            auto_remove,
            at: now,
        });
        self.daemon.create_sent(&token);
        let (life, boot) = (self.daemon.life, self.engine.boot);
        let wait = self.engine_time();
        self.out(wait, Happening::CreateArrives { token, identity, life, boot });
    }

    fn some_want(&mut self) -> Want {
        match self.rng.below(8) {
            0 => Want { full: true, ..Want::count(1) },
            1 => Want { min_memory_mib: Some(20 * 1024), ..Want::count(1) },
            2 => Want { ask: Ask::Named(vec![Selector::Slice(1, 0)]), ..Want::count(1) },
            3 => Want::count(2),
            _ => Want::count(1),
        }
    }

    fn start(&mut self, id: &ContainerId, by_policy: bool) {
        let known =
            self.daemon.state.container(id).map(|container| (container.owner, container.restarts.ours));
        // Somebody stopped or started it since the restart was due.
        let Some((owner, _)) = known.filter(|(_, ours)| *ours || !by_policy) else { return };
        let Some(person) = self.people.iter().find(|person| person.uid == owner).cloned() else { return };
        let patience = self.rng.permille(300).then(|| self.rng.between(0, 60_000));
        let asked = Request::Start { person: &person, container: id, patience };
        let now = self.daemon.now(self.clock);
        match decide(&self.policy, &self.daemon.state, &asked, now) {
            Decision::Grant(grant) => self.granted(grant),
            Decision::Wait(wait) => {
                self.numbers += 1;
                self.asked.insert(self.numbers, id.clone());
                self.summary.waits += 1;
                self.tell(format!("{} waits, {} of {}", self.name(id), wait.position, wait.of));
                self.daemon.waiting.insert(wait.ticket, self.numbers);
                self.record(wait.into_event());
            }
            Decision::AlreadyHolding => self.send(id, None),
            Decision::Denial(denial) => {
                self.summary.denials += 1;
                self.tell(format!("{} is denied {}", self.name(id), denial.code()));
            }
            Decision::NoGpu | Decision::Admit(_) => {
                self.fail(format!("a start of {id} was answered as something else"));
            }
        }
    }

    /// A user restarts a container that runs: through the Engine, with the units it has.
    fn restart(&mut self, id: &ContainerId) {
        let Some(holding) = self.daemon.state.holding(id).cloned() else { return };
        let running = self.engine.get(id).filter(|real| real.run == Run::Running);
        let Some(round) = running.map(|real| real.round) else { return };
        if holding.phase == Phase::Ending || self.daemon.in_flight.contains(id) {
            return;
        }
        self.tell(format!("{} is restarted through the Engine", self.name(id)));
        self.daemon.start_sent(id);
        let wait = self.engine_time();
        self.out(wait, Happening::Dies { container: id.clone(), round, exit: 143 });
        self.send(id, Some(holding.epoch));
    }

    fn granted(&mut self, grant: Grant) {
        let (id, epoch) = (grant.container().clone(), grant.epoch());
        self.tell(format!("{} gets {:?} ({epoch})", self.name(&id), grant.units()));
        // In flight from the grant on.
        self.daemon.start_sent(&id);
        self.record(Event::Reserved(grant));
        self.send(&id, Some(epoch));
    }

    /// Forwards a start.
    fn send(&mut self, id: &ContainerId, epoch: Option<Epoch>) {
        self.numbers += 1;
        let call = Call { number: self.numbers, life: self.daemon.life, boot: self.engine.boot, epoch };
        let wait = self.engine_time();
        self.out(wait, Happening::StartArrives { container: id.clone(), call });
        if epoch.is_some() && self.rng.permille(self.faults.lost) {
            self.summary.lost += 1;
            let wait = self.rng.between(10, 20_000);
            let answer = Answer::Unknown;
            self.out(wait, Happening::StartAnswered { container: id.clone(), call, answer });
        }
    }

    fn start_ended(&mut self, id: &ContainerId, call: Call, answer: Answer) {
        let Some(epoch) = call.epoch.filter(|_| call.life == self.daemon.life) else { return };
        let current = self.daemon.state.holding(id).is_some_and(|holding| holding.epoch == epoch);
        if !current || !self.daemon.in_flight.remove(id) {
            return;
        }
        self.tell(format!("{} start answered: {answer:?}", self.name(id)));
        let at = self.daemon.now(self.clock);
        let container = id.clone();
        match answer {
            Answer::Running => self.record(Event::Ran { container, epoch, at }),
            Answer::Failed => self.record(Event::Ended { container, epoch, at, exit: None, by_user: false }),
            Answer::Unknown => {}
        }
        self.look_at(id, Duration::ZERO);
    }

    /// `None` refuses the start.
    fn bind(&mut self, id: &ContainerId, call: Call) {
        let holding = self.daemon.state.holding(id).filter(|holding| holding.phase != Phase::Ending).cloned();
        let at = self.daemon.now(self.clock);
        let bound = holding.map(|holding| {
            self.record(Event::Bound { container: id.clone(), epoch: holding.epoch, at });
            (holding.epoch, holding.units)
        });
        let container = id.clone();
        self.out(Duration::from_millis(1), Happening::BindAnswered { container, call, bound });
    }

    fn stop(&mut self, id: &ContainerId) {
        let at = self.daemon.now(self.clock);
        self.record(Event::StopAsked { container: id.clone(), at });
        self.tell(format!("{} is stopped", self.name(id)));
        let wait = self.engine_time();
        if let Some(round) = self.engine.get(id).map(|real| real.round) {
            self.out(wait, Happening::Dies { container: id.clone(), round, exit: 143 });
        }
        self.hang_up(id);
    }

    fn user_removes(&mut self, id: &ContainerId) {
        if self.engine.get(id).is_some_and(|real| real.run == Run::Running) {
            let at = self.daemon.now(self.clock);
            self.record(Event::StopAsked { container: id.clone(), at });
        }
        self.out(Duration::from_millis(1), Happening::Removes { container: id.clone(), by_force: true });
    }

    fn hang_up(&mut self, id: &ContainerId) {
        if let Some(ticket) = self.daemon.state.waiter_of(id).map(|waiter| waiter.ticket) {
            self.tell(format!("{} waits no more", self.name(id)));
            self.leave(ticket, LeftWhy::Cancelled);
            self.follow(&Observed::default());
        }
    }

    fn leave(&mut self, ticket: Ticket, why: LeftWhy) {
        self.is_answered(ticket);
        self.record(Event::Left { ticket, why });
    }

    fn is_answered(&mut self, ticket: Ticket) {
        if let Some(request) = self.daemon.waiting.remove(&ticket) {
            self.asked.remove(&request);
        }
    }

    fn keep(&mut self, container: ContainerId, length: Duration) {
        let at = self.daemon.now(self.clock);
        let until = at.after(length);
        self.record(Event::Kept { container: container.clone(), until, at });
        self.out(Duration::ZERO, Happening::IsKept { container, length, until });
    }

    fn look_at(&mut self, id: &ContainerId, wait: Duration) {
        let life = self.daemon.life;
        self.out(wait, Happening::LookBegins { at: Some(id.clone()), life });
    }

    /// Ends a look, and does what follows.
    fn end_look(&mut self, look: Look) {
        let Look { number, mut observed } = look;
        self.daemon.end_look(number, &mut observed);
        self.follow(&observed);
        for id in observed.containers.keys().filter(|_| !observed.complete) {
            if self.daemon.state.holding(id).is_some_and(|holding| holding.phase == Phase::Ending) {
                self.look_at(id, Duration::from_secs(1));
            }
        }
    }

    /// Plans, and carries the plan out.
    fn follow(&mut self, observed: &Observed) {
        let now = self.daemon.now(self.clock);
        self.daemon.planned = now;
        for action in plan(&self.policy, &self.daemon.state, observed, now) {
            self.carry_out(action);
        }
        let again = plan(&self.policy, &self.daemon.state, observed, now);
        if !again.is_empty() {
            self.fail(format!("a plan carried out leaves {again:?}"));
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Record(event) => {
                self.tell(format!("{event:?}"));
                self.record(event);
            }
            Action::Grant { grant, ticket } => {
                self.is_answered(ticket);
                self.granted(grant);
            }
            Action::Deny { ticket, denial } => {
                self.summary.denials += 1;
                self.tell(format!("{ticket} is denied after its wait: {}", denial.code()));
                self.leave(ticket, LeftWhy::Denied);
            }
            Action::Conflict { unit, holder, other } => {
                self.fail(format!("{unit} is held by {holder}, and {other} can open it"));
            }
            act => {
                let life = self.daemon.life;
                self.out(Duration::ZERO, Happening::Acts { act, life });
            }
        }
    }

    /// Decides what the use of units asks for. Asked again, it adds no fact.
    fn follow_use(
        &mut self,
        watched: &BTreeMap<ContainerId, Watched>,
        holds: &BTreeMap<ContainerId, Duration>,
    ) {
        let now = self.daemon.now(self.clock);
        let mut actions = course(&self.daemon.state, self.mode, watched, now);
        actions.extend(expired(&self.daemon.state, holds, now));
        for action in actions {
            self.carry_out(action);
        }
        let again = course(&self.daemon.state, self.mode, watched, now);
        if again.iter().any(|action| matches!(action, Action::Record(_))) {
            self.fail(format!("a course carried out leaves {again:?}"));
        }
    }
}
