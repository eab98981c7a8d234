//! A machine of any size for measuring: cards whole and cut, people in groups with quotas, priorities and a history of
//! use, all units held, and a line of starts behind them. The same numbers give the same machine.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::*;

/// When everything is measured.
pub(crate) const NOW: Time = Time(400 * 60 * 60 * 1000);
const MINUTE: u64 = 60 * 1000;
/// Slices by compute and memory parts, as cards are cut by turns; none is a whole card.
const CUTS: [&[(u8, u8)]; 4] = [&[], &[(1, 1); 7], &[(3, 4), (2, 2), (1, 1), (1, 1)], &[(4, 4), (3, 4)]];
/// Small cards that are free.
const SPARE: u32 = 5;
/// Every so many starts one that asks for two units.
const PAIRS_EVERY: usize = 11;

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Units that can be granted.
    pub(crate) units: usize,
    /// Starts that wait.
    pub(crate) waiting: usize,
    /// People.
    pub(crate) people: usize,
}

/// A machine, and whoever wants something of it.
pub(crate) struct Machine {
    /// The rules.
    pub(crate) policy: Policy,
    /// Everybody.
    pub(crate) people: Vec<Person>,
    /// All units held, and the line behind them.
    pub(crate) state: State,
    /// Containers that neither hold nor wait, one of each person.
    pub(crate) idle: Vec<ContainerId>,
    next: u64,
}

impl Machine {
    /// A machine of this size; if `spare`, with some small cards that are free and that nobody in line would have.
    pub(crate) fn new(size: Size, spare: bool) -> Self {
        let mut machine =
            Self { policy: policy(), people: Vec::new(), state: State::default(), idle: Vec::new(), next: 0 };
        for number in 0..size.people {
            machine.people.push(Person {
                uid: Uid(1000 + u32::try_from(number).expect("so many people")),
                name: format!("person{number:04}"),
                unix_groups: vec![GROUPS[number % GROUPS.len()].0.to_owned()],
                admin: false,
            });
        }
        machine.add_units(size.units);
        machine.remember_use();
        machine.fill();
        for number in 0..size.waiting {
            machine.wait(number, spare);
        }
        if spare {
            machine.add_spare();
        }
        for owner in 0..size.people {
            let id = machine.create(owner, Want::count(1));
            machine.idle.push(id);
        }
        machine
    }

    fn add_units(&mut self, count: usize) {
        let mut left = count;
        for index in 0_u32.. {
            let cut = CUTS[index as usize % CUTS.len()];
            for unit in card(index, cut).into_iter().take(left) {
                self.state.apply(&Event::UnitSeen(unit));
                left -= 1;
            }
            if left == 0 {
                return;
            }
        }
    }

    /// Two weeks of it, each at other hours than the next.
    fn remember_use(&mut self) {
        for (number, person) in (0_u64..).zip(&self.people) {
            for hour in (64..400).filter(|hour| (hour + number) % 3 != 0) {
                let amount = 1000 * MINUTE * (1 + (number * 7 + hour * 13) % 120);
                self.state.apply(&Event::Carried(Carried::Usage { owner: person.uid, hour, amount }));
            }
        }
    }

    /// Gives every unit to somebody, in turn.
    fn fill(&mut self) {
        let units: Vec<Unit> = self.state.units().map(|view| view.unit.clone()).collect();
        for (number, unit) in units.into_iter().enumerate() {
            let owner = number % self.people.len();
            let id = self.create(owner, Want::count(1));
            self.run(&id, owner, vec![unit.id]);
        }
    }

    /// Has a container run with these units.
    fn run(&mut self, id: &ContainerId, owner: usize, units: Vec<UnitId>) {
        let epoch = self.state.next_epoch();
        let at = Time(NOW.0 - 3 * 60 * MINUTE - epoch.0);
        let (uid, weight) = (self.people[owner].uid, self.state.weight_of(&units));
        let hold = Duration::from_secs(900);
        let grant = Grant::from_ledger(id.clone(), uid, epoch, units, weight, Issuer::Local, hold, at);
        self.state.apply(&Event::Reserved(grant));
        self.state.apply(&Event::Bound { container: id.clone(), epoch, at });
        self.state.apply(&Event::Ran { container: id.clone(), epoch, at });
    }

    /// A container that neither holds nor waits.
    fn create(&mut self, owner: usize, want: Want) -> ContainerId {
        self.next += 1;
        let id = ContainerId::new(&format!("{:064x}", self.next * 0x9e37_79b9)).expect("an id");
        let token = Token::new(&format!("{:032x}", self.next)).expect("a token");
        let person = &self.people[owner];
        self.state.apply(&Event::CreatePlanned {
            token: token.clone(),
            owner: person.uid,
            owner_name: person.name.clone(),
            name: format!("{}-{}", person.name, self.next),
            kind: Kind::Docker,
            want: Some(want),
            restart: RestartPolicy::No,
            auto_remove: false,
            at: Time(NOW.0 - 200 * MINUTE),
        });
        self.state.apply(&Event::Created { token, container: id.clone(), at: Time(NOW.0 - 200 * MINUTE) });
        id
    }

