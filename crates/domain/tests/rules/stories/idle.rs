//! The use of units: hours of a container's life, a reading every ten seconds, beside what its owner is told and when it
//! ends.
//!
//! A day is a list of phases: `train 40m`, `load 2h` (the CPU works, the units are quiet), `hold 1h` (a parked notebook),
//! `none 1h` (no program on the unit), `blind 5m` (the driver does not answer), `dark 5m` (nobody can say what
//! it does beside its units), `away 5m` (nobody measures), `shell 1m` (somebody comes in), `keep 2h` (asked for at once),
//! `wanted` and `unwanted` (somebody comes to wait for its unit, nobody does any more), `exempt 3h` and `taken` (by an
//! administrator), `crash` (the daemon loses what is in its memory), `unheard` (that the next warning was told is not
//! written any more).

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::*;
use expect_test::{Expect, expect};

use crate::world::World;

const TICK: Duration = Duration::from_secs(10);

pub(super) struct Day {
    pub(super) world: World,
    id: ContainerId,
    began: Time,
    pub(super) activity: Activity,
    pub(super) mode: Mode,
    pub(super) idle: Duration,
    most: Option<Duration>,
    file: Option<Time>,
    pub(super) hurry: Option<Hurry>,
    pub(super) told: String,
    /// The warnings of the present silence: when each was told, and what it said.
    pub(super) warned: Vec<(Time, Cause, Stage, Time)>,
    /// When and why it was stopped.
    pub(super) stopped: Option<(Time, Cause)>,
    /// The first reading of a daemon's life: it has nothing to compare with.
    first: bool,
    /// The next warning is told, and that it was is not written any more.
    unheard: bool,
}

impl Day {
    pub(super) fn new(idle: Duration, most: Option<Duration>) -> Self {
        let mut world = World::new();
        world.card("A100", 81920, &[]);
        world.look();
        let alice = Person { uid: Uid(1001), name: "alice".into(), unix_groups: Vec::new(), admin: false };
        world.people.insert("alice".into(), alice);
        world.create("alice", "job", Some(&Want::count(1)), RestartPolicy::Always, false);
        world.start("job", Some(Duration::ZERO));
        let (id, began) = (world.id("job"), world.now);
        let activity = Activity::of_run(began);
        Self {
            world,
            id,
            began,
            activity,
            mode: Mode::Enforce,
            idle,
            most,
            file: None,
            hurry: None,
            told: String::new(),
            warned: Vec::new(),
            stopped: None,
            first: true,
            unheard: false,
        }
    }

    fn tell(&mut self, text: &str) {
        let since = self.world.now.since(self.began).as_secs();
        self.told += &format!("{:02}:{:02}:{:02}  {text}\n", since / 3600, since / 60 % 60, since % 60);
    }

    /// Plays one phase; whether the container still runs.
    fn phase(&mut self, kind: &str, length: Duration) -> bool {
        match kind {
            "keep" => {
                let (container, at) = (self.id.clone(), self.world.now);
                self.world.record(Event::Kept { container, until: at.after(length), at });
                return true;
            }
            "exempt" => {
                let (of, at) = (Exempt::Person(Uid(1001)), self.world.now);
                let (owner_name, name) = ("alice".to_owned(), String::new());
                let (reason, by) = ("a deadline".to_owned(), "root".to_owned());
                let until = at.after(length);
                self.world.record(Event::Exempted(Exemption { of, owner_name, name, until, reason, by, at }));
                return true;
            }
            "taken" => {
                let (of, at) = (Exempt::Person(Uid(1001)), self.world.now);
                self.world.record(Event::ExemptionOver { of, by: "root".to_owned(), at });
                return true;
            }
            "file" => {
                self.file = Some(self.world.now.after(length));
                return true;
            }
            "crash" => {
                let it = &self.activity;
                self.activity = Activity::resumed(self.began, it.units_worked(), it.worked(), it.measured());
                self.first = true;
                self.world.crash();
                self.world.news.clear();
                return true;
            }
            "wanted" | "unwanted" => {
                self.hurry = self.hurry.map(|hurry| Hurry { now: kind == "wanted", ..hurry });
                return true;
            }
            "unheard" => {
                self.unheard = true;
                return true;
            }
            "away" => {
                self.world.now = self.world.now.after(length);
                return true;
            }
            _ => {}
        }
        let end = self.world.now.after(length);
        while self.world.now < end {
            self.world.now = self.world.now.after(TICK);
            if self.tick(kind) {
                return false;
            }
        }
        true
    }

