//! The settings of `ds01-runtime`: a small file that only root can write, beside the program or in `/etc/ds01`.
//!
//! Nothing is taken from the environment or the caller's path: both belong to whoever called.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files;

/// Where the settings are when there are none beside the program.
const SYSTEM_FILE: &str = "/etc/ds01/runtime.json";

/// The largest settings file that is read, in bytes.
const SETTINGS_BYTES_MAX: u64 = 64 * 1024;

/// What an administrator can set; every key has a default.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The hinge's socket.
    pub(crate) socket: PathBuf,
    /// The directory of receipts.
    pub(crate) receipts: PathBuf,
    /// The name of the runtime to which everything but `create` is handed.
    pub(crate) runtime: String,
    /// Where the runtimes are, by name. Those that are not named here are looked for in the usual places.
    pub(crate) runtimes: BTreeMap<String, PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/ds01/hinge.sock"),
            receipts: PathBuf::from("/run/ds01/receipts"),
            runtime: "runc".to_owned(),
            runtimes: BTreeMap::new(),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the settings of ds01-runtime in {path} cannot be read ({source})")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the settings of ds01-runtime in {path} must belong to root and be writable by nobody else")]
    Unsafe { path: PathBuf },
    #[error("the settings of ds01-runtime in {path} are not valid ({source})")]
    Json { path: PathBuf, source: serde_json::Error },
}

impl Settings {
    /// Reads the file beside the program, else the system's; without either, the defaults.
    pub(crate) fn load() -> Result<Self, SettingsError> {
        let beside = std::env::current_exe().map(|mut path| {
            path.as_mut_os_string().push(".json");
            path
        });
        for path in beside.into_iter().chain([PathBuf::from(SYSTEM_FILE)]) {
            if let Some(settings) = Self::read(&path)? {
                return Ok(settings);
            }
        }
        Ok(Self::default())
    }

    fn read(path: &Path) -> Result<Option<Self>, SettingsError> {
        let io = |source| SettingsError::Io { path: path.to_owned(), source };
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        if !files::only_root_writes(&file.metadata().map_err(io)?) {
            return Err(SettingsError::Unsafe { path: path.to_owned() });
        }
        let mut text = Vec::new();
        file.take(SETTINGS_BYTES_MAX).read_to_end(&mut text).map_err(io)?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| SettingsError::Json { path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_read_and_unknown_keys_are_not() {
        let manual = include_str!("../../../docs/admin/install.md");
        let documented = manual.lines().find(|line| line.starts_with(r#"{"socket""#)).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(documented).unwrap(), Settings::default());
        let settings: Settings = serde_json::from_str(r#"{"runtimes":{"runc":"/opt/runc"}}"#).unwrap();
        assert_eq!(settings.runtimes["runc"], Path::new("/opt/runc"));
        assert!(serde_json::from_str::<Settings>(r#"{"sokcet":"/x"}"#).is_err());
    }
}
