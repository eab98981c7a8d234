//! `.keep-alive` in a workspace: a container's owner asks that idleness be passed over for a while.
//!
//! It is looked at inside the container, where the workspace is whatever the user made it: the same file that he sees
//! on the host. Its time is that of its last change, which nobody can set, not the one that `touch -d` writes.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ds01_domain::ContainerId;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstat};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::{clock, namespace};

/// Where it lies, seen from inside.
const FILE: &str = "workspace/.keep-alive";
/// How long one look may take before the others go on without it.
const LOOK_MAX: Duration = Duration::from_millis(100);
/// How long a pass waits for all looks together. Those that it did not come to are the first of the next.
const ALL_MAX: Duration = Duration::from_secs(1);
/// How long a touch holds.
const HOLDS: Duration = Duration::from_secs(24 * 60 * 60);

/// What one look saw: when the file was last changed, as wall time in milliseconds; nothing where there is none.
type Looked = (ContainerId, Option<u64>);

/// What is known of the files of all containers. One thread looks at one after the other: a file system that does not
/// answer holds up that thread, the others are looked at by the next, and that container again when its look is over.
#[derive(Debug, Default)]
pub(super) struct KeepFiles {
    changed: BTreeMap<ContainerId, u64>,
    /// Looks that take long, each with what its thread saw before and in it.
    held_up: BTreeMap<ContainerId, JoinHandle<Vec<Looked>>>,
    /// Where the last pass ended.
    last: Option<ContainerId>,
}

impl KeepFiles {
    /// Looks through the eyes of one process of each container. What is known of others is forgotten.
    pub(super) async fn look(&mut self, witnesses: BTreeMap<ContainerId, i32>) {
        self.look_by(changed, witnesses).await;
    }

    async fn look_by(&mut self, look: fn(i32) -> Option<u64>, witnesses: BTreeMap<ContainerId, i32>) {
        let over: Vec<_> = self.held_up.extract_if(.., |_, looks| looks.is_finished()).collect();
        for (_, looks) in over {
            self.learn(looks.await.unwrap_or_default());
        }
        self.changed.retain(|id, _| witnesses.contains_key(id));
        let mut turns: Vec<_> =
            witnesses.into_iter().filter(|(id, _)| !self.held_up.contains_key(id)).collect();
        let first = turns.partition_point(|(id, _)| self.last.as_ref().is_some_and(|last| id <= last));
        turns.rotate_left(first);
        if !turns.is_empty() {
            self.take_turns(look, turns.into()).await;
        }
    }

    /// Looks at one after the other, as long as no look takes too long and all of them do not.
    async fn take_turns(&mut self, look: fn(i32) -> Option<u64>, turns: Arc<[(ContainerId, i32)]>) {
        let (done, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut looks = tokio::task::spawn_blocking({
            let (turns, done, enough) = (turns.clone(), done.clone(), enough.clone());
            move || {
                let due = turns.iter().take_while(|_| !enough.load(Ordering::Relaxed));
                let looked = due.map(|(id, pid)| {
                    let changed = look(*pid);
                    done.fetch_add(1, Ordering::Relaxed);
                    (id.clone(), changed)
                });
                looked.collect()
            }
        });
        let (until, mut before) = (Instant::now() + ALL_MAX, 0);
        loop {
            if let Ok(looked) = timeout(LOOK_MAX, &mut looks).await {
                return self.learn(looked.unwrap_or_default());
            }
            let now = done.load(Ordering::Relaxed);
            if now == before || Instant::now() >= until {
                enough.store(true, Ordering::Relaxed);
                self.held_up.extend(turns.get(now).map(|(id, _)| (id.clone(), looks)));
                return;
            }
            before = now;
        }
    }

    /// Takes what a thread saw.
    fn learn(&mut self, looked: Vec<Looked>) {
        for (id, changed) in looked {
            self.last = Some(id.clone());
            match changed {
                Some(at) => drop(self.changed.insert(id, at)),
                None => drop(self.changed.remove(&id)),
            }
        }
    }

    /// How long a container's file still holds, as far as is known.
    pub(super) fn holds_for(&self, id: &ContainerId) -> Option<Duration> {
        let age = Duration::from_millis(clock::wall_ms().saturating_sub(*self.changed.get(id)?));
        HOLDS.checked_sub(age)
    }
}

/// When the file in a process's root was last changed: wall time in milliseconds.
fn changed(pid: i32) -> Option<u64> {
    namespace::has_own_mounts(pid).then_some(())?;
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

    fn id(number: i32) -> ContainerId {
        ContainerId::new(&format!("{number:064x}")).unwrap()
    }

    fn witnesses(pids: std::ops::Range<i32>) -> BTreeMap<ContainerId, i32> {
        pids.map(|pid| (id(pid), pid)).collect()
    }

    fn known(files: &KeepFiles) -> Vec<i32> {
        (0..10).filter(|number| files.holds_for(&id(*number)).is_some()).collect()
    }

    #[tokio::test]
    async fn one_that_holds_up_is_passed_over_until_its_look_is_over() {
        static RELEASED: AtomicBool = AtomicBool::new(false);
        let third_hangs = |pid: i32| {
            while pid == 3 && !RELEASED.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            Some(clock::wall_ms())
        };
        let mut files = KeepFiles::default();
        files.look_by(third_hangs, witnesses(0..6)).await;
        assert_eq!(files.held_up.keys().cloned().collect::<Vec<_>>(), [id(3)]);
        files.look_by(third_hangs, witnesses(0..6)).await;
        assert_eq!(known(&files), [0, 1, 2, 4, 5]);
        RELEASED.store(true, Ordering::SeqCst);
        while !files.held_up.values().all(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        files.look_by(third_hangs, witnesses(0..6)).await;
        assert_eq!(known(&files), [0, 1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn what_is_gone_is_forgotten() {
        let mut files = KeepFiles::default();
        files.look_by(|_| Some(clock::wall_ms()), witnesses(0..4)).await;
        files.look_by(|pid| (pid != 2).then(clock::wall_ms), witnesses(1..4)).await;
        assert_eq!(known(&files), [1, 3]);
        files.look_by(|_| Some(clock::wall_ms() - 1000 * HOLDS.as_secs() - 1), witnesses(1..4)).await;
        assert_eq!(known(&files), [0_i32; 0], "touched more than a day ago");
    }

    #[test]
    fn a_root_without_the_file_asks_for_nothing() {
        let pid = i32::try_from(std::process::id()).unwrap();
        // No machine has it at its own root.
        assert_eq!(changed(pid), None);
    }
}