    /// One reading and what follows from it; whether the container is stopped.
    fn tick(&mut self, kind: &str) -> bool {
        let limits = Thresholds::default().within(self.idle);
        let unit = match kind {
            "train" => UnitReading { processes: Some(1), unit_busy: Some(90), ..UnitReading::default() },
            "none" | "shell" => UnitReading { processes: Some(0), ..UnitReading::default() },
            "blind" => UnitReading::default(),
            _ => UnitReading { processes: Some(1), unit_busy: Some(0), ..UnitReading::default() },
        };
        let cpu = if kind == "load" { 900 } else { 3 };
        let reading = Reading {
            at: self.world.now,
            units: BTreeMap::from([(self.world.unit("0"), unit)]),
            cpu_milli: (!std::mem::take(&mut self.first) && kind != "dark").then_some(cpu),
            entered: kind == "shell",
            ..Reading::default()
        };
        self.activity.read(reading, &limits);
        let watched = Watched {
            verdict: self.activity.verdict(&limits, self.world.now),
            idle_timeout: Some(self.idle),
            hurry: self.hurry,
            max_runtime: self.most,
            keep_file_until: self.file,
        };
        let watched = BTreeMap::from([(self.id.clone(), watched)]);
        for action in course(&self.world.state, self.mode, &watched, self.world.now) {
            match action {
                Action::Record(event) => {
                    match &event {
                        Event::Spared { .. } => {
                            self.warned.clear();
                            self.tell("spared");
                        }
                        Event::WouldStop { cause, .. } => self.tell(&format!("would be stopped: {cause}")),
                        _ => {}
                    }
                    self.world.record(event);
                    self.world.check();
                }
                Action::Warn { container, epoch, cause, stage, stop_at } => {
                    let left = stop_at.since(self.world.now).as_secs();
                    self.tell(&format!("{stage:?}: {cause}, {} min {} s left", left / 60, left % 60));
                    let at = self.world.now;
                    self.warned.push((at, cause, stage, stop_at));
                    if !std::mem::take(&mut self.unheard) {
                        self.world.record(Event::Warned { container, epoch, cause, stage, stop_at, at });
                    }
                }
                Action::Stop { cause, .. } => {
                    self.stopped = Some((self.world.now, cause));
                    self.tell(&format!("stopped: {cause}"));
                    return true;
                }
                other => panic!("{other:?}"),
            }
        }
        false
    }
}

pub(super) fn minutes(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        other => panic!("{other}"),
    };
    Duration::from_secs(number.parse::<u64>().unwrap() * factor)
}

pub(super) fn play(day: &mut Day, phases: &str) {
    for phase in phases.split(", ") {
        let (kind, length) = phase.split_once(' ').unwrap_or((phase, "0s"));
        if !day.phase(kind, minutes(length)) {
            break;
        }
    }
}

/// A day with an idle timeout of half an hour and no end.
fn day(phases: &str, expected: &Expect) {
    let mut day = Day::new(minutes("30m"), None);
    play(&mut day, phases);
    expected.assert_eq(&day.told);
}

