//! Moments as people type them and Docker reads them: `10m` (ago), `2026-01-31T14:00:00`, a Unix time. It must never read
//! a clock: what lies so long ago, or at such an hour here, is worked out where it is used.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use super::duration;

/// A moment, before anybody has looked at a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So long ago.
    Ago(Duration),
    /// Exactly then.
    At(Timestamp),
    /// Then by the clock on this machine's wall.
    Here(DateTime),
}

/// This moment.
pub(crate) const NOW: Moment = Moment::Ago(Duration::ZERO);
/// Yesterday at this time.
pub(crate) const A_DAY_AGO: Moment = Moment::Ago(Duration::from_secs(24 * 60 * 60));

/// Reads a moment. A bare number is a Unix time, as Docker has it.
pub(crate) fn parse(text: &str) -> Result<Moment, String> {
    if let Some(at) = unix(text) {
        return Ok(Moment::At(at));
    }
    if text.ends_with(|c: char| c.is_ascii_lowercase())
        && let Ok(span) = duration::span(text)
    {
        return Ok(Moment::Ago(span));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Moment::At(at));
    }
    let here = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(Date::into));
    here.map(Moment::Here)
        .map_err(|_| "write how long ago (10m, 2h30m), or a date such as 2026-01-31T14:00:00".to_owned())
}

/// Reads a moment that is to come: a date, or a Unix time.
pub(crate) fn parse_to_come(text: &str) -> Result<Moment, String> {
    match parse(text) {
        Ok(Moment::Ago(_)) | Err(_) => {
            Err("write a date such as 2026-12-01 or 2026-12-01T18:00:00".to_owned())
        }
        Ok(moment) => Ok(moment),
    }
}

/// Seconds since 1970, with or without a fraction.
fn unix(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return None;
    }
    Timestamp::new(whole.parse().ok()?, format!("{part:0<9}").parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let at = |seconds, nanoseconds| Ok(Moment::At(Timestamp::new(seconds, nanoseconds).unwrap()));
        let ago = |seconds| Ok(Moment::Ago(Duration::from_secs(seconds)));
        let here = |text: &str| Ok(Moment::Here(text.parse().unwrap()));
        for (text, moment) in [
            ("10m", ago(600)),
            ("2h30m", ago(9000)),
            ("72h", ago(259_200)),
            ("1769868000", at(1_769_868_000, 0)),
            ("1769868000.5", at(1_769_868_000, 500_000_000)),
            ("2026-01-31T14:00:00Z", at(1_769_868_000, 0)),
            ("2026-01-31T15:00:00.25+01:00", at(1_769_868_000, 250_000_000)),
            ("2026-01-31T14:00:00", here("2026-01-31T14:00:00")),
            ("2026-01-31", here("2026-01-31T00:00:00")),
        ] {
            assert_eq!(parse(text), moment, "{text}");
        }
        assert_eq!(parse_to_come("2026-01-31"), here("2026-01-31T00:00:00"));
        for text in ["10m", "", "soon"] {
            assert!(parse_to_come(text).is_err(), "{text}");
        }
        for text in ["", "yesterday", "-10m", "10x", "1.", ".5", "2026-13-01", "99999999999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
