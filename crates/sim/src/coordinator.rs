//! The daemon's acts: it asks the rules, writes their answers down, and passes them on. After each fact it may be dead.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::{
    Action, Ask, ContainerId, Decision, Event, Grant, Identity, Kind, LeftWhy, Observed, Occupancy,
    Processes, Request, RestartPolicy, Run, Seen, Selector, Token, UnitSeen, Want, decide, plan,
};

use crate::world::{Answer, Call, Happening, Look, World};

impl World {
    /// A user asks for a container.
    pub(crate) fn create(&mut self, user: usize) {
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
        let name = format!("{}-{}", person.name, self.numbers);
        let identity = Identity { owner: person.uid, owner_name: person.name.clone(), name: name.clone() };
        let planned = Event::CreatePlanned {
            token: token.clone(),
            owner: person.uid,
            owner_name: person.name.clone(),
            name,
            kind: Kind::Docker,
            want: admission.want().cloned(),
            restart,
            auto_remove: self.rng.permille(200),
            at: now,
        };
        if !self.record(&planned) {
            return;
        }
        self.daemon.create_sent(&token);
        let life = self.daemon.life;
        let wait = self.engine_time();
        self.later(wait, Happening::CreateArrives { token, identity, life });
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

    /// How long the Engine takes for something small.
    pub(crate) fn engine_time(&mut self) -> Duration {
        let slow = self.rng.permille(self.faults.slow);
        if slow { self.rng.between(1000, 25_000) } else { self.rng.between(2, 80) }
    }

    /// Somebody, or a restart policy, asks for a start; `request` is whoever waits for the answer.
    pub(crate) fn start(&mut self, id: &ContainerId, request: u64) {
        let owner = self.daemon.state.container(id).map(|container| container.owner);
        let Some(person) = self.people.iter().find(|person| Some(person.uid) == owner).cloned() else {
            return;
        };
        let patience = if self.rng.permille(300) { self.rng.between(0, 60_000) } else { Duration::MAX };
        let asked = Request::Start { person: &person, container: id, patience };
        let now = self.daemon.now(self.clock);
        self.asked.insert(request, id.clone());
        match decide(&self.policy, &self.daemon.state, &asked, now) {
            Decision::Grant(grant) => {
                self.asked.remove(&request);
                self.granted(grant);
            }
            Decision::Wait(wait) => {
                self.summary.waits += 1;
                self.tell(format!("{} waits, {} of {}", self.name(id), wait.position, wait.of));
                self.daemon.waiting.insert(wait.ticket, request);
                self.record(&wait.into_event());
            }
            Decision::AlreadyHolding => {
                self.asked.remove(&request);
                self.send(id, None);
            }
            Decision::Denial(denial) => {
                self.summary.denials += 1;
                self.asked.remove(&request);
                self.tell(format!("{} is denied {}", self.name(id), denial.code()));
            }
            Decision::NoGpu | Decision::Admit(_) => {
                self.fail(format!("a start of {id} was answered as something else"));
            }
        }
    }

    /// A user restarts a container that runs: through the Engine, with the units it has.
    pub(crate) fn restart(&mut self, id: &ContainerId) {
        let Some(holding) = self.daemon.state.holding(id).cloned() else { return };
        let Some(round) = self.engine.get(id).filter(|real| real.run == Run::Running).map(|real| real.round)
        else {
            return;
        };
        if holding.phase == ds01_domain::Phase::Ending || self.daemon.in_flight.contains(id) {
            return;
        }
        self.tell(format!("{} is restarted through the Engine", self.name(id)));
        self.daemon.start_sent(id);
        let wait = self.engine_time();
        self.later(wait, Happening::Dies { container: id.clone(), round, exit: 143 });
        self.send(id, Some(holding.epoch));
    }

    fn granted(&mut self, grant: Grant) {
        let (id, epoch) = (grant.container().clone(), grant.epoch());
        self.tell(format!("{} gets {:?} ({epoch})", self.name(&id), grant.units()));
        // In flight from the grant on.
        self.daemon.start_sent(&id);
        if self.record(&Event::Reserved(grant)) {
            self.send(&id, Some(epoch));
        }
    }

    /// Forwards a start.
    fn send(&mut self, id: &ContainerId, epoch: Option<ds01_domain::Epoch>) {
        let call = Call { life: self.daemon.life, epoch };
        let wait = self.engine_time();
        self.later(wait, Happening::StartArrives { container: id.clone(), call });
        if epoch.is_some() && self.rng.permille(self.faults.lost) {
            self.summary.lost += 1;
            let wait = self.rng.between(10, 20_000);
            let answer = Answer::Unknown;
            self.later(wait, Happening::StartAnswered { container: id.clone(), call, answer });
        }
    }

    /// What the Engine said, or that it said nothing.
    pub(crate) fn start_answered(&mut self, id: &ContainerId, call: Call, answer: Answer) {
        let Some(epoch) = call.epoch.filter(|_| call.life == self.daemon.life && self.daemon.up) else {
            return;
        };
        let current = self.daemon.state.holding(id).is_some_and(|holding| holding.epoch == epoch);
        if !current || !self.daemon.in_flight.remove(id) {
            return;
        }
        self.tell(format!("{} start answered: {answer:?}", self.name(id)));
        let at = self.daemon.now(self.clock);
        let container = id.clone();
        let lives = match answer {
            Answer::Running => self.record(&Event::Ran { container, epoch, at }),
            Answer::Failed => self.record(&Event::Ended { container, epoch, at, exit: None, by_user: false }),
            Answer::Unknown => true,
        };
        if lives {
            self.look_soon(id, Duration::ZERO);
        }
    }

    /// The hinge asks what a container may have; `None` refuses the start.
    pub(crate) fn bind(
        &mut self,
        id: &ContainerId,
    ) -> Option<(ds01_domain::Epoch, Vec<ds01_domain::UnitId>)> {
        if !self.daemon.up {
            return None;
        }
        let holding = self.daemon.state.holding(id).cloned()?;
        let at = self.daemon.now(self.clock);
        let bound = Event::Bound { container: id.clone(), epoch: holding.epoch, at };
        if holding.phase == ds01_domain::Phase::Ending || !self.record(&bound) {
            return None;
        }
        Some((holding.epoch, holding.units))
    }

    /// A user stops a container, or breaks off its wait.
    pub(crate) fn stop(&mut self, id: &ContainerId) {
        let at = self.daemon.now(self.clock);
        if !self.record(&Event::StopAsked { container: id.clone(), at }) {
            return;
        }
        self.tell(format!("{} is stopped", self.name(id)));
        let wait = self.engine_time();
        if let Some(round) = self.engine.get(id).map(|real| real.round) {
            self.later(wait, Happening::Dies { container: id.clone(), round, exit: 143 });
        }
        if let Some(ticket) = self.daemon.state.waiter_of(id).map(|waiter| waiter.ticket) {
            self.leave(ticket, LeftWhy::Cancelled);
        }
    }

    pub(crate) fn leave(&mut self, ticket: ds01_domain::Ticket, why: LeftWhy) {
        if let Some(request) = self.daemon.waiting.remove(&ticket) {
            self.asked.remove(&request);
        }
        if self.record(&Event::Left { ticket, why }) && why == LeftWhy::Cancelled {
            self.follow(&Observed::default());
        }
    }

    pub(crate) fn look_soon(&mut self, id: &ContainerId, wait: Duration) {
        let life = self.daemon.life;
        self.later(wait, Happening::LookBegins { at: Some(id.clone()), life });
    }

    /// Begins a look. Half of it is seen now, half when it ends.
    pub(crate) fn begin_look(&mut self, at: Option<ContainerId>) {
        let (number, began) = self.daemon.begin_look(self.clock);
        let mut observed = Observed { began, complete: at.is_none(), ..Observed::default() };
        let mut ids: Vec<ContainerId> = match at {
            Some(id) => vec![id],
            None => {
                let listed = self.engine.containers.iter().filter(|(_, real)| !real.gone);
                observed.created = listed.map(|(id, real)| (real.token.clone(), id.clone())).collect();
                let held = self.daemon.state.holdings().map(|holding| holding.container.clone());
                observed.created.values().cloned().chain(held).collect()
            }
        };
        ids.sort();
        ids.dedup();
        let mut later = Vec::new();
        for id in ids {
            if self.rng.permille(500) {
                later.push(id);
            } else {
                let seen = self.seen(&id);
                observed.containers.insert(id, seen);
            }
        }
        let wait = self.engine_time();
        let life = self.daemon.life;
        self.later(wait, Happening::LookEnds { look: Look { number, observed, later }, life });
    }

    fn seen(&mut self, id: &ContainerId) -> Seen {
        let mut seen = self.engine.look(id);
        if self.rng.permille(self.faults.deaf / 10) {
            seen.run = Run::Unknown;
        }
        if self.rng.permille(self.faults.deaf / 10) {
            seen.cgroup = Occupancy::Unknown;
        }
        seen
    }

    /// Ends a look, and does what follows.
    pub(crate) fn end_look(&mut self, look: Look) {
        let Look { number, mut observed, later } = look;
        for id in later {
            let seen = self.seen(&id);
            observed.containers.insert(id, seen);
        }
        observed.units_complete = true;
        observed.units = self.units();
        self.daemon.end_look(number, &mut observed);
        let looked: Vec<ContainerId> = observed.containers.keys().cloned().collect();
        if !self.follow(&observed) {
            return;
        }
        for id in looked {
            let ending = |holding: &&ds01_domain::Holding| holding.phase == ds01_domain::Phase::Ending;
            if !observed.complete && self.daemon.state.holding(&id).filter(ending).is_some() {
                self.look_soon(&id, Duration::from_secs(1));
            }
        }
    }

    /// Half of the machine says who is on it, the other half cannot.
    fn units(&mut self) -> BTreeMap<ds01_domain::UnitId, UnitSeen> {
        let mut units = BTreeMap::new();
        for (number, (id, unit)) in self.machine.iter().enumerate() {
            let users = u32::try_from(self.engine.users_of(id).len()).unwrap_or(u32::MAX);
            let processes = if number % 2 == 0 { Processes::Count(users) } else { Processes::Unknowable };
            units.insert(id.clone(), UnitSeen { unit: unit.clone(), processes });
        }
        for seen in units.values_mut() {
            if self.rng.permille(self.faults.deaf / 10) {
                seen.processes = Processes::Unknown;
            }
        }
        units
    }

    /// Plans, and carries the plan out; whether the daemon lives on.
    pub(crate) fn follow(&mut self, observed: &Observed) -> bool {
        let now = self.daemon.now(self.clock);
        let life = self.daemon.life;
        let actions = plan(&self.policy, &self.daemon.state, observed, now);
        // What users and the Engine do meanwhile may need another plan; the plan itself may not.
        let alone =
            !actions.iter().any(|a| matches!(a, Action::Restart { .. } | Action::RemoveContainer { .. }));
        for action in actions {
            self.carry_out(action);
            if self.daemon.life != life {
                return false;
            }
        }
        let again = plan(&self.policy, &self.daemon.state, observed, now);
        if alone && !again.is_empty() {
            self.fail(format!("a plan carried out leaves {again:?}"));
        }
        true
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Record(event) => {
                self.tell(format!("{event:?}"));
                self.record(&event);
            }
            Action::Grant { grant, ticket } => {
                if let Some(request) = self.daemon.waiting.remove(&ticket) {
                    self.asked.remove(&request);
                }
                self.granted(grant);
            }
            Action::Deny { ticket, denial } => {
                self.summary.denials += 1;
                self.tell(format!("{} is denied after its wait: {}", ticket, denial.code()));
                self.leave(ticket, LeftWhy::Denied);
            }
            // Nobody measures in these stories.
            Action::Warn { .. } | Action::Stop { .. } => self.fail(format!("{action:?} of nothing")),
            Action::Restart { container } => {
                self.numbers += 1;
                let request = self.numbers;
                self.start(&container, request);
            }
            Action::RemoveContainer { container } => self.remove(&container),
            Action::Conflict { unit, holder, other } => {
                self.fail(format!("{unit} is held by {holder}, and {other} can open it"));
            }
        }
    }
}
