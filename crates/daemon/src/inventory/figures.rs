//! What units do: how busy they are, how full, and whose processes fill them.
//!
//! They are for people to look at, and for the verdict on who uses what he holds: no grant rests on them, and what the
//! driver did not tell is not made up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ds01_domain::{CardPower, ContainerId, UnitId};

use crate::identity;

/// What a unit does. What the driver does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Busy, in percent of the driver's last sample period. Of slices told by cards that have counters for it.
    pub utilization_percent: Option<u32>,
    /// The busiest that it was of late by counters that miss nothing, in percent.
    pub engines_percent: Option<u32>,
    /// How busy it was by the DCGM exporter, in percent of a time that nobody knows: proof of work, and of nothing else.
    pub exporter_percent: Option<u32>,
    /// What its card takes.
    pub power: Option<Draw>,
    /// Memory in use, whoever uses it.
    pub memory_used_mib: Option<u64>,
    /// The processes that compute on it.
    pub processes: Option<Vec<OnUnit>>,
}

/// The power that a card takes, with what it has taken when nobody computed. In milliwatts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// Mean of the thirstiest span of late. Spans follow each other: nothing falls between them.
    pub of_late_mw: i64,
    /// The least that it took while nobody had it open; `None` until that was seen.
    pub cold_mw: Option<i64>,
    /// The least that it took while programs had it open.
    pub parked_mw: Option<i64>,
    /// The most that it may take.
    pub limit_mw: Option<i64>,
    /// The numbers of all processes that compute on the card, on whichever slice.
    pub processes: BTreeSet<u32>,
}

/// A process that computes on a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnUnit {
    /// Its number on the host.
    pub pid: u32,
    /// The memory of the unit that it has.
    pub memory_mib: Option<u64>,
    /// Its busiest engine in the last seconds, in percent; `None` where none was told to work, which proves nothing.
    pub busy_percent: Option<u32>,
}

/// Figures with their age.
#[derive(Clone, Debug, Default)]
pub struct FiguresSeen {
    /// How long ago the driver was asked; `None` where it told nothing of late.
    pub age: Option<Duration>,
    /// What it told.
    pub units: BTreeMap<UnitId, Figures>,
}

impl Figures {
    /// How many processes of this container compute on the unit, and the memory they have: known only where that of
    /// each of them is.
    #[must_use]
    pub fn of(&self, container: &ContainerId) -> Option<(u32, Option<u64>)> {
        let own: Vec<&OnUnit> = self
            .processes
            .as_ref()?
            .iter()
            .filter(|process| identity::named_container(process.pid).as_ref() == Some(container))
            .collect();
        let memory = own.iter().map(|process| process.memory_mib).sum();
        Some((u32::try_from(own.len()).unwrap_or(u32::MAX), memory))
    }
}

impl Draw {
    /// What it shows of a container with these processes.
    #[must_use]
    pub fn shows(&self, own: &[i32]) -> CardPower {
        let above = |floor: Option<i64>| floor.map(|floor| self.of_late_mw - floor);
        let is_own = |pid: &u32| i32::try_from(*pid).is_ok_and(|pid| own.contains(&pid));
        let share = |limit: i64| u32::try_from(self.of_late_mw * 100 / limit).ok();
        CardPower {
            above_cold_mw: above(self.cold_mw),
            above_parked_mw: above(self.parked_mw),
            of_limit_percent: self.limit_mw.filter(|limit| *limit > 0).and_then(share),
            alone: !self.processes.is_empty() && self.processes.iter().all(is_own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_one_is_not_known_of_all() {
        let container = ContainerId::new(&"a".repeat(64)).unwrap();
        assert_eq!(Figures::default().of(&container), None);
        // This process is in no container of that name.
        let own = OnUnit { pid: std::process::id(), memory_mib: None, busy_percent: None };
        let figures = Figures { processes: Some(vec![own]), ..Figures::default() };
        assert_eq!(figures.of(&container), Some((0, Some(0))));
    }

    #[test]
    fn power_is_held_against_what_nobody_s_work_takes() {
        let draw = Draw {
            of_late_mw: 180_000,
            cold_mw: Some(50_000),
            parked_mw: None,
            limit_mw: Some(400_000),
            processes: BTreeSet::from([7, 8]),
        };
        let shown = draw.shows(&[7, 8, 9]);
        let told =
            CardPower { above_cold_mw: Some(130_000), of_limit_percent: Some(45), ..CardPower::default() };
        assert_eq!(shown, CardPower { alone: true, ..told });
        assert_eq!(draw.shows(&[7]), told, "somebody else is on it");
        let nobody = Draw { processes: BTreeSet::new(), limit_mw: Some(0), ..draw };
        assert_eq!(nobody.shows(&[7]), CardPower { of_limit_percent: None, ..told });
    }
}
