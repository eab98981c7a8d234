//! Every way in which a card can be cut, and what is chosen on it: the smallest sufficient units, none twice, never one
//! that would not do, and "never" exactly where no unit could ever do.
//!
//! Layouts are placements of profiles on memory slices within the chip's compute slices, whole or with gaps; those with
//! the same slices are one to the rules.

use std::collections::BTreeSet;

use ds01_domain::*;

/// What a chip can be cut into.
struct Chip {
    model: &'static str,
    compute: u8,
    memory: u8,
    /// MiB of a slice by its memory parts.
    mib: &'static [(u8, u64)],
    profiles: &'static [Profile],
}

/// Compute parts, memory parts, how many at most, and on which memory slices it may begin.
struct Profile(u8, u8, u8, &'static [u8]);

const SEVEN: &[Profile] = &[
    Profile(1, 1, 7, &[0, 1, 2, 3, 4, 5, 6]),
    Profile(1, 2, 4, &[0, 2, 4, 6]),
    Profile(2, 2, 3, &[0, 2, 4]),
    Profile(3, 4, 2, &[0, 4]),
    Profile(4, 4, 1, &[0]),
    Profile(7, 8, 1, &[0]),
];
const FOUR: &[Profile] =
    &[Profile(1, 1, 4, &[0, 1, 2, 3]), Profile(2, 2, 2, &[0, 2]), Profile(4, 4, 1, &[0])];

const CHIPS: [Chip; 6] = [
    Chip {
        model: "NVIDIA A100-SXM4-40GB",
        compute: 7,
        memory: 8,
        mib: &[(1, 4_864), (2, 9_856), (4, 19_968), (8, 40_192)],
        profiles: SEVEN,
    },
    Chip {
        model: "NVIDIA A100-SXM4-80GB",
        compute: 7,
        memory: 8,
        mib: &[(1, 9_856), (2, 19_968), (4, 40_192), (8, 80_384)],
        profiles: SEVEN,
    },
    Chip {
        model: "NVIDIA H100 80GB HBM3",
        compute: 7,
        memory: 8,
        mib: &[(1, 9_856), (2, 19_968), (4, 40_192), (8, 80_384)],
        profiles: SEVEN,
    },
    Chip {
        model: "NVIDIA H200",
        compute: 7,
        memory: 8,
        mib: &[(1, 18_432), (2, 35_840), (4, 72_704), (8, 144_384)],
        profiles: SEVEN,
    },
    Chip {
        model: "NVIDIA B200",
        compute: 7,
        memory: 8,
        mib: &[(1, 23_552), (2, 46_080), (4, 92_160), (8, 184_320)],
        profiles: SEVEN,
    },
    Chip {
        model: "NVIDIA A30",
        compute: 4,
        memory: 4,
        mib: &[(1, 6_144), (2, 12_288), (4, 24_576)],
        profiles: FOUR,
    },
];

/// A slice by compute and memory parts.
type Cut = (u8, u8);

impl Chip {
    /// Every layout, each once, as the slices that it has; the first is none at all.
    fn layouts(&self) -> BTreeSet<Vec<Cut>> {
        let mut found = BTreeSet::new();
        self.place(0, &mut Vec::new(), &mut found);
        found
    }

    /// Goes on at a memory slice: with nothing there, or with each profile that may begin there and that still fits.
    fn place(&self, at: u8, placed: &mut Vec<Cut>, found: &mut BTreeSet<Vec<Cut>>) {
        if at >= self.memory {
            let mut layout = placed.clone();
            layout.sort_unstable();
            found.insert(layout);
            return;
        }
        self.place(at + 1, placed, found);
        for Profile(compute, memory, most, starts) in self.profiles {
            let used: u8 = placed.iter().map(|(compute, _)| compute).sum();
            let same = placed.iter().filter(|cut| **cut == (*compute, *memory)).count();
            let fits = at + memory <= self.memory && used + compute <= self.compute;
            if starts.contains(&at) && fits && same < usize::from(*most) {
                placed.push((*compute, *memory));
                self.place(at + memory, placed, found);
                placed.pop();
            }
        }
    }

    fn mib_of(&self, memory: u8) -> u64 {
        self.mib.iter().find(|(parts, _)| *parts == memory).unwrap().1
    }

    /// The name of a slice's profile, as people write it.
    fn name(&self, (compute, memory): Cut) -> String {
        format!("{compute}g.{}gb", self.mib_of(memory).div_ceil(1024))
    }

    /// A card of a machine, cut so; a whole one if it is not cut.
    fn card(&self, index: u32, layout: &[Cut]) -> Vec<Unit> {
        let card = format!("GPU-{index}");
        let whole = Unit {
            id: UnitId::new(&card).unwrap(),
            card: CardId::new(&card).unwrap(),
            index,
            slice: None,
            model: self.model.to_owned(),
            memory_mib: self.mib_of(self.memory),
            weight: Weight::CARD,
        };
        if layout.is_empty() {
            return vec![whole];
        }
        let slices = (0_u32..).zip(layout).map(|(ordinal, cut)| Unit {
            id: UnitId::new(&format!("MIG-{index}-{ordinal}")).unwrap(),
            slice: Some(Slice { ordinal, profile: self.name(*cut), compute: cut.0, memory: cut.1 }),
            memory_mib: self.mib_of(cut.1),
            weight: Weight::of_slice(cut.0.into(), self.compute.into(), cut.1.into(), self.memory.into()),
            ..whole.clone()
        });
        slices.collect()
    }

    /// Wants that tell these units apart, each with the rule by which a unit meets it.
    fn wants(&self, units: &[Unit]) -> Vec<(Want, Rule)> {
        let mut wants =
            vec![(Want::count(1), Rule::Any), (Want { full: true, ..Want::count(1) }, Rule::Full)];
        let sizes: BTreeSet<u64> = units.iter().map(|unit| unit.memory_mib).collect();
        for least in sizes.iter().flat_map(|mib| [mib - 1, *mib, mib + 1]) {
            wants.push((Want { min_memory_mib: Some(least), ..Want::count(1) }, Rule::Memory(least)));
        }
        let named = |model: String| Want { model: Some(model), ..Want::count(1) };
        for Profile(compute, memory, ..) in self.profiles {
            wants.push((named(self.name((*compute, *memory))), Rule::Profile(*compute, Some(*memory))));
            wants.push((named(format!("{compute}G")), Rule::Profile(*compute, None)));
        }
        wants.push((named(self.model.to_uppercase()), Rule::Any));
        wants.push((named("gtx".to_owned()), Rule::None));
        wants
    }
}

/// What a want means, said in another way than the rules do.
enum Rule {
    Any,
    None,
    Full,
    Memory(u64),
    Profile(u8, Option<u8>),
}

impl Rule {
    fn meets(&self, unit: &Unit) -> bool {
        match self {
            Self::Any => true,
            Self::None => false,
            Self::Full => unit
                .slice
                .as_ref()
                .is_none_or(|slice| slice.compute == 7 || slice.profile.starts_with("4g.24")),
            Self::Memory(least) => unit.memory_mib >= *least,
            Self::Profile(compute, memory) => unit.slice.as_ref().is_some_and(|slice| {
                slice.compute == *compute && memory.is_none_or(|memory| memory == slice.memory)
            }),
        }
    }
}

/// One person on a machine with these units.
struct Lab {
    state: State,
    policy: Policy,
    person: Person,
    next: u64,
}

const NOW: Time = Time(1_000_000);

impl Lab {
    fn new(units: &[Unit], quota: Option<u32>) -> Self {
        let mut state = State::default();
        units.iter().for_each(|unit| state.apply(&Event::UnitSeen(unit.clone())));
        let defaults = Settings {
            max_gpu_equivalents: Some(
                quota.map_or(Cap::Unlimited, |milli| Cap::At(Weight::from_milli(milli))),
            ),
            max_gpu_slots_per_container: Some(Cap::Unlimited),
            max_containers_per_user: Some(Cap::Unlimited),
            ..Settings::default()
        };
        let person = Person { uid: Uid(7), name: "alice".to_owned(), unix_groups: Vec::new(), admin: false };
        Self { state, policy: Policy { defaults, ..Policy::default() }, person, next: 0 }
    }

    fn create(&self, want: &Want) -> Decision {
        let request = Request::Create { person: &self.person, want: Some(want), running_containers: 0 };
        decide(&self.policy, &self.state, &request, NOW)
    }

    /// Starts a new container; what it is granted, it has.
    fn start(&mut self, want: &Want) -> Decision {
        self.next += 1;
        let token = Token::new(&format!("{:032x}", self.next)).unwrap();
        let id = ContainerId::new(&format!("{:064x}", self.next)).unwrap();
        self.state.apply(&Event::CreatePlanned {
            token: token.clone(),
            owner: self.person.uid,
            owner_name: self.person.name.clone(),
            name: format!("c{}", self.next),
            kind: Kind::Docker,
            want: Some(want.clone()),
            restart: RestartPolicy::No,
            auto_remove: false,
            at: NOW,
        });
        self.state.apply(&Event::Created { token, container: id.clone(), at: NOW });
        let request = Request::Start { person: &self.person, container: &id, patience: None };
        let decision = decide(&self.policy, &self.state, &request, NOW);
        if let Decision::Grant(grant) = &decision {
            self.state.apply(&Event::Reserved(grant.clone()));
        }
        decision
    }
}

/// What units weigh together, in thousandths: no card more than itself.
fn weigh(units: &[&Unit]) -> u32 {
    let cards: BTreeSet<&CardId> = units.iter().map(|unit| &unit.card).collect();
    let of = |card: &CardId| {
        let weights = units.iter().filter(|unit| unit.card == *card).map(|unit| unit.weight.as_milli());
        weights.sum::<u32>().min(1000)
    };
    cards.into_iter().map(of).sum()
}

/// Those of some units that meet a rule, the smallest first.
fn sufficient<'a>(units: &'a [Unit], rule: &Rule) -> Vec<&'a Unit> {
    let mut found: Vec<&Unit> = units.iter().filter(|unit| rule.meets(unit)).collect();
    found.sort_by_key(|unit| {
        (unit.weight, unit.memory_mib, unit.index, unit.slice.as_ref().map(|s| s.ordinal))
    });
    found
}

