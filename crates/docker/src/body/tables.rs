//! Answers for: naming all tables of bodies, so that one page can tell them and one test can hold what is sent against
//! them.
//!
//! Must never: be shorter than what the judges use; `tests/complete.rs` looks.

use super::commit::COMMIT;
use super::create::table as create;
use super::endpoint::{ENDPOINT, ENDPOINT_IPAM};
use super::exec::{EXEC, EXEC_START};
use super::fields::HEALTH;
use super::load::SAVED_IMAGE;
use super::login::LOGIN;
use super::network::{CONNECT, DISCONNECT, IPAM, NETWORK};
use super::table::Table;
use super::update::UPDATE;
use super::volume::VOLUME;

/// One table: the operation, the object within its body (empty: the body itself), and the rows.
pub(crate) struct Named {
    pub(crate) operation: &'static str,
    pub(crate) object: &'static str,
    pub(crate) rows: Table,
}

const fn named(operation: &'static str, object: &'static str, rows: Table) -> Named {
    Named { operation, object, rows }
}

const CREATE: &str = "POST /containers/create";

/// Every table, the objects of a body behind it.
pub(crate) const ALL: &[Named] = &[
    named(CREATE, "", create::CREATE),
    named(CREATE, "HostConfig", create::HOST),
    named(CREATE, "HostConfig.LogConfig", create::LOG),
    named(CREATE, "HostConfig.RestartPolicy", create::RESTART),
    named(CREATE, "HostConfig.Mounts[]", create::MOUNT),
    named(CREATE, "HostConfig.Mounts[].BindOptions", create::BIND_OPTIONS),
    named(CREATE, "HostConfig.Mounts[].VolumeOptions", create::VOLUME_OPTIONS),
    named(CREATE, "HostConfig.Mounts[].VolumeOptions.DriverConfig", create::DRIVER_CONFIG),
    named(CREATE, "HostConfig.Mounts[].TmpfsOptions", create::TMPFS_OPTIONS),
    named(CREATE, "HostConfig.Mounts[].ImageOptions", create::IMAGE_OPTIONS),
    named(CREATE, "Healthcheck", HEALTH),
    named(CREATE, "NetworkingConfig", create::NETWORKING),
    named(CREATE, "NetworkingConfig.EndpointsConfig[]", ENDPOINT),
    named(CREATE, "NetworkingConfig.EndpointsConfig[].IPAMConfig", ENDPOINT_IPAM),
    named("POST /containers/{container}/update", "", UPDATE),
    named("POST /containers/{container}/update", "RestartPolicy", create::RESTART),
    named("POST /containers/{container}/exec", "", EXEC),
    named("POST /exec/{exec}/start", "", EXEC_START),
    named("POST /commit", "", COMMIT),
    named("POST /commit", "Healthcheck", HEALTH),
    named("POST /networks/create", "", NETWORK),
    named("POST /networks/create", "IPAM", IPAM),
    named("POST /networks/{network}/connect", "", CONNECT),
    named("POST /networks/{network}/connect", "EndpointConfig", ENDPOINT),
    named("POST /networks/{network}/connect", "EndpointConfig.IPAMConfig", ENDPOINT_IPAM),
    named("POST /networks/{network}/disconnect", "", DISCONNECT),
    named("POST /volumes/create", "", VOLUME),
    named("POST /auth", "", LOGIN),
    named("POST /images/load", "manifest.json[]", SAVED_IMAGE),
];
