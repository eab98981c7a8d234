//! The verdict on where a process runs, from facts alone.

use super::super::place::{Inode, Ours, PidNamespace, Place, Proof, Whereabouts, verdict};
use super::container;

const OURS: Ours = Ours { pid: inode(1), user: inode(2) };

const fn inode(number: u64) -> Inode {
    Inode { device: 4, number }
}

/// Pid namespaces from the innermost to ours, each with the user namespace that it belongs to.
fn within(namespaces: &[(u64, u64)], cgroups: &[u64]) -> Whereabouts {
    let namespace = |(id, owner): &(u64, u64)| PidNamespace { id: inode(*id), owner: Some(inode(*owner)) };
    Whereabouts {
        pid_namespaces: namespaces.iter().map(namespace).collect(),
        cgroups: cgroups.iter().copied().map(inode).collect(),
        in_container: false,
    }
}

fn proof(digit: char, cgroup: u64, namespace: Option<u64>) -> Proof {
    Proof { id: container(digit), cgroups: vec![inode(cgroup)], pid_namespace: namespace.map(inode) }
}

#[test]
fn our_namespace_and_no_container_is_the_host() {
    assert_eq!(verdict(&OURS, &within(&[(1, 2)], &[]), &[]), Place::Host);
    assert_eq!(verdict(&OURS, &within(&[(1, 2)], &[50, 51]), &[proof('a', 99, Some(30))]), Place::Host);
}

#[test]
fn a_container_is_known_by_its_cgroup_or_its_pid_namespace() {
    let a = Place::Container(container('a'));
    let known = [proof('a', 50, Some(30))];
    assert_eq!(verdict(&OURS, &within(&[(30, 2), (1, 2)], &[40, 50]), &known), a);
    assert_eq!(verdict(&OURS, &within(&[(30, 2), (1, 2)], &[]), &known), a, "moved to another cgroup");
    assert_eq!(verdict(&OURS, &within(&[(1, 2)], &[40, 50, 60]), &known), a, "--pid=host, deeper cgroup");
    assert_eq!(verdict(&OURS, &within(&[(31, 9), (30, 2), (1, 2)], &[]), &known), a, "made inside");
}

#[test]
fn shared_pid_namespaces_are_told_apart_by_cgroup() {
    let known = [proof('a', 50, Some(30)), proof('b', 51, Some(30))];
    let peer = within(&[(30, 2), (1, 2)], &[51]);
    assert_eq!(verdict(&OURS, &peer, &known), Place::Container(container('b')));
}

#[test]
fn of_nested_containers_the_inner_one_counts() {
    let known = [proof('a', 50, Some(30)), proof('b', 55, Some(31))];
    let peer = within(&[(31, 2), (30, 2), (1, 2)], &[50, 55]);
    assert_eq!(verdict(&OURS, &peer, &known), Place::Container(container('b')));
}

#[test]
fn what_root_made_and_nobody_knows_is_unknown() {
    assert_eq!(verdict(&OURS, &within(&[(30, 2), (1, 2)], &[50]), &[]), Place::Unknown);
    assert_eq!(
        verdict(&OURS, &within(&[(31, 9), (30, 2), (1, 2)], &[50]), &[]),
        Place::Unknown,
        "a sandbox in it"
    );
    assert_eq!(verdict(&OURS, &within(&[], &[]), &[]), Place::Unknown);
    let host_pids = Whereabouts { in_container: true, ..within(&[(1, 2)], &[50]) };
    assert_eq!(verdict(&OURS, &host_pids, &[]), Place::Unknown, "--pid=host does not make it the host");
    assert_eq!(verdict(&OURS, &host_pids, &[proof('a', 50, None)]), Place::Container(container('a')));
    assert_eq!(verdict(&OURS, &within(&[(30, 2)], &[]), &[]), Place::Unknown, "not inside ours");
}

#[test]
fn what_a_user_made_for_himself_is_a_sandbox() {
    assert_eq!(verdict(&OURS, &within(&[(30, 9), (1, 2)], &[]), &[]), Place::Sandbox);
    assert_eq!(verdict(&OURS, &within(&[(31, 10), (30, 9), (1, 2)], &[]), &[]), Place::Sandbox);
    let mut ownerless = within(&[(30, 9), (1, 2)], &[]);
    ownerless.pid_namespaces[0].owner = None;
    assert_eq!(verdict(&OURS, &ownerless, &[]), Place::Unknown);
}
