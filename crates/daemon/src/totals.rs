//! What all containers of one user may use together, and all his builds: the limits of the control groups above them.
//!
//! The Engine puts a user's containers beneath that group and sets no limit of it; a start, a build and a new
//! configuration do, here. The classic builder knows no limit on the processes of its steps, so builds have a group of
//! their own beneath their user's. It must never touch the groups of single containers, which are the Engine's.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ds01_domain::Aggregate;

use crate::cgroup;
use crate::engine::CgroupDriver;

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// The span in which CPU time is counted.
const CPU_PERIOD_US: u64 = 100_000;
/// The smallest part in which memory is counted.
const PAGE_BYTES: u64 = 4096;
/// How long systemd may take to answer; a start waits for it.
const SYSTEMD_TIME_MAX: Duration = Duration::from_secs(5);

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

impl Kind {
    /// The root of the hierarchy that has its controller.
    fn top(&self, mount: &Path, unified: bool) -> PathBuf {
        if unified { mount.to_path_buf() } else { mount.join(self.controller) }
    }

    /// The file, and what is written there.
    fn file(&self, unified: bool) -> (&'static str, &str) {
        if unified { (self.file_v2, &self.v2) } else { (self.file_v1, &self.v1) }
    }

    fn is_no_limit(&self) -> bool {
        self.v2.starts_with("max")
    }
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

/// A control group above containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    driver: CgroupDriver,
    name: String,
}

impl Group {
    /// That of a user's containers: `/ds01/u1001`, or `ds01-u1001.slice` where systemd makes the groups.
    #[must_use]
    pub fn of_user(under: &str, uid: u32, driver: CgroupDriver) -> Self {
        let name = match driver {
            CgroupDriver::Cgroupfs => format!("/{under}/u{uid}"),
            CgroupDriver::Systemd => format!("{under}-u{uid}.slice"),
        };
        Self { driver, name }
    }

    /// That of his builds, beneath.
    #[must_use]
    pub fn of_builds(&self) -> Self {
        let name = match self.driver {
            CgroupDriver::Cgroupfs => format!("{}/builds", self.name),
            CgroupDriver::Systemd => format!("{}-builds.slice", self.name.trim_end_matches(".slice")),
        };
        Self { driver: self.driver, name }
    }

    /// As the Engine is told.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lies below a hierarchy.
    fn path(&self) -> PathBuf {
        match self.driver {
            CgroupDriver::Cgroupfs => PathBuf::from(self.name.trim_start_matches('/')),
            CgroupDriver::Systemd => cgroup::path_of_slice(&self.name),
        }
    }

    /// Sets its limits; no limit takes away one that was set before.
    ///
    /// # Errors
    /// What the kernel or systemd says; memory that is in use already cannot be forbidden.
    pub async fn bound(&self, total: &Aggregate) -> io::Result<()> {
        let (group, total) = (self.clone(), *total);
        // Lowering a limit of memory makes the kernel look for what it can take back.
        let work = tokio::task::spawn_blocking(move || match group.driver {
            CgroupDriver::Cgroupfs => set_below(Path::new(MOUNT), &group.path(), &total).map(|()| true),
            CgroupDriver::Systemd => Ok(stands(Path::new(MOUNT), &group.path(), &total)),
        });
        if work.await.map_err(io::Error::other)?? { Ok(()) } else { tell_systemd(&self.name, &total).await }
    }

    /// What is used in it; nothing where nothing runs.
    #[must_use]
    pub fn used(&self) -> Use {
        let (mount, group) = (Path::new(MOUNT), self.path());
        let read = |path: PathBuf| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        let first = |paths: [PathBuf; 2]| paths.into_iter().find_map(read);
        Use {
            memory_bytes: first([
                mount.join("memory").join(&group).join("memory.usage_in_bytes"),
                mount.join(&group).join("memory.current"),
            ]),
            pids: first([
                mount.join("pids").join(&group).join("pids.current"),
                mount.join(&group).join("pids.current"),
            ]),
        }
    }
}

/// Whether the machine has one hierarchy for everything.
fn is_unified(mount: &Path) -> bool {
    mount.join("cgroup.controllers").exists()
}

fn set_below(mount: &Path, group: &Path, total: &Aggregate) -> io::Result<()> {
    let unified = is_unified(mount);
    let unlimited = *total == Aggregate::default();
    for kind in kinds(total) {
        let top = kind.top(mount, unified);
        let directory = top.join(group);
        if unlimited && !directory.exists() {
            continue;
        }
        let (file, text) = kind.file(unified);
        make(&top, group, unified.then_some(kind.controller))?;
        if unlimited && !directory.join(file).exists() {
            continue;
        }
        std::fs::write(directory.join(file), text)
            .map_err(|error| io::Error::new(error.kind(), format!("{file} = {text}: {error}")))?;
    }
    Ok(())
}

