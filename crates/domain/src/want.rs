//! What a container asks for, whatever dialect it asked in.

use std::collections::BTreeSet;
use std::fmt;

use crate::ids::UnitId;
use crate::state::State;

/// A container's wish for GPU units. The door records it at create; it is met at each start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Want {
    /// How many, or which.
    pub ask: Ask,
    /// The least memory of each unit, in MiB.
    pub min_memory_mib: Option<u64>,
    /// Whole cards only.
    pub full: bool,
    /// A part of the model's name, or a slice's profile, in any case: `a100`, `2g`, `2g.20gb`.
    pub model: Option<String>,
    /// Parts of the driver that the container is to have (`video`, `graphics`, …), by NVIDIA's names; none leaves it to
    /// the image and to NVIDIA's runtime. They choose no unit.
    pub capabilities: BTreeSet<String>,
}

impl Want {
    /// So many units of any kind.
    #[must_use]
    pub const fn count(units: u32) -> Self {
        Self::plain(Ask::Count(units))
    }

    /// These units.
    #[must_use]
    pub const fn named(selectors: Vec<Selector>) -> Self {
        Self::plain(Ask::Named(selectors))
    }

    const fn plain(ask: Ask) -> Self {
        Self { ask, min_memory_mib: None, full: false, model: None, capabilities: BTreeSet::new() }
    }

    /// What is asked for in words, with the units of this machine by the names that people have for them.
    #[must_use]
    pub fn in_words(&self, state: &State) -> String {
        let mut want = self.clone();
        if let Ask::Named(selectors) = &mut want.ask {
            for selector in selectors {
                if let Selector::Uuid(uuid) = selector
                    && let Some(view) = UnitId::new(uuid).and_then(|id| state.unit(&id))
                {
                    *selector = match &view.unit.slice {
                        Some(slice) => Selector::Slice(view.unit.index, slice.ordinal),
                        None => Selector::Index(view.unit.index),
                    };
                }
            }
        }
        want.to_string()
    }

    /// How many units it asks for.
    #[must_use]
    pub fn units(&self) -> usize {
        match &self.ask {
            Ask::Count(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            Ask::Named(selectors) => selectors.len(),
        }
    }
}

/// How many units, or which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// Any so many; none is no wish at all.
    Count(u32),
    /// Exactly these.
    Named(Vec<Selector>),
}

/// How a user names a unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// An uncut card by index: `0`.
    Index(u32),
    /// A slice by card and ordinal: `0:1`.
    Slice(u32, u32),
    /// A unit by UUID.
    Uuid(String),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Slice(card, ordinal) => write!(f, "{card}:{ordinal}"),
            Self::Uuid(uuid) => f.write_str(uuid),
        }
    }
}

/// `2 GPUs`, `1 full GPU with at least 40 GiB`, `GPU 0:1`: what is asked for, in words.
impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ask {
            Ask::Count(count) => {
                let full = if self.full { "full " } else { "" };
                let s = if *count == 1 { "" } else { "s" };
                write!(f, "{count} {full}GPU{s}")?;
            }
            Ask::Named(selectors) => {
                let names: Vec<String> = selectors.iter().map(Selector::to_string).collect();
                write!(f, "GPU {}", names.join(", "))?;
            }
        }
        if let Some(model) = &self.model {
            write!(f, " ({model})")?;
        }
        match self.min_memory_mib {
            Some(mib) if mib % 1024 == 0 => write!(f, " with at least {} GiB", mib / 1024),
            Some(mib) => write!(f, " with at least {mib} MiB"),
            None => Ok(()),
        }
    }
}
