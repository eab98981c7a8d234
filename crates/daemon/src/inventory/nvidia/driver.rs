//! One reading of the NVIDIA driver: which cards and slices there are, and who computes on them.
//!
//! Everything here may block for as long as the driver does; only the watcher's thread calls it. Nothing is kept from
//! one reading to the next but the library and samples of counters, by the slice's UUID: handles of slices are used again by
//! the driver for other slices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ds01_domain::{CardId, Processes, Slice, Unit, UnitId, Weight};
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, EventSet, Nvml};

use super::super::{Figures, OnUnit};
use super::engines::Engines;
use super::power::Meters;
use super::{Reading, Seen};
use crate::clock;

/// The library's name, as the system's linker knows it.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// Where drivers put the library that the linker is not told of: containers with the driver, and WSL.
const OTHER_PLACES: [&str; 3] = [
    "/usr/lib64/libnvidia-ml.so.1",
    "/run/nvidia/driver/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
];
/// Drivers whose process lists have records of another length than the library's header says: from the first, below
/// the second. They are never asked: the answer would be written past the end of the list.
const BROKEN_LISTS: [[u32; 3]; 2] = [[535, 43, 0], [535, 104, 5]];
/// An instance id that says "the whole card".
const NO_INSTANCE: u32 = 0xFFFF_FFFF;
const MIB: u64 = 1024 * 1024;
/// What processes did so long ago is asked for: longer than from one reading of containers to the next.
const REMEMBERED_MS: u64 = 15_000;

/// The driver's library, loaded and initialised.
pub(super) struct Driver {
    nvml: Nvml,
    version: String,
}

/// A slice, with the ids of its GPU and its compute instance.
struct Cut {
    unit: Unit,
    gi: u32,
    ci: u32,
    memory_used_mib: Option<u64>,
}

/// A happening that the driver told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Xid {
    /// The card's UUID.
    pub(super) card: String,
    /// NVIDIA's number for what went wrong.
    pub(super) number: u64,
}

impl Driver {
    /// Loads the library: the one that is named, or the system's.
    pub(super) fn open(library: Option<&Path>) -> Result<Self, NvmlError> {
        let places: Vec<PathBuf> = match library {
            Some(path) => vec![path.to_owned()],
            None => std::iter::once(LIBRARY).chain(OTHER_PLACES).map(PathBuf::from).collect(),
        };
        let mut first = None;
        for place in places {
            match Nvml::builder().lib_path(place.as_os_str()).init() {
                Ok(nvml) => {
                    let version = nvml.sys_driver_version()?;
                    return Ok(Self { nvml, version });
                }
                // It is somewhere else, perhaps.
                Err(error @ NvmlError::LibloadingError(_)) => first.get_or_insert(error),
                Err(error) => return Err(error),
            };
        }
        Err(first.unwrap_or(NvmlError::DriverNotLoaded))
    }

