//! What happened: `ds01 events`, `ds01 history`.

use ds01_api::{Ending, EventLine, History, Stint, Total};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::table::{Cell, Column, table};
use super::words::{count, duration};
use super::{BAD, CARE, GOOD, QUIET, styled};

/// Containers of one person whose share is named.
const NAMED_MAX: usize = 4;

/// One line of `ds01 events`: the time first.
pub(crate) fn event(line: &EventLine, zone: &TimeZone) -> String {
    let style = match line.event.as_str() {
        "granted" | "spared" | "cleared" => GOOD,
        "warned" | "would-stop" | "queued" => CARE,
        "stopped" | "unit" | "ungranted" => BAD,
        _ => anstyle::Style::new(),
    };
    let mut parts = vec![when(line.at, zone, "%Y-%m-%d %H:%M:%S")];
    parts.push(styled(style, &format!("{:<10}", line.event)));
    parts.extend(match (&line.owner, &line.container) {
        (Some(owner), Some(container)) => Some(format!("{owner}/{container}")),
        (Some(owner), None) => Some(owner.clone()),
        _ => None,
    });
    if !line.units.is_empty() {
        parts.push(format!("GPU {}", line.units.join(", ")));
    }
    let text = if line.text.is_empty() { String::new() } else { format!(": {}", line.text) };
    format!("{}{text}\n", parts.join(" "))
}

/// `ds01 history`.
pub(crate) fn history(history: &History, zone: &TimeZone, columns: Option<u16>) -> String {
    let since = when(history.since, zone, "%Y-%m-%d %H:%M");
    if history.stints.is_empty() {
        return format!("Nobody of whom you asked has held a GPU since {since}.\n");
    }
    let heads =
        [("USER", 0), ("CONTAINER", 0), ("GPU", 0), ("FROM", 1), ("UNTIL", 2), ("HELD", 0), ("END", 0)]
            .map(|(title, drop)| Column { title, drop });
    let rows: Vec<Vec<Cell>> = history.stints.iter().map(|stint| row(stint, zone)).collect();
    let mut text = table(&heads, &rows, columns);
    if history.earlier > 0 {
        text += &format!("{} before are not listed.\n", count(history.earlier, "time"));
    }
    text += &format!("\nGPU hours since {since}, of whole cards:\n");
    text + &totals(&history.totals)
}

fn row(stint: &Stint, zone: &TimeZone) -> Vec<Cell> {
    let until = stint.until.map_or_else(|| "now".to_owned(), |until| when(until, zone, "%m-%d %H:%M"));
    let (style, end) = match (&stint.ending, stint.until) {
        (Some(ending), _) => ended(ending),
        (None, None) => (GOOD, "holds it".to_owned()),
        (None, Some(_)) => (QUIET, "-".to_owned()),
    };
    vec![
        stint.owner.as_str().into(),
        stint.container.as_deref().unwrap_or("-").into(),
        stint.units.join(", ").into(),
        when(stint.from, zone, "%Y-%m-%d %H:%M").into(),
        until.into(),
        duration(stint.held_seconds).into(),
        Cell::styled(style, end),
    ]
}

fn ended(ending: &Ending) -> (anstyle::Style, String) {
    let (style, text) = match ending {
        Ending::NotStarted => (CARE, "did not start"),
        Ending::Exited { code: Some(0) } => (GOOD, "ended"),
        Ending::Exited { code: Some(code) } => return (BAD, format!("ended with error {code}")),
        Ending::Exited { code: None } => (CARE, "ended, nobody saw how"),
        Ending::Stopped => (anstyle::Style::new(), "stopped"),
        Ending::Retired => (anstyle::Style::new(), "retired"),
        Ending::Idle => (CARE, "stopped by DS01: idle"),
        Ending::Runtime => (CARE, "stopped by DS01: maximum run time"),
    };
    (style, text.to_owned())
}

