//! Starting, pausing, stopping and removing against a fake `ds01d`: what is asked, what is told, how it ends.

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::*;

/// Containers by their state: `run`, `stop`, `pause` and `wait` are alice's, `other` is not; every act works.
fn lab() -> Fake {
    let named = |name: &str, state: &str| {
        let mut container = container(name, state);
        container["id"] = format!("{name:0<64}").into();
        container
    };
    let all = [
        ("run", "running"),
        ("stop", "stopped"),
        ("fresh", "created"),
        ("pause", "paused"),
        ("wait", "waiting"),
        ("other", "running"),
        ("idle", "stopped"),
    ]
    .map(|(name, state)| {
        let mut one = named(name, state);
        if matches!(name, "other" | "idle") {
            one["mine"] = false.into();
        }
        (name, one)
    });
    Fake::new(move |request| {
        let line = request.line.as_str();
        if line == "GET /ds01/v1/containers?all=1" {
            let list: Vec<&Value> = all.iter().map(|(_, one)| one).collect();
            return Reply::ok(json!({ "containers": list }));
        }
        let found = |path: &str| {
            let name = line.strip_prefix(path)?;
            all.iter().find(|(known, one)| name == *known || one["id"] == name)
        };
        if let Some((_, one)) = found("GET /ds01/v1/containers/") {
            return Reply::ok(one.clone());
        }
        if line.starts_with("POST /ds01/v1/containers/") {
            let already = line.contains("/run0");
            return Reply::stream(vec![json!({ "event": "started", "units": [unit()], "already": already })]);
        }
        if line == "POST /ds01/v1/retire" {
            let name = request.body["name"].as_str().unwrap();
            let Some((name, one)) = all.iter().find(|(known, one)| name == *known || one["id"] == name)
            else {
                return Reply::Json(404, error("container.not-found"));
            };
            if request.body["stopped_only"] == true && one["state"] == "running" {
                return Reply::Json(409, error("container.running"));
            }
            return Reply::ok(json!({
                "name": format!("{name}._.alice"), "project": name, "stopped": one["state"] == "running",
                "workspace": format!("/home/alice/workspace/{name}"), "image": one["image"],
            }));
        }
        if line.starts_with("POST /containers/") || line.starts_with("DELETE /images/ds01-alice%2Frun") {
            return Reply::Json(204, Value::Null);
        }
        if line.starts_with("DELETE /images/ds01-alice%2Fstop") {
            return Reply::Json(409, json!({ "message": "conflict: it is in use" }));
        }
        Reply::Json(404, error("container.not-found"))
    })
}

/// The lines of `fake` that change something.
fn changes(fake: &Fake) -> Vec<String> {
    fake.lines().into_iter().filter(|line| !line.starts_with("GET")).collect()
}

/// What some lines come to, one after the other.
fn told(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("$ {line}\n{}", lab().run(line).text())).collect()
}

#[test]
fn start() {
    expect![[r#"
        $ container-start stop
        stop is running with GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB).
          container attach stop   open a shell in it
          container stop stop     stop it
        exit 0
        $ container start run
        run was running already.
        exit 0
        $ container start pause
        error: pause is paused: it runs, and stands still
        hint: container unpause pause lets it go on
        exit 1
        $ container start none
        error: it is container.not-found
        hint: do something else
        exit 4
    "#]]
    .assert_eq(&told(&[
        "container-start stop",
        "container start run",
        "container start pause",
        "container start none",
    ]));
    let fake = lab();
    let run = fake.run("container start run stop --json --wait 2h");
    let json: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (&json["started"][0]["started"], &json["started"][1]["started"]),
        (&json!(false), &json!(true))
    );
    assert!(changes(&fake).iter().all(|line| line.ends_with("/start?wait=7200")), "{:?}", fake.lines());
}

