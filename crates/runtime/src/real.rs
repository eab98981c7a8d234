//! The real runtimes: where they are, whether they can be trusted, and becoming one.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files;
use crate::settings::Settings;

/// The programs behind the names that are known without settings.
const KNOWN: &[(&str, &str)] = &[("runc", "runc"), ("nvidia", "nvidia-container-runtime")];
/// Where they are looked for, in this order. Never the caller's path.
const PLACES: &[&str] = &["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// Why a real runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RealError {
    #[error("the settings of ds01-runtime name no runtime {0:?}")]
    Unnamed(String),
    #[error("the runtime {name:?} is not installed in {places}")]
    NotFound { name: String, places: String },
    #[error("the runtime {path} cannot be used ({source})")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the runtime {path} cannot be used, because others than root can write {step}")]
    Unsafe { path: PathBuf, step: PathBuf },
}

/// A runtime that was found and may be trusted.
#[derive(Debug)]
pub(crate) struct Real {
    /// As it was named; a program of many names reads its own from here.
    named: PathBuf,
    /// The file itself.
    file: PathBuf,
}

/// Finds the runtime of this name.
pub(crate) fn find(settings: &Settings, name: &str) -> Result<Real, RealError> {
    let named = match settings.runtimes.get(name) {
        Some(path) => path.clone(),
        None => search(name)?,
    };
    let io = |source| RealError::Io { path: named.clone(), source };
    let file = std::fs::canonicalize(&named).map_err(io)?;
    match files::unsafe_step(&file).map_err(io)? {
        Some(step) => Err(RealError::Unsafe { path: named, step }),
        None => Ok(Real { named, file }),
    }
}

fn search(name: &str) -> Result<PathBuf, RealError> {
    let Some((_, program)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        return Err(RealError::Unnamed(name.to_owned()));
    };
    PLACES
        .iter()
        .map(|place| Path::new(place).join(program))
        .find(|path| path.exists())
        .ok_or_else(|| RealError::NotFound { name: name.to_owned(), places: PLACES.join(", ") })
}

impl Real {
    /// Turns this process into the runtime; returns only when that fails.
    pub(crate) fn become_it(self, args: &[OsString]) -> Result<Infallible, RealError> {
        let source = Command::new(&self.file).arg0(&self.named).args(args).exec();
        Err(RealError::Io { path: self.named, source })
    }
}
