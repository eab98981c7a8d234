//! What the coordinator promises to those who ask it, with a ledger on a real disk and nobody else.

mod batches;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ds01_domain::{
    Action, CardId, ContainerId, Event, Kind, Observed, Occupancy, Person, Phase, Policy, Processes,
    RestartPolicy, Run, Seen, Time, Token, Uid, Unit, UnitId, UnitSeen, Want, Weight,
};
use ds01_runtime::receipt::{self, Receipt};

use super::{
    Admitted, Cause, Coordinator, Errand, Errands, Fault, InLine, Planned, Reservation, StartOutcome,
    WaitNews,
};
use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::ledger::Ledger;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// A coordinator over a directory of its own.
struct Office {
    scratch: Scratch,
    coordinator: Coordinator,
    errands: Errands,
    thread: std::thread::JoinHandle<()>,
}

/// Removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Office {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::over(Scratch(std::env::temp_dir().join(format!("ds01-office-{}-{number}", std::process::id()))))
    }

    fn over(scratch: Scratch) -> Self {
        let (ledger, state) = Ledger::open(&scratch.0.join("ledger.db")).unwrap();
        let clock = Clock::start_at_least(state.latest()).unwrap();
        let inventory = Arc::new(Inventory::default());
        let receipts = scratch.0.join("receipts");
        let (coordinator, errands, thread) =
            super::open(state, Arc::new(Policy::default()), ledger, clock, inventory, receipts).unwrap();
        Self { scratch, coordinator, errands, thread }
    }

    /// The daemon is killed, and another one begins. Whoever holds something of the first must have dropped it.
    fn killed(self) -> Self {
        drop(self.coordinator);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.thread.is_finished() {
            assert!(Instant::now() < deadline, "somebody still holds a place or a reservation");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.thread.join().unwrap();
        Self::over(self.scratch)
    }

    /// A look at some containers, with one unit in the machine.
    async fn looked(&self, began: Time, complete: bool, seen: &[(u8, Run)]) -> Observed {
        let containers = seen.iter().map(|(number, run)| (id(*number), self.seen(*number, *run)));
        Observed {
            began,
            complete,
            units_complete: true,
            units: BTreeMap::from([(unit().id, UnitSeen { unit: unit(), processes: Processes::Unknowable })]),
            containers: containers.collect(),
            ..Observed::default()
        }
    }

    fn seen(&self, number: u8, run: Run) -> Seen {
        let cgroup = if run == Run::Running { Occupancy::Occupied } else { Occupancy::Empty };
        let mut seen = Seen::plain(run, cgroup);
        let receipt = receipt::read_one(&self.scratch.0.join("receipts"), id(number).as_str()).unwrap();
        seen.receipt = receipt
            .map(|r| (ds01_domain::Epoch(r.epoch), r.units.iter().filter_map(|u| UnitId::new(u)).collect()));
        seen
    }

    async fn look(&self, complete: bool, seen: &[(u8, Run)]) {
        let began = self.coordinator.begin_look().await.unwrap();
        self.coordinator.observed(self.looked(began, complete, seen).await).await;
    }

    async fn create(&self, number: u8, auto_remove: bool) {
        self.create_that_restarts(number, auto_remove, RestartPolicy::No).await;
    }

    async fn create_that_restarts(&self, number: u8, auto_remove: bool, restart: RestartPolicy) {
        let event = Event::CreatePlanned {
            token: token(number),
            owner: Uid(0),
            owner_name: "root".to_owned(),
            name: format!("c{number}"),
            kind: Kind::Docker,
            want: Some(Want::count(1)),
            restart,
            auto_remove,
            at: Time(0),
        };
        let planned = Planned { person: person(), event, running_containers: 0 };
        let _permit = self.coordinator.plan_create(planned).await.unwrap().unwrap();
        let at = self.coordinator.now().await.unwrap();
        let created = Event::Created { token: token(number), container: id(number), at };
        self.coordinator.record(vec![created]).await.unwrap();
    }

    async fn admit(&self, number: u8) -> Result<Admitted, Fault> {
        self.coordinator.admit(person(), id(number), Cause::Person, PATIENCE).await
    }

    async fn granted(&self, number: u8) -> Reservation {
        match self.admit(number).await.unwrap() {
            Admitted::Granted(reservation) => reservation,
            other => panic!("not granted: {other:?}"),
        }
    }

    async fn in_line(&self, number: u8) -> Box<InLine> {
        match self.admit(number).await.unwrap() {
            Admitted::Waits(line) => line,
            other => panic!("does not wait: {other:?}"),
        }
    }

    async fn holders(&self) -> Vec<ContainerId> {
        self.coordinator
            .read(|state, _, _| state.holdings().map(|h| h.container.clone()).collect())
            .await
            .unwrap()
    }

    async fn disk(&self, full: bool) {
        self.coordinator.ledger(move |ledger| ledger.fill_disk(full)).await.unwrap();
    }

    fn leave_receipt(&self, number: u8, epoch: u64) {
        let receipt = Receipt {
            container: id(number).to_string(),
            epoch,
            units: vec![unit().id.to_string()],
            cgroups_path: "/no-such-group".to_owned(),
            boot_id: receipt::boot_id().unwrap(),
            at: 0,
        };
        receipt::write(&self.scratch.0.join("receipts"), &receipt).unwrap();
    }
}

