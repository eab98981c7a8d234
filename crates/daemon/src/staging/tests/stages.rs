//! What a container finds on the stage, and what is left on the host.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ds01_domain::Token;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::sys::statvfs::{FsFlags, fstatvfs, statvfs};

use super::super::{Credentials, Door, IdMap, StageError, SubIds, as_caller, pin};
use super::{ALICE, BOB, LAB, Lab, Missing, subordinate};

fn token(digit: char) -> Token {
    Token::new(&digit.to_string().repeat(32)).unwrap()
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

/// Opens the staged directory as root, so that others may go on from there: as a container would.
fn enter(path: &Path) -> (OwnedFd, PathBuf) {
    let fd = OwnedFd::from(File::open(path).unwrap());
    let inside = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    (fd, inside)
}

fn as_container(uid: u32, gid: u32, groups: &[u32]) -> Credentials {
    Credentials { uid, gid, groups: groups.to_vec(), home: PathBuf::new() }
}

#[test]
fn what_container_root_makes_is_the_caller_s() {
    let Some(lab) = Lab::new("owner") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o700);
    lab.file("home/alice/ws/mine", ALICE, ALICE, 0o600);
    let staged = lab.stage.mount(&token('a'), 0, &lab.pin(&ws).unwrap(), &lab.root_map(), false).unwrap();
    fs::write(staged.join("made"), "by container root").unwrap();
    fs::create_dir(staged.join("dir")).unwrap();
    symlink("made", staged.join("link")).unwrap();
    for name in ["made", "dir", "link"] {
        assert_eq!(owner(&ws.join(name)), (ALICE, ALICE), "{name}");
        assert_eq!(owner(&staged.join(name)), (0, 0), "{name}");
    }
    assert_eq!(fs::read_to_string(staged.join("mine")).unwrap(), "home/alice/ws/mine");
    // Nobody's ids cannot be given away.
    let refused = chown(staged.join("made"), Some(1000), Some(1000)).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EOVERFLOW));
    assert_eq!(lab.mounts(), 1);
}

#[test]
fn a_swap_after_pinning_changes_nothing() {
    let Some(lab) = Lab::new("swap") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    lab.file("home/alice/ws/mine", ALICE, ALICE, 0o644);
    let pinned = lab.pin(&ws).unwrap();
    fs::rename(&ws, lab.home("ws.old")).unwrap();
    symlink("/etc", &ws).unwrap();
    let staged = lab.stage.mount(&token('a'), 0, &pinned, &lab.root_map(), false).unwrap();
    assert!(staged.join("mine").exists() && !staged.join("passwd").exists());
    // Nor does a swap after staging.
    fs::remove_file(&ws).unwrap();
    fs::rename(lab.home("ws.old"), lab.home("elsewhere")).unwrap();
    assert!(staged.join("mine").exists());
}

