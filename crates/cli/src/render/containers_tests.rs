//! What a user sees of his containers.

use ds01_api::{ContainerKind, DataMount, Waiting};
use expect_test::expect;

use super::super::plain;
use super::*;

fn slice() -> UnitRef {
    UnitRef {
        id: "MIG-1".to_owned(),
        address: "1:1".to_owned(),
        model: "NVIDIA A100-SXM4-80GB".to_owned(),
        profile: Some("2g.20gb".to_owned()),
        memory_mib: 20_480,
        weight_milli: 286,
    }
}

fn container(project: &str, state: ContainerState) -> Container {
    Container {
        id: "ab".repeat(32),
        name: format!("{project}._.alice"),
        project: Some(project.to_owned()),
        owner: "alice".to_owned(),
        mine: true,
        kind: ContainerKind::Ds01,
        state,
        exit_code: None,
        image: format!("ds01-alice/{project}:latest"),
        units: vec![],
        want: Some("1 GPU".to_owned()),
        waiting: None,
        workspace: Some(format!("/home/alice/workspace/{project}")),
        created: 1_800_000_000,
        age_seconds: 7900,
        state_seconds: Some(7800),
    }
}

fn four() -> ContainerList {
    let place = Waiting {
        position: 1,
        of: 3,
        reason: "all units are held".to_owned(),
        holders: vec![],
        waited_seconds: 5,
        left_seconds: 175,
    };
    let running = Container { units: vec![slice()], ..container("my-project", ContainerState::Running) };
    let waiting = Container { waiting: Some(place), ..container("exp-a", ContainerState::Waiting) };
    let stopped = Container { exit_code: Some(137), ..container("old", ContainerState::Stopped) };
    let plain = Container {
        name: "web".to_owned(),
        project: None,
        image: "nginx".to_owned(),
        want: None,
        kind: ContainerKind::Docker,
        ..container("web", ContainerState::Running)
    };
    ContainerList { containers: vec![running, waiting, stopped, plain], hidden: 1 }
}

fn made() -> Deployed {
    Deployed {
        id: "ab".repeat(32),
        name: "my-project._.alice".to_owned(),
        project: "my-project".to_owned(),
        image: "ds01-alice/my-project:latest".to_owned(),
        gpus: 1,
        workspace: "/home/alice/workspace/my-project".to_owned(),
        workspace_created: true,
        data: vec![DataMount { source: "/srv/imagenet".to_owned(), target: "/data".to_owned() }],
        state: ContainerState::Created,
        reused: false,
        replaced: false,
        dry_run: false,
        outlook: None,
        warnings: vec![],
    }
}

