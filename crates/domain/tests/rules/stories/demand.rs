//! Idle times while somebody waits: shorter, never without their warnings, and never shorter than what was told.

use ds01_domain::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::idle::{Day, minutes, play};

/// A day with an idle timeout, of which somebody who waits leaves so many thousandths.
fn busy_day(idle: &str, milli: u32, phases: &str, expected: &Expect) {
    let mut day = Day::new(minutes(idle), None);
    day.world.policy.rules.hurried_milli = Some(milli);
    day.hurry = day.world.policy.hurried(day.idle).map(|timeout| Hurry { timeout, now: false });
    play(&mut day, phases);
    expected.assert_eq(&day.told);
}

#[test]
fn who_is_idle_goes_sooner_while_somebody_waits() {
    busy_day(
        "2h",
        500,
        "wanted, train 1h, hold 3h",
        &expect![[r#"
        01:30:00  Half: idle, and somebody waits, 30 min 0 s left
        01:45:00  Soon: idle, and somebody waits, 15 min 0 s left
        01:55:00  Last: idle, and somebody waits, 5 min 0 s left
        02:00:00  stopped: idle, and somebody waits
    "#]],
    );
    // The last warning leaves as much time as ever, whatever the factor.
    busy_day(
        "30m",
        1,
        "wanted, train 1h, hold 3h",
        &expect![[r#"
        01:07:30  Soon: idle, and somebody waits, 7 min 30 s left
        01:10:00  Last: idle, and somebody waits, 5 min 0 s left
        01:15:00  stopped: idle, and somebody waits
    "#]],
    );
    // Somebody comes when it is idle for longer than it may be then: from that moment the last warning runs.
    busy_day(
        "2h",
        250,
        "train 1h, hold 40m, wanted, hold 3h",
        &expect![[r#"
        01:40:10  Last: idle, and somebody waits, 5 min 0 s left
        01:45:10  stopped: idle, and somebody waits
    "#]],
    );
    // Who works beside its units is not idle.
    busy_day(
        "30m",
        500,
        "wanted, load 4h",
        &expect![[r#"
        02:45:00  Soon: idle, 15 min 0 s left
        02:55:00  Last: idle, 5 min 0 s left
        03:00:00  stopped: idle
    "#]],
    );
    // Who works again is spared, and a unit at work is nobody's to take.
    busy_day(
        "2h",
        500,
        "wanted, train 1h, hold 58m, train 1h, hold 50m",
        &expect![[r#"
        01:30:00  Half: idle, and somebody waits, 30 min 0 s left
        01:45:00  Soon: idle, and somebody waits, 15 min 0 s left
        01:55:00  Last: idle, and somebody waits, 5 min 0 s left
        01:58:10  spared
        03:28:00  Half: idle, and somebody waits, 30 min 0 s left
        03:43:00  Soon: idle, and somebody waits, 15 min 0 s left
    "#]],
    );
}

#[test]
fn what_was_told_of_the_usual_time_is_not_brought_forward() {
    busy_day(
        "2h",
        500,
        "train 1h, hold 65m, wanted, hold 3h",
        &expect![[r#"
        02:00:00  Half: idle, 60 min 0 s left
        02:45:00  Soon: idle, 15 min 0 s left
        02:55:00  Last: idle, 5 min 0 s left
        03:00:00  stopped: idle
    "#]],
    );
}

#[test]
fn when_nobody_waits_any_more_the_usual_time_holds_again() {
    // Before anything was told, and after a first warning: nothing is said.
    busy_day(
        "2h",
        500,
        "wanted, train 1h, hold 20m, unwanted, hold 3h",
        &expect![[r#"
        02:00:00  Half: idle, 60 min 0 s left
        02:45:00  Soon: idle, 15 min 0 s left
        02:55:00  Last: idle, 5 min 0 s left
        03:00:00  stopped: idle
    "#]],
    );
    // After the last one it is said at once, and stands, whoever comes and goes.
    let comes_and_goes = ["wanted", "hold 20s", "unwanted", "hold 20s"].repeat(400).join(", ");
    let day = format!("wanted, train 1h, hold 57m, unwanted, hold 10s, {comes_and_goes}");
    busy_day(
        "2h",
        500,
        &day,
        &expect![[r#"
        01:30:00  Half: idle, and somebody waits, 30 min 0 s left
        01:45:00  Soon: idle, and somebody waits, 15 min 0 s left
        01:55:00  Last: idle, and somebody waits, 5 min 0 s left
        01:57:10  Half: idle, 62 min 50 s left
        02:45:00  Soon: idle, 15 min 0 s left
        02:55:00  Last: idle, 5 min 0 s left
        03:00:00  stopped: idle
    "#]],
    );
    // However often somebody comes and goes, nothing is told twice.
    busy_day(
        "2h",
        500,
        &format!("train 1h, {comes_and_goes}"),
        &expect![[r#"
        01:30:10  Half: idle, and somebody waits, 29 min 50 s left
        01:45:00  Soon: idle, and somebody waits, 15 min 0 s left
        01:55:00  Last: idle, and somebody waits, 5 min 0 s left
        01:55:10  Half: idle, 64 min 50 s left
        02:45:00  Soon: idle, 15 min 0 s left
        02:55:00  Last: idle, 5 min 0 s left
        03:00:00  stopped: idle
    "#]],
    );
    // The time that was told is over while nobody waits; who comes then has it warned of anew.
    busy_day(
        "2h",
        250,
        "wanted, train 1h, hold 20m, unwanted, hold 20m, wanted, hold 1h",
        &expect![[r#"
        01:15:00  Soon: idle, and somebody waits, 15 min 0 s left
        01:40:10  Last: idle, and somebody waits, 5 min 0 s left
        01:45:10  stopped: idle, and somebody waits
    "#]],
    );
}

#[test]
fn a_daemon_that_was_killed_hurries_nobody_more() {
    busy_day(
        "2h",
        500,
        "wanted, train 1h, hold 56m, crash, hold 1m, crash, unwanted, hold 1m, crash, hold 3h",
        &expect![[r#"
        01:30:00  Half: idle, and somebody waits, 30 min 0 s left
        01:45:00  Soon: idle, and somebody waits, 15 min 0 s left
        01:55:00  Last: idle, and somebody waits, 5 min 0 s left
        01:57:10  Half: idle, 62 min 50 s left
        02:45:00  Soon: idle, 15 min 0 s left
        02:55:00  Last: idle, 5 min 0 s left
        03:00:00  stopped: idle
    "#]],
    );
}

#[test]
fn an_observer_says_once_that_somebody_was_waited_for() {
    let mut day = Day::new(minutes("2h"), None);
    day.mode = Mode::Observe;
    day.hurry = Some(Hurry { timeout: minutes("1h"), now: true });
    play(&mut day, "train 1h, hold 70m, unwanted, hold 10m, wanted, hold 3h");
    expect![[r#"
        02:00:00  would be stopped: idle, and somebody waits
    "#]]
    .assert_eq(&day.told);
}

/// What a phase is of, how long it lasts in steps of ten seconds, and whether somebody waits in it.
fn phases() -> impl Strategy<Value = Vec<(&'static str, u32, bool)>> {
    let kind = prop_oneof![
        3 => Just("train"), 6 => Just("hold"), 2 => Just("load"), 2 => Just("none"), 1 => Just("shell"),
        1 => Just("blind"), 1 => Just("away"), 1 => Just("crash"), 1 => Just("keep"),
    ];
    prop::collection::vec((kind, 1..200_u32, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_stop_comes_before_what_was_told(
        idle in prop::sample::select(vec!["8m", "30m", "1h", "2h"]),
        milli in 1..1000_u32,
        phases in phases(),
    ) {
        let mut day = Day::new(minutes(idle), None);
        day.world.policy.rules.hurried_milli = Some(milli);
        let hurried = day.world.policy.hurried(day.idle).unwrap();
        for (kind, steps, wanted) in phases {
            day.hurry = Some(Hurry { timeout: hurried, now: wanted });
            play(&mut day, &format!("{kind} {}s", steps * 10));
            for (at, cause, stage, _) in &day.warned {
                let same = day.warned.iter().filter(|one| (one.1, one.2) == (*cause, *stage)).count();
                prop_assert_eq!(same, 1, "{:?} {:?} at {:?} in {}", cause, stage, at, day.told);
            }
            let Some((at, cause)) = day.stopped else { continue };
            let &(told, _, stage, stop_at) = day.warned.last().unwrap();
            prop_assert_eq!(stage, Stage::Last, "{}", day.told);
            prop_assert!(at >= stop_at && at.since(told) >= Stage::Last.lead(day.idle), "{}", day.told);
            prop_assert!(cause == Cause::Idle || wanted, "nobody waits: {}", day.told);
            let usual = day.warned.iter().filter(|one| one.1 == Cause::Idle).map(|one| one.3);
            prop_assert!(usual.max().is_none_or(|told| at >= told), "brought forward: {}", day.told);
            let time = if cause == Cause::Demand { hurried } else { day.idle };
            let quiet = at.since(day.activity.worked()) >= time;
            prop_assert!(quiet || at.since(day.activity.units_worked()) >= day.idle * 6, "{}", day.told);
            break;
        }
    }
}
