//! Whatever happened and wherever the daemon was killed: the ledger gives the state again. Whatever became of its file: it
//! is the same ledger or none, never a new one.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_read_as_it_was_written(event in events()) {
        prop_assert!(event.is_durable());
        let body = rows::encode(&event).unwrap();
        prop_assert_eq!(rows::decode(&body).unwrap(), event);
    }
}

/// Where a history is cut: what was written by each daemon, and whether it ended well.
fn lives() -> impl Strategy<Value = Vec<(Vec<Event>, End)>> {
    let ends = prop_oneof![Just(End::Killed), Just(End::Shortened), Just(End::Closed)];
    prop::collection::vec((prop::collection::vec(happenings(), 0..25), ends), 1..5)
}

/// How a daemon's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Killed: the log is not folded in.
    Killed,
    /// Killed soon after the ledger was shortened.
    Shortened,
    /// As it should be.
    Closed,
}

/// A ledger with something in it, closed.
fn closed_ledger(events: &[Event]) -> Scratch {
    let scratch = Scratch::new();
    let (mut ledger, _) = Ledger::open(&scratch.file()).unwrap();
    ledger.append(events).unwrap();
    drop(ledger);
    let (mut ledger, state) = Ledger::open(&scratch.file()).unwrap();
    ledger.close(&state).unwrap();
    scratch
}

fn rows(ledger: &Ledger) -> i64 {
    ledger.db.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_ledger_gives_the_state_again_long_or_short(lives in lives()) {
        let scratch = Scratch::new();
        let mut state = State::default();
        for (events, end) in &lives {
            let (mut ledger, replayed) = Ledger::open(&scratch.file()).unwrap();
            prop_assert_eq!(&replayed.durable(), &state.durable());
            let shortened_after = if *end == End::Shortened { events.len() / 2 } else { usize::MAX };
            for (number, some) in events.chunks(3).enumerate() {
                ledger.append(some).unwrap();
                some.iter().for_each(|event| state.apply(event));
                if number * 3 >= shortened_after {
                    ledger.snapshot(&state).unwrap();
                }
            }
            if *end == End::Closed {
                ledger.close(&state).unwrap();
            }
        }
        let (_, replayed) = Ledger::open(&scratch.file()).unwrap();
        prop_assert_eq!(&replayed.durable(), &state.durable());
    }

    #[test]
    fn a_log_that_is_torn_gives_the_state_of_some_moment(
        events in prop::collection::vec(happenings(), 1..40),
        torn in 0.0..1.0_f64,
    ) {
        let scratch = Scratch::new();
        let (mut ledger, _) = Ledger::open(&scratch.file()).unwrap();
        let mut moments = vec![State::default().durable()];
        let mut state = State::default();
        for some in events.chunks(4) {
            ledger.append(some).unwrap();
            some.iter().for_each(|event| state.apply(event));
            moments.push(state.durable());
        }
        // As the disk has it at a power cut: the log is cut off anywhere.
        let cut = Scratch::new();
        std::fs::copy(scratch.file(), cut.file()).unwrap();
        let mut log = std::fs::read(schema::beside(&scratch.file(), "-wal")).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a small file")]
        log.truncate((log.len() as f64 * torn) as usize);
        std::fs::write(schema::beside(&cut.file(), "-wal"), log).unwrap();
        let (_, replayed) = Ledger::open(&cut.file()).unwrap();
        prop_assert!(moments.contains(&replayed.durable()));
    }

    #[test]
    fn a_file_that_was_damaged_is_refused_or_whole(
        events in prop::collection::vec(happenings(), 1..40),
        at in any::<prop::sample::Index>(),
        damage in prop_oneof![
            Just(None),
            prop::collection::vec(any::<u8>(), 1..600).prop_map(Some),
        ],
    ) {
        let scratch = closed_ledger(&events);
        let (ledger, state) = Ledger::open(&scratch.file()).unwrap();
        let written = rows(&ledger);
        drop(ledger);
        let mut bytes = std::fs::read(scratch.file()).unwrap();
        let at = at.index(bytes.len());
        let cut = damage.is_none();
        match damage {
            None => bytes.truncate(at),
            Some(damage) => bytes.iter_mut().skip(at).zip(damage).for_each(|(byte, other)| *byte = other),
        }
        std::fs::write(scratch.file(), &bytes).unwrap();
        match Ledger::open(&scratch.file()) {
            Err(_) => prop_assert_eq!(std::fs::read(scratch.file()).unwrap(), bytes, "left as it is"),
            Ok((ledger, found)) => {
                prop_assert_eq!(rows(&ledger), written, "nothing of it is forgotten");
                if cut {
                    prop_assert_eq!(found, state);
                }
            }
        }
    }

    #[test]
    fn the_copy_from_before_a_step_is_the_ledger_as_it_was(events in prop::collection::vec(happenings(), 0..40)) {
        let scratch = closed_ledger(&events);
        let more = [STEPS, &["CREATE TABLE wishes (text TEXT)"]].concat();
        let (_, stepped) = Ledger::open_with(&scratch.file(), &more).unwrap();
        prop_assert_eq!(&stepped.durable(), &applied(&events).durable());
        std::fs::rename(schema::beside(&scratch.file(), "before-3"), scratch.file()).unwrap();
        let (_, before) = Ledger::open(&scratch.file()).unwrap();
        prop_assert_eq!(&before.durable(), &stepped.durable());
    }
}
