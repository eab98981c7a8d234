//! Messages that are written together: the same answers and the same state as one by one, and nothing of it where the
//! commit fails.

use std::sync::atomic::{AtomicU32, Ordering};

use ds01_domain::{State, Ticket};
use proptest::prelude::*;
use tokio::sync::{mpsc, oneshot, watch};

use super::*;
use crate::coordinator::desk::{Desk, Parts};
use crate::coordinator::mailbox::Message;

/// A desk without its task, over a ledger on a real disk.
struct Bench {
    scratch: Scratch,
    desk: Desk,
    coordinator: Coordinator,
    mailbox: mpsc::Receiver<Message>,
}

/// What the sender of a message has in hand for the answer.
enum Asked {
    Admit(oneshot::Receiver<Result<Admitted, Fault>>),
    Stop(oneshot::Receiver<bool>),
    Record(oneshot::Receiver<Result<(), Fault>>),
    Nothing,
}

/// One thing that people or the Engine do.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Admit(u8),
    Stop(u8),
    Rename(u8),
    Runs(u8),
    Ends(u8),
}

impl Bench {
    /// One unit, and containers that want it.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ds01-batch-{}-{number}", std::process::id());
        let scratch = Scratch(std::env::temp_dir().join(name));
        let (ledger, state) = Ledger::open(&scratch.0.join("ledger.db")).unwrap();
        let (sender, mailbox) = mpsc::channel(1024);
        let (looked, has_looked) = watch::channel(true);
        let (noted, journal) = watch::channel(0);
        let coordinator = Coordinator::new(sender, has_looked, journal);
        let desk = Desk::new(Parts {
            state,
            policy: Arc::new(Policy::default()),
            ledger,
            clock: Clock::start_at_least(Time(0)).unwrap(),
            inventory: Arc::new(Inventory::default()),
            receipts: scratch.0.join("receipts"),
            handle: coordinator.downgrade(),
            errands: Errands::default(),
            looked,
            noted,
        });
        let mut bench = Self { scratch, desk, coordinator, mailbox };
        let mut events = vec![Event::UnitSeen(unit())];
        for number in 1..=CONTAINERS {
            events.push(Event::CreatePlanned {
                token: token(number),
                owner: Uid(0),
                owner_name: "root".to_owned(),
                name: format!("c{number}"),
                kind: Kind::Docker,
                want: Some(Want::count(1)),
                restart: RestartPolicy::No,
                auto_remove: false,
                at: Time(0),
            });
            events.push(Event::Created { token: token(number), container: id(number), at: Time(0) });
        }
        let (reply, _answer) = oneshot::channel();
        bench.desk.take(vec![Message::Record { events, reply }]);
        bench
    }

    fn message(&self, deed: Deed) -> (Message, Asked) {
        match deed {
            Deed::Admit(number) => {
                let (reply, answer) = oneshot::channel();
                let (person, container) = (Box::new(person()), id(number));
                let message =
                    Message::Admit { person, container, cause: Cause::Person, patience: PATIENCE, reply };
                (message, Asked::Admit(answer))
            }
            Deed::Stop(number) => {
                let (reply, answer) = oneshot::channel();
                (Message::StopAsked { container: id(number), reply }, Asked::Stop(answer))
            }
            Deed::Rename(number) => {
                let (reply, answer) = oneshot::channel();
                let events = vec![Event::Renamed { container: id(number), name: long_name(number) }];
                (Message::Record { events, reply }, Asked::Record(answer))
            }
            Deed::Runs(number) | Deed::Ends(number) => {
                let epoch = self.desk.state.holding(&id(number)).map_or(ds01_domain::Epoch(0), |h| h.epoch);
                let outcome =
                    if matches!(deed, Deed::Runs(_)) { StartOutcome::Running } else { StartOutcome::Failed };
                (Message::StartEnded { container: id(number), epoch, outcome }, Asked::Nothing)
            }
        }
    }

    /// Has the desk take these together; how each was answered, in a word.
    fn take(&mut self, deeds: &[Deed]) -> Vec<String> {
        let (messages, asked): (Vec<_>, Vec<_>) = deeds.iter().map(|deed| self.message(*deed)).unzip();
        self.desk.take(messages);
        let words = asked.into_iter().map(word).collect();
        // What dropped answers have posted is no part of this.
        while self.mailbox.try_recv().is_ok() {}
        words
    }

    /// What a daemon would find that begins at this moment, after a crash.
    fn on_disk(&self) -> State {
        let copy = Scratch(self.scratch.0.with_extension("copy"));
        std::fs::create_dir_all(&copy.0).unwrap();
        for name in ["ledger.db", "ledger.db-wal"] {
            let _ = std::fs::copy(self.scratch.0.join(name), copy.0.join(name));
        }
        Ledger::open(&copy.0.join("ledger.db")).unwrap().1
    }

    fn commits(&mut self) -> u64 {
        self.desk.books.ledger().commits()
    }
}

