//! `ds01 run` against a fake `ds01d`: what the container beside is made of, what is passed on, what is left.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getgid, getuid};
use serde_json::{Value, json};

use crate::support::*;

const SWITCHING: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

/// A lab in which the command is what `program` does on its connection, and ends with 7. `via`: where the caller is.
fn lab(via: Value, start: Value, program: fn(UnixStream)) -> Fake {
    Fake::new(move |request| match request.line.as_str() {
        "GET /ds01/v1/whoami" => Reply::ok(json!({
            "uid": 1000, "name": "alice", "docker_name": "alice", "group": "student", "unix_groups": [],
            "admin": false, "via": via,
        })),
        "GET /images/ds01-alice%2Fthesis%3Alatest/json" => Reply::ok(json!({ "Id": "sha256:1" })),
        "GET /containers/eager_bohr/json" => Reply::ok(json!({
            "Config": { "Image": "dev/image", "User": "" },
            "HostConfig": {
                "Binds": null, "ShmSize": 67_108_864, "NetworkMode": "default", "RestartPolicy": { "Name": "always" },
                "Mounts": [{ "Type": "bind", "Source": "/home/alice/workspace/thesis", "Target": "/workspace" }],
            },
        })),
        line if line.starts_with("POST /containers/create?name=") => {
            Reply::Json(201, json!({ "Id": id(), "Warnings": [] }))
        }
        line if line.contains("/attach?") => {
            assert!(request.upgrade);
            Reply::Connection(Box::new(move |mut connection| {
                connection.write_all(SWITCHING).unwrap();
                program(connection);
            }))
        }
        line if line.contains("/wait?") => Reply::ok(json!({ "StatusCode": 7 })),
        line if line.starts_with(&format!("POST /ds01/v1/containers/{}/start", id())) => {
            Reply::stream(vec![start.clone()])
        }
        line if line.contains("/kill?") => Reply::Json(204, Value::Null),
        "POST /ds01/v1/retire" => Reply::ok(retired()),
        _ => Reply::Json(404, error("container.not-found")),
    })
}

fn host() -> Value {
    json!({ "kind": "host" })
}

/// A home with a project in it.
fn home() -> PathBuf {
    let home = fresh_dir();
    std::fs::create_dir_all(home.join("workspace/thesis/src")).unwrap();
    home
}

fn frame(output: u8, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[output, 0, 0, 0], &length[..], text.as_bytes()].concat()
}

/// Says what it reads, to its end, and something on the other output.
fn echo(mut connection: UnixStream) {
    let mut read = String::new();
    connection.read_to_string(&mut read).unwrap();
    connection.write_all(&frame(1, &read)).unwrap();
    connection.write_all(&frame(2, "a warning\n")).unwrap();
}

