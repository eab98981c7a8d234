//! What holds in every story, whatever people, Engine and daemon do. `World::check` looks after each step that no unit
//! has two holders and that the ledger gives the state again; `World::follow`, that a plan carried out leaves nothing
//! to do; `World::record`, that no grant exceeds a quota.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::*;
use proptest::prelude::*;

use crate::world::World;

const CONTAINERS: usize = 8;

/// One thing that happens in a lab.
#[derive(Clone, Debug)]
enum Happening {
    Create { container: usize, want: u8, restart: u8, rm: bool },
    Start { container: usize, patience: u16 },
    Exit { container: usize, code: u8, occupied: bool },
    Stop(usize),
    Remove(usize),
    Cancel(usize),
    Hang { container: usize, hangs: bool },
    StartFails(usize),
    StartUnanswered(usize),
    StartWorked(usize),
    Cgroup { container: usize, occupancy: Occupancy },
    Processes { unit: usize, processes: Processes },
    Rogue { container: usize, unit: usize },
    Pass(u32),
    Look,
    Remember,
    LateLook,
    Crash,
}

fn happening() -> impl Strategy<Value = Happening> {
    let container = 0..CONTAINERS;
    prop_oneof![
        4 => (container.clone(), any::<u8>(), any::<u8>(), any::<bool>())
            .prop_map(|(container, want, restart, rm)| Happening::Create { container, want, restart, rm }),
        8 => (container.clone(), any::<u16>())
            .prop_map(|(container, patience)| Happening::Start { container, patience }),
        5 => (container.clone(), 0..3_u8, prop::bool::weighted(0.2))
            .prop_map(|(container, code, occupied)| Happening::Exit { container, code, occupied }),
        2 => container.clone().prop_map(Happening::Stop),
        1 => container.clone().prop_map(Happening::Remove),
        1 => container.clone().prop_map(Happening::Cancel),
        1 => (container.clone(), any::<bool>())
            .prop_map(|(container, hangs)| Happening::Hang { container, hangs }),
        1 => container.clone().prop_map(Happening::StartFails),
        1 => container.clone().prop_map(Happening::StartUnanswered),
        1 => container.clone().prop_map(Happening::StartWorked),
        2 => (container.clone(), prop_oneof![
                Just(Occupancy::Empty), Just(Occupancy::Empty), Just(Occupancy::Occupied), Just(Occupancy::Unknown),
            ]).prop_map(|(container, occupancy)| Happening::Cgroup { container, occupancy }),
        2 => (0..8_usize, prop_oneof![
                Just(Processes::Count(0)), Just(Processes::Count(0)), Just(Processes::Count(1)),
                Just(Processes::Unknown), Just(Processes::Unknowable),
            ]).prop_map(|(unit, processes)| Happening::Processes { unit, processes }),
        1 => (container, 0..8_usize).prop_map(|(container, unit)| Happening::Rogue { container, unit }),
        3 => (1..400_000_u32).prop_map(Happening::Pass),
        3 => Just(Happening::Look),
        1 => Just(Happening::Remember),
        1 => Just(Happening::LateLook),
        1 => Just(Happening::Crash),
    ]
}

fn want(number: u8) -> Option<Want> {
    Some(match number % 10 {
        0 => return None,
        1..=4 => Want::count(1),
        5 => Want::count(2),
        6 => Want { full: true, ..Want::count(1) },
        7 => Want { min_memory_mib: Some(20 * 1024), ..Want::count(1) },
        8 => Want::named(vec![Selector::Slice(1, 0)]),
        _ => Want::named(vec![Selector::Index(0), Selector::Slice(1, 2)]),
    })
}

fn lab() -> World {
    let mut world = World::new();
    world.card("A100", 80 * 1024, &[]);
    world.card("A100", 80 * 1024, &[(3, 4), (2, 2), (1, 1), (1, 1)]);
    for (number, (name, milli, priority)) in
        [("alice", Some(1000), 0), ("bob", Some(1500), 0), ("carol", None, 5), ("dave", Some(500), 0)]
            .into_iter()
            .enumerate()
    {
        let uid = Uid(1000 + u32::try_from(number).unwrap());
        let person = Person { uid, name: name.to_owned(), unix_groups: Vec::new(), admin: false };
        world.people.insert(name.to_owned(), person);
        let settings = Settings {
            max_gpu_equivalents: Some(
                milli.map_or(Cap::Unlimited, |milli| Cap::At(Weight::from_milli(milli))),
            ),
            priority: Some(priority),
            ..Settings::default()
        };
        world.policy.users.insert(name.to_owned(), settings);
    }
    world.look();
    world
}

