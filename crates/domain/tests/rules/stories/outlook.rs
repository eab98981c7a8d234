//! What those who wait are told to expect, beside what then comes.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn minutes(count: u32) -> Duration {
    MINUTE * count
}

/// A machine of so many cards, and four people who may each have two.
fn world(cards: u32) -> World {
    let mut world = World::new();
    for _ in 0..cards {
        world.card("A100", 81920, &[]);
    }
    world.look();
    for (number, name) in (1001..).zip(PEOPLE) {
        let person = Person { uid: Uid(number), name: name.into(), unix_groups: Vec::new(), admin: false };
        world.people.insert(name.into(), person);
    }
    world
}

fn begins(world: &mut World, who: &str, name: &str, count: u32) {
    world.create(who, name, Some(&Want::count(count)), RestartPolicy::No, false);
    world.start(name, None);
}

/// An end that is known: it will be idle for long enough then, and will have run for long enough.
fn ends(expected: Option<Time>, latest: Option<Time>) -> GoesBack {
    let idle = expected.filter(|at| latest.is_none_or(|latest| *at < latest)).map(|at| (at, Cause::Idle));
    GoesBack { expected: idle.or(latest.map(|at| (at, Cause::Runtime))), latest }
}

fn told(world: &World, ends: &BTreeMap<ContainerId, GoesBack>) -> String {
    let since = |at: Time| format!("{} min", at.since(world.now).as_secs() / 60);
    let mut lines: Vec<String> = outlooks(&world.policy, &world.state, ends, world.now)
        .into_iter()
        .map(|(id, outlook)| {
            let expected = outlook.expected.map_or_else(
                || "unknown".to_owned(),
                |(at, cause, by)| format!("{} ({cause}: {})", since(at), by.name),
            );
            let latest = outlook.latest.map_or_else(
                || format!("never, for {}", outlook.endless.map_or_else(String::new, |who| who.name)),
                since,
            );
            format!("{}: {expected}, at the latest {latest}\n", world.name(&id))
        })
        .collect();
    lines.sort();
    lines.concat()
}

fn says(world: &World, known: &[(&str, Option<u32>, Option<u32>)], expected: &Expect) {
    let at = |count: Option<u32>| count.map(|count| world.now.after(minutes(count)));
    let ends = known.iter().map(|(name, idle, run)| (world.id(name), ends(at(*idle), at(*run)))).collect();
    expected.assert_eq(&told(world, &ends));
}

#[test]
fn an_idle_container_a_run_time_and_somebody_who_may_run_for_ever() {
    let mut world = world(2);
    begins(&mut world, "alice", "works", 1);
    begins(&mut world, "bob", "parked", 1);
    begins(&mut world, "carol", "first", 1);
    begins(&mut world, "dave", "second", 1);
    says(
        &world,
        &[("works", None, Some(100)), ("parked", Some(10), Some(300))],
        &expect![[r#"
            carol/first: 10 min (idle: parked), at the latest 100 min
            dave/second: 100 min (maximum run time: works), at the latest 300 min
        "#]],
    );
    says(
        &world,
        &[("parked", Some(10), None)],
        &expect![[r#"
            carol/first: 10 min (idle: parked), at the latest never, for works
            dave/second: 2890 min (maximum run time: first), at the latest never, for works
        "#]],
    );
    says(
        &world,
        &[],
        &expect![[r#"
            carol/first: unknown, at the latest never, for works
            dave/second: unknown, at the latest never, for works
        "#]],
    );
}

#[test]
fn who_needs_more_waits_for_all_of_it() {
    let mut world = world(2);
    begins(&mut world, "alice", "works", 1);
    begins(&mut world, "bob", "parked", 1);
    begins(&mut world, "carol", "large", 2);
    begins(&mut world, "dave", "small", 1);
    says(
        &world,
        &[("works", None, Some(100)), ("parked", Some(10), Some(300))],
        &expect![[r#"
        carol/large: 2890 min (maximum run time: small), at the latest 2980 min
        dave/small: 10 min (idle: parked), at the latest 100 min
    "#]],
    );
}

#[test]
fn only_the_head_of_a_long_line_is_told() {
    let mut world = world(1);
    begins(&mut world, "alice", "works", 1);
    for number in 0..OUTLOOKS_MAX + 5 {
        begins(&mut world, PEOPLE[1 + number % 3], &format!("job{number}"), 1);
    }
    let ends = BTreeMap::from([(world.id("works"), ends(None, Some(world.now.after(minutes(5)))))]);
    let told = outlooks(&world.policy, &world.state, &ends, world.now);
    assert_eq!(told.len(), OUTLOOKS_MAX);
    assert!(told.contains_key(&world.id("job0")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Where everything goes as expected, everybody gets his units when he was told.
    #[test]
    fn what_was_expected_comes_when_nothing_else_does(
        cards in 1..4_u32,
        runs in prop::collection::vec((0..4_usize, 1..3_u32, 1..200_u32, 0..200_u32), 1..5),
        waits in prop::collection::vec((0..4_usize, 1..3_u32), 1..6),
    ) {
        let mut world = world(cards);
        // As long as the story: nobody's run of those who come ends within it.
        world.policy.rules.kinds.insert(Kind::Docker, KindTimes { max_runtime: Some(Cap::Unlimited), idle_timeout: None });
        let mut known = BTreeMap::new();
        for (number, (who, count, idle, more)) in runs.iter().enumerate() {
            let name = format!("run{number}");
            if world.create(PEOPLE[*who], &name, Some(&Want::count(*count)), RestartPolicy::No, false) {
                world.start(&name, Some(Duration::ZERO));
                let at = |count: u32| Some(world.now.after(minutes(count)));
                if world.state.holding(&world.id(&name)).is_some() {
                    known.insert(world.id(&name), ends(at(*idle), at(idle + more)));
                }
            }
        }
        for (number, (who, count)) in waits.iter().enumerate() {
            let name = format!("wait{number}");
            if world.create(PEOPLE[*who], &name, Some(&Want::count(*count)), RestartPolicy::No, false) {
                world.start(&name, None);
            }
        }
        let told = outlooks(&world.policy, &world.state, &known, world.now);
        for outlook in told.values() {
            if let (Some((expected, ..)), Some(latest)) = (&outlook.expected, outlook.latest) {
                prop_assert!(*expected <= latest, "{outlook:?}");
            }
        }
        let mut due: Vec<(Time, ContainerId)> =
            known.iter().filter_map(|(id, ends)| Some((ends.expected?.0, id.clone()))).collect();
        due.sort();
        let mut came = BTreeMap::new();
        for (at, id) in due {
            world.now = at;
            let epoch = world.state.holding(&id).unwrap().epoch;
            world.record(Event::Ended { container: id.clone(), epoch, at, exit: None, by_user: true });
            world.record(Event::Released { container: id, epoch, at });
            for action in plan(&world.policy, &world.state, &Observed::default(), at) {
                if let Action::Grant { grant, .. } = action {
                    came.insert(grant.container().clone(), at);
                    world.granted(grant);
                }
            }
        }
        let expected: BTreeMap<ContainerId, Time> =
            told.into_iter().filter_map(|(id, outlook)| Some((id, outlook.expected?.0))).collect();
        prop_assert_eq!(expected, came);
    }
}
