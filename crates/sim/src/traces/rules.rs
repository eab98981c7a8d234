//! When a container is stopped: by the rules of `ds01-domain`, and by simple ones that are in use elsewhere.
//!
//! All see the same readings and have the same half hour. What a rule cannot read does not count against a container.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::{
    Action, Activity, ContainerId, Epoch, Event, Mode, Reading, State, Thresholds, Time, Uid, UnitId,
    Watched, course,
};

/// How long a container may be idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Between two looks of the rule that looks seldom.
const HOUR: Duration = Duration::from_secs(3600);
/// Quiet looks, one after the other, after which it stops.
const QUIET_LOOKS: u32 = 3;
/// Below it a unit is quiet to the simple rules, in percent.
const BUSY_PERCENT: u32 = 1;

/// Ours, warnings and all.
pub(super) fn ours(units: Vec<UnitId>, readings: &[Reading], limits: &Thresholds) -> Option<Time> {
    let limits = limits.within(IDLE_TIMEOUT);
    let began = Time::default();
    let container = ContainerId::new(&"1".repeat(64)).expect("so many hexadecimal digits are an id");
    let mut state = State::default();
    state.apply(&Event::Adopted {
        container: container.clone(),
        owner: Uid(1000),
        owner_name: "alice".into(),
        name: "trace".into(),
        epoch: Epoch(1),
        units,
        at: began,
    });
    let mut activity = Activity::of_run(began);
    for reading in readings {
        let now = reading.at;
        activity.read(reading.clone(), &limits);
        let watched = Watched {
            verdict: activity.verdict(&limits, now),
            idle_timeout: Some(IDLE_TIMEOUT),
            hurry: None,
            max_runtime: None,
            keep_file_until: None,
        };
        for action in course(&state, Mode::Enforce, &BTreeMap::from([(container.clone(), watched)]), now) {
            match action {
                Action::Record(event) => state.apply(&event),
                Action::Warn { container, epoch, cause, stage, stop_at } => {
                    state.apply(&Event::Warned { container, epoch, cause, stage, stop_at, at: now });
                }
                Action::Stop { .. } => return Some(now),
                _ => {}
            }
        }
    }
    None
}

/// `utilization.gpu` once an hour; three quiet looks in a row stop.
pub(super) fn hourly(readings: &[Reading]) -> Option<Time> {
    let hour = HOUR.as_secs() * 1000;
    let mut quiet = 0;
    for reading in readings.iter().filter(|reading| reading.at.0 % hour == 0) {
        let told: Option<Vec<u32>> = reading.units.values().map(|unit| unit.unit_busy).collect();
        match told {
            Some(told) if told.iter().all(|busy| *busy < BUSY_PERCENT) => quiet += 1,
            Some(_) => quiet = 0,
            None => {}
        }
        if quiet == QUIET_LOOKS {
            return Some(reading.at);
        }
    }
    None
}

/// CPU and network alone, with our thresholds; the GPU is not looked at.
pub(super) fn cpu_and_network(readings: &[Reading]) -> Option<Time> {
    let limits = Thresholds::default();
    let mut worked = Time::default();
    for reading in readings {
        let quiet = reading.cpu_milli.is_some_and(|cpu| cpu < limits.cpu_milli)
            && reading.network_bytes.is_some_and(|bytes| bytes < limits.network_bytes);
        if !quiet {
            worked = reading.at;
        } else if reading.at.since(worked) >= IDLE_TIMEOUT {
            return Some(reading.at);
        }
    }
    None
}

/// `utilization.gpu` at every reading; one unit that is quiet for the whole time stops.
pub(super) fn any_unit_idle(readings: &[Reading]) -> Option<Time> {
    let mut worked: BTreeMap<&UnitId, Time> = BTreeMap::new();
    for reading in readings {
        for (id, unit) in &reading.units {
            let worked = worked.entry(id).or_default();
            if unit.unit_busy.is_none_or(|busy| busy >= BUSY_PERCENT) {
                *worked = reading.at;
            } else if reading.at.since(*worked) >= IDLE_TIMEOUT {
                return Some(reading.at);
            }
        }
    }
    None
}