#[test]
fn pause_and_unpause() {
    expect![[r#"
        $ container-pause run
        run is paused and keeps GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB), which nobody else gets.
          container unpause run   let it go on
          container stop run      end it and free the GPU
        exit 0
        $ container pause pause
        pause was paused already.
        exit 0
        $ container pause stop
        error: stop is not running
        hint: container start stop starts it
        exit 1
        $ container-unpause pause
        pause goes on.
        exit 0
        $ container unpause run
        run was not paused.
        exit 0
        $ container unpause fresh
        error: fresh is not running
        hint: container start fresh starts it
        exit 1
        $ container pause none
        error: it is container.not-found
        hint: do something else
        exit 4
    "#]]
    .assert_eq(&told(&[
        "container-pause run",
        "container pause pause",
        "container pause stop",
        "container-unpause pause",
        "container unpause run",
        "container unpause fresh",
        "container pause none",
    ]));
    let fake = lab();
    assert_eq!(fake.run("container pause pause").code, Some(0));
    assert_eq!(changes(&fake), Vec::<String>::new());
    let json = |line: &str| -> Value { serde_json::from_str(&lab().run(line).out).unwrap() };
    assert_eq!(json("container pause run --json")["paused"][0]["changed"], true);
    assert_eq!(json("container unpause run --json")["unpaused"][0]["changed"], false);
}

#[test]
fn stop_with_a_grace_period() {
    let fake = lab();
    assert_eq!(fake.run("container stop run --timeout 90").code, Some(0));
    assert_eq!(fake.run("container stop wait -t 0").code, Some(0));
    assert_eq!(
        changes(&fake),
        [
            format!("POST /containers/{:0<64}/stop?t=90", "run"),
            format!("POST /containers/{:0<64}/stop?t=0", "wait"),
        ]
    );
}

#[test]
fn all_is_what_the_command_concerns_and_never_another_persons() {
    let mut seen = String::new();
    for command in ["start", "stop", "pause", "unpause", "remove", "retire"] {
        let fake = lab();
        assert_eq!(fake.run(&format!("container {command} --all")).code, Some(0), "{command}");
        let retired = |line: &String| line == "POST /ds01/v1/retire";
        let names = match changes(&fake).iter().any(retired) {
            true => {
                fake.bodies_of("POST /ds01/v1/retire").iter().map(|body| body["name"].to_string()).collect()
            }
            false => changes(&fake),
        };
        let known = ["run", "stop", "fresh", "pause", "wait", "other", "idle"];
        let is_one = |name: &&str| names.iter().any(|line: &String| line.contains(&format!("{name:0<64}")));
        seen += &format!("{command}: {}\n", known.into_iter().filter(is_one).collect::<Vec<_>>().join(" "));
    }
    expect![[r#"
        start: stop fresh
        stop: run pause wait
        pause: run
        unpause: pause
        remove: stop fresh
        retire: run stop fresh pause wait
    "#]]
    .assert_eq(&seen);
    let none = Fake::new(|_| Reply::ok(json!({ "containers": [] })));
    let run = none.run("container stop --all");
    assert_eq!((run.code, run.out.as_str()), (Some(0), "There is nothing to stop.\n"));
    assert_eq!(none.run("container rm --all --json").out, "{\n  \"removed\": []\n}\n");
}

#[test]
fn remove() {
    expect![[r#"
        $ container-rm stop
        stop is removed; /home/alice/workspace/stop is kept.
        exit 0
        $ container-remove run
        error: it is container.running
        hint: do something else
        exit 1
        $ container remove run --force --images
        run is killed and removed, and so is its image ds01-alice/run:latest; /home/alice/workspace/run is kept.
        exit 0
        $ container remove stop --images
        stop is removed; /home/alice/workspace/stop is kept.
        error: the image ds01-alice/stop:latest is still there: conflict: it is in use
        exit 1
        $ container remove none
        error: it is container.not-found
        hint: do something else
        exit 4
        $ container remove none stop --force
        stop is removed; /home/alice/workspace/stop is kept.
        you have no container none: nothing to remove
        exit 0
    "#]]
    .assert_eq(&told(&[
        "container-rm stop",
        "container-remove run",
        "container remove run --force --images",
        "container remove stop --images",
        "container remove none",
        "container remove none stop --force",
    ]));
    let body = |line: &str| {
        let fake = lab();
        fake.run(line);
        fake.body_of("POST /ds01/v1/retire").unwrap().to_string()
    };
    expect![[r#"
        {"name":"stop","force":false,"stopped_only":true,"keep_volumes":true}
        {"name":"run","force":true}"#]]
    .assert_eq(&[body("container rm stop"), body("container rm -f -v run")].join("\n"));
}

#[test]
fn retire_and_the_image() {
    expect![[r#"
        $ container retire run --images
        run is stopped and removed.
          safe  /home/alice/workspace/run (your files)
          gone  ds01-alice/run:latest (the image)
        exit 0
        $ container retire stop --images
        stop is removed.
          safe  /home/alice/workspace/stop (your files)
          safe  ds01-alice/stop:latest (the image)
          container deploy stop   makes it again
        error: the image ds01-alice/stop:latest is still there: conflict: it is in use
        exit 1
        $ container retire run --images --json
        {
          "retired": [
            {
              "name": "run._.alice",
              "project": "run",
              "stopped": true,
              "released": [],
              "workspace": "/home/alice/workspace/run"
            }
          ]
        }
        exit 0
    "#]]
    .assert_eq(&told(&[
        "container retire run --images",
        "container retire stop --images",
        "container retire run --images --json",
    ]));
    // An image that is not the project's own stays, and that is no failure.
    let fake = Fake::new(|request| {
        let mut one = container("my-project", "running");
        one["image"] = "busybox".into();
        match request.line.as_str() {
            "POST /ds01/v1/retire" => Reply::ok(retired()),
            "GET /ds01/v1/containers/my-project" => Reply::ok(one),
            other => panic!("{other}"),
        }
    });
    assert_eq!(fake.run("container retire my-project --images").code, Some(0));
}

#[test]
fn exit_tells_and_changes_nothing() {
    expect![[r#"
        $ container-exit run
        To leave a container's shell, type exit in it, or press Ctrl-D: the container keeps running.
        run is running and holds GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB).
          container attach run   open a shell in it
          container stop run     stop it; its GPU is free for others
          container retire run   stop and remove it; /workspace is kept
        exit 0
        $ container exit
        To leave a container's shell, type exit in it, or press Ctrl-D: the container keeps running.
          container list          what you have running
          container stop NAME     stop a container; its GPU is free for others
          container retire NAME   stop and remove it; /workspace is kept
        exit 0
        $ container exit none
        error: it is container.not-found
        hint: do something else
        exit 4
    "#]]
    .assert_eq(&told(&["container-exit run", "container exit", "container exit none"]));
    let fake = lab();
    fake.run("container exit run");
    assert_eq!(changes(&fake), Vec::<String>::new());
}