#[test]
fn other_people_s_files_stay_closed_to_container_root() {
    let Some(lab) = Lab::new("others") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    for (name, uid, gid, mode) in [
        ("bobs", BOB, BOB, 0o600),
        ("roots", 0, 0, 0o600),
        ("roots-in-her-group", 0, ALICE, 0o600),
        ("public", BOB, BOB, 0o644),
        ("lab", BOB, LAB, 0o640),
    ] {
        lab.file(&format!("home/alice/ws/{name}"), uid, gid, mode);
    }
    let staged = lab.stage.mount(&token('a'), 0, &lab.pin(&ws).unwrap(), &lab.root_map(), false).unwrap();
    for name in ["bobs", "roots", "roots-in-her-group"] {
        let refused = fs::read(staged.join(name)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{name}");
        assert!(
            fs::set_permissions(staged.join(name), fs::Permissions::from_mode(0o4777)).is_err(),
            "{name}"
        );
    }
    assert_eq!(owner(&staged.join("bobs")), (65_534, 65_534));
    assert!(fs::read(staged.join("public")).is_ok());
    assert!(fs::write(staged.join("public"), "x").is_err());
    // The lab's file is for who is in the lab, inside as outside.
    assert_eq!(owner(&staged.join("lab")), (65_534, LAB));
    let (_open, inside) = enter(&staged);
    let read = |groups: &[u32]| {
        let path = inside.join("lab");
        as_caller(&as_container(77, 77, groups), move || fs::read(path).is_ok()).unwrap()
    };
    assert!(read(&[LAB]));
    assert!(!read(&[]));
}

#[test]
fn other_people_s_directories_are_writable_only_without_the_power_to_chown() {
    let Some(mut lab) = Lab::new("foreign") else { return };
    lab.rules.roots.push(lab.top.join("data"));
    let data = lab.directory("data", 0, 0o1777);
    lab.directory("data/alice", ALICE, 0o755);
    lab.file("data/bobs", BOB, BOB, 0o600);
    let (map, one) = (lab.root_map(), token('a'));
    let pinned = lab.pin(&data).unwrap();
    assert!(pinned.is_foreign());
    let refused = lab.stage.mount(&one, 0, &pinned, &map, false).unwrap_err();
    assert!(matches!(refused, StageError::Foreign(_)), "{refused}");
    let read_only = lab.stage.mount(&one, 0, &pinned, &map, true).unwrap();
    assert!(chown(read_only.join("bobs"), Some(0), Some(0)).is_err());

    let writable = lab.stage.mount(&one, 1, &pinned.for_container_without_chown(), &map, false).unwrap();
    fs::write(writable.join("alice/made"), "x").unwrap();
    assert_eq!(owner(&data.join("alice/made")), (ALICE, ALICE));
    // Whoever may write there outside: the kernel lets nobody write to what has no owner inside.
    assert!(fs::write(writable.join("made"), "x").is_err());
    // This is why: the kernel lets whoever has CAP_CHOWN take what belongs to nobody he knows.
    let take = |capabilities: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", capabilities, "chown", "0:0"]).arg(writable.join("bobs"));
        command.output().map(|output| output.status.success())
    };
    let Ok(taken) = take("-chown") else {
        eprintln!("foreign: setpriv is not there, so the rest is passed over");
        return;
    };
    assert!(!taken);
    assert_eq!(owner(&data.join("bobs")), (BOB, BOB));
    assert!(take("-mknod").unwrap());
    assert_eq!(owner(&data.join("bobs")), (ALICE, ALICE));
}

#[test]
fn a_fixed_user_is_the_caller_and_root_the_first_subordinate_id() {
    let Some(lab) = Lab::new("fixed") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    let map = IdMap::for_user(Some((1000, 1000)), &lab.alice, subordinate()).unwrap();
    let staged = lab.stage.mount(&token('a'), 0, &lab.pin(&ws).unwrap(), &map, false).unwrap();
    let (_open, inside) = enter(&staged);
    let path = inside.join("by-vscode");
    as_caller(&as_container(1000, 1000, &[]), move || fs::write(path, "x")).unwrap().unwrap();
    assert_eq!(owner(&ws.join("by-vscode")), (ALICE, ALICE));
    // Root in the container has no power over the directory's owner's group, but over files all the same.
    fs::write(staged.join("by-root"), "x").unwrap();
    assert_eq!(owner(&ws.join("by-root")), (1_000_000, 2_000_000));
    chown(staged.join("by-root"), Some(33), Some(34)).unwrap();
    assert_eq!(owner(&ws.join("by-root")), (1_000_033, 2_000_034));
    chown(staged.join("by-root"), Some(1000), Some(1000)).unwrap();
    assert_eq!(owner(&ws.join("by-root")), (ALICE, ALICE));
}

#[test]
fn himself_is_himself() {
    let Some(lab) = Lab::new("himself") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o700);
    let map = IdMap::for_user(Some((ALICE, ALICE)), &lab.alice, SubIds::default()).unwrap();
    let staged = lab.stage.mount(&token('a'), 0, &lab.pin(&ws).unwrap(), &map, false).unwrap();
    let (_open, inside) = enter(&staged);
    let path = inside.join("mine");
    as_caller(&as_container(ALICE, ALICE, &[]), move || fs::write(path, "x")).unwrap().unwrap();
    assert_eq!((owner(&ws.join("mine")), owner(&staged.join("mine"))), ((ALICE, ALICE), (ALICE, ALICE)));
    // Without a range, root is nobody there.
    let refused = fs::write(staged.join("by-root"), "x").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EOVERFLOW));
}

