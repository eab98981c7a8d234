//! Answers for: Docker's and the kernel's ways of writing a size, and how a size is told to a person.
//!
//! Must never: guess; a text that is no size is no size.

/// Reads `64m`, `1.5g`, `512kb`, `10T` as Docker's `RAMInBytes` does: powers of 1024, any case.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = unit.trim_start().to_ascii_lowercase();
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut bytes = whole.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    if !fraction.is_empty() {
        // Nine digits are finer than any size a person writes.
        let digits: String = fraction.chars().take(9).collect();
        let parts = digits.parse::<u128>().ok()?;
        let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
        bytes = bytes.checked_add(u64::try_from((parts << shift) / scale).ok()?)?;
    }
    Some(bytes)
}

/// `64 GiB`, `1.5 GiB`, `300 MiB`, `12 bytes`.
pub(crate) fn show_size(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >> shift > 0 {
            let whole = bytes >> shift;
            let tenths = ((bytes & ((1 << shift) - 1)) * 10) >> shift;
            return if tenths == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") };
        }
    }
    format!("{bytes} bytes")
}

/// `1.5` for 1500 thousandths.
pub(crate) fn show_milli(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
