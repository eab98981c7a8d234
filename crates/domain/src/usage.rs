//! Recent use of each user: weight times time, forgotten by halves. It orders the line and does nothing else.
//!
//! Kept by the hour, so that a container that restarts all day costs no more than one that runs all day. All sums
//! are integers: the same events give the same order on every machine.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{Time, Uid, Weight, millis};

const HOUR_MS: u64 = 60 * 60 * 1000;
/// Hours that are remembered. At the default half-life, use this old counts for less than a ten-thousandth.
const HOURS_KEPT: u64 = 14 * 24;
/// A tenth of a GPU-hour: people whose use differs by less are equals, and the first to come goes first.
const USE_STEP: u64 = 1000 * HOUR_MS / 10;

/// Thousandths of a card times milliseconds, by user and hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    hours: BTreeMap<Uid, BTreeMap<u64, u64>>,
}

impl Usage {
    /// Counts units of this weight, held from one time to another.
    pub(crate) fn add(&mut self, owner: Uid, from: Time, to: Time, weight: Weight) {
        let mut start = from.0.max(to.0.saturating_sub(HOURS_KEPT * HOUR_MS));
        while start < to.0 {
            let hour = start / HOUR_MS;
            let end = ((hour + 1) * HOUR_MS).min(to.0);
            self.carry(owner, hour, (end - start) * u64::from(weight.as_milli()));
            start = end;
        }
        let oldest = (to.0 / HOUR_MS).saturating_sub(HOURS_KEPT);
        if let Some(hours) = self.hours.get_mut(&owner) {
            hours.retain(|hour, _| *hour >= oldest);
        }
    }

    /// Adds an amount to one hour.
    pub(crate) fn carry(&mut self, owner: Uid, hour: u64, amount: u64) {
        if amount > 0 {
            let sum = self.hours.entry(owner).or_default().entry(hour).or_default();
            *sum = sum.saturating_add(amount);
        }
    }

    /// All that is remembered.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Uid, u64, u64)> + '_ {
        self.hours
            .iter()
            .flat_map(|(owner, hours)| hours.iter().map(|(hour, amount)| (*owner, *hour, *amount)))
    }

    /// What is left of a user's use by now.
    pub(crate) fn recent(&self, owner: Uid, now: Time, half_life: Duration) -> u64 {
        let Some(hours) = self.hours.get(&owner) else { return 0 };
        hours.iter().fold(0, |sum: u64, (hour, amount)| {
            let age = now.0.saturating_sub((hour + 1) * HOUR_MS);
            sum.saturating_add(decayed(*amount, age, millis(half_life)))
        })
    }
}

/// An amount after its age: half of it per half-life, a straight line in between.
fn decayed(amount: u64, age_ms: u64, half_life_ms: u64) -> u64 {
    let half_life_ms = half_life_ms.max(1);
    let halvings = u32::try_from(age_ms / half_life_ms).unwrap_or(u32::MAX);
    let Some(left) = amount.checked_shr(halvings) else { return 0 };
    let rest = u128::from(age_ms % half_life_ms);
    let lost = u128::from(left) * rest / (2 * u128::from(half_life_ms));
    left.saturating_sub(u64::try_from(lost).unwrap_or(left))
}

/// Use in steps of a tenth of a GPU-hour, as the line compares it.
pub(crate) fn steps(amount: u64) -> u64 {
    amount / USE_STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Uid = Uid(1000);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn use_halves_with_every_half_life_and_never_grows_with_age() {
        let mut usage = Usage::default();
        usage.add(OWNER, Time(0), Time(HOUR_MS), Weight::CARD);
        let at = |hours: u64| usage.recent(OWNER, Time((1 + hours) * HOUR_MS), DAY);
        assert_eq!(at(0), 1000 * HOUR_MS);
        assert_eq!(at(24), 500 * HOUR_MS);
        assert_eq!(at(48), 250 * HOUR_MS);
        assert!((0..400).all(|hours| at(hours + 1) <= at(hours)));
    }

    #[test]
    fn hours_are_bounded_however_long_somebody_runs() {
        let mut usage = Usage::default();
        usage.add(OWNER, Time(0), Time(10_000 * HOUR_MS), Weight::from_milli(286));
        assert!(usage.iter().count() as u64 <= HOURS_KEPT + 1);
        assert_eq!(usage.iter().next().map(|(_, _, amount)| amount), Some(286 * HOUR_MS));
    }

    #[test]
    fn a_zero_half_life_forgets_at_once_and_does_not_divide_by_it() {
        assert_eq!(decayed(1000, 0, 0), 1000);
        assert_eq!(decayed(1000, 100, 0), 0);
    }
}
