//! All readings of one run of a container, added up: when it last worked, and what its minutes were like.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::reading::{GAP_MAX, Reading, Thresholds, UnitReading, Use};
use crate::ids::{Time, UnitId};

/// So many minutes are kept: six hours.
pub const MINUTES_KEPT: usize = 360;

/// One minute of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// When it began.
    pub began: Time,
    /// What its units did in it: the strongest that any reading showed.
    pub units: Use,
    /// What it did beside them.
    pub elsewhere: Use,
    /// The busiest that a unit was, in percent; where the driver tells it.
    pub busy_percent: Option<u32>,
    /// The most CPU that it took, in thousandths of a CPU.
    pub cpu_milli: Option<u64>,
}

/// What is known of the use that one run of a container makes of its units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// When the run began.
    pub(super) began: Time,
    /// The reading before, and when it was.
    pub(super) last: Option<Reading>,
    /// Up to when a unit of it worked, or may have.
    pub(super) units_worked: Time,
    /// Up to when it worked in any way, or may have.
    pub(super) worked: Time,
    /// Up to when each unit worked, or may have.
    pub(super) each_worked: BTreeMap<UnitId, Time>,
    /// Since when nobody can say what its units do.
    pub(super) unknown_since: Option<Time>,
    /// Since when nobody can say what it does beside them.
    unseen_elsewhere_since: Option<Time>,
    /// When somebody last began a command in it.
    pub(super) entered: Option<Time>,
    minutes: VecDeque<Minute>,
}

impl Activity {
    /// Nothing is known yet of a run that began then.
    #[must_use]
    pub fn of_run(began: Time) -> Self {
        Self {
            began,
            last: None,
            units_worked: began,
            worked: began,
            each_worked: BTreeMap::new(),
            unknown_since: None,
            unseen_elsewhere_since: None,
            entered: None,
            minutes: VecDeque::new(),
        }
    }

    /// What was known of a run by what was written down of it. What it did since it was last [`measured`](Self::measured)
    /// is told by the next reading, if that comes soon.
    #[must_use]
    pub fn resumed(began: Time, units_worked: Time, worked: Time, measured: Time) -> Self {
        Self {
            units_worked: units_worked.max(began),
            worked: worked.max(began),
            last: Some(Reading { at: measured, ..Reading::default() }),
            ..Self::of_run(began)
        }
    }

    /// When the run began.
    #[must_use]
    pub fn began(&self) -> Time {
        self.began
    }

    /// Up to when a unit of it worked, or may have.
    #[must_use]
    pub fn units_worked(&self) -> Time {
        self.units_worked
    }

    /// Up to when it worked in any way, or may have.
    #[must_use]
    pub fn worked(&self) -> Time {
        self.worked
    }

    /// Up to when it is known what it did. Of a driver that has not told since, nobody knows how long it will not.
    #[must_use]
    pub fn measured(&self) -> Time {
        let read = self.last.as_ref().map_or(self.began, |last| last.at);
        // What was not seen beside the units for long counts as work already.
        let beside = self.unseen_elsewhere_since.filter(|since| read.since(*since) <= GAP_MAX);
        self.unknown_since.into_iter().chain(beside).fold(read, Time::min)
    }

    /// Its minutes, the oldest first.
    pub fn minutes(&self) -> impl ExactSizeIterator<Item = &Minute> {
        self.minutes.iter()
    }

    /// Takes one more reading.
    pub fn read(&mut self, reading: Reading, limits: &Thresholds) {
        let at = reading.at;
        let before = self.last.as_ref().map_or(self.began, |last| last.at);
        if at.since(before) > GAP_MAX {
            self.may_have_worked(at);
        }
        let units = self.read_units(&reading, limits);
        let elsewhere = reading.works_elsewhere(limits);
        match units {
            Use::AtWork => {
                self.end_of_unknown(at);
                self.units_worked = at;
                self.worked = at;
            }
            Use::Quiet => self.end_of_unknown(at),
            Use::Unknown => drop(self.unknown_since.get_or_insert(before)),
        }
        self.read_elsewhere(elsewhere, before, at);
        if reading.entered {
            self.worked = at;
            self.entered = Some(at);
        }
        self.keep_minute(&reading, units, elsewhere);
        self.last = Some(reading);
    }

    /// What the units show together: at work if one is, quiet if all are.
    fn read_units(&mut self, reading: &Reading, limits: &Thresholds) -> Use {
        let mut all = if reading.units.is_empty() { Use::Unknown } else { Use::Quiet };
        for (id, unit) in &reading.units {
            let before = self.last.as_ref().and_then(|last| last.units.get(id));
            let shown = unit.shows(before, limits);
            let worked = self.each_worked.entry(id.clone()).or_insert(self.began);
            if shown != Use::Quiet {
                *worked = reading.at;
            }
            all = all.max(shown);
        }
        all
    }

    /// Work beside the units; a short silence is passed over here as well.
    fn read_elsewhere(&mut self, shown: Use, before: Time, at: Time) {
        let silent_for = |since: Time| at.since(since) > GAP_MAX;
        match shown {
            Use::AtWork => {
                self.worked = at;
                self.unseen_elsewhere_since = None;
            }
            Use::Quiet => {
                if self.unseen_elsewhere_since.take().is_some_and(silent_for) {
                    self.worked = at;
                }
            }
            Use::Unknown => {
                if silent_for(*self.unseen_elsewhere_since.get_or_insert(before)) {
                    self.worked = at;
                }
            }
        }
    }

    /// Nobody can say what it did up to now.
    fn may_have_worked(&mut self, at: Time) {
        self.units_worked = at;
        self.worked = at;
        self.each_worked.values_mut().for_each(|worked| *worked = at);
        (self.unknown_since, self.unseen_elsewhere_since) = (None, None);
    }

    /// It can be said again what the units do: a short silence is passed over, after a long one they may have worked.
    fn end_of_unknown(&mut self, at: Time) {
        if self.unknown_since.take().is_some_and(|since| at.since(since) > GAP_MAX) {
            self.may_have_worked(at);
        }
    }

    fn keep_minute(&mut self, reading: &Reading, units: Use, elsewhere: Use) {
        const MINUTE: Duration = Duration::from_secs(60);
        let busy = reading.units.values().filter_map(UnitReading::busy_percent).max();
        match self.minutes.back_mut() {
            Some(minute) if reading.at.since(minute.began) < MINUTE => {
                minute.units = minute.units.max(units);
                minute.elsewhere = minute.elsewhere.max(elsewhere);
                minute.busy_percent = minute.busy_percent.max(busy);
                minute.cpu_milli = minute.cpu_milli.max(reading.cpu_milli);
            }
            _ => {
                if self.minutes.len() == MINUTES_KEPT {
                    self.minutes.pop_front();
                }
                let (began, cpu_milli) = (reading.at, reading.cpu_milli);
                self.minutes.push_back(Minute { began, units, elsewhere, busy_percent: busy, cpu_milli });
            }
        }
    }
}

impl UnitReading {
    /// How busy the unit was, where the driver told it.
    #[must_use]
    pub fn busy_percent(&self) -> Option<u32> {
        self.process_busy.max(self.unit_busy)
    }
}
