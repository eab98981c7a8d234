//! Exemptions: `ds01 exempt`.

use ds01_api::{Exemption, ExemptionList};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::table::{Cell, Column, table};

/// `ds01 exempt NAME`, and with `--remove`.
pub(crate) fn exempted(exemption: &Exemption, removed: bool, zone: &TimeZone) -> String {
    let what = match &exemption.container {
        Some(container) => format!("{} of {}", container, exemption.user),
        None => format!("everything of {}", exemption.user),
    };
    match removed {
        true => format!("{what} is exempt no longer; its owner is warned before anything is stopped.\n"),
        false => format!("{what} is not stopped before {}.\n", until(exemption, zone)),
    }
}

/// `ds01 exempt --list`.
pub(crate) fn exemptions(list: &ExemptionList, zone: &TimeZone, columns: Option<u16>) -> String {
    if list.exemptions.is_empty() {
        return "There are no exemptions to show.\n".to_owned();
    }
    let heads = [("USER", 0), ("CONTAINER", 0), ("UNTIL", 0), ("BY", 1), ("REASON", 0)]
        .map(|(title, drop)| Column { title, drop });
    let row = |exemption: &Exemption| -> Vec<Cell> {
        vec![
            exemption.user.as_str().into(),
            exemption.container.as_deref().unwrap_or("all").into(),
            until(exemption, zone).into(),
            exemption.by.as_str().into(),
            exemption.reason.as_str().into(),
        ]
    };
    table(&heads, &list.exemptions.iter().map(row).collect::<Vec<_>>(), columns)
}

/// How long an exemption holds and what for, within a sentence.
pub(crate) fn exempt_for(exemption: &Exemption, zone: &TimeZone) -> String {
    format!("until {} ({})", until(exemption, zone), exemption.reason)
}

fn until(exemption: &Exemption, zone: &TimeZone) -> String {
    let at = Timestamp::from_second(exemption.until).unwrap_or(Timestamp::MAX);
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    #[test]
    fn who_is_exempt() {
        let of = |container: Option<&str>| Exemption {
            user: "alice".to_owned(),
            container: container.map(str::to_owned),
            until: 1_769_868_000,
            left_seconds: 60,
            reason: "measures for the paper".to_owned(),
            by: "root".to_owned(),
        };
        let list = ExemptionList { exemptions: vec![of(Some("train")), of(None)] };
        expect![[r#"
            USER    CONTAINER   UNTIL              BY     REASON
            alice   train       2026-01-31 14:00   root   measures for the paper
            alice   all         2026-01-31 14:00   root   measures for the paper
        "#]]
        .assert_eq(&plain(&exemptions(&list, &TimeZone::UTC, None)));
        expect!["train of alice is not stopped before 2026-01-31 14:00.\n"].assert_eq(&exempted(
            &of(Some("train")),
            false,
            &TimeZone::UTC,
        ));
        expect!["everything of alice is exempt no longer; its owner is warned before anything is stopped.\n"]
            .assert_eq(&exempted(&of(None), true, &TimeZone::UTC));
    }
}
