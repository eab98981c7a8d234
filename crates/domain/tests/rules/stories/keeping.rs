//! The budget of time that people may ask for: whatever is asked when, nobody has more than it in any seven days, and
//! who is told when to ask again gets it then and not before.

use std::time::Duration;

use ds01_domain::*;
use proptest::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);

fn id(number: u8) -> ContainerId {
    ContainerId::new(&format!("{number:02x}").repeat(32)).unwrap()
}

fn alice() -> Person {
    Person { uid: Uid(1001), name: "alice".into(), unix_groups: Vec::new(), admin: false }
}

/// Alice and her three containers, and a budget of so many hours.
fn lab(hours: u32) -> (Policy, State) {
    let mut policy = Policy::default();
    policy.defaults.keep_budget = Some(Cap::At(HOUR * hours));
    let mut state = State::default();
    for number in 0..3 {
        let token = Token::new(&format!("{number:02x}").repeat(16)).unwrap();
        state.apply(&Event::CreatePlanned {
            token: token.clone(),
            owner: Uid(1001),
            owner_name: "alice".into(),
            name: format!("job{number}"),
            kind: Kind::Docker,
            want: Some(Want::count(1)),
            restart: RestartPolicy::No,
            auto_remove: false,
            at: Time(0),
        });
        state.apply(&Event::Created { token, container: id(number), at: Time(0) });
    }
    (policy, state)
}

fn hours(count: u64) -> Time {
    Time(0).after(HOUR * u32::try_from(count).unwrap())
}

fn said(result: Result<Event, Box<Denial>>) -> String {
    match result {
        Ok(_) => "kept".to_owned(),
        Err(denial) => denial.to_string(),
    }
}

#[test]
fn a_budget_says_what_was_used_and_when_it_comes_back() {
    let (policy, mut state) = lab(8);
    let mut ask = |container: u8, at: u64, length: u32| {
        let result = keep(&policy, &state, &alice(), &id(container), HOUR * length, hours(at));
        if let Ok(event) = &result {
            state.apply(event);
        }
        said(result)
    };
    assert_eq!(ask(0, 200, 5), "kept");
    assert_eq!(ask(1, 201, 3), "kept");
    let full = "you may keep idle containers for 8 hours in seven days, and have asked for 8 hours";
    assert_eq!(ask(2, 202, 2), format!("{full}; 2 hours can be had again in 6 days 23 hours"));
    assert_eq!(ask(2, 202, 9), format!("{full}; 9 hours is more than all of it"));
    // Taken back after two hours: three of the five were never used.
    assert_eq!(ask(0, 202, 0), "kept");
    assert_eq!(ask(2, 202, 3), "kept");
    // Asked anew for the same hours.
    assert_eq!(ask(2, 203, 2), "kept");
    // An hour of the first is older than seven days then.
    assert_eq!(ask(0, 200 + 7 * 24, 2), format!("{full}; 2 hours can be had again in 1 hour 30 minutes"));
    assert_eq!(ask(0, 202 + 7 * 24, 2), "kept");
    // Somebody without a budget.
    let admin = Person { admin: true, ..alice() };
    assert!(keep(&policy, &state, &admin, &id(1), HOUR * 20, hours(500)).is_ok());
}

proptest! {
    #[test]
    fn nobody_has_more_than_his_budget_in_any_seven_days(
        asked in prop::collection::vec((0..3_u8, 0..40_u64, 0..10_u32), 1..60),
    ) {
        let (policy, mut state) = lab(12);
        let budget = HOUR * 12;
        let (mut now, mut given) = (hours(1000), Vec::<(u8, Time, Time)>::new());
        for (container, later, length) in asked {
            now = now.after(HOUR * u32::try_from(later).unwrap() / 4);
            let length = HOUR * length;
            match keep(&policy, &state, &alice(), &id(container), length, now) {
                Ok(event) => {
                    state.apply(&event);
                    for (_, _, until) in given.iter_mut().filter(|(other, ..)| *other == container) {
                        *until = (*until).min(now);
                    }
                    given.push((container, now, now.after(length)));
                }
                Err(denial) => {
                    let Denial::KeepBudget(told) = *denial else { panic!("{denial}") };
                    let again = told.again_in.expect("less than all of it");
                    let then = now.after(again);
                    let may = |at: Time| keep(&policy, &state, &alice(), &id(container), length, at).is_ok();
                    prop_assert!(may(then));
                    let kept = given.iter().any(|(other, _, until)| *other == container && *until > now);
                    // Who has time still may have less of it taken off.
                    prop_assert!(kept || !may(Time(then.0 - 2)));
                }
            }
            // By the story, not by the rules' own sums: seven days that end with the last that was asked for.
            let last = given.iter().map(|(_, _, until)| *until).max().unwrap_or(now).max(now);
            for end in given.iter().map(|(_, from, _)| *from).chain([now]) {
                let begin = Time(end.0.saturating_sub(u64::try_from(KEEP_WINDOW.as_millis()).unwrap()));
                let sum: Duration = given
                    .iter()
                    .filter(|(_, from, _)| *from <= end)
                    .map(|(_, from, until)| until.since((*from).max(begin)))
                    .sum();
                prop_assert!(sum <= budget, "{sum:?} in the seven days before {end:?} of {last:?}");
            }
        }
        // A shortened history knows the same.
        let mut short = State::default();
        state.to_events().iter().for_each(|event| short.apply(event));
        prop_assert_eq!(short.kept_by(Uid(1001), now), state.kept_by(Uid(1001), now));
    }
}