fn id(number: u8) -> ContainerId {
    ContainerId::new(&format!("{number:02x}").repeat(32)).unwrap()
}

fn token(number: u8) -> Token {
    Token::new(&format!("{number:02x}").repeat(16)).unwrap()
}

fn person() -> Person {
    Person { uid: Uid(0), name: "root".to_owned(), unix_groups: Vec::new(), admin: true }
}

fn unit() -> Unit {
    Unit {
        id: UnitId::new("GPU-1").unwrap(),
        card: CardId::new("GPU-1").unwrap(),
        index: 0,
        slice: None,
        model: "A100".to_owned(),
        memory_mib: 81_920,
        weight: Weight::CARD,
    }
}

/// How the wait ends; moves in the line are passed over.
async fn last_news(line: &mut InLine) -> WaitNews {
    loop {
        match line.news().await.expect("the wait has an end that is told") {
            WaitNews::Moved(_) => {}
            last => return last,
        }
    }
}

#[tokio::test]
async fn nothing_is_granted_before_everything_was_looked_at() {
    let office = Office::new();
    office.look(false, &[]).await;
    office.create(1, false).await;
    let asking = tokio::spawn({
        let coordinator = office.coordinator.clone();
        async move { coordinator.admit(person(), id(1), Cause::Person, PATIENCE).await }
    });
    // Whatever else is asked meanwhile is answered.
    office.look(false, &[(1, Run::Created)]).await;
    assert!(!asking.is_finished());
    office.look(true, &[(1, Run::Created)]).await;
    assert!(matches!(asking.await.unwrap().unwrap(), Admitted::Granted(_)));
}

#[tokio::test]
async fn what_runs_by_its_receipt_is_adopted_before_anything_is_granted() {
    let office = Office::new();
    office.leave_receipt(7, 3);
    // The units are seen before anything else.
    office.look(false, &[]).await;
    office.create(1, false).await;
    office.look(true, &[(1, Run::Created), (7, Run::Running)]).await;
    assert_eq!(office.holders().await, [id(7)]);
    let _line = office.in_line(1).await;
}

#[tokio::test]
async fn a_look_from_before_a_start_came_back_settles_nothing() {
    let office = Office::new();
    office.look(true, &[]).await;
    office.create(1, false).await;
    let reservation = office.granted(1).await.forwarding();
    let began = office.coordinator.begin_look().await.unwrap();
    reservation.settle(StartOutcome::Running);
    // It saw the container while it was started, and comes late.
    let late = office.looked(began, true, &[(1, Run::Created)]).await;
    office.coordinator.observed(late).await;
    assert_eq!(office.holders().await, [id(1)]);
    office.look(true, &[(1, Run::Exited(0))]).await;
    assert!(office.holders().await.is_empty());
}

#[tokio::test]
async fn a_restart_under_way_is_no_end() {
    let office = Office::new();
    office.look(true, &[]).await;
    office.create(1, false).await;
    office.granted(1).await.settle(StartOutcome::Running);
    let restart = office.coordinator.keep_for_restart(&id(1)).await.unwrap().unwrap().forwarding();
    office.look(true, &[(1, Run::Exited(0))]).await;
    assert_eq!(office.holders().await, [id(1)], "it is between its two runs");
    restart.settle(StartOutcome::Running);
    office.look(true, &[(1, Run::Running)]).await;
    assert_eq!(office.holders().await, [id(1)]);
}

