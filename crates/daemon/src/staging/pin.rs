//! Opening a bind source as the caller, so that the kernel decides what he may bind.
//!
//! It answers for the descriptor in [`Pinned`]: it was reached with the caller's rights, beneath a directory that he
//! may bind from, it is a directory or a regular file (or the door's own socket), and it is on a file system that
//! holds files. It must never open a caller's path with root's rights, and never decide by a path what it could
//! decide by a descriptor.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, mkdirat};

use super::path::{Beneath, RootKind, beneath, clean, denied, roots};
use super::{BindRefusal, BindRules, Credentials, Missing, as_caller, filesystem};

/// How often an open is tried again when something was renamed under it.
const TRIES_MAX: usize = 16;
/// How many directories one bind may make.
const CREATED_MAX: usize = 40;
/// The mode of a directory made for a bind, as the Engine makes it.
const CREATED_MODE: Mode = Mode::from_bits_truncate(0o755);

/// What a pinned source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// The door's own socket: staged as it is, without translation of owners.
    Door,
}

/// A bind source that was opened with the caller's rights. It stays what it is, whatever happens to its path.
#[derive(Debug)]
pub struct Pinned {
    pub(super) fd: OwnedFd,
    kind: Kind,
    path: PathBuf,
    read_only: bool,
    created: bool,
    foreign: bool,
    without_chown: bool,
    file_system: &'static str,
}

impl Pinned {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The path as the caller wrote it, cleaned as the Engine would: what inspect shows him.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it comes from a share, and is staged read-only whatever was asked.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// Whether it was made just now because it was missing.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Whether it belongs to somebody else than the caller.
    ///
    /// The kernel lets a process with `CAP_CHOWN` give an owner to a file whose owner has no counterpart in the
    /// container, so container root could make other people's files the caller's. What is foreign is therefore
    /// staged writable only for a container without that capability ([`Pinned::for_container_without_chown`]).
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// The same, for a container of which the daemon makes sure that no process of it ever has `CAP_CHOWN`
    /// (`CapDrop`, and no privileged exec).
    #[must_use]
    pub fn for_container_without_chown(self) -> Self {
        Self { without_chown: true, ..self }
    }

    /// Whether staging it writable would hand other people's files over.
    pub(super) fn gives_away(&self) -> bool {
        self.foreign && !self.without_chown
    }

    /// The name of its file system.
    #[must_use]
    pub fn file_system(&self) -> &'static str {
        self.file_system
    }
}

/// Opens `path` with the caller's rights beneath what he may bind, and keeps it open.
///
/// Symbolic links are followed as long as where they lead can be bound as well. It blocks (10 s at most), so call it
/// where blocking is allowed.
///
/// # Errors
/// A [`BindRefusal`] that says to the caller what he may do instead.
pub fn pin(
    credentials: &Credentials,
    path: &Path,
    missing: Missing,
    rules: &BindRules,
) -> Result<Pinned, BindRefusal> {
    let cleaned = clean(path).ok_or_else(|| BindRefusal::NotAPath(path.to_owned()))?;
    if let Some(door) = rules.door.as_ref().filter(|door| door.names.contains(&cleaned)) {
        return pin_door(cleaned, &door.socket);
    }
    let mut rules = rules.clone();
    // What is opened is compared by its real path, so the denied directories need theirs (`/var/run` is `/run`).
    let real: Vec<_> = rules.denied.iter().filter_map(|denied| denied.canonicalize().ok()).collect();
    rules.denied.extend(real);
    let request = Request { credentials: credentials.clone(), path: cleaned.clone(), missing, rules };
    as_caller(credentials, move || request.open())
        .unwrap_or_else(|fault| Err(BindRefusal::NoAnswer { path: cleaned, fault }))
}

/// The door's socket is the daemon's own, so the daemon opens it as itself.
fn pin_door(path: PathBuf, socket: &Path) -> Result<Pinned, BindRefusal> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW);
    let fd = openat2(AT_FDCWD, socket, how).map_err(|_| BindRefusal::NoDoor(path.clone()))?;
    let found = File::from(fd);
    let is_socket = found.metadata().is_ok_and(|meta| file_type(meta.mode()) == SFlag::S_IFSOCK);
    if !is_socket {
        return Err(BindRefusal::NoDoor(path));
    }
    let fd = OwnedFd::from(found);
    Ok(Pinned {
        fd,
        kind: Kind::Door,
        path,
        read_only: false,
        created: false,
        foreign: false,
        without_chown: false,
        file_system: "socket",
    })
}

