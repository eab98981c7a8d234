//! Files that lie in a person's subordinate ids are given back; nobody else's are touched.

use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::AtomicBool;

use super::super::repair::{Repair, repair};
use super::*;

const START: u32 = 1_000_000;

fn ranges() -> SubIds {
    let range = SubRange::new(START, 65_536);
    SubIds { uids: range, gids: range }
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

#[test]
fn what_is_in_ones_own_range_and_nothing_else() {
    let Some(lab) = Lab::new("repair") else { return };
    let (sub, other) = (START + 33, START + 70_000);
    let deep = lab.directory("home/alice/deep", sub, 0o700);
    let file = lab.file("home/alice/deep/file", sub, sub, 0o600);
    let group = lab.file("home/alice/group", ALICE, sub, 0o664);
    let of_another_range = lab.file("home/alice/other", other, other, 0o600);
    let of_bob = lab.file("home/alice/bob", BOB, BOB, 0o600);
    lab.directory("home/alice/bobs", BOB, 0o777);
    let below_bob = lab.file("home/alice/bobs/file", sub, sub, 0o600);
    let outside = lab.file("share/sets/file", sub, sub, 0o600);
    symlink(&outside, lab.home("deep/link")).unwrap();
    let set_id = lab.file("home/alice/set-id", sub, sub, 0o6755);
    fs::set_permissions(&set_id, fs::Permissions::from_mode(0o6755)).unwrap();

    let run = |only_look| {
        repair(&lab.alice, ranges(), &lab.rules, &lab.alice.home, only_look, &AtomicBool::new(false)).unwrap()
    };
    let looked = run(true);
    assert_eq!((looked.changed, looked.failed), (4, 0), "{looked:?}");
    assert_eq!(owner(&file), (sub, sub), "a look changes nothing");
    assert_eq!(run(false), looked);
    for mine in [&deep, &file, &set_id] {
        assert_eq!(owner(mine), (ALICE, ALICE), "{}", mine.display());
    }
    assert_eq!(owner(&group), (ALICE, ALICE));
    assert_eq!(
        fs::metadata(&set_id).unwrap().mode() & 0o6000,
        0,
        "a set-id program is not hers with its bits"
    );
    assert_eq!(owner(&of_another_range), (other, other));
    assert_eq!(owner(&of_bob), (BOB, BOB));
    assert_eq!(owner(&below_bob), (sub, sub), "another's directory is not gone into");
    assert_eq!(owner(&outside), (sub, sub), "a link is not followed");
    assert_eq!(run(false).changed, 0, "a second time there is nothing to do");
}

#[test]
fn only_where_one_may_bind_and_no_longer_than_asked() {
    let Some(lab) = Lab::new("repair-where") else { return };
    lab.directory("home/bob", BOB, 0o755);
    let ended = AtomicBool::new(false);
    let refused = repair(&lab.alice, ranges(), &lab.rules, &lab.top.join("home/bob"), false, &ended);
    assert!(matches!(refused, Err(BindRefusal::Outside { .. })), "{refused:?}");
    let ended = AtomicBool::new(true);
    let broken_off = repair(&lab.alice, ranges(), &lab.rules, &lab.alice.home, false, &ended).unwrap();
    assert_eq!(broken_off, Repair::default());
}