#[tokio::test]
async fn a_start_of_what_runs_that_the_engine_refuses_ends_nothing() {
    let office = Office::new();
    office.look(true, &[]).await;
    office.create_that_restarts(1, false, RestartPolicy::Always).await;
    office.granted(1).await.settle(StartOutcome::Running);
    office.look(true, &[(1, Run::Running)]).await;
    let kept = office.coordinator.keep_for_restart(&id(1)).await.unwrap().unwrap().forwarding();
    // Frozen, it cannot be started.
    kept.settle(StartOutcome::Failed);
    let phase =
        async || office.coordinator.read(|state, _, _| state.holding(&id(1)).map(|h| h.phase)).await.unwrap();
    assert_eq!(phase().await, Some(Phase::Running));
    office.look(true, &[(1, Run::Exited(1))]).await;
    assert_eq!(phase().await, None, "a look settles it");
}

#[tokio::test]
async fn a_lost_start_leaves_its_units_to_the_next_start_of_the_same_container() {
    let office = Office::new();
    office.look(true, &[]).await;
    office.create(1, false).await;
    let epoch = {
        let reservation = office.granted(1).await.forwarding();
        reservation.epoch()
    };
    // Nobody knows what became of it.
    assert_eq!(office.holders().await, [id(1)]);
    let office = office.killed();
    office.look(true, &[(1, Run::Created)]).await;
    assert_eq!(office.holders().await, [id(1)], "it may still show");
    let again = office.granted(1).await;
    assert_eq!(again.epoch(), epoch);
    assert!(matches!(office.admit(1).await.unwrap(), Admitted::NoNeed), "one start after the other");
    again.settle(StartOutcome::Running);
    office.look(true, &[(1, Run::Running)]).await;
    assert!(matches!(office.admit(1).await.unwrap(), Admitted::Runs));
}

#[tokio::test]
async fn on_a_full_disk_waits_end_with_a_word_and_ends_are_seen() {
    let office = Office::new();
    office.look(true, &[]).await;
    for number in 1..=3 {
        office.create(number, false).await;
    }
    office.granted(1).await.settle(StartOutcome::Running);
    let mut line = office.in_line(2).await;
    office.disk(true).await;
    // So that even what is small has no room.
    let name = "n".repeat(1 << 20);
    office.coordinator.record(vec![Event::Renamed { container: id(3), name }]).await.unwrap();
    office.look(true, &[(1, Run::Exited(0)), (2, Run::Created), (3, Run::Created)]).await;
    assert!(office.holders().await.is_empty(), "what ended is seen to have ended");
    assert!(matches!(last_news(&mut line).await, WaitNews::Failed(Fault::Ledger(_))));
    let waiting = office.coordinator.read(|state, _, _| state.waiters().count()).await.unwrap();
    assert_eq!(waiting, 0);
    assert!(matches!(office.admit(3).await, Err(Fault::Ledger(_))));

    office.disk(false).await;
    drop(office.granted(3).await.forwarding());
    drop(line);
    let office = office.killed();
    assert_eq!(office.holders().await, [id(3)], "what had to wait was written before the grant");
    let name =
        office.coordinator.read(|state, _, _| state.container(&id(3)).map(|c| c.name.len())).await.unwrap();
    assert_eq!(name, Some(1 << 20));
}

#[tokio::test]
async fn what_was_to_remove_itself_goes_when_nobody_is_left_to_start_it() {
    let office = Office::new();
    office.look(true, &[]).await;
    for (number, auto_remove) in [(1, true), (2, true), (3, false), (4, true)] {
        office.create(number, auto_remove).await;
    }
    office.granted(4).await.settle(StartOutcome::Running);
    let there = [(1, Run::Created), (2, Run::Created), (3, Run::Created), (4, Run::Running)];
    office.look(true, &there).await;
    assert!(removals(&office.errands).await.is_empty(), "whoever made them may still start them");

    let office = office.killed();
    // Somebody asks for this one again, before or after the first look.
    let asking = tokio::spawn({
        let coordinator = office.coordinator.clone();
        async move { coordinator.admit(person(), id(2), Cause::Person, Some(Duration::ZERO)).await }
    });
    office.look(true, &there).await;
    assert!(removals(&office.errands).await.contains(&id(1)));
    drop(asking.await.unwrap());
    office.look(true, &there).await;
    assert_eq!(removals(&office.errands).await, [id(1)], "until it is gone");
    office.look(true, &there[1..]).await;
    office.look(true, &[(2, Run::Created), (3, Run::Created), (4, Run::Exited(0))]).await;
    assert!(removals(&office.errands).await.is_empty(), "what ran is the Engine's to remove");
}

