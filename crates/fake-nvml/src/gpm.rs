//! The counters of Hopper and later cards (GPM), as far as slices have them: samples of GPU instances, and one metric
//! between two of them.
#![expect(unsafe_code, reason = "a C library's face")]

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlGpmMetricId_t_NVML_GPM_METRIC_GRAPHICS_UTIL as GRAPHICS_UTIL, nvmlGpmMetricsGet_t,
    nvmlGpmSample_t, nvmlGpmSupport_t, nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_NOT_FOUND as NOT_FOUND,
    nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED as NOT_SUPPORTED, nvmlReturn_enum_NVML_SUCCESS as SUCCESS,
};

use crate::calls::{self, Code, Library};
use crate::exports::{key, put, whole};

/// Which GPU instance a sample was taken of, by its card's UUID.
pub(crate) type Sampled = Option<(String, u32)>;

fn sampled(library: &Library, sample: nvmlGpmSample_t) -> Result<(String, u32), Code> {
    library.samples.get(&sample.addr()).cloned().flatten().ok_or(INVALID_ARGUMENT)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpmQueryDeviceSupport(device: nvmlDevice_t, support: *mut nvmlGpmSupport_t) -> Code {
    calls::asked_of("nvmlGpmQueryDeviceSupport", key(device), |_, device| {
        put(support, nvmlGpmSupport_t { version: 1, isSupportedDevice: c_uint::from(device.gpu.gpm) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpmSampleAlloc(sample: *mut nvmlGpmSample_t) -> Code {
    calls::asked("nvmlGpmSampleAlloc", |library, _| {
        let next = library.samples.keys().max().copied().unwrap_or(0) + 1;
        library.samples.insert(next, None);
        put(sample, std::ptr::without_provenance_mut(next))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpmSampleFree(sample: nvmlGpmSample_t) -> Code {
    calls::asked("nvmlGpmSampleFree", |library, _| {
        library.samples.remove(&sample.addr()).map(|_| ()).ok_or(INVALID_ARGUMENT)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpmMigSampleGet(
    device: nvmlDevice_t,
    instance: c_uint,
    sample: nvmlGpmSample_t,
) -> Code {
    calls::asked_of("nvmlGpmMigSampleGet", key(device), |library, device| {
        whole(device)?;
        let mig = device.gpu.mig.as_ref().filter(|_| device.gpu.gpm).ok_or(NOT_SUPPORTED)?;
        mig.devices.iter().find(|slice| slice.gi == instance).ok_or(NOT_FOUND)?;
        let place = library.samples.get_mut(&sample.addr()).ok_or(INVALID_ARGUMENT)?;
        *place = Some((device.gpu.uuid.clone(), instance));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpmMetricsGet(request: *mut nvmlGpmMetricsGet_t) -> Code {
    calls::asked("nvmlGpmMetricsGet", |library, machine| {
        // SAFETY: null, or the caller's own, in which it set everything but the answers.
        let request = unsafe { request.as_mut() }.ok_or(INVALID_ARGUMENT)?;
        let of = sampled(library, request.sample1)?;
        // As the real one: two samples of one instance, the earlier one first.
        if request.version != 1
            || request.sample1.addr() >= request.sample2.addr()
            || of != sampled(library, request.sample2)?
        {
            return Err(INVALID_ARGUMENT);
        }
        let (card, instance) = of;
        let card = machine.gpus.iter().find(|gpu| gpu.uuid == card).ok_or(INVALID_ARGUMENT)?;
        let mut slices = card.mig.iter().flat_map(|mig| &mig.devices);
        let slice = slices.find(|slice| slice.gi == instance).ok_or(INVALID_ARGUMENT)?;
        let count = usize::try_from(request.numMetrics).map_err(|_| INVALID_ARGUMENT)?;
        for metric in request.metrics.get_mut(..count).ok_or(INVALID_ARGUMENT)? {
            (metric.nvmlReturn, metric.value) = match metric.metricId {
                GRAPHICS_UTIL => (SUCCESS, slice.busy),
                _ => (NOT_SUPPORTED, 0.0),
            };
        }
        Ok(())
    })
}
