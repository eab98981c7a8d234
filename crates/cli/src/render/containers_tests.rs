//! What a user sees of his containers.

use ds01_api::{ContainerKind, DataMount, Waiting};
use expect_test::expect;

use super::super::{detailed, exit, paused, plain, started, unpaused};
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
        stop: None,
    }
}

pub(in crate::render) fn four() -> ContainerList {
    let place = Waiting {
        position: 1,
        of: 3,
        reason: "all units are held".to_owned(),
        holders: vec![],
        waited_seconds: 5,
        left_seconds: 175,
        outlook: None,
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
fn a_create() {
    let texts = [
        made(),
        Deployed { replaced: true, gpus: 0, workspace_created: false, data: vec![], ..made() },
        Deployed { reused: true, workspace_created: false, data: vec![], ..made() },
        Deployed { reused: true, state: ContainerState::Running, data: vec![], ..made() },
        Deployed { dry_run: true, data: vec![], ..made() },
        Deployed { dry_run: true, reused: true, data: vec![], ..made() },
    ]
    .map(|answer| plain(&created(&answer)));
    expect![[r#"
        my-project is made and not started.
          image      ds01-alice/my-project:latest
          GPU        1, chosen at the start
          workspace  /home/alice/workspace/my-project → /workspace (made just now)
          data       /srv/imagenet → /data, read-only

          container start my-project   start it in the background
          container run my-project     start it and open a shell in it
        my-project is made and not started; the old container is gone.
          image      ds01-alice/my-project:latest
          GPU        none
          workspace  /home/alice/workspace/my-project → /workspace

          container start my-project   start it in the background
          container run my-project     start it and open a shell in it
        my-project was there already and is not running.
          image      ds01-alice/my-project:latest
          GPU        1, chosen at the start
          workspace  /home/alice/workspace/my-project → /workspace

          container start my-project   start it in the background
          container run my-project     start it and open a shell in it
        my-project was there already and is running.
          image      ds01-alice/my-project:latest
          GPU        1, chosen at the start
          workspace  /home/alice/workspace/my-project → /workspace (made just now)

          container attach my-project   open a shell in it
        my-project would be made, and not started.
          image      ds01-alice/my-project:latest
          GPU        1, chosen at the start
          workspace  /home/alice/workspace/my-project → /workspace (would be made)
        Nothing was changed.
        my-project is there and not running: nothing would be done.
          image      ds01-alice/my-project:latest
          GPU        1, chosen at the start
          workspace  /home/alice/workspace/my-project → /workspace (would be made)
        Nothing was changed.
    "#]]
    .assert_eq(&texts.join(""));
}

#[test]
fn a_removal() {
    let answer = Retired {
        name: "my-project._.alice".to_owned(),
        project: Some("my-project".to_owned()),
        stopped: true,
        released: vec![slice()],
        workspace: Some("/home/alice/workspace/my-project".to_owned()),
        image: Some("ds01-alice/my-project:latest".to_owned()),
    };
    let bare = Retired { project: None, stopped: false, released: vec![], workspace: None, ..answer.clone() };
    expect![[r#"
        my-project is killed and removed; GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB) is free; /home/alice/workspace/my-project is kept.
        my-project._.alice is removed, and so is its image ds01-alice/my-project:latest.
    "#]]
    .assert_eq(&(plain(&removed(&answer, false)) + &plain(&removed(&bare, true))));
}

#[test]
fn what_makes_it_again() {
    let again = |image: Option<&str>, workspace: &str| {
        let answer = Retired {
            name: "eval._.alice".to_owned(),
            project: Some("eval".to_owned()),
            stopped: false,
            released: vec![],
            workspace: Some(workspace.to_owned()),
            image: image.map(str::to_owned),
        };
        plain(&retired(&answer, false)).lines().last().unwrap().trim().to_owned()
    };
    let lines = [
        again(Some("ds01-alice/eval:latest"), "/home/alice/workspace/eval"),
        again(Some("ds01-alice/thesis:latest"), "/home/alice/workspace/thesis"),
        again(Some("ds01-alice/thesis:latest"), "/home/alice/workspace/eval"),
        again(Some("busybox"), "/home/alice/workspace/eval"),
        again(Some("busybox"), "/home/alice/workspace/thesis"),
        again(Some("busybox"), "/home/alice/workspace"),
        again(None, "/home/alice/workspace/eval"),
    ];
    expect![[r#"
        container deploy eval   makes it again
        container deploy eval --project thesis   makes it again
        container deploy eval --image ds01-alice/thesis:latest   makes it again
        container deploy eval --image busybox   makes it again
        container deploy eval --project thesis --image busybox   makes it again
        container deploy eval --image busybox   makes it again
        container deploy eval   makes it again"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn a_list_in_detail() {
    expect![[r#"
        my-project._.alice
          id         abababababab
          project    my-project
          status     running 2 h 10 min
          GPU        1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB)
          asks for   1 GPU
          image      ds01-alice/my-project:latest
          workspace  /home/alice/workspace/my-project → /workspace
          made by    ds01
          created    2 h 11 min ago

        exp-a._.alice
          id         abababababab
          project    exp-a
          status     waiting, 1 of 3
          asks for   1 GPU
          waits      all units are held
          image      ds01-alice/exp-a:latest
          workspace  /home/alice/workspace/exp-a → /workspace
          made by    ds01
          created    2 h 11 min ago

        old._.alice
          id         abababababab
          project    old
          status     stopped (137) 2 h 10 min
          asks for   1 GPU
          image      ds01-alice/old:latest
          workspace  /home/alice/workspace/old → /workspace
          made by    ds01
          created    2 h 11 min ago

        web
          id         abababababab
          status     running 2 h 10 min
          asks for   no GPU
          image      nginx
          workspace  /home/alice/workspace/web → /workspace
          made by    docker
          created    2 h 11 min ago
        and 1 stopped container: container list --all
    "#]]
    .assert_eq(&plain(&detailed(&four(), false)));
    assert!(detailed(&ContainerList { containers: vec![], hidden: 2 }, false).contains("--all"));
}

#[test]
fn starts_and_pauses() {
    let running = Container { units: vec![slice()], ..container("my-project", ContainerState::Running) };
    let cpu = Container { want: None, ..container("notes", ContainerState::Running) };
    let texts = [
        started("my-project", &[slice()], false),
        started("my-project", &[slice()], true),
        started("notes", &[], false),
        paused(&running, false),
        paused(&cpu, false),
        paused(&cpu, true),
        unpaused(&running, false),
        unpaused(&running, true),
    ];
    expect![[r#"
        my-project is running with GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB).
          container attach my-project   open a shell in it
          container stop my-project     stop it
        my-project was running already.
        notes is running.
          container attach notes   open a shell in it
          container stop notes     stop it
        my-project is paused and keeps GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB), which nobody else gets.
          container unpause my-project   let it go on
          container stop my-project      end it and free the GPU
        notes is paused.
          container unpause notes   let it go on
        notes was paused already.
        my-project goes on.
        my-project was not paused.
    "#]]
    .assert_eq(&plain(&texts.concat()));
}

#[test]
fn how_to_leave() {
    let states = [
        ContainerState::Running,
        ContainerState::Paused,
        ContainerState::Starting,
        ContainerState::Waiting,
        ContainerState::Stopped,
    ];
    let mut texts = exit(None);
    for state in states {
        let units = if state.is_alive() { vec![slice()] } else { vec![] };
        let text = exit(Some(&Container { units, ..container("my-project", state) }));
        texts += text.split_once('\n').unwrap().1;
    }
    expect![[r#"
        To leave a container's shell, type exit in it, or press Ctrl-D: the container keeps running.
          container list          what you have running
          container stop NAME     stop a container; its GPU is free for others
          container retire NAME   stop and remove it; /workspace is kept
        my-project is running and holds GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB).
          container attach my-project   open a shell in it
          container stop my-project     stop it; its GPU is free for others
          container retire my-project   stop and remove it; /workspace is kept
        my-project is paused and holds GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB).
          container unpause my-project   let it go on
          container stop my-project      stop it; its GPU is free for others
          container retire my-project    stop and remove it; /workspace is kept
        my-project is being started.
          container attach my-project   open a shell in it
          container stop my-project     stop it
          container retire my-project   stop and remove it; /workspace is kept
        my-project waits for a GPU.
          ds01 why my-project           tell what it waits for
          container stop my-project     leave the line
          container retire my-project   stop and remove it; /workspace is kept
        my-project is not running.
          container start my-project    start it
          container retire my-project   remove it; /workspace is kept
    "#]]
    .assert_eq(&plain(&texts));
}

#[test]
fn a_stop() {
    let running = Container { units: vec![slice()], ..container("my-project", ContainerState::Running) };
    expect![[r#"
        my-project is stopped; GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB) is free for others.
          container start my-project    start it again
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
    .assert_eq(&plain(&retired(&answer, false)));
    expect![[r#"
        my-project is stopped and removed; GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB) is free.
          safe  /home/alice/workspace/my-project (your files)
          gone  ds01-alice/my-project:latest (the image)
    "#]]
    .assert_eq(&plain(&retired(&answer, true)));
    let bare =
        Retired { project: None, stopped: false, released: vec![], workspace: None, image: None, ..answer };
    expect![[r#"
        my-project._.alice is removed.
    "#]]
    .assert_eq(&plain(&retired(&bare, false)));
}
