//! The stage: `<run>/binds/<token>/<slot>`, where pinned sources are attached for the Engine.
//!
//! It answers for what is mounted there: no set-user-id, no devices, owners translated, reachable by root alone. A
//! mount stays until its container is removed. It must never remove anything below a mount: it detaches, and then
//! removes the empty place. It keeps no list of its own: what is staged is what the kernel says.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ds01_domain::Token;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::Mode;

use super::userns::UserNamespaces;
use super::{IdMap, Kind, Pinned};
use crate::sys;

/// The stage's directory under the run directory.
const BINDS: &str = "binds";
/// A mount on top of a mount on top of …: nobody makes that many, so stop there.
const STACKED_MAX: usize = 64;

/// Why something could not be staged, or taken off the stage.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The file system (or a mount that is translated already) cannot translate owners.
    #[error("{} is on {file_system}, which cannot translate owners", path.display())]
    CannotIdmap {
        /// The caller's path.
        path: PathBuf,
        /// The name of the file system.
        file_system: &'static str,
    },
    /// It is somebody else's and would be writable for a container that has `CAP_CHOWN`: see [`Pinned::is_foreign`].
    #[error(
        "{} belongs to somebody else; bind it read-only, or run the container without the capability CHOWN",
        .0.display()
    )]
    Foreign(PathBuf),
    /// Something is staged in this slot already.
    #[error("{} is in use", .0.display())]
    Occupied(PathBuf),
    /// The stage's directory is not root's alone.
    #[error("{} must be a directory of root's with mode 0700", .0.display())]
    Unsafe(PathBuf),
    /// The user namespace that carries the translation could not be made.
    #[error("cannot make the translation of owners")]
    Namespace(#[source] io::Error),
    /// A step of staging failed.
    #[error("cannot {step} {}", path.display())]
    Step {
        /// Which step.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

/// One slot on the stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Staged {
    /// The create that it belongs to.
    pub token: Token,
    /// Which of its binds.
    pub slot: u32,
    /// Whether something is mounted there; after a reboot nothing is, until it is staged again.
    pub mounted: bool,
}

/// Where bind sources are attached for the Engine.
#[derive(Debug)]
pub struct Stage {
    root: PathBuf,
    namespaces: UserNamespaces,
}

impl Stage {
    /// The stage under the run directory, made if it is not there.
    ///
    /// # Errors
    /// [`StageError::Unsafe`] where it is there and not root's alone; [`StageError::Step`] where it cannot be made.
    pub fn open(run: &Path) -> Result<Self, StageError> {
        let root = run.join(BINDS);
        match DirBuilder::new().mode(0o700).create(&root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StageError::Step { step: "make", path: root, source: error });
            }
            _ => {}
        }
        let found = fs::symlink_metadata(&root).map_err(|source| step("look at", &root, source))?;
        if !found.is_dir() || found.uid() != 0 || found.mode() & 0o077 != 0 {
            return Err(StageError::Unsafe(root));
        }
        Ok(Self { root, namespaces: UserNamespaces::default() })
    }

    /// The path that a slot has, staged or not: what the Engine is given at create.
    #[must_use]
    pub fn path(&self, token: &Token, slot: u32) -> PathBuf {
        self.root.join(token.to_string()).join(slot.to_string())
    }

    /// Attaches what was pinned in the slot, and returns the slot's path.
    ///
    /// `read_only` adds to what the source demands itself. The door's socket is never translated.
    ///
    /// # Errors
    /// [`StageError::CannotIdmap`] where owners cannot be translated (nothing is mounted then);
    /// [`StageError::Foreign`] where it would be writable and is not the caller's;
    /// [`StageError::Occupied`] where something is there; the rest where the system fails.
    pub fn mount(
        &self,
        token: &Token,
        slot: u32,
        pinned: &Pinned,
        map: &IdMap,
        read_only: bool,
    ) -> Result<PathBuf, StageError> {
        let path = self.path(token, slot);
        let read_only = read_only || pinned.read_only();
        if pinned.gives_away() && !read_only && !map.is_same() {
            return Err(StageError::Foreign(pinned.path().to_owned()));
        }
        let mount = self.prepared(pinned, map, read_only)?;
        let place = make_place(&path, pinned.kind())?;
        let attached = sys::attach_mount(mount.as_fd(), place.as_fd());
        drop(place);
        if let Err(source) = attached {
            // Nothing is mounted, so what is left is the empty place.
            let _ = remove_place(&path);
            let _ = path.parent().map(fs::remove_dir);
            return Err(step("attach", &path, source));
        }
        Ok(path)
    }

    /// A detached mount with everything set; dropping it undoes it.
    fn prepared(&self, pinned: &Pinned, map: &IdMap, read_only: bool) -> Result<OwnedFd, StageError> {
        let path = pinned.path();
        let mount = sys::clone_mount(pinned.fd.as_fd()).map_err(|source| step("clone", path, source))?;
        if pinned.kind() != Kind::Door && !map.is_same() {
            let namespace = self.namespaces.carrying(map).map_err(StageError::Namespace)?;
            sys::idmap_mount(mount.as_fd(), namespace.as_fd()).map_err(|source| {
                match source.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EINVAL | Errno::EPERM | Errno::EOPNOTSUPP) => {
                        StageError::CannotIdmap { path: path.to_owned(), file_system: pinned.file_system() }
                    }
                    _ => step("translate the owners of", path, source),
                }
            })?;
        }
        sys::harden_mount(mount.as_fd(), read_only).map_err(|source| step("harden", path, source))?;
        Ok(mount)
    }

    /// Takes everything of one create off the stage. Containers that run keep what they have.
    ///
    /// Nothing staged is no error. Every slot is tried, whatever happens to the others.
    ///
    /// # Errors
    /// The first failure.
    pub fn unmount(&self, token: &Token) -> Result<(), StageError> {
        let directory = self.root.join(token.to_string());
        let mut result = Ok(());
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(step("list", &directory, source)),
        };
        for entry in entries {
            let cleared = entry.map_err(|source| step("list", &directory, source)).and_then(|entry| {
                let path = entry.path();
                detach(&path)
                    .and_then(|()| remove_place(&path))
                    .map_err(|source| step("clear", &path, source))
            });
            result = result.and(cleared);
        }
        match fs::remove_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                result.and(Err(step("remove", &directory, error)))
            }
            _ => result,
        }
    }

    /// Whether something is mounted in the slot.
    #[must_use]
    pub fn is_mounted(&self, token: &Token, slot: u32) -> bool {
        is_mounted(&self.path(token, slot))
    }

    /// Whether what is mounted in the slot has been removed since: it shows nobody anything, and cannot be mounted on.
    #[must_use]
    pub fn is_gone(&self, token: &Token, slot: u32) -> bool {
        standing(&self.path(token, slot)).is_ok_and(|standing| standing.mount_root && standing.removed)
    }

    /// All slots there are, sorted, for recovery. Names that are not ours are passed over.
    ///
    /// # Errors
    /// [`StageError::Step`] where the stage cannot be read.
    pub fn list(&self) -> Result<Vec<Staged>, StageError> {
        let mut staged = Vec::new();
        for token in self.tokens()? {
            let directory = self.root.join(token.to_string());
            let slots = fs::read_dir(&directory).map_err(|source| step("list", &directory, source))?;
            for slot in slots {
                let slot = slot.map_err(|source| step("list", &directory, source))?;
                let Some(number) = slot.file_name().to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                staged.push(Staged { token: token.clone(), slot: number, mounted: is_mounted(&slot.path()) });
            }
        }
        staged.sort();
        Ok(staged)
    }

    /// Takes everything off the stage.
    ///
    /// # Errors
    /// The first failure; the rest is tried nevertheless.
    pub fn clear(&self) -> Result<(), StageError> {
        self.tokens()?.iter().map(|token| self.unmount(token)).fold(Ok(()), Result::and)
    }

    /// The creates that have a place on the stage, with or without slots.
    ///
    /// # Errors
    /// [`StageError::Step`] where the stage cannot be read.
    pub fn tokens(&self) -> Result<Vec<Token>, StageError> {
        let entries = fs::read_dir(&self.root).map_err(|source| step("list", &self.root, source))?;
        let mut tokens = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| step("list", &self.root, source))?;
            tokens.extend(entry.file_name().to_str().and_then(Token::new));
        }
        Ok(tokens)
    }
}

