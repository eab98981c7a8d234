//! The journal: what is written with the events is read again by somebody beside the daemon, and is of a bounded size.

use super::super::{LINES_KEPT, Reader, STINTS_KEPT, Wanted};
use super::*;

/// A ledger with its journal, as the coordinator keeps both.
struct Kept {
    scratch: Scratch,
    ledger: Ledger,
    state: State,
}

impl Kept {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (ledger, state) = Ledger::open(&scratch.file()).unwrap();
        let mut kept = Self { scratch, ledger, state };
        for number in 1..=2 {
            kept.happens(&Event::UnitSeen(unit(number)));
            kept.happens(&Event::CreatePlanned {
                token: token(number),
                owner: Uid(u32::from(number)),
                owner_name: format!("user{number}"),
                name: format!("job{number}"),
                kind: Kind::Docker,
                want: Some(Want::count(1)),
                restart: RestartPolicy::No,
                auto_remove: false,
                at: Time(1),
            });
            kept.happens(&Event::Created { token: token(number), container: container(number), at: Time(2) });
        }
        kept
    }

    fn happens(&mut self, event: &Event) {
        let notes = notes(&self.state, event, self.state.latest());
        self.ledger.append_with(std::slice::from_ref(event), &notes).unwrap();
        self.state.apply(event);
    }

    fn granted(&mut self, number: u8, epoch: u64, at: u64) {
        let (id, owner) = (container(number), Uid(u32::from(number)));
        let units = vec![unit_id(number)];
        let hold = Duration::ZERO;
        let weight = Weight::from_milli(143);
        self.happens(&Event::Reserved(Grant::from_ledger(
            id,
            owner,
            Epoch(epoch),
            units,
            weight,
            Issuer::Local,
            hold,
            Time(at),
        )));
    }

    fn runs(&mut self, number: u8, epoch: u64, at: u64) {
        self.granted(number, epoch, at);
        self.happens(&Event::Ran { container: container(number), epoch: Epoch(epoch), at: Time(at + 1) });
    }

    fn ends(&mut self, number: u8, epoch: u64, at: u64, exit: Option<i32>) {
        let (id, epoch) = (container(number), Epoch(epoch));
        self.happens(&Event::Ended { container: id.clone(), epoch, at: Time(at), exit, by_user: false });
        self.happens(&Event::Released { container: id, epoch, at: Time(at + 5) });
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.scratch.file()).unwrap()
    }

    /// Each stint in a line.
    fn stints(&self, wanted: &Wanted) -> String {
        let told = self.reader().stints(wanted).unwrap().into_iter().map(|stint| {
            let until = stint.until.unwrap().0;
            let ending = stint.ending.unwrap();
            format!("{} {} {}-{until} {ending}\n", stint.about.name, stint.units.join(","), stint.from.0)
        });
        told.collect()
    }
}

