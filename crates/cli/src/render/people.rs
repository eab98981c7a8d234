//! People: `ds01 whoami`, `ds01 queue`, `ds01 why`.

use ds01_api::{Kept, Queue, Via, WhoAmI, Why};

use super::table::{Cell, Column, table};
use super::words::{count, countdown, duration};
use super::{GOOD, TITLE, TYPED, facts, styled};

/// `ds01 whoami`.
pub(crate) fn whoami(who: &WhoAmI) -> String {
    let admin = if who.admin { ", admin" } else { "" };
    let mut rows = vec![("user id", who.uid.to_string()), ("group", who.group.clone())];
    if !who.unix_groups.is_empty() {
        rows.push(("Unix groups", who.unix_groups.join(", ")));
    }
    if who.docker_name != who.name {
        rows.push(("in names", who.docker_name.clone()));
    }
    if let Some(login) = &who.login_name {
        rows.push(("logged in as", login.clone()));
    }
    if let Via::Container { name } = &who.via {
        rows.push(("called from", format!("container {name}")));
    }
    format!("{}\n{}", styled(TITLE, &format!("{}{admin}", who.name)), facts(rows))
}

/// `ds01 queue`.
pub(crate) fn queue(queue: &Queue, columns: Option<u16>) -> String {
    let free = match queue.free_units {
        0 => "no GPU unit is free".to_owned(),
        1 => "1 GPU unit is free".to_owned(),
        n => format!("{} are free", count(n.into(), "GPU unit")),
    };
    if queue.waiting.is_empty() {
        return format!("Nobody waits; {free}.\n");
    }
    let heads = [
        ("PLACE", 0),
        ("USER", 0),
        ("CONTAINER", 0),
        ("WANTS", 1),
        ("WAITED", 3),
        ("LEFT", 2),
        ("BECAUSE", 0),
    ]
    .map(|(title, drop)| Column { title, drop });
    let rows: Vec<Vec<Cell>> = queue
        .waiting
        .iter()
        .map(|waiter| {
            let style = if waiter.mine { GOOD } else { anstyle::Style::new() };
            vec![
                waiter.position.to_string().into(),
                Cell::styled(style, waiter.owner.as_str()),
                waiter.container.as_deref().unwrap_or("-").into(),
                waiter.want.as_str().into(),
                duration(waiter.waited_seconds).into(),
                countdown(waiter.left_seconds).into(),
                waiter.reason.as_str().into(),
            ]
        })
        .collect();
    // Of the next one and of one's own: the rest is in the JSON.
    let told = queue.waiting.iter().filter(|waiter| waiter.position == 1 || waiter.mine);
    let expected: String = told
        .filter_map(|waiter| Some(format!("Place {}: {}.\n", waiter.position, waiter.outlook.as_ref()?.text)))
        .collect();
    let free = if queue.free_units > 0 { format!("{free}.\n") } else { String::new() };
    table(&heads, &rows, columns) + &expected + &free
}

/// `ds01 keep NAME`.
pub(crate) fn kept(name: &str, kept: &Kept) -> String {
    if kept.seconds == 0 {
        return format!("{name} is kept no longer: it is stopped when its GPU has been idle for too long.\n");
    }
    format!("{name} is not stopped for an idle GPU for {}.\n", duration(kept.seconds))
}

/// `ds01 why NAME`.
pub(crate) fn why(why: &Why) -> String {
    let mut text = format!("{}\n", styled(TITLE, &why.verdict));
    text += &facts(why.facts.iter().map(|fact| (fact.label.as_str(), fact.text.clone())));
    for command in &why.next {
        text += &format!("  {TYPED}{command}{TYPED:#}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use ds01_api::{Fact, Waiter};
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    #[test]
    fn who_is_it() {
        let who = WhoAmI {
            uid: 1001,
            name: "h.baker@lab.example".to_owned(),
            docker_name: "h.baker__40lab.example".to_owned(),
            group: "student".to_owned(),
            unix_groups: vec!["students".to_owned(), "video".to_owned()],
            admin: true,
            via: Via::Container { name: "dev".to_owned() },
            login_name: Some("root".to_owned()),
        };
        expect![[r#"
            h.baker@lab.example, admin
              user id       1001
              group         student
              Unix groups   students, video
              in names      h.baker__40lab.example
              logged in as  root
              called from   container dev
        "#]]
        .assert_eq(&plain(&whoami(&who)));
    }

    #[test]
    fn who_waits() {
        let waiter = |position, owner: &str, mine| Waiter {
            position,
            owner: owner.to_owned(),
            mine,
            container: mine.then(|| "my-project".to_owned()),
            want: "1 GPU".to_owned(),
            reason: "all 5 units are held".to_owned(),
            waited_seconds: 30,
            left_seconds: 150,
            outlook: None,
        };
        let line = Queue { waiting: vec![waiter(1, "bob", false), waiter(2, "alice", true)], free_units: 0 };
        expect![[r#"
            PLACE   USER    CONTAINER    WANTS   WAITED   LEFT         BECAUSE
            1       bob     -            1 GPU   30 s     2 min 30 s   all 5 units are held
            2       alice   my-project   1 GPU   30 s     2 min 30 s   all 5 units are held
        "#]]
        .assert_eq(&plain(&queue(&line, Some(100))));
        expect![[r#"
            PLACE   USER    CONTAINER    WANTS   BECAUSE
            1       bob     -            1 GPU   all 5 units are held
            2       alice   my-project   1 GPU   all 5 units are held
        "#]]
        .assert_eq(&plain(&queue(&line, Some(60))));
        let outlook = ds01_api::Outlook {
            expected_seconds: Some(600),
            latest_seconds: Some(6000),
            text: "expected 14:20, if carol/parked stays idle; at the latest 16:05".to_owned(),
        };
        let mut told = line;
        told.waiting.iter_mut().for_each(|waiter| waiter.outlook = Some(outlook.clone()));
        expect![[r#"
            PLACE   USER    CONTAINER    WANTS   WAITED   LEFT         BECAUSE
            1       bob     -            1 GPU   30 s     2 min 30 s   all 5 units are held
            2       alice   my-project   1 GPU   30 s     2 min 30 s   all 5 units are held
            Place 1: expected 14:20, if carol/parked stays idle; at the latest 16:05.
            Place 2: expected 14:20, if carol/parked stays idle; at the latest 16:05.
        "#]]
        .assert_eq(&plain(&queue(&told, Some(100))));
        expect![[r#"
            Nobody waits; 3 GPU units are free.
        "#]]
        .assert_eq(&plain(&queue(&Queue { waiting: vec![], free_units: 3 }, None)));
    }

    #[test]
    fn why_is_it_so() {
        let answer = Why {
            name: "my-project._.alice".to_owned(),
            verdict: "my-project waits for a GPU, 2nd of 3 in line".to_owned(),
            facts: vec![
                Fact { label: "wants".to_owned(), text: "1 GPU".to_owned() },
                Fact { label: "your quota".to_owned(), text: "0 of 1 GPU used".to_owned() },
            ],
            next: vec!["ds01 queue".to_owned(), "container stop my-project".to_owned()],
        };
        expect![[r#"
            my-project waits for a GPU, 2nd of 3 in line
              wants       1 GPU
              your quota  0 of 1 GPU used
              ds01 queue
              container stop my-project
        "#]]
        .assert_eq(&plain(&why(&answer)));
    }
}
