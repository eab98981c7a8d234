//! Whether a directory could be staged: the same steps as in a create, on a mount that nobody ever sees.
//!
//! It answers for [`probe`], an administrator's question before people meet the answer. It must never attach anything.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ds01_api::Probed;

use super::userns::UserNamespaces;
use super::{Credentials, IdMap, SubIds, filesystem};
use crate::sys;

/// Somebody who is not root; no file has to be his.
const SOMEBODY: u32 = 65_534;

/// Tries each directory. The detached mount goes with its descriptor.
#[must_use]
pub fn probe(directories: &[PathBuf]) -> Vec<Probed> {
    let namespaces = UserNamespaces::default();
    let look = |path: &PathBuf| Probed { path: path.clone(), problem: stage(path, &namespaces).err() };
    directories.iter().map(look).collect()
}

fn stage(path: &Path, namespaces: &UserNamespaces) -> Result<(), String> {
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let directory =
        File::options().read(true).custom_flags(flags).open(path).map_err(failed("cannot be opened"))?;
    let device = directory.metadata().map_err(failed("cannot be looked at"))?.dev();
    let file_system = filesystem::of(directory.as_fd(), device).map_err(failed("cannot be looked at"))?;
    if !file_system.bindable {
        return Err(format!("{} is the kernel's own and is never mounted", file_system.name));
    }
    let who = Credentials { uid: SOMEBODY, gid: SOMEBODY, groups: Vec::new(), home: PathBuf::new() };
    let map = IdMap::for_user(None, &who, SubIds::default()).map_err(|error| error.to_string())?;
    let namespace = namespaces.carrying(&map).map_err(failed("no user namespace can be made"))?;
    let mount = sys::clone_mount(directory.as_fd()).map_err(failed("cannot be cloned"))?;
    sys::idmap_mount(mount.as_fd(), namespace.as_fd())
        .map_err(|error| format!("{} cannot translate owners here ({error})", file_system.name))?;
    sys::harden_mount(mount.as_fd(), false).map_err(failed("cannot be hardened"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_staged_and_what_not() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("passed over, it needs root");
        }
        let paths = ["/", "/proc", "/nowhere", "/etc/passwd"].map(PathBuf::from);
        let problems: Vec<Option<String>> = probe(&paths).into_iter().map(|found| found.problem).collect();
        assert_eq!(problems[0], None);
        assert!(problems[1].as_ref().is_some_and(|why| why.starts_with("proc is the kernel's own")));
        assert!(problems[2].as_ref().is_some_and(|why| why.contains("No such file")), "{problems:?}");
        assert!(problems[3].as_ref().is_some_and(|why| why.contains("Not a directory")), "{problems:?}");
    }
}