#[test]
fn set_user_id_and_devices_are_dead() {
    let Some(lab) = Lab::new("dead") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    fs::copy("/usr/bin/id", ws.join("id")).unwrap();
    chown(ws.join("id"), Some(ALICE), Some(ALICE)).unwrap();
    fs::set_permissions(ws.join("id"), fs::Permissions::from_mode(0o6755)).unwrap();
    mknod(&ws.join("null"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), nix::sys::stat::makedev(1, 3))
        .unwrap();
    let staged = lab.stage.mount(&token('a'), 0, &lab.pin(&ws).unwrap(), &lab.root_map(), false).unwrap();
    let flags = statvfs(&staged).unwrap().flags();
    assert!(flags.contains(FsFlags::ST_NOSUID | FsFlags::ST_NODEV) && !flags.contains(FsFlags::ST_RDONLY));

    let run = |path: &Path| {
        use std::os::unix::process::CommandExt;
        let file = File::open(path).unwrap();
        let output = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .arg("-u")
            .uid(BOB)
            .gid(BOB)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(run(&ws.join("id")), ALICE.to_string(), "the control: on the host it works");
    assert_eq!(run(&staged.join("id")), BOB.to_string());

    assert!(File::open(ws.join("null")).is_ok(), "the control: on the host it opens");
    let refused = File::open(staged.join("null")).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn read_only_and_shares_cannot_be_written() {
    let Some(lab) = Lab::new("readonly") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    let file = lab.file("home/alice/notes", ALICE, ALICE, 0o600);
    let share = lab.top.join("share/sets");
    fs::set_permissions(&share, fs::Permissions::from_mode(0o777)).unwrap();
    let map = lab.root_map();
    for (slot, path, read_only) in [(0, &ws, true), (1, &file, true), (2, &share, false)] {
        let pinned = lab.pin(path).unwrap();
        let staged = lab.stage.mount(&token('a'), slot, &pinned, &map, read_only).unwrap();
        let target = if staged.is_dir() { staged.join("new") } else { staged };
        assert_eq!(fs::write(target, "x").unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    }
}

#[test]
fn a_single_file_is_staged_as_a_file() {
    let Some(lab) = Lab::new("file") else { return };
    let file = lab.file("home/alice/notes", ALICE, ALICE, 0o600);
    let staged = lab.stage.mount(&token('a'), 0, &lab.pin(&file).unwrap(), &lab.root_map(), false).unwrap();
    fs::write(&staged, "written inside").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "written inside");
    assert_eq!((owner(&staged), owner(&file)), ((0, 0), (ALICE, ALICE)));
    lab.stage.unmount(&token('a')).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "written inside");
}

#[test]
fn the_door_works_on_the_stage() {
    let Some(mut lab) = Lab::new("stagedoor") else { return };
    let socket = lab.top.join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    lab.rules.door = Some(Door { names: vec!["/var/run/docker.sock".into()], socket });
    let pinned = lab.pin("/var/run/docker.sock").unwrap();
    for (slot, read_only) in [(0, false), (1, true)] {
        let staged = lab.stage.mount(&token('a'), slot, &pinned, &lab.root_map(), read_only).unwrap();
        let _connected = UnixStream::connect(&staged).unwrap();
        listener.accept().unwrap();
    }
}

#[test]
fn only_root_reaches_the_stage_and_slots_are_taken_once() {
    let Some(lab) = Lab::new("slots") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    let (pinned, map, one) = (lab.pin(&ws).unwrap(), lab.root_map(), token('a'));
    assert!(!lab.stage.is_mounted(&one, 0));
    let staged = lab.stage.mount(&one, 0, &pinned, &map, false).unwrap();
    assert_eq!(staged, lab.stage.path(&one, 0));
    assert!(lab.stage.is_mounted(&one, 0) && !lab.stage.is_mounted(&one, 1));
    let again = lab.stage.mount(&one, 0, &pinned, &map, false).unwrap_err();
    assert!(matches!(again, StageError::Occupied(_)), "{again}");
    assert_eq!(lab.mounts(), 1);
    let path = staged.clone();
    assert!(as_caller(&lab.alice, move || fs::read_dir(path).is_err()).unwrap());
    lab.stage.mount(&one, 7, &pinned, &map, true).unwrap();
    lab.stage.mount(&token('b'), 0, &pinned, &map, true).unwrap();
    // As after a reboot: the places are there, the mounts are not.
    umount2(&staged, MntFlags::MNT_DETACH).unwrap();
    let listed = lab.stage.list().unwrap();
    let listed: Vec<_> = listed.iter().map(|staged| (&staged.token, staged.slot, staged.mounted)).collect();
    let (a, b) = (token('a'), token('b'));
    assert_eq!(listed, [(&a, 0, false), (&a, 7, true), (&b, 0, true)]);
    // Staged again, of the other kind even.
    let file = lab.file("home/alice/notes", ALICE, ALICE, 0o600);
    lab.stage.mount(&one, 0, &lab.pin(file).unwrap(), &map, false).unwrap();
    lab.stage.unmount(&a).unwrap();
    lab.stage.unmount(&a).unwrap();
    assert_eq!(lab.stage.list().unwrap().len(), 1);
    lab.stage.clear().unwrap();
    assert_eq!((lab.stage.list().unwrap(), lab.mounts()), (vec![], 0));
    assert!(ws.exists());
}

#[test]
fn what_was_removed_since_is_known_and_can_be_staged_anew() {
    let Some(lab) = Lab::new("gone") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    let (map, one) = (lab.root_map(), token('a'));
    lab.stage.mount(&one, 0, &lab.pin(&ws).unwrap(), &map, false).unwrap();
    assert!(!lab.stage.is_gone(&one, 0) && !lab.stage.is_gone(&one, 1));
    fs::remove_dir(&ws).unwrap();
    assert!(lab.stage.is_gone(&one, 0));
    // Another of the same name is another one.
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    assert!(lab.stage.is_gone(&one, 0));
    lab.stage.unmount(&one).unwrap();
    lab.stage.mount(&one, 0, &lab.pin(&ws).unwrap(), &map, false).unwrap();
    assert!(!lab.stage.is_gone(&one, 0));
}

#[test]
fn unmounting_goes_on_past_failures_and_removes_nothing_of_the_user_s() {
    let Some(lab) = Lab::new("unmount") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    lab.file("home/alice/ws/mine", ALICE, ALICE, 0o644);
    let (pinned, map, one) = (lab.pin(&ws).unwrap(), lab.root_map(), token('a'));
    for slot in 0..4 {
        lab.stage.mount(&one, slot, &pinned, &map, false).unwrap();
    }
    // A busy mount, a mount on a mount, and something that is not ours in the way.
    let busy = File::open(lab.stage.path(&one, 1).join("mine")).unwrap();
    let stacked = lab.stage.path(&one, 2);
    mount(Some(&ws), &stacked, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let in_the_way = lab.stage.path(&one, 99);
    fs::create_dir_all(in_the_way.join("full")).unwrap();
    let failure = lab.stage.unmount(&one).unwrap_err();
    assert!(failure.to_string().starts_with("cannot clear "), "{failure}");
    assert_eq!(lab.mounts(), 0);
    drop(busy);
    fs::remove_dir(in_the_way.join("full")).unwrap();
    lab.stage.unmount(&one).unwrap();
    assert!(!lab.stage.path(&one, 0).parent().unwrap().exists());
    assert_eq!(fs::read_to_string(ws.join("mine")).unwrap(), "home/alice/ws/mine");
}

#[test]
fn what_cannot_be_translated_is_not_staged() {
    let Some(lab) = Lab::new("ramfs") else { return };
    let disk = lab.directory("home/alice/disk", ALICE, 0o755);
    mount(Some("none"), &disk, Some("ramfs"), MsFlags::empty(), None::<&str>).unwrap();
    chown(&disk, Some(ALICE), Some(ALICE)).unwrap();
    let pinned = lab.pin(&disk);
    let result = pinned.as_ref().map(|pinned| {
        let refused = lab.stage.mount(&token('a'), 0, pinned, &lab.root_map(), false);
        let forced = IdMap::for_forced_user((ALICE, ALICE), &lab.alice).unwrap();
        let same = lab.stage.mount(&token('a'), 0, pinned, &forced, false);
        (refused, same, lab.stage.clear())
    });
    umount2(&disk, MntFlags::MNT_DETACH).unwrap();
    let (refused, same, cleared) = result.unwrap();
    cleared.unwrap();
    assert!(matches!(refused, Err(StageError::CannotIdmap { file_system: "ramfs", .. })), "{refused:?}");
    assert!(same.is_ok());
}

#[test]
fn a_stage_that_is_not_root_s_alone_is_refused() {
    let Some(lab) = Lab::new("unsafe") else { return };
    let binds = lab.top.join("binds");
    fs::set_permissions(&binds, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(super::Stage::open(&lab.top), Err(StageError::Unsafe(_))));
    fs::set_permissions(&binds, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&binds, Some(ALICE), None).unwrap();
    assert!(matches!(super::Stage::open(&lab.top), Err(StageError::Unsafe(_))));
    chown(&binds, Some(0), None).unwrap();
    assert!(super::Stage::open(&lab.top).is_ok());
}

#[test]
fn the_largest_map_is_accepted_by_the_kernel() {
    let Some(mut lab) = Lab::new("largest") else { return };
    lab.alice.groups = (0..200).map(|n| 30_000 + 2 * n).collect();
    let map = IdMap::for_user(Some((1000, 1000)), &lab.alice, subordinate()).unwrap();
    assert!(map.gids().len() > 120);
    lab.stage.mount(&token('a'), 0, &lab.pin(lab.home("")).unwrap(), &map, false).unwrap();
}

#[test]
fn many_stages_are_quick_and_leave_nothing() {
    const MANY: u32 = 200;
    let Some(lab) = Lab::new("many") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    let start = Instant::now();
    lab.stage.mount(&token('f'), 0, &lab.pin(&ws).unwrap(), &lab.root_map(), false).unwrap();
    let first = start.elapsed();
    let start = Instant::now();
    let pinned: Vec<_> =
        (0..MANY).map(|_| pin(&lab.alice, &ws, Missing::Create, &lab.rules).unwrap()).collect();
    let pinning = start.elapsed() / MANY;
    let start = Instant::now();
    for (slot, pinned) in (0..).zip(&pinned) {
        lab.stage.mount(&token('a'), slot, pinned, &lab.root_map(), false).unwrap();
    }
    let mounting = start.elapsed() / MANY;
    assert_eq!(lab.mounts(), 201);
    let start = Instant::now();
    assert_eq!(lab.stage.list().unwrap().len(), 201);
    let listing = start.elapsed();
    let start = Instant::now();
    lab.stage.unmount(&token('a')).unwrap();
    let unmounting = start.elapsed() / MANY;
    assert_eq!(lab.mounts(), 1);
    eprintln!(
        "first bind with a new map {first:?}; then per bind: pin {pinning:?}, mount {mounting:?}, unmount {unmounting:?}; \
         list of 201 {listing:?}"
    );
    let open = File::open(lab.stage.path(&token('f'), 0)).unwrap();
    assert!(fstatvfs(&open).unwrap().flags().contains(FsFlags::ST_NOSUID));
}

#[test]
fn no_process_is_left_from_making_maps() {
    let Some(lab) = Lab::new("children") else { return };
    let ws = lab.directory("home/alice/ws", ALICE, 0o755);
    let pinned = lab.pin(&ws).unwrap();
    for uid in 0..20 {
        let map = IdMap::for_user(Some((uid, uid)), &lab.alice, SubIds::default()).unwrap();
        lab.stage.mount(&token('a'), uid, &pinned, &map, false).unwrap();
    }
    // Only children of this test's own making could be in a user namespace other than ours.
    let ours = fs::read_link("/proc/self/ns/user").unwrap();
    let task = format!("/proc/self/task/{}/children", nix::unistd::gettid());
    for child in fs::read_to_string(task).unwrap().split_whitespace() {
        let theirs = fs::read_link(format!("/proc/{child}/ns/user"));
        assert!(theirs.is_err() || theirs.unwrap() == ours, "child {child} is left");
    }
}
