//! The map of ids and the files it is made from, as text.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::path::{RootKind, beneath, clean};
use super::super::subid::range;
use super::super::userns::text;
use super::super::{
    BindRules, Credentials, Extent, IdMap, InvalidContainerUser, SubIdFault, SubIds, SubRange,
};
use super::{ALICE, LAB, subordinate};

fn alice(groups: &[u32]) -> Credentials {
    Credentials { uid: ALICE, gid: ALICE, groups: groups.to_vec(), home: PathBuf::from("/home/alice") }
}

fn shown(map: &IdMap) -> String {
    format!("uid\n{}gid\n{}", text(map.uids()), text(map.gids()))
}

#[test]
fn root_in_the_container_is_the_caller() {
    let map = IdMap::for_user(None, &alice(&[LAB]), SubIds::default()).unwrap();
    assert_eq!(shown(&map), "uid\n20001 0 1\ngid\n20001 0 1\n25000 25000 1\n");
}

#[test]
fn others_get_subordinate_ids_and_root_the_first_of_them() {
    let map = IdMap::for_user(Some((1000, 1000)), &alice(&[LAB]), subordinate()).unwrap();
    assert_eq!(
        shown(&map),
        "uid\n20001 1000 1\n1000000 0 1000\n1001001 1001 64535\n\
         gid\n20001 1000 1\n25000 25000 1\n2000000 0 1000\n2001001 1001 23999\n2025001 25001 40535\n"
    );
}

#[test]
fn himself_stays_himself() {
    let map = IdMap::for_user(Some((ALICE, ALICE)), &alice(&[]), subordinate()).unwrap();
    assert_eq!(map.uids()[0], Extent { disk: ALICE, inside: ALICE, count: 1 });
    assert_eq!(map.uids()[1], Extent { disk: 1_000_000, inside: 0, count: ALICE });
}

#[test]
fn a_group_of_his_as_the_container_s_group_is_itself() {
    let map = IdMap::for_user(Some((1000, LAB)), &alice(&[LAB]), SubIds::default()).unwrap();
    assert_eq!(text(map.gids()), "25000 25000 1\n20001 20001 1\n");
}

#[test]
fn the_host_s_root_group_is_never_kept() {
    let map = IdMap::for_user(None, &alice(&[0, 4]), SubIds::default()).unwrap();
    assert_eq!(text(map.gids()), "20001 0 1\n4 4 1\n");
}

#[test]
fn no_id_is_no_user() {
    assert_eq!(
        IdMap::for_user(Some((u32::MAX, 0)), &alice(&[]), SubIds::default()),
        Err(InvalidContainerUser)
    );
}

#[test]
fn only_himself_goes_without_translation() {
    let caller = alice(&[LAB]);
    assert!(IdMap::for_forced_user((ALICE, LAB), &caller).is_some_and(|map| map.is_same()));
    for other in [(0, 0), (ALICE, 0), (ALICE, 4), (1000, ALICE)] {
        assert_eq!(IdMap::for_forced_user(other, &caller), None);
    }
    let root = Credentials { uid: 0, gid: 0, groups: vec![], home: PathBuf::from("/root") };
    assert_eq!(IdMap::for_forced_user((0, 0), &root), None);
}

#[test]
fn ranges_are_read_by_name_and_by_number_and_believed_only_if_they_are_his_alone() {
    let file = "# comment\nbob:100000:65536\nalice:200000:65536\nalice:900000:10\n";
    assert_eq!(range(file, "alice", ALICE), Ok(SubRange::new(200_000, 65_536)));
    assert_eq!(range("20001:200000:65536", "alice", ALICE), Ok(SubRange::new(200_000, 65_536)));
    assert_eq!(range(file, "carol", 20_003), Ok(None));
    assert_eq!(range("alice:0:65536", "alice", ALICE), Err(SubIdFault::Range { line: 1 }));
    assert_eq!(range("alice:4294967295:2", "alice", ALICE), Err(SubIdFault::Range { line: 1 }));
    let fault = SubIdFault::Overlap { line: 2, other: "bob".to_owned() };
    assert_eq!(range("bob:100000:65536\nalice:165535:65536", "alice", ALICE), Err(fault));
    assert_eq!(range("alice:x:1\nalice::\nalice", "alice", ALICE), Ok(None));
}

