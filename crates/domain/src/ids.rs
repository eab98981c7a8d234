//! Names and amounts: one type per thing, so that no two can be confused.
//!
//! A value of these types is well formed by construction. They say nothing about whether the thing exists.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::Sum;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

/// Declares a checked text id: `new` gives `None` for text that cannot be such an id. Copies share the text.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Word);

        impl $name {
            /// The id, or `None` where the text cannot be one.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                let check: fn(&str) -> bool = $check;
                check(text).then(|| Self(Word::new(text)))
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0.text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}

/// Shared text in the order of its bytes. Maps of thousands of ids are searched by how they begin, which lies beside
/// the pointer: following it to the text would cost a cache miss a step.
#[derive(Clone)]
struct Word {
    /// The first eight bytes, in an order that is theirs.
    head: u64,
    text: Arc<str>,
}

impl Word {
    fn new(text: &str) -> Self {
        let mut head = [0; 8];
        head.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        Self { head: u64::from_be_bytes(head), text: text.into() }
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head && self.text == other.text
    }
}

impl Eq for Word {}

impl Ord for Word {
    fn cmp(&self, other: &Self) -> Ordering {
        let text = || {
            if Arc::ptr_eq(&self.text, &other.text) { Ordering::Equal } else { self.text.cmp(&other.text) }
        };
        self.head.cmp(&other.head).then_with(text)
    }
}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Whether the text is `len` lower-case hexadecimal digits.
fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether the text is one word of printable ASCII.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The longest unit or card id, in bytes. Real ones have 40; a longer one is not a name but an attack on the log.
const ID_BYTES_MAX: usize = 128;

text_id! {
    /// The Engine's full id of a container: 64 lower-case hexadecimal digits.
    ContainerId, |text| is_hex(text, 64)
}

impl ContainerId {
    /// The first twelve digits, as Docker prints them.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.as_str()[..12]
    }
}

text_id! {
    /// A unit that can be granted: the UUID of a whole GPU (`GPU-…`) or of a MIG instance (`MIG-…`).
    UnitId, is_word
}

text_id! {
    /// The UUID of a physical card.
    CardId, is_word
}

text_id! {
    /// Names a create before the Engine has given the container an id: 32 lower-case hexadecimal digits.
    Token, |text| is_hex(text, 32)
}

/// A Unix user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u32);

/// Counts grants on this machine: grows by one with every grant, so a binding is (container, epoch) and a late
/// event about an earlier one is recognised as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A place in the line. Grows with every arrival; forgotten when the daemon stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Milliseconds of ledger time: never goes backwards and survives restarts. The daemon's clock makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl Epoch {
    /// The epoch of the next grant.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Time {
    /// The time `later` from now, or the end of time.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(millis(later)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Whole milliseconds of a duration, or as many as fit.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A share of cards in thousandths: a whole card is 1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

impl Weight {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One whole card.
    pub const CARD: Self = Self(1000);

    /// A weight of so many thousandths of a card.
    #[must_use]
    pub const fn from_milli(milli: u32) -> Self {
        Self(milli)
    }

    /// The dominant share of a slice: the larger of its compute fraction and its memory fraction, at most a card.
    ///
    /// A whole of zero parts gives a whole card: a slice of something unknown must not be cheap.
    #[must_use]
    pub fn of_slice(compute: u32, compute_of: u32, memory: u32, memory_of: u32) -> Self {
        let share = |part: u32, of: u32| match of {
            0 => 1000,
            _ => (u64::from(part) * 1000 + u64::from(of) / 2) / u64::from(of),
        };
        let milli = share(compute, compute_of).max(share(memory, memory_of)).min(1000);
        Self(u32::try_from(milli).unwrap_or(1000))
    }

    /// Thousandths of a card.
    #[must_use]
    pub const fn as_milli(self) -> u32 {
        self.0
    }

    /// What is left of `self` after `other`, never below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(weights: I) -> Self {
        weights.fold(Self::ZERO, Add::add)
    }
}

/// In cards, without needless digits: `2`, `0.5`, `0.286`.
impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cards, milli) = (self.0 / 1000, self.0 % 1000);
        let text = match milli {
            0 => cards.to_string(),
            _ => format!("{cards}.{milli:03}").trim_end_matches('0').to_owned(),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_accept_only_what_they_name() {
        assert!(ContainerId::new(&"a1".repeat(32)).is_some());
        assert!(ContainerId::new(&"A1".repeat(32)).is_none());
        assert!(ContainerId::new("a1").is_none());
        assert!(Token::new(&"0f".repeat(16)).is_some());
        assert!(Token::new(&"0g".repeat(16)).is_none());
        assert!(UnitId::new("MIG-3f").is_some());
        assert!(UnitId::new("").is_none());
        assert!(UnitId::new("GPU 1").is_none());
        assert!(UnitId::new(&"x".repeat(ID_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn ids_have_the_order_of_their_texts() {
        let words = [
            "!",
            "A",
            "GPU-1",
            "GPU-10",
            "GPU-1234",
            "GPU-12345",
            "GPU-1234a",
            "GPU-1235",
            "MIG-0",
            "a",
            "aa",
        ];
        let mut ids: Vec<UnitId> = words.iter().rev().filter_map(|word| UnitId::new(word)).collect();
        ids.sort();
        assert_eq!(ids.iter().map(UnitId::as_str).collect::<Vec<_>>(), words);
        assert_ne!(UnitId::new("GPU-12345"), UnitId::new("GPU-12346"), "beyond what is compared first");
    }

    #[test]
    fn weights_are_dominant_shares_in_thousandths() {
        let of_a100 = |compute, memory| Weight::of_slice(compute, 7, memory, 8).to_string();
        assert_eq!(of_a100(1, 1), "0.143");
        assert_eq!(of_a100(1, 2), "0.25");
        assert_eq!(of_a100(2, 2), "0.286");
        assert_eq!(of_a100(3, 4), "0.5");
        assert_eq!(of_a100(4, 4), "0.571");
        assert_eq!(of_a100(7, 8), "1");
        assert_eq!(Weight::of_slice(1, 0, 0, 0), Weight::CARD);
        assert_eq!(Weight::from_milli(2000).to_string(), "2");
    }
}