    fn wait(&mut self, number: usize, demanding: bool) {
        let owner = number * 7 % self.people.len();
        let mut want = match number % 7 {
            _ if number.is_multiple_of(PAIRS_EVERY) => Want::count(2),
            0 => Want { full: true, ..Want::count(1) },
            1 => Want { min_memory_mib: Some(20 * 1024), ..Want::count(1) },
            2 => Want { model: Some("a100".to_owned()), ..Want::count(1) },
            3 => Want { min_memory_mib: Some(40 * 1024), ..Want::count(1) },
            4 => Want { model: Some("2g.20gb".to_owned()), ..Want::count(1) },
            _ => Want::count(1),
        };
        if demanding && want.model.is_none() {
            want.min_memory_mib = want.min_memory_mib.max(Some(20 * 1024));
        }
        let id = self.create(owner, want);
        let at = Time(NOW.0 - 30 * MINUTE + number as u64);
        let Decision::Wait(wait) = self.start(&id, owner, at) else { panic!("a start did not wait") };
        self.state.apply(&wait.into_event());
    }

    /// Asks for a start.
    pub(crate) fn start(&self, container: &ContainerId, owner: usize, now: Time) -> Decision {
        let request = Request::Start { person: &self.people[owner], container, patience: None };
        decide(&self.policy, &self.state, &request, now)
    }

    /// A unit as somebody sees it whose container has just ended.
    pub(crate) fn end_of(&self, unit: &UnitId) -> Observed {
        let holder = self.state.unit(unit).and_then(|view| view.holder).expect("a holder");
        let seen = Seen::plain(Run::Exited(0), Occupancy::Empty);
        let unit = self.state.unit(unit).expect("a unit").unit.clone();
        Observed {
            began: NOW,
            containers: BTreeMap::from([(holder.container.clone(), seen)]),
            units: BTreeMap::from([(unit.id.clone(), UnitSeen { unit, processes: Processes::Count(0) })]),
            ..Observed::default()
        }
    }

    /// The smallest unit of the machine, and the largest.
    pub(crate) fn extremes(&self) -> (UnitId, UnitId) {
        let units = fitting(&self.state, &Want::count(1));
        (units[0].id.clone(), units[units.len() - 1].id.clone())
    }

    /// Adds small cards that nobody in line wants.
    fn add_spare(&mut self) {
        for number in 0..SPARE {
            let unit = card(100_000 + number, &[]).remove(0);
            self.state.apply(&Event::UnitSeen(Unit {
                model: "Tesla T4".to_owned(),
                memory_mib: 15 * 1024,
                ..unit
            }));
        }
    }
}

const GROUPS: [(&str, i32); 4] = [("student", 0), ("researcher", 5), ("staff", 10), ("guest", -5)];

fn policy() -> Policy {
    let group = |name: &str, priority| Group {
        members: Vec::new(),
        unix_groups: vec![name.to_owned()],
        settings: Settings {
            max_gpu_equivalents: Some(Cap::At(Weight::from_milli(60_000))),
            max_gpu_slots_per_container: Some(Cap::At(4)),
            max_containers_per_user: Some(Cap::Unlimited),
            start_wait: Some(Duration::from_secs(3600)),
            priority: Some(priority),
            ..Settings::default()
        },
    };
    Policy {
        default_group: "student".to_owned(),
        groups: GROUPS.iter().map(|(name, priority)| ((*name).to_owned(), group(name, *priority))).collect(),
        ..Policy::default()
    }
}

/// A card, whole or cut.
fn card(index: u32, cut: &[(u8, u8)]) -> Vec<Unit> {
    let name = format!("GPU-{index:08x}-0000-1111-2222-333344445555");
    let whole = Unit {
        id: UnitId::new(&name).expect("an id"),
        card: CardId::new(&name).expect("an id"),
        index,
        slice: None,
        model: if index.is_multiple_of(8) { "NVIDIA H100 80GB HBM3" } else { "NVIDIA A100-SXM4-80GB" }
            .to_owned(),
        memory_mib: 80 * 1024,
        weight: Weight::CARD,
    };
    if cut.is_empty() {
        return vec![whole];
    }
    let slices = (0_u32..).zip(cut).map(|(ordinal, (compute, memory))| Unit {
        id: UnitId::new(&format!("MIG-{index:08x}-{ordinal:04x}-1111-2222-333344445555")).expect("an id"),
        slice: Some(Slice {
            ordinal,
            profile: format!("{compute}g.{}gb", 10 * memory),
            compute: *compute,
            memory: *memory,
        }),
        memory_mib: 10 * 1024 * u64::from(*memory),
        weight: Weight::of_slice((*compute).into(), 7, (*memory).into(), 8),
        ..whole.clone()
    });
    slices.collect()
}
