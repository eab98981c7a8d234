//! Versions of programs, as upstream and distributions write them. Pure.

use std::fmt;

/// Numbers up to three, and the number of a release candidate: `1.0.0-rc95` is before `1.0.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    numbers: [u32; 3],
    /// The greatest for a release.
    candidate: u32,
}

impl Version {
    /// Reads the beginning of `1.1.5+ds1`, `v28.2.2`, `1.6.20~ds1`, `1.0.0~rc93+ds1`, `580.65.06`, `6.8.0-51-generic`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        // An epoch is the distribution's own.
        let text = text.split_once(':').map_or(text, |(_, rest)| rest);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = [0; 3];
        let mut count = 0;
        for (slot, part) in numbers.iter_mut().zip(text[..end].split('.').filter(|part| !part.is_empty())) {
            *slot = part.parse().ok()?;
            count += 1;
        }
        let candidate = text[end..].strip_prefix(['-', '~']).and_then(|rest| rest.strip_prefix("rc"));
        let candidate = candidate.map_or(Some(u32::MAX), |rest| {
            let rest = rest.trim_start_matches('.');
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok()
        })?;
        (count > 0).then_some(Self { numbers, candidate })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if self.candidate < u32::MAX { write!(f, "-rc{}", self.candidate) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_they_are_written() {
        for (written, read) in [
            ("20.10.24+dfsg1", "20.10.24"),
            ("1.6.20~ds1-1+deb12u3", "1.6.20"),
            ("1.0.0~rc93+ds1-5+deb11u5", "1.0.0-rc93"),
            ("1.4.0-rc.3", "1.4.0-rc3"),
            ("v28.2.2", "28.2.2"),
            ("5:27.3.1-1~debian.12~bookworm", "27.3.1"),
            ("1.1.12-0ubuntu2~22.04.1", "1.1.12"),
            ("580.65.06", "580.65.6"),
            ("6.8.0-51-generic", "6.8.0"),
            ("1.41", "1.41.0"),
        ] {
            assert_eq!(Version::read(written).map(|v| v.to_string()).as_deref(), Some(read), "{written}");
        }
        for nonsense in ["", "dev", "-1", "library-import", "99999999999"] {
            assert_eq!(Version::read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn candidates_come_before_their_release() {
        let order = ["1.0.0-rc6", "1.0.0-rc95", "1.0.0", "1.1.5", "1.1.12", "1.2.0-rc.1", "1.2.0", "1.10.0"];
        let read: Vec<Version> = order.iter().map(|text| Version::read(text).unwrap()).collect();
        assert!(read.is_sorted_by(|a, b| a < b), "{read:?}");
    }
}
