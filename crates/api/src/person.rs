//! Who the daemon takes the caller for.

use serde::{Deserialize, Serialize};

/// The answer to `GET whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// The user id that the kernel vouches for.
    pub uid: u32,
    /// The user's name as the system spells it.
    pub name: String,
    /// The same name as it stands in container and image names ([`crate::names::user_part`]).
    pub docker_name: String,
    /// The policy group whose limits hold.
    pub group: String,
    /// The Unix groups, by name.
    pub unix_groups: Vec<String>,
    /// Whether the caller is an admin here.
    pub admin: bool,
    /// Where the call came from.
    pub via: Via,
    /// The person who logged in, where that is another than `name` (behind `sudo`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_name: Option<String>,
}

/// Where a call came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Via {
    /// A process on the host.
    Host,
    /// A process in a container, which acts as the container's owner.
    Container {
        /// The container's name.
        name: String,
    },
}
