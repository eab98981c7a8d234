//! The names of Docker objects: references in paths, and names that a user chooses.
//! Must never: say whether an object exists or whose it is.

use std::fmt;

/// The longest name or id accepted, in bytes; Docker has no limit, a file name has this one.
pub const NAME_BYTES_MAX: usize = 255;
/// The shortest all-hex name that could be taken for an id: the length of a short id.
const ID_LIKE_CHARS_MIN: usize = 12;

/// A container, exec, network, volume or plugin as a path or query names it: a name, a full id or the prefix of one.
/// Always of Docker's name grammar, so it can stand in a path as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef(String);

impl ObjectRef {
    /// Accepts `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, of [`NAME_BYTES_MAX`] at most. A link path (`/name`, `parent/alias`) is
    /// none: it would name an object through another one.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let fits = first.is_ascii_alphanumeric()
            && text.len() <= NAME_BYTES_MAX
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        fits.then(|| Self(text.to_owned()))
    }

    /// The text as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a full id: 64 lower-case hex digits. A full id wins over an equal name.
    pub fn is_full_id(&self) -> bool {
        self.0.len() == 64 && self.is_hex()
    }

    /// Whether it may be the prefix of an id (a name may be spelt so too; names win over prefixes).
    pub fn may_be_prefix(&self) -> bool {
        self.0.len() <= 64 && self.is_hex()
    }

    fn is_hex(&self) -> bool {
        is_lower_hex(&self.0)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that a user gives to a container, network or volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChosenName(String);

/// Why a chosen name is refused; a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not of Docker's grammar.
    #[error(
        "Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, \
         at least two and at most {NAME_BYTES_MAX} of them."
    )]
    Grammar(String),
    /// It could be taken for an id.
    #[error("The name `{0}` looks like a container id. Choose a name with a letter beyond `f` in it.")]
    LooksLikeId(String),
}

impl ChosenName {
    /// Accepts Docker's grammar `/?[a-zA-Z0-9][a-zA-Z0-9_.-]+`, without the slash kept, and refuses what could be
    /// taken for an id.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        let name = text.strip_prefix('/').unwrap_or(text);
        if name.len() < 2 || ObjectRef::new(name).is_none() {
            let shown = text.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(NameError::Grammar(shown));
        }
        if name.len() >= ID_LIKE_CHARS_MIN && is_lower_hex(name) {
            return Err(NameError::LooksLikeId(name.chars().take(80).collect()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name, without a slash in front.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChosenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_one_plain_word() {
        for good in ["web", "a", "my-project._.alice", "0123456789ab"] {
            assert!(ObjectRef::new(good).is_some(), "{good}");
        }
        for bad in ["", "/web", "web/db", "..", ".web", "-x", "a b", "a%2f", "a\n", "é", "a;b", "a\\b"] {
            assert!(ObjectRef::new(bad).is_none(), "{bad:?}");
        }
        assert!(ObjectRef::new(&"a".repeat(256)).is_none());
    }

    #[test]
    fn a_chosen_name_is_no_id() {
        assert_eq!(ChosenName::new("/web").map(|n| n.0), Ok("web".to_owned()));
        assert!(ChosenName::new("db").is_ok());
        assert!(ChosenName::new("cafe").is_ok());
        assert!(matches!(ChosenName::new(&"a".repeat(64)), Err(NameError::LooksLikeId(_))));
        assert!(matches!(ChosenName::new("0123456789ab"), Err(NameError::LooksLikeId(_))));
        for bad in ["", "/", "a", "//web", "web/db", "-x", "a b"] {
            assert!(matches!(ChosenName::new(bad), Err(NameError::Grammar(_))), "{bad:?}");
        }
    }
}
