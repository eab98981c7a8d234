//! How much room a directory takes on the disk, counted as `du` counts and no longer than somebody would wait.
//!
//! It must never follow a link, nor leave the file system on which it began.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Longest count of one directory; what is known by then is told as "at least".
const COUNT_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a count tells how far it is.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// The unit in which the kernel counts what a file takes.
const BLOCK_BYTES: u64 = 512;

/// What a directory takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Disk {
    /// On the disk, holes not counted.
    pub(crate) bytes: u64,
    /// Files, directories and links.
    pub(crate) files: u64,
    /// Whether that is all: false where the time was over or something could not be looked at.
    pub(crate) complete: bool,
    /// What lies directly in it, largest first.
    pub(crate) parts: Vec<Part>,
}

/// Something that lies directly in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    /// Its name.
    pub(crate) name: String,
    /// With everything below it.
    pub(crate) bytes: u64,
}

/// Counts what lies in `directory`; `tell` hears now and then how far that is.
pub(super) fn count(directory: &Path, mut tell: impl FnMut(&Disk)) -> Disk {
    let mut count = Count {
        begun: Instant::now(),
        told: Instant::now(),
        device: None,
        linked: HashSet::new(),
        disk: Disk { complete: true, ..Disk::default() },
    };
    let Ok(root) = fs::symlink_metadata(directory) else {
        return Disk::default();
    };
    count.device = Some(root.dev());
    count.disk.bytes = root.blocks() * BLOCK_BYTES;
    let entries = count.entries(directory);
    for (path, metadata) in entries {
        let before = count.disk.bytes;
        count.add(path.clone(), &metadata, &mut tell);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        count.disk.parts.push(Part { name, bytes: count.disk.bytes - before });
    }
    count.disk.parts.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    count.disk
}

struct Count {
    begun: Instant,
    told: Instant,
    device: Option<u64>,
    /// Files with several names that were counted already.
    linked: HashSet<u64>,
    disk: Disk,
}

impl Count {
    /// Adds a file, or a directory with all that is below.
    fn add(&mut self, path: PathBuf, metadata: &fs::Metadata, tell: &mut impl FnMut(&Disk)) {
        let mut below = vec![(path, metadata.clone())];
        while let Some((path, metadata)) = below.pop() {
            if self.device != Some(metadata.dev()) {
                continue;
            }
            self.disk.files += 1;
            if metadata.is_dir() || metadata.nlink() == 1 || self.linked.insert(metadata.ino()) {
                self.disk.bytes += metadata.blocks() * BLOCK_BYTES;
            }
            if self.begun.elapsed() > COUNT_TIME_MAX {
                self.disk.complete = false;
                return;
            }
            if self.told.elapsed() > TELL_EVERY {
                tell(&self.disk);
                self.told = Instant::now();
            }
            if metadata.is_dir() {
                below.extend(self.entries(&path));
            }
        }
    }

    /// What lies in a directory. What cannot be looked at is passed over, and the count is not complete then.
    fn entries(&mut self, directory: &Path) -> Vec<(PathBuf, fs::Metadata)> {
        let Ok(entries) = fs::read_dir(directory) else {
            self.disk.complete = false;
            return Vec::new();
        };
        let look = |entry: fs::DirEntry| Some((entry.path(), fs::symlink_metadata(entry.path()).ok()?));
        entries.flatten().filter_map(look).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_two_names_counts_once_and_links_lead_nowhere() {
        let directory = nix::unistd::mkdtemp(&std::env::temp_dir().join("ds01-disk.XXXXXX")).unwrap();
        fs::create_dir_all(directory.join("data/raw")).unwrap();
        fs::write(directory.join("data/raw/a"), vec![1; 300_000]).unwrap();
        fs::hard_link(directory.join("data/raw/a"), directory.join("data/b")).unwrap();
        fs::write(directory.join("small"), "x").unwrap();
        std::os::unix::fs::symlink("/usr", directory.join("usr")).unwrap();
        let disk = count(&directory, |_| {});
        fs::remove_dir_all(&directory).unwrap();
        assert!(disk.complete, "{disk:?}");
        assert!((300_000..400_000).contains(&disk.bytes), "{disk:?}");
        assert_eq!(disk.files, 6, "{disk:?}");
        assert_eq!(disk.parts[0].name, "data");
        assert_eq!(disk.parts.len(), 3);
        assert!(disk.parts[0].bytes >= 300_000, "{disk:?}");
    }

    #[test]
    fn what_is_not_there_is_not_complete() {
        assert_eq!(count(Path::new("/nonexistent/x"), |_| {}), Disk::default());
    }
}
