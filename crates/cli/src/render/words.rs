//! Durations, sizes and counts in words. It must never round up what a user has left.

/// `45 s`, `3 min`, `2 h 10 min`, `3 d 4 h`.
pub(crate) fn duration(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let pair = |big: u64, big_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {big_unit}"),
        _ => format!("{big} {big_unit} {small} {small_unit}"),
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => pair(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        _ => pair(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
    }
}

/// As [`duration`], with seconds below ten minutes: for what is watched while it runs out.
pub(crate) fn countdown(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (1..10, rest @ 1..) => format!("{} min {rest} s", seconds / 60),
        _ => duration(seconds),
    }
}

/// Memory: `20 GiB`, `9.8 GiB`, `512 MiB`.
pub(crate) fn mib(mib: u64) -> String {
    bytes(mib.saturating_mul(1024 * 1024))
}

/// A size in the largest unit that leaves at least 1.
pub(crate) fn bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..0x400 => return format!("{bytes} B"),
        0x400..0x10_0000 => (0x400, "KiB"),
        0x10_0000..0x4000_0000 => (0x10_0000, "MiB"),
        0x4000_0000..0x100_0000_0000 => (0x4000_0000, "GiB"),
        _ => (0x100_0000_0000, "TiB"),
    };
    // One decimal, cut off.
    let tenths = u128::from(bytes) * 10 / unit;
    let number = if tenths.is_multiple_of(10) || tenths >= 1000 {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    format!("{number} {name}")
}

/// A part of a whole: `31.2 of 80 GiB`, `700 MiB of 80 GiB`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    let (part, whole) = (bytes(part), bytes(whole));
    match (part.split_once(' '), whole.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {whole}"),
        _ => format!("{part} of {whole}"),
    }
}

/// Memory in use of all there is, where there is little room: `31.2/80 GiB`.
pub(crate) fn fullness(used_mib: Option<u64>, total_mib: u64) -> String {
    match used_mib {
        Some(used) => format!("{}.{}/{}", used / 1024, used % 1024 * 10 / 1024, mib(total_mib)),
        None => mib(total_mib),
    }
}

/// Thousandths: `1`, `0.286`, `1.5`.
pub(crate) fn milli(milli: u64) -> String {
    match (milli / 1000, milli % 1000) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{}", format!("{rest:03}").trim_end_matches('0')),
    }
}

/// `1 unit`, `2 units`.
pub(crate) fn count(n: u64, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_words() {
        let durations = [0, 59, 60, 179, 3600, 7800, 86_400, 273_600].map(duration).join(", ");
        assert_eq!(durations, "0 s, 59 s, 1 min, 2 min, 1 h, 2 h 10 min, 1 d, 3 d 4 h");
        assert_eq!([5, 60, 161, 600].map(countdown).join(", "), "5 s, 1 min, 2 min 41 s, 10 min");
        assert_eq!(
            [1, 512, 10_035, 20_480, 81_920, 2_097_152].map(mib).join(", "),
            "1 MiB, 512 MiB, 9.7 GiB, 20 GiB, 80 GiB, 2 TiB"
        );
        assert_eq!(bytes(100 * 1024 + 512), "100 KiB");
        assert_eq!(
            [None, Some(0), Some(31_949)].map(|used| fullness(used, 81_920)),
            ["80 GiB", "0.0/80 GiB", "31.2/80 GiB"]
        );
        assert_eq!([0, 286, 1000, 1500, 1571].map(milli).join(", "), "0, 0.286, 1, 1.5, 1.571");
    }
}