    /// The driver's version: `580.65.06`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Everything that the driver shows now.
    pub(super) fn read<'d>(
        &'d self,
        engines: &mut Engines<'d>,
        meters: &mut Meters,
    ) -> Result<Reading, NvmlError> {
        let mut reading = Reading { complete: true, ..Reading::default() };
        let lists = !has_broken_lists(&self.version);
        if !lists {
            reading.problems.push(format!(
                "driver {} tells wrongly which processes are on a GPU: a GPU counts as free once its container is \
                 gone; install 535.104.05 or newer",
                self.version
            ));
        }
        for index in 0..self.nvml.device_count()? {
            match self.card(index, lists, engines, meters) {
                Ok(units) => {
                    reading.problems.extend(self.memory_errors(index));
                    for (seen, figures) in units {
                        reading.figures.insert(seen.unit.id.clone(), figures);
                        reading.units.push(seen);
                    }
                }
                // It is not there any more, and that is known.
                Err(NvmlError::GpuLost) => {
                    reading
                        .problems
                        .push(format!("GPU {index} has fallen off the bus; a reboot brings it back"));
                }
                Err(error) => {
                    reading.complete = false;
                    reading.problems.push(format!("GPU {index} cannot be asked: {}", in_words(&error)));
                }
            }
        }
        meters.keep(&reading.units.iter().map(|seen| &seen.unit.card).collect());
        engines.keep(&reading.units.iter().map(|seen| &seen.unit.id).collect());
        Ok(reading)
    }

    /// Memory errors of a card that could not be corrected. It goes on working, and what computed on it may be wrong.
    fn memory_errors(&self, index: u32) -> Option<String> {
        let device = self.nvml.device_by_index(index).ok()?;
        let errors = device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).ok()?;
        (errors > 0).then(|| {
            format!(
                "GPU {index} has had memory errors that could not be corrected: {errors} since the driver was loaded; \
                 what computed on it may be wrong; when nobody has it: nvidia-smi -i {index} -r"
            )
        })
    }

    fn card<'d>(
        &'d self,
        index: u32,
        lists: bool,
        engines: &mut Engines<'d>,
        meters: &mut Meters,
    ) -> Result<Vec<(Seen, Figures)>, NvmlError> {
        let device = self.nvml.device_by_index(index)?;
        let uuid = device.uuid()?;
        let (Some(id), Some(card)) = (UnitId::new(&uuid), CardId::new(&uuid)) else {
            return Err(NvmlError::InvalidArg);
        };
        let memory = device.memory_info()?;
        let whole = Unit {
            id,
            card,
            index,
            slice: None,
            model: device.name()?,
            memory_mib: memory.total / MIB,
            weight: Weight::CARD,
        };
        let minor = device.minor_number()?;
        let list = lists.then(|| device.running_compute_processes());
        let power = meters.read(&device, &whole.card, on_unit(list.as_ref(), |_| true).1.as_deref());
        let is_cut = match device.mig_mode() {
            Ok(mode) => mode.current == 1,
            // Cards and drivers that know no MIG.
            Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => false,
            Err(error) => return Err(error),
        };
        if !is_cut {
            let (processes, mut on_it) = on_unit(list.as_ref(), |_| true);
            let busy = busy_of_late(&device);
            for process in on_it.iter_mut().flatten() {
                process.busy_percent = busy.get(&process.pid).copied();
            }
            let figures = Figures {
                exporter_percent: None,
                utilization_percent: device.utilization_rates().ok().map(|rates| rates.gpu),
                engines_percent: None,
                power,
                memory_used_mib: Some(memory.used / MIB),
                processes: on_it,
            };
            return Ok(vec![(Seen { unit: whole, processes, minor, instance: None }, figures)]);
        }
        let slots = device.mig_device_count()?;
        let mut cuts = Vec::new();
        for slot in 0..slots {
            match self.slice(&device, &whole, slots, slot) {
                Ok(cut) => cuts.push(cut),
                Err(NvmlError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        let counts = device.gpm_support().unwrap_or(false);
        // The counters are those of the GPU instance: of two slices on one, nobody knows which was busy.
        let alone: Vec<bool> =
            cuts.iter().map(|cut| cuts.iter().filter(|other| other.gi == cut.gi).count() == 1).collect();
        let units = cuts.into_iter().zip(alone).map(|(cut, alone)| {
            let Cut { unit, gi, ci, memory_used_mib } = cut;
            let (processes, on_it) = on_unit(list.as_ref(), |process| is_on(process, gi, ci));
            let busy = (counts && alone).then(|| engines.read(&device, gi, &unit.id)).flatten();
            let figures = Figures {
                exporter_percent: None,
                utilization_percent: busy.map(|busy| busy.now),
                engines_percent: busy.map(|busy| busy.of_late),
                power: power.clone(),
                memory_used_mib,
                processes: on_it,
            };
            (Seen { unit, processes, minor, instance: Some((gi, ci)) }, figures)
        });
        Ok(units.collect())
    }

    /// The slice in a slot.
    fn slice(&self, card: &Device<'_>, whole: &Unit, slots: u32, slot: u32) -> Result<Cut, NvmlError> {
        let device = card.mig_device_by_index(slot)?;
        let id = UnitId::new(&device.uuid()?).ok_or(NvmlError::InvalidArg)?;
        let attributes = device.attributes()?;
        let name = device.name()?;
        let profile = name.rsplit_once(" MIG ").map_or(name.as_str(), |(_, profile)| profile).to_owned();
        let memory_of = if slots == 4 { 4 } else { 8 };
        let memory = memory_slices(attributes.memory_size_mb, whole.memory_mib, memory_of);
        let (own, all) = (attributes.compute_instance_slice_count, attributes.gpu_instance_slice_count);
        let instance = Weight::of_slice(all, slots, memory, memory_of);
        // Compute instances share their instance's memory, and weigh by what they compute with.
        let weight = Weight::from_milli(instance.as_milli() * own.min(all) / all.max(1));
        let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        let slice = Slice { ordinal: slot, profile, compute: small(own), memory: small(memory) };
        let unit =
            Unit { id, slice: Some(slice), memory_mib: attributes.memory_size_mb, weight, ..whole.clone() };
        Ok(Cut {
            unit,
            gi: self.gpu_instance(&device)?,
            ci: self.compute_instance(&device)?,
            memory_used_mib: device.memory_info().ok().map(|memory| memory.used / MIB),
        })
    }

    fn gpu_instance(&self, device: &Device<'_>) -> Result<u32, NvmlError> {
        let ask = symbol(self.nvml.lib().nvmlDeviceGetGpuInstanceId.as_ref().ok())?;
        let mut id = 0;
        #[expect(unsafe_code, reason = "the wrapper has no face for this function")]
        // SAFETY: the handle is the device's own, taken in this reading; the place outlives the call.
        let code = unsafe { ask(device.handle(), &raw mut id) };
        nvml_wrapper::error::nvml_try(code).map(|()| id)
    }

    fn compute_instance(&self, device: &Device<'_>) -> Result<u32, NvmlError> {
        let ask = symbol(self.nvml.lib().nvmlDeviceGetComputeInstanceId.as_ref().ok())?;
        let mut id = 0;
        #[expect(unsafe_code, reason = "the wrapper has no face for this function")]
        // SAFETY: the handle is the device's own, taken in this reading; the place outlives the call.
        let code = unsafe { ask(device.handle(), &raw mut id) };
        nvml_wrapper::error::nvml_try(code).map(|()| id)
    }

    /// Begins to be told of critical errors of the cards that there are now. Cards that tell nothing are passed over.
    pub(super) fn listen(&self) -> Result<EventSet<'_>, NvmlError> {
        let mut set = self.nvml.create_event_set()?;
        for index in 0..self.nvml.device_count()? {
            let Ok(device) = self.nvml.device_by_index(index) else { continue };
            // A refused registration takes the set with it.
            if !device.supported_event_types().is_ok_and(|e| e.contains(EventTypes::CRITICAL_XID_ERROR)) {
                continue;
            }
            set = match device.register_events(EventTypes::CRITICAL_XID_ERROR, set) {
                Ok(set) => set,
                Err(_) => self.nvml.create_event_set()?,
            };
        }
        Ok(set)
    }
}

/// What was told since the last time.
pub(super) fn told(set: &EventSet<'_>) -> Vec<Xid> {
    let mut found = Vec::new();
    while let Ok(event) = set.wait(0) {
        let number = match event.event_data {
            Some(XidError::Value(number)) => number,
            Some(XidError::Unknown) | None => 0,
        };
        found.push(Xid { card: event.device.uuid().unwrap_or_default(), number });
    }
    found
}

fn symbol<F>(found: Option<&F>) -> Result<&F, NvmlError> {
    found.ok_or(NvmlError::FailedToLoadSymbol("an instance's id".to_owned()))
}

/// Those of a list that are meant, counted and by name. What is on the list and not on the machine is a driver's mistake
/// and counts not.
fn on_unit(
    list: Option<&Result<Vec<ProcessInfo>, NvmlError>>,
    which: impl Fn(&ProcessInfo) -> bool,
) -> (Processes, Option<Vec<OnUnit>>) {
    let list = match list {
        None => return (Processes::Unknowable, None),
        Some(Err(_)) => return (Processes::Unknown, None),
        Some(Ok(list)) => list,
    };
    let there = |process: &&ProcessInfo| Path::new(&format!("/proc/{}", process.pid)).exists();
    let on_it: Vec<OnUnit> = list
        .iter()
        .filter(|process| which(process))
        .filter(there)
        .map(|process| OnUnit {
            pid: process.pid,
            memory_mib: match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes / MIB),
                UsedGpuMemory::Unavailable => None,
            },
            busy_percent: None,
        })
        .collect();
    (Processes::Count(u32::try_from(on_it.len()).unwrap_or(u32::MAX)), Some(on_it))
}