/// Waits until a container is to be restarted.
async fn restart_is_due(office: &Office, number: u8) {
    let is_due = async {
        loop {
            match office.errands.next().await {
                Errand::Act(Action::Restart { container }) if container == id(number) => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_due).await.expect("a restart that is due is asked for");
}

#[tokio::test]
async fn what_falls_due_while_the_coordinator_is_busy_is_done_after_all() {
    let office = Office::new();
    office.look(true, &[]).await;
    office.create_that_restarts(1, false, RestartPolicy::Always).await;
    office.granted(1).await.settle(StartOutcome::Running);
    office.look(true, &[(1, Run::Exited(1))]).await;
    // Longer than the first restart's delay.
    office.coordinator.read(|_, _, _| std::thread::sleep(Duration::from_millis(300))).await.unwrap();
    restart_is_due(&office, 1).await;
}

#[tokio::test]
async fn a_restart_that_waits_stays_away_when_a_person_stops_it() {
    let office = Office::new();
    office.look(true, &[]).await;
    office.create_that_restarts(1, false, RestartPolicy::Always).await;
    office.create(2, false).await;
    office.granted(1).await.settle(StartOutcome::Running);
    let mut other = office.in_line(2).await;
    office.look(true, &[(1, Run::Exited(1)), (2, Run::Created)]).await;
    let WaitNews::Granted(granted) = last_news(&mut other).await else { panic!("not granted") };
    granted.settle(StartOutcome::Running);
    restart_is_due(&office, 1).await;
    let by_policy =
        async || office.coordinator.admit(person(), id(1), Cause::RestartPolicy, PATIENCE).await.unwrap();
    let Admitted::Waits(mut line) = by_policy().await else { panic!("does not wait") };
    assert!(office.coordinator.stop_asked(&id(1)).await.unwrap());
    assert!(matches!(last_news(&mut line).await, WaitNews::Cancelled));
    // One that was on its way to the line when it was stopped.
    assert!(matches!(by_policy().await, Admitted::CalledOff));
    assert!(matches!(office.admit(1).await.unwrap(), Admitted::Waits(_)), "a person may all the same");
}

#[tokio::test]
async fn a_restart_that_was_cut_short_is_tried_by_the_next_daemon() {
    let office = Office::new();
    office.look(true, &[]).await;
    office.create_that_restarts(1, false, RestartPolicy::OnFailure { max: 1 }).await;
    office.granted(1).await.settle(StartOutcome::Running);
    office.look(true, &[(1, Run::Exited(1))]).await;
    restart_is_due(&office, 1).await;
    let office = office.killed();
    office.look(true, &[(1, Run::Exited(1))]).await;
    restart_is_due(&office, 1).await;
    let again = office.coordinator.admit(person(), id(1), Cause::RestartPolicy, PATIENCE).await.unwrap();
    let Admitted::Granted(granted) = again else { panic!("not granted") };
    granted.settle(StartOutcome::Running);
    let office = office.killed();
    office.look(true, &[(1, Run::Exited(1))]).await;
    let due = office.coordinator.read(|state, _, now| state.next_due(now)).await.unwrap();
    assert_eq!(due, None, "it was the one that the policy allows");
}

/// The containers that are to be removed, by what is asked up to now.
async fn removals(errands: &Errands) -> Vec<ContainerId> {
    let mut found = Vec::new();
    errands.everything();
    loop {
        match errands.next().await {
            Errand::Act(Action::RemoveContainer { container }) => found.push(container),
            Errand::Act(_) | Errand::Look(..) => {}
            Errand::LookAtEverything => return found,
        }
    }
}

#[tokio::test]
async fn receipts_of_runs_that_nobody_knows_are_removed() {
    let office = Office::new();
    for number in 1..=3 {
        office.leave_receipt(number, 5);
    }
    office.look(true, &[(1, Run::Gone), (2, Run::Exited(0)), (3, Run::Unknown)]).await;
    let left = receipt::read_all(&office.scratch.0.join("receipts")).unwrap().sound;
    assert_eq!(left.iter().map(|r| r.container.clone()).collect::<Vec<_>>(), [id(3).to_string()]);
}

#[tokio::test]
async fn a_daemon_that_stops_answers_everybody() {
    let office = Office::new();
    office.look(true, &[]).await;
    office.coordinator.close().await;
    office.thread.join().unwrap();
    assert!(matches!(office.coordinator.now().await, Err(Fault::Stopping)));
    assert!(matches!(
        office.coordinator.admit(person(), id(1), Cause::Person, PATIENCE).await,
        Err(Fault::Stopping)
    ));
}
