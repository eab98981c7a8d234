//! Recent use of each user: weight times time, forgotten by halves. It orders the line and does nothing else.
//!
//! Kept by the hour, so that a container that restarts all day costs no more than one that runs all day. All sums
//! are integers: the same events give the same order on every machine.

use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;

use crate::ids::{Time, Uid, Weight, millis};

const HOUR_MS: u64 = 60 * 60 * 1000;
/// Hours that are remembered. At the default half-life, use this old counts for less than a ten-thousandth.
const HOURS_KEPT: u64 = 14 * 24;
/// A tenth of a GPU-hour: people whose use differs by less are equals, and the first to come goes first.
const USE_STEP: u64 = 1000 * HOUR_MS / 10;
/// Half-lives after which nothing is left of an amount.
const HALVINGS_MAX: u32 = 64;

/// Thousandths of a card times milliseconds, by user and hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    users: OrdMap<Uid, Arc<History>>,
}

/// One user's hours, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct History {
    hours: Vec<Hour>,
}

/// One hour of use, with the sums up to it: a stretch of hours that decay alike is added up from its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hour {
    hour: u64,
    amount: u64,
    /// Amounts of this hour and those before.
    amounts: u128,
    /// The same, each times the end of its hour.
    moments: u128,
}

impl Usage {
    /// Counts units of this weight, held from one time to another.
    pub(crate) fn add(&mut self, owner: Uid, from: Time, to: Time, weight: Weight) {
        let oldest = (to.0 / HOUR_MS).saturating_sub(HOURS_KEPT);
        self.change(owner, |history| {
            let mut start = from.0.max(to.0.saturating_sub(HOURS_KEPT * HOUR_MS));
            while start < to.0 {
                let hour = start / HOUR_MS;
                let end = ((hour + 1) * HOUR_MS).min(to.0);
                history.add(hour, (end - start) * u64::from(weight.as_milli()));
                start = end;
            }
            history.hours.retain(|known| known.hour >= oldest);
        });
    }

    /// Adds an amount to one hour.
    pub(crate) fn carry(&mut self, owner: Uid, hour: u64, amount: u64) {
        self.change(owner, |history| history.add(hour, amount));
    }

    fn change(&mut self, owner: Uid, change: impl FnOnce(&mut History)) {
        let history = Arc::make_mut(self.users.entry(owner).or_default());
        change(history);
        history.sum_up();
        if history.hours.is_empty() {
            self.users.remove(&owner);
        }
    }

    /// All that is remembered.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Uid, u64, u64)> + '_ {
        self.users
            .iter()
            .flat_map(|(owner, history)| history.hours.iter().map(|known| (*owner, known.hour, known.amount)))
    }

    /// What is left of a user's use by now.
    pub(crate) fn recent(&self, owner: Uid, now: Time, half_life: Duration) -> u64 {
        self.users.get(&owner).map_or(0, |history| history.left(now.0, millis(half_life).max(1)))
    }
}

impl History {
    fn add(&mut self, hour: u64, amount: u64) {
        if amount == 0 {
            return;
        }
        match self.hours.binary_search_by_key(&hour, |known| known.hour) {
            Ok(at) => self.hours[at].amount = self.hours[at].amount.saturating_add(amount),
            Err(at) => self.hours.insert(at, Hour { hour, amount, amounts: 0, moments: 0 }),
        }
    }

    fn sum_up(&mut self) {
        let (mut amounts, mut moments) = (0_u128, 0_u128);
        for known in &mut self.hours {
            let amount = u128::from(known.amount);
            amounts = amounts.saturating_add(amount);
            moments = moments.saturating_add(amount.saturating_mul(u128::from(known.end())));
            (known.amounts, known.moments) = (amounts, moments);
        }
    }

    /// What is left: half of each hour's amount per half-life since its end, a straight line in between.
    fn left(&self, now: u64, half_life: u64) -> u64 {
        // Hours that are not over count in full.
        let mut upper = self.hours.partition_point(|known| known.end() <= now);
        let (all, _) = self.sums(self.hours.len());
        let (over, _) = self.sums(upper);
        let whole = 2 * u128::from(half_life);
        let mut left = (all - over).saturating_mul(whole);
        for halvings in 0..HALVINGS_MAX {
            if upper == 0 {
                break;
            }
            // Those that have been halved so often, and not once more.
            let begins = u64::from(halvings).saturating_mul(half_life);
            let lower = match now.checked_sub(begins.saturating_add(half_life)) {
                Some(latest) => self.hours[..upper].partition_point(|known| known.end() <= latest),
                None => 0,
            };
            let ((upper_amounts, upper_moments), (amounts, moments)) = (self.sums(upper), self.sums(lower));
            let (amount, moment) = (upper_amounts - amounts, upper_moments - moments);
            let since = u128::from(now.saturating_sub(begins));
            let lost = amount.saturating_mul(since).saturating_sub(moment);
            left = left.saturating_add(amount.saturating_mul(whole).saturating_sub(lost) >> halvings);
            upper = lower;
        }
        u64::try_from(left / whole).unwrap_or(u64::MAX)
    }

    /// The sums of the first so many hours.
    fn sums(&self, count: usize) -> (u128, u128) {
        count.checked_sub(1).map_or((0, 0), |last| (self.hours[last].amounts, self.hours[last].moments))
    }
}

impl Hour {
    fn end(&self) -> u64 {
        self.hour.saturating_add(1).saturating_mul(HOUR_MS)
    }
}

/// Use in steps of a tenth of a GPU-hour, as the line compares it.
pub(crate) fn steps(amount: u64) -> u64 {
    amount / USE_STEP
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn hours_that_are_added_up_together_decay_as_each_alone(
            hours in prop::collection::btree_map(0..500_u64, 0..4_000_000_000_u64, 0..60),
            (now, half_life) in (0..600 * HOUR_MS, prop_oneof![Just(1), 1..HOUR_MS, HOUR_MS..100 * HOUR_MS]),
        ) {
            let mut usage = Usage::default();
            let mut alone = 0;
            for (hour, amount) in hours {
                usage.carry(OWNER, hour, amount);
                let age = now.saturating_sub((hour + 1) * HOUR_MS);
                let halvings = u32::try_from(age / half_life).unwrap_or(u32::MAX);
                let left = amount.checked_shr(halvings).unwrap_or(0);
                alone += left - left * (age % half_life) / (2 * half_life);
            }
            let together = usage.recent(OWNER, Time(now), Duration::from_millis(half_life));
            prop_assert!(together.abs_diff(alone) <= 60, "{together} {alone}");
        }
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
        let mut usage = Usage::default();
        usage.carry(OWNER, 0, 1000);
        assert_eq!(usage.recent(OWNER, Time(HOUR_MS), Duration::ZERO), 1000);
        assert_eq!(usage.recent(OWNER, Time(HOUR_MS + 100), Duration::ZERO), 0);
    }
}
