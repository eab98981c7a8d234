//! What kind of Engine it is: what it says of itself once, and what follows for every request to it.

use ds01_docker::version::ApiVersion;
use serde_json::Value;

use super::{Engine, EngineError};

/// Who makes the control groups of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupDriver {
    /// The runtime itself: a group is a path.
    Cgroupfs,
    /// systemd, which wants to be asked for everything: a group is a slice.
    Systemd,
}

/// What the Engine is, for as long as it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// Its own API version.
    pub api: ApiVersion,
    /// Who makes its control groups.
    pub cgroup_driver: CgroupDriver,
}

impl Engine {
    /// Asks the Engine what it is.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn facts(&self) -> Result<EngineFacts, EngineError> {
        let (version, info) = tokio::try_join!(self.version(), self.info())?;
        let api = version.get("ApiVersion").and_then(Value::as_str).and_then(ApiVersion::parse);
        let driver = info.get("CgroupDriver").and_then(Value::as_str);
        Ok(EngineFacts {
            api: api.unwrap_or(ApiVersion::OLDEST),
            cgroup_driver: match driver {
                Some("systemd") => CgroupDriver::Systemd,
                _ => CgroupDriver::Cgroupfs,
            },
        })
    }
}
