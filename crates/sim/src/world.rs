//! The laboratory: virtual time, what is about to happen, and the eye on the devices.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use ds01_domain::{
    Cap, CardId, ContainerId, Event, Identity, Observed, Person, Policy, Settings, Slice, Time, Token, Uid,
    Unit, UnitId, Weight,
};

use crate::daemon::{Daemon, replay};
use crate::engine::Engine;
use crate::rng::Rng;
use crate::{Failure, Summary};

/// Lines of a failing story that are told.
const STORY_LINES_MAX: usize = 400;
/// Time after the story for everything to come to rest: the longest wait, and every look that follows.
const REST: Duration = Duration::from_secs(15 * 60);

/// What is about to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A user does something.
    UserActs(usize),
    /// The Engine gets a request to create.
    CreateArrives { token: Token, identity: Identity, life: u64 },
    /// The daemon hears the end of a create.
    CreateAnswered { token: Token, container: ContainerId, life: u64 },
    /// The Engine gets a request to start.
    StartArrives { container: ContainerId, call: Call },
    /// The Engine's runtime asks for the binding.
    Binds { container: ContainerId, call: Call },
    /// The Engine's runtime is done.
    Starts { container: ContainerId, call: Call, works: bool },
    /// The daemon hears the end of a start, or stops waiting for it.
    StartAnswered { container: ContainerId, call: Call, answer: Answer },
    /// The main process of a run ends.
    Dies { container: ContainerId, round: u64, exit: i32 },
    /// The last process of a run ends.
    Empties { container: ContainerId, round: u64 },
    /// The daemon begins to look, at one container or at everything.
    LookBegins { at: Option<ContainerId>, life: u64 },
    /// What it saw reaches the coordinator.
    LookEnds { look: Look, life: u64 },
    /// Everything is looked at from time to time.
    Tick { life: u64 },
    /// Something falls due in the state.
    Due { life: u64 },
    /// The daemon comes back.
    ComesBack,
}

/// A start on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The life of the daemon that sent it.
    pub(crate) life: u64,
    /// The grant that it carries; `None` for one that is passed on for a container that holds already.
    pub(crate) epoch: Option<ds01_domain::Epoch>,
}

/// How a start ended, for the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Running,
    Failed,
    Unknown,
}

/// A look under way.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) number: u64,
    pub(crate) observed: Observed,
    /// What is looked at at the last moment.
    pub(crate) later: Vec<ContainerId>,
}

