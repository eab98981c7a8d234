//! Staging, tried out for real: these tests mount, so they need root and say so when they are passed over.

mod maps;
mod pinning;
mod repairs;
mod stages;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{BindRefusal, BindRules, Credentials, IdMap, Missing, Pinned, Stage, SubIds, SubRange, pin};

pub(super) const ALICE: u32 = 20_001;
pub(super) const BOB: u32 = 20_002;
pub(super) const LAB: u32 = 25_000;

/// Alice's home, a shared directory and a stage, on a disk; gone with all its mounts when dropped.
pub(super) struct Lab {
    pub(super) top: PathBuf,
    pub(super) stage: Stage,
    pub(super) alice: Credentials,
    pub(super) rules: BindRules,
}

impl Lab {
    /// `None`, with the reason printed, where there is no root.
    pub(super) fn new(test: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            eprintln!("{test}: passed over, it needs root");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let top = std::env::temp_dir().join(format!("ds01-{test}-{}-{number}", std::process::id()));
        let home = top.join("home/alice");
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(top.join("share/sets")).unwrap();
        for directory in ["", "home", "home/alice", "share", "share/sets"] {
            fs::set_permissions(top.join(directory), fs::Permissions::from_mode(0o755)).unwrap();
        }
        chown(&home, Some(ALICE), Some(ALICE)).unwrap();
        let alice = Credentials { uid: ALICE, gid: ALICE, groups: vec![LAB], home };
        let rules = BindRules { shares: vec![top.join("share")], ..BindRules::default() };
        let stage = Stage::open(&top).unwrap();
        Some(Self { top, stage, alice, rules })
    }

    pub(super) fn home(&self, rest: &str) -> PathBuf {
        self.alice.home.join(rest)
    }

    /// A directory that belongs to `uid`.
    pub(super) fn directory(&self, rest: &str, uid: u32, mode: u32) -> PathBuf {
        let path = self.top.join(rest);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(uid), Some(uid)).unwrap();
        path
    }

    /// A file that belongs to `uid` and `gid`.
    pub(super) fn file(&self, rest: &str, uid: u32, gid: u32, mode: u32) -> PathBuf {
        let path = self.top.join(rest);
        fs::write(&path, rest).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
        path
    }

    pub(super) fn pin(&self, path: impl AsRef<Path>) -> Result<Pinned, BindRefusal> {
        pin(&self.alice, path.as_ref(), Missing::Refuse, &self.rules)
    }

    pub(super) fn root_map(&self) -> IdMap {
        IdMap::for_user(None, &self.alice, SubIds::default()).unwrap()
    }

    pub(super) fn mounts(&self) -> usize {
        let below = format!(" {}/", self.top.display());
        fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .lines()
            .filter(|line| line.contains(&below))
            .count()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let cleared = self.stage.clear();
        let left = self.mounts();
        if left == 0 {
            // Nothing is mounted below, so this removes what the test made and nothing else.
            let _ = fs::remove_dir_all(&self.top);
        }
        if !std::thread::panicking() {
            cleared.unwrap();
            assert_eq!(left, 0, "mounts are left under {}", self.top.display());
        }
    }
}

pub(super) fn subordinate() -> SubIds {
    SubIds { uids: SubRange::new(1_000_000, 65_536), gids: SubRange::new(2_000_000, 65_536) }
}
