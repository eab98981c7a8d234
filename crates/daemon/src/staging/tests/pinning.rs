//! What may be pinned, and what may not, whatever is done to the path.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::{Mode, SFlag, mknod};

use super::super::{Credentials, Door, Kind, Missing, as_caller, pin};
use super::{ALICE, BOB, Lab};

fn inode(pinned: &super::Pinned) -> u64 {
    nix::sys::stat::fstat(pinned.fd.as_fd()).unwrap().st_ino
}

#[test]
fn a_home_and_what_is_in_it() {
    let Some(lab) = Lab::new("home") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    let file = lab.file("home/alice/notes", ALICE, ALICE, 0o600);
    for (path, kind) in [(lab.home(""), Kind::Directory), (ws, Kind::Directory), (file, Kind::File)] {
        let pinned = lab.pin(&path).unwrap();
        assert_eq!((pinned.kind(), inode(&pinned)), (kind, fs::metadata(&path).unwrap().ino()));
        assert!(!pinned.read_only() && !pinned.created());
    }
    let pinned = lab.pin(lab.home("./ws/../ws//")).unwrap();
    assert_eq!(pinned.path(), lab.home("ws"));
}

#[test]
fn outside_is_outside() {
    let Some(lab) = Lab::new("outside") else { return };
    lab.directory("home/bob", BOB, 0o755);
    for path in ["/", "/etc", "/etc/shadow", "/root", "/proc/self/root/etc", "/var/run/docker.sock"] {
        assert_eq!(lab.pin(path).unwrap_err().code(), "bind.outside", "{path}");
    }
    for path in ["..", "../bob", "../../../../../../etc", "ws/../../bob"] {
        assert_eq!(lab.pin(lab.home(path)).unwrap_err().code(), "bind.outside", "{path}");
    }
    let refusal = lab.pin("etc").unwrap_err();
    assert_eq!((refusal.code(), refusal.status()), ("bind.path", 400));
    let text = lab.pin("/etc").unwrap_err().to_string();
    assert!(text.starts_with("you may not bind /etc; you may bind what lies under "), "{text}");
}

#[test]
fn links_that_stay_are_followed_and_links_that_leave_are_not() {
    let Some(lab) = Lab::new("links") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    lab.directory("home/alice/ws/deep", ALICE, 0o755);
    lab.directory("home/bob", BOB, 0o755);
    symlink("ws", lab.home("relative")).unwrap();
    symlink(&ws, lab.home("absolute")).unwrap();
    symlink(lab.top.join("share"), lab.home("shared")).unwrap();
    symlink("/etc", lab.home("etc")).unwrap();
    symlink("../../../../../../../etc", lab.home("up")).unwrap();
    symlink("../bob", lab.home("bob")).unwrap();
    symlink("/proc/self/root/etc", lab.home("magic")).unwrap();
    symlink("/proc/self/fd/0", lab.home("fd")).unwrap();
    symlink("nowhere", lab.home("dangling")).unwrap();
    symlink("/proc/1", lab.home("proc")).unwrap();

    for (path, target) in
        [("relative", "ws"), ("absolute", "ws"), ("relative/deep", "ws/deep"), ("absolute/deep", "ws/deep")]
    {
        let pinned = lab.pin(lab.home(path)).unwrap();
        assert_eq!(inode(&pinned), fs::metadata(lab.home(target)).unwrap().ino(), "{path}");
        assert_eq!(pinned.path(), lab.home(path));
    }
    let shared = lab.pin(lab.home("shared/sets")).unwrap();
    assert!(shared.read_only(), "what is reached by a link into a share is a share");
    for path in ["etc", "etc/ssl", "up", "bob", "magic", "fd", "proc", "proc/root"] {
        assert_eq!(lab.pin(lab.home(path)).unwrap_err().code(), "bind.link", "{path}");
    }
    assert_eq!(lab.pin(lab.home("dangling")).unwrap_err().code(), "bind.missing");
}

