//! A container's control group: whether anything is left in it, which a release rests on, and what it has used.
//!
//! Works on v1, hybrid and v2, cgroupfs and systemd paths. It reads; it must never make or move anything.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ds01_domain::Occupancy;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// The directory of a container's cgroup below a hierarchy, from the path in its OCI configuration: a plain path with
/// the cgroupfs driver, `slice:prefix:name` with systemd.
fn relative(cgroups_path: &str) -> PathBuf {
    let mut parts = cgroups_path.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(slice), Some(prefix), Some(name)) => {
            let mut path = path_of_slice(slice);
            path.push(format!("{prefix}-{name}.scope"));
            path
        }
        _ => PathBuf::from(cgroups_path.trim_start_matches('/')),
    }
}

/// Where a slice lies below a hierarchy: `a-b-c.slice` in `a.slice/a-b.slice`, see systemd.slice(5).
#[must_use]
pub fn path_of_slice(slice: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let mut so_far = String::new();
    for part in slice.trim_end_matches(".slice").split('-').filter(|part| !part.is_empty()) {
        if !so_far.is_empty() {
            so_far.push('-');
        }
        so_far.push_str(part);
        path.push(format!("{so_far}.slice"));
    }
    path
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
    let Ok(hierarchies) = hierarchies(mount) else { return Occupancy::Unknown };
    let mut verdict = Occupancy::Empty;
    for hierarchy in hierarchies {
        match in_tree(&hierarchy.join(&path)) {
            Occupancy::Occupied => return Occupancy::Occupied,
            Occupancy::Unknown => verdict = Occupancy::Unknown,
            Occupancy::Empty => {}
        }
    }
    verdict
}

/// The hierarchies below a mount, and the mount itself: on v2 it is the only one. The names by which v1 knows a hierarchy
/// twice are links.
fn hierarchies(mount: &Path) -> std::io::Result<Vec<PathBuf>> {
    let below = std::fs::read_dir(mount)?.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(std::iter::once(mount.to_path_buf()).chain(below.map(|entry| entry.path())).collect())
}

/// The processes of a container, also those in groups that it made below its own.
#[must_use]
pub fn processes(cgroups_path: &str) -> Vec<i32> {
    Group::find(cgroups_path).processes()
}

/// Adds the processes of a group and of those below it.
fn collect_processes(directory: &Path, found: &mut BTreeSet<i32>) {
    found.extend(pids(&std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default()));
    collect_below(directory, found);
}

fn collect_below(directory: &Path, found: &mut BTreeSet<i32>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_processes(&entry.path(), found);
        }
    }
}

/// The processes that a `cgroup.procs` names; those of which this namespace knows nothing are 0 in it.
fn pids(text: &str) -> impl Iterator<Item = i32> {
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0)
}

/// Where the figures of a container's cgroup are, found and opened once for a run: the way to them costs more than they do.
#[derive(Debug, Default)]
pub struct Group {
    members: Option<Members>,
    cpu: Option<(File, Told)>,
    disk: Option<(File, Told)>,
}

/// A directory of the cgroup's. Every hierarchy tells of all of its processes, and there is one at least that a
/// container's own groups do not hide them from.
#[derive(Debug)]
struct Members {
    path: PathBuf,
    directory: File,
}

/// Which version of control groups tells a figure.
#[derive(Clone, Copy, Debug)]
enum Told {
    V1,
    V2,
}

impl Members {
    fn of(path: PathBuf) -> io::Result<Self> {
        let directory =
            OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(&path)?;
        Ok(Self { path, directory })
    }

    fn look(&self) -> io::Result<BTreeSet<i32>> {
        // Opened anew: v1 reads who was there a second ago to a file that stays open.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let processes = openat(&self.directory, "cgroup.procs", flags, Mode::empty())?;
        let mut found = pids(&whole(&processes.into())?).collect();
        // The name of a directory, its own dot, and a link for each group below it: kernfs keeps the count.
        if self.directory.metadata()?.nlink() != 2 {
            collect_below(&self.path, &mut found);
        }
        Ok(found)
    }
}

