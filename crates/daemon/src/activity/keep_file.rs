//! `.keep-alive` in a workspace: a container's owner asks that idleness be passed over for a while.
//!
//! It is looked at inside the container, where the workspace is whatever the user made it: the same file that he sees
//! on the host. Its time is that of its last change, which nobody can set, not the one that `touch -d` writes.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstat};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{cgroup, clock};

/// Where it lies, seen from inside.
const FILE: &str = "workspace/.keep-alive";
/// How long a pass waits for the looks that it began. One that takes longer is read when it is over.
pub(super) const LOOK_MAX: Duration = Duration::from_millis(100);
/// How long a touch holds.
const HOLDS: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks for the file of one container, one look at a time: a file system that does not answer holds up this look alone.
#[derive(Debug, Default)]
pub(super) struct KeepFile {
    look: Option<JoinHandle<Option<u64>>>,
    /// Whether a pass has waited for it.
    waited: bool,
    /// When it was last changed, as far as is known: wall time in milliseconds.
    changed: Option<u64>,
}

impl KeepFile {
    /// Begins to look through the eyes of one of the container's processes, unless the last look is not over yet.
    pub(super) fn begin(&mut self, witness: Option<i32>) {
        if let (None, Some(pid)) = (&self.look, witness) {
            self.look = Some(tokio::task::spawn_blocking(move || changed(pid)));
            self.waited = false;
        }
    }

    /// How long the file still holds, by the look that was begun; where that takes until later, by the last one that is over.
    pub(super) async fn holds_for(&mut self, until: Instant) -> Option<Duration> {
        if let Some(look) = &mut self.look {
            // One that has been waited for once is not waited for again.
            let until = if std::mem::replace(&mut self.waited, true) { Instant::now() } else { until };
            if let Ok(seen) = tokio::time::timeout_at(until, look).await {
                self.look = None;
                self.changed = seen.ok().flatten();
            }
        }
        let age = Duration::from_millis(clock::wall_ms().saturating_sub(self.changed?));
        HOLDS.checked_sub(age)
    }
}

/// When the file in a process's root was last changed: wall time in milliseconds.
fn changed(pid: i32) -> Option<u64> {
    cgroup::has_mounts_of_its_own(pid).then_some(())?;
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root: OwnedFd =
        nix::fcntl::open(Path::new(&format!("/proc/{pid}/root")), directory, Mode::empty()).ok()?;
    // Links lead nowhere but into the container.
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = openat2(&root, FILE, how).ok()?;
    let stat = fstat(&file).ok()?;
    let seconds = u64::try_from(stat.st_ctime).ok()?;
    Some(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_without_the_file_asks_for_nothing() {
        let pid = i32::try_from(std::process::id()).unwrap();
        // No machine has it at its own root.
        assert_eq!(changed(pid), None);
    }
}
