//! A small lab: an Engine, cards and people, with the rules in the middle. Every step checks what must always hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ds01_domain::*;

/// A container as the Engine really has it.
pub(crate) struct Real {
    pub(crate) id: ContainerId,
    pub(crate) run: Run,
    pub(crate) cgroup: Occupancy,
    pub(crate) receipt: Option<(Epoch, Vec<UnitId>)>,
    pub(crate) devices: Option<BTreeSet<UnitId>>,
    pub(crate) identity: Option<Identity>,
    /// Its starts are sent and not answered.
    pub(crate) hangs: bool,
    pub(crate) token: Option<Token>,
}

/// The lab.
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) state: State,
    pub(crate) ledger: Vec<Event>,
    pub(crate) now: Time,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) machine: BTreeMap<UnitId, UnitSeen>,
    pub(crate) engine: BTreeMap<String, Real>,
    pub(crate) in_flight: BTreeSet<ContainerId>,
    pub(crate) creating: BTreeSet<Token>,
    /// What happened since somebody last read it.
    pub(crate) news: Vec<String>,
    ids: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            policy: Policy::default(),
            state: State::default(),
            ledger: Vec::new(),
            now: Time(1_000_000),
            people: BTreeMap::new(),
            machine: BTreeMap::new(),
            engine: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            creating: BTreeSet::new(),
            news: Vec::new(),
            ids: 0,
        }
    }

    /// Adds a card: whole, or cut into slices of so many compute and memory parts.
    pub(crate) fn card(&mut self, model: &str, memory_mib: u64, slices: &[(u8, u8)]) {
        let cards: BTreeSet<&CardId> = self.machine.values().map(|seen| &seen.unit.card).collect();
        let index = u32::try_from(cards.len()).unwrap();
        let card = CardId::new(&format!("GPU-{index}")).unwrap();
        let whole = Unit {
            id: UnitId::new(card.as_str()).unwrap(),
            card: card.clone(),
            index,
            slice: None,
            model: model.to_owned(),
            memory_mib,
            weight: Weight::CARD,
        };
        let mut units = Vec::new();
        for (ordinal, (compute, memory)) in slices.iter().enumerate() {
            let ordinal = u32::try_from(ordinal).unwrap();
            let memory_mib = memory_mib * u64::from(*memory) / 8;
            units.push(Unit {
                id: UnitId::new(&format!("MIG-{index}-{ordinal}")).unwrap(),
                slice: Some(Slice {
                    ordinal,
                    profile: format!("{compute}g.{}gb", memory_mib / 1024),
                    compute: *compute,
                    memory: *memory,
                }),
                memory_mib,
                weight: Weight::of_slice(u32::from(*compute), 7, u32::from(*memory), 8),
                ..whole.clone()
            });
        }
        if units.is_empty() {
            units.push(whole);
        }
        for unit in units {
            self.machine.insert(unit.id.clone(), UnitSeen { unit, processes: Processes::Count(0) });
        }
    }

    pub(crate) fn tell(&mut self, text: impl Into<String>) {
        self.news.push(text.into());
    }

    pub(crate) fn unit(&self, label: &str) -> UnitId {
        let found = self.machine.values().find(|seen| seen.unit.label() == label);
        found.unwrap_or_else(|| panic!("no unit {label}")).unit.id.clone()
    }

    pub(crate) fn id(&self, name: &str) -> ContainerId {
        self.engine.get(name).unwrap_or_else(|| panic!("no container {name}")).id.clone()
    }

    pub(crate) fn name(&self, id: &ContainerId) -> String {
        match (self.state.container(id), self.engine.iter().find(|(_, real)| real.id == *id)) {
            (Some(container), _) => format!("{}/{}", container.owner_name, container.name),
            (None, Some((name, _))) => format!("?/{name}"),
            (None, None) => id.short().to_owned(),
        }
    }

    pub(crate) fn labels(&self, units: &[UnitId]) -> String {
        let labels: Vec<String> = units
            .iter()
            .map(|id| match self.machine.get(id) {
                Some(seen) => seen.unit.label(),
                None => self.state.label(id),
            })
            .collect();
        labels.join(" ")
    }

    fn fresh(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Records a fact, as the coordinator would.
    pub(crate) fn record(&mut self, event: Event) {
        self.state.apply(&event);
        if let Event::Reserved(grant) = &event {
            assert!(self.state.holding(grant.container()).is_some(), "a grant was not taken: {grant:?}");
            let owner = self.people.values().find(|person| person.uid == grant.owner());
            if let Some(max) = owner.and_then(|owner| self.policy.resolve(owner).max_gpu_equivalents) {
                assert!(self.state.used_by(grant.owner()) <= max, "a grant exceeds the quota: {grant:?}");
            }
        }
        if event.is_durable() {
            self.ledger.push(event);
        }
    }

    /// Asks for a container; whether it was made.
    pub(crate) fn create(
        &mut self,
        who: &str,
        name: &str,
        want: Option<&Want>,
        restart: RestartPolicy,
        rm: bool,
    ) -> bool {
        let person = self.people[who].clone();
        let running = self.engine.values().filter(|real| real.run == Run::Running).count();
        let mine = self.state.containers().filter(|c| c.owner == person.uid && c.exists()).count();
        let running_containers = u32::try_from(running.min(mine)).unwrap();
        let request = Request::Create { person: &person, want, running_containers };
        let admission = match decide(&self.policy, &self.state, &request, self.now) {
            Decision::Admit(admission) => admission,
            Decision::Denial(denial) => {
                self.tell(denied(&denial));
                return false;
            }
            other => panic!("a create was answered with {other:?}"),
        };
        let token = Token::new(&format!("{:032x}", self.fresh())).unwrap();
        self.record(Event::CreatePlanned {
            token: token.clone(),
            owner: person.uid,
            owner_name: person.name.clone(),
            name: name.to_owned(),
            kind: Kind::Docker,
            want: admission.want().cloned(),
            restart,
            auto_remove: rm,
            at: self.now,
        });
        let id = ContainerId::new(&format!("{:064x}", self.fresh())).unwrap();
        self.record(Event::Created { token: token.clone(), container: id.clone(), at: self.now });
        let real = Real {
            id,
            run: Run::Created,
            cgroup: Occupancy::Empty,
            receipt: None,
            devices: None,
            identity: None,
            hangs: false,
            token: Some(token),
        };
        self.engine.insert(name.to_owned(), real);
        self.tell("created");
        true
    }

    /// Asks for a start.
    pub(crate) fn start(&mut self, name: &str, patience: Option<Duration>) {
        let id = self.id(name);
        let owner = self.state.container(&id).map(|c| c.owner_name.clone());
        let Some(person) = owner.and_then(|owner| self.people.get(&owner)).cloned() else {
            self.tell("nobody's");
            return;
        };
        let request = Request::Start { person: &person, container: &id, patience };
        match decide(&self.policy, &self.state, &request, self.now) {
            Decision::Grant(grant) => self.granted(grant),
            Decision::Wait(wait) => {
                let holders: Vec<String> = wait.holders.iter().map(|h| h.sentence(self.now)).collect();
                let held = if holders.is_empty() {
                    String::new()
                } else {
                    format!("; held by {}", holders.join(", "))
                };
                self.tell(format!("waits {} of {}: {}{held}", wait.position, wait.of, wait.reason));
                self.record(wait.into_event());
            }
            Decision::NoGpu => {
                self.engine.get_mut(name).unwrap().run = Run::Running;
                self.tell("needs no gpu");
            }
            Decision::AlreadyHolding => self.tell("holds its units already"),
            Decision::Denial(denial) => self.tell(denied(&denial)),
            Decision::Admit(_) => panic!("a start was admitted as a create"),
        }
    }

    /// A grant is recorded, then the Engine starts the container, and the hinge asks.
    pub(crate) fn granted(&mut self, grant: Grant) {
        let (id, epoch, units) = (grant.container().clone(), grant.epoch(), grant.units().to_vec());
        self.tell(format!("{} gets {}", self.name(&id), self.labels(&units)));
        self.record(Event::Reserved(grant));
        let now = self.now;
        let Some(real) = self.engine.values_mut().find(|real| real.id == id) else { return };
        if real.hangs {
            self.in_flight.insert(id);
            return;
        }
        real.receipt = Some((epoch, units.clone()));
        real.devices = Some(units.into_iter().collect());
        real.run = Run::Running;
        real.cgroup = Occupancy::Occupied;
        self.record(Event::Bound { container: id.clone(), epoch, at: now });
        self.record(Event::Ran { container: id, epoch, at: now });
    }

    /// What there is to be seen at this moment.
    pub(crate) fn observe(&mut self) -> Observed {
        self.now = Time(self.now.0 + 1);
        let mut containers: BTreeMap<ContainerId, Seen> = BTreeMap::new();
        for real in self.engine.values() {
            let seen = Seen {
                run: real.run,
                cgroup: real.cgroup,
                receipt: real.receipt.clone(),
                devices: (real.run == Run::Running).then(|| real.devices.clone()).flatten(),
                identity: real.identity.clone(),
            };
            containers.insert(real.id.clone(), seen);
        }
        for holding in self.state.holdings() {
            containers
                .entry(holding.container.clone())
                .or_insert_with(|| Seen::plain(Run::Gone, Occupancy::Empty));
        }
        Observed {
            began: self.now,
            complete: true,
            containers,
            created: self
                .engine
                .values()
                .filter_map(|real| Some((real.token.clone()?, real.id.clone())))
                .collect(),
            units_complete: true,
            units: self.machine.clone(),
            in_flight: self.in_flight.clone(),
            creating: self.creating.clone(),
        }
    }

    /// Looks, and does what follows.
    pub(crate) fn look(&mut self) {
        let observed = self.observe();
        self.now = Time(self.now.0 + 1);
        self.follow(&observed);
    }

    /// Does what follows from a look, however old.
    pub(crate) fn follow(&mut self, observed: &Observed) {
        let actions = plan(&self.policy, &self.state, observed, self.now);
        let mut after = self.state.clone();
        for event in actions.iter().filter_map(Action::event) {
            after.apply(&event);
        }
        let again = plan(&self.policy, &after, observed, self.now);
        assert!(again.is_empty(), "a plan carried out leaves {again:#?} after {actions:#?}");
        for action in actions {
            self.carry_out(action);
        }
        self.check();
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Record(event) => {
                if let Some(text) = self.describe(&event) {
                    self.tell(text);
                }
                self.record(event);
            }
            Action::Grant { grant, .. } => self.granted(grant),
            Action::Deny { ticket, denial } => {
                let id = self.state.waiters().find(|w| w.ticket == ticket).map(|w| w.container.clone());
                self.tell(format!("{}: {}", self.name(&id.unwrap()), denied(&denial)));
                self.record(Event::Left { ticket, why: LeftWhy::Denied });
            }
            Action::Restart { container } => {
                let name =
                    self.engine.iter().find(|(_, real)| real.id == container).map(|(name, _)| name.clone());
                self.start(&name.unwrap(), None);
            }
            Action::RemoveContainer { container } => {
                self.tell(format!("remove {}", self.name(&container)));
                self.engine.retain(|_, real| real.id != container);
                self.record(Event::Removed { container, at: self.now });
            }
            // No plan over a look asks for these: the use of units does. See stories/idle.rs.
            Action::Warn { .. } | Action::Stop { .. } | Action::Expel { .. } => unreachable!("{action:?}"),
            Action::Conflict { unit, holder, other } => {
                let (holder, other) = (self.name(&holder), self.name(&other));
                let unit = self.labels(&[unit]);
                self.tell(format!("conflict: {holder} holds {unit}, {other} can open it too"));
            }
        }
    }

    fn describe(&self, event: &Event) -> Option<String> {
        Some(match event {
            Event::Ended { container, exit, .. } => {
                let exit = exit.map_or("no exit code".to_owned(), |code| format!("exit {code}"));
                format!("{} ended ({exit})", self.name(container))
            }
            Event::Released { container, .. } => {
                let units = self.state.holding(container).map_or(Vec::new(), |h| h.units.clone());
                format!("{} released {}", self.name(container), self.labels(&units))
            }
            Event::Health { unit, health, .. } => {
                format!("{} is {health}", self.labels(std::slice::from_ref(unit)))
            }
            Event::Adopted { container, owner_name, name, epoch, units, .. } => {
                let known = if self.state.container(container).is_some() { "" } else { " unknown" };
                format!("adopted{known} {owner_name}/{name} with {} (epoch {epoch})", self.labels(units))
            }
            Event::Removed { container, .. } => format!("{} is gone", self.name(container)),
            Event::RestartTried { container, attempt, .. } => {
                format!("{} is restarted (try {attempt})", self.name(container))
            }
            Event::Ran { container, .. } => format!("{} runs", self.name(container)),
            Event::UnitGone { unit, .. } => format!("{} is gone", self.labels(std::slice::from_ref(unit))),
            Event::CreateAbandoned { .. } => "create abandoned".to_owned(),
            Event::Created { container, .. } => format!("create found: {}", self.name(container)),
            _ => return None,
        })
    }

    /// Lets time pass, doing what falls due on the way.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while let Some(due) = self.state.next_due(self.now).filter(|due| *due <= end) {
            self.now = due;
            self.follow(&Observed::default());
        }
        self.now = end.max(self.now);
        self.look();
    }

    /// The daemon dies and comes back with what its ledger has.
    pub(crate) fn crash(&mut self) {
        self.state = replay(&self.ledger);
        self.in_flight.clear();
        self.creating.clear();
    }

    /// What must always hold.
    pub(crate) fn check(&self) {
        let mut holders: BTreeMap<&UnitId, &ContainerId> = BTreeMap::new();
        for holding in self.state.holdings() {
            for unit in &holding.units {
                let other = holders.insert(unit, &holding.container);
                assert!(other.is_none(), "{unit} has two holders: {other:?} and {:?}", holding.container);
            }
        }
        for view in self.state.units() {
            let holder = view.holder.map(|holding| &holding.container);
            assert_eq!(holder, holders.get(&view.unit.id).copied(), "the holder of {}", view.unit.id);
        }
        let durable = self.state.durable();
        assert!(replay(&self.ledger).durable() == durable, "replaying the ledger gives another state");
        assert!(replay(&durable.to_events()) == durable, "a shortened ledger gives another state");
    }
}

pub(crate) fn replay(events: &[Event]) -> State {
    let mut state = State::default();
    events.iter().for_each(|event| state.apply(event));
    state
}

fn denied(denial: &Denial) -> String {
    let hint = denial.hint().map_or(String::new(), |hint| format!("\nhint: {hint}"));
    format!("denied {}: {denial}{hint}", denial.code())
}
