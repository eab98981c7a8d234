//! One measurement, and what it shows by itself: at work, quiet, or nobody can say.
//!
//! A unit is at work as soon as one signal says so; it is quiet only where a signal that cannot have missed work says
//! that there was none. How busy the driver found a whole card is no such signal: it tells of its last second, and a
//! request is over in less. There the CPU of the processes that have the card open still counts, as work beside it.
//! The power of a card misses nothing however short, and says little of little work: much of it proves work, none of it
//! makes the CPU of processes that have a slice open work beside the slice instead of work on it.
//! The thresholds err towards work: a false "at work" costs minutes of a GPU, a false "quiet" costs somebody a day.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{Time, UnitId};

/// What was measured of one running container since the reading before. What could not be measured is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// When it was taken.
    pub at: Time,
    /// Its units, all of them: one that is missing here was not measured.
    pub units: BTreeMap<UnitId, UnitReading>,
    /// Mean CPU use of all its processes, in thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// Mean traffic to and from disks, in bytes a second.
    pub disk_bytes: Option<u64>,
    /// Mean traffic on its own network, in bytes a second.
    pub network_bytes: Option<u64>,
    /// A person came: a shell or another command was begun in it since the last reading.
    pub entered: bool,
}

/// What was measured of a container's use of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitReading {
    /// Its processes that have the unit open.
    pub processes: Option<u32>,
    /// The busiest engine of any of its processes, in percent.
    pub process_busy: Option<u32>,
    /// How busy the unit was in the driver's last sample, in percent, where nobody else can have been on it.
    pub unit_busy: Option<u32>,
    /// CPU use of its processes that have the unit open, in thousandths of a CPU.
    pub process_cpu_milli: Option<u64>,
    /// Memory of the unit that it has, in MiB.
    pub memory_mib: Option<u64>,
    /// What the power of its card shows.
    pub power: Option<CardPower>,
}

/// How much power a card took in the busiest moment since the reading before, against what nobody's work explains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardPower {
    /// Above the least that it took when nobody had it open, in milliwatts; a context alone takes some tens of watts.
    pub above_cold_mw: Option<i64>,
    /// Above the least that it took while programs had it open.
    pub above_parked_mw: Option<i64>,
    /// In percent of what it may take.
    pub of_limit_percent: Option<u32>,
    /// Whether everybody who has the card open is of the one container: else it may be others who take the power.
    pub alone: bool,
}

impl CardPower {
    /// Whether the container must have computed on it.
    fn shows_work(&self, limits: &Thresholds) -> bool {
        let over = |value: Option<i64>, limit: i64| value.is_some_and(|value| value >= limit);
        self.alone
            && (over(self.above_parked_mw, limits.power_parked_mw)
                || over(self.above_cold_mw, limits.power_cold_mw)
                || self.of_limit_percent.is_some_and(|share| share >= limits.power_percent))
    }

    /// Whether hardly anything can have computed on it, whoever has it open.
    fn is_cold(&self, limits: &Thresholds) -> bool {
        self.above_cold_mw.is_some_and(|power| power <= limits.power_quiet_mw)
    }

    /// In milliwatts, above what is known to be nobody's work.
    #[must_use]
    pub fn above_floor_mw(&self) -> Option<i64> {
        self.above_parked_mw.or(self.above_cold_mw)
    }
}

/// From where on something counts as work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Of a process's engines, in percent.
    pub process_busy: u32,
    /// Of the unit, in percent; the driver's one percent is noise.
    pub unit_busy: u32,
    /// Of the CPU of processes on a unit that does not tell of their engines: launching kernels and waiting for them costs
    /// CPU, a parked notebook takes less than a hundredth of one.
    pub process_cpu_milli: u64,
    /// Of a change of the memory that is held.
    pub memory_change_mib: u64,
    /// Power above that of a card that nobody has open at which hardly anything can have computed, in milliwatts.
    pub power_quiet_mw: i64,
    /// Power above that of a card on which programs are parked that only work explains, in milliwatts: parked programs
    /// differ by what a few watts of heat do.
    pub power_parked_mw: i64,
    /// Power above that of a card that nobody has open that only work explains, in milliwatts: twice what a context alone
    /// takes of the thirstiest cards.
    pub power_cold_mw: i64,
    /// Share of a card's limit that only work explains, in percent: the smallest cards take two fifths of it parked.
    pub power_percent: u32,
    /// Of the container's CPUs: half of one.
    pub cpu_milli: u64,
    /// Of disk traffic: 5 MB/s.
    pub disk_bytes: u64,
    /// Of network traffic: 1 MB/s.
    pub network_bytes: u64,
    /// How long after its start, or after somebody came in, nothing is called idle.
    pub grace: Duration,
    /// Work so long ago is work still: a training run writes a checkpoint, a loader catches its breath.
    pub at_work_for: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            process_busy: 1,
            unit_busy: 2,
            process_cpu_milli: 30,
            memory_change_mib: 16,
            power_quiet_mw: 5_000,
            power_parked_mw: 25_000,
            power_cold_mw: 100_000,
            power_percent: 60,
            cpu_milli: 500,
            disk_bytes: 5_000_000,
            network_bytes: 1_000_000,
            grace: Duration::from_secs(15 * 60),
            at_work_for: Duration::from_secs(60),
        }
    }
}