#[test]
fn what_the_caller_cannot_reach_he_cannot_bind() {
    let Some(mut lab) = Lab::new("reach") else { return };
    lab.rules.roots.push(lab.top.join("data"));
    lab.directory("data", 0, 0o755);
    lab.directory("data/bob", BOB, 0o700);
    lab.directory("data/bob/inner", BOB, 0o777);
    assert_eq!(lab.pin(lab.top.join("data/bob/inner")).unwrap_err().code(), "bind.permission");
    // The directory itself can be bound, as its owner could be asked for; what is in it stays closed (see stages).
    assert!(lab.pin(lab.top.join("data/bob")).is_ok());
    symlink("data", lab.top.join("data-link")).unwrap();
    lab.rules.denied.push(lab.top.join("data-link/bob"));
    assert_eq!(lab.pin(lab.top.join("data/bob")).unwrap_err().code(), "bind.denied");
    symlink("../../data/bob", lab.home("bob")).unwrap();
    assert_eq!(lab.pin(lab.home("bob")).unwrap_err().code(), "bind.denied");
}

#[test]
fn a_home_that_is_not_his_opens_nothing() {
    let Some(mut lab) = Lab::new("nohome") else { return };
    for home in ["/", "/bin", "/nonexistent", "/proc"] {
        lab.alice.home = PathBuf::from(home);
        assert_eq!(lab.pin("/bin/sh").unwrap_err().code(), "bind.outside");
        assert_eq!(lab.pin("/proc/1").unwrap_err().code(), "bind.outside");
        assert_eq!(lab.pin("/nonexistent").unwrap_err().code(), "bind.outside");
    }
}

#[test]
fn windows_into_the_kernel_are_refused_even_to_root() {
    let Some(lab) = Lab::new("kernel") else { return };
    let mut rules = lab.rules.clone();
    rules.roots.push(PathBuf::from("/"));
    let root = Credentials { uid: 0, gid: 0, groups: vec![], home: PathBuf::from("/root") };
    for path in
        ["/proc", "/proc/1", "/proc/sys/kernel/core_pattern", "/sys", "/sys/kernel", "/dev", "/dev/pts"]
    {
        for who in [&root, &lab.alice] {
            let refusal = pin(who, Path::new(path), Missing::Create, &rules).unwrap_err();
            assert_eq!(refusal.code(), "bind.file-system", "{path}: {refusal}");
        }
    }
    assert!(pin(&root, Path::new("/etc"), Missing::Refuse, &rules).is_ok());
}

#[test]
fn only_directories_and_files() {
    let Some(lab) = Lab::new("kinds") else { return };
    let _socket = UnixListener::bind(lab.home("socket")).unwrap();
    mknod(&lab.home("fifo"), SFlag::S_IFIFO, Mode::S_IRWXU, 0).unwrap();
    mknod(&lab.home("null"), SFlag::S_IFCHR, Mode::S_IRWXU, nix::sys::stat::makedev(1, 3)).unwrap();
    mknod(&lab.home("disk"), SFlag::S_IFBLK, Mode::S_IRWXU, nix::sys::stat::makedev(7, 999)).unwrap();
    let refused = |name: &str| lab.pin(lab.home(name)).unwrap_err().to_string();
    for (name, kind) in
        [("socket", "socket"), ("fifo", "named pipe"), ("null", "character device"), ("disk", "block device")]
    {
        assert!(
            refused(name).contains(&format!(" is a {kind}; only directories and regular files")),
            "{name}"
        );
    }
}

