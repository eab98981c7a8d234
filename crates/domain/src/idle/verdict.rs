//! What the activity of a run shows now, with the numbers that show it.

use std::time::Duration;

use super::activity::Activity;
use super::reading::{CardPower, GAP_MAX, Thresholds, Use};
use crate::ids::Time;

/// A unit that is quiet for so long while another one works is waste.
const WASTE: Duration = Duration::from_secs(15 * 60);

/// What a container does with its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerdictState {
    /// It has just started, or somebody has just come in.
    Grace,
    /// Its units compute.
    Active,
    /// Its units are quiet, it works beside them: it loads, unpacks, evaluates.
    Busy,
    /// Its programs hold units, and everything is quiet: a parked notebook.
    Resident,
    /// No program of it is on a unit, and everything is quiet.
    NoProcess,
    /// Nobody can say.
    Unknown,
}

/// What was found, since when, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it does.
    pub state: VerdictState,
    /// Since when its units are quiet, without a break.
    pub units_quiet_since: Time,
    /// Since when everything is quiet, without a break.
    pub quiet_since: Time,
    /// The numbers.
    pub evidence: Evidence,
}

/// The last reading in numbers. What was not measured is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How busy its busiest unit was, in percent.
    pub busy_percent: Option<u32>,
    /// What the power of its thirstiest card shows, of those that nobody else has open.
    pub power: Option<CardPower>,
    /// Its processes that have a unit open.
    pub processes: Option<u32>,
    /// Memory that they hold on its units, in MiB.
    pub memory_mib: Option<u64>,
    /// CPU use in thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// Disk traffic in bytes a second.
    pub disk_bytes: Option<u64>,
    /// Network traffic in bytes a second.
    pub network_bytes: Option<u64>,
    /// Units that were quiet for longer than a quarter of an hour, while another one worked: waste.
    pub idle_units: u32,
    /// Its units.
    pub units: u32,
}

impl Verdict {
    /// Whether time counts against the container. In grace too, from its beginning: nobody keeps a unit by looking in.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.state, VerdictState::Active | VerdictState::Unknown)
    }
}

impl Activity {
    /// What it shows at this time.
    #[must_use]
    pub fn verdict(&self, limits: &Thresholds, now: Time) -> Verdict {
        Verdict {
            state: self.state(limits, now),
            units_quiet_since: self.units_worked,
            quiet_since: self.worked,
            evidence: self.evidence(now),
        }
    }

    fn state(&self, limits: &Thresholds, now: Time) -> VerdictState {
        let Some(last) = &self.last else { return self.before_any(now) };
        let silent = now.since(last.at) > GAP_MAX;
        // However short: it is passed over afterwards, but nothing is decided in it.
        let blind = self.unknown_since.is_some();
        // The words of a reading that was taken over from an earlier life of the daemon are gone: there are no units in it.
        if silent || blind || last.units.is_empty() {
            return VerdictState::Unknown;
        }
        let grace = now.since(self.began) < limits.grace
            || self.entered.is_some_and(|came| now.since(came) < limits.grace);
        if now.since(self.units_worked) < limits.at_work_for && self.units_worked > self.began {
            VerdictState::Active
        } else if grace {
            VerdictState::Grace
        } else if last.works_elsewhere(limits) != Use::Quiet || now.since(self.worked) < limits.at_work_for {
            VerdictState::Busy
        } else if last.units.values().any(|unit| unit.processes.is_some_and(|n| n > 0)) {
            VerdictState::Resident
        } else {
            VerdictState::NoProcess
        }
    }

    fn before_any(&self, now: Time) -> VerdictState {
        if now.since(self.began) < GAP_MAX { VerdictState::Grace } else { VerdictState::Unknown }
    }

    fn evidence(&self, now: Time) -> Evidence {
        let Some(last) = &self.last else { return Evidence::default() };
        let units = || last.units.values();
        let working = now.since(self.units_worked) < WASTE;
        let idle = self.each_worked.values().filter(|worked| now.since(**worked) >= WASTE).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Evidence {
            busy_percent: units().filter_map(super::UnitReading::busy_percent).max(),
            power: units()
                .filter_map(|unit| unit.power.filter(|power| power.alone))
                .max_by_key(|power| (power.above_floor_mw(), power.of_limit_percent)),
            processes: units().map(|unit| unit.processes).sum(),
            memory_mib: units().map(|unit| unit.memory_mib).sum(),
            cpu_milli: last.cpu_milli,
            disk_bytes: last.disk_bytes,
            network_bytes: last.network_bytes,
            idle_units: if working { count(idle) } else { 0 },
            units: count(last.units.len()),
        }
    }
}
