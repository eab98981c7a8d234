//! The control group of a user's builds, with the most processes that they may have together.
//!
//! The classic builder knows no limit on the processes of its steps, so the limit lies above them. It makes the group,
//! and lets those above it count processes; it must never set a limit anywhere else.

use std::io;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// The name of the group beneath its user's.
const NAME: &str = "builds";

/// The parent of the steps of a user's builds, beneath the parent of his containers.
#[must_use]
pub fn beneath(parent: &str) -> String {
    format!("{parent}/{NAME}")
}

/// Makes the group (a path that [`beneath`] gave) where it is missing, and sets the most processes in it.
///
/// # Errors
/// Where the kernel has no limit on processes to give, or the files cannot be written.
pub fn bound(group: &str, pids_max: u64) -> io::Result<()> {
    let relative = group.trim_start_matches('/');
    if relative.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mount = Path::new(MOUNT);
    // Version 1 has a tree for processes; version 2 has one for all, in which each level lets the next count.
    let tree = mount.join("pids");
    if tree.join("cgroup.procs").exists() {
        return bound_in(&tree, relative, pids_max, |_| Ok(()));
    }
    bound_in(mount, relative, pids_max, |level| std::fs::write(level.join("cgroup.subtree_control"), "+pids"))
}

fn bound_in(
    tree: &Path,
    relative: &str,
    pids_max: u64,
    delegate: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut level = PathBuf::from(tree);
    for part in relative.split('/') {
        delegate(&level)?;
        level.push(part);
        match std::fs::create_dir(&level) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    std::fs::write(level.join("pids.max"), pids_max.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_lets_the_next_count() {
        let tree = std::env::temp_dir().join(format!("ds01-buildgroup-{}", std::process::id()));
        std::fs::create_dir_all(tree.join("ds01")).unwrap();
        let group = beneath("/ds01/u1001");
        let asked = std::cell::RefCell::new(Vec::new());
        let delegate = |level: &Path| {
            asked.borrow_mut().push(level.strip_prefix(&tree).unwrap().display().to_string());
            Ok(())
        };
        bound_in(&tree, group.trim_start_matches('/'), 64, delegate).unwrap();
        assert_eq!(*asked.borrow(), ["", "ds01", "ds01/u1001"]);
        assert_eq!(std::fs::read_to_string(tree.join("ds01/u1001/builds/pids.max")).unwrap(), "64");
        std::fs::remove_dir_all(&tree).unwrap();
    }

    #[test]
    fn no_path_leads_elsewhere() {
        for wrong in ["/", "/../x", "/ds01//u1", "/ds01/./u1"] {
            assert!(bound(wrong, 1).is_err(), "{wrong}");
        }
    }
}
