//! The laboratory: virtual time, what is about to happen, and the eye on the devices.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use ds01_domain::{
    Action, Cap, CardId, Cause, ContainerId, Epoch, Identity, Kind, KindTimes, Mode, Observed, Person,
    Policy, Settings, Slice, Stage, Time, Token, Uid, Unit, UnitId, Weight,
};

use crate::Summary;
use crate::coordinator::Message;
use crate::daemon::Daemon;
use crate::engine::Engine;
use crate::rng::Rng;

/// Time after the story for everything to come to rest: the longest wait, and every look that follows.
const REST: Duration = Duration::from_secs(15 * 60);

/// How late somebody who waited in vain may hear of it: the disk may take so long, and what was decided before it, too.
const ANSWERED_LATE_MAX: Duration = Duration::from_secs(5);
/// Stories, in a thousand, in which people are busy all the time.
const BUSY_STORIES: u64 = 400;
/// How long they go on in those.
const STORY_BUSY: Duration = Duration::from_secs(30 * 60);
/// … and in the others.
const STORY_CALM: Duration = Duration::from_secs(5 * 60 * 60);

/// What is about to happen. What has a `life` is for that life of the daemon alone.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A user does something.
    UserActs(usize),
    /// Something befalls the machine.
    Disturbs,
    /// The Engine gets a request to create.
    CreateArrives { token: Token, identity: Identity, life: u64, boot: u64 },
    /// The daemon hears the end of a create.
    CreateAnswered { token: Token, container: ContainerId, life: u64 },
    /// The Engine gets a request to start.
    StartArrives { container: ContainerId, call: Call },
    /// The Engine's runtime asks for the binding.
    Binds { container: ContainerId, call: Call },
    /// It gets it, or is refused, or waits no longer.
    BindAnswered { container: ContainerId, call: Call, bound: Option<(Epoch, Vec<UnitId>)> },
    /// The Engine's runtime is done.
    Starts { container: ContainerId, call: Call, works: bool },
    /// The daemon hears the end of a start, or stops waiting for it.
    StartAnswered { container: ContainerId, call: Call, answer: Answer },
    /// The main process of a run ends.
    Dies { container: ContainerId, round: u64, exit: i32 },
    /// The last process of a run ends.
    Empties { container: ContainerId, round: u64 },
    /// The Engine forgets a container.
    Removes { container: ContainerId, by_force: bool },
    /// The daemon wants to look, at one container or at everything.
    LookBegins { at: Option<ContainerId>, life: u64 },
    /// It looks.
    Looks { number: u64, observed: Observed, at: Option<ContainerId>, life: u64 },
    /// It has looked, but for what it looks at at the last moment.
    LookEnds { number: u64, observed: Box<Observed>, later: Vec<ContainerId>, life: u64 },
    /// Everything is looked at from time to time.
    Tick { life: u64 },
    /// What runs is read from time to time.
    Pass { life: u64 },
    /// Something falls due in the state.
    Due { life: u64 },
    /// The disk has what was decided.
    Commits { life: u64 },
    /// The enforcer carries something out.
    Acts { act: Action, life: u64 },
    /// The owner of a container hears a warning.
    Warns { container: ContainerId, epoch: Epoch, cause: Cause, stage: Stage, stop_at: Time, life: u64 },
    /// The rules stop a container.
    Stops { container: ContainerId, epoch: Epoch, cause: Cause, life: u64 },
    /// The daemon hears the end of that.
    StopAnswered { container: ContainerId, life: u64 },
    /// A user hears that a container is kept.
    IsKept { container: ContainerId, length: Duration, until: Time },
    /// The daemon comes back.
    ComesBack,
}

/// A start on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: u64,
    /// The life of the daemon that sent it.
    pub(crate) life: u64,
    /// The boot of the machine in which it was sent.
    pub(crate) boot: u64,
    /// The grant that it carries; `None` for one that is passed on for a container that holds already.
    pub(crate) epoch: Option<Epoch>,
}

/// How a start ended, for the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Running,
    Failed,
    Unknown,
}

/// What a look saw.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) number: u64,
    pub(crate) observed: Observed,
}

/// How bad things are in a story.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Chances in a thousand that the daemon dies around a commit or a call.
    pub(crate) crash: u64,
    /// … that an answer of the Engine is not heard.
    pub(crate) lost: u64,
    /// … that the Engine, or the disk, takes its time.
    pub(crate) slow: u64,
    /// … that a start or a stop fails.
    pub(crate) fail: u64,
    /// … that processes outlive their container.
    pub(crate) linger: u64,
    /// … that an event of the Engine gets lost.
    pub(crate) deaf: u64,
    /// … that a figure cannot be read.
    pub(crate) blind: u64,
    /// How often something befalls the machine.
    pub(crate) disturb: u64,
}

