//! Sizes of memory as people type them: `30g`, `512m`, `1t`. It must never guess: what is not understood is refused.

/// Reads a size in MiB. Units are powers of 1024, as Docker's are; a number without a unit is refused, because people
/// mean gigabytes by it and Docker means bytes.
pub(crate) fn mebibytes(text: &str) -> Result<u64, String> {
    let mistake = || "write a size such as 30g or 512m".to_owned();
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (number, factor) = match lower.split_at_checked(lower.len().saturating_sub(1)) {
        Some((number, "m")) => (number, 1),
        Some((number, "g")) => (number, 1024),
        Some((number, "t")) => (number, 1024 * 1024),
        _ => return Err(mistake()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(0) | None => Err(mistake()),
        Some(mebibytes) => Ok(mebibytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("30g", Some(30 * 1024)),
            ("30G", Some(30 * 1024)),
            ("30GiB", Some(30 * 1024)),
            ("30gb", Some(30 * 1024)),
            ("512m", Some(512)),
            ("1t", Some(1024 * 1024)),
            ("30", None),
            ("0g", None),
            ("-1g", None),
            ("1.5g", None),
            ("g", None),
            ("", None),
            ("99999999999999999999g", None),
            ("30µ", None),
        ] {
            assert_eq!(mebibytes(text).ok(), size, "{text}");
        }
    }
}
