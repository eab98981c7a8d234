//! Which file systems may be bound, by the number that `fstatfs(2)` gives. Pure but for one look at `/dev`.
//!
//! It answers for the list. It must never judge a file system by the path that it is mounted on.

use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

/// A file system as far as staging cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileSystem {
    /// Its name as in `/proc/filesystems`, or "an unknown file system".
    pub(super) name: &'static str,
    /// Whether anything of it may be bound.
    pub(super) bindable: bool,
}

/// File systems that are windows into the kernel, or that name what is not a file. Never bound.
const KERNEL: [(u32, &str); 24] = [
    (0x0000_9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x0000_1cd1, "devpts"),
    (0x6e73_6673, "nsfs"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0xcafe_4a11, "bpf"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x4341_5d53, "smackfs"),
    (0x5a3c_69f0, "apparmorfs"),
    (0xde5e_81e4, "efivarfs"),
    (0x6265_6570, "configfs"),
    (0x4249_4e4d, "binfmt_misc"),
    (0x6165_676c, "pstore"),
    (0x1980_0202, "mqueue"),
    (0x6573_5543, "fusectl"),
    (0x5049_4446, "pidfs"),
    (0x5345_434d, "secretmem"),
    (0x0765_5821, "resctrl"),
    (0x0000_0187, "autofs"),
    (0x6e62_6673, "binder"),
];

/// File systems that hold people's files, for their names.
const ORDINARY: [(u32, &str); 20] = [
    (0x0000_ef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0x794c_7630, "overlay"),
    (0x0000_6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb3"),
    (0x6573_5546, "fuse"),
    (0x00c3_6400, "ceph"),
    (0x0bd0_0bd0, "lustre"),
    (0x1983_0326, "beegfs"),
    (0x4750_4653, "gpfs"),
    (0x0102_1997, "9p"),
    (0x8584_58f6, "ramfs"),
    (0x9584_58f6, "hugetlbfs"),
    (0x7371_7368, "squashfs"),
    (0x0000_4d44, "vfat"),
];

/// The file system behind the number of `fstatfs(2)`.
pub(super) fn known(magic: u32) -> FileSystem {
    let named = |list: &[(u32, &'static str)]| {
        list.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
    };
    if let Some(name) = named(&KERNEL) {
        return FileSystem { name, bindable: false };
    }
    FileSystem { name: named(&ORDINARY).unwrap_or("an unknown file system"), bindable: true }
}

/// The file system that `fd` lies on, whose device number is `device`.
///
/// # Errors
/// What `fstatfs(2)` says.
pub(super) fn of(fd: BorrowedFd<'_>, device: u64) -> std::io::Result<FileSystem> {
    let found = nix::sys::statfs::fstatfs(fd)?;
    // The numbers are 32 bits wide; the field is as wide as the platform likes, and signed.
    #[expect(clippy::cast_possible_truncation, reason = "the kernel's numbers are 32 bits wide")]
    #[expect(clippy::cast_sign_loss, reason = "the kernel's numbers are unsigned")]
    let magic = found.filesystem_type().0 as u32;
    // devtmpfs calls itself tmpfs: only its device number gives it away.
    if std::fs::metadata("/dev").is_ok_and(|dev| dev.dev() == device)
        && std::fs::metadata("/").is_ok_and(|root| root.dev() != device)
    {
        return Ok(FileSystem { name: "devtmpfs", bindable: false });
    }
    Ok(known(magic))
}
