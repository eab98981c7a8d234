//! GPU units: what there is to be granted.
//!
//! A unit is a whole card or one MIG instance, known by its UUID; the index is for people only, because it may
//! change with a reboot. Nothing here knows who holds a unit.

use std::collections::BTreeMap;
use std::fmt;

use crate::ids::{CardId, ContainerId, Time, Uid, UnitId, Weight};

/// One thing that can be granted: a whole card, or one slice of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The UUID by which it is recorded, granted and bound.
    pub id: UnitId,
    /// The card it is, or is cut from.
    pub card: CardId,
    /// The card's index at the moment, for people: `1`.
    pub index: u32,
    /// The slice, or `None` for a whole card.
    pub slice: Option<Slice>,
    /// The model's name as the driver gives it.
    pub model: String,
    /// Memory of the unit in MiB.
    pub memory_mib: u64,
    /// The share of the card that it takes from everybody else.
    pub weight: Weight,
}

/// A MIG instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The place among the slices of its card, for people: `0:1` is ordinal 1 of card 0.
    pub ordinal: u32,
    /// The profile's name, `1g.10gb`. It varies with the model; rules go by weight and memory instead.
    pub profile: String,
    /// Compute slices, of seven.
    pub compute: u8,
    /// Memory slices, of eight.
    pub memory: u8,
}

impl Unit {
    /// Whether it takes a whole card: an uncut card, or a slice that leaves nothing to others.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.weight >= Weight::CARD
    }

    /// The name for people: `1`, or `0:1` for a slice.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.slice {
            Some(slice) => format!("{}:{}", self.index, slice.ordinal),
            None => self.index.to_string(),
        }
    }

    /// The name for people with what it is: `0:1 (1g.10gb)`, `1 (NVIDIA A100-SXM4-80GB)`.
    #[must_use]
    pub fn description(&self) -> String {
        let kind = self.slice.as_ref().map_or(self.model.as_str(), |slice| slice.profile.as_str());
        format!("{} ({kind})", self.label())
    }

    /// Whether people call it so, in small letters.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        is_called(name, &self.model, self.slice.as_ref().map(|slice| slice.compute), self.memory_mib)
    }

    /// The order in which people count units.
    pub(crate) fn place(&self) -> Place<'_> {
        (self.index, self.slice.as_ref().map(|slice| slice.ordinal), &self.id)
    }
}

/// Whether people call such a unit so, in small letters: a part of the model's name, `a100`, or a slice by what it has,
/// `2g` or `2g.20gb`. The driver's own name of a profile varies with the card.
pub(crate) fn is_called(name: &str, model: &str, compute: Option<u8>, memory_mib: u64) -> bool {
    match profile(name) {
        Some((slices, gigabytes)) => {
            let near = |gb: u64| memory_mib.div_ceil(1024).abs_diff(gb) <= 1;
            compute == Some(slices) && gigabytes.is_none_or(near)
        }
        None if name.is_ascii() && model.is_ascii() => {
            let parts = || model.as_bytes().windows(name.len());
            name.is_empty() || parts().any(|part| part.eq_ignore_ascii_case(name.as_bytes()))
        }
        None => model.to_lowercase().contains(name),
    }
}

/// Compute slices and gigabytes of `2g` or `2g.20gb`.
fn profile(name: &str) -> Option<(u8, Option<u64>)> {
    let (compute, rest) = name.split_once('g')?;
    let gigabytes = match rest.is_empty() {
        true => None,
        false => Some(rest.strip_prefix('.')?.strip_suffix("gb")?.parse().ok()?),
    };
    Some((compute.parse().ok()?, gigabytes))
}

/// Whether a unit can be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// In order.
    Available,
    /// Somebody who does not run on it (any more) may still be using it.
    Dirty,
    /// Dirty for longer than the end of a process takes: a person has to look.
    Draining,
    /// Gone from the machine while a container holds it.
    Lost,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Available => "available",
            Self::Dirty => "dirty",
            Self::Draining => "draining",
            Self::Lost => "lost",
        })
    }
}

/// Where people look for a unit: card, slice, and the UUID to tell apart what claims the same place.
pub(crate) type Place<'a> = (u32, Option<u32>, &'a UnitId);

/// A stopped container's claim on a unit: others are given it last, until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// Whose container had it.
    pub owner: Uid,
    /// The container that had it.
    pub container: ContainerId,
    /// The end of the claim.
    pub until: Time,
}

/// What these units weigh together. The slices of one card never weigh more than the card: 4g and 3g would.
pub(crate) fn weigh<'a>(units: impl Iterator<Item = &'a Unit>) -> Weight {
    let mut cards: BTreeMap<&CardId, Weight> = BTreeMap::new();
    for unit in units {
        let card = cards.entry(&unit.card).or_default();
        *card = (*card + unit.weight).min(Weight::CARD);
    }
    cards.into_values().sum()
}