impl Thresholds {
    /// These, where a container is stopped after so short an idle time that the usual waits would outlast it.
    #[must_use]
    pub fn within(mut self, idle_timeout: Duration) -> Self {
        self.grace = self.grace.min(idle_timeout / 2);
        self.at_work_for = self.at_work_for.min(idle_timeout / 4);
        self
    }
}

/// What one measurement shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// There was none.
    Quiet,
    /// Nobody can say.
    Unknown,
    /// There was some.
    AtWork,
}

impl UnitReading {
    /// Whether the unit was used; `before` is the reading before this one.
    #[must_use]
    pub fn shows(&self, before: Option<&Self>, limits: &Thresholds) -> Use {
        let over = |value: Option<u32>, limit: u32| value.is_some_and(|value| value >= limit);
        if over(self.process_busy, limits.process_busy) || over(self.unit_busy, limits.unit_busy) {
            return Use::AtWork;
        }
        if self.process_busy.is_none() && self.power.is_some_and(|power| power.shows_work(limits)) {
            return Use::AtWork;
        }
        // The driver has told of its engines, or that nobody has it open. What a sample of the unit missed is not called
        // work on it: a loop that keeps the unit open would have it for ever. It counts beside it, see `works_unseen`.
        if self.processes == Some(0) || self.process_busy.is_some() || self.unit_busy.is_some() {
            return match before {
                // A process that came and went between two readings.
                Some(before) if before.processes.is_some_and(|n| n > 0) && self.processes == Some(0) => {
                    Use::AtWork
                }
                _ => Use::Quiet,
            };
        }
        let Some(processes) = self.processes else { return Use::Unknown };
        let changed = before.is_some_and(|before| {
            let memory = before.memory_mib.zip(self.memory_mib);
            before.processes.is_some_and(|n| n != processes)
                || memory.is_some_and(|(then, now)| then.abs_diff(now) >= limits.memory_change_mib)
        });
        match self.process_cpu_milli {
            Some(cpu) if cpu >= limits.process_cpu_milli && !self.is_cold(limits) => Use::AtWork,
            _ if changed => Use::AtWork,
            Some(_) => Use::Quiet,
            None => Use::Unknown,
        }
    }

    /// Whether its processes may have used the unit between two samples of the driver's, or so little that the card's power
    /// does not show it.
    fn works_unseen(&self, limits: &Thresholds) -> bool {
        self.process_busy.is_none()
            && (self.unit_busy.is_some() || self.is_cold(limits))
            && self.process_cpu_milli.is_some_and(|cpu| cpu >= limits.process_cpu_milli)
    }

    fn is_cold(&self, limits: &Thresholds) -> bool {
        self.power.is_some_and(|power| power.is_cold(limits))
    }
}

impl Reading {
    /// Whether the container worked beside its units (CPU, disks, network), or may have on them, unseen.
    #[must_use]
    pub fn works_elsewhere(&self, limits: &Thresholds) -> Use {
        let signals = [
            (self.cpu_milli, limits.cpu_milli),
            (self.disk_bytes, limits.disk_bytes),
            (self.network_bytes, limits.network_bytes),
        ];
        if signals.iter().any(|(value, limit)| value.is_some_and(|value| value >= *limit))
            || self.units.values().any(|unit| unit.works_unseen(limits))
        {
            Use::AtWork
        } else if self.cpu_milli.is_none() {
            // Disks and network tell less, and not every machine counts them.
            Use::Unknown
        } else {
            Use::Quiet
        }
    }
}