#[test]
fn an_id_in_a_range_has_an_owner() {
    let owner = |uid| super::super::subordinate_owner("root:0:1000000\nbob:100000:65536\n", uid);
    assert_eq!(owner(100_000).as_deref(), Some("bob"));
    assert_eq!(owner(165_535).as_deref(), Some("bob"));
    assert_eq!((owner(165_536), owner(99_999), owner(0)), (None, None, None));
}

#[test]
fn paths_are_cleaned_as_the_engine_does() {
    let cleaned = |path: &str| clean(Path::new(path)).map(|path| path.display().to_string());
    assert_eq!(cleaned("/home/alice/../../etc").as_deref(), Some("/etc"));
    assert_eq!(cleaned("//home//alice/./ws/").as_deref(), Some("/home/alice/ws"));
    assert_eq!(cleaned("/../..").as_deref(), Some("/"));
    assert_eq!((cleaned("ws"), cleaned(""), cleaned("/a\0b")), (None, None, None));
    assert_eq!(cleaned(&format!("/{}", "a".repeat(5000))), None);
}

#[test]
fn the_innermost_root_counts() {
    let rules = BindRules {
        roots: vec!["/data".into(), "relative".into()],
        shares: vec!["/data/sets/".into(), "/home/alice".into()],
        ..BindRules::default()
    };
    let found =
        |path: &str| beneath(Path::new(path), &alice(&[]), &rules).map(|found| (found.kind, found.rest));
    assert_eq!(found("/data/x"), Some((RootKind::Root, "x".into())));
    assert_eq!(found("/data/sets/y/z"), Some((RootKind::Share, "y/z".into())));
    assert_eq!(found("/home/alice"), Some((RootKind::Home, ".".into())));
    assert_eq!((found("/home/alicex"), found("/")), (None, None));
}

proptest! {
    #[test]
    fn every_map_is_one_to_one_and_fits_the_kernel(
        container in proptest::option::of((0_u32..70_000, 0_u32..70_000)),
        uid in 1_u32..3_000_000,
        gid in 1_u32..3_000_000,
        groups in proptest::collection::vec(0_u32..70_000, 0..200),
        start in 65_536_u32..2_000_000,
        count in 1_u32..70_000,
    ) {
        let caller = Credentials { uid, gid, groups, home: PathBuf::new() };
        let sub = SubIds { uids: SubRange::new(start, count), gids: SubRange::new(start, count) };
        let map = IdMap::for_user(container, &caller, sub).unwrap();
        let (inside_uid, _) = container.unwrap_or((0, 0));
        let himself = Extent { disk: uid, inside: inside_uid, count: 1 };
        prop_assert!(map.uids().contains(&himself));
        prop_assert!(map.gids().iter().any(|extent| extent.disk == gid && extent.count == 1));
        for extents in [map.uids(), map.gids()] {
            prop_assert!(text(extents).len() < 4096);
            prop_assert!(extents.len() <= 340);
            let mut disk: Vec<_> = extents.iter().map(|extent| (extent.disk, extent.disk + extent.count)).collect();
            let mut inside: Vec<_> = extents.iter().map(|extent| (extent.inside, extent.inside + extent.count)).collect();
            for runs in [&mut disk, &mut inside] {
                runs.sort_unstable();
                prop_assert!(runs.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{:?}", runs);
            }
            // Nobody else's ids, root's least of all.
            prop_assert!(disk.first().is_some_and(|(from, _)| *from > 0));
        }
    }
}
