//! `.keep-alive` in a workspace: a container's owner asks that idleness be passed over for a while.
//!
//! It is looked at inside the container, where the workspace is whatever the user made it: the same file that he sees
//! on the host. Its time is that of its last change, which nobody can set, not the one that `touch -d` writes.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ds01_domain::ContainerId;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstat};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
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
    /// Looks that take long, each with the thread's word when it is over.
    held_up: BTreeMap<ContainerId, UnboundedReceiver<Looked>>,
    /// Where the last pass ended.
    last: Option<ContainerId>,
}

impl KeepFiles {
    /// Looks through the eyes of one process of each container. What is known of others is forgotten.
    pub(super) async fn look(&mut self, witnesses: BTreeMap<ContainerId, i32>) {
        self.look_by(changed, witnesses).await;
    }

    async fn look_by(&mut self, look: fn(i32) -> Option<u64>, witnesses: BTreeMap<ContainerId, i32>) {
        self.hear_the_late();
        self.changed.retain(|id, _| witnesses.contains_key(id));
        let mut turns: Vec<_> =
            witnesses.into_iter().filter(|(id, _)| !self.held_up.contains_key(id)).collect();
        let first = turns.partition_point(|(id, _)| self.last.as_ref().is_some_and(|last| id <= last));
        turns.rotate_left(first);
        let until = Instant::now() + ALL_MAX;
        while !turns.is_empty() && Instant::now() < until {
            let came_to = self.take_turns(look, turns.clone(), until).await;
            turns.drain(..came_to);
        }
    }

    /// Takes what was seen in looks that took long.
    fn hear_the_late(&mut self) {
        let mut heard = Vec::new();
        self.held_up.retain(|_, told| match told.try_recv() {
            Ok(looked) => {
                heard.push(looked);
                false
            }
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Disconnected) => false,
        });
        heard.into_iter().for_each(|looked| self.learn(looked));
    }

    /// Looks at one after the other until one takes too long, or all of them do; how many it came to.
    async fn take_turns(
        &mut self,
        look: fn(i32) -> Option<u64>,
        turns: Vec<(ContainerId, i32)>,
        until: Instant,
    ) -> usize {
        let ids: Vec<ContainerId> = turns.iter().map(|(id, _)| id.clone()).collect();
        let (tell, mut told) = unbounded_channel();
        let enough = Arc::new(AtomicBool::new(false));
        let heard_enough = enough.clone();
        tokio::task::spawn_blocking(move || {
            for (id, pid) in turns {
                let looked = (id, look(pid));
                if tell.send(looked).is_err() || heard_enough.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for (came_to, id) in ids.iter().enumerate() {
            match timeout(LOOK_MAX, told.recv()).await {
                Ok(Some(looked)) => self.learn(looked),
                // It panicked.
                Ok(None) => return came_to + 1,
                Err(_) => {
                    enough.store(true, Ordering::Relaxed);
                    self.held_up.insert(id.clone(), told);
                    return came_to + 1;
                }
            }
            if Instant::now() >= until {
                // The channel is closed with this: nobody hears of one more look.
                return came_to + 1;
            }
        }
        ids.len()
    }

    /// Takes what a thread saw.
    fn learn(&mut self, (id, changed): Looked) {
        self.last = Some(id.clone());
        match changed {
            Some(at) => drop(self.changed.insert(id, at)),
            None => drop(self.changed.remove(&id)),
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
        let mut passes = 0;
        while known(&files) != [0, 1, 2, 4, 5] && passes < 50 {
            files.look_by(third_hangs, witnesses(0..6)).await;
            passes += 1;
        }
        assert!(passes < 50 && files.held_up.contains_key(&id(3)), "{:?} are known", known(&files));
        RELEASED.store(true, Ordering::SeqCst);
        while !files.held_up.is_empty() {
            files.hear_the_late();
            tokio::task::yield_now().await;
        }
        assert_eq!(known(&files), [0, 1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn a_pass_that_takes_too_long_is_gone_on_with_where_it_ended() {
        // Each takes half of what a look may take that is waited for.
        let slow = |_: i32| {
            std::thread::sleep(LOOK_MAX / 2);
            Some(clock::wall_ms())
        };
        let mut files = KeepFiles::default();
        let all = witnesses(0..30);
        files.look_by(slow, all.clone()).await;
        assert!(files.changed.len() < all.len(), "so many do not fit into a pass");
        let mut passes = 1;
        while files.changed.len() < all.len() && passes < 9 {
            files.look_by(slow, all.clone()).await;
            passes += 1;
        }
        assert_eq!(files.changed.len(), all.len(), "after {passes} passes");
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
