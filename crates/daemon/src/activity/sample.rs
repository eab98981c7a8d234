//! One reading of one container: its control group, its processes, its units.
//!
//! What a container's processes can make up (names, links) is never followed further than to a number of the kernel's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::LazyLock;
use std::time::Duration;

use ds01_domain::{CardPower, Reading, UnitId, UnitReading};
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::stat::{Mode, fstatat};

use super::counters::{Counters, milli, rate};
use crate::inventory::{FiguresSeen, Inventory};

/// Processes of one container that are looked at; the rest of a fork bomb is like the first.
const PROCESSES_MAX: usize = 4096;
/// Open files of one process that are looked at.
const FILES_MAX: usize = 4096;
/// Open files of one container's processes together: who has more would hold up the look at everybody else's.
const FILES_ALL_MAX: usize = 128 * 1024;

/// Figures of the driver's that are older tell nothing of now.
pub(super) const FIGURES_AGE_MAX: Duration = Duration::from_secs(10);

/// Kernel ticks a second, in which `/proc` counts CPU time.
static TICKS: LazyLock<u64> = LazyLock::new(|| {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    ticks.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0).unwrap_or(100)
});

/// Reads a container that holds these units. The time of the reading is the caller's to set.
pub(super) fn read(inventory: &Inventory, units: &[UnitId], counters: &mut Counters) -> Reading {
    let elapsed = counters.elapsed();
    let group = &mut counters.group;
    let (mut processes, cpu, disk) = (group.processes(), group.cpu_time(), group.disk_bytes());
    processes.truncate(PROCESSES_MAX);
    counters.witness = processes.first().copied();

    let cpu_before = std::mem::replace(&mut counters.cpu, cpu);
    let disk_before = std::mem::replace(&mut counters.disk, disk);
    let network = counters.networked().and_then(network_bytes);
    let network_before = std::mem::replace(&mut counters.network, network);
    let used = cpu.zip(cpu_before).map(|(now, before)| now.saturating_sub(before));
    Reading {
        units: read_units(inventory, units, &processes, elapsed, counters),
        cpu_milli: used.zip(elapsed).map(|(used, elapsed)| milli(used, elapsed)),
        disk_bytes: rate(disk_before, disk, elapsed),
        network_bytes: rate(network_before, network, elapsed),
        ..Reading::default()
    }
}

/// What is known of one unit, whoever told it.
#[derive(Debug, Default)]
struct OnUnit {
    /// The container's processes that have it open.
    processes: Vec<i32>,
    /// The busiest engine of any of them in the last seconds, in percent, where one was told to work.
    process_busy: Option<u32>,
    /// How busy the unit is, in percent, where nobody else is on it.
    busy: Option<u32>,
    /// What the power of its card shows.
    power: Option<CardPower>,
    /// The memory of it that they have.
    memory_mib: Option<u64>,
}

/// Reads what the container's processes do with its units.
fn read_units(
    inventory: &Inventory,
    units: &[UnitId],
    processes: &[i32],
    elapsed: Option<Duration>,
    counters: &mut Counters,
) -> BTreeMap<UnitId, UnitReading> {
    let told = match inventory.device_numbers(units) {
        Some(numbers) => told_by_kernel(&numbers, processes),
        None => told_by_driver(&inventory.figures(), units, processes),
    };
    let mut times = BTreeMap::new();
    let mut read = BTreeMap::new();
    for unit in units {
        let Some(on_unit) = told.get(unit) else {
            read.insert(unit.clone(), UnitReading::default());
            continue;
        };
        let mut used = Duration::ZERO;
        for pid in &on_unit.processes {
            let Some((began, time)) = cpu_time(*pid) else { continue };
            let before = counters.processes.get(&(*pid, began)).copied().unwrap_or_default();
            used += time.saturating_sub(before);
            times.insert((*pid, began), time);
        }
        let nobody = on_unit.processes.is_empty();
        let reading = UnitReading {
            processes: u32::try_from(on_unit.processes.len()).ok(),
            process_busy: on_unit.process_busy,
            unit_busy: on_unit.busy,
            process_cpu_milli: elapsed.map(|elapsed| milli(used, elapsed)).or(nobody.then_some(0)),
            memory_mib: on_unit.memory_mib,
            power: on_unit.power,
        };
        read.insert(unit.clone(), reading);
    }
    counters.processes = times;
    read
}

/// No driver tells of made-up units: who has one open is told by the kernel.
fn told_by_kernel(numbers: &BTreeMap<UnitId, BTreeSet<u64>>, processes: &[i32]) -> BTreeMap<UnitId, OnUnit> {
    let mut left = FILES_ALL_MAX;
    let open: Vec<(i32, BTreeSet<u64>)> =
        processes.iter().map(|pid| (*pid, devices_open_in(*pid, &mut left))).collect();
    let on = |own: &BTreeSet<u64>| {
        let on_it = open.iter().filter(|(_, devices)| !devices.is_disjoint(own)).map(|(pid, _)| *pid);
        OnUnit { processes: on_it.collect(), ..OnUnit::default() }
    };
    numbers.iter().map(|(unit, own)| (unit.clone(), on(own))).collect()
}