impl Faults {
    /// Whether nothing goes wrong, nor takes its time.
    pub(crate) const fn are_none(&self) -> bool {
        self.crash + self.slow + self.blind + self.disturb == 0
    }
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
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
    /// Whether stops are carried out, and since when.
    pub(crate) mode: Mode,
    pub(crate) mode_since: Time,
    /// When somebody was last seen in the line.
    pub(crate) waited: Option<Time>,
    /// The driver says nothing until then.
    pub(crate) blind_until: Time,
    /// When what containers did was last written down.
    pub(crate) written: Time,
    /// When the daemon, or the Engine, was away, or will be.
    away: Vec<(Time, Time)>,
    /// How far the clock jumped ahead at boots.
    pub(crate) jumped: Duration,
    /// The longest that a user rests, in milliseconds.
    pub(crate) pause_max: u64,
    /// How long users go on.
    length: Duration,
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
            blind: often(100),
            disturb: often(20_000) / 1000,
        };
        // In some stories people are busy, in others they go home for hours.
        let busy = rng.permille(BUSY_STORIES);
        let (pause_max, length) = if busy { (60_000, STORY_BUSY) } else { (30 * 60_000, STORY_CALM) };
        let mode = if rng.permille(100) { Mode::Observe } else { Mode::Enforce };
        let mut world = Self {
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
            mode,
            mode_since: Time::default(),
            waited: None,
            blind_until: Time::default(),
            written: Time::default(),
            away: Vec::new(),
            jumped: Duration::ZERO,
            pause_max,
            length,
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
        let minutes = |number: u64| Duration::from_secs(number * 60);
        for kind in [Kind::Docker, Kind::DevContainer] {
            let most = Some(Cap::At(self.rng.between(15 * 60_000, 4 * 3_600_000)));
            self.policy.rules.kinds.insert(kind, KindTimes { max_runtime: most, ..KindTimes::default() });
        }
        let hurried = [None, None, Some(500), Some(250)];
        self.policy.rules.hurried_milli = self.rng.pick(&hurried).copied().flatten();
        let idle = [Cap::At(minutes(8)), Cap::At(minutes(30)), Cap::At(minutes(60)), Cap::Unlimited];
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
                idle_timeout: self.rng.pick(&idle).copied(),
                max_runtime: Some(if self.rng.permille(500) {
                    Cap::Unlimited
                } else {
                    Cap::At(minutes(200))
                }),
                container_hold_after_stop: Some(Cap::At(minutes(40))),
                ..Settings::default()
            };
            self.policy.users.insert(person.name.clone(), settings);
            self.people.push(person);
        }
    }

    /// Lets the story happen, then everybody go home, and looks at what is left.
    pub(crate) fn play(mut self) -> (Vec<String>, Result<Summary, String>) {
        for user in 0..self.people.len() {
            self.later(Duration::from_secs(1), Happening::UserActs(user));
        }
        self.later(Duration::from_secs(30), Happening::Disturbs);
        self.later(Duration::ZERO, Happening::Tick { life: 0 });
        self.watch_begins();
        let end = self.clock.after(self.length);
        self.run_until(end);
        if self.wrong.is_none() {
            self.go_home();
        }
        let rest = end.after(REST);
        self.run_until(rest);
        self.look_behind();
        let summary = Summary { minutes: self.length.as_secs() / 60, ..self.summary };
        (self.story, self.wrong.map_or(Ok(summary), Err))
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
        self.faults = Faults::default();
        self.engine.down_until = self.clock;
        if !self.daemon.up {
            self.come_back();
        }
        let ids: Vec<ContainerId> = self.daemon.state.containers().map(|c| c.id.clone()).collect();
        for id in ids {
            self.message(Message::Stop(id));
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
        // Whoever waits is answered when his time is over: the daemon is awake then, or waits for its disk.
        if self.daemon.committing {
            return;
        }
        let now = self.daemon.now(self.clock);
        let late = self.daemon.state.waiters().find(|waiter| waiter.deadline.after(ANSWERED_LATE_MAX) < now);
        if let Some(late) = late {
            let wrong = format!("{} waits beyond its deadline", late.name);
            self.wrong.get_or_insert(wrong);
        }
    }

    /// Has the coordinator wake up when its state says that something falls due.
    fn set_alarm(&mut self) {
        if !self.daemon.up || self.daemon.committing {
            return;
        }
        // Since the last plan: what fell due while the disk kept the desk is due still.
        let (now, due) = (self.daemon.now(self.clock), self.daemon.state.next_due(self.daemon.planned));
        if let Some(due) = due.filter(|due| self.due_at.is_none_or(|set| *due < set)) {
            self.due_at = Some(due);
            let life = self.daemon.life;
            self.later(due.since(now), Happening::Due { life });
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

    /// How long the daemon and the Engine were away since then.
    pub(crate) fn away_since(&self, then: Time) -> Duration {
        self.away_within(then, self.clock)
    }

    /// The same of a time that is over.
    pub(crate) fn away_within(&self, began: Time, ended: Time) -> Duration {
        self.away.iter().map(|(from, until)| ended.min(*until).since(began.max(*from))).sum()
    }

    pub(crate) fn is_away(&mut self, length: Duration) {
        self.away.push((self.clock, self.clock.after(length)));
    }

    /// How long the Engine takes for something small.
    pub(crate) fn engine_time(&mut self) -> Duration {
        let slow = self.rng.permille(self.faults.slow);
        if slow { self.rng.between(1000, 25_000) } else { self.rng.between(2, 80) }
    }

    pub(crate) fn come_back(&mut self) {
        if self.daemon.up {
            return;
        }
        self.tell("ds01d comes back");
        self.daemon.come_back();
        let life = self.daemon.life;
        self.later(Duration::ZERO, Happening::Tick { life });
        self.watch_begins();
    }

    /// A name for the story.
    pub(crate) fn name(&self, id: &ContainerId) -> String {
        self.engine
            .containers
            .get(id)
            .map_or_else(|| id.short().to_owned(), |real| real.identity.name.clone())
    }
}
