//! Engine API versions: which ones the door speaks, and what is said upstream.
//! Must never: let a request choose a version that the table was not written for.

use std::fmt;

/// An Engine API version `1.<minor>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion(u16);

impl ApiVersion {
    /// The oldest version served. Below it the start request carries a HostConfig and defaults are weaker.
    pub const OLDEST: Self = Self(40);
    /// The newest version the table knows.
    pub const NEWEST: Self = Self(55);

    /// The version `1.<minor>`; says nothing about whether it is served.
    pub const fn from_minor(minor: u16) -> Self {
        Self(minor)
    }

    /// The number after `1.`.
    pub const fn minor(self) -> u16 {
        self.0
    }

    /// Reads `1.41` as the Engine writes it in headers and `/version`. Anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let minor = text.strip_prefix("1.")?;
        let plain = (1..=3).contains(&minor.len())
            && minor.bytes().all(|b| b.is_ascii_digit())
            && (minor.len() == 1 || !minor.starts_with('0'));
        if plain { minor.parse().ok().map(Self) } else { None }
    }

    /// What is sent upstream: the client's version, never above the Engine's nor the table's. A client that names
    /// none is served at the newest that both know, as the Engine would.
    pub fn upstream(client: Option<Self>, engine: Self) -> Self {
        client.unwrap_or(Self::NEWEST).min(engine).min(Self::NEWEST)
    }

    /// What clients are told in `Api-Version` and `/version`: the Engine's, never above the table's.
    pub fn advertised(engine: Self) -> Self {
        engine.min(Self::NEWEST)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_engines_spelling_only() {
        assert_eq!(ApiVersion::parse("1.41"), Some(ApiVersion(41)));
        for wrong in ["", "1", "1.", "2.41", "01.41", "1.041", "1.41.0", "1.+41", "v1.41", "1.4a", "1.9999"] {
            assert_eq!(ApiVersion::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn goes_upstream_with_the_least_of_the_three() {
        let v = ApiVersion;
        assert_eq!(ApiVersion::upstream(Some(v(50)), v(41)), v(41));
        assert_eq!(ApiVersion::upstream(Some(v(40)), v(41)), v(40));
        assert_eq!(ApiVersion::upstream(None, v(41)), v(41));
        assert_eq!(ApiVersion::upstream(None, v(60)), v(55));
    }
}
