//! The system calls that `nix` does not carry, each behind a safe face.
//!
//! This is the only file of the daemon that speaks to the kernel in raw numbers. It decides nothing: it takes
//! borrowed descriptors, returns owned ones, and turns `-1` into [`io::Error`]. It must never change the
//! credentials of a thread that somebody else uses; what acts on "the calling thread" says so in its name.
#![expect(unsafe_code, reason = "raw system calls that nix lacks live here and nowhere else")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_long, c_void};

/// `CLONE_CLEAR_SIGHAND`, as the kernel has it: `libc` squeezes it into an `int`, where nothing of it is left.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// More groups than the kernel lets a process have (`NGROUPS_MAX`), so a longer answer is not believed.
const GROUPS_MAX: usize = 65_536;

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: c_long) -> io::Result<OwnedFd> {
    let raw = check(result)?;
    let fd = RawFd::try_from(raw).map_err(|_| io::Error::other("descriptor number out of range"))?;
    // SAFETY: the kernel has just handed this descriptor to us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The descriptors that the service manager handed over at our start, once; afterwards none. See `sd_listen_fds(3)`.
///
/// # Errors
/// Where what the environment says of them is no number.
pub(crate) fn handed_over() -> io::Result<Vec<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    let numbers = sd_notify::listen_fds()?;
    // SAFETY: the service manager opened these for this very process (it names its pid), and they are taken once.
    Ok(numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect())
}

/// Lets the process have as many open files as its hard limit says, and returns how many that is.
///
/// # Errors
/// What `prlimit(2)` says.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let limit_at: *mut libc::rlimit = &mut limit;
    let nothing = std::ptr::null::<libc::rlimit>();
    // SAFETY: process 0 is ourselves; the kernel writes one `rlimit` to a live one, and reads nothing.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, nothing, limit_at) })?;
    limit.rlim_cur = limit.rlim_max;
    let raised: *const libc::rlimit = &limit;
    let nowhere = std::ptr::null_mut::<libc::rlimit>();
    // SAFETY: as above; the kernel reads one live `rlimit`, and writes nothing.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, raised, nowhere) })?;
    Ok(limit.rlim_cur)
}