/// What the driver told last, if that was just now. A unit of which it did not tell the processes is left out.
fn told_by_driver(figures: &FiguresSeen, units: &[UnitId], processes: &[i32]) -> BTreeMap<UnitId, OnUnit> {
    if figures.age.is_none_or(|age| age > FIGURES_AGE_MAX) {
        return BTreeMap::new();
    }
    let on = |unit: &UnitId| {
        let told = figures.units.get(unit)?;
        let all = told.processes.as_ref()?;
        let own: Vec<_> = all
            .iter()
            .filter(|one| i32::try_from(one.pid).is_ok_and(|pid| processes.contains(&pid)))
            .collect();
        let alone = own.len() == all.len();
        let on_unit = OnUnit {
            processes: own.iter().filter_map(|one| i32::try_from(one.pid).ok()).collect(),
            // What the counters of a slice tell is all its own.
            process_busy: (own.iter().filter_map(|one| one.busy_percent).max())
                .or(told.engines_percent.filter(|_| alone))
                .max(told.exporter_percent.filter(|busy| alone && *busy > 0)),
            busy: told.utilization_percent.filter(|_| alone),
            power: told.power.as_ref().map(|draw| draw.shows(processes)),
            memory_mib: own.iter().map(|one| one.memory_mib).sum(),
        };
        Some((unit.clone(), on_unit))
    };
    units.iter().filter_map(on).collect()
}

/// The device numbers of everything below `/dev` that a process has open, as far as `left` files go.
fn devices_open_in(pid: i32, left: &mut usize) -> BTreeSet<u64> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut directory) = Dir::open(format!("/proc/{pid}/fd").as_str(), flags, Mode::empty()) else {
        return BTreeSet::new();
    };
    let names = directory.iter().flatten().map(|entry| entry.file_name().to_owned());
    let files: Vec<_> = names
        .filter(|name| name.to_bytes() != b"." && name.to_bytes() != b"..")
        .take(FILES_MAX.min(*left))
        .collect();
    *left -= files.len();
    // The way through /proc costs more than what is at its end: it is gone once.
    files
        .iter()
        // Nothing else is touched: a file on a file system that does not answer would hold up everything.
        .filter(|file| {
            readlinkat(&directory, file.as_c_str())
                .is_ok_and(|target| target.as_bytes().starts_with(b"/dev/"))
        })
        .filter_map(|file| fstatat(&directory, file.as_c_str(), AtFlags::empty()).ok())
        .map(|file| file.st_rdev)
        .filter(|number| *number != 0)
        .collect()
}

/// When a process began, in kernel ticks since boot, and the CPU time that it has had.
pub(super) fn cpu_time(pid: i32) -> Option<(u64, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, spaces and brackets too: what follows the last bracket is the kernel's.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // proc(5): state is field 3 and the first here; utime 14, stime 15, starttime 22.
    let ticks = number(11)?.saturating_add(number(12)?);
    Some((number(19)?, Duration::from_millis(ticks.saturating_mul(1000) / *TICKS)))
}

/// Bytes in and out on the network of a process.
fn network_bytes(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    Some(text.lines().filter_map(bytes_of_interface).sum())
}

/// Bytes in and out in one line of `/proc/net/dev`; nothing for the loopback and the headings.
fn bytes_of_interface(line: &str) -> Option<u64> {
    let (name, counts) = line.split_once(':')?;
    let counts: Vec<u64> = counts.split_whitespace().filter_map(|count| count.parse().ok()).collect();
    // Received bytes come first, sent bytes ninth.
    (name.trim() != "lo").then(|| Some(counts.first()?.saturating_add(*counts.get(8)?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_but_the_loopback_are_counted() {
        let line = "  eth0:    1000      10    0    0    0     0          0         0      200       2    0    0    0     0       0          0";
        assert_eq!(bytes_of_interface(line), Some(1200));
        assert_eq!(bytes_of_interface(&line.replace("eth0", "lo")), None);
        assert_eq!(bytes_of_interface("Inter-|   Receive  |  Transmit"), None);
    }

    #[test]
    fn this_process_has_had_time_and_opened_what_it_opened() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(cpu_time(pid).is_some_and(|(began, _)| began > 0));
        let null = fs::File::open("/dev/null").unwrap();
        let number = std::os::unix::fs::MetadataExt::rdev(&null.metadata().unwrap());
        let mut left = FILES_ALL_MAX;
        assert!(devices_open_in(pid, &mut left).contains(&number));
        assert!(left < FILES_ALL_MAX, "what was looked at is counted");
        assert!(devices_open_in(pid, &mut 0).is_empty(), "nothing is looked at beyond the bound");
    }
}
