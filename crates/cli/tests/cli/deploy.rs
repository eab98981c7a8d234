//! `container deploy` and its undoing against a fake `ds01d`: what arrives, what is told, what is left.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::mpsc;

use expect_test::expect;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::*;

/// Deploy and retire work; a start answers with `start`.
pub(crate) fn lab(start: impl Fn() -> Reply + Send + Sync + 'static) -> Fake {
    Fake::new(move |request| match request.line.as_str() {
        "POST /ds01/v1/deploy" => Reply::ok(deployed()),
        "POST /ds01/v1/retire" => Reply::ok(retired()),
        line if line.starts_with(&format!("POST /ds01/v1/containers/{}/start", id())) => start(),
        _ => Reply::Json(404, error("container.not-found")),
    })
}

#[test]
fn deploy_in_the_background() {
    let fake = lab(|| Reply::stream(vec![started()]));
    expect![[r#"
        my-project is running.
          image      ds01-alice/my-project:latest
          GPU        1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB)
          workspace  /home/alice/workspace/my-project → /workspace

          container attach my-project   open a shell in it
          container retire my-project   stop, remove, free the GPU
        exit 0
    "#]]
    .assert_eq(&fake.run("container-deploy my-project").text());
    let body = fake.body_of("POST /ds01/v1/deploy").unwrap();
    expect![[r#"{"project":"my-project","cpu_only":false,"force":false,"dry_run":false}"#]]
        .assert_eq(&body.to_string());
}

#[test]
fn every_flag_arrives() {
    let fake = lab(|| Reply::stream(vec![started()]));
    let mut command = fake.command(
        "ds01 container deploy my-project --background --image busybox --gpus 2 --workspace=~/other \
         --data /srv/a/ --data b --wait 1h30m --force",
    );
    let run = run(command.current_dir("/usr"));
    assert_eq!(run.code, Some(0), "{run:?}");
    expect![[r#"{"project":"my-project","image":"busybox","gpus":2,"cpu_only":false,"workspace":"/home/alice/other","data":[{"source":"/srv/a/","target":"/data/a"},{"source":"/usr/b","target":"/data/b"}],"force":true,"dry_run":false}"#]].assert_eq(&fake.body_of("POST /ds01/v1/deploy").unwrap().to_string());
    assert!(fake.lines().contains(&format!("POST /ds01/v1/containers/{}/start?wait=5400", id())));
}

#[test]
fn deploy_as_json() {
    let fake = lab(|| Reply::stream(vec![waiting(1), started()]));
    let run = fake.run("container deploy my-project --json");
    assert_eq!(run.code, Some(0));
    let answer: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&answer["state"], &answer["units"][0]["address"]), (&json!("running"), &json!("1:1")));
    let told: Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!(told["event"], "waiting");
}

#[test]
fn waiting_in_a_pipe_is_told_once_a_change() {
    let fake = lab(|| Reply::stream(vec![waiting(2), waiting(2), waiting(1), started()]));
    let run = fake.run("container deploy my-project");
    expect![[r#"
        waiting for a GPU, 2 of 2: both units are held; held by bob 1:1 for 10 min
        waiting for a GPU, 1 of 2: both units are held; held by bob 1:1 for 10 min
    "#]]
    .assert_eq(&run.err);
    assert_eq!(run.code, Some(0));
}

#[test]
fn a_refused_deploy_leaves_nothing() {
    let refusal = json!({
        "event": "refused", "code": "gpu.timeout", "message": "GPU allocation failed after 3 minutes.\n\nSuggestions:\n  1. …",
        "hint": "gpu-status", "exit": 3,
    });
    let fake = lab(move || Reply::stream(vec![refusal.clone()]));
    expect![[r#"
        error: GPU allocation failed after 3 minutes.

        Suggestions:
          1. …
        hint: gpu-status
        exit 3
    "#]]
    .assert_eq(&fake.run("container deploy my-project").text());
    let retire = fake.body_of("POST /ds01/v1/retire").unwrap();
    assert_eq!(retire, json!({ "name": id(), "force": true }));
    let run = fake.run("container deploy my-project --json");
    assert_eq!((run.out.as_str(), run.code), ("", Some(3)));
    assert_eq!(serde_json::from_str::<Value>(&run.err).unwrap()["code"], "gpu.timeout");
}

#[test]
fn a_start_whose_end_nobody_knows_is_left_alone() {
    let fake = lab(|| Reply::stream(vec![waiting(1)]));
    let run = fake.run("container deploy my-project");
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("container list --all"), "{}", run.err);
    assert_eq!(fake.body_of("POST /ds01/v1/retire"), None);
}

#[test]
fn ctrl_c_gives_up_the_wait() {
    let (gone, hung) = mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let fake = lab(move || {
        let gone = gone.lock().unwrap().clone();
        Reply::Connection(Box::new(move |mut connection| {
            begin_stream(&mut connection);
            say(&mut connection, &waiting(1));
            gone.send(hung_up(&mut connection)).unwrap();
        }))
    });
    let mut child = fake
        .command("container deploy my-project")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = child.stderr.take().unwrap();
    let mut told = [0; 7];
    err.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"waiting");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.contains("you gave up: my-project waits no longer"), "{rest}");
    assert!(hung.recv_timeout(PATIENCE).unwrap());
    assert!(fake.body_of("POST /ds01/v1/retire").is_some());
}

#[test]
fn a_dry_run_starts_nothing() {
    let mut answer = deployed();
    answer["dry_run"] = true.into();
    answer["outlook"] = "both units are held: it would wait".into();
    answer["warnings"] = json!(["memory lowered to 64 GiB"]);
    let fake = Fake::new(move |_| Reply::ok(answer.clone()));
    expect![[r#"
        my-project would be made and started.
          image      ds01-alice/my-project:latest
          GPU        1, chosen at the start
          workspace  /home/alice/workspace/my-project → /workspace
          now        both units are held: it would wait
        Nothing was changed.
        warning: memory lowered to 64 GiB
        exit 0
    "#]]
    .assert_eq(&fake.run("container deploy my-project --dry-run").text());
    assert_eq!(fake.lines(), ["POST /ds01/v1/deploy"]);
}

#[test]
fn bad_values_are_refused_before_anything_is_asked() {
    let fake = Fake::new(|_| Reply::ok(Value::Null));
    let lines = ["MyProject", "a._.b", "../x", "p --data /a/x --data /b/x", "p --gpus -1", "p --wait never"];
    let all: Vec<String> = lines
        .into_iter()
        .map(|line| fake.run(&format!("container deploy {line}")))
        .map(|run| {
            format!("{} {}", run.code.unwrap(), run.err.lines().take(2).collect::<Vec<_>>().join(" | "))
        })
        .collect();
    expect![[r#"
        2 error: the project name "MyProject" has upper-case letters, which Docker refuses | hint: call it myproject
        2 error: the project name "a._.b" has "-", "_" or "." at an end or side by side | hint: call it a-b
        2 error: the project name "../x" has a '/' in it | hint: call it x
        2 error: two --data directories are called x, and both cannot be /data/x | hint: mount the directory that holds them
        2 error: unexpected argument '-1' found | 
        2 error: invalid value 'never' for '--wait <DURATION>': write a duration such as 90s, 3m or 1h30m | "#]].assert_eq(&all.join("\n"));
    assert_eq!(fake.lines(), Vec::<String>::new());
}

#[test]
fn create_starts_nothing() {
    let fake = lab(|| panic!("a create starts nothing"));
    expect![[r#"
        my-project is made and not started.
          image      ds01-alice/my-project:latest
          GPU        1, chosen at the start
          workspace  /home/alice/workspace/my-project → /workspace

          container start my-project   start it in the background
          container run my-project     start it and open a shell in it
        exit 0
    "#]]
    .assert_eq(&fake.run("container-create eval --project my-project --cpu-only").text());
    expect![[
        r#"{"project":"eval","from_project":"my-project","cpu_only":true,"force":false,"dry_run":false}"#
    ]]
    .assert_eq(&fake.body_of("POST /ds01/v1/deploy").unwrap().to_string());
    assert_eq!(fake.lines(), ["POST /ds01/v1/deploy"]);
    let run = fake.run("ds01 container create my-project --json");
    let answer: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &answer["state"]), (Some(0), &json!("created")));

    let there = Fake::new(|_| {
        let mut answer = deployed();
        answer["reused"] = true.into();
        answer["state"] = "running".into();
        Reply::ok(answer)
    });
    let run = there.run("container create my-project");
    assert_eq!(run.code, Some(0));
    assert!(run.out.starts_with("my-project was there already and is running."), "{}", run.out);
}

#[test]
fn create_takes_the_flags_of_deploy() {
    let body = |command: &str| {
        let fake = lab(|| Reply::stream(vec![started()]));
        let flags = "--gpus 2 --gpu-memory 30g --full-gpu --gpu h100 --workspace /w --data /srv/a --project q \
                     --framework pytorch --force";
        assert_eq!(fake.run(&format!("container {command} p {flags}")).code, Some(0));
        fake.body_of("POST /ds01/v1/deploy").unwrap().to_string()
    };
    expect![[r#"{"project":"p","from_project":"q","framework":"pytorch","gpus":2,"gpu_memory_mib":30720,"full_gpu":true,"gpu_model":"h100","cpu_only":false,"workspace":"/w","data":[{"source":"/srv/a","target":"/data"}],"force":true,"dry_run":false}"#]].assert_eq(&body("create"));
    assert_eq!(body("create"), body("deploy"));
}

/// A lab in which the image of a framework comes with a pull that says `lines`.
fn lab_that_pulls(lines: Vec<Value>) -> Fake {
    let fetched = std::sync::atomic::AtomicBool::new(false);
    let begin = std::sync::atomic::Ordering::SeqCst;
    let works = !lines.iter().any(|line| line.get("error").is_some());
    Fake::new(move |request| match request.line.as_str() {
        "POST /ds01/v1/deploy" if fetched.load(begin) => Reply::ok(deployed()),
        "POST /ds01/v1/deploy" => Reply::Json(404, error("image.not-found")),
        "GET /ds01/v1/frameworks" => {
            Reply::ok(json!({ "frameworks": [{ "name": "pytorch", "image": "aimehub/pytorch-2.8.0:1" }] }))
        }
        "POST /images/create?fromImage=aimehub%2Fpytorch-2.8.0&tag=1" => {
            fetched.store(works, begin);
            Reply::stream(lines.clone())
        }
        line if line.contains("/start") => Reply::stream(vec![started()]),
        _ => Reply::Json(404, error("container.not-found")),
    })
}

#[test]
fn a_frameworks_image_is_fetched_once() {
    let fake = lab_that_pulls(vec![
        json!({ "status": "Pulling fs layer", "id": "a" }),
        json!({ "status": "Pull complete", "id": "a" }),
    ]);
    let run = fake.run("container-deploy my-project --framework PyTorch");
    assert_eq!(
        (run.code, run.err.as_str()),
        (Some(0), "fetching aimehub/pytorch-2.8.0:1, which may take minutes\n")
    );
    assert_eq!(fake.body_of("POST /ds01/v1/deploy").unwrap()["framework"], "PyTorch");
    assert_eq!(fake.lines().iter().filter(|line| line.contains("/deploy")).count(), 2);
}

#[test]
fn a_framework_that_cannot_be_fetched() {
    let fake = lab_that_pulls(vec![json!({ "error": "dial tcp: no route to host" })]);
    expect![[r#"
        fetching aimehub/pytorch-2.8.0:1, which may take minutes
        error: aimehub/pytorch-2.8.0:1 for --framework pytorch is not on this machine, and could not be fetched: dial tcp: no route to host
        hint: ask an admin for docker pull aimehub/pytorch-2.8.0:1, or name an image that is here: docker images
        exit 4
    "#]]
    .assert_eq(&fake.run("container create my-project --framework pytorch").text());
    // A dry run fetches nothing, and neither does an image that is named.
    for line in
        ["create p --framework pytorch --dry-run", "create p --image busybox", "create p --framework jax"]
    {
        let fake = lab_that_pulls(vec![]);
        assert_eq!(fake.run(&format!("container {line}")).code, Some(4), "{line}");
        assert!(!fake.lines().iter().any(|seen| seen.contains("/images/")), "{line}");
    }
}

#[test]
fn retire_tells_what_is_safe() {
    let fake = lab(|| Reply::ok(Value::Null));
    expect![[r#"
        my-project is stopped and removed; GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB) is free.
          safe  /home/alice/workspace/my-project (your files)
          safe  ds01-alice/my-project:latest (the image)
          container deploy my-project   makes it again
        exit 0
    "#]]
    .assert_eq(&fake.run("container retire my-project --force").text());
    assert_eq!(fake.body_of("POST /ds01/v1/retire"), Some(json!({ "name": "my-project", "force": true })));
    let json: Value = serde_json::from_str(&fake.run("container-retire my-project --json").out).unwrap();
    assert_eq!(json["retired"][0]["released"][0]["address"], "1:1");
    let fake = lab(|| Reply::ok(Value::Null));
    assert_eq!(fake.run("container retire my-project --timeout 60 --volumes").code, Some(0));
    assert_eq!(
        fake.body_of("POST /ds01/v1/retire"),
        Some(json!({ "name": "my-project", "force": false, "grace_seconds": 60 }))
    );
}