/// The busiest engine of each process in the last seconds: the driver remembers what a look at this moment would miss.
fn busy_of_late(device: &Device<'_>) -> BTreeMap<u32, u32> {
    // In microseconds of the wall clock, as the driver counts.
    let since = clock::wall_ms().saturating_sub(REMEMBERED_MS).saturating_mul(1000);
    let mut busy = BTreeMap::new();
    // An error says that nobody worked, or that the card does not tell: neither proves anything.
    for sample in device.process_utilization_stats(since).unwrap_or_default() {
        let most = sample.sm_util.max(sample.mem_util).max(sample.enc_util).max(sample.dec_util);
        // Drivers have been seen to tell of more than there is.
        if (1..=100).contains(&most) {
            let known = busy.entry(sample.pid).or_insert(most);
            *known = most.max(*known);
        }
    }
    busy
}

/// Whether a process is on a slice. One of which the card does not tell where it is may be on any.
fn is_on(process: &ProcessInfo, gi: u32, ci: u32) -> bool {
    let same = |told: Option<u32>, own: u32| told.is_none_or(|told| told == own || told == NO_INSTANCE);
    same(process.gpu_instance_id, gi) && same(process.compute_instance_id, ci)
}

/// Memory slices, of so many: the driver tells of MiB, a little less than the slices have.
fn memory_slices(mib: u64, card_mib: u64, of: u32) -> u32 {
    let slices = (mib * u64::from(of) + card_mib / 2) / card_mib.max(1);
    u32::try_from(slices).unwrap_or(of).clamp(1, of)
}

