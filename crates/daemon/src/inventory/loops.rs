//! Loop block devices: the system calls, and nothing that decides.
//!
//! It must never touch a device that is not bound to a file of this daemon's, or to none.
#![expect(unsafe_code, reason = "the loop driver is driven by ioctl alone")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

const CONTROL: &str = "/dev/loop-control";
const LOOP_SET_FD: libc::Ioctl = 0x4C00;
const LOOP_CLR_FD: libc::Ioctl = 0x4C01;
const LOOP_CTL_ADD: libc::Ioctl = 0x4C80;
const LOOP_CTL_REMOVE: libc::Ioctl = 0x4C81;

/// The first index that is tried: what people mount has low ones.
const INDEX_MIN: u32 = 1000;
/// Indices that are tried before giving up; every lab on the machine has some of them.
const INDICES_MAX: u32 = 8192;
/// What the name of a backing file begins with in `/sys`.
const MEMFD: &str = "/memfd:";

/// The loop driver.
#[derive(Debug)]
pub(super) struct Driver {
    control: File,
}

/// One loop device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    /// `N` of `/dev/loopN`. The minor differs where the driver makes partitions.
    pub(super) index: u32,
    pub(super) major: u32,
    pub(super) minor: u32,
}

/// What a loop device reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// There is no such device.
    NoDevice,
    /// Nothing.
    Nothing,
    /// A file in memory of this name.
    Memory(String),
    /// Somebody's file.
    Foreign,
}

/// One ioctl with a whole number for an argument.
fn ioctl(fd: BorrowedFd<'_>, request: libc::Ioctl, argument: i32) -> io::Result<i32> {
    // SAFETY: all requests of this module take an int by value, so no memory is read or written; `fd` is open.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, libc::c_long::from(argument)) };
    Errno::result(result).map_err(io::Error::from)
}

impl Driver {
    /// Opens the driver, which loads it where it is a module.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { control: OpenOptions::new().read(true).write(true).open(CONTROL)? })
    }

    fn control(&self, request: libc::Ioctl, index: u32) -> io::Result<i32> {
        let index = i32::try_from(index).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        ioctl(self.control.as_fd(), request, index)
    }

    /// Makes a device of its own number, from `from` up, bound read-only to an empty file in memory of this name.
    ///
    /// Bound, because an unbound one may be picked by the next `mount -o loop`: what is mounted there would be a
    /// container's to read.
    pub(super) fn add(&self, from: u32, name: &str) -> io::Result<Loop> {
        let from = from.max(INDEX_MIN);
        for index in from..from.saturating_add(INDICES_MAX) {
            match self.control(LOOP_CTL_ADD, index) {
                Ok(_) => {}
                // Another lab's, or somebody's.
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => continue,
                Err(error) => return Err(error),
            }
            let bound = bind(index, name);
            if bound.is_err() {
                let _ = self.control(LOOP_CTL_REMOVE, index);
            }
            return bound;
        }
        Err(io::Error::other(format!("all loop devices from {from} to {} are taken", from + INDICES_MAX)))
    }

    /// Lets go of the file and takes the device away. Busy as long as somebody has it open.
    pub(super) fn remove(&self, index: u32) -> io::Result<()> {
        if matches!(backing(index), Backing::Memory(_)) {
            let device = open(&numbers(index)?)?;
            match let_go(&device) {
                Err(error) if error.raw_os_error() != Some(libc::ENXIO) => return Err(error),
                _ => {}
            }
        }
        self.control(LOOP_CTL_REMOVE, index)?;
        // Where no devtmpfs takes the node away, this does.
        let _ = std::fs::remove_file(node(index));
        Ok(())
    }
}

/// Takes the file away from a device: at once, or when the last who has it open closes it.
pub(super) fn let_go(device: &impl AsFd) -> io::Result<()> {
    ioctl(device.as_fd(), LOOP_CLR_FD, 0).map(drop)
}

fn node(index: u32) -> PathBuf {
    format!("/dev/loop{index}").into()
}

/// What the device reads from.
pub(super) fn backing(index: u32) -> Backing {
    let device = PathBuf::from(format!("/sys/block/loop{index}"));
    if !device.exists() {
        return Backing::NoDevice;
    }
    match std::fs::read_to_string(device.join("loop/backing_file")) {
        Ok(path) => match path.trim_end().strip_prefix(MEMFD) {
            Some(name) => Backing::Memory(name.trim_end_matches(" (deleted)").to_owned()),
            None => Backing::Foreign,
        },
        Err(_) => Backing::Nothing,
    }
}

/// Every loop device and what it reads from.
pub(super) fn all() -> io::Result<Vec<(u32, Backing)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/sys/block")? {
        let name = entry?.file_name();
        if let Some(index) = name.to_str().and_then(|n| n.strip_prefix("loop")).and_then(|n| n.parse().ok()) {
            found.push((index, backing(index)));
        }
    }
    Ok(found)
}

/// The numbers of a device.
pub(super) fn numbers(index: u32) -> io::Result<Loop> {
    let text = std::fs::read_to_string(format!("/sys/block/loop{index}/dev"))?;
    let pair = text
        .trim()
        .split_once(':')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let (major, minor) =
        pair.ok_or_else(|| io::Error::other(format!("loop{index} has no numbers: {text:?}")))?;
    Ok(Loop { index, major, minor })
}

/// Opens a device for reading; makes its node where nobody else does.
fn open(device: &Loop) -> io::Result<OwnedFd> {
    let path = node(device.index);
    let read = || OpenOptions::new().read(true).open(&path).map(OwnedFd::from);
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let number = makedev(device.major.into(), device.minor.into());
            mknod(&path, SFlag::S_IFBLK, Mode::S_IRUSR | Mode::S_IWUSR, number)?;
            read()
        }
        opened => opened,
    }
}

/// Binds a device to an empty file in memory. It is opened for reading alone, so the driver marks it read-only.
pub(super) fn bind(index: u32, name: &str) -> io::Result<Loop> {
    let device = numbers(index)?;
    let empty = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
    let node = open(&device)?;
    ioctl(node.as_fd(), LOOP_SET_FD, empty.as_raw_fd())?;
    Ok(device)
}
