//! What must hold of a ledger: it gives back what was written, and refuses what it cannot answer for.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ds01_domain::*;
use proptest::prelude::*;

use super::schema::{self, STEPS};
use super::{Ledger, LedgerError, ObjectKind, Record, RecordedBind, rows};

mod journal;
mod properties;

/// A directory of its own for each test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ds01-ledger-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("ledger.db")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn container(number: u8) -> ContainerId {
    ContainerId::new(&format!("{number:02x}").repeat(32)).unwrap()
}

fn token(number: u8) -> Token {
    Token::new(&format!("{number:02x}").repeat(16)).unwrap()
}

fn unit_id(number: u8) -> UnitId {
    UnitId::new(&format!("GPU-{number}")).unwrap()
}

fn unit(number: u8) -> Unit {
    Unit {
        id: unit_id(number),
        card: CardId::new(&format!("GPU-card-{number}")).unwrap(),
        index: u32::from(number),
        slice: number.is_multiple_of(2).then(|| Slice {
            ordinal: 1,
            profile: "1g.10gb".to_owned(),
            compute: 1,
            memory: number,
        }),
        model: "NVIDIA A100 \"quoted\" ÄÖÜ".to_owned(),
        memory_mib: 10_240,
        weight: Weight::from_milli(143),
    }
}

fn containers() -> impl Strategy<Value = ContainerId> {
    (0..6_u8).prop_map(container)
}

fn tokens() -> impl Strategy<Value = Token> {
    (0..6_u8).prop_map(token)
}

fn unit_ids() -> impl Strategy<Value = Vec<UnitId>> {
    prop::collection::btree_set(0..4_u8, 0..3).prop_map(|set| set.into_iter().map(unit_id).collect())
}

fn times() -> impl Strategy<Value = Time> {
    prop_oneof![0..100_000_u64, Just(u64::MAX >> 1)].prop_map(Time)
}

fn epochs() -> impl Strategy<Value = Epoch> {
    (1..6_u64).prop_map(Epoch)
}

fn restarts() -> impl Strategy<Value = RestartPolicy> {
    prop_oneof![
        Just(RestartPolicy::No),
        Just(RestartPolicy::Always),
        Just(RestartPolicy::UnlessStopped),
        any::<u32>().prop_map(|max| RestartPolicy::OnFailure { max }),
    ]
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Ds01),
        Just(Kind::DevContainer),
        Just(Kind::Compose),
        Just(Kind::Docker),
        Just(Kind::Infrastructure),
    ]
}

fn wants() -> impl Strategy<Value = Want> {
    let selectors = prop_oneof![
        any::<u32>().prop_map(Selector::Index),
        (any::<u32>(), any::<u32>()).prop_map(|(card, ordinal)| Selector::Slice(card, ordinal)),
        "[ -~]{1,40}".prop_map(Selector::Uuid),
    ];
    let asks = prop_oneof![
        any::<u32>().prop_map(Ask::Count),
        prop::collection::vec(selectors, 0..3).prop_map(Ask::Named),
    ];
    let capabilities = prop::collection::btree_set("[a-z0-9]{1,8}", 0..3);
    (asks, prop::option::of(any::<u64>()), any::<bool>(), prop::option::of(".{0,12}"), capabilities).prop_map(
        |(ask, min_memory_mib, full, model, capabilities)| Want {
            ask,
            min_memory_mib,
            full,
            model,
            capabilities,
        },
    )
}

fn issuers() -> impl Strategy<Value = Issuer> {
    prop_oneof![Just(Issuer::Local), "[a-z]{0,8}".prop_map(Issuer::External)]
}

fn durations() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|ms| Duration::from_millis(u64::from(ms)))
}

fn healths() -> impl Strategy<Value = Health> {
    prop_oneof![Just(Health::Available), Just(Health::Dirty), Just(Health::Draining), Just(Health::Lost)]
}