#[test]
fn who_held_what_and_how_it_ended() {
    let mut kept = Kept::new();
    kept.runs(1, 1, 10);
    kept.ends(1, 1, 100, Some(3));
    kept.runs(1, 2, 200);
    kept.happens(&Event::StopDecided {
        container: container(1),
        epoch: Epoch(2),
        cause: Cause::Idle,
        at: Time(290),
    });
    kept.ends(1, 2, 300, Some(137));
    kept.granted(2, 3, 310);
    kept.ends(2, 3, 320, None);
    kept.runs(2, 4, 400);
    kept.happens(&Event::StopAsked { container: container(2), at: Time(450) });
    kept.ends(2, 4, 460, Some(143));
    kept.runs(2, 5, 500);
    kept.happens(&Event::StopAsked { container: container(2), at: Time(550) });
    kept.ends(2, 5, 560, Some(143));
    kept.happens(&Event::Removed { container: container(2), at: Time(600) });
    kept.runs(1, 6, 700);
    expect_test::expect![[r#"
        job1 1 10-105 ended with error 3
        job1 1 200-305 stopped: idle
        job2 2:1 310-325 did not start
        job2 2:1 400-465 retired
        job2 2:1 500-565 retired
    "#]]
    .assert_eq(&kept.stints(&Wanted::default()));
    // Somebody's own, and those that reach into a time.
    let wanted = Wanted { owner: Some(Uid(1)), since: Time(150), until: None };
    expect_test::expect![["job1 1 200-305 stopped: idle\n"]].assert_eq(&kept.stints(&wanted));
}

#[test]
fn the_end_is_told_before_the_units_are_free_and_survives_a_crash_between() {
    let mut kept = Kept::new();
    kept.runs(1, 1, 10);
    let (id, epoch) = (container(1), Epoch(1));
    kept.happens(&Event::Ended { container: id.clone(), epoch, at: Time(20), exit: Some(0), by_user: false });
    let Kept { scratch, ledger, .. } = kept;
    drop(ledger);
    let (ledger, state) = Ledger::open(&scratch.file()).unwrap();
    let mut kept = Kept { scratch, ledger, state };
    assert_eq!(kept.stints(&Wanted::default()), "job1 1 10-20 ended\n");
    kept.happens(&Event::Released { container: id, epoch, at: Time(30) });
    assert_eq!(kept.stints(&Wanted::default()), "job1 1 10-30 ended\n");
}

#[test]
fn lines_are_read_in_order_by_those_whom_they_concern() {
    let mut kept = Kept::new();
    kept.runs(1, 1, 10);
    kept.runs(2, 2, 20);
    kept.ends(1, 1, 90, Some(0));
    kept.happens(&Event::Health { unit: unit_id(2), health: Health::Dirty, at: Time(99) });
    let reader = kept.reader();
    let told = |wanted: &Wanted, after: u64, most: u32| -> Vec<String> {
        let lines = reader.lines(wanted, after, most).unwrap().into_iter();
        lines
            .map(|line| {
                let name = line.entry.about.map(|about| about.name + " ").unwrap_or_default();
                format!("{} {name}{}: {}", line.seq, line.entry.what.word(), line.entry.text)
            })
            .collect()
    };
    let all = told(&Wanted::default(), 0, 100);
    expect_test::expect![[r#"
        1 job1 granted: 
        2 job2 granted: 
        3 job1 ended: ended
        4 job1 released: held for 0 s
        5 unit: is free, and something still uses it: nobody gets it yet"#]]
    .assert_eq(&all.join("\n"));
    assert_eq!(told(&Wanted::default(), 1, 2), all[1..3]);
    assert_eq!(told(&Wanted { owner: Some(Uid(2)), ..Wanted::default() }, 0, 9), [all[1].clone()]);
    let between = Wanted { since: Time(20), until: Some(Time(90)), owner: None };
    assert_eq!(told(&between, 0, 9), all[1..3]);
}

#[test]
fn what_was_kept_for_long_enough_is_forgotten_when_the_ledger_is_shortened() {
    let day = |days: u64| days * 24 * 60 * 60 * 1000;
    let mut kept = Kept::new();
    for (epoch, days) in [(1, 1), (2, 40), (3, 100)] {
        kept.runs(1, epoch, day(days));
        kept.ends(1, epoch, day(days) + 50, Some(0));
    }
    let (state, now) = (kept.state.clone(), kept.state.latest());
    kept.ledger.close(&state).unwrap();
    let reader = kept.reader();
    let oldest = |kept: Duration| Time(now.0 - u64::try_from(kept.as_millis()).unwrap());
    let lines = reader.lines(&Wanted::default(), 0, 100).unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.entry.at >= oldest(LINES_KEPT)));
    let stints = reader.stints(&Wanted::default()).unwrap();
    assert_eq!(stints.len(), 2);
    assert!(stints.iter().all(|stint| stint.until.unwrap() >= oldest(STINTS_KEPT)));
    // The numbers go on: who follows misses nothing.
    let last = lines.last().unwrap().seq;
    kept.runs(1, 4, day(101));
    assert_eq!(kept.reader().lines(&Wanted::default(), last, 9).unwrap().len(), 1);
}

#[test]
fn a_ledger_of_the_first_schema_gets_its_journal() {
    let scratch = Scratch::new();
    let (mut ledger, _) = Ledger::open_with(&scratch.file(), &STEPS[..1]).unwrap();
    ledger.append(&[Event::UnitSeen(unit(1))]).unwrap();
    drop(ledger);
    let (_, state) = Ledger::open(&scratch.file()).unwrap();
    assert_eq!(state.units().count(), 1);
    assert!(Reader::open(&scratch.file()).unwrap().lines(&Wanted::default(), 0, 9).unwrap().is_empty());
    assert!(schema::beside(&scratch.file(), "before-2").exists());
}