/// One source to be opened. All its methods run on the thread that has the caller's rights.
struct Request {
    credentials: Credentials,
    /// Cleaned.
    path: PathBuf,
    missing: Missing,
    rules: BindRules,
}

impl Request {
    fn open(mut self) -> Result<Pinned, BindRefusal> {
        let (start, root) = self.root()?;
        let (fd, share, created) = match open_beneath(root.as_fd(), &start.rest, ResolveFlag::empty()) {
            Ok(fd) => (fd, start.kind == RootKind::Share, false),
            Err(Errno::ENOENT) if self.missing == Missing::Create && start.kind != RootKind::Share => {
                (self.create(root.as_fd(), &start.rest)?, false, true)
            }
            Err(Errno::EXDEV) => {
                let (fd, kind) = self.follow_out(&start.root)?;
                (fd, kind == RootKind::Share, false)
            }
            Err(error) => return Err(self.refusal(error)),
        };
        self.judge(fd, share, created)
    }

    /// The directory beneath which the path must lie, opened.
    ///
    /// A home that is not the caller's (`/`, `/bin`, `/nonexistent`: the homes of system users) opens nothing.
    fn root(&mut self) -> Result<(Beneath, OwnedFd), BindRefusal> {
        loop {
            let Some(start) = beneath(&self.path, &self.credentials, &self.rules) else {
                return Err(self.outside());
            };
            let how = OpenHow::new()
                .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY)
                .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
            let opened = openat2(AT_FDCWD, &start.root, how);
            if start.kind == RootKind::Home && !opened.as_ref().is_ok_and(|fd| self.owns(fd)) {
                self.credentials.home = PathBuf::new();
                continue;
            }
            return Ok((start, opened.map_err(|error| self.refusal(error))?));
        }
    }

    fn owns(&self, fd: &OwnedFd) -> bool {
        nix::sys::stat::fstat(fd).is_ok_and(|found| found.st_uid == self.credentials.uid)
    }

    /// Something on the way leads out of the root, an absolute link most likely. It may lead to a place that can be
    /// bound: open that place anew by its real path, this time following no link at all.
    fn follow_out(&self, root: &Path) -> Result<(OwnedFd, RootKind), BindRefusal> {
        let leaves = || BindRefusal::LinkLeaves { path: self.path.clone(), root: root.to_owned() };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let led_to = openat2(AT_FDCWD, &self.path, how).map_err(|_| leaves())?;
        let real = real_path(led_to.as_fd()).map_err(|_| leaves())?;
        let (start, root) = self.at(&real).ok_or_else(leaves)?;
        let fd = open_beneath(root.as_fd(), &start.rest, ResolveFlag::RESOLVE_NO_SYMLINKS)
            .map_err(|_| leaves())?;
        Ok((fd, start.kind))
    }

    /// As [`Request::root`], for a real path: the roots are compared by their real paths as well.
    fn at(&self, real: &Path) -> Option<(Beneath, OwnedFd)> {
        let mut best: Option<(Beneath, OwnedFd)> = None;
        for (root, kind) in roots(&self.credentials, &self.rules) {
            let how = OpenHow::new()
                .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY)
                .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
            let Ok(fd) = openat2(AT_FDCWD, root, how) else { continue };
            let Ok(root) = real_path(fd.as_fd()) else { continue };
            let Ok(rest) = real.strip_prefix(&root) else { continue };
            let rest = if rest.as_os_str().is_empty() { PathBuf::from(".") } else { rest.to_owned() };
            let deeper =
                |(best, _): &(Beneath, OwnedFd)| root.components().count() > best.root.components().count();
            if best.as_ref().is_none_or(deeper) {
                best = Some((Beneath { root, kind, rest }, fd));
            }
        }
        best
    }

    /// Makes the missing directories as the caller, and opens the last of them.
    fn create(&self, root: BorrowedFd<'_>, rest: &Path) -> Result<OwnedFd, BindRefusal> {
        let (mut at, missing) = self.last_that_exists(root, rest)?;
        let cannot =
            |reason: Errno| BindRefusal::CannotCreate { path: self.path.clone(), reason: reason.into() };
        if missing.len() > CREATED_MAX {
            return Err(cannot(Errno::ENAMETOOLONG));
        }
        for name in missing {
            match mkdirat(&at, name, CREATED_MODE) {
                // Somebody else was faster: two binds of one create, most likely.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(cannot(error)),
            }
            at = open_beneath(at.as_fd(), Path::new(name), ResolveFlag::RESOLVE_NO_SYMLINKS)
                .map_err(cannot)?;
        }
        Ok(at)
    }

    /// The innermost part of `rest` that exists, and the names that are missing below it.
    fn last_that_exists<'a>(
        &self,
        root: BorrowedFd<'_>,
        rest: &'a Path,
    ) -> Result<(OwnedFd, Vec<&'a OsStr>), BindRefusal> {
        let mut missing = Vec::new();
        let mut there = rest;
        while let Some(Component::Normal(name)) = there.components().next_back() {
            missing.push(name);
            there = there.parent().unwrap_or(Path::new(""));
            let candidate = if there.as_os_str().is_empty() { Path::new(".") } else { there };
            match open_beneath(root, candidate, ResolveFlag::empty()) {
                Ok(fd) => {
                    missing.reverse();
                    return Ok((fd, missing));
                }
                Err(Errno::ENOENT) => {}
                Err(error) => return Err(self.refusal(error)),
            }
        }
        Err(BindRefusal::Missing(self.path.clone()))
    }

    /// Whether what was opened may be bound.
    fn judge(self, fd: OwnedFd, share: bool, created: bool) -> Result<Pinned, BindRefusal> {
        let file = File::from(fd);
        let found =
            file.metadata().map_err(|reason| BindRefusal::Other { path: self.path.clone(), reason })?;
        let kind = match file_type(found.mode()) {
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFREG => Kind::File,
            other => return Err(BindRefusal::WrongKind { path: self.path, kind: kind_name(other) }),
        };
        let fd = OwnedFd::from(file);
        let system = filesystem::of(fd.as_fd(), found.dev())
            .map_err(|reason| BindRefusal::Other { path: self.path.clone(), reason })?;
        if !system.bindable {
            return Err(BindRefusal::FileSystem { path: self.path, file_system: system.name });
        }
        let real =
            real_path(fd.as_fd()).map_err(|reason| BindRefusal::Other { path: self.path.clone(), reason })?;
        if denied(&real, &self.rules) || denied(&self.path, &self.rules) {
            return Err(BindRefusal::Denied(self.path));
        }
        Ok(Pinned {
            fd,
            kind,
            path: self.path,
            read_only: share,
            created,
            foreign: found.uid() != self.credentials.uid,
            without_chown: false,
            file_system: system.name,
        })
    }

    fn outside(&self) -> BindRefusal {
        let allowed = roots(&self.credentials, &self.rules).map(|(root, _)| root.to_owned()).collect();
        BindRefusal::Outside { path: self.path.clone(), allowed }
    }

    fn refusal(&self, error: Errno) -> BindRefusal {
        let path = self.path.clone();
        match error {
            Errno::ENOENT => BindRefusal::Missing(path),
            Errno::EACCES | Errno::EPERM => BindRefusal::NoPermission(path),
            other => BindRefusal::Other { path, reason: other.into() },
        }
    }
}

/// Opens `rest` without ever leaving `root`, by `..` or by a link.
fn open_beneath(root: BorrowedFd<'_>, rest: &Path, more: ResolveFlag) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS | more;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    for _ in 1..TRIES_MAX {
        match openat2(root, rest, how) {
            // Something was renamed while the kernel looked; it says so rather than guess.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            result => return result,
        }
    }
    openat2(root, rest, how)
}

/// Where the file behind `fd` is now. For comparing only, never for opening.
fn real_path(fd: BorrowedFd<'_>) -> std::io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn file_type(mode: u32) -> SFlag {
    SFlag::from_bits_truncate(mode) & SFlag::S_IFMT
}

fn kind_name(kind: SFlag) -> &'static str {
    match kind {
        SFlag::S_IFSOCK => "socket",
        SFlag::S_IFBLK => "block device",
        SFlag::S_IFCHR => "character device",
        SFlag::S_IFIFO => "named pipe",
        SFlag::S_IFLNK => "symbolic link",
        _ => "special file",
    }
}