fn grants() -> impl Strategy<Value = Event> {
    (containers(), any::<u32>(), epochs(), unit_ids(), any::<u32>(), issuers(), durations(), times())
        .prop_map(|(container, owner, epoch, units, weight, issuer, hold, at)| {
            let weight = Weight::from_milli(weight);
            Event::Reserved(Grant::from_ledger(container, Uid(owner), epoch, units, weight, issuer, hold, at))
        })
}

fn standings() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Created),
        Just(Standing::Starting),
        times().prop_map(|since| Standing::Running { since }),
        (times(), prop::option::of(any::<i32>()), any::<bool>())
            .prop_map(|(at, exit, by_user)| Standing::Stopped { at, exit, by_user }),
        Just(Standing::Removed),
    ]
}

fn causes() -> impl Strategy<Value = Cause> {
    prop_oneof![Just(Cause::Idle), Just(Cause::Demand), Just(Cause::Runtime)]
}

fn stages() -> impl Strategy<Value = Stage> {
    prop_oneof![Just(Stage::Half), Just(Stage::Soon), Just(Stage::Last)]
}

fn courses() -> impl Strategy<Value = Option<Course>> {
    let course = (causes(), stages(), times());
    prop::option::of(course.prop_map(|(cause, stage, stop_at)| Course { cause, stage, stop_at }))
}

fn carried_containers() -> impl Strategy<Value = Carried> {
    let who = (containers(), prop::option::of(tokens()), any::<u32>(), ".{0,8}", ".{0,8}", kinds());
    let what = (prop::option::of(wants()), restarts(), any::<bool>(), times(), standings());
    let run = (durations(), unit_ids(), any::<bool>());
    let tries = (any::<u32>(), durations(), prop::option::of(times()), any::<bool>());
    let told = (courses(), courses(), prop::option::of(causes()), prop::option::of(causes()));
    let later = (prop::option::of((causes(), times())), prop::option::of(times()));
    (who, what, run, tries, told, later).prop_map(|(who, what, run, tries, told, later)| {
        let (id, token, owner, owner_name, name, kind) = who;
        let (want, restart, auto_remove, created, standing) = what;
        let (running_total, last_units, stop_asked) = run;
        let (tries, delay, due, ours) = tries;
        let (course, runtime_course, stopping, stopped_for) = told;
        let (would_stop, kept_until) = later;
        Carried::Container(Box::new(Container {
            id,
            token,
            owner: Uid(owner),
            owner_name,
            name,
            kind,
            want,
            restart,
            auto_remove,
            created,
            standing,
            running_total,
            last_units,
            stop_asked,
            restarts: Restarts { tries, delay, due, ours },
            course,
            runtime_course,
            stopping,
            stopped_for,
            would_stop,
            kept_until,
            exempt_until: None,
        }))
    })
}

fn carried() -> impl Strategy<Value = Carried> {
    let phases =
        prop_oneof![Just(Phase::Reserved), Just(Phase::Bound), Just(Phase::Running), Just(Phase::Ending)];
    let holdings = (containers(), epochs(), unit_ids(), phases, times(), times(), issuers(), durations())
        .prop_map(|(container, epoch, units, phase, since, changed, issuer, hold_after_stop)| Holding {
            container,
            owner: Uid(7),
            epoch,
            units,
            phase,
            since,
            changed,
            issuer,
            hold_after_stop,
        });
    prop_oneof![
        (epochs(), times()).prop_map(|(last_epoch, latest)| Carried::Counters { last_epoch, latest }),
        carried_containers(),
        holdings.prop_map(Carried::Holding),
        (0..4_u8, containers(), times()).prop_map(|(unit, container, until)| Carried::Preference {
            unit: unit_id(unit),
            preference: Preference { owner: Uid(1), container, until },
        }),
        (any::<u32>(), containers(), times(), times()).prop_map(|(owner, container, from, until)| {
            Carried::Keep { owner: Uid(owner), container, from, until }
        }),
        (any::<u32>(), 0..1000_u64, any::<u32>()).prop_map(|(owner, hour, amount)| Carried::Usage {
            owner: Uid(owner),
            hour,
            amount: u64::from(amount),
        }),
    ]
}