const CONTAINERS: u8 = 5;

/// So long that a full disk has no room for it.
fn long_name(number: u8) -> String {
    format!("{number}").repeat(1 << 20)
}

fn word(asked: Asked) -> String {
    match asked {
        Asked::Admit(mut answer) => match answer.try_recv().expect("an answer") {
            Ok(Admitted::Granted(reservation)) => {
                let word =
                    format!("granted {} {}", reservation.container().short(), reservation.units().len());
                // Its start is under way for as long as this test goes on.
                reservation.settle(StartOutcome::Unknown);
                word
            }
            Ok(Admitted::Waits(line)) => format!("waits {} of {}", line.place.position, line.place.of),
            Ok(Admitted::Denied(denial)) => denial.code().to_owned(),
            Ok(Admitted::NoNeed) => "no need".to_owned(),
            Ok(Admitted::Runs) => "runs".to_owned(),
            Ok(Admitted::CalledOff) => "called off".to_owned(),
            Err(Fault::Ledger(_)) => "not written".to_owned(),
            Err(fault) => fault.to_string(),
        },
        Asked::Stop(mut answer) => format!("was in line: {}", answer.try_recv().expect("an answer")),
        Asked::Record(mut answer) => format!("recorded: {}", answer.try_recv().expect("an answer").is_ok()),
        Asked::Nothing => "–".to_owned(),
    }
}

/// The state but for its times, which are never twice the same.
fn told(state: &State) -> Vec<String> {
    let holdings = state.holdings().map(|h| format!("{} {} {} {:?}", h.container, h.epoch, h.phase, h.units));
    let containers = state.containers().map(|c| {
        format!("{} {} {} {:?}", c.id, c.name.len(), c.stop_asked, std::mem::discriminant(&c.standing))
    });
    let line = state.waiters().map(|waiter| format!("{:?} {}", waiter.ticket, waiter.container));
    holdings.chain(containers).chain(line).collect()
}

