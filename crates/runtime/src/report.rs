//! Telling an error where runc tells it: a line in its log, from which the Engine takes its message, and standard error.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use ds01_runtime::argv::CommandLine;
use serde::Serialize;

#[derive(Serialize)]
struct Entry<'a> {
    level: &'static str,
    msg: &'a str,
    time: &'a str,
}

/// Writes the message to the log that the command line names, and to standard error.
pub(crate) fn error(line: &CommandLine<'_>, message: &str) {
    if let Some(path) = line.log {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let entry = entry(line.log_json, message, &rfc3339(seconds));
        // One write, so that another writer's line is never inside ours. If it fails, standard error has to do.
        let _ = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .open(path)
            .and_then(|mut log| log.write_all(entry.as_bytes()));
    }
    let _ = writeln!(std::io::stderr(), "{message}");
}

fn entry(json: bool, message: &str, time: &str) -> String {
    let entry = Entry { level: "error", msg: message, time };
    match serde_json::to_string(&entry) {
        Ok(text) if json => format!("{text}\n"),
        _ => format!("time={time:?} level=error msg={message:?}\n"),
    }
}

/// Seconds since 1970 as `2026-11-21T04:05:06Z`.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from March, so that the leap day is a year's last, in eras of 400 years that all have the
    // same number of days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_calendar_s() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_233_906, "2026-11-21T04:05:06Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), expected);
        }
    }

    #[test]
    fn entries_are_one_line_whatever_they_say() {
        assert_eq!(
            entry(true, "a \"b\"\nc", "T"),
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"T\"}\n"
        );
        assert_eq!(entry(false, "a\nb", "T"), "time=\"T\" level=error msg=\"a\\nb\"\n");
    }
}
