//! `ds01 greeting`: three lines at most, none wider than the terminal.

use ds01_api::{Container, ContainerList, ContainerState, Machine};

use super::containers::{gpus, stop_text};
use super::table::cut;
use super::words::count;
use super::{CARE, QUIET, TITLE, styled};

/// Containers that are told of by name.
const NAMED_MAX: usize = 3;

/// What the machine has free and what the caller has running on it.
pub(crate) fn greeting(machine: &Machine, list: &ContainerList, columns: Option<u16>) -> String {
    let line = |text: &str| columns.map_or_else(|| text.to_owned(), |columns| cut(text, columns.into()));
    let units = count(machine.total_units.into(), "GPU unit");
    let free = match machine.total_units {
        0 => format!("{}: no GPU can be given out", machine.host),
        _ => format!("{}: {} of {units} free", machine.host, machine.free_units),
    };
    let waiting = match machine.waiting {
        0 => "nobody waits".to_owned(),
        1 => "1 start waits in line".to_owned(),
        n => format!("{n} starts wait in line"),
    };
    let mut text = format!("{}\n", styled(TITLE, &line(&format!("{free}, {waiting}."))));
    let mut mine: Vec<&Container> = list.containers.iter().filter(|one| one.mine).collect();
    // What ends soonest is told of first; the rest may not have room.
    mine.sort_by_key(|one| one.stop.as_ref().map_or(u64::MAX, |stop| stop.in_seconds));
    let near = mine.iter().any(|one| is_near(one));
    text += &match mine.as_slice() {
        [] if list.hidden == 0 => {
            format!("{}\n", line("You have no containers: container deploy my-project --open makes one."))
        }
        [] => {
            format!(
                "{}\n",
                line(&format!("You have {}, none running.", count(list.hidden.into(), "container")))
            )
        }
        mine => {
            let named: Vec<String> = mine.iter().take(NAMED_MAX).map(|one| about(one)).collect();
            let more = match mine.len().saturating_sub(NAMED_MAX) {
                0 => String::new(),
                more => format!("; {more} more"),
            };
            let told = line(&format!("Yours: {}{more}", named.join("; ")));
            if near { format!("{}\n", styled(CARE, &told)) } else { format!("{told}\n") }
        }
    };
    text + &format!("{}\n", styled(QUIET, &line("dashboard shows it all, container list what is yours.")))
}

/// A stop that is this near is coloured: as long before, owners are warned.
const NEAR_SECONDS: u64 = 15 * 60;

fn is_near(container: &Container) -> bool {
    container.stop.as_ref().is_some_and(|stop| stop.enforced && stop.in_seconds <= NEAR_SECONDS)
}

/// A container in a few words: `train on GPU 1:1 (stops in 22 h, run time)`.
fn about(container: &Container) -> String {
    let name = container.short_name();
    let what = match (container.state, &container.waiting, container.units.is_empty()) {
        (ContainerState::Waiting, Some(place), _) => format!(" waits, {} of {}", place.position, place.of),
        (_, _, false) => format!(" on GPU {}", gpus(container)),
        _ => String::new(),
    };
    let stop = container.stop.as_ref().map(|stop| format!(" (stops {})", stop_text(stop)));
    format!("{name}{what}{}", stop.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::plain;
    use super::*;
    use crate::tui::sample;

    #[test]
    fn at_login() {
        let snapshot = sample::snapshot(50);
        let (machine, mut list) = (snapshot.machine, snapshot.containers);
        let told = |machine: &Machine, list: &ContainerList, columns| {
            let text = plain(&greeting(machine, list, columns));
            assert!(text.lines().count() <= 3, "{text}");
            assert!(
                columns.is_none_or(|columns| text.lines().all(|line| line.chars().count() <= columns.into()))
            );
            text
        };
        expect![[r#"
            dgx1: 1 of 4 GPU units free, 2 starts wait in line.
            Yours: parked (stops in 4 min, idle); train on GPU 1:0 3g.40gb (stops in 22 h, run time); next waits, 2 of 2
            dashboard shows it all, container list what is yours.
        "#]].assert_eq(&told(&machine, &list, None));
        expect![[r#"
            dgx1: 1 of 4 GPU units free, 2 starts wait in line.
            Yours: parked (stops in 4 min, idle); train on GPU 1:0 3g.4…
            dashboard shows it all, container list what is yours.
        "#]]
        .assert_eq(&told(&machine, &list, Some(60)));
        list.containers.push(sample::container("eval", "alice", 100));
        list.containers.push(sample::container("theirs", "bob", 100));
        expect![[r#"
            dgx1: 1 of 4 GPU units free, 2 starts wait in line.
            Yours: parked (stops in 4 min, idle); train on GPU 1:0 3g.40gb (stops in 22 h, run time); next waits, 2 of 2; 1 more
            dashboard shows it all, container list what is yours.
        "#]].assert_eq(&told(&machine, &list, None));
        list.containers.clear();
        expect![[r#"
            dgx1: 1 of 4 GPU units free, 2 starts wait in line.
            You have 1 container, none running.
            dashboard shows it all, container list what is yours.
        "#]]
        .assert_eq(&told(&machine, &list, Some(80)));
        list.hidden = 0;
        let none = Machine { total_units: 0, free_units: 0, waiting: 0, cards: vec![], ..machine };
        expect![[r#"
            dgx1: no GPU can be given out, nobody waits.
            You have no containers: container deploy my-project --open makes one.
            dashboard shows it all, container list what is yours.
        "#]]
        .assert_eq(&told(&none, &list, Some(80)));
    }
}
