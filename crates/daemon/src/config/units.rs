//! Amounts as people write them: sizes as Docker reads them, spans of time, CPUs, shares of cards.
//!
//! Each reader takes the text of one value and gives the amount, or the sentence that tells what to write instead.
//! None of them ever guesses: what has two readings is refused.

use std::time::Duration;

use ds01_domain::Weight;

/// No span of time is longer: ten years, so that no sum of two overflows.
pub(super) const SPAN_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// No size is larger: 2^53 bytes, 8 PiB, which JSON numbers still hold exactly.
pub(super) const SIZE_BYTES_MAX: u64 = 1 << 53;
/// CPUs that one setting can name.
pub(super) const CPUS_MAX: u64 = 1_000_000;
/// Cards that one setting can name.
const CARDS_MAX: u64 = 100_000;

/// A decimal number without sign or exponent, exactly: `value / 10^digits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    value: u128,
    digits: u32,
}

/// Digits before and after the point that are read; more is not an amount that anybody means.
const DIGITS_MAX: usize = 18;

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let plain = |part: &str| part.len() <= DIGITS_MAX && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || whole.is_empty() || text.ends_with('.') {
            return None;
        }
        let value = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { value, digits: u32::try_from(fraction.len()).ok()? })
    }

    /// The number times `unit`, rounded to the nearest whole. `None` where it does not fit.
    fn times(self, unit: u64) -> Option<u64> {
        let scale = 10_u128.pow(self.digits);
        let product = self.value.checked_mul(u128::from(unit))?.checked_add(scale / 2)?;
        u64::try_from(product / scale).ok()
    }
}

/// Splits `32 GiB` into the number and the unit in lower case.
fn split(text: &str) -> (&str, String) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start().to_ascii_lowercase())
}

/// Numbers that YAML has and that are no amounts.
fn endless(text: &str) -> bool {
    let word = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    matches!(word.as_str(), ".inf" | "inf" | "infinity" | ".nan" | "nan")
}

fn refuse_signs(text: &str, what: &str, null: bool) -> Result<(), String> {
    let instead = if null { "; write null for no limit" } else { "" };
    if endless(text) {
        return Err(format!("{text} is not {what}{instead}"));
    }
    if text.starts_with('-') {
        return Err(format!("{text} is negative{instead}"));
    }
    Ok(())
}

/// A size in bytes: `32g` is 32 · 2^30 as Docker reads it, a bare number is bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    refuse_signs(text, "a size", true)?;
    let (number, unit) = split(text);
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit != "ib" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(not_a_size(text, number)),
    };
    let decimal = Decimal::read(number).ok_or_else(|| not_a_size(text, ""))?;
    match decimal.times(1 << power) {
        Some(bytes) if bytes <= SIZE_BYTES_MAX => Ok(bytes),
        _ => Err(format!("{text} is larger than any machine")),
    }
}

fn not_a_size(text: &str, number: &str) -> String {
    let number = if number.is_empty() { "32" } else { number };
    format!("{text} is not a size; write e.g. {number}g (b, k, m, g, t; a bare number is bytes)")
}

/// What a number without a unit means where a span of time stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// The key's name says hours.
    Hours,
    /// Nothing says; it has to be written.
    Refused,
}

/// A span of time: `30m`, `0.5h`, `1h30m`, `2 d`; a bare number where the key's name has the unit.
pub(super) fn span(text: &str, bare: Bare) -> Result<Duration, String> {
    refuse_signs(text, "a span of time", true)?;
    let unreadable = || format!("{text} is not a span of time; write e.g. 30m, 2h or 7d");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(unreadable());
    }
    let mut millis: u64 = 0;
    let mut previous = u64::MAX;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = Decimal::read(&rest[..end]).ok_or_else(unreadable)?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match (unit_millis(&rest[..end]), bare) {
            (Some(unit), _) => unit,
            (None, _) if end > 0 || previous != u64::MAX => return Err(unreadable()),
            (None, Bare::Hours) => 3_600_000,
            (None, Bare::Refused) if text == "0" => 1,
            (None, Bare::Refused) => {
                return Err(format!("{text} has no unit; write {text}s, {text}m or {text}h"));
            }
        };
        // Largest unit first, each once: 1h30m, never 30m1h or 1h1h.
        if unit >= previous {
            return Err(unreadable());
        }
        previous = unit;
        rest = rest[end..].trim_start();
        millis = number.times(unit).and_then(|more| millis.checked_add(more)).unwrap_or(u64::MAX);
    }
    let span = Duration::from_millis(millis);
    if span > SPAN_MAX {
        return Err(format!("{text} is longer than ten years; write null for no limit"));
    }
    Ok(span)
}

