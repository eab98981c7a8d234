//! A `libnvidia-ml.so.1` driven by a file: tests run the real NVML path, library loading included, without a GPU.
//!
//! It answers for the functions that DS01 asks, as the real library would, and for failing as the real one fails: by
//! function, by card, with any code or by never coming back. It must never be installed under a name that the system's
//! linker finds.

mod calls;
mod exports;
mod gpm;
mod handles;
mod machine;