fn deed() -> impl Strategy<Value = Deed> {
    let number = 1..=CONTAINERS;
    prop_oneof![
        4 => number.clone().prop_map(Deed::Admit),
        2 => number.clone().prop_map(Deed::Stop),
        1 => number.clone().prop_map(Deed::Rename),
        2 => number.clone().prop_map(Deed::Runs),
        2 => number.prop_map(Deed::Ends),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn together_is_as_one_by_one(batches in prop::collection::vec(prop::collection::vec(deed(), 1..12), 1..4)) {
        let (mut together, mut alone) = (Bench::new(), Bench::new());
        for batch in batches {
            // What the Engine says of a start names the grant that it heard of: not one of the same batch.
            let heard = |deed: &&Deed| !matches!(deed, Deed::Runs(_) | Deed::Ends(_));
            let (first, rest): (Vec<&Deed>, Vec<&Deed>) = batch.iter().partition(|deed| !heard(deed));
            let batch: Vec<Deed> = first.into_iter().chain(rest).copied().collect();
            let written = together.commits();
            let answers = together.take(&batch);
            prop_assert!(together.commits() <= written + 1, "one commit");
            let singly: Vec<String> = batch.iter().flat_map(|deed| alone.take(&[*deed])).collect();
            prop_assert_eq!(answers, singly);
            prop_assert_eq!(told(&together.desk.state), told(&alone.desk.state));
            prop_assert_eq!(together.on_disk().durable(), together.desk.state.durable());
        }
    }

    #[test]
    fn where_the_commit_fails_nothing_is_granted_and_nothing_is_forgotten(
        batch in prop::collection::vec(deed(), 1..12),
    ) {
        let mut bench = Bench::new();
        let before = told(&bench.desk.state.durable());
        bench.desk.books.ledger().fill_disk(true);
        let whole = [&[Deed::Rename(5)], batch.as_slice()].concat();
        let answers = bench.take(&whole);
        prop_assert!(!answers.iter().any(|word| word.starts_with("granted")), "{:?}", answers);
        prop_assert_eq!(bench.desk.state.holdings().count(), 0);
        prop_assert_eq!(told(&bench.on_disk()), before);
        let stopped = |deed: &Deed| matches!(deed, Deed::Stop(number) if bench.desk.state.container(&id(*number)).is_some_and(|c| !c.stop_asked));
        prop_assert!(!batch.iter().any(stopped), "what may wait for the disk is taken in");
        bench.desk.books.ledger().fill_disk(false);
        let free: Vec<u8> = (1..=CONTAINERS).collect();
        let answers: Vec<String> = free.iter().flat_map(|number| bench.take(&[Deed::Admit(*number)])).collect();
        prop_assert_eq!(answers.iter().filter(|word| word.starts_with("granted")).count(), 1);
        prop_assert_eq!(bench.on_disk().durable(), bench.desk.state.durable());
    }
}

#[test]
fn what_is_asked_in_a_batch_is_answered_from_what_is_written() {
    let mut bench = Bench::new();
    bench.desk.books.ledger().fill_disk(true);
    let (rename, _recorded) = bench.message(Deed::Rename(5));
    let (admit, answer) = bench.message(Deed::Admit(1));
    let (seen, read) = oneshot::channel();
    let question = Message::Read(Box::new(|state, _, _| {
        let _ = seen.send(state.holdings().count());
    }));
    bench.desk.take(vec![rename, admit, question]);
    assert_eq!(word(answer), "not written");
    let mut read = read;
    assert_eq!(read.try_recv().unwrap(), 0, "nobody sees a grant that is not on the disk");
    assert!(!bench.desk.state.is_waiting(Ticket(0)));
    drop(bench.coordinator);
}

#[test]
fn those_who_wait_hear_of_a_grant_when_it_is_written() {
    let mut bench = Bench::new();
    let (first, granted) = bench.message(Deed::Admit(1));
    let (second, waits) = bench.message(Deed::Admit(2));
    bench.desk.take(vec![first, second]);
    assert!(word(granted).starts_with("granted"));
    let Asked::Admit(mut waits) = waits else { unreachable!("an admission was asked for") };
    let Ok(Ok(Admitted::Waits(mut line))) = waits.try_recv() else { panic!("it does not wait") };
    // The end of the first run and the release are one batch, and so is the grant to the second.
    let (ended, _nothing) = bench.message(Deed::Ends(1));
    let began = bench.desk.now().0 + 10;
    let seen = Seen::plain(Run::Exited(0), Occupancy::Empty);
    let observed = Observed {
        began: Time(began),
        containers: BTreeMap::from([(id(1), seen)]),
        units: BTreeMap::from([(unit().id, UnitSeen { unit: unit(), processes: Processes::Count(0) })]),
        ..Observed::default()
    };
    let (done, _told) = oneshot::channel();
    bench.desk.started.clear();
    bench.desk.take(vec![ended]);
    bench.desk.started.clear();
    let written = bench.commits();
    bench.desk.take(vec![Message::Observed { observed: Box::new(observed), done }]);
    assert_eq!(bench.commits(), written + 1, "the release and the grant are one commit");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let news = runtime.block_on(last_news(&mut line));
    assert!(matches!(news, WaitNews::Granted(_)), "{news:?}");
    assert_eq!(bench.on_disk().durable(), bench.desk.state.durable());
}