fn unit_millis(unit: &str) -> Option<u64> {
    match unit.to_ascii_lowercase().as_str() {
        "ms" => Some(1),
        "s" | "sec" | "second" | "seconds" => Some(1000),
        "m" | "min" | "minute" | "minutes" => Some(60_000),
        "h" | "hour" | "hours" => Some(3_600_000),
        "d" | "day" | "days" => Some(24 * 3_600_000),
        "w" | "week" | "weeks" => Some(7 * 24 * 3_600_000),
        _ => None,
    }
}

/// CPUs in thousandths: `16`, `1.5`.
pub(super) fn cpus(text: &str) -> Result<u64, String> {
    refuse_signs(text, "a number of CPUs", true)?;
    if let Some(percent) = text.strip_suffix('%') {
        let cpus = Decimal::read(percent).and_then(|n| n.times(10));
        let instead = cpus.map_or_else(String::new, |milli| format!("; write {}", Weightless(milli)));
        return Err(format!("{text} is not a number of CPUs{instead}"));
    }
    let milli = Decimal::read(text).and_then(|n| n.times(1000));
    in_cpus(milli.ok_or_else(|| format!("{text} is not a number of CPUs; write e.g. 16 or 1.5"))?, text)
}

/// A CPU quota as systemd writes it, in thousandths of a CPU: `9600%` is 96 CPUs.
pub(super) fn quota(text: &str) -> Result<u64, String> {
    refuse_signs(text, "a CPU quota", true)?;
    match text.strip_suffix('%') {
        Some(percent) => {
            let milli = Decimal::read(percent.trim_end()).and_then(|n| n.times(10));
            in_cpus(milli.ok_or_else(|| not_a_quota(text))?, text)
        }
        None => match Decimal::read(text).and_then(|n| n.times(100)) {
            Some(percent) => Err(format!(
                "{text} has no unit; write {percent}% for {text} CPUs, or \"{text}%\" for {text} hundredths of one"
            )),
            None => Err(not_a_quota(text)),
        },
    }
}

fn not_a_quota(text: &str) -> String {
    format!("{text} is not a CPU quota; write e.g. 9600% (100% is one CPU)")
}

fn in_cpus(milli: u64, text: &str) -> Result<u64, String> {
    match milli {
        0 => Err(format!("{text} leaves no CPU; write null for no limit")),
        _ if milli > CPUS_MAX * 1000 => Err(format!("{text} is more CPUs than any machine has")),
        _ => Ok(milli),
    }
}

/// A part of something, in thousandths: `0.5`.
pub(super) fn factor(text: &str) -> Result<u32, String> {
    let milli = Decimal::read(text).and_then(|n| n.times(1000)).and_then(|milli| u32::try_from(milli).ok());
    let milli = milli.filter(|milli| (1..=1000).contains(milli));
    milli.ok_or_else(|| format!("{text} is not a part of a whole; write e.g. 0.5"))
}

/// A share of cards: `2`, `0.5`, in steps of a thousandth.
pub(super) fn weight(text: &str) -> Result<Weight, String> {
    refuse_signs(text, "a number of GPUs", true)?;
    let milli = Decimal::read(text).and_then(|n| n.times(1000));
    let milli = milli.ok_or_else(|| format!("{text} is not a number of GPUs; write e.g. 2 or 0.5"))?;
    match u32::try_from(milli) {
        Ok(milli) if u64::from(milli) <= CARDS_MAX * 1000 => Ok(Weight::from_milli(milli)),
        _ => Err(format!("{text} is more GPUs than any machine has; write null for no limit")),
    }
}

/// A whole number from zero.
pub(super) fn count(text: &str) -> Result<u64, String> {
    refuse_signs(text, "a number", true)?;
    let octal = text.len() > 1 && text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if octal {
        let bare = text.trim_start_matches('0');
        return Err(format!(
            "{text} may be read as octal; write {}",
            if bare.is_empty() { "0" } else { bare }
        ));
    }
    if Decimal::read(text).is_some_and(|n| n.digits > 0) {
        return Err(format!("{text} is not a whole number"));
    }
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(number) if digits && number <= u64::from(u32::MAX) => Ok(number),
        _ if digits => Err(format!("{text} is too large")),
        _ => Err(format!("{text} is not a number")),
    }
}

/// `yes` and `on` are true as in YAML 1.1, which is what such files were written for.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(format!("{text} is neither true nor false")),
    }
}

/// Thousandths as a number without needless digits.
pub(super) struct Weightless(pub(super) u64);

