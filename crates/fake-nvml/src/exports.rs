//! The functions by their C names. Each only says what it answers; how calls fail is in [`crate::calls`].
//!
//! Every pointer comes from a caller that keeps NVML's contract: it is null or has room for what is written.
#![expect(unsafe_code, reason = "a C library's face")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::time::Instant;

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlDeviceAttributes_t, nvmlEventData_t, nvmlEventSet_t, nvmlMemory_v2_t, nvmlPciInfo_t,
    nvmlProcessInfo_t, nvmlProcessUtilizationSample_t,
    nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE as INSUFFICIENT_SIZE,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_NOT_FOUND as NOT_FOUND,
    nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED as NOT_SUPPORTED, nvmlReturn_enum_NVML_ERROR_TIMEOUT as TIMEOUT,
    nvmlUtilization_t,
};

use crate::calls::{self, Code};
use crate::handles::{self, Device};
use crate::machine::{MigDevice, Process};

/// `nvmlEventTypeXidCriticalError`.
const XID_EVENT: c_ulonglong = 8;
/// `NVML_VALUE_NOT_AVAILABLE` as an instance id: the process or event belongs to the whole card.
const NO_INSTANCE: c_uint = 0xFFFF_FFFF;
/// `NVML_VALUE_NOT_AVAILABLE` as an amount of memory.
const NOT_AVAILABLE: c_ulonglong = c_ulonglong::MAX;
const MIB: u64 = 1024 * 1024;

pub(crate) fn key(handle: nvmlDevice_t) -> usize {
    handle.addr()
}

/// Writes one value.
pub(crate) fn put<T>(place: *mut T, value: T) -> Result<(), Code> {
    if place.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller gives room for one value (module comment).
    unsafe { place.write_unaligned(value) };
    Ok(())
}

/// Writes as many values as there is room for; without room, how many there are.
fn put_all<T>(
    place: *mut T,
    count: *mut c_uint,
    values: impl ExactSizeIterator<Item = T>,
) -> Result<(), Code> {
    let there = c_uint::try_from(values.len()).unwrap_or(c_uint::MAX);
    if count.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller gives room for one number (module comment).
    let room = unsafe { count.read_unaligned() };
    put(count, there)?;
    if place.is_null() || room < there {
        return Err(INSUFFICIENT_SIZE);
    }
    for (offset, value) in values.enumerate() {
        // SAFETY: the caller gives room for `room` values, and there are no more.
        unsafe { place.add(offset).write_unaligned(value) };
    }
    Ok(())
}

/// Writes a text and its end.
fn put_text(place: *mut c_char, length: c_uint, text: &str) -> Result<(), Code> {
    let room = usize::try_from(length).unwrap_or(0);
    if place.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    if text.len() >= room {
        return Err(INSUFFICIENT_SIZE);
    }
    for (offset, byte) in text.bytes().chain([0]).enumerate() {
        // SAFETY: the caller gives `length` bytes of room, and the text with its end is not longer.
        unsafe { place.add(offset).write(byte.cast_signed()) };
    }
    Ok(())
}

/// Reads a text that the caller gives.
fn text(place: *const c_char) -> Result<String, Code> {
    if place.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller ends it with a zero byte (module comment).
    Ok(unsafe { CStr::from_ptr(place) }.to_string_lossy().into_owned())
}

pub(crate) fn whole(device: Device<'_>) -> Result<(), Code> {
    if device.mig.is_some() { Err(INVALID_ARGUMENT) } else { Ok(()) }
}