#[test]
fn a_missing_source_is_made_as_the_caller_or_named() {
    let Some(mut lab) = Lab::new("missing") else { return };
    let path = lab.home("new/deep/down");
    let refusal = lab.pin(&path).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            path.display()
        )
    );
    assert_eq!(refusal.status(), 400);
    let pinned = pin(&lab.alice, &path, Missing::Create, &lab.rules).unwrap();
    assert!(pinned.created());
    for made in ["new", "new/deep", "new/deep/down"] {
        let found = fs::metadata(lab.home(made)).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (ALICE, ALICE, 0o755), "{made}");
    }
    // Not where the caller may not write, not in a share, not through a dangling link, not without end.
    lab.directory("data", 0, 0o755);
    lab.rules.roots.push(lab.top.join("data"));
    symlink("/etc/evil", lab.home("dangling")).unwrap();
    symlink("nowhere", lab.home("nowhere-yet")).unwrap();
    let deep = lab.home(&"d/".repeat(100));
    for (path, code) in [
        (lab.top.join("data/new"), "bind.create"),
        (lab.top.join("share/new"), "bind.missing"),
        (lab.home("dangling"), "bind.link"),
        (lab.home("nowhere-yet"), "bind.create"),
        (deep, "bind.create"),
    ] {
        let refusal = pin(&lab.alice, &path, Missing::Create, &lab.rules).unwrap_err();
        assert_eq!(refusal.code(), code, "{}: {refusal}", path.display());
    }
    assert!(
        !Path::new("/etc/evil").exists() && !lab.home("d").exists() && !lab.top.join("share/new").exists()
    );
}

#[test]
fn the_door_and_no_other_socket() {
    let Some(mut lab) = Lab::new("door") else { return };
    let socket = lab.top.join("docker.sock");
    let names = vec![socket.clone(), PathBuf::from("/var/run/docker.sock")];
    lab.rules.door = Some(Door { names, socket: socket.clone() });
    assert_eq!(lab.pin("/var/run/docker.sock").unwrap_err().code(), "bind.door");
    let _listener = UnixListener::bind(&socket).unwrap();
    for path in [socket.as_path(), Path::new("/var/run/../run/docker.sock")] {
        let pinned = lab.pin(path).unwrap();
        assert_eq!((pinned.kind(), inode(&pinned)), (Kind::Door, fs::metadata(&socket).unwrap().ino()));
    }
    assert_eq!(lab.pin("/var/run/containerd.sock").unwrap_err().code(), "bind.outside");
}

#[test]
fn whoever_swaps_while_we_look_gains_nothing() {
    let Some(lab) = Lab::new("race") else { return };
    lab.directory("home/alice/ws", ALICE, 0o755);
    symlink("/etc", lab.home("evil")).unwrap();
    let (good, etc) = (fs::metadata(lab.home("ws")).unwrap().ino(), fs::metadata("/etc").unwrap().ino());
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (stop, one, other) = (Arc::clone(&stop), lab.home("ws"), lab.home("evil"));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        })
    };
    let (mut pinned, mut refused) = (0, 0);
    for _ in 0..2000 {
        match lab.pin(lab.home("ws")) {
            Ok(found) => {
                assert_ne!(inode(&found), etc);
                assert_eq!(inode(&found), good);
                pinned += 1;
            }
            Err(refusal) => {
                assert!(["bind.link", "bind.missing"].contains(&refusal.code()), "{refusal}");
                refused += 1;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    eprintln!("race: {pinned} pinned, {refused} refused");
}

#[test]
fn the_helper_thread_has_the_caller_s_rights_and_only_it() {
    let Some(lab) = Lab::new("rights") else { return };
    let secret = lab.file("secret", 0, 0, 0o600);
    let shared = lab.file("shared", BOB, super::LAB, 0o640);
    let path = secret.clone();
    let read = as_caller(&lab.alice, move || fs::read(path).map_err(|error| error.kind())).unwrap();
    assert_eq!(read, Err(std::io::ErrorKind::PermissionDenied));
    assert!(as_caller(&lab.alice, move || fs::read(shared)).unwrap().is_ok());
    let mut text = String::new();
    fs::File::open(secret).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "secret", "this thread is still root");
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let ids = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    assert_eq!(ids.split_whitespace().skip(1).collect::<Vec<_>>(), ["0"; 4]);
    let fault = as_caller(&lab.alice, || panic!("as it must")).unwrap_err();
    assert!(matches!(fault, super::super::CallerFault::Panicked));
    let _ = fs::set_permissions(lab.top.join("share"), fs::Permissions::from_mode(0o755));
}
