//! Bind mounts for containers without a race, where root inside is the caller outside.
//!
//! A user names a path; two steps make it something that may be handed to the Engine:
//!
//! 1. [`pin`] opens it *with the caller's own credentials* beneath a directory that he may bind from, and keeps the
//!    descriptor. What is pinned stays what it was, whatever is renamed or swapped afterwards.
//! 2. [`Stage::mount`] clones what was pinned, takes set-user-id programs and devices out of it, translates its owners
//!    ([`IdMap`]) and attaches it under a path that only root can reach. That path is what the Engine is given.
//!
//! What this cannot do: a process with `CAP_CHOWN` may make a file its own whose owner has no counterpart in the
//! container. Directories of other people are therefore staged writable only for containers without that capability;
//! in the caller's own directories, other people's files are as safe as he, and his containers, leave them.
//!
//! This module must never look at a path as root on a user's behalf, never change the credentials of a thread that
//! others use, and never fall back to a bind in which container root is host root: a file system that cannot
//! translate owners is an error ([`StageError::CannotIdmap`]), and the caller of this module decides what then.

mod caller;
mod filesystem;
mod idmap;
mod path;
mod pin;
mod probe;
mod refusal;
mod repair;
mod stage;
mod subid;
mod userns;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use caller::{CallerFault, as_caller};
pub use idmap::{Extent, IdMap, InvalidContainerUser, SubIds};
pub use pin::{Kind, Pinned, pin};
pub use probe::probe;
pub use refusal::BindRefusal;
pub use repair::{Repair, repair};
pub use stage::{Stage, StageError, Staged};
pub(crate) use subid::subordinate_owner;
pub use subid::{SUBGID, SUBUID, SubIdFault, SubRange};

/// With whose rights a path is opened.
///
/// These are the kernel's numbers as the socket told them, never names; for a caller inside a container they are
/// those of the container's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user id.
    pub uid: u32,
    /// The primary group id.
    pub gid: u32,
    /// The supplementary group ids.
    pub groups: Vec<u32>,
    /// The home directory. Only a directory that belongs to `uid` counts as a home.
    pub home: PathBuf,
}

/// What may be bound, beside the caller's home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindRules {
    /// Directories beneath which everybody may bind what he can reach himself. `/` for an administrator.
    pub roots: Vec<PathBuf>,
    /// Directories beneath which everybody may bind what he can reach himself, always read-only.
    pub shares: Vec<PathBuf>,
    /// Directories of which nothing may be bound, whatever the others say: run and state directories, the Engine's
    /// data root. Compared with the real path of what was opened.
    pub denied: Vec<PathBuf>,
    /// The door's own socket, which may be bound so that a container can speak to DS01 as its owner.
    pub door: Option<Door>,
}

/// The socket that a container may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The paths that mean the door when a user binds them: its own and the one that clients expect
    /// (`/var/run/docker.sock`, `/run/docker.sock`).
    pub names: Vec<PathBuf>,
    /// Where the door's socket really is.
    pub socket: PathBuf,
}

/// What to do when the source of a bind does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Make it as a directory, as the caller: `-v` and `Binds`, and `Mounts` with `CreateMountpoint`.
    Create,
    /// Say so, as the Engine does for `Mounts`.
    Refuse,
}