#[test]
fn a_forgotten_notebook_goes_after_half_an_hour_with_warnings() {
    day(
        "train 1h, hold 2h",
        &expect![[r#"
            01:15:00  Soon: idle, 15 min 0 s left
            01:25:00  Last: idle, 5 min 0 s left
            01:30:00  stopped: idle
        "#]],
    );
    day(
        "none 2h",
        &expect![[r#"
            00:15:00  Soon: idle, 15 min 0 s left
            00:25:00  Last: idle, 5 min 0 s left
            00:30:00  stopped: idle
        "#]],
    );
}

#[test]
fn who_is_exempt_is_stopped_no_earlier_and_warned_before() {
    day(
        "exempt 3h, hold 4h",
        &expect![[r#"
        02:45:00  Soon: idle, 15 min 0 s left
        02:55:00  Last: idle, 5 min 0 s left
        03:00:00  stopped: idle
    "#]],
    );
    // Neither idle nor at the end of its run time; in the midst of a course; taken back.
    let mut day = Day::new(minutes("30m"), Some(minutes("1h")));
    play(&mut day, "hold 16m, exempt 3h, train 1h, hold 1h, crash, taken, hold 4h");
    expect![[r#"
        00:15:00  Soon: idle, 15 min 0 s left
        00:16:10  spared
        02:16:10  Last: maximum run time, 5 min 0 s left
        02:21:10  stopped: maximum run time
    "#]]
    .assert_eq(&day.told);
}

#[test]
fn work_beside_the_units_is_work_but_not_for_ever() {
    day("train 1h, load 2h, train 10m, load 150m", &expect![[""]]);
    day(
        "load 5h",
        &expect![[r#"
            02:45:00  Soon: idle, 15 min 0 s left
            02:55:00  Last: idle, 5 min 0 s left
            03:00:00  stopped: idle
        "#]],
    );
}

#[test]
fn whoever_works_again_is_spared_and_warned_anew_another_time() {
    day(
        "train 10m, hold 26m, train 1m, hold 1h",
        &expect![[r#"
            00:25:00  Soon: idle, 15 min 0 s left
            00:35:00  Last: idle, 5 min 0 s left
            00:36:10  spared
            00:52:00  Soon: idle, 15 min 0 s left
            01:02:00  Last: idle, 5 min 0 s left
            01:07:00  stopped: idle
        "#]],
    );
    // Looking in gives time, and not for ever.
    day(
        "none 20m, shell 10s, none 20m, shell 10s, none 5h",
        &expect![[r#"
            00:15:00  Soon: idle, 15 min 0 s left
            00:20:10  spared
            00:35:10  Soon: idle, 15 min 0 s left
            00:40:20  spared
            00:55:20  Soon: idle, 15 min 0 s left
            01:05:20  Last: idle, 5 min 0 s left
            01:10:20  stopped: idle
        "#]],
    );
    day(
        &format!("train 1m, {}", ["none 20m", "shell 10s"].repeat(12).join(", ")),
        &expect![[r#"
            00:16:10  Soon: idle, 15 min 0 s left
            00:21:10  spared
            00:36:10  Soon: idle, 15 min 0 s left
            00:41:20  spared
            00:56:20  Soon: idle, 15 min 0 s left
            01:01:30  spared
            01:16:30  Soon: idle, 15 min 0 s left
            01:21:40  spared
            01:36:40  Soon: idle, 15 min 0 s left
            01:41:50  spared
            01:56:50  Soon: idle, 15 min 0 s left
            02:02:00  spared
            02:17:00  Soon: idle, 15 min 0 s left
            02:22:10  spared
            02:37:10  Soon: idle, 15 min 0 s left
            02:42:20  spared
            02:46:10  Soon: idle, 15 min 0 s left
            02:56:10  Last: idle, 5 min 0 s left
            03:01:10  stopped: idle
        "#]],
    );
}

#[test]
fn what_nobody_can_measure_stops_nobody() {
    day("train 10m, blind 5h", &expect![[""]]);
    // After a long silence it may have worked; a short one is passed over.
    day(
        "train 10m, hold 20m, blind 10m, hold 20m",
        &expect![[r#"
            00:25:00  Soon: idle, 15 min 0 s left
            00:40:10  spared
            00:55:10  Soon: idle, 15 min 0 s left
        "#]],
    );
    day(
        "train 10m, hold 10m, blind 30s, hold 10m, away 40s, hold 20m",
        &expect![[r#"
            00:25:00  Soon: idle, 15 min 0 s left
            00:35:00  Last: idle, 5 min 0 s left
            00:40:00  stopped: idle
        "#]],
    );
    day(
        "train 10m, hold 26m, away 2h, hold 40m",
        &expect![[r#"
            00:25:00  Soon: idle, 15 min 0 s left
            00:35:00  Last: idle, 5 min 0 s left
            02:36:10  spared
            02:51:10  Soon: idle, 15 min 0 s left
            03:01:10  Last: idle, 5 min 0 s left
            03:06:10  stopped: idle
        "#]],
    );
}

#[test]
fn a_daemon_that_comes_back_goes_on_where_it_was() {
    day(
        "train 10m, hold 16m, crash, hold 10m, crash, away 20s, hold 3m, crash, hold 1m",
        &expect![[r#"
            00:25:00  Soon: idle, 15 min 0 s left
            00:35:00  Last: idle, 5 min 0 s left
            00:40:00  stopped: idle
        "#]],
    );
    // The end of its time, far away, is no reason to begin anew.
    let mut day = Day::new(minutes("30m"), Some(minutes("48h")));
    play(
        &mut day,
        "train 10m, hold 16m, crash, hold 10m, blind 20s, crash, away 20s, hold 3m, crash, hold 1m",
    );
    expect![[r#"
        00:25:00  Soon: idle, 15 min 0 s left
        00:35:00  Last: idle, 5 min 0 s left
        00:40:00  stopped: idle
    "#]]
    .assert_eq(&day.told);
}

#[test]
fn what_the_driver_did_not_tell_before_a_crash_is_no_silence_after_it() {
    // Half an hour after it told again, not before.
    day(
        "train 10m, hold 10m, blind 2h, crash, hold 40m",
        &expect![[r#"
        02:35:20  Soon: idle, 15 min 0 s left
        02:45:20  Last: idle, 5 min 0 s left
        02:50:20  stopped: idle
    "#]],
    );
    // Nor is what nobody saw beside the units.
    day(
        "train 10m, hold 10m, dark 50s, crash, dark 30s, hold 40m",
        &expect![[r#"
        00:36:30  Soon: idle, 15 min 0 s left
        00:46:30  Last: idle, 5 min 0 s left
        00:51:30  stopped: idle
    "#]],
    );
}

#[test]
fn a_warning_that_is_not_known_to_be_told_is_told_again_and_leaves_as_much_time() {
    day(
        "train 10m, hold 20m, unheard, hold 5m, crash, away 40s, hold 6m",
        &expect![[r#"
            00:25:00  Soon: idle, 15 min 0 s left
            00:35:00  Last: idle, 5 min 0 s left
            00:35:50  Last: idle, 5 min 0 s left
            00:40:50  stopped: idle
        "#]],
    );
}

#[test]
fn who_asks_for_more_time_gets_it() {
    day(
        "train 10m, hold 20m, keep 2h, hold 3h",
        &expect![[r#"
            00:25:00  Soon: idle, 15 min 0 s left
            00:30:10  spared
            02:15:00  Soon: idle, 15 min 0 s left
            02:25:00  Last: idle, 5 min 0 s left
            02:30:00  stopped: idle
        "#]],
    );
    day(
        "train 10m, file 3h, hold 4h",
        &expect![[r#"
            02:55:00  Soon: idle, 15 min 0 s left
            03:05:00  Last: idle, 5 min 0 s left
            03:10:00  stopped: idle
        "#]],
    );
}

#[test]
fn running_time_is_counted_whatever_it_does() {
    let mut day = Day::new(minutes("30m"), Some(minutes("4h")));
    play(&mut day, "train 5h");
    expect![[r#"
        02:00:00  Half: maximum run time, 120 min 0 s left
        03:45:00  Soon: maximum run time, 15 min 0 s left
        03:55:00  Last: maximum run time, 5 min 0 s left
        04:00:00  stopped: maximum run time
    "#]]
    .assert_eq(&day.told);
    // Nobody was there when it was time: it is told all the same, and five minutes are left.
    let mut day = Day::new(minutes("30m"), Some(minutes("4h")));
    play(&mut day, "train 1h, away 4h, train 10m");
    expect![[r#"
        05:00:10  Last: maximum run time, 5 min 0 s left
        05:05:10  stopped: maximum run time
    "#]]
    .assert_eq(&day.told);
}

#[test]
fn an_observer_warns_and_stops_nobody() {
    let mut day = Day::new(minutes("30m"), None);
    day.mode = Mode::Observe;
    play(&mut day, "train 10m, hold 2h, train 10m, hold 40m");
    expect![[r#"
        00:40:00  would be stopped: idle
        02:10:10  spared
        02:50:00  would be stopped: idle
    "#]]
    .assert_eq(&day.told);
}

#[test]
fn an_observer_says_once_that_a_time_is_over() {
    let mut day = Day::new(minutes("30m"), Some(minutes("2h")));
    day.mode = Mode::Observe;
    play(&mut day, "train 5h");
    expect![[r#"
        02:00:00  would be stopped: maximum run time
    "#]]
    .assert_eq(&day.told);
    // Idle beside it, and at work again: that is another matter than the time, which is over all the same.
    let mut day = Day::new(minutes("30m"), Some(minutes("2h")));
    day.mode = Mode::Observe;
    play(&mut day, "train 1h, hold 40m, train 3h, hold 2h, train 10m");
    expect![[r#"
        01:30:00  would be stopped: idle
        01:40:10  spared
        02:00:00  would be stopped: maximum run time
    "#]]
    .assert_eq(&day.told);
}

#[test]
fn idleness_that_is_over_repeats_no_warning_of_the_time() {
    let mut day = Day::new(minutes("30m"), Some(minutes("4h")));
    play(&mut day, "train 200m, hold 27m, train 5m, hold 1h");
    expect![[r#"
        02:00:00  Half: maximum run time, 120 min 0 s left
        03:35:00  Soon: idle, 15 min 0 s left
        03:45:00  Last: idle, 5 min 0 s left
        03:47:10  spared
        03:47:10  Soon: maximum run time, 12 min 50 s left
        03:55:00  Last: maximum run time, 5 min 0 s left
        04:00:00  stopped: maximum run time
    "#]]
    .assert_eq(&day.told);
}

#[test]
fn short_times_have_short_leads() {
    let mut day = Day::new(minutes("120s"), None);
    play(&mut day, "train 1m, hold 10m");
    expect![[r#"
        00:02:00  Soon: idle, 1 min 0 s left
        00:02:40  Last: idle, 0 min 20 s left
        00:03:00  stopped: idle
    "#]]
    .assert_eq(&day.told);
}

#[test]
fn what_the_rules_have_stopped_is_not_restarted_and_says_why() {
    let mut day = Day::new(minutes("30m"), None);
    play(&mut day, "none 1h");
    let epoch = day.world.state.holding(&day.id).unwrap().epoch;
    day.world.record(Event::Ended {
        container: day.id.clone(),
        epoch,
        at: day.world.now,
        exit: Some(137),
        by_user: false,
    });
    let stopped = day.world.state.container(&day.id).unwrap();
    assert_eq!((stopped.stopped_for, stopped.restarts.due), (Some(Cause::Idle), None));
}
