//! The receipt of a binding: a root-only file that says which container was started with which units.
//!
//! The runtime writes it before it hands over, so that a binding which may be running always has one. `ds01d` reads
//! receipts when it recovers and removes each one when it has *looked* and released the binding. The runtime never
//! removes the receipt of a container that may have started: at `delete` nobody has yet looked whether the units are
//! free, and a runtime can be killed half-way, so the daemon has to cope with left-over receipts in any case.
//!
//! Receipts need to outlive processes, not the machine: after a reboot no container runs, and the boot id tells. So
//! they are renamed into place but not synced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::protocol::is_container_id;

/// The largest receipt that is read, in bytes.
pub const RECEIPT_BYTES_MAX: u64 = 64 * 1024;

const SUFFIX: &str = ".json";

/// What the runtime put into a container, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The container's full id.
    pub container: String,
    /// The grant's number.
    pub epoch: u64,
    /// The ids of the units.
    pub units: Vec<String>,
    /// `linux.cgroupsPath` of the bundle; empty when it had none.
    pub cgroups_path: String,
    /// The boot in which it was written (see [`boot_id`]); a receipt of another boot binds nothing.
    pub boot_id: String,
    /// Wall time in milliseconds since 1970, for telling, never for deciding.
    #[serde(default)]
    pub at: u64,
}

/// What a directory of receipts holds.
#[derive(Debug, Default)]
pub struct Receipts {
    /// The receipts that could be read, by container id.
    pub sound: Vec<Receipt>,
    /// Files that are named like a receipt but cannot be read as one, and why. They prove a binding without saying
    /// which: the container in the name must be looked at.
    pub damaged: Vec<(PathBuf, String)>,
}

/// The kernel's name for the current boot.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned())
}

fn file(dir: &Path, container: &str) -> io::Result<PathBuf> {
    if is_container_id(container) {
        Ok(dir.join(format!("{container}{SUFFIX}")))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{container:?} is not a container id")))
    }
}

/// Makes the directory if it is not there (mode 0700) and checks that nobody else can write in it.
///
/// # Errors
/// When it cannot be made, is not a directory, belongs to somebody else, or is open to others.
pub fn prepare(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let found = fs::symlink_metadata(dir)?;
    let own = nix::unistd::geteuid().as_raw();
    if !found.is_dir() || found.uid() != own || found.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is not a directory of root alone (mode 0700)", dir.display()),
        ));
    }
    Ok(())
}

/// Writes the container's receipt in place of an older one: whole or not at all, mode 0600.
///
/// # Errors
/// When the directory is not safe or the file cannot be written.
pub fn write(dir: &Path, receipt: &Receipt) -> io::Result<()> {
    prepare(dir)?;
    let place = file(dir, &receipt.container)?;
    let temporary = dir.join(format!(".{}.{}", receipt.container, std::process::id()));
    let text = serde_json::to_vec(receipt)?;
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&temporary)
        .and_then(|mut out| out.write_all(&text))
        .and_then(|()| fs::rename(&temporary, place));
    if written.is_err() {
        // The failure that is told is the first one; a left-over temporary file is not a receipt.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Removes the container's receipt if it is of this epoch or an older one. Returns whether a file was removed.
///
/// Call it before the container can be bound again: between the look and the removal a newer receipt would be lost.
///
/// # Errors
/// When the file is there and cannot be read or removed. A damaged receipt is removed.
pub fn remove(dir: &Path, container: &str, epoch: u64) -> io::Result<bool> {
    let place = file(dir, container)?;
    let newer = match read(&place) {
        Ok(receipt) => receipt.epoch > epoch,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => false,
        Err(error) => return Err(error),
    };
    if newer {
        return Ok(false);
    }
    fs::remove_file(place).map(|()| true)
}

/// Reads one container's receipt, if there is one.
///
/// # Errors
/// When it is there and cannot be read, or is not what was written: then it proves a binding without saying which.
pub fn read_one(dir: &Path, container: &str) -> io::Result<Option<Receipt>> {
    match read(&file(dir, container)?) {
        Ok(receipt) if receipt.container == container => Ok(Some(receipt)),
        Ok(receipt) => {
            let why = format!("names the container {}", receipt.container);
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads every receipt of the directory. A directory that is not there holds none.
///
/// # Errors
/// When the directory cannot be listed.
pub fn read_all(dir: &Path) -> io::Result<Receipts> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Receipts::default()),
        Err(error) => return Err(error),
    };
    let mut receipts = Receipts::default();
    for entry in entries {
        let path = entry?.path();
        let container =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(SUFFIX));
        let Some(container) = container.filter(|container| is_container_id(container)) else { continue };
        match read(&path) {
            Ok(receipt) if receipt.container == container => receipts.sound.push(receipt),
            Ok(receipt) => {
                let why = format!("names the container {}", receipt.container);
                receipts.damaged.push((path, why));
            }
            // Removed while we were reading: the binding was released, which is what an absent receipt says.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => receipts.damaged.push((path, error.to_string())),
        }
    }
    receipts.sound.sort_by(|left, right| left.container.cmp(&right.container));
    receipts.damaged.sort();
    Ok(receipts)
}