/// How bad things are in a story.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Chances in a thousand that the daemon dies after a fact was written.
    pub(crate) crash: u64,
    /// … that an answer of the Engine is not heard.
    pub(crate) lost: u64,
    /// … that the Engine takes its time.
    pub(crate) slow: u64,
    /// … that a start fails.
    pub(crate) fail: u64,
    /// … that processes outlive their container.
    pub(crate) linger: u64,
    /// … that an event of the Engine gets lost.
    pub(crate) deaf: u64,
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    seed: u64,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) clock: Time,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    pub(crate) numbers: u64,
    pub(crate) policy: Policy,
    pub(crate) people: Vec<Person>,
    pub(crate) machine: BTreeMap<UnitId, Unit>,
    pub(crate) engine: Engine,
    pub(crate) daemon: Daemon,
    /// Starts that somebody waits for: the request, and its container.
    pub(crate) asked: BTreeMap<u64, ContainerId>,
    pub(crate) due_at: Option<Time>,
    /// Whether users still do things.
    pub(crate) open: bool,
    pub(crate) summary: Summary,
    story: Vec<String>,
    wrong: Option<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut often = |most: u64| if rng.permille(500) { rng.below(most) } else { 0 };
        let faults = Faults {
            crash: often(25),
            lost: often(150),
            slow: often(200),
            fail: often(200),
            linger: often(400),
            deaf: often(500),
        };
        let mut world = Self {
            seed,
            rng,
            faults,
            clock: Time(1000),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            numbers: 0,
            policy: Policy::default(),
            people: Vec::new(),
            machine: BTreeMap::new(),
            engine: Engine::default(),
            daemon: Daemon::new(),
            asked: BTreeMap::new(),
            due_at: None,
            open: true,
            summary: Summary::default(),
            story: Vec::new(),
            wrong: None,
        };
        world.furnish();
        world
    }

    /// One whole card, one in slices, and a handful of people.
    fn furnish(&mut self) {
        for (index, slices) in [(0, vec![]), (1, vec![(3, 4), (2, 2), (1, 1)])] {
            let name = format!("GPU-{index}");
            let Some((id, card)) = UnitId::new(&name).zip(CardId::new(&name)) else { continue };
            let whole = Unit {
                id,
                card,
                index,
                slice: None,
                model: "A100".to_owned(),
                memory_mib: 80 * 1024,
                weight: Weight::CARD,
            };
            let count = slices.len();
            for (ordinal, (compute, memory)) in (0..).zip(slices) {
                let Some(id) = UnitId::new(&format!("MIG-{index}-{ordinal}")) else { continue };
                let profile = format!("{compute}g.{}gb", 10 * memory);
                let slice = Slice { ordinal, profile, compute, memory };
                let unit = Unit {
                    id: id.clone(),
                    slice: Some(slice),
                    memory_mib: 10 * 1024 * u64::from(memory),
                    weight: Weight::of_slice(compute.into(), 7, memory.into(), 8),
                    ..whole.clone()
                };
                self.machine.insert(id, unit);
            }
            if count == 0 {
                self.machine.insert(whole.id.clone(), whole);
            }
        }
        let quotas = [Some(1000), Some(1500), Some(500), None];
        for (number, (name, quota)) in (0..).zip(["alice", "bob", "carol", "dave"].into_iter().zip(quotas)) {
            let person = Person {
                uid: Uid(1000 + number),
                name: name.to_owned(),
                unix_groups: Vec::new(),
                admin: false,
            };
            let settings = Settings {
                max_gpu_equivalents: Some(quota.map_or(Cap::Unlimited, |q| Cap::At(Weight::from_milli(q)))),
                max_gpu_slots_per_container: Some(Cap::At(3)),
                priority: Some(i32::from(quota.is_none())),
                ..Settings::default()
            };
            self.policy.users.insert(person.name.clone(), settings);
            self.people.push(person);
        }
    }

    /// Lets the story happen, then everybody go home, and looks at what is left.
    pub(crate) fn play(mut self, length: Duration) -> Result<Summary, Box<Failure>> {
        for user in 0..self.people.len() {
            self.later(Duration::from_secs(1), Happening::UserActs(user));
        }
        self.later(Duration::ZERO, Happening::Tick { life: 0 });
        let end = self.clock.after(length);
        self.run_until(end);
        if self.wrong.is_none() {
            self.go_home();
        }
        let rest = end.after(REST);
        self.run_until(rest);
        self.look_behind();
        match self.wrong.take() {
            None => Ok(self.summary),
            Some(what) => {
                let from = self.story.len().saturating_sub(STORY_LINES_MAX);
                Err(Box::new(Failure { seed: self.seed, what, story: self.story.split_off(from) }))
            }
        }
    }

    fn run_until(&mut self, end: Time) {
        while self.wrong.is_none() {
            let Some(Reverse((time, number))) = self.queue.peek().copied() else { break };
            if time > end {
                break;
            }
            self.queue.pop();
            self.clock = time;
            let Some(happening) = self.happenings.remove(&number) else { continue };
            self.happen(happening);
            self.engine.bury();
            self.watch();
            self.set_alarm();
        }
        self.clock = self.clock.max(end);
    }

    /// Nobody comes back, nothing fails any more, and every container is stopped.
    fn go_home(&mut self) {
        self.open = false;
        self.tell("everybody goes home");
        self.faults = Faults { crash: 0, lost: 0, slow: 0, fail: 0, linger: 0, deaf: 0 };
        if !self.daemon.up {
            self.come_back();
        }
        let ids: Vec<ContainerId> = self.daemon.state.containers().map(|c| c.id.clone()).collect();
        for id in ids {
            self.stop(&id);
        }
    }

    /// After the last event nothing may be left.
    fn look_behind(&mut self) {
        if self.wrong.is_some() {
            return;
        }
        let state = &self.daemon.state;
        let holdings: Vec<String> = state.holdings().map(|h| format!("{h:?}")).collect();
        let wrong = if !holdings.is_empty() {
            Some(format!("units were never released: {}", holdings.join(", ")))
        } else if state.waiters().next().is_some() || !self.asked.is_empty() {
            Some(format!("starts were never answered: {:?}", self.asked))
        } else if let Some(view) = state.units().find(|view| !view.is_free()) {
            Some(format!("{} is {}", view.unit.id, view.health))
        } else if state.units().count() != self.machine.len() {
            Some("units were forgotten".to_owned())
        } else if state.creates().next().is_some() {
            Some("creates were never settled".to_owned())
        } else {
            let real: BTreeSet<&ContainerId> = self.engine.containers.keys().collect();
            let known: BTreeSet<&ContainerId> = state.containers().map(|c| &c.id).collect();
            (real != known).then(|| format!("the Engine has {real:?}, the state {known:?}"))
        };
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
    }

    /// What must hold at every moment.
    fn watch(&mut self) {
        for unit in self.machine.keys() {
            let users = self.engine.users_of(unit);
            if users.len() > 1 {
                let wrong = format!("{unit} can be opened by {users:?}");
                self.wrong.get_or_insert(wrong);
            }
        }
        // Whoever waits is answered when his time is over: the daemon is awake then.
        let now = self.daemon.now(self.clock);
        let late =
            self.daemon.state.waiters().find(|waiter| waiter.deadline.after(Duration::from_secs(1)) < now);
        if let Some(late) = late {
            let wrong = format!("{} waits beyond its deadline", late.name);
            self.wrong.get_or_insert(wrong);
        }
    }

    /// Has the coordinator wake up when its state says that something falls due.
    fn set_alarm(&mut self) {
        let now = self.daemon.now(self.clock);
        let due = self.daemon.state.next_due(now).filter(|_| self.daemon.up);
        if let Some(due) = due.filter(|due| self.due_at.is_none_or(|set| *due < set || set <= self.clock)) {
            self.due_at = Some(due);
            let life = self.daemon.life;
            self.later(due.since(self.clock), Happening::Due { life });
        }
    }

    /// Has something happen later.
    pub(crate) fn later(&mut self, wait: Duration, happening: Happening) {
        self.numbers += 1;
        self.queue.push(Reverse((self.clock.after(wait), self.numbers)));
        self.happenings.insert(self.numbers, happening);
    }

    /// Writes a line of the story.
    pub(crate) fn tell(&mut self, text: impl Into<String>) {
        let seconds = self.clock.0 / 1000;
        self.story.push(format!("{seconds:>6}.{:03} {}", self.clock.0 % 1000, text.into()));
    }

    /// Ends the story badly.
    pub(crate) fn fail(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// Records a fact; whether the daemon lives on. It may die just after the fact was written.
    pub(crate) fn record(&mut self, event: &Event) -> bool {
        assert!(self.daemon.up, "the dead write nothing: {event:?}");
        self.daemon.record(event);
        if let Event::Reserved(grant) = event {
            self.summary.grants += 1;
            if self.daemon.state.holding(grant.container()).is_none_or(|held| held.epoch != grant.epoch()) {
                self.fail(format!("a grant was not taken: {grant:?}"));
            }
            let person = self.people.iter().find(|person| person.uid == grant.owner());
            let max = person.and_then(|person| self.policy.resolve(person).max_gpu_equivalents);
            if max.is_some_and(|max| self.daemon.state.used_by(grant.owner()) > max) {
                self.fail(format!("a grant exceeds the quota: {grant:?}"));
            }
        }
        if self.rng.permille(self.faults.crash) {
            self.die();
            return false;
        }
        true
    }

    /// The daemon dies, and everybody who waits for an answer learns that the line is cut.
    fn die(&mut self) {
        self.summary.crashes += 1;
        self.tell("ds01d dies");
        let before = self.daemon.state.durable();
        if replay(&self.daemon.ledger).durable() != before {
            self.fail("the ledger does not give the state again".to_owned());
        }
        self.daemon.die();
        self.asked.clear();
        self.due_at = None;
        let pause = self.rng.between(100, 20_000);
        self.later(pause, Happening::ComesBack);
    }

    pub(crate) fn come_back(&mut self) {
        if self.daemon.up {
            return;
        }
        self.tell("ds01d comes back");
        self.daemon.come_back();
        let life = self.daemon.life;
        self.later(Duration::ZERO, Happening::Tick { life });
    }

    /// A name for the story.
    pub(crate) fn name(&self, id: &ContainerId) -> String {
        self.engine
            .containers
            .get(id)
            .map_or_else(|| id.short().to_owned(), |real| real.identity.name.clone())
    }
}
