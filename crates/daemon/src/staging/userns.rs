//! User namespaces that carry an [`IdMap`] to the kernel.
//!
//! It answers for one descriptor per map, kept for the next bind of the same map. The process that a namespace needs
//! at its birth lives for a moment and is killed and reaped before the descriptor is handed out; the daemon itself
//! never enters any of these namespaces.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use super::idmap::{Extent, IdMap};
use crate::sys::UserNamespaceHolder;

/// How many namespaces are kept for reuse: more than there are users with containers at once.
const KEPT_MAX: usize = 256;

/// The namespaces made so far, the latest used last.
#[derive(Debug, Default)]
pub(super) struct UserNamespaces {
    kept: Mutex<VecDeque<(IdMap, Arc<OwnedFd>)>>,
}

impl UserNamespaces {
    /// The namespace that carries `map`, made if there is none yet.
    ///
    /// # Errors
    /// What the kernel says: the limits of processes or user namespaces, most likely.
    pub(super) fn carrying(&self, map: &IdMap) -> io::Result<Arc<OwnedFd>> {
        // Making one takes a millisecond, and two binds of one create want the same: let the second wait.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(known, _)| known == map)
            && let Some(entry) = kept.remove(at)
        {
            let namespace = Arc::clone(&entry.1);
            kept.push_back(entry);
            return Ok(namespace);
        }
        let namespace = Arc::new(make(map)?);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((map.clone(), Arc::clone(&namespace)));
        Ok(namespace)
    }
}

fn make(map: &IdMap) -> io::Result<OwnedFd> {
    let holder = UserNamespaceHolder::start()?;
    let write = |file: &str, extents: &[Extent]| {
        // The kernel takes a map in one single write, or not at all.
        File::options()
            .write(true)
            .open(format!("/proc/{}/{file}", holder.pid))?
            .write_all(text(extents).as_bytes())
    };
    write("uid_map", map.uids())?;
    write("gid_map", map.gids())?;
    Ok(File::open(format!("/proc/{}/ns/user", holder.pid))?.into())
}

/// The map as the kernel reads it: for a mount, the first number is the one on the disk.
pub(super) fn text(extents: &[Extent]) -> String {
    let mut text = String::new();
    for Extent { disk, inside, count } in extents {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{disk} {inside} {count}");
    }
    text
}