impl Group {
    /// Looks a container's cgroup up, by the path in its OCI configuration. One that is not there tells nothing.
    #[must_use]
    pub fn find(cgroups_path: &str) -> Self {
        if cgroups_path.is_empty() || cgroups_path.contains("..") {
            return Self::default();
        }
        let path = relative(cgroups_path);
        let all = hierarchies(Path::new(MOUNT)).unwrap_or_default();
        let there: Vec<PathBuf> =
            all.iter().map(|hierarchy| hierarchy.join(&path)).filter(|own| own.is_dir()).collect();
        let file = |v1: &str, v2: &str| {
            there.iter().find_map(|own| {
                let named = |name: &str| File::open(own.join(name)).ok();
                named(v1).map(|file| (file, Told::V1)).or_else(|| Some((named(v2)?, Told::V2)))
            })
        };
        Self {
            cpu: file("cpuacct.usage", "cpu.stat"),
            disk: file("blkio.throttle.io_service_bytes_recursive", "io.stat"),
            members: there.into_iter().find_map(|path| Members::of(path).ok()),
        }
    }

    /// Whether it is there, as far as is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.members.is_some()
    }

    /// The processes in it, also those in groups below it. One that is gone is not known any more.
    #[must_use]
    pub fn processes(&mut self) -> Vec<i32> {
        match self.members.as_ref().map(Members::look) {
            Some(Ok(found)) => return found.into_iter().collect(),
            // Threaded: it is there, and does not tell.
            Some(Err(error)) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Some(Err(_)) | None => *self = Self::default(),
        }
        Vec::new()
    }

    /// The CPU time that it has had since its start.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        let (file, told) = self.cpu.as_ref()?;
        let text = whole(file).ok()?;
        match told {
            Told::V1 => text.trim().parse().ok().map(Duration::from_nanos),
            Told::V2 => {
                let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                micros.trim().parse().ok().map(Duration::from_micros)
            }
        }
    }

    /// The bytes that it has read from disks and written to them since its start.
    #[must_use]
    pub fn disk_bytes(&self) -> Option<u64> {
        let (file, told) = self.disk.as_ref()?;
        let text = whole(file).ok()?;
        match told {
            Told::V1 => text.lines().find_map(|line| line.strip_prefix("Total "))?.trim().parse().ok(),
            Told::V2 => Some(bytes_in_io_stat(&text)),
        }
    }
}

/// What a file of the kernel's says now, wherever it was read to before.
fn whole(file: &File) -> io::Result<String> {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match file.read_at(&mut part, text.len() as u64)? {
            0 => return String::from_utf8(text).map_err(io::Error::other),
            read => text.extend_from_slice(&part[..read]),
        }
    }
}

/// The sum of `rbytes` and `wbytes` over all devices of an `io.stat`.
fn bytes_in_io_stat(text: &str) -> u64 {
    let counts = text.split_whitespace().filter_map(|word| word.split_once('='));
    counts
        .filter(|(key, _)| matches!(*key, "rbytes" | "wbytes"))
        .filter_map(|(_, n)| n.parse::<u64>().ok())
        .sum()
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
    fn bytes_of_all_disks_are_summed() {
        let text = "8:0 rbytes=1000 wbytes=200 rios=1 wios=1 dbytes=9 dios=0\n8:16 rbytes=30 wbytes=4 rios=1 wios=1\n";
        assert_eq!(bytes_in_io_stat(text), 1234);
    }

    #[test]
    fn what_is_not_there_is_empty_and_what_cannot_be_told_is_unknown() {
        assert_eq!(occupancy("/ds01-no-such-parent/abc"), Occupancy::Empty);
        assert_eq!(occupancy(""), Occupancy::Unknown);
        assert_eq!(occupancy("/../../x"), Occupancy::Unknown);
        for nowhere in ["/ds01-no-such-parent/abc", "", "/../../x"] {
            let mut group = Group::find(nowhere);
            assert!(!group.is_known(), "{nowhere}");
            assert_eq!((group.processes(), group.cpu_time(), group.disk_bytes()), (Vec::new(), None, None));
        }
    }

    #[test]
    fn the_group_of_this_process_tells_of_it() {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let found = own.lines().filter_map(|line| line.splitn(3, ':').nth(2)).map(Group::find);
        let pid = i32::try_from(std::process::id()).unwrap();
        let told = found.map(|mut group| group.processes()).filter(|all| all.contains(&pid)).count();
        assert!(told > 0, "none of the groups in {own:?} has process {pid}");
    }
}