fn has_broken_lists(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let version = [next(), next(), next()];
    BROKEN_LISTS[0] <= version && version < BROKEN_LISTS[1]
}

/// A sentence's end for an administrator: what the driver's answer means, and what helps.
pub(super) fn in_words(error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(_) => {
            "the driver's library (libnvidia-ml.so.1) cannot be loaded; is the NVIDIA driver installed?"
                .to_owned()
        }
        NvmlError::DriverNotLoaded => {
            "the NVIDIA kernel module is not loaded; `modprobe nvidia`, and `dmesg` says what is wrong"
                .to_owned()
        }
        NvmlError::LibRmVersionMismatch => {
            "the driver was upgraded and the old kernel module still runs; reboot, or unload it".to_owned()
        }
        NvmlError::NoPermission => "the driver lets only root ask; ds01d must run as root".to_owned(),
        NvmlError::FailedToLoadSymbol(_) => {
            format!("the driver is too old for this question ({error}); 510 or newer is needed")
        }
        other => format!("the driver says: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_whose_lists_must_not_be_asked_for() {
        for (version, broken) in [
            ("535.43.02", true),
            ("535.86.05", true),
            ("535.98", true),
            ("535.104.04", true),
            ("535.104.05", false),
            ("535.29.01", false),
            ("525.147.05", false),
            ("580.65.06", false),
            ("", false),
        ] {
            assert_eq!(has_broken_lists(version), broken, "{version}");
        }
    }

    #[test]
    fn memory_tells_how_many_slices() {
        let of_a100 = |mib| memory_slices(mib, 81_920, 8);
        assert_eq!([9_856, 19_968, 40_192, 80_384].map(of_a100), [1, 2, 4, 8]);
        let of_small = |mib| memory_slices(mib, 40_960, 8);
        assert_eq!([4_864, 9_856, 19_968, 40_192].map(of_small), [1, 2, 4, 8]);
        let of_h200 = |mib| memory_slices(mib, 144_384, 8);
        assert_eq!([18_432, 35_840, 72_704, 144_384].map(of_h200), [1, 2, 4, 8]);
        assert_eq!([5_952, 12_032, 24_125].map(|mib| memory_slices(mib, 24_576, 4)), [1, 2, 4]);
        assert_eq!(memory_slices(1, 0, 8), 8);
    }
}