/// Makes a group and those above it. On v2 each has to hand the controller down.
fn make(top: &Path, group: &Path, hand_down: Option<&str>) -> io::Result<()> {
    let mut directory = PathBuf::from(top);
    for part in group {
        if let Some(controller) = hand_down {
            std::fs::write(directory.join("cgroup.subtree_control"), format!("+{controller}"))?;
        }
        directory.push(part);
        match std::fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the limits are in force, so that systemd need not be asked: that takes a process of its own at each start.
fn stands(mount: &Path, group: &Path, total: &Aggregate) -> bool {
    let unified = is_unified(mount);
    kinds(total).iter().all(|kind| {
        let (file, text) = kind.file(unified);
        let directory = kind.top(mount, unified).join(group);
        match std::fs::read_to_string(directory.join(file)) {
            Ok(found) => in_pages(found.trim()) == in_pages(text),
            // Without a limit systemd does without the controller, and without the group.
            Err(_) => kind.is_no_limit(),
        }
    })
}

/// The kernel counts memory in pages.
fn in_pages(limit: &str) -> String {
    limit
        .parse()
        .map_or_else(|_| limit.to_owned(), |bytes: u64| (bytes / PAGE_BYTES * PAGE_BYTES).to_string())
}

/// A slice's limits are systemd's to set: what others write it takes back when it is reloaded. They hold until the next
/// boot, whether or not anything is in the slice.
async fn tell_systemd(slice: &str, total: &Aggregate) -> io::Result<()> {
    let or = |limit: Option<u64>, none: &str| limit.map_or_else(|| none.to_owned(), |n| n.to_string());
    let percent = |milli: u64| format!("{}.{}%", milli / 10, milli % 10);
    let child = tokio::process::Command::new("systemctl")
        .args(["set-property", "--runtime", "--no-ask-password", slice])
        .arg(format!("MemoryMax={}", or(total.memory_bytes, "infinity")))
        .arg(format!("TasksMax={}", or(total.pids, "infinity")))
        .arg(format!("CPUQuota={}", total.cpus_milli.map(percent).unwrap_or_default()))
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(SYSTEMD_TIME_MAX, child).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, "systemd did not take the limits of a slice in time")
    })??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("systemctl set-property {slice}: {}", said.trim())))
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
        set_below(&mount, Path::new("ds01/u7"), &Aggregate::default()).unwrap();
        assert!(!mount.join("memory/ds01").exists(), "no limit makes no group");
        set_below(&mount, Path::new("ds01/u7"), &SOME).unwrap();
        let read = |file: &str| std::fs::read_to_string(mount.join(file)).unwrap();
        assert_eq!(read("memory/ds01/u7/memory.limit_in_bytes"), "1073741824");
        assert_eq!(read("pids/ds01/u7/pids.max"), "100");
        assert_eq!(read("cpu/ds01/u7/cpu.cfs_quota_us"), "150000");
        set_below(&mount, Path::new("ds01/u7"), &Aggregate::default()).unwrap();
        assert_eq!(read("memory/ds01/u7/memory.limit_in_bytes"), "-1");
        assert_eq!(read("pids/ds01/u7/pids.max"), "max");
        std::fs::remove_dir_all(mount).unwrap();
    }

    #[test]
    fn on_v2_the_controllers_are_handed_down() {
        let mount = scratch();
        std::fs::write(mount.join("cgroup.controllers"), "cpu memory pids").unwrap();
        set_below(&mount, Path::new("ds01/u7"), &SOME).unwrap();
        let read = |file: &str| std::fs::read_to_string(mount.join(file)).unwrap();
        assert_eq!(read("ds01/u7/cpu.max"), "150000 100000");
        assert_eq!(read("ds01/u7/memory.max"), "1073741824");
        assert_eq!(read("ds01/cgroup.subtree_control"), "+cpu");
        std::fs::remove_dir_all(mount).unwrap();
    }

    #[test]
    fn systemd_names_groups_by_where_they_lie() {
        let group = Group::of_user("ds01", 7, CgroupDriver::Systemd);
        assert_eq!(group.name(), "ds01-u7.slice");
        assert_eq!(group.path(), Path::new("ds01.slice/ds01-u7.slice"));
        assert_eq!(group.of_builds().name(), "ds01-u7-builds.slice");
        assert_eq!(group.of_builds().path(), group.path().join("ds01-u7-builds.slice"));
        let group = Group::of_user("ds01", 7, CgroupDriver::Cgroupfs);
        assert_eq!(group.of_builds().name(), "/ds01/u7/builds");
        assert_eq!(group.of_builds().path(), Path::new("ds01/u7/builds"));
    }

    #[test]
    fn systemd_is_asked_only_for_what_does_not_hold_yet() {
        let (mount, group) = (scratch(), Path::new("ds01.slice/ds01-u7.slice"));
        std::fs::write(mount.join("cgroup.controllers"), "cpu memory pids").unwrap();
        assert!(stands(&mount, group, &Aggregate::default()), "no limit, and no group");
        assert!(!stands(&mount, group, &SOME));
        std::fs::create_dir_all(mount.join(group)).unwrap();
        let write = |file: &str, text: &str| std::fs::write(mount.join(group).join(file), text).unwrap();
        for (file, text) in
            [("memory.max", "1073741824\n"), ("pids.max", "100\n"), ("cpu.max", "150000 100000\n")]
        {
            assert!(!stands(&mount, group, &SOME), "{file} is missing");
            write(file, text);
        }
        assert!(stands(&mount, group, &SOME));
        let odd = Aggregate { memory_bytes: Some((1 << 30) + 5), ..SOME };
        assert!(stands(&mount, group, &odd), "the kernel counts in pages");
        assert!(!stands(&mount, group, &Aggregate::default()), "a limit that is to go");
        std::fs::remove_dir_all(mount).unwrap();
    }
}