/// Sets the supplementary groups of the calling thread alone.
///
/// The C library's `setgroups` changes every thread of the process; this does not. Call it only on a thread that
/// is thrown away afterwards.
///
/// # Errors
/// What `setgroups(2)` says: `EPERM` without `CAP_SETGID`, `EINVAL` for too many groups.
pub(crate) fn set_groups_of_this_thread(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and the length describe one live slice of `gid_t`, which the kernel only reads.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// A detached, non-recursive copy of the mount below `at` (a descriptor of the directory or file itself).
///
/// # Errors
/// What `open_tree(2)` says: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` for a file of another mount namespace.
pub(crate) fn clone_mount(at: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH.cast_unsigned();
    // SAFETY: the path is a literal C string, the descriptor is borrowed for the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, at.as_raw_fd(), c"".as_ptr(), flags) })
}

fn set_mount_attributes(mount: BorrowedFd<'_>, attributes: &libc::mount_attr) -> io::Result<()> {
    // SAFETY: the structure is the kernel's own layout, its size is passed along, the kernel only reads it.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            std::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// Makes a detached mount show its owners through the maps of the user namespace `userns`.
///
/// # Errors
/// What `mount_setattr(2)` says: `EINVAL` where the file system cannot do it, `EPERM` where the mount is idmapped
/// already.
pub(crate) fn idmap_mount(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>) -> io::Result<()> {
    let userns_fd = u64::from(userns.as_raw_fd().cast_unsigned());
    set_mount_attributes(
        mount,
        &libc::mount_attr { attr_set: libc::MOUNT_ATTR_IDMAP, attr_clr: 0, propagation: 0, userns_fd },
    )
}

/// Makes a detached mount `nosuid`, `nodev`, private, and read-only if asked.
///
/// # Errors
/// What `mount_setattr(2)` says.
pub(crate) fn harden_mount(mount: BorrowedFd<'_>, read_only: bool) -> io::Result<()> {
    let attr_set = libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV
        | if read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
    set_mount_attributes(
        mount,
        &libc::mount_attr { attr_set, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 },
    )
}

/// Attaches a detached mount on the directory or file that `target` is.
///
/// # Errors
/// What `move_mount(2)` says: `ENOTDIR` where one is a directory and the other is not.
pub(crate) fn attach_mount(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both paths are literal C strings, both descriptors are borrowed for the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// What `statx(2)` tells about where a descriptor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It is the root of a mount.
    pub(crate) mount_root: bool,
    /// The number of its mount, as in `/proc/self/mountinfo`.
    pub(crate) mount_id: u64,
    /// No name leads to it any more.
    pub(crate) removed: bool,
}

/// Where the file behind `fd` stands among the mounts.
///
/// # Errors
/// What `statx(2)` says; `Unsupported` on a kernel that does not tell (before 5.8).
pub(crate) fn standing(fd: BorrowedFd<'_>) -> io::Result<Standing> {
    let mut found = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: `found` is a live buffer of the right type, the path is a literal C string.
    check(unsafe {
        c_long::from(libc::statx(
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT,
            libc::STATX_MNT_ID | libc::STATX_NLINK,
            found.as_mut_ptr(),
        ))
    })?;
    // SAFETY: the buffer was zeroed, which is a valid `statx`, and the kernel has filled it since.
    let found = unsafe { found.assume_init() };
    let root_bit = u64::from(libc::STATX_ATTR_MOUNT_ROOT.cast_unsigned());
    if found.stx_attributes_mask & root_bit == 0 || found.stx_mask & libc::STATX_MNT_ID == 0 {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    Ok(Standing {
        mount_root: found.stx_attributes & root_bit != 0,
        mount_id: found.stx_mnt_id,
        removed: found.stx_mask & libc::STATX_NLINK != 0 && found.stx_nlink == 0,
    })
}

/// A descriptor that stands for the process `pid`, and for no later one of the same number.
///
/// # Errors
/// `ESRCH` where there is no such process; what else `pidfd_open(2)` says.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: two integers go in, a descriptor (always close-on-exec) comes out.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Kills the process that `pidfd` stands for.
///
/// # Errors
/// `ESRCH` where it is gone; what else `pidfd_send_signal(2)` says.
pub(crate) fn pidfd_kill(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    let no_info = std::ptr::null::<c_void>();
    // SAFETY: the descriptor is borrowed for the call, and a null `siginfo` is what the call documents.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, no_info, 0) })
        .map(drop)
}

/// The supplementary groups that the peer of a Unix socket had when it connected (`SO_PEERGROUPS`).
///
/// # Errors
/// What `getsockopt(2)` says.
pub(crate) fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 64];
    loop {
        let mut bytes = libc::socklen_t::try_from(groups.len() * size_of::<u32>())
            .map_err(|_| io::Error::other("too many groups"))?;
        // SAFETY: `groups` is a live buffer of `bytes` bytes, and the kernel writes no more than that.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        // The kernel says the needed length in `bytes`, both on success and with ERANGE.
        let needed = bytes as usize / size_of::<u32>();
        match check(c_long::from(result)) {
            Ok(_) => {
                groups.truncate(needed);
                return Ok(groups);
            }
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && needed <= GROUPS_MAX => {
                groups.resize(needed.max(groups.len() + 1), 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The user namespace that owns `namespace`; `None` where that is outside our own.
///
/// # Errors
/// What `ioctl_ns(2)` says, `EPERM` (outside our own) excepted.
pub(crate) fn owning_user_namespace(namespace: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    // SAFETY: NS_GET_USERNS takes no argument and returns a new close-on-exec descriptor.
    inside(owned(c_long::from(unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_USERNS) })))
}

/// The namespace that encloses the pid or user namespace `namespace`; `None` where that is outside our own.
///
/// # Errors
/// What `ioctl_ns(2)` says, `EPERM` (outside our own, or none) excepted.
pub(crate) fn parent_namespace(namespace: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    // SAFETY: NS_GET_PARENT takes no argument and returns a new close-on-exec descriptor.
    inside(owned(c_long::from(unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_PARENT) })))
}

fn inside(found: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match found {
        Ok(namespace) => Ok(Some(namespace)),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(None),
        Err(error) => Err(error),
    }
}
/// A child process that sits in a user namespace of its own and does nothing.
///
/// It is killed and reaped when this is dropped. Should the daemon die first, the kernel kills it.
#[derive(Debug)]
pub(crate) struct UserNamespaceHolder {
    /// Its process id: valid while this lives, because nobody else can reap it.
    pub(crate) pid: i32,
    pidfd: OwnedFd,
}

impl UserNamespaceHolder {
    /// Starts the child. The caller writes its maps and opens its namespace.
    ///
    /// The child is a plain copy of this process (nothing is shared but the descriptor table, which it never
    /// touches), and makes three system calls in all: no allocation, no lock, no handler of ours. That is what makes
    /// it safe in a program with many threads.
    ///
    /// # Errors
    /// What `clone3(2)` says: `ENOSPC` at the limit of user namespaces, `EAGAIN` at the limit of processes.
    pub(crate) fn start() -> io::Result<Self> {
        let mut pidfd: c_int = -1;
        let flags = libc::CLONE_NEWUSER | libc::CLONE_FILES | libc::CLONE_PIDFD;
        let arguments = libc::clone_args {
            // Handlers are reset: a Ctrl-C on the daemon's terminal must not run tokio's handler in the child.
            flags: u64::from(flags.cast_unsigned()) | CLONE_CLEAR_SIGHAND,
            pidfd: std::ptr::from_mut(&mut pidfd) as u64,
            child_tid: 0,
            parent_tid: 0,
            // No signal at its end: nobody's SIGCHLD handling sees this child, and no `waitpid(-1)` reaps it.
            exit_signal: 0,
            stack: 0,
            stack_size: 0,
            tls: 0,
            set_tid: 0,
            set_tid_size: 0,
            cgroup: 0,
        };
        let parent = std::process::id();
        // SAFETY: no CLONE_VM, so the child runs on its own copy of this stack; it only makes system calls and
        // never returns from `hold`.
        let result = unsafe {
            libc::syscall(libc::SYS_clone3, std::ptr::from_ref(&arguments), size_of::<libc::clone_args>())
        };
        if result == 0 {
            hold(parent);
        }
        let pid = i32::try_from(check(result)?).map_err(|_| io::Error::other("process id out of range"))?;
        let pidfd = owned(c_long::from(pidfd))?;
        Ok(Self { pid, pidfd })
    }
}

/// The whole life of the child: die with the parent, else wait for the end.
fn hold(parent: u32) -> ! {
    // SAFETY: system calls with integer arguments in a process of our own; `_exit` runs no destructor.
    unsafe {
        libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if libc::syscall(libc::SYS_getppid) != c_long::from(parent) {
            libc::_exit(1);
        }
        loop {
            let nothing = std::ptr::null::<c_void>();
            libc::syscall(libc::SYS_ppoll, nothing, 0, nothing, nothing, 0);
        }
    }
}

impl Drop for UserNamespaceHolder {
    fn drop(&mut self) {
        use nix::sys::wait::{Id, WaitPidFlag, waitid};
        // An error here means that the child is gone already, which is what is wanted.
        let _ = pidfd_kill(self.pidfd.as_fd());
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::__WALL;
        while waitid(Id::PIDFd(self.pidfd.as_fd()), flags) == Err(nix::errno::Errno::EINTR) {}
    }
}
