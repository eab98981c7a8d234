//! Whether anything is left in a container's control group: the look that a release rests on.
//!
//! Works on v1, hybrid and v2, cgroupfs and systemd paths. It reads; it must never make or move anything.

use std::path::{Path, PathBuf};

use ds01_domain::Occupancy;

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// The directory of a container's cgroup below a hierarchy, from the path in its OCI configuration: a plain path with
/// the cgroupfs driver, `slice:prefix:name` with systemd.
fn relative(cgroups_path: &str) -> PathBuf {
    let mut parts = cgroups_path.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(slice), Some(prefix), Some(name)) => {
            let mut path = PathBuf::new();
            // `a-b-c.slice` lies in `a.slice/a-b.slice`: systemd.slice(5).
            let stem = slice.trim_end_matches(".slice");
            let mut so_far = String::new();
            for part in stem.split('-').filter(|p| !p.is_empty()) {
                if !so_far.is_empty() {
                    so_far.push('-');
                }
                so_far.push_str(part);
                path.push(format!("{so_far}.slice"));
            }
            path.push(format!("{prefix}-{name}.scope"));
            path
        }
        _ => PathBuf::from(cgroups_path.trim_start_matches('/')),
    }
}

/// Looks whether processes are left in a container's cgroup, in any hierarchy.
#[must_use]
pub fn occupancy(cgroups_path: &str) -> Occupancy {
    occupancy_below(Path::new(MOUNT), cgroups_path)
}

fn occupancy_below(mount: &Path, cgroups_path: &str) -> Occupancy {
    if cgroups_path.is_empty() || cgroups_path.contains("..") {
        return Occupancy::Unknown;
    }
    let path = relative(cgroups_path);
    let Ok(entries) = std::fs::read_dir(mount) else { return Occupancy::Unknown };
    let hierarchies = entries.flatten().map(|e| e.path()).filter(|p| p.is_dir());
    let mut verdict = Occupancy::Empty;
    for hierarchy in std::iter::once(mount.to_path_buf()).chain(hierarchies) {
        match in_tree(&hierarchy.join(&path)) {
            Occupancy::Occupied => return Occupancy::Occupied,
            Occupancy::Unknown => verdict = Occupancy::Unknown,
            Occupancy::Empty => {}
        }
    }
    verdict
}

/// Whether a cgroup directory, or one below it, has processes. One that is not there has none.
fn in_tree(directory: &Path) -> Occupancy {
    match std::fs::read_to_string(directory.join("cgroup.procs")) {
        Ok(text) if !text.trim().is_empty() => return Occupancy::Occupied,
        Ok(_) => {}
        // Threaded cgroups of v2 refuse the read: somebody lives there.
        Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => return Occupancy::Occupied,
        // ENODEV: removed while it was read.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ENODEV) => {
            return Occupancy::Empty;
        }
        Err(_) => return Occupancy::Unknown,
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return Occupancy::Empty };
    let mut verdict = Occupancy::Empty;
    for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
        match in_tree(&entry.path()) {
            Occupancy::Occupied => return Occupancy::Occupied,
            Occupancy::Unknown => verdict = Occupancy::Unknown,
            Occupancy::Empty => {}
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_both_drivers() {
        assert_eq!(relative("/ds01/u1/abc"), PathBuf::from("ds01/u1/abc"));
        assert_eq!(
            relative("ds01-u1.slice:docker:abc"),
            PathBuf::from("ds01.slice/ds01-u1.slice/docker-abc.scope")
        );
    }

    #[test]
    fn what_is_not_there_is_empty_and_what_cannot_be_told_is_unknown() {
        assert_eq!(occupancy("/ds01-no-such-parent/abc"), Occupancy::Empty);
        assert_eq!(occupancy(""), Occupancy::Unknown);
        assert_eq!(occupancy("/../../x"), Occupancy::Unknown);
    }
}