fn step(step: &'static str, path: &Path, source: io::Error) -> StageError {
    StageError::Step { step, path: path.to_owned(), source }
}

/// Makes the empty directory or file that the mount is put on, and opens it.
fn make_place(path: &Path, kind: Kind) -> Result<OwnedFd, StageError> {
    let made = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let made = match kind {
            Kind::Directory => DirBuilder::new().mode(0o700).create(path),
            Kind::File | Kind::Door => {
                File::options().write(true).create_new(true).mode(0o600).open(path).map(drop)
            }
        };
        match made {
            // Left from a mount that a reboot took away: it is made anew, as it may be of the other kind.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_mounted(path) => {
                remove_place(path)?;
                match kind {
                    Kind::Directory => DirBuilder::new().mode(0o700).create(path),
                    Kind::File | Kind::Door => {
                        File::options().write(true).create_new(true).mode(0o600).open(path).map(drop)
                    }
                }
            }
            made => made,
        }
    };
    made().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => StageError::Occupied(path.to_owned()),
        _ => step("make", path, source),
    })?;
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())
        .map_err(|source| step("open", path, source.into()))
}

/// Removes the empty place; a place that is mounted on, or is not empty, stays and is an error.
fn remove_place(path: &Path) -> io::Result<()> {
    let removed = fs::symlink_metadata(path)
        .and_then(|found| if found.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) });
    match removed {
        // A removal and the look that follows it clear the same place; whoever is second has nothing to do.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Detaches everything that is mounted on `path`.
fn detach(path: &Path) -> io::Result<()> {
    for _ in 0..STACKED_MAX {
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(Errno::EINTR) => {}
            // Not a mount (any more).
            Err(Errno::EINVAL | Errno::ENOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("too many mounts on one place"))
}

fn is_mounted(path: &Path) -> bool {
    standing(path).is_ok_and(|standing| standing.mount_root)
}

fn standing(path: &Path) -> nix::Result<sys::Standing> {
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())
        .and_then(|fd| sys::standing(fd.as_fd()).map_err(|_| Errno::EIO))
}
