//! Every command against a fake `ds01d`: what it asks for, what it prints, how it ends.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::*;
use expect_test::expect;
use serde_json::{Value, json};

#[test]
fn errors_end_as_their_codes_say() {
    for (status, code, exit) in [
        (503, "gpu.timeout", 3),
        (403, "gpu.quota", 3),
        (404, "image.not-found", 4),
        (404, "container.not-found", 4),
        (403, "request.not-permitted", 5),
        (400, "request.invalid", 2),
        (409, "container.conflict", 1),
        (503, "engine.unavailable", 1),
        (500, "something.new", 1),
        (401, "something.new", 5),
    ] {
        let fake = Fake::new(move |_| Reply::Json(status, error(code)));
        let run = fake.run("container deploy my-project");
        assert_eq!(run.code, Some(exit), "{code}");
        assert_eq!(run.err, format!("error: it is {code}\nhint: do something else\n"));
        let run = fake.run("check-limits --json");
        assert_eq!((run.code, run.out.as_str()), (Some(exit), ""), "{code}");
        assert_eq!(serde_json::from_str::<Value>(&run.err).unwrap()["exit"], exit);
    }
}

#[test]
fn without_a_door() {
    let dir = fresh_dir();
    let missing = dir.join("none.sock");
    let dead = dir.join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let plain = Fake::new(|_| Reply::Json(404, json!({ "message": "page not found" })));
    let odd = Fake::new(|_| {
        Reply::Connection(Box::new(|mut connection| {
            connection.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
        }))
    });
    let hosts = [
        format!("unix://{}", missing.display()),
        format!("unix://{}", dead.display()),
        plain.host(),
        odd.host(),
        "tcp://127.0.0.1:2375".to_owned(),
    ];
    let all: Vec<String> = hosts
        .iter()
        .map(|host| run(command("container list").env("DOCKER_HOST", host)).text())
        .map(|text| text.replace(dir.to_str().unwrap(), "DIR"))
        .map(|text| text.replace(plain.host().strip_prefix("unix://").unwrap(), "PLAIN"))
        .map(|text| text.replace(odd.host().strip_prefix("unix://").unwrap(), "ODD"))
        .collect();
    std::fs::remove_dir_all(dir).unwrap();
    expect![[r#"
        error: ds01d does not answer at DIR/none.sock: No such file or directory (os error 2)
        hint: there is no DIR/none.sock: ask an admin to start ds01d, or set DOCKER_HOST
        exit 1

        error: ds01d does not answer at DIR/dead.sock: Connection refused (os error 111)
        hint: it is not running: ask an admin to start ds01d
        exit 1

        error: PLAIN belongs to a plain Docker Engine, not to ds01d
        hint: set DOCKER_HOST to the socket of ds01d, or ask an admin to start ds01d
        exit 1

        error: what answers at ODD makes no sense (invalid HTTP version parsed)
        hint: is it ds01d? If so, tell an admin: its log says more
        exit 1

        error: DOCKER_HOST is "tcp://127.0.0.1:2375", and ds01 speaks only through a unix socket of this machine
        hint: unset DOCKER_HOST, or set it to unix:///run/ds01/docker.sock
        exit 2
    "#]].assert_eq(&all.join("\n"));
}

#[test]
fn list_in_all_spellings() {
    let fake = Fake::new(|request| {
        let all = request.line.ends_with("?all=1");
        let stopped = all.then(|| container("old", "stopped"));
        let list: Vec<Value> = std::iter::once(container("my-project", "running")).chain(stopped).collect();
        Reply::ok(json!({ "containers": list, "hidden": u32::from(!all) }))
    });
    let first = fake.run("container list").text();
    expect![[r#"
        NAME                 PROJECT      STATUS               GPU           IMAGE                          CREATED
        my-project._.alice   my-project   running 2 h 10 min   1:1 2g.20gb   ds01-alice/my-project:latest   2 h 11 min ago
        and 1 stopped container: container list --all
        exit 0
    "#]].assert_eq(&first);
    for spelling in
        ["container ls", "container-list", "container-ls", "ds01 container list", "ds01 container-list"]
    {
        assert_eq!(fake.run(spelling).text(), first, "{spelling}");
    }
    assert_eq!(fake.run("container list --all").out.lines().count(), 3);
    let json: Value = serde_json::from_str(&fake.run("container ls --json").out).unwrap();
    assert_eq!(json["containers"][0]["name"], "my-project._.alice");
}

#[test]
fn nothing_of_an_answer_speaks_to_the_terminal() {
    let mut evil = container("my-project", "running");
    evil["image"] = "x\u{1b}]0;owned\u{7}".into();
    let fake = Fake::new(move |_| Reply::ok(json!({ "containers": [evil.clone()] })));
    let run = fake.run("container list");
    assert!(run.out.contains("x�]0;owned�") && !run.out.contains('\u{1b}'), "{}", run.out);
}

#[test]
fn stop_goes_on_after_a_failure() {
    let fake = Fake::new(|request| match request.line.as_str() {
        "GET /ds01/v1/containers/one" => Reply::ok(container("one", "running")),
        "GET /ds01/v1/containers/two" => Reply::ok(container("two", "stopped")),
        line if line == format!("POST /containers/{}/stop", id()) => Reply::Json(204, Value::Null),
        _ => Reply::Json(404, error("container.not-found")),
    });
    expect![[r#"
        one is stopped; GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB) is free for others.
          container start one    start it again
          container retire one   remove it, too
        two was not running.
        error: it is container.not-found
        hint: do something else
        exit 4
    "#]]
    .assert_eq(&fake.run("container-stop none one two").text());
    let run = fake.run("container stop one two --json");
    let json: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (run.code, &json["stopped"][0]["stopped"], &json["stopped"][1]["stopped"]),
        (Some(0), &json!(true), &json!(false))
    );
}

#[test]
fn what_is_only_shown() {
    let fake = Fake::new(|request| {
        Reply::ok(match request.line.as_str() {
            "GET /ds01/v1/machine" => json!({
                "host": "dgx1", "simulated": true, "free_units": 1, "total_units": 1, "waiting": 0,
                "cards": [{ "index": 0, "uuid": "GPU-0", "model": "A100", "memory_mib": 81_920, "mig": false, "units": [
                    { "id": "GPU-0", "address": "0", "model": "A100", "memory_mib": 81_920, "weight_milli": 1000, "health": "available" },
                ] }],
            }),
            "GET /ds01/v1/limits" => json!({ "user": "alice", "group": "student", "admin": false, "limits": [
                { "key": "max_gpu_equivalents", "label": "GPUs at once", "unit": "gpu_milli", "limit": 1000, "used": 286,
                  "source": { "kind": "group", "name": "student" } },
            ] }),
            "GET /ds01/v1/queue" => json!({ "waiting": [], "free_units": 1 }),
            "GET /ds01/v1/whoami" => {
                json!({ "uid": 1001, "name": "alice", "docker_name": "alice", "group": "student",
                "unix_groups": [], "admin": false, "via": { "kind": "host" } })
            }
            "GET /ds01/v1/why/my-project" => {
                json!({ "name": "my-project._.alice", "verdict": "my-project runs" })
            }
            other => panic!("{other}"),
        })
    });
    let mut all = String::new();
    for (plain, others) in [
        ("gpu-status", ["ds01 gpu-status", "gpu status"]),
        ("check-limits", ["check limits", "ds01 check limits"]),
        ("ds01 queue", ["ds01 queue", "ds01 queue"]),
        ("ds01 whoami", ["ds01 whoami", "ds01 whoami"]),
        ("ds01 why my-project", ["ds01 why my-project", "ds01 why my-project"]),
    ] {
        let first = fake.run(plain).text();
        for other in others {
            assert_eq!(fake.run(other).text(), first, "{other}");
        }
        let json = fake.run(&format!("{plain} --json"));
        assert!(serde_json::from_str::<Value>(&json.out).unwrap().is_object(), "{plain}");
        all += &format!("$ {plain}\n{first}");
    }
    expect![[r#"
        $ gpu-status
        dgx1: 1 of 1 GPU unit free (simulated)
        UNIT   MODEL   SLICE   MEMORY   STATE   USER   CONTAINER   HELD   LEFT
        0      A100    whole   80 GiB   free    -      -           -      -
        exit 0
        $ check-limits
        alice, group student
        LIMIT          USED    OF   SET BY
        GPUs at once   0.286   1    group student
        exit 0
        $ ds01 queue
        Nobody waits; 1 GPU unit is free.
        exit 0
        $ ds01 whoami
        alice
          user id  1001
          group    student
        exit 0
        $ ds01 why my-project
        my-project runs
        exit 0
    "#]]
    .assert_eq(&all);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fake =
        Fake::new(|_| Reply::ok(json!({ "containers": vec![container("my-project", "running"); 5000] })));
    let mut child =
        fake.command("container list").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn links_are_made_once_and_foreign_files_stay() {
    let dir = fresh_dir();
    let line = format!("ds01 install-links {}", dir.display());
    let install = || run(&mut command(&line)).text().replace(dir.to_str().unwrap(), "DIR");
    std::fs::write(dir.join("container"), "#!/bin/sh\n").unwrap();
    std::os::unix::fs::symlink("/old/bin/ds01", dir.join("gpu-status")).unwrap();
    expect![[r#"
        DIR: 41 made, 0 there already.
        error: DIR belongs to another program and was left alone: container
        hint: move it away, or give another directory: ds01 install-links DIR
        exit 1
    "#]]
    .assert_eq(&install());
    assert_eq!(std::fs::read(dir.join("container")).unwrap(), b"#!/bin/sh\n");
    std::fs::remove_file(dir.join("container")).unwrap();
    expect![[r#"
        DIR: 1 made, 41 there already.
        exit 0
    "#]]
    .assert_eq(&install());
    expect![[r#"
        DIR: 0 made, 42 there already.
        exit 0
    "#]]
    .assert_eq(&install());
    assert_eq!(std::fs::read_link(dir.join("gpu-status")).unwrap(), program());
    let help = std::process::Command::new(dir.join("container-deploy")).arg("--help").output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("Usage: container deploy"));

    let beside = dir.join("bin");
    std::fs::create_dir(&beside).unwrap();
    std::fs::copy(program(), beside.join("ds01")).unwrap();
    assert!(std::process::Command::new(beside.join("ds01")).arg("install-links").status().unwrap().success());
    assert_eq!(std::fs::read_link(beside.join("container-run")).unwrap().to_str(), Some("ds01"));
    expect![[r#"
        error: cannot make /nonexistent/bin/container: No such file or directory (os error 2)
        hint: make the directory first
        exit 4
    "#]]
    .assert_eq(&run(&mut command("ds01 install-links /nonexistent/bin")).text());
    std::fs::remove_dir_all(dir).unwrap();
}