impl std::fmt::Display for Weightless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A size in the largest unit that divides it: `32g`.
pub(super) fn show_size(bytes: u64) -> String {
    let fits = [(50, 'p'), (40, 't'), (30, 'g'), (20, 'm'), (10, 'k')];
    match fits.iter().find(|(power, _)| bytes != 0 && bytes.is_multiple_of(1 << power)) {
        Some((power, unit)) => format!("{}{unit}", bytes >> power),
        None => format!("{bytes}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512b", 512),
            ("32g", 32 << 30),
            ("32G", 32 << 30),
            ("32GB", 32 << 30),
            ("32GiB", 32 << 30),
            ("32 gb", 32 << 30),
            ("1.5g", 3 << 29),
            ("1t", 1 << 40),
            ("64k", 64 << 10),
            ("0.5m", 1 << 19),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "", "g", "32x", "32gg", "1e9", "1.g", ".5g", "1_000", "0x10", "32ib", "9p9", "99999p", "-1", "٣g",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(
            size("32x").unwrap_err(),
            "32x is not a size; write e.g. 32g (b, k, m, g, t; a bare number is bytes)"
        );
    }

    #[test]
    fn spans_say_their_unit() {
        let minutes = |n: u64| Ok(Duration::from_secs(60 * n));
        assert_eq!(span("30m", Bare::Refused), minutes(30));
        assert_eq!(span("0.5h", Bare::Refused), minutes(30));
        assert_eq!(span("1h30m", Bare::Refused), minutes(90));
        assert_eq!(span("1 h 30 min", Bare::Refused), minutes(90));
        assert_eq!(span("7d", Bare::Refused), minutes(7 * 24 * 60));
        assert_eq!(span("0.5", Bare::Hours), minutes(30));
        assert_eq!(span("30m", Bare::Hours), minutes(30));
        assert_eq!(span("48", Bare::Hours), minutes(48 * 60));
        assert_eq!(span("0.25h", Bare::Hours), minutes(15));
        assert_eq!(span("0", Bare::Refused), minutes(0));
        assert!(span("2", Bare::Refused).unwrap_err().contains("has no unit"));
        for text in ["", "h", "1x", "30m1h", "1h1h", "1h 5", ".inf", "-1h", "1e3h", "999999d", "1.h"] {
            assert!(span(text, Bare::Hours).is_err(), "{text}");
        }
    }

    #[test]
    fn cpus_quotas_weights_counts_and_truths() {
        assert_eq!(cpus("1.5"), Ok(1500));
        assert_eq!(quota("9600%"), Ok(96_000));
        assert_eq!(quota("150%"), Ok(1500));
        assert_eq!(cpus("150%").unwrap_err(), "150% is not a number of CPUs; write 1.5");
        assert!(quota("96").unwrap_err().starts_with("96 has no unit; write 9600% for 96 CPUs"));
        assert!(cpus("0").is_err() && quota("0%").is_err());
        assert_eq!(weight("0.2857"), Ok(Weight::from_milli(286)));
        assert_eq!(weight("2.0"), Ok(Weight::from_milli(2000)));
        assert_eq!(count("4096"), Ok(4096));
        assert_eq!(count("010").unwrap_err(), "010 may be read as octal; write 10");
        for text in ["", "-1", "2.5", "x", "1e3", "4294967296", ".inf", "+1", "99999999999999999999999"] {
            assert!(count(text).is_err(), "{text}");
        }
        assert_eq!((truth("Yes"), truth("off")), (Ok(true), Ok(false)));
        assert!(truth("2").is_err());
    }

    proptest! {
        #[test]
        fn no_reader_panics(text in "\\PC{0,24}") {
            let _ = (size(&text), span(&text, Bare::Hours), cpus(&text), quota(&text), weight(&text), count(&text));
        }

        #[test]
        fn no_reader_panics_on_near_misses(text in "[-+]?[0-9.]{0,24} ?[a-zA-Z%]{0,3}[0-9]{0,3}[hms]?") {
            let _ = (size(&text), span(&text, Bare::Hours), cpus(&text), quota(&text), weight(&text), count(&text));
        }

        #[test]
        fn shown_sizes_are_read_back(bytes in 0..=SIZE_BYTES_MAX) {
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn sizes_grow_with_the_number_and_the_unit(n in 0_u64..1_000_000) {
            let units = ["b", "k", "m", "g"];
            for (power, unit) in units.iter().enumerate() {
                prop_assert_eq!(size(&format!("{n}{unit}")), Ok(n << (10 * power)));
            }
        }

        #[test]
        fn spans_add_their_parts(h in 0_u64..1000, m in 0_u64..60, s in 0_u64..60) {
            let expected = Ok(Duration::from_secs(h * 3600 + m * 60 + s));
            prop_assert_eq!(span(&format!("{h}h{m}m{s}s"), Bare::Refused), expected);
        }

        #[test]
        fn percent_is_hundredths_of_cpus(percent in 1_u64..1_000_000) {
            prop_assert_eq!(quota(&format!("{percent}%")), Ok(percent * 10));
            prop_assert_eq!(cpus(&Weightless(percent * 10).to_string()), Ok(percent * 10));
        }
    }
}