fn happen(world: &mut World, happening: &Happening, remembered: &mut Option<Observed>) {
    let owners: Vec<String> = world.people.keys().cloned().collect();
    let name = |number: usize| format!("c{number}");
    match happening {
        Happening::Create { container, want: number, restart, rm } => {
            let name = name(*container);
            if !world.engine.contains_key(&name) {
                let restart = match restart % 4 {
                    0 => RestartPolicy::Always,
                    1 => RestartPolicy::OnFailure { max: 3 },
                    _ => RestartPolicy::No,
                };
                let owner = &owners[container % owners.len()];
                world.create(owner, &name, want(*number).as_ref(), restart, *rm);
            }
        }
        Happening::Pass(ms) => world.pass(Duration::from_millis(u64::from(*ms))),
        Happening::Look => world.look(),
        Happening::Remember => *remembered = Some(world.observe()),
        Happening::LateLook => {
            // A real look that was begun before a start ended names that start as in flight.
            if let Some(late) = remembered.take() {
                world.follow(&late);
            }
        }
        Happening::Crash => world.crash(),
        Happening::Processes { unit, processes } => {
            let count = world.machine.len();
            let seen = world.machine.values_mut().nth(unit % count).unwrap();
            seen.processes = *processes;
        }
        Happening::Start { container, .. }
        | Happening::Exit { container, .. }
        | Happening::Stop(container)
        | Happening::Remove(container)
        | Happening::Cancel(container)
        | Happening::Hang { container, .. }
        | Happening::StartFails(container)
        | Happening::StartUnanswered(container)
        | Happening::StartWorked(container)
        | Happening::Cgroup { container, .. }
        | Happening::Rogue { container, .. } => {
            let name = name(*container);
            if world.engine.contains_key(&name) {
                happen_to(world, &name, happening);
            }
        }
    }
}

fn happen_to(world: &mut World, name: &str, happening: &Happening) {
    let id = world.id(name);
    let units: Vec<UnitId> = world.machine.keys().cloned().collect();
    match happening {
        Happening::Start { patience, .. } => {
            world.now = Time(world.now.0 + 1);
            world.start(name, Some(Duration::from_millis(u64::from(*patience) * 10)));
        }
        Happening::Exit { code, occupied, .. } => {
            let real = world.engine.get_mut(name).unwrap();
            if real.run == Run::Running {
                real.run = Run::Exited(i32::from(*code));
                real.cgroup = if *occupied { Occupancy::Occupied } else { Occupancy::Empty };
            }
        }
        Happening::Stop(_) => {
            world.record(Event::StopAsked { container: id, at: world.now });
            let real = world.engine.get_mut(name).unwrap();
            if real.run == Run::Running {
                real.run = Run::Exited(143);
                real.cgroup = Occupancy::Empty;
            }
        }
        Happening::Remove(_) => {
            let in_flight = world.in_flight.contains(&id);
            if !in_flight && world.engine[name].cgroup == Occupancy::Empty {
                world.engine.remove(name);
            }
        }
        Happening::Cancel(_) => {
            if let Some(ticket) = world.state.waiter_of(&id).map(|waiter| waiter.ticket) {
                world.record(Event::Left { ticket, why: LeftWhy::Cancelled });
            }
        }
        Happening::Hang { hangs, .. } => world.engine.get_mut(name).unwrap().hangs = *hangs,
        Happening::StartFails(_) => {
            let was_sent = world.in_flight.remove(&id);
            let held = world.state.holding(&id).map(|holding| holding.epoch);
            if let Some(epoch) = held.filter(|_| was_sent) {
                let at = world.now;
                world.record(Event::Ended { container: id, epoch, at, exit: None, by_user: false });
            }
        }
        Happening::StartUnanswered(_) => {
            world.in_flight.remove(&id);
        }
        Happening::StartWorked(_) => {
            let holding =
                world.state.holding(&id).filter(|holding| holding.phase == Phase::Reserved).cloned();
            if let Some(holding) = holding.filter(|_| world.in_flight.remove(&id)) {
                let (epoch, at) = (holding.epoch, world.now);
                world.record(Event::Bound { container: id, epoch, at });
                let real = world.engine.get_mut(name).unwrap();
                real.run = Run::Running;
                real.cgroup = Occupancy::Occupied;
                real.devices = Some(holding.units.iter().cloned().collect());
                real.receipt = Some((epoch, holding.units));
            }
        }
        Happening::Cgroup { occupancy, .. } => {
            let real = world.engine.get_mut(name).unwrap();
            if matches!(real.run, Run::Exited(_)) {
                real.cgroup = *occupancy;
            }
        }
        Happening::Rogue { unit, .. } => {
            // Root starts it past the door, with a unit of his choice.
            let real = world.engine.get_mut(name).unwrap();
            if matches!(real.run, Run::Exited(_) | Run::Created) {
                real.run = Run::Running;
                real.cgroup = Occupancy::Occupied;
                real.receipt = None;
                real.devices = Some(std::iter::once(units[unit % units.len()].clone()).collect());
            }
        }
        _ => {}
    }
    world.check();
}

