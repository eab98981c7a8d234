//! What all containers of one user may use together, and all his builds: the limits of the control groups above them.
//!
//! The Engine puts a user's containers beneath that group and sets no limit of it; a start, a build and a new
//! configuration do, here. The classic builder knows no limit on the processes of its steps, so builds have a group of
//! their own beneath their user's. It must never touch the groups of single containers, which are the Engine's.

use std::io;
use std::path::{Path, PathBuf};

use ds01_domain::Aggregate;

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// The span in which CPU time is counted.
const CPU_PERIOD_US: u64 = 100_000;

/// What is used at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// Memory, caches included.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// One limit of one kind: the file of v1 below its controller, and that of v2.
struct Kind {
    controller: &'static str,
    file_v1: &'static str,
    file_v2: &'static str,
    v1: String,
    v2: String,
}

fn kinds(total: &Aggregate) -> [Kind; 3] {
    let or_max = |limit: Option<u64>| limit.map_or_else(|| "max".to_owned(), |n| n.to_string());
    let quota_us = total.cpus_milli.map(|milli| milli.saturating_mul(CPU_PERIOD_US / 1000));
    [
        Kind {
            controller: "memory",
            file_v1: "memory.limit_in_bytes",
            file_v2: "memory.max",
            v1: total.memory_bytes.map_or_else(|| "-1".to_owned(), |n| n.to_string()),
            v2: or_max(total.memory_bytes),
        },
        Kind {
            controller: "pids",
            file_v1: "pids.max",
            file_v2: "pids.max",
            v1: or_max(total.pids),
            v2: or_max(total.pids),
        },
        Kind {
            controller: "cpu",
            file_v1: "cpu.cfs_quota_us",
            file_v2: "cpu.max",
            v1: quota_us.map_or_else(|| "-1".to_owned(), |n| n.to_string()),
            v2: format!("{} {CPU_PERIOD_US}", or_max(quota_us)),
        },
    ]
}

/// The group of a user's builds, beneath that of his containers.
#[must_use]
pub fn of_builds(parent: &str) -> String {
    format!("{parent}/builds")
}

/// Sets the limits of a user's group, `/ds01/u1001`; no limit takes away one that was set before.
///
/// # Errors
/// What the kernel says; memory that is in use already cannot be forbidden.
pub fn set(parent: &str, total: &Aggregate) -> io::Result<()> {
    set_below(Path::new(MOUNT), parent, total)
}

fn set_below(mount: &Path, parent: &str, total: &Aggregate) -> io::Result<()> {
    let parent = parent.trim_start_matches('/');
    let unified = mount.join("cgroup.controllers").exists();
    let unlimited = *total == Aggregate::default();
    for kind in kinds(total) {
        let top = if unified { mount.to_path_buf() } else { mount.join(kind.controller) };
        let group = top.join(parent);
        if unlimited && !group.exists() {
            continue;
        }
        let (file, text) = if unified { (kind.file_v2, kind.v2) } else { (kind.file_v1, kind.v1) };
        make(&top, parent, unified.then_some(kind.controller))?;
        if unlimited && !group.join(file).exists() {
            continue;
        }
        std::fs::write(group.join(file), &text)
            .map_err(|error| io::Error::new(error.kind(), format!("{file} = {text}: {error}")))?;
    }
    Ok(())
}

/// Makes a group and those above it. On v2 each has to hand the controller down.
fn make(top: &Path, parent: &str, hand_down: Option<&str>) -> io::Result<()> {
    let mut group = PathBuf::from(top);
    for part in Path::new(parent) {
        if let Some(controller) = hand_down {
            std::fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"))?;
        }
        group.push(part);
        match std::fs::create_dir(&group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What a user's containers use together; nothing where there are none.
#[must_use]
pub fn used(parent: &str) -> Use {
    let (mount, parent) = (Path::new(MOUNT), parent.trim_start_matches('/'));
    let read = |path: PathBuf| std::fs::read_to_string(path).ok()?.trim().parse().ok();
    let first = |paths: [PathBuf; 2]| paths.into_iter().find_map(read);
    Use {
        memory_bytes: first([
            mount.join("memory").join(parent).join("memory.usage_in_bytes"),
            mount.join(parent).join("memory.current"),
        ]),
        pids: first([
            mount.join("pids").join(parent).join("pids.current"),
            mount.join(parent).join("pids.current"),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> PathBuf {
        let path = std::env::temp_dir().join(format!("ds01-totals-{}", crate::random_token()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    const SOME: Aggregate =
        Aggregate { cpus_milli: Some(1500), memory_bytes: Some(1 << 30), pids: Some(100) };

    #[test]
    fn each_controller_has_its_file() {
        let mount = scratch();
        for controller in ["memory", "pids", "cpu"] {
            std::fs::create_dir(mount.join(controller)).unwrap();
        }
        set_below(&mount, "/ds01/u7", &Aggregate::default()).unwrap();
        assert!(!mount.join("memory/ds01").exists(), "no limit makes no group");
        set_below(&mount, "/ds01/u7", &SOME).unwrap();
        let read = |file: &str| std::fs::read_to_string(mount.join(file)).unwrap();
        assert_eq!(read("memory/ds01/u7/memory.limit_in_bytes"), "1073741824");
        assert_eq!(read("pids/ds01/u7/pids.max"), "100");
        assert_eq!(read("cpu/ds01/u7/cpu.cfs_quota_us"), "150000");
        set_below(&mount, "/ds01/u7", &Aggregate::default()).unwrap();
        assert_eq!(read("memory/ds01/u7/memory.limit_in_bytes"), "-1");
        assert_eq!(read("pids/ds01/u7/pids.max"), "max");
        std::fs::remove_dir_all(mount).unwrap();
    }

    #[test]
    fn on_v2_the_controllers_are_handed_down() {
        let mount = scratch();
        std::fs::write(mount.join("cgroup.controllers"), "cpu memory pids").unwrap();
        set_below(&mount, "/ds01/u7", &SOME).unwrap();
        let read = |file: &str| std::fs::read_to_string(mount.join(file)).unwrap();
        assert_eq!(read("ds01/u7/cpu.max"), "150000 100000");
        assert_eq!(read("ds01/u7/memory.max"), "1073741824");
        assert_eq!(read("ds01/cgroup.subtree_control"), "+cpu");
        std::fs::remove_dir_all(mount).unwrap();
    }
}