fn read(path: &Path) -> io::Result<Receipt> {
    let input = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
    read_from(input)
}

fn read_from(input: File) -> io::Result<Receipt> {
    let mut text = Vec::new();
    input.take(RECEIPT_BYTES_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A directory of its own for each test, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("ds01-receipt-{}-{number}", std::process::id()));
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn receipt(epoch: u64) -> Receipt {
        Receipt {
            container: "a".repeat(64),
            epoch,
            units: vec!["GPU-1".to_owned()],
            cgroups_path: "/ds01/a".to_owned(),
            boot_id: boot_id().unwrap(),
            at: 1,
        }
    }

    #[test]
    fn a_receipt_is_root_only_whole_and_replaced_by_the_next() {
        let dir = Scratch::new();
        assert!(read_all(&dir.0).unwrap().sound.is_empty(), "no directory, no receipts");
        write(&dir.0, &receipt(1)).unwrap();
        write(&dir.0, &receipt(2)).unwrap();
        assert_eq!(fs::metadata(&dir.0).unwrap().mode() & 0o777, 0o700);
        let names: Vec<_> = fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [format!("{}.json", "a".repeat(64)).as_str()], "one file, no left-overs");
        assert_eq!(fs::metadata(dir.0.join(&names[0])).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read_all(&dir.0).unwrap().sound, [receipt(2)]);
    }

    #[test]
    fn only_the_binding_that_ended_is_removed() {
        let dir = Scratch::new();
        let container = "a".repeat(64);
        write(&dir.0, &receipt(8)).unwrap();
        assert!(!remove(&dir.0, &container, 7).unwrap(), "a late removal leaves the newer binding");
        assert_eq!(read_all(&dir.0).unwrap().sound.len(), 1);
        assert!(remove(&dir.0, &container, 8).unwrap());
        assert!(!remove(&dir.0, &container, 8).unwrap(), "a second removal finds nothing");
        assert!(remove(&dir.0, "../../etc/passwd", 8).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_told_and_strangers_are_left_alone() {
        let dir = Scratch::new();
        write(&dir.0, &receipt(1)).unwrap();
        fs::write(dir.0.join(format!("{}.json", "b".repeat(64))), "{\"container\":").unwrap();
        fs::copy(
            dir.0.join(format!("{}.json", "a".repeat(64))),
            dir.0.join(format!("{}.json", "c".repeat(64))),
        )
        .unwrap();
        fs::write(dir.0.join("notes.json"), "x").unwrap();
        fs::write(dir.0.join(".half"), "x").unwrap();
        let all = read_all(&dir.0).unwrap();
        assert_eq!(all.sound.len(), 1);
        let damaged: Vec<_> = all.damaged.iter().map(|(path, _)| path.file_name().unwrap()).collect();
        assert_eq!(
            damaged,
            [format!("{}.json", "b".repeat(64)).as_str(), &format!("{}.json", "c".repeat(64))]
        );
        assert!(remove(&dir.0, &"b".repeat(64), 9).unwrap(), "a damaged receipt can be removed");
    }

    #[test]
    fn an_open_directory_is_refused() {
        let dir = Scratch::new();
        prepare(&dir.0).unwrap();
        fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(write(&dir.0, &receipt(1)).is_err());
    }
}