#[test]
fn a_list() {
    expect![[r#"
        NAME                 PROJECT      STATUS                     GPU           IMAGE                          CREATED
        my-project._.alice   my-project   running 2 h 10 min         1:1 2g.20gb   ds01-alice/my-project:latest   2 h 11 min ago
        exp-a._.alice        exp-a        waiting, 1 of 3            (1 GPU)       ds01-alice/exp-a:latest        2 h 11 min ago
        old._.alice          old          stopped (137) 2 h 10 min   (1 GPU)       ds01-alice/old:latest          2 h 11 min ago
        web                  -            running 2 h 10 min         -             nginx                          2 h 11 min ago
        and 1 stopped container: container list --all
    "#]].assert_eq(&plain(&list(&four(), None)));
    expect![[r#"
        NAME                 PROJECT      STATUS                     GPU
        my-project._.alice   my-project   running 2 h 10 min         1:1 2g.20gb
        exp-a._.alice        exp-a        waiting, 1 of 3            (1 GPU)
        old._.alice          old          stopped (137) 2 h 10 min   (1 GPU)
        web                  -            running 2 h 10 min         -
        and 1 stopped container: container list --all
    "#]]
    .assert_eq(&plain(&list(&four(), Some(80))));
    expect![[r#"
        NAME         STATUS          GPU
        my-project   running 2 h …   1:1 2g.20gb
        exp-a        waiting, 1 o…   (1 GPU)
        old          stopped (137…   (1 GPU)
        web          running 2 h …   -
        and 1 stopped container: container list --all
    "#]]
    .assert_eq(&plain(&list(&four(), Some(40))));
}

#[test]
fn an_admin_sees_whose_they_are() {
    let mut all = four();
    all.containers[1].mine = false;
    all.containers[1].owner = "bob".to_owned();
    all.hidden = 0;
    expect![[r#"
        NAME                 PROJECT      USER    STATUS                     GPU           IMAGE                          CREATED
        my-project._.alice   my-project   alice   running 2 h 10 min         1:1 2g.20gb   ds01-alice/my-project:latest   2 h 11 min ago
        exp-a._.alice        exp-a        bob     waiting, 1 of 3            (1 GPU)       ds01-alice/exp-a:latest        2 h 11 min ago
        old._.alice          old          alice   stopped (137) 2 h 10 min   (1 GPU)       ds01-alice/old:latest          2 h 11 min ago
        web                  -            alice   running 2 h 10 min         -             nginx                          2 h 11 min ago
    "#]].assert_eq(&plain(&list(&all, None)));
}

#[test]
fn an_empty_list() {
    expect![[r#"
        There are no containers.
          container deploy my-project --open   makes one
    "#]]
    .assert_eq(&plain(&list(&ContainerList { containers: vec![], hidden: 0 }, None)));
    expect![[r#"
        No container is running.
        and 2 stopped containers: container list --all
    "#]]
    .assert_eq(&plain(&list(&ContainerList { containers: vec![], hidden: 2 }, None)));
}

#[test]
fn colour_marks_the_state() {
    let one = ContainerList { containers: four().containers.drain(..1).collect(), hidden: 0 };
    assert!(list(&one, None).contains("\u{1b}[32mrunning 2 h 10 min\u{1b}[0m"));
}

#[test]
fn a_deploy() {
    expect![[r#"
        my-project is running.
          image      ds01-alice/my-project:latest
          GPU        1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB)
          workspace  /home/alice/workspace/my-project → /workspace (made just now)
          data       /srv/imagenet → /data, read-only

          container attach my-project   open a shell in it
          container retire my-project   stop, remove, free the GPU
    "#]]
    .assert_eq(&plain(&deployed(&made(), &[slice()], false)));
    let cpu = Deployed { gpus: 0, reused: true, workspace_created: false, data: vec![], ..made() };
    expect![[r#"
        my-project was running already.
          image      ds01-alice/my-project:latest
          GPU        none
          workspace  /home/alice/workspace/my-project → /workspace

          container attach my-project   open a shell in it
          container retire my-project   stop and remove
    "#]]
    .assert_eq(&plain(&deployed(&cpu, &[], true)));
}

#[test]
fn a_dry_run() {
    let outlook = Some("a GPU is free: it would start at once".to_owned());
    expect![[r#"
        my-project would be made and started.
          image      ds01-alice/my-project:latest
          GPU        1, chosen at the start
          workspace  /home/alice/workspace/my-project → /workspace (would be made)
          data       /srv/imagenet → /data, read-only
          now        a GPU is free: it would start at once
        Nothing was changed.
    "#]]
    .assert_eq(&plain(&deployed(&Deployed { dry_run: true, outlook, ..made() }, &[], false)));
    let headlines: Vec<String> = [(false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(reused, alive)| {
            let state = if alive { ContainerState::Running } else { ContainerState::Stopped };
            let answer = Deployed { dry_run: true, reused, replaced: !reused, state, ..made() };
            plain(&deployed(&answer, &[], false)).lines().next().unwrap().to_owned()
        })
        .collect();
    expect![[r#"
        my-project would be removed and made anew.
        my-project is there: it would be started again.
        my-project is running: nothing would be done."#]]
    .assert_eq(&headlines.join("\n"));
}

#[test]
fn a_stop() {
    let running = Container { units: vec![slice()], ..container("my-project", ContainerState::Running) };
    expect![[r#"
        my-project is stopped; GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB) is free for others.
          container run my-project      start it again
          container retire my-project   remove it, too
    "#]]
    .assert_eq(&plain(&stopped(&running, &[slice()], true)));
    expect![[r#"
        old was not running.
    "#]]
    .assert_eq(&plain(&stopped(&container("old", ContainerState::Stopped), &[], false)));
    expect![[r#"
        exp-a does not wait any more.
    "#]]
    .assert_eq(&plain(&stopped(&container("exp-a", ContainerState::Waiting), &[], false)));
}

#[test]
fn a_retirement() {
    let answer = Retired {
        name: "my-project._.alice".to_owned(),
        project: Some("my-project".to_owned()),
        stopped: true,
        released: vec![slice()],
        workspace: Some("/home/alice/workspace/my-project".to_owned()),
        image: Some("ds01-alice/my-project:latest".to_owned()),
    };
    expect![[r#"
        my-project is stopped and removed; GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB) is free.
          safe  /home/alice/workspace/my-project (your files)
          safe  ds01-alice/my-project:latest (the image)
          container deploy my-project   makes it again
    "#]]
    .assert_eq(&plain(&retired(&answer)));
    let bare =
        Retired { project: None, stopped: false, released: vec![], workspace: None, image: None, ..answer };
    expect![[r#"
        my-project._.alice is removed.
    "#]]
    .assert_eq(&plain(&retired(&bare)));
}