/// The owner of carried containers is anybody: few of them are exempt.
fn exempts() -> impl Strategy<Value = Exempt> {
    prop_oneof![
        containers().prop_map(Exempt::Container),
        any::<u32>().prop_map(|owner| Exempt::Person(Uid(owner)))
    ]
}

fn creates() -> impl Strategy<Value = Event> {
    let spec = (kinds(), prop::option::of(wants()), restarts(), any::<bool>());
    (tokens(), any::<u32>(), ".{0,8}", ".{0,8}", spec, times()).prop_map(
        |(token, owner, owner_name, name, (kind, want, restart, auto_remove), at)| Event::CreatePlanned {
            token,
            owner: Uid(owner),
            owner_name,
            name,
            kind,
            want,
            restart,
            auto_remove,
            at,
        },
    )
}

/// Everything that happens, in any order and with anything in it.
fn happenings() -> impl Strategy<Value = Event> {
    let run = || (containers(), epochs(), times());
    prop_oneof![
        (0..4_u8).prop_map(|number| Event::UnitSeen(unit(number))),
        (0..4_u8, times()).prop_map(|(unit, at)| Event::UnitGone { unit: unit_id(unit), at }),
        (0..4_u8, healths(), times()).prop_map(|(unit, health, at)| Event::Health {
            unit: unit_id(unit),
            health,
            at
        }),
        creates(),
        (tokens(), containers(), times()).prop_map(|(token, container, at)| Event::Created {
            token,
            container,
            at
        }),
        tokens().prop_map(|token| Event::CreateAbandoned { token }),
        (containers(), ".{0,8}").prop_map(|(container, name)| Event::Renamed { container, name }),
        (containers(), restarts())
            .prop_map(|(container, restart)| Event::RestartChanged { container, restart }),
        (containers(), times()).prop_map(|(container, at)| Event::Removed { container, at }),
        grants(),
        run().prop_map(|(container, epoch, at)| Event::Bound { container, epoch, at }),
        run().prop_map(|(container, epoch, at)| Event::Ran { container, epoch, at }),
        (containers(), times()).prop_map(|(container, at)| Event::StopAsked { container, at }),
        (run(), prop::option::of(any::<i32>()), any::<bool>()).prop_map(
            |((container, epoch, at), exit, by_user)| Event::Ended { container, epoch, at, exit, by_user }
        ),
        run().prop_map(|(container, epoch, at)| Event::Released { container, epoch, at }),
        run().prop_map(|(container, epoch, at)| Event::Spared { container, epoch, at }),
        (run(), causes(), stages(), times()).prop_map(|((container, epoch, at), cause, stage, stop_at)| {
            Event::Warned { container, epoch, cause, stage, stop_at, at }
        }),
        (run(), causes()).prop_map(|((container, epoch, at), cause)| Event::WouldStop {
            container,
            epoch,
            cause,
            at
        }),
        (run(), causes()).prop_map(|((container, epoch, at), cause)| Event::StopDecided {
            container,
            epoch,
            cause,
            at
        }),
        (containers(), times(), times()).prop_map(|(container, until, at)| Event::Kept {
            container,
            until,
            at
        }),
        (run(), any::<u32>(), ".{0,8}", ".{0,8}", unit_ids()).prop_map(
            |((container, epoch, at), owner, owner_name, name, units)| Event::Adopted {
                container,
                owner: Uid(owner),
                owner_name,
                name,
                epoch,
                units,
                at,
            }
        ),
        (exempts(), times(), ".{0,8}", times()).prop_map(|(of, until, reason, at)| {
            let (owner_name, name, by) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
            Event::Exempted(Exemption { of, owner_name, name, until, reason, by, at })
        }),
        (exempts(), times()).prop_map(|(of, at)| Event::ExemptionOver { of, by: "c".to_owned(), at }),
        (containers(), any::<u32>(), times()).prop_map(|(container, attempt, at)| Event::RestartTried {
            container,
            attempt,
            at
        }),
    ]
}

