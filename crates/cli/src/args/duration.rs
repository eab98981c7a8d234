//! Durations as people type them: `90`, `90s`, `3m`, `1h30m`. It must never guess: what is not understood is refused.

use std::time::Duration;

/// The longest wait that may be asked for, as the daemon has it.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a wait; a number without a unit is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let duration = span(text)?;
    if duration > WAIT_MAX { Err("a day (24h) is the longest wait".to_owned()) } else { Ok(duration) }
}

/// Reads a duration of any length; a number without a unit is seconds.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let mistake = || "write a duration such as 90s, 3m or 1h30m".to_owned();
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    let mut smallest = u64::MAX;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let grown = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(u64::from(digit)));
            number = Some(grown.ok_or_else(mistake)?);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return Err(mistake()),
        };
        let count = number.take().filter(|_| unit < smallest).ok_or_else(mistake)?;
        smallest = unit;
        seconds = count.checked_mul(unit).and_then(|n| n.checked_add(seconds)).ok_or_else(mistake)?;
    }
    match number {
        Some(plain) if smallest == u64::MAX => seconds = plain,
        Some(_) => return Err(mistake()),
        None if smallest == u64::MAX => return Err(mistake()),
        None => {}
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in
            [("0", 0), ("90", 90), ("90s", 90), ("3m", 180), ("1h30m", 5400), ("1d", 86400)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "m", "3x", "1m1h", "1h30", "-1", "1.5h", "25h", "1d1s", "99999999999999999999", "1h1h"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
