//! Limits: `check-limits`.

use ds01_api::{Limit, LimitUnit, Limits, Source};

use super::drawing::bar;
use super::table::{Cell, Column, table, titled};
use super::words::{bytes, duration, milli};
use super::{CARE, GOOD, QUIET, TITLE, styled};

/// A bar's characters.
const BAR: usize = 8;
/// Terminals narrower than this have no room for who set a limit, nor for bars.
const NARROW_COLUMNS: u16 = 76;
/// Blanks between columns where there are bars.
const GAP: usize = 2;

/// `check-limits`, in a pipe.
pub(crate) fn limits(limits: &Limits, columns: Option<u16>) -> String {
    let heads = [("LIMIT", 0), ("USED", 0), ("OF", 0), ("SET BY", 1)];
    let heads = heads.map(|(title, drop)| Column { title, drop });
    let rows: Vec<Vec<Cell>> = limits.limits.iter().map(|limit| row(limit, false)).collect();
    headline(limits) + &table(&heads, &rows, columns)
}

/// `check-limits` on a terminal: with bars of what is used.
pub(crate) fn limits_drawn(limits: &Limits, columns: u16) -> String {
    // Where there is nearly enough room the longest label is cut, and nothing is missed.
    let narrow = |drop: u8| if columns < NARROW_COLUMNS { drop } else { 0 };
    let heads = [("LIMIT", 0), ("", narrow(2)), ("USED", 0), ("OF", 0), ("SET BY", narrow(1))];
    let heads = heads.map(|(title, drop)| Column { title, drop });
    let rows: Vec<Vec<Cell>> = limits.limits.iter().map(|limit| row(limit, true)).collect();
    headline(limits) + &titled(&heads, &rows, Some(columns), GAP)
}

fn headline(limits: &Limits) -> String {
    let admin = if limits.admin { ", admin" } else { "" };
    let headline = format!("{}, group {}{admin}", limits.user, limits.group);
    format!("{}\n", styled(TITLE, &headline))
}

fn row(limit: &Limit, drawn: bool) -> Vec<Cell> {
    let used = limit.used.map_or_else(|| "-".to_owned(), |used| amount(limit.unit, used));
    let spent = matches!((limit.used, limit.limit), (Some(used), Some(limit)) if used >= limit);
    let style = if spent { CARE } else { anstyle::Style::new() };
    let mut row: Vec<Cell> = vec![limit.label.as_str().into()];
    row.extend(drawn.then(|| match (limit.used, limit.limit) {
        (Some(used), Some(of)) => {
            let (filled, rest) = bar(used, of, BAR);
            Cell::styled(if spent { CARE } else { GOOD }, filled + &rest)
        }
        _ => "".into(),
    }));
    row.extend([
        Cell::styled(style, used),
        ceiling(limit).into(),
        Cell::styled(QUIET, source(&limit.source)),
    ]);
    row
}

fn ceiling(limit: &Limit) -> String {
    let ceiling = limit.limit.map_or_else(|| "unlimited".to_owned(), |value| amount(limit.unit, value));
    if limit.enforced || limit.limit.is_none() { ceiling } else { format!("{ceiling}, not enforced yet") }
}

fn amount(unit: LimitUnit, value: u64) -> String {
    match unit {
        LimitUnit::Count => value.to_string(),
        LimitUnit::GpuMilli | LimitUnit::CpuMilli => milli(value),
        LimitUnit::Bytes => bytes(value),
        LimitUnit::Seconds => duration(value),
        LimitUnit::Flag => if value == 0 { "no" } else { "yes" }.to_owned(),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::BuiltIn => "built in".to_owned(),
        Source::Defaults => "defaults".to_owned(),
        Source::Group { name } => format!("group {name}"),
        Source::User { name } => format!("user {name}"),
        Source::ContainerType { name } => format!("container type {name}"),
        Source::Admin => "admin".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    #[test]
    fn limits_of_a_student() {
        let limit = |key: &str, label: &str, unit, limit, used, source| Limit {
            key: key.to_owned(),
            label: label.to_owned(),
            unit,
            limit,
            used,
            source,
            enforced: key != "max_runtime_h",
        };
        let group = || Source::Group { name: "student".to_owned() };
        let answer = Limits {
            user: "alice".to_owned(),
            group: "student".to_owned(),
            admin: false,
            limits: vec![
                limit(
                    "max_gpu_equivalents",
                    "GPUs at once",
                    LimitUnit::GpuMilli,
                    Some(1000),
                    Some(286),
                    group(),
                ),
                limit(
                    "max_containers_per_user",
                    "containers",
                    LimitUnit::Count,
                    Some(2),
                    Some(2),
                    Source::Defaults,
                ),
                limit(
                    "memory",
                    "memory per container",
                    LimitUnit::Bytes,
                    Some(64 << 30),
                    None,
                    Source::BuiltIn,
                ),
                limit("max_cpus", "CPUs per container", LimitUnit::CpuMilli, Some(16_000), None, group()),
                limit(
                    "max_runtime_h",
                    "run time",
                    LimitUnit::Seconds,
                    Some(86_400),
                    None,
                    Source::User { name: "alice".to_owned() },
                ),
                limit("allow_full_gpu", "whole GPUs", LimitUnit::Flag, Some(0), None, Source::Admin),
            ],
        };
        expect![[r#"
            alice, group student
            LIMIT                  USED    OF                      SET BY
            GPUs at once           0.286   1                       group student
            containers             2       2                       defaults
            memory per container   -       64 GiB                  built in
            CPUs per container     -       16                      group student
            run time               -       1 d, not enforced yet   user alice
            whole GPUs             -       no                      admin
        "#]]
        .assert_eq(&plain(&limits(&answer, Some(80))));
        expect![[r#"
            alice, group student
            LIMIT                           USED   OF                     SET BY
            GPUs at once          ██▎░░░░░  0.286  1                      group student
            containers            ████████  2      2                      defaults
            memory per container            -      64 GiB                 built in
            CPUs per container              -      16                     group student
            run time                        -      1 d, not enforced yet  user alice
            whole GPUs                      -      no                     admin
        "#]]
        .assert_eq(&plain(&limits_drawn(&answer, 80)));
        expect![[r#"
            alice, group student
            LIMIT                 USED   OF
            GPUs at once          0.286  1
            containers            2      2
            memory per container  -      64 GiB
            CPUs per container    -      16
            run time              -      1 d, not enforced yet
            whole GPUs            -      no
        "#]]
        .assert_eq(&plain(&limits_drawn(&answer, 50)));
    }
}