/// Every durable event.
fn events() -> impl Strategy<Value = Event> {
    prop_oneof![24 => happenings(), 5 => carried().prop_map(Event::Carried)]
}

fn applied(events: &[Event]) -> State {
    let mut state = State::default();
    events.iter().for_each(|event| state.apply(event));
    state
}

#[test]
fn the_line_is_not_written() {
    assert_eq!(rows::encode(&Event::Left { ticket: Ticket(1), why: LeftWhy::Denied }), None);
    let scratch = Scratch::new();
    let (mut ledger, _) = Ledger::open(&scratch.file()).unwrap();
    ledger.append(&[Event::Left { ticket: Ticket(1), why: LeftWhy::Denied }]).unwrap();
    let rows: i64 = ledger.db.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn what_old_files_say_is_settled_for_ever() {
    let event =
        Event::Ended { container: container(1), epoch: Epoch(3), at: Time(9), exit: Some(1), by_user: true };
    expect_test::expect![[
        r#"{"event":"ended","container":"0101010101010101010101010101010101010101010101010101010101010101","epoch":3,"at":9,"exit":1,"by_user":true}"#
    ]]
    .assert_eq(&rows::encode(&event).unwrap());
    let grant = Grant::from_ledger(
        container(1),
        Uid(1000),
        Epoch(3),
        vec![unit_id(1)],
        Weight::from_milli(143),
        Issuer::Local,
        Duration::from_secs(900),
        Time(9),
    );
    expect_test::expect![[
        r#"{"event":"reserved","container":"0101010101010101010101010101010101010101010101010101010101010101","owner":1000,"epoch":3,"units":["GPU-1"],"weight_milli":143,"hold_after_stop_ms":900000,"at":9}"#
    ]]
    .assert_eq(&rows::encode(&Event::Reserved(grant)).unwrap());
}

#[test]
fn a_long_ledger_is_shortened_by_itself() {
    let scratch = Scratch::new();
    let (mut ledger, mut state) = Ledger::open(&scratch.file()).unwrap();
    let mut record = |ledger: &mut Ledger, event: Event| {
        ledger.append(std::slice::from_ref(&event)).unwrap();
        state.apply(&event);
        ledger.snapshot_if_due(&state).unwrap();
    };
    // One commit each would wait for the disk five thousand times.
    ledger.since_snapshot = super::EVENTS_PER_SNAPSHOT - 3;
    for number in 0..3 {
        record(&mut ledger, Event::UnitSeen(unit(number)));
    }
    record(&mut ledger, Event::StopAsked { container: container(1), at: Time(7) });
    let rows: i64 = ledger.db.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 5, "counters, three units, and what came after");
    drop(ledger);
    let (_, replayed) = Ledger::open(&scratch.file()).unwrap();
    assert_eq!(replayed.units().count(), 3);
    assert_eq!(replayed.latest(), Time(7));
}

/// A ledger with something in it, closed.
fn written(scratch: &Scratch) -> Vec<u8> {
    let (mut ledger, state) = Ledger::open(&scratch.file()).unwrap();
    let events: Vec<Event> = (0..4).map(|number| Event::UnitSeen(unit(number))).collect();
    ledger.append(&events).unwrap();
    drop(state);
    ledger.close(&applied(&events)).unwrap();
    drop(ledger);
    std::fs::read(scratch.file()).unwrap()
}

