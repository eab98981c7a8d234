//! Small words for people: durations, lists, ordinals.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `3 minutes`, `45 seconds`, `1 hour 30 minutes`.
pub(crate) fn long(duration: Duration) -> String {
    let seconds = duration.as_millis().div_ceil(1000);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    let (large, small) = match seconds {
        0..MINUTE => return count(seconds, "second"),
        MINUTE..HOUR => (count(seconds / MINUTE, "minute"), (seconds % MINUTE, "second")),
        HOUR..DAY => (count(seconds / HOUR, "hour"), (seconds % HOUR / MINUTE, "minute")),
        _ => (count(seconds / DAY, "day"), (seconds % DAY / HOUR, "hour")),
    };
    match small {
        (0, _) => large,
        (rest, unit) => format!("{large} {}", count(rest, unit)),
    }
}

/// `20 s`, `5 min`, `2 h`, `3 d`.
pub(crate) fn short(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..MINUTE => format!("{seconds} s"),
        seconds @ MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        seconds @ HOUR..DAY => format!("{} h", seconds / HOUR),
        seconds => format!("{} d", seconds / DAY),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// `1st`, `2nd`, `11th`.
pub(crate) fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// The plural's `s`, unless there is one.
pub(crate) const fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn count(number: u64, unit: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let long = |s| long(Duration::from_secs(s));
        assert_eq!(long(180), "3 minutes");
        assert_eq!(long(1), "1 second");
        assert_eq!(long(55), "55 seconds");
        assert_eq!(long(5400), "1 hour 30 minutes");
        assert_eq!(long(DAY), "1 day");
        assert_eq!(short(Duration::from_secs(7300)), "2 h");
    }

    #[test]
    fn ordinals_end_as_in_english() {
        let all: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 112].into_iter().map(ordinal).collect();
        assert_eq!(all.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 112th");
    }
}
