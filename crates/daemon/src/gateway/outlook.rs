//! What those who wait may expect, in words: by what the watch saw of those who hold units.
//!
//! It is worked out beside the coordinator, on a copy of what it knows: nobody's start waits for it.

use std::collections::BTreeMap;

use ds01_domain::{Cause, ContainerId, GoesBack, Mode, Named, Outlook, Time, outlooks};

use super::Door;
use crate::clock;

/// What the first of the line may expect, as people and scripts are told.
pub(crate) async fn of_the_line(door: &Door) -> BTreeMap<ContainerId, ds01_api::Outlook> {
    let seen = door.board.all();
    let config = door.config();
    let enforced = door.board.mode(&config.policy.rules) == Mode::Enforce;
    let read = door.coordinator.read(move |state, _, now| (state.clone(), now)).await;
    let Ok((state, now)) = read else { return BTreeMap::new() };
    if state.waiting() == 0 {
        return BTreeMap::new();
    }
    let mut ends = BTreeMap::new();
    // Who only observes stops nobody.
    for container in state.holdings().filter_map(|held| state.container(&held.container)).filter(|_| enforced)
    {
        let goes_back = match seen.get(&container.id) {
            Some(seen) => GoesBack::of(container, &seen.watched, now),
            None => {
                let person = door.person(container.owner.0, &container.owner_name).await;
                let times = config.policy.times(&config.policy.resolve(&person), container.kind);
                GoesBack::by_run_time(container, times.max_runtime, now)
            }
        };
        ends.insert(container.id.clone(), goes_back);
    }
    let told = tokio::task::spawn_blocking(move || {
        let outlooks = outlooks(&config.policy, &state, &ends, now);
        outlooks.into_iter().map(|(id, outlook)| (id, shown(&outlook, now, enforced))).collect()
    });
    told.await.unwrap_or_default()
}

/// The same of one container.
pub(crate) async fn of(door: &Door, container: &ContainerId) -> Option<ds01_api::Outlook> {
    of_the_line(door).await.remove(container)
}

fn shown(outlook: &Outlook, now: Time, enforced: bool) -> ds01_api::Outlook {
    let seconds = |at: Time| at.since(now).as_secs();
    ds01_api::Outlook {
        expected_seconds: outlook.expected.as_ref().map(|(at, ..)| seconds(*at)),
        latest_seconds: outlook.latest.map(seconds),
        text: words(outlook, |at| clock::soon(at.since(now)), enforced),
    }
}

fn words(outlook: &Outlook, when: impl Fn(Time) -> String, enforced: bool) -> String {
    let endless = || match &outlook.endless {
        _ if !enforced => "DS01 only observes here, and stops nobody".to_owned(),
        Some(holder) => format!("{} may run for ever", named(holder)),
        None => "nobody can say who gives units back".to_owned(),
    };
    let Some((at, cause, holder)) = &outlook.expected else {
        return format!("no time known: {}", endless());
    };
    let holder = named(holder);
    let cause = match cause {
        Cause::Idle | Cause::Demand => format!("if {holder} stays idle"),
        Cause::Runtime => format!("when the run time of {holder} is over"),
    };
    match outlook.latest {
        Some(latest) if latest == *at => format!("expected at the latest {}, {cause}", when(latest)),
        Some(latest) => format!("expected {}, {cause}; at the latest {}", when(*at), when(latest)),
        None => format!("expected {}, {cause}; else no time is known: {}", when(*at), endless()),
    }
}

fn named(container: &Named) -> String {
    let Named { owner_name, name } = container;
    let project = ds01_api::names::project_of(name, owner_name);
    project.map_or_else(|| format!("{owner_name}/{name}"), |project| format!("{owner_name}/{project}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_said_to_be_so() {
        let bob = || Named { owner_name: "bob".into(), name: "parked._.bob".into() };
        let said = |outlook: &Outlook, enforced| words(outlook, |at| format!("at {}", at.0), enforced);
        let idle =
            Outlook { expected: Some((Time(5), Cause::Idle, bob())), latest: Some(Time(9)), endless: None };
        assert_eq!(said(&idle, true), "expected at 5, if bob/parked stays idle; at the latest at 9");
        let run = Outlook { expected: Some((Time(9), Cause::Runtime, bob())), ..idle.clone() };
        assert_eq!(said(&run, true), "expected at the latest at 9, when the run time of bob/parked is over");
        let open = Outlook { latest: None, endless: Some(bob()), ..idle };
        assert_eq!(
            said(&open, true),
            "expected at 5, if bob/parked stays idle; else no time is known: bob/parked may run for ever"
        );
        let none = Outlook { expected: None, ..open };
        assert_eq!(said(&none, true), "no time known: bob/parked may run for ever");
        assert_eq!(said(&none, false), "no time known: DS01 only observes here, and stops nobody");
    }
}