/// A line for each person, with the containers that had most of it.
fn totals(totals: &[Total]) -> String {
    let people = totals.iter().filter(|total| total.container.is_none());
    let line = |person: &Total| {
        let his: Vec<String> = totals
            .iter()
            .filter(|total| total.owner == person.owner)
            .filter_map(|total| Some(format!("{} {}", total.container.as_ref()?, hours(total.gpu_seconds))))
            .collect();
        let more = match his.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = his[..his.len().min(NAMED_MAX)].join(", ");
        let parts = if named.is_empty() { String::new() } else { format!("  ({named}{more})") };
        format!("  {}  {}{parts}\n", hours(person.gpu_seconds), person.owner)
    };
    people.map(line).collect()
}

/// Hours with two places: less than a minute is `0.00`.
fn hours(seconds: u64) -> String {
    format!("{}.{:02}", seconds / 3600, seconds % 3600 / 36)
}

fn when(seconds: i64, zone: &TimeZone, format: &str) -> String {
    let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    /// 2026-01-31 14:00:00 UTC.
    const THEN: i64 = 1_769_868_000;

    #[test]
    fn what_happened() {
        let line = |event: &str, owner: Option<&str>, units: &[&str], text: &str| EventLine {
            at: THEN,
            event: event.to_owned(),
            owner: owner.map(str::to_owned),
            container: owner.map(|_| "train".to_owned()),
            units: units.iter().map(|unit| (*unit).to_owned()).collect(),
            text: text.to_owned(),
        };
        let lines = [
            line("granted", Some("alice"), &["0:1"], "after a wait of 5 s"),
            line("would-stop", Some("bob"), &["1"], "idle; DS01 only observes"),
            line("released", Some("bob"), &[], ""),
            line("unit", None, &["1"], "is gone from the machine"),
            line(
                "ungranted",
                None,
                &["0"],
                "process 4711 (python) of bob computes on it without a grant, outside of DS01",
            ),
        ];
        let text: String = lines.iter().map(|line| event(line, &TimeZone::UTC)).collect();
        expect![[r#"
            2026-01-31 14:00:00 granted    alice/train GPU 0:1: after a wait of 5 s
            2026-01-31 14:00:00 would-stop bob/train GPU 1: idle; DS01 only observes
            2026-01-31 14:00:00 released   bob/train
            2026-01-31 14:00:00 unit       GPU 1: is gone from the machine
            2026-01-31 14:00:00 ungranted  GPU 0: process 4711 (python) of bob computes on it without a grant, outside of DS01
        "#]]
        .assert_eq(&plain(&text));
    }

    #[test]
    fn who_held_what() {
        let stint = |owner: &str, container: Option<&str>, until: Option<i64>, ending| Stint {
            owner: owner.to_owned(),
            mine: container.is_some(),
            container: container.map(str::to_owned),
            units: vec!["0:1".to_owned()],
            weight_milli: 500,
            from: THEN,
            until: until.map(|after| THEN + after),
            held_seconds: 7200,
            ending,
        };
        let total = |owner: &str, container: Option<&str>, gpu_seconds| Total {
            owner: owner.to_owned(),
            container: container.map(str::to_owned),
            gpu_seconds,
        };
        let mut answer = History {
            since: THEN - 86_400,
            stints: vec![
                stint("alice", Some("train"), Some(7200), Some(Ending::Exited { code: Some(3) })),
                stint("alice", Some("train"), None, None),
                stint("bob", None, Some(7200), None),
            ],
            earlier: 2,
            totals: vec![
                total("alice", None, 7200),
                total("alice", Some("train"), 7100),
                total("alice", Some("eval"), 100),
                total("bob", None, 59),
            ],
        };
        expect![[r#"
            USER    CONTAINER   GPU   FROM               UNTIL         HELD   END
            alice   train       0:1   2026-01-31 14:00   01-31 16:00   2 h    ended with error 3
            alice   train       0:1   2026-01-31 14:00   now           2 h    holds it
            bob     -           0:1   2026-01-31 14:00   01-31 16:00   2 h    -
            2 times before are not listed.

            GPU hours since 2026-01-30 14:00, of whole cards:
              2.00  alice  (train 1.97, eval 0.02)
              0.01  bob
        "#]]
        .assert_eq(&plain(&history(&answer, &TimeZone::UTC, None)));
        answer.stints.clear();
        expect!["Nobody of whom you asked has held a GPU since 2026-01-30 14:00.\n"]
            .assert_eq(&plain(&history(&answer, &TimeZone::UTC, None)));
    }
}
