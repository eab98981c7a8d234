//! What instruments show of a trace: one reading every ten seconds, as the daemon takes them.
//!
//! Counters miss nothing: CPU, disks, network and a slice's engines are means over the ten seconds. `utilization.gpu` is a
//! look at the last second, and sees nothing of what was over before it. Processes and memory are as they are just then.
//! What a card takes is held against the least that it took while its programs were parked, as far as that was seen.

use std::collections::BTreeMap;

use ds01_domain::{CardPower, Reading, Time, UnitId, UnitReading};

use super::text::{Figures, Phase, Trace};

/// Between two readings.
pub(super) const TICK_SECONDS: u64 = 10;

/// The names of a trace's units.
pub(super) fn unit_ids(trace: &Trace) -> Vec<UnitId> {
    let name = |n| UnitId::new(&format!("GPU-{n}")).expect("a word is an id");
    (0..trace.units.len()).map(name).collect()
}

/// All readings of a trace, in their order.
pub(super) fn of(trace: &Trace) -> Vec<Reading> {
    let ids = unit_ids(trace);
    let mut came = false;
    let mut seconds = Vec::new();
    let mut readings = Vec::new();
    let mut parked = vec![None; ids.len()];
    for phase in &trace.phases {
        came |= phase.shell;
        for _ in 0..phase.seconds {
            seconds.push(phase);
            if seconds.len() as u64 == TICK_SECONDS {
                let at = Time((readings.len() as u64 + 1) * TICK_SECONDS * 1000);
                readings.push(Reading {
                    at,
                    entered: std::mem::take(&mut came),
                    ..read(trace, &ids, &seconds, &mut parked)
                });
                seconds.clear();
            }
        }
    }
    readings
}

fn read(trace: &Trace, ids: &[UnitId], seconds: &[&Phase], parked: &mut [Option<i64>]) -> Reading {
    let unit = |(index, id): (usize, &UnitId)| {
        (id.clone(), read_unit(trace.units[index], index, seconds, &mut parked[index]))
    };
    Reading {
        units: ids.iter().enumerate().map(unit).collect::<BTreeMap<_, _>>(),
        cpu_milli: Some(mean(seconds, |phase| phase.cpu)),
        disk_bytes: Some(mean(seconds, |phase| phase.disk)),
        network_bytes: Some(mean(seconds, |phase| phase.network)),
        ..Reading::default()
    }
}

fn read_unit(figures: Figures, index: usize, seconds: &[&Phase], parked: &mut Option<i64>) -> UnitReading {
    let Some(last) = seconds.last().filter(|phase| !phase.blind) else { return UnitReading::default() };
    // However short, work on the engines is more than nothing.
    let engines = mean(seconds, |phase| phase.gpu[index].into());
    UnitReading {
        processes: Some(last.open[index]),
        process_busy: (figures == Figures::Engines).then(|| u32::try_from(engines).unwrap_or(u32::MAX)),
        unit_busy: (figures == Figures::Card).then_some(last.gpu[index]),
        process_cpu_milli: Some(mean(seconds, |phase| phase.process_cpu[index])),
        memory_mib: Some(last.memory[index]),
        power: power(index, seconds, parked),
    }
}

fn power(index: usize, seconds: &[&Phase], parked: &mut Option<i64>) -> Option<CardPower> {
    let watts: Option<Vec<i64>> =
        seconds.iter().map(|phase| phase.power.as_ref().map(|power| power[index])).collect();
    let above_cold_mw = watts?.iter().sum::<i64>() * 1000 / i64::try_from(seconds.len()).ok()?;
    let open = seconds.iter().all(|phase| phase.open[index] > 0);
    if open {
        *parked = Some(parked.map_or(above_cold_mw, |least| least.min(above_cold_mw)));
    }
    Some(CardPower {
        above_cold_mw: Some(above_cold_mw),
        above_parked_mw: parked.map(|least| above_cold_mw - least),
        of_limit_percent: None,
        alone: open,
    })
}

/// The mean, rounded up.
fn mean(seconds: &[&Phase], value: impl Fn(&Phase) -> u64) -> u64 {
    let sum: u64 = seconds.iter().map(|phase| value(phase)).sum();
    sum.div_ceil(seconds.len() as u64)
}