/// Everybody goes home, and whoever hung is gone.
fn close(world: &mut World) {
    for real in world.engine.values_mut() {
        real.hangs = false;
        real.run = Run::Exited(0);
        real.cgroup = Occupancy::Empty;
    }
    for seen in world.machine.values_mut() {
        seen.processes = Processes::Count(0);
    }
    let ids: Vec<ContainerId> = world.state.containers().map(|container| container.id.clone()).collect();
    for container in ids {
        world.record(Event::StopAsked { container, at: world.now });
    }
    world.in_flight.clear();
    world.creating.clear();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn in_every_story_units_have_one_holder_and_nothing_is_left_behind(
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let mut world = lab();
        let mut remembered = None;
        for happening in &happenings {
            happen(&mut world, happening, &mut remembered);
            world.check();
        }
        // Waits end, whoever was started out of the line goes home too.
        for _ in 0..4 {
            close(&mut world);
            world.pass(Duration::from_secs(200));
        }
        close(&mut world);
        world.pass(Duration::from_secs(60));
        world.look();
        prop_assert_eq!(world.state.waiters().count(), 0, "somebody was never answered");
        prop_assert_eq!(world.state.holdings().count(), 0, "units were never released");
        for view in world.state.units() {
            prop_assert!(view.is_free(), "{} is {}", view.unit.id, view.health);
        }
    }

    #[test]
    fn nobody_is_overtaken_for_ever(
        steps in prop::collection::vec((0..12_usize, 1..4_u32, 0..3_i32, any::<bool>()), 1..80),
    ) {
        const OVERTAKES_MAX: u32 = 3;
        let mut world = World::new();
        world.policy.rules.overtakes_max = OVERTAKES_MAX;
        for _ in 0..4 {
            world.card("A100", 80 * 1024, &[]);
        }
        world.look();
        for number in 0..12_u32 {
            let name = format!("p{number}");
            let person = Person { uid: Uid(number), name: name.clone(), unix_groups: Vec::new(), admin: false };
            world.people.insert(name.clone(), person);
            let settings = Settings {
                max_gpu_equivalents: Some(Cap::Unlimited),
                max_gpu_slots_per_container: Some(Cap::Unlimited),
                max_containers_per_user: Some(Cap::Unlimited),
                start_wait: Some(Duration::from_secs(100_000)),
                ..Settings::default()
            };
            world.policy.users.insert(name, settings);
        }
        let mut passed: BTreeMap<Ticket, u32> = BTreeMap::new();
        for (number, units, priority, leaves) in steps {
            let (person, container) = (format!("p{number}"), format!("c{number}"));
            let before: Vec<Waiter> = world.state.waiters().cloned().collect();
            let known = world.ledger.len();
            if leaves {
                if let Some(real) = world.engine.get_mut(&container).filter(|real| real.run == Run::Running) {
                    real.run = Run::Exited(0);
                    real.cgroup = Occupancy::Empty;
                }
            } else {
                let settings = world.policy.users.get_mut(&person).unwrap();
                settings.priority = Some(priority);
                if !world.engine.contains_key(&container) {
                    world.create(&person, &container, Some(&Want::count(units)), RestartPolicy::No, false);
                }
                world.now = Time(world.now.0 + 1);
                world.start(&container, None);
            }
            world.pass(Duration::from_secs(1000));
            // A newcomer that was served at once came after all who waited.
            let served: Vec<ContainerId> = world.ledger[known..]
                .iter()
                .filter_map(|event| match event {
                    Event::Reserved(grant) => Some(grant.container().clone()),
                    _ => None,
                })
                .collect();
            for winner in served {
                let waited = before.iter().find(|waiter| waiter.container == winner);
                let ticket = waited.map_or(Ticket(u64::MAX), |waiter| waiter.ticket);
                let rank = waited.map_or(priority, |waiter| waiter.limits.priority);
                for waiter in world.state.waiters() {
                    if waiter.ticket < ticket && waiter.limits.priority >= rank {
                        *passed.entry(waiter.ticket).or_default() += 1;
                    }
                }
            }
            for waiter in world.state.waiters() {
                let count = passed.get(&waiter.ticket).copied().unwrap_or(0);
                prop_assert!(count <= OVERTAKES_MAX, "{} was overtaken {count} times", waiter.name);
            }
        }
    }

    #[test]
    fn the_ledger_takes_any_history_without_two_holders(
        steps in prop::collection::vec((0..4_usize, 0..4_u64, 0..8_usize, 0..3_usize, 0..1000_u64), 0..80),
    ) {
        let units: Vec<UnitId> = (0..3).map(|n| UnitId::new(&format!("GPU-{n}")).unwrap()).collect();
        let containers: Vec<ContainerId> =
            (0..4).map(|n| ContainerId::new(&format!("{n:064x}")).unwrap()).collect();
        let mut state = State::default();
        for (container, epoch, kind, unit, at) in steps {
            let (id, epoch, at) = (containers[container].clone(), Epoch(epoch), Time(at));
            let event = match kind {
                0 | 1 => Event::Reserved(Grant::from_ledger(
                    id, Uid(1), epoch, vec![units[unit].clone()], Weight::CARD, Issuer::Local, Duration::ZERO, at,
                )),
                2 => Event::Bound { container: id, epoch, at },
                3 => Event::Ran { container: id, epoch, at },
                4 => Event::Ended { container: id, epoch, at, exit: Some(0), by_user: false },
                5 => Event::Released { container: id, epoch, at },
                6 => Event::Removed { container: id, at },
                _ => Event::Adopted {
                    container: id, owner: Uid(1), owner_name: "a".into(), name: "b".into(), epoch,
                    units: vec![units[unit].clone()], at,
                },
            };
            state.apply(&event);
            let mut held: Vec<&UnitId> = state.holdings().flat_map(|holding| &holding.units).collect();
            let count = held.len();
            held.sort();
            held.dedup();
            prop_assert_eq!(held.len(), count, "two holders after {:?}", event);
        }
    }
}

#[test]
fn an_event_of_an_epoch_that_is_over_changes_nothing() {
    let mut world = lab();
    world.create("carol", "c", Some(&Want::count(1)), RestartPolicy::Always, false);
    world.start("c", None);
    let id = world.id("c");
    let old = world.state.holding(&id).unwrap().epoch;
    world.engine.get_mut("c").unwrap().run = Run::Exited(0);
    world.engine.get_mut("c").unwrap().cgroup = Occupancy::Empty;
    world.look();
    world.start("c", None);
    assert_ne!(world.state.holding(&id).unwrap().epoch, old);
    let before = world.state.clone();
    let at = world.now;
    for late in [
        Event::Bound { container: id.clone(), epoch: old, at },
        Event::Ran { container: id.clone(), epoch: old, at },
        Event::Ended { container: id.clone(), epoch: old, at, exit: Some(1), by_user: true },
        Event::Released { container: id, epoch: old, at },
    ] {
        world.state.apply(&late);
        assert!(world.state == before, "{late:?} changed something");
    }
}