/// The longest time between two readings of which the second still tells what was between them. Beyond it nobody knows.
pub(super) const GAP_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(reading: &UnitReading, before: Option<&UnitReading>) -> Use {
        reading.shows(before, &Thresholds::default())
    }

    #[test]
    fn what_the_driver_says_of_a_whole_card_decides() {
        let card = |process, unit| UnitReading {
            processes: Some(1),
            process_busy: process,
            unit_busy: unit,
            process_cpu_milli: Some(1000),
            ..UnitReading::default()
        };
        assert_eq!(shows(&card(Some(1), Some(0)), None), Use::AtWork);
        assert_eq!(shows(&card(None, Some(2)), None), Use::AtWork);
        assert_eq!(shows(&card(None, Some(1)), None), Use::Quiet, "one percent of the driver's is noise");
        assert_eq!(
            shows(&card(Some(0), Some(0)), None),
            Use::Quiet,
            "CPU says nothing where the engines are told"
        );
    }

    #[test]
    fn a_slice_is_told_by_what_its_processes_do() {
        let slice = |processes, cpu, memory| UnitReading {
            processes: Some(processes),
            process_cpu_milli: cpu,
            memory_mib: memory,
            ..UnitReading::default()
        };
        let parked = slice(1, Some(8), Some(4000));
        assert_eq!(shows(&parked, None), Use::Quiet);
        assert_eq!(shows(&parked, Some(&parked)), Use::Quiet);
        assert_eq!(shows(&slice(1, Some(30), Some(4000)), Some(&parked)), Use::AtWork);
        assert_eq!(shows(&slice(2, Some(0), Some(4000)), Some(&parked)), Use::AtWork, "a process came");
        assert_eq!(shows(&slice(1, Some(0), Some(4016)), Some(&parked)), Use::AtWork, "memory came");
        assert_eq!(shows(&slice(1, Some(0), Some(4015)), Some(&parked)), Use::Quiet);
        assert_eq!(shows(&slice(0, None, None), Some(&parked)), Use::AtWork, "a process went");
        assert_eq!(shows(&slice(0, None, None), Some(&slice(0, None, None))), Use::Quiet);
    }

    #[test]
    fn a_sample_of_a_card_may_have_missed_what_cost_cpu() {
        let beside = |unit: UnitReading| {
            let units = BTreeMap::from([(UnitId::new("GPU-0").unwrap(), unit)]);
            let reading = Reading { units, cpu_milli: Some(30), ..Reading::default() };
            reading.works_elsewhere(&Thresholds::default())
        };
        let card = |cpu| UnitReading {
            processes: Some(1),
            unit_busy: Some(0),
            process_cpu_milli: Some(cpu),
            ..UnitReading::default()
        };
        assert_eq!(shows(&card(30), None), Use::Quiet, "it is no work on the card");
        assert_eq!(beside(card(30)), Use::AtWork);
        assert_eq!(beside(card(29)), Use::Quiet, "a parked notebook");
        assert_eq!(
            beside(UnitReading { process_busy: Some(0), ..card(30) }),
            Use::Quiet,
            "engines miss nothing"
        );
    }

    #[test]
    fn power_that_nobody_else_can_have_taken_is_work() {
        let limits = Thresholds::default();
        let all = CardPower { alone: true, ..CardPower::default() };
        let of = |power| UnitReading {
            processes: Some(1),
            process_cpu_milli: Some(5),
            power: Some(power),
            ..UnitReading::default()
        };
        for (power, work) in [
            (CardPower { above_parked_mw: Some(25_000), ..all }, true),
            (CardPower { above_parked_mw: Some(24_999), above_cold_mw: Some(75_000), ..all }, false),
            (CardPower { above_cold_mw: Some(100_000), above_parked_mw: Some(0), ..all }, true),
            (CardPower { of_limit_percent: Some(60), ..all }, true),
            (CardPower { of_limit_percent: Some(59), ..all }, false),
            (CardPower { above_parked_mw: Some(300_000), alone: false, ..all }, false),
            (all, false),
        ] {
            let expected = if work { Use::AtWork } else { Use::Quiet };
            assert_eq!(shows(&of(power), None), expected, "{power:?}");
            let card = UnitReading { unit_busy: Some(0), ..of(power) };
            assert_eq!(shows(&card, None), expected, "of a whole card: {power:?}");
            // Counters of its engines know better.
            let counted = UnitReading { process_busy: Some(0), ..of(power) };
            assert_eq!(shows(&counted, None), Use::Quiet, "{power:?}");
            assert!(!counted.works_unseen(&limits));
        }
    }

    #[test]
    fn on_a_cold_card_cpu_is_work_beside_the_slice() {
        let limits = Thresholds::default();
        let slice = |above_cold_mw| UnitReading {
            processes: Some(1),
            process_cpu_milli: Some(900),
            // Nobody computes on it, whoever has it open.
            power: Some(CardPower { above_cold_mw, ..CardPower::default() }),
            ..UnitReading::default()
        };
        let cold = slice(Some(5_000));
        assert_eq!(shows(&cold, None), Use::Quiet);
        assert!(cold.works_unseen(&limits), "it may be less than shows");
        for warm in [slice(Some(5_001)), slice(None)] {
            assert_eq!(shows(&warm, None), Use::AtWork, "{warm:?}");
            assert!(!warm.works_unseen(&limits));
        }
        let one_less = UnitReading { processes: Some(0), power: cold.power, ..UnitReading::default() };
        assert_eq!(shows(&one_less, Some(&cold)), Use::AtWork, "a process went");
    }

    #[test]
    fn what_was_not_measured_is_unknown() {
        assert_eq!(shows(&UnitReading::default(), None), Use::Unknown);
        assert_eq!(shows(&UnitReading { processes: Some(1), ..UnitReading::default() }, None), Use::Unknown);
        let limits = Thresholds::default();
        assert_eq!(Reading::default().works_elsewhere(&limits), Use::Unknown);
        let cpu = |milli| Reading { cpu_milli: Some(milli), ..Reading::default() };
        assert_eq!(cpu(499).works_elsewhere(&limits), Use::Quiet);
        assert_eq!(cpu(500).works_elsewhere(&limits), Use::AtWork);
        let disk = Reading { disk_bytes: Some(5_000_000), ..Reading::default() };
        assert_eq!(disk.works_elsewhere(&limits), Use::AtWork);
    }
}