fn refused(scratch: &Scratch) -> LedgerError {
    let before = std::fs::read(scratch.file()).ok();
    let Err(error) = Ledger::open(&scratch.file()) else { panic!("it was opened") };
    assert_eq!(std::fs::read(scratch.file()).ok(), before, "a refused ledger is left as it is");
    error
}

/// What is done to a file, and how.
type Damage = (&'static str, fn(&mut Vec<u8>));

#[test]
fn a_damaged_ledger_is_refused_and_left_as_it_is() {
    let damages: [Damage; 5] = [
        ("no ledger at all", |bytes| bytes.fill(b'x')),
        ("cut off", |bytes| bytes.truncate(bytes.len() / 2)),
        ("nothing in it", Vec::clear),
        ("a page that is not one", |bytes| bytes[4096..8192].fill(0xAA)),
        ("an event of nobody's", |bytes| {
            let at = bytes.windows(9).position(|w| w == b"unit-seen").unwrap();
            bytes[at..at + 9].copy_from_slice(b"unit-sean");
        }),
    ];
    for (what, damage) in damages {
        let scratch = Scratch::new();
        let mut bytes = written(&scratch);
        damage(&mut bytes);
        std::fs::write(scratch.file(), bytes).unwrap();
        let error = refused(&scratch);
        assert!(matches!(error, LedgerError::Damaged { .. }), "{what}: {error}");
        let text = error.to_string();
        assert!(text.contains("Nothing was changed") && text.contains("ledger.db-wal"), "{what}: {text}");
    }
}

#[test]
fn a_ledger_of_which_only_the_log_is_left_is_not_begun_anew() {
    let scratch = Scratch::new();
    written(&scratch);
    std::fs::remove_file(scratch.file()).unwrap();
    std::fs::write(schema::beside(&scratch.file(), "-wal"), "what was").unwrap();
    let error = refused(&scratch);
    assert!(error.to_string().contains("it is missing, and its write-ahead log"), "{error}");
}

#[test]
fn a_new_ledger_is_there_whole_or_not_at_all() {
    let scratch = Scratch::new();
    // Left by a daemon that was killed at its first start.
    std::fs::write(schema::beside(&scratch.file(), "new"), "half of it").unwrap();
    drop(Ledger::open(&scratch.file()).unwrap());
    assert_eq!(scratch.names(), ["ledger.db", "ledger.lock"]);
}

#[test]
fn somebody_elses_database_is_refused_and_left_as_it_is() {
    for statements in ["CREATE TABLE notes (text)", "CREATE TABLE notes (text); PRAGMA user_version = 1"] {
        let scratch = Scratch::new();
        let db = rusqlite::Connection::open(scratch.file()).unwrap();
        db.execute_batch(statements).unwrap();
        drop(db);
        let error = refused(&scratch);
        assert!(error.to_string().contains("tables that ds01d did not make"), "{error}");
    }
}

#[test]
fn a_newer_ledger_is_refused_with_a_way_out() {
    let scratch = Scratch::new();
    written(&scratch);
    let newer = [STEPS, &["CREATE TABLE wishes (text TEXT)"]].concat();
    drop(Ledger::open_with(&scratch.file(), &newer).unwrap());
    let error = refused(&scratch);
    assert!(matches!(error, LedgerError::Newer { found: 3, known: 2, .. }), "{error}");
    assert!(error.to_string().contains("ledger.db.before-3"), "{error}");
    // The way out: the copy from before the step.
    std::fs::rename(schema::beside(&scratch.file(), "before-3"), scratch.file()).unwrap();
    let (_, state) = Ledger::open(&scratch.file()).unwrap();
    assert_eq!(state.units().count(), 4);
}

#[test]
fn a_step_is_taken_once_whole_and_over_a_copy() {
    let scratch = Scratch::new();
    written(&scratch);
    let broken = [STEPS, &["CREATE TABLE wishes (text TEXT); CREATE TABLE wishes (text TEXT)"]].concat();
    assert!(Ledger::open_with(&scratch.file(), &broken).is_err());
    let (_, state) = Ledger::open(&scratch.file()).unwrap();
    assert_eq!(state.units().count(), 4, "a step that fails leaves what was");
    // What an earlier try left behind is in nobody's way.
    std::fs::write(schema::beside(&scratch.file(), "before-3.new"), "half of it").unwrap();
    let more = [STEPS, &["CREATE TABLE wishes (text TEXT)"]].concat();
    for _ in 0..2 {
        let (ledger, state) = Ledger::open_with(&scratch.file(), &more).unwrap();
        assert_eq!(state.units().count(), 4);
        assert!(ledger.db.execute("INSERT INTO wishes VALUES ('peace')", []).is_ok());
    }
    assert_eq!(scratch.names(), ["ledger.db", "ledger.db.before-3", "ledger.lock"]);
}

#[test]
fn one_daemon_at_a_time() {
    let scratch = Scratch::new();
    let open = Ledger::open(&scratch.file()).unwrap();
    let Err(error) = Ledger::open(&scratch.file()) else { panic!("opened twice") };
    assert!(matches!(error, LedgerError::InUse { .. }), "{error}");
    drop(open);
    assert!(Ledger::open(&scratch.file()).is_ok());
}

#[test]
fn records_and_owners_are_kept_beside_the_events() {
    let scratch = Scratch::new();
    let (mut ledger, state) = Ledger::open(&scratch.file()).unwrap();
    let record = Record {
        original: serde_json::json!({"HostConfig": {"Runtime": "nvidia"}}),
        binds: vec![RecordedBind {
            slot: 2,
            source: "/home/a b".into(),
            read_only: true,
            effective: (1, 2),
            plain: true,
        }],
        uid: 1000,
        project: Some("thesis".into()),
        ..Record::default()
    };
    ledger.keep_record(&token(1), &record).unwrap();
    ledger.keep_record(&token(2), &Record::default()).unwrap();
    assert_eq!(ledger.own(ObjectKind::Volume, "data", 1000).unwrap(), 1000);
    assert_eq!(ledger.own(ObjectKind::Volume, "data", 1001).unwrap(), 1000, "the first keeps it");
    assert_eq!(ledger.owner_of(ObjectKind::Network, "data").unwrap(), None, "kinds are kept apart");
    ledger.close(&state).unwrap();
    drop(ledger);
    let (mut ledger, _) = Ledger::open(&scratch.file()).unwrap();
    assert_eq!(ledger.record_of(&token(1)).unwrap(), Some(record));
    assert_eq!(ledger.record_tokens().unwrap(), [token(1), token(2)]);
    ledger.forget_record(&token(1)).unwrap();
    assert_eq!(ledger.record_of(&token(1)).unwrap(), None);
    assert_eq!(ledger.owned(ObjectKind::Volume).unwrap().len(), 1);
    ledger.disown(ObjectKind::Volume, "data").unwrap();
    assert_eq!(ledger.owner_of(ObjectKind::Volume, "data").unwrap(), None);
}

#[test]
fn a_full_disk_writes_nothing_and_harms_nothing() {
    let scratch = Scratch::new();
    let (mut ledger, _) = Ledger::open(&scratch.file()).unwrap();
    ledger.append(&[Event::UnitSeen(unit(1))]).unwrap();
    ledger.fill_disk(true);
    let many: Vec<Event> = (0..200).map(|n| Event::UnitSeen(unit(n))).collect();
    let Err(error) = ledger.append(&many) else { panic!("the disk was not full") };
    assert!(crate::Chain(&error).to_string().contains("full"), "{error}");
    ledger.fill_disk(false);
    ledger.append(&[Event::UnitSeen(unit(2))]).unwrap();
    drop(ledger);
    let (_, state) = Ledger::open(&scratch.file()).unwrap();
    assert_eq!(state.units().count(), 2, "all of an append, or nothing");
}
