//! Images and volumes that people share, and files that they get back.

use serde::{Deserialize, Serialize};

/// What can be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareKind {
    /// An image, by a name of it.
    Image,
    /// A volume, by its name.
    Volume,
}

/// The body of `POST shares`: an image or a volume of one's own is shared, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareRequest {
    /// What it is.
    pub kind: ShareKind,
    /// Its name.
    pub name: String,
    /// Numbers of the users that it is about; `None` is everybody.
    pub users: Option<Vec<u32>>,
    /// Whether a volume may be written to.
    #[serde(default)]
    pub write: bool,
    /// Take it back instead; from `None` it is taken back from whoever had it.
    #[serde(default)]
    pub withdraw: bool,
}

/// Something that is shared with somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What it is.
    pub kind: ShareKind,
    /// Its name.
    pub name: String,
    /// Whose it is; `None` where nobody's.
    pub owner: Option<String>,
    /// With whom it is shared; `None` is everybody.
    pub with: Option<String>,
    /// Whether he may write.
    pub write: bool,
}

/// The answer to `GET shares`, and to `POST shares`: what the caller shares, and what is shared with him.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareList {
    /// One's own that others may use.
    pub given: Vec<Share>,
    /// Others' that one may use.
    pub taken: Vec<Share>,
}

/// The body of `POST repair`: files in one's own subordinate ids become one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairRequest {
    /// Absolute path of the file or directory.
    pub path: String,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer to `POST repair`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Files and directories that were looked at.
    pub seen: u64,
    /// Those that were given back, or would be.
    pub changed: u64,
    /// Those that could not be looked at or changed.
    pub failed: u64,
}
