//! Whether a process really holds the other end of a Unix socket (`unix_diag`), for kernels that do not say so
//! themselves.
//!
//! It answers for one question of Linux before 6.5, where the number of a process that has ended since it connected may
//! be another process's by now. It must never answer yes without having seen the socket among the descriptors of that
//! process.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::sys::stat::fstat;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `UDIAG_SHOW_PEER`.
const SHOW_PEER: u32 = 4;
/// `UNIX_DIAG_PEER`.
const PEER: u16 = 2;
/// Length of a netlink header, of the question after it, and of the answer's own head, in bytes.
const HEADER: usize = 16;
const QUESTION: usize = 24;
const ANSWER: usize = 16;
/// An answer about one socket is some tens of bytes long.
const REPLY_BYTES_MAX: usize = 4096;

/// Whether process `pid` has the other end of `ours` among its descriptors.
pub(super) fn holds_other_end(ours: BorrowedFd<'_>, pid: i32) -> bool {
    let Ok(Some(theirs)) = other_end(ours) else { return false };
    let wanted = format!("socket:[{theirs}]");
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let is_wanted =
        |path: &std::path::Path| fs::read_link(path).is_ok_and(|found| found.as_os_str() == &*wanted);
    descriptors.flatten().any(|descriptor| is_wanted(&descriptor.path()))
}

/// The inode of the socket that `ours` is connected to.
fn other_end(ours: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let inode = u32::try_from(fstat(ours)?.st_ino).map_err(io::Error::other)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let netlink = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag)?;
    let mut netlink = File::from(netlink);
    // Addressed to nobody, a netlink message is for the kernel, which has answered when the write returns.
    netlink.write_all(&question(inode))?;
    let mut reply = [0; REPLY_BYTES_MAX];
    let length = netlink.read(&mut reply)?;
    Ok(peer_in(reply.get(..length).unwrap_or_default(), inode))
}

fn question(inode: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + QUESTION);
    message.extend(40_u32.to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    // Sequence and port: there is one question and one answer.
    message.extend([0; 8]);
    // Family AF_UNIX, protocol and padding; then the states (any), the socket, what to show, and no cookie.
    message.extend([1, 0, 0, 0]);
    for word in [u32::MAX, inode, SHOW_PEER, u32::MAX, u32::MAX] {
        message.extend(word.to_ne_bytes());
    }
    message
}

/// The peer that the answer about socket `inode` names. Anything else (an error message, another socket) names none.
fn peer_in(reply: &[u8], inode: u32) -> Option<u32> {
    let short = |at: usize| Some(u16::from_ne_bytes(reply.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_ne_bytes(reply.get(at..at + 4)?.try_into().ok()?));
    let end = reply.len().min(word(0)? as usize);
    if short(4)? != BY_FAMILY || word(HEADER + 4)? != inode {
        return None;
    }
    let mut at = HEADER + ANSWER;
    while at + 4 <= end {
        let (length, kind) = (usize::from(short(at)?), short(at + 2)?);
        if kind == PEER && length >= 8 {
            return word(at + 4);
        }
        // Each is padded to four bytes; none is shorter than its own head.
        at += length.max(4).next_multiple_of(4);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_holds_what_it_holds() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let me = std::process::id().cast_signed();
        let inode = fstat(&theirs).unwrap().st_ino;
        match other_end(ours.as_fd()) {
            Ok(found) => assert_eq!(found.map(u64::from), Some(inode)),
            Err(error) => {
                eprintln!("diag: passed over, this kernel has no unix_diag ({error})");
                return;
            }
        }
        assert!(holds_other_end(ours.as_fd(), me));
        let mut other = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        assert!(!holds_other_end(ours.as_fd(), other.id().cast_signed()));
        other.kill().unwrap();
        other.wait().unwrap();
        drop(theirs);
        assert!(!holds_other_end(ours.as_fd(), me));
    }

    #[test]
    fn rubbish_names_no_peer() {
        assert_eq!(peer_in(&[], 1), None);
        assert_eq!(peer_in(&[0; 64], 0), None);
        let mut reply = question(7);
        reply.resize(48, 0);
        for length in 0..reply.len() {
            let _ = peer_in(reply.get(..length).unwrap(), 7);
        }
    }
}
