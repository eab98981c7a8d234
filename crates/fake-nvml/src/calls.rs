//! What happens at every call: the file is read again, faults that it asks for are carried out, and panics stay inside.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nvml_wrapper_sys::bindings::{
    nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST as GPU_IS_LOST,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_UNINITIALIZED as UNINITIALIZED, nvmlReturn_enum_NVML_ERROR_UNKNOWN as UNKNOWN,
    nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
};

use crate::gpm::Sampled;
use crate::handles::{Device, Handles};
use crate::machine::{Machine, Watched};

/// An NVML error code.
pub(crate) type Code = nvmlReturn_t;

static INITIALISED: AtomicUsize = AtomicUsize::new(0);
static LIBRARY: LazyLock<Mutex<Library>> = LazyLock::new(|| {
    Mutex::new(Library {
        watched: Watched::at(own_path()),
        handles: Handles::default(),
        told: BTreeMap::new(),
        samples: BTreeMap::new(),
        energy: BTreeMap::new(),
    })
});

/// `<the library's own path>.json`.
fn own_path() -> Option<PathBuf> {
    let mut info =
        libc::Dl_info { dli_fname: null(), dli_fbase: null_mut(), dli_sname: null(), dli_saddr: null_mut() };
    #[expect(unsafe_code, reason = "only the linker knows where it took this library from")]
    // SAFETY: the address is one of this library's own, and the place outlives the call.
    let found = unsafe { libc::dladdr((&raw const INITIALISED).cast(), &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    #[expect(unsafe_code, reason = "the linker answers with a C string")]
    // SAFETY: not null, and the linker keeps the name for as long as the library is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    let mut path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
    path.as_mut_os_string().push(".json");
    Some(path)
}

/// Everything that lasts from one call to the next.
#[derive(Debug)]
pub(crate) struct Library {
    watched: Watched,
    pub(crate) handles: Handles,
    /// The last event that each event set was told, by card.
    pub(crate) told: BTreeMap<(usize, String), u64>,
    /// The samples of counters, by handle.
    pub(crate) samples: BTreeMap<usize, Sampled>,
    /// When each card was last asked for its energy, and what it has taken since the first time, in microjoules.
    pub(crate) energy: BTreeMap<String, (Instant, u128)>,
}

fn library() -> MutexGuard<'static, Library> {
    LIBRARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One more user of the library.
pub(crate) fn initialise(symbol: &str) -> Code {
    guarded(symbol, |_, _| {
        INITIALISED.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

/// One less.
pub(crate) fn shut_down() -> Code {
    let less = |count: usize| count.checked_sub(1);
    match INITIALISED.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
        Ok(_) => SUCCESS,
        Err(_) => UNINITIALIZED,
    }
}

/// A call about the machine as a whole.
pub(crate) fn asked(symbol: &str, answer: impl FnOnce(&mut Library, &Machine) -> Result<(), Code>) -> Code {
    if INITIALISED.load(Ordering::SeqCst) == 0 {
        return UNINITIALIZED;
    }
    guarded(symbol, answer)
}

/// A call about one device.
pub(crate) fn asked_of(
    symbol: &str,
    handle: usize,
    answer: impl FnOnce(&mut Library, Device<'_>) -> Result<(), Code>,
) -> Code {
    let mut pause = None;
    let code = asked(symbol, |library, machine| {
        let device = library.handles.find(handle, machine).ok_or(INVALID_ARGUMENT)?;
        pause = device.gpu.sleep_ms.get(symbol).copied();
        if device.gpu.lost {
            return Err(GPU_IS_LOST);
        }
        match device.gpu.errors.get(symbol) {
            Some(code) => Err(*code),
            None => answer(library, device),
        }
    });
    sleep(pause);
    code
}

fn guarded(symbol: &str, answer: impl FnOnce(&mut Library, &Machine) -> Result<(), Code>) -> Code {
    let machine = library().watched.now().clone();
    // Not while the library is locked: other threads' calls go on.
    sleep(machine.sleep_ms.get(symbol).copied());
    if let Some(code) = machine.errors.get(symbol) {
        return *code;
    }
    match catch_unwind(AssertUnwindSafe(|| answer(&mut library(), &machine))) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    }
}

fn sleep(millis: Option<u64>) {
    if let Some(millis) = millis {
        std::thread::sleep(Duration::from_millis(millis));
    }
}