fn slice(device: Device<'_>) -> Result<&MigDevice, Code> {
    device.mig.ok_or(INVALID_ARGUMENT)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlInit_v2() -> Code {
    calls::initialise("nvmlInit_v2")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> Code {
    calls::initialise("nvmlInitWithFlags")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlShutdown() -> Code {
    calls::shut_down()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlErrorString(_code: Code) -> *const c_char {
    c"an error of the fake library".as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> Code {
    calls::asked("nvmlSystemGetDriverVersion", |_, machine| put_text(version, length, &machine.driver))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetNVMLVersion(version: *mut c_char, length: c_uint) -> Code {
    calls::asked("nvmlSystemGetNVMLVersion", |_, machine| {
        put_text(version, length, &format!("13.{}", machine.driver))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) -> Code {
    calls::asked("nvmlSystemGetCudaDriverVersion_v2", |_, _| put(version, 13_000))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> Code {
    calls::asked("nvmlDeviceGetCount_v2", |_, machine| {
        put(count, c_uint::try_from(machine.gpus.len()).unwrap_or(c_uint::MAX))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut nvmlDevice_t) -> Code {
    calls::asked("nvmlDeviceGetHandleByIndex_v2", |library, machine| {
        let place = usize::try_from(index).map_err(|_| INVALID_ARGUMENT)?;
        let gpu = machine.gpus.get(place).ok_or(INVALID_ARGUMENT)?;
        put(device, std::ptr::without_provenance_mut(library.handles.of(&gpu.uuid)))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut nvmlDevice_t) -> Code {
    calls::asked("nvmlDeviceGetHandleByUUID", |library, machine| {
        let uuid = text(uuid)?;
        handles::by_uuid(machine, &uuid).ok_or(NOT_FOUND)?;
        put(device, std::ptr::without_provenance_mut(library.handles.of(&uuid)))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetName(device: nvmlDevice_t, name: *mut c_char, length: c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetName", key(device), |_, device| {
        let whole = &device.gpu.name;
        match device.mig {
            Some(mig) => put_text(name, length, &format!("{whole} MIG {}", mig.profile)),
            None => put_text(name, length, whole),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUUID(device: nvmlDevice_t, uuid: *mut c_char, length: c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetUUID", key(device), |_, device| {
        put_text(uuid, length, device.mig.map_or(&device.gpu.uuid, |mig| &mig.uuid))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetIndex(device: nvmlDevice_t, index: *mut c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetIndex", key(device), |_, device| {
        whole(device)?;
        put(index, c_uint::try_from(device.index).unwrap_or(c_uint::MAX))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMinorNumber(device: nvmlDevice_t, minor: *mut c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetMinorNumber", key(device), |_, device| put(minor, device.gpu.minor))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(device: nvmlDevice_t, pci: *mut nvmlPciInfo_t) -> Code {
    calls::asked_of("nvmlDeviceGetPciInfo_v3", key(device), |_, device| {
        let id = device.gpu.pci.as_deref().ok_or(NOT_SUPPORTED)?;
        let mut info = nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: 0,
            bus: 0,
            device: 0,
            pciDeviceId: 0,
            pciSubSystemId: 0,
            busId: [0; 32],
        };
        for (place, byte) in info.busId.iter_mut().zip(id.bytes().take(31)) {
            *place = byte.cast_signed();
        }
        put(pci, info)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: nvmlDevice_t, memory: *mut nvmlMemory_v2_t) -> Code {
    calls::asked_of("nvmlDeviceGetMemoryInfo_v2", key(device), |_, device| {
        let total = device.mig.map_or(device.gpu.memory_mib, |mig| mig.memory_mib);
        let used: u64 = processes(device).filter_map(|process| process.memory_mib).sum();
        let free = total.saturating_sub(used);
        let version = 0x0200_0028;
        put(
            memory,
            nvmlMemory_v2_t { version, total: total * MIB, reserved: 0, free: free * MIB, used: used * MIB },
        )
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: nvmlDevice_t,
    utilization: *mut nvmlUtilization_t,
) -> Code {
    calls::asked_of("nvmlDeviceGetUtilizationRates", key(device), |_, device| {
        // As the real one: not of a card in MIG mode, and not of its devices.
        if device.gpu.mig.is_some() {
            return Err(NOT_SUPPORTED);
        }
        put(utilization, nvmlUtilization_t { gpu: device.gpu.utilization, memory: 0 })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetProcessUtilization(
    device: nvmlDevice_t,
    samples: *mut nvmlProcessUtilizationSample_t,
    count: *mut c_uint,
    _since: c_ulonglong,
) -> Code {
    calls::asked_of("nvmlDeviceGetProcessUtilization", key(device), |_, device| {
        if device.gpu.mig.is_some() {
            return Err(NOT_SUPPORTED);
        }
        let busy: Vec<&Process> = processes(device).filter(|process| process.busy > 0).collect();
        if busy.is_empty() {
            return Err(NOT_FOUND);
        }
        let sample = |process: &&Process| nvmlProcessUtilizationSample_t {
            pid: process.pid,
            timeStamp: 1,
            smUtil: process.busy,
            memUtil: 0,
            encUtil: 0,
            decUtil: 0,
        };
        put_all(samples, count, busy.iter().map(sample))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: nvmlDevice_t,
    kind: c_uint,
    _counter: c_uint,
    count: *mut c_ulonglong,
) -> Code {
    calls::asked_of("nvmlDeviceGetTotalEccErrors", key(device), |_, device| {
        whole(device)?;
        // NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        put(count, if kind == 1 { device.gpu.uncorrected } else { 0 })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPowerUsage(device: nvmlDevice_t, power: *mut c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetPowerUsage", key(device), |_, device| {
        whole(device)?;
        put(power, device.gpu.power_mw)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetEnforcedPowerLimit(device: nvmlDevice_t, limit: *mut c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetEnforcedPowerLimit", key(device), |_, device| {
        whole(device)?;
        put(limit, device.gpu.power_limit_mw.ok_or(NOT_SUPPORTED)?)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTotalEnergyConsumption(
    device: nvmlDevice_t,
    energy: *mut c_ulonglong,
) -> Code {
    calls::asked_of("nvmlDeviceGetTotalEnergyConsumption", key(device), |library, device| {
        whole(device)?;
        let now = Instant::now();
        let (asked, taken) = library.energy.entry(device.gpu.uuid.clone()).or_insert((now, 0));
        // Milliwatts over microseconds are nanojoules.
        *taken += u128::from(device.gpu.power_mw) * (now - *asked).as_micros() / 1000;
        *asked = now;
        put(energy, device.gpu.energy_mj + u64::try_from(*taken / 1000).unwrap_or(u64::MAX))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTemperature(
    device: nvmlDevice_t,
    _sensor: c_uint,
    temperature: *mut c_uint,
) -> Code {
    calls::asked_of("nvmlDeviceGetTemperature", key(device), |_, device| {
        whole(device)?;
        put(temperature, device.gpu.temperature)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> Code {
    calls::asked_of("nvmlDeviceGetMigMode", key(device), |_, device| {
        whole(device)?;
        let mode = c_uint::from(device.gpu.mig.is_some());
        put(current, mode)?;
        put(pending, mode)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(device: nvmlDevice_t, count: *mut c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetMaxMigDeviceCount", key(device), |_, device| {
        whole(device)?;
        put(count, device.gpu.mig.as_ref().map_or(0, |mig| mig.slots))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: nvmlDevice_t,
    index: c_uint,
    mig: *mut nvmlDevice_t,
) -> Code {
    calls::asked_of("nvmlDeviceGetMigDeviceHandleByIndex", key(device), |library, device| {
        let cut = device.gpu.mig.as_ref().ok_or(NOT_SUPPORTED)?;
        if index >= cut.slots {
            return Err(INVALID_ARGUMENT);
        }
        let mut slots = (0..).zip(&cut.devices).map(|(place, device)| (device.slot.unwrap_or(place), device));
        let (_, found) = slots.find(|(slot, _)| *slot == index).ok_or(NOT_FOUND)?;
        put(mig, std::ptr::without_provenance_mut(library.handles.of(&found.uuid)))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(
    mig: nvmlDevice_t,
    device: *mut nvmlDevice_t,
) -> Code {
    calls::asked_of("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", key(mig), |library, found| {
        slice(found)?;
        put(device, std::ptr::without_provenance_mut(library.handles.of(&found.gpu.uuid)))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceIsMigDeviceHandle(device: nvmlDevice_t, is_mig: *mut c_uint) -> Code {
    calls::asked_of("nvmlDeviceIsMigDeviceHandle", key(device), |_, device| {
        put(is_mig, c_uint::from(device.mig.is_some()))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGpuInstanceId(device: nvmlDevice_t, id: *mut c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetGpuInstanceId", key(device), |_, device| put(id, slice(device)?.gi))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeInstanceId(device: nvmlDevice_t, id: *mut c_uint) -> Code {
    calls::asked_of("nvmlDeviceGetComputeInstanceId", key(device), |_, device| put(id, slice(device)?.ci))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetAttributes_v2(
    device: nvmlDevice_t,
    attributes: *mut nvmlDeviceAttributes_t,
) -> Code {
    calls::asked_of("nvmlDeviceGetAttributes_v2", key(device), |_, device| {
        let mig = device.mig.ok_or(NOT_SUPPORTED)?;
        let own = mig.own_compute.unwrap_or(mig.compute);
        put(
            attributes,
            nvmlDeviceAttributes_t {
                multiprocessorCount: 14 * own,
                sharedCopyEngineCount: mig.compute,
                sharedDecoderCount: 0,
                sharedEncoderCount: 0,
                sharedJpegCount: 0,
                sharedOfaCount: 0,
                gpuInstanceSliceCount: mig.compute,
                computeInstanceSliceCount: own,
                memorySizeMB: mig.memory_mib,
            },
        )
    })
}

/// Who is on a device. A card in MIG mode tells of all its instances, as it does to root.
fn processes<'m>(device: Device<'m>) -> impl Iterator<Item = &'m Process> {
    device.gpu.processes.iter().filter(move |process| match device.mig {
        Some(mig) => process.gi == Some(mig.gi) && process.ci.unwrap_or(0) == mig.ci,
        None => true,
    })
}

fn put_processes(
    bytes: Option<usize>,
    found: &[&Process],
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> Result<(), Code> {
    if count.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller sets it (module comment).
    let room = unsafe { count.read_unaligned() };
    put(count, c_uint::try_from(found.len()).unwrap_or(c_uint::MAX))?;
    if usize::try_from(room).unwrap_or(0) < found.len() {
        return Err(INSUFFICIENT_SIZE);
    }
    let bytes = bytes.unwrap_or(size_of::<nvmlProcessInfo_t>());
    for (place, process) in found.iter().enumerate() {
        let info = nvmlProcessInfo_t {
            pid: process.pid,
            usedGpuMemory: process.memory_mib.map_or(NOT_AVAILABLE, |memory| memory * MIB),
            gpuInstanceId: process.gi.unwrap_or(NO_INSTANCE),
            computeInstanceId: process.gi.map_or(NO_INSTANCE, |_| process.ci.unwrap_or(0)),
        };
        let at = infos.cast::<c_void>().wrapping_byte_add(place * bytes);
        put(at.cast::<nvmlProcessInfo_t>(), info)?;
    }
    Ok(())
}

fn list(
    symbol: &str,
    device: nvmlDevice_t,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
    which: impl Fn(&Process) -> bool,
) -> Code {
    calls::asked_of(symbol, key(device), |_, device| {
        let found: Vec<&Process> = processes(device).filter(|process| which(process)).collect();
        put_processes(device.machine.process_bytes, &found, count, infos)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> Code {
    list("nvmlDeviceGetComputeRunningProcesses_v3", device, count, infos, |process| !process.graphics)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> Code {
    list("nvmlDeviceGetGraphicsRunningProcesses_v3", device, count, infos, |process| process.graphics)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMPSComputeRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> Code {
    list("nvmlDeviceGetMPSComputeRunningProcesses_v3", device, count, infos, |_| false)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetSupportedEventTypes(device: nvmlDevice_t, types: *mut c_ulonglong) -> Code {
    calls::asked_of("nvmlDeviceGetSupportedEventTypes", key(device), |_, _| put(types, XID_EVENT))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceRegisterEvents(
    device: nvmlDevice_t,
    _types: c_ulonglong,
    set: nvmlEventSet_t,
) -> Code {
    calls::asked_of("nvmlDeviceRegisterEvents", key(device), |library, device| {
        // What happened before is not told.
        let last = device.gpu.events.iter().map(|event| event.number).max().unwrap_or(0);
        library.told.insert((set.addr(), device.gpu.uuid.clone()), last);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetCreate(set: *mut nvmlEventSet_t) -> Code {
    calls::asked("nvmlEventSetCreate", |library, _| {
        let next = library.told.keys().map(|(set, _)| *set).max().unwrap_or(0) + 1;
        put(set, std::ptr::without_provenance_mut(next))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetFree(set: nvmlEventSet_t) -> Code {
    calls::asked("nvmlEventSetFree", |library, _| {
        library.told.retain(|(known, _), _| *known != set.addr());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    data: *mut nvmlEventData_t,
    timeout_ms: c_uint,
) -> Code {
    let deadline = std::time::Instant::now() + std::time::Duration::from_millis(timeout_ms.into());
    loop {
        let mut told = false;
        let code = calls::asked("nvmlEventSetWait_v2", |library, machine| {
            for gpu in &machine.gpus {
                let Some(last) = library.told.get_mut(&(set.addr(), gpu.uuid.clone())) else { continue };
                let Some(event) = gpu.events.iter().find(|event| event.number > *last) else { continue };
                *last = event.number;
                told = true;
                return put(
                    data,
                    nvmlEventData_t {
                        device: std::ptr::without_provenance_mut(library.handles.of(&gpu.uuid)),
                        eventType: XID_EVENT,
                        eventData: event.xid,
                        gpuInstanceId: NO_INSTANCE,
                        computeInstanceId: NO_INSTANCE,
                    },
                );
            }
            Ok(())
        });
        if code != 0 || told {
            return code;
        }
        if std::time::Instant::now() >= deadline {
            return TIMEOUT;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
