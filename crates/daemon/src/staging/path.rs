//! What a path means before anybody looks at the disk. Pure.
//!
//! It answers for cleaning a path as the Engine would and for choosing the directory beneath which it must be opened.
//! It must never touch the file system.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{BindRules, Credentials};

/// A path of more bytes cannot be opened (`PATH_MAX` without its end).
const PATH_BYTES_MAX: usize = 4095;

/// The path as the Engine would clean it (`path.Clean`): absolute, no `.`, `..` or doubled slashes; `None` where it
/// is not an absolute path at all.
pub(super) fn clean(path: &Path) -> Option<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    if !path.is_absolute() || bytes.len() > PATH_BYTES_MAX || bytes.contains(&0) {
        return None;
    }
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(cleaned)
}

/// Which kind of directory a path is opened beneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RootKind {
    Home,
    Root,
    Share,
}

/// A directory beneath which a path is opened, and the rest of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beneath {
    pub(super) root: PathBuf,
    pub(super) kind: RootKind,
    /// Relative; `.` for the root itself.
    pub(super) rest: PathBuf,
}

/// The directories that the caller may bind from, with what they are.
pub(super) fn roots<'a>(
    credentials: &'a Credentials,
    rules: &'a BindRules,
) -> impl Iterator<Item = (&'a Path, RootKind)> {
    let home = std::iter::once((credentials.home.as_path(), RootKind::Home));
    let roots = rules.roots.iter().map(|root| (root.as_path(), RootKind::Root));
    let shares = rules.shares.iter().map(|share| (share.as_path(), RootKind::Share));
    home.chain(roots).chain(shares).filter(|(root, _)| root.is_absolute())
}

/// The innermost directory that `path` (cleaned) lies beneath. Of two equal ones, the earlier of home, roots, shares.
pub(super) fn beneath(path: &Path, credentials: &Credentials, rules: &BindRules) -> Option<Beneath> {
    let mut best: Option<(usize, Beneath)> = None;
    for (root, kind) in roots(credentials, rules) {
        let Some(root) = clean(root) else { continue };
        let Ok(rest) = path.strip_prefix(&root) else { continue };
        let depth = root.components().count();
        if best.as_ref().is_none_or(|(best, _)| depth > *best) {
            let rest = if rest.as_os_str().is_empty() { PathBuf::from(".") } else { rest.to_owned() };
            best = Some((depth, Beneath { root, kind, rest }));
        }
    }
    best.map(|(_, beneath)| beneath)
}

/// Whether `path` (a real one) is one of the denied directories or lies beneath one.
pub(super) fn denied(path: &Path, rules: &BindRules) -> bool {
    rules.denied.iter().any(|denied| path.starts_with(denied))
}