#[test]
fn in_a_project_it_has_its_image_workspace_and_user() {
    let (fake, home) = (lab(host(), started(), echo), home());
    let mut command = fake.command("ds01 run --gpus 2 -e SEED=7 --wait 2h -- python train.py --epochs 3");
    command.env("HOME", &home).current_dir(home.join("workspace/thesis/src")).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"numbers\n").unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(7), "numbers\n", "a warning\n"));
    let lines = fake.lines();
    let create =
        lines.iter().find(|line| line.starts_with("POST /containers/create?name=thesis-run-")).unwrap();
    let body = fake.body_of(create).unwrap();
    assert_eq!(body["Image"], "ds01-alice/thesis:latest");
    assert_eq!(body["Entrypoint"], json!(["python", "train.py", "--epochs", "3"]));
    assert_eq!(body["WorkingDir"], "/workspace/src");
    assert_eq!(body["User"], format!("{}:{}", getuid(), getgid()));
    assert!(body["Env"].as_array().unwrap().contains(&json!("SEED=7")), "{body}");
    let workspace = home.join("workspace/thesis");
    assert_eq!(body["HostConfig"]["Binds"], json!([format!("{}:/workspace", workspace.display())]));
    assert_eq!(body["HostConfig"]["DeviceRequests"][0]["Count"], 2);
    assert_eq!(body["HostConfig"]["AutoRemove"], true);
    assert!(lines.contains(&format!("POST /ds01/v1/containers/{}/start?wait=7200", id())), "{lines:?}");
    let at = |what: &str| lines.iter().position(|line| line.contains(what)).unwrap();
    assert!(at("/attach?") < at("/start") && at("/wait?") < at("/start"), "not a word is missed: {lines:?}");
    assert!(!lines.iter().any(|line| line.contains("retire")), "it removes itself");
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn gpus_are_asked_for_in_the_words_of_deploy() {
    let (fake, home) = (lab(host(), started(), echo), home());
    std::fs::create_dir_all(home.join("datasets/coco")).unwrap();
    let mut command = fake.command(
        "ds01 run --project thesis --gpu-memory 30g --full-gpu --gpu h100 --data datasets/coco -- true",
    );
    let run = run(command.env("HOME", &home).current_dir(&home).stdin(Stdio::null()));
    assert_eq!(run.code, Some(7), "{run:?}");
    let lines = fake.lines();
    let create = lines.iter().find(|line| line.starts_with("POST /containers/create?")).unwrap();
    let body = fake.body_of(create).unwrap();
    assert_eq!(
        body["HostConfig"]["DeviceRequests"],
        json!([{
            "Driver": "", "Count": 1, "Capabilities": [["gpu"]],
            "Options": { "full": "true", "memory": "30720m", "model": "h100" },
        }])
    );
    let data = format!("{}:/data:ro", home.join("datasets/coco").display());
    assert_eq!(body["HostConfig"]["Binds"][1], data);
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn in_a_dev_container_it_has_what_that_has() {
    let via = json!({ "kind": "container", "name": "eager_bohr" });
    let fake = lab(via, started(), echo);
    let mut command = fake.command("ds01 run -- sh -c id");
    command.current_dir("/tmp").env("MINE", "1").env("NVIDIA_VISIBLE_DEVICES", "void").env("HOSTNAME", "x");
    assert_eq!(run(&mut command).code, Some(7));
    let lines = fake.lines();
    let create =
        lines.iter().find(|line| line.starts_with("POST /containers/create?name=eager_bohr-run-")).unwrap();
    let body = fake.body_of(create).unwrap();
    assert_eq!((&body["Image"], &body["WorkingDir"]), (&json!("dev/image"), &json!("/tmp")));
    let environment = body["Env"].as_array().unwrap();
    assert!(environment.contains(&json!("MINE=1")), "{environment:?}");
    assert!(!environment.iter().any(|one| one.as_str().unwrap().starts_with("NVIDIA")), "{environment:?}");
    assert!(!environment.iter().any(|one| one.as_str().unwrap().starts_with("HOSTNAME")), "{environment:?}");
    let host = body["HostConfig"].as_object().unwrap();
    assert_eq!(host["Mounts"][0]["Target"], "/workspace");
    assert!(!host.contains_key("RestartPolicy") && !host.contains_key("Binds"), "{host:?}");
    assert_eq!(host["DeviceRequests"][0]["Count"], 1);
}

#[test]
fn where_no_gpu_is_to_be_had_nothing_is_left() {
    let refused =
        json!({ "event": "refused", "exit": 3, "code": "gpu.timeout", "message": "no unit became free" });
    let fake = lab(host(), refused, |_| {});
    let home = home();
    let mut command = fake.command("ds01 run --project thesis --no-wait -- true");
    let run = run(command.env("HOME", &home).current_dir("/"));
    assert!(run.code == Some(3) && run.err.contains("no unit became free"), "{run:?}");
    assert_eq!(fake.body_of("POST /ds01/v1/retire").unwrap()["name"], id());
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn what_makes_no_sense_is_told_before_anything_is_made() {
    let (outside, home) = (lab(host(), started(), echo), home());
    let inside = lab(json!({ "kind": "container", "name": "eager_bohr" }), started(), echo);
    for (fake, line, words) in [
        (&outside, "ds01 run -- true", "hint: cd ~/workspace/<project>, or name one"),
        (&outside, "ds01 run --project My_Thesis! -- true", "hint: call it my-thesis"),
        (&outside, "ds01 run", "<COMMAND>"),
        (&outside, "ds01 run --project thesis --image busybox -- true", "cannot be used with"),
        (&outside, "ds01 run --project thesis -e NOT_THERE -- true", "there is no such variable here"),
        (&outside, "ds01 run --gpu-memory 30 -- true", "write a size such as 30g"),
        (&inside, "ds01 run --project thesis -- true", "in a container it is this one's"),
        (&inside, "ds01 run --data /srv -- true", "in a container it sees what this one sees"),
    ] {
        let run = run(fake.command(line).env("HOME", &home).current_dir("/"));
        assert!(run.code == Some(2) && run.err.contains(words), "{line}: {run:?}");
        assert!(!fake.lines().iter().any(|line| line.starts_with("POST")), "{line}");
    }
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn signals_are_the_commands() {
    // It says that it runs, and ends when the other side of its connection does: with the test.
    let fake = lab(host(), started(), |mut connection| {
        connection.write_all(&frame(1, "begun\n")).unwrap();
        let _ = connection.read(&mut [0; 1]);
        std::thread::park_timeout(PATIENCE);
    });
    let home = home();
    let mut command = fake.command("ds01 run --project thesis -- python train.py");
    command.env("HOME", &home).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut begun = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    fake.await_request(&format!("POST /containers/{}/kill?signal=SIGINT", id()));
    kill(pid, Signal::SIGTERM).unwrap();
    fake.await_request(&format!("POST /containers/{}/kill?signal=SIGKILL", id()));
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(home).unwrap();
}