/// Starts containers with one want until there is nothing left for them.
fn use_up(units: &[Unit], want: &Want, rule: &Rule, what: &str) {
    let asked = want.units();
    let good = sufficient(units, rule);
    let mut lab = Lab::new(units, None);
    match lab.create(want) {
        Decision::Denial(Denial::Never { fitting, .. }) => {
            assert!(good.len() < asked, "{what}: never, and {} would do", good.len());
            assert_eq!(fitting, good.len(), "{what}");
            return;
        }
        decision => {
            assert!(matches!(decision, Decision::Admit(_)), "{what}: {decision:?}");
            assert!(good.len() >= asked, "{what}: admitted, and {} would do", good.len());
        }
    }
    let mut granted: Vec<UnitId> = Vec::new();
    loop {
        let left: Vec<&&Unit> = good.iter().filter(|unit| !granted.contains(&unit.id)).collect();
        match lab.start(want) {
            Decision::Grant(grant) => {
                assert_eq!(grant.units().len(), asked, "{what}");
                let mut chosen = grant.units().to_vec();
                chosen.sort();
                let mut smallest: Vec<UnitId> = left.iter().take(asked).map(|unit| unit.id.clone()).collect();
                smallest.sort();
                assert_eq!(chosen, smallest, "{what}: the smallest sufficient ones, none that somebody has");
                granted.extend(chosen);
                let held: Vec<&Unit> = units.iter().filter(|unit| granted.contains(&unit.id)).collect();
                assert_eq!(lab.state.used_by(lab.person.uid).as_milli(), weigh(&held), "{what}");
            }
            Decision::Wait(_) => {
                assert!(left.len() < asked, "{what}: it waits, and {} are free", left.len());
                return;
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// Has somebody with a quota take single units until he is denied.
fn meet_quota(units: &[Unit], want: &Want, rule: &Rule, quota: u32, what: &str) {
    let good = sufficient(units, rule);
    let mut lab = Lab::new(units, Some(quota));
    let mut held: Vec<&Unit> = Vec::new();
    for unit in &good {
        let mut with = held.clone();
        with.push(unit);
        let fits = weigh(&with) <= quota;
        match lab.start(want) {
            Decision::Grant(grant) => {
                assert!(fits, "{what}: {} is granted beyond {quota}", unit.label());
                assert_eq!(grant.units(), std::slice::from_ref(&unit.id), "{what}");
                held = with;
            }
            Decision::Denial(Denial::Quota(denied)) => {
                assert!(!fits, "{what}: {} is denied within {quota}", unit.label());
                assert_eq!(denied.held.as_milli(), weigh(&held), "{what}");
                return;
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn layouts_are_those_that_the_chip_allows() {
    let a100 = CHIPS[0].layouts();
    for there in [
        vec![],
        vec![(1, 1); 7],
        vec![(1, 2); 4],
        vec![(3, 4), (3, 4)],
        vec![(3, 4), (4, 4)],
        vec![(1, 1), (2, 2), (4, 4)],
        vec![(1, 1), (2, 2), (2, 2), (2, 2)],
        vec![(7, 8)],
    ] {
        assert!(a100.contains(&there), "{there:?}");
    }
    for not_there in [vec![(4, 4), (4, 4)], vec![(1, 1); 8], vec![(2, 2); 4], vec![(1, 1), (3, 4), (4, 4)]] {
        assert!(!a100.contains(&not_there), "{not_there:?}");
    }
    assert!(CHIPS[5].layouts().contains(&vec![(1, 1), (1, 1), (2, 2)]));
}

#[test]
fn a_slice_weighs_its_larger_share_and_a_card_no_more_than_itself() {
    for chip in &CHIPS {
        for layout in chip.layouts() {
            let units = chip.card(0, &layout);
            for unit in units.iter().filter(|unit| unit.slice.is_some()) {
                let slice = unit.slice.as_ref().unwrap();
                let share = |part: u8, of: u8| f64::from(part) / f64::from(of);
                let larger = share(slice.compute, chip.compute).max(share(slice.memory, chip.memory));
                let weight = f64::from(unit.weight.as_milli()) / 1000.0;
                assert!((weight - larger).abs() <= 0.0005, "{} {}", chip.model, slice.profile);
            }
            let mut lab = Lab::new(&units, None);
            while matches!(lab.start(&Want::count(1)), Decision::Grant(_)) {}
            let all: Vec<&Unit> = units.iter().collect();
            assert_eq!(lab.state.used_by(lab.person.uid).as_milli(), weigh(&all));
            assert!(weigh(&all) <= 1000);
        }
    }
}

#[test]
fn on_every_layout_each_want_gets_the_smallest_sufficient_units() {
    for chip in &CHIPS {
        for layout in chip.layouts() {
            let one = chip.card(0, &layout);
            // Beside it one that is whole, and one that is cut the same way.
            let three = [one.clone(), chip.card(1, &[]), chip.card(2, &layout)].concat();
            for units in [one, three] {
                for (want, rule) in chip.wants(&units) {
                    for count in 1..=3 {
                        let want = Want { ask: Ask::Count(count), ..want.clone() };
                        let what = format!("{} {layout:?}, {} units: {want}", chip.model, units.len());
                        use_up(&units, &want, &rule, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn on_every_layout_a_quota_is_met_exactly() {
    for chip in &CHIPS {
        for layout in chip.layouts() {
            let units = [chip.card(0, &layout), chip.card(1, &[])].concat();
            let all: Vec<&Unit> = sufficient(&units, &Rule::Any);
            // At each sum that can be held, and just below it.
            let sums: BTreeSet<u32> = (1..=all.len()).map(|count| weigh(&all[..count])).collect();
            for quota in sums.into_iter().flat_map(|sum| [sum - 1, sum]) {
                let what = format!("{} {layout:?}", chip.model);
                meet_quota(&units, &Want::count(1), &Rule::Any, quota, &what);
                meet_quota(&units, &Want { full: true, ..Want::count(1) }, &Rule::Full, quota, &what);
            }
        }
    }
}

#[test]
fn a_unit_that_is_named_is_granted_and_no_other_is() {
    for chip in &CHIPS {
        for layout in chip.layouts() {
            let units = [chip.card(0, &layout), chip.card(1, &layout)].concat();
            for unit in &units {
                let selector = match &unit.slice {
                    Some(slice) => Selector::Slice(unit.index, slice.ordinal),
                    None => Selector::Index(unit.index),
                };
                let mut lab = Lab::new(&units, None);
                let want = Want::named(vec![selector]);
                let Decision::Grant(grant) = lab.start(&want) else {
                    panic!("{} is not granted", unit.label())
                };
                assert_eq!(grant.units(), std::slice::from_ref(&unit.id));
                assert!(matches!(lab.start(&want), Decision::Wait(_)), "{} is granted twice", unit.label());
            }
            let nothing = Want::named(vec![Selector::Slice(2, 0)]);
            assert!(matches!(
                Lab::new(&units, None).create(&nothing),
                Decision::Denial(Denial::UnknownUnit { .. })
            ));
        }
    }
}
