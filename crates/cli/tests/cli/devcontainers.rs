//! `devcontainer init`, `check` and `prepare` against a fake `ds01d` and a home of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::*;

fn lab() -> Fake {
    Fake::new(|request| match request.line.as_str() {
        "GET /ds01/v1/frameworks" => {
            Reply::ok(json!({ "frameworks": [{ "name": "pytorch", "image": "lab/pytorch:2.8" }] }))
        }
        "GET /ds01/v1/whoami" => Reply::ok(json!({
            "uid": 1000, "name": "h.baker@lab", "docker_name": "h.baker-lab", "group": "student", "unix_groups": [],
            "admin": false, "via": { "kind": "host" },
        })),
        _ => Reply::Json(404, error("image.not-found")),
    })
}

/// A home with a project `thesis` in it.
fn home() -> PathBuf {
    let home = fresh_dir();
    std::fs::create_dir_all(home.join("workspace/thesis/src")).unwrap();
    home
}

fn at(fake: &Fake, home: &PathBuf, line: &str) -> Run {
    let mut command = fake.command(line);
    let run = run(command.env("HOME", home).current_dir(home.join("workspace/thesis/src")));
    let shown = |text: String| text.replace(&home.display().to_string(), "~");
    Run { out: shown(run.out), err: shown(run.err), ..run }
}

#[test]
fn one_is_written_checked_and_never_replaced() {
    let (fake, home) = (lab(), home());
    let file = home.join("workspace/thesis/.devcontainer/devcontainer.json");
    let written = at(&fake, &home, "devcontainer-init --gpu-on-demand --json");
    assert_eq!(written.code, Some(0), "{written:?}");
    let said: Value = serde_json::from_str(&written.out).unwrap();
    assert_eq!(
        said["file"], "~/workspace/thesis/.devcontainer/devcontainer.json",
        "of the project, not of src"
    );
    assert_eq!(said["image"], "lab/pytorch:2.8", "there is no Dockerfile");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"name\": \"thesis\"") && text.contains("docker.sock"), "{text}");

    let again = at(&fake, &home, "ds01 devcontainer init thesis --image x --gpu");
    assert!(again.code == Some(1) && again.err.contains("is there already, and stays as it is"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    expect![[r#"
        ~/workspace/thesis/.devcontainer/devcontainer.json: a container of it is permanent here.
        exit 0
    "#]]
    .assert_eq(&at(&fake, &home, "devcontainer-check").text());
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn the_image_is_the_projects_own_where_it_can_be_built() {
    let (fake, home) = (lab(), home());
    std::fs::write(home.join("workspace/thesis/Dockerfile"), "FROM x\n").unwrap();
    let run = at(&fake, &home, "ds01 devcontainer init thesis");
    assert!(
        run.code == Some(0) && run.out.contains("ds01-h.baker__40lab/thesis:latest"),
        "the name that stands in images: {run:?}"
    );
    let text =
        std::fs::read_to_string(home.join("workspace/thesis/.devcontainer/devcontainer.json")).unwrap();
    assert!(text.contains("/thesis:latest\"") && !text.contains("docker.sock"), "{text}");
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn a_bad_one_is_told_and_mended() {
    let (fake, home) = (lab(), home());
    let file = home.join("workspace/thesis/.devcontainer.json");
    let bad = "{\n  \"image\": \"x\", // mine\n  \"runArgs\": [\"--gpus\", \"all\", \"--privileged\"],\n  \"mounts\": [\"type=bind,source=/srv,target=/srv\"]\n}\n";
    std::fs::write(&file, bad).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    expect![[r#"
        ~/workspace/thesis/.devcontainer.json
          stopped  runArgs: --gpus all
                   asks for a GPU: the container is stopped when that is idle for too long, and after a week
                   without it the container is permanent; ds01 run borrows a GPU for one command
          refused  runArgs: --privileged
                   would make the container root on the host
                   leave it out; usually nothing is needed in its place
          doubtful mounts
                   /srv is not in your home: it is mounted only if the administrator shares it
                   copy the data to your home, or ask
          stopped  shutdownAction
                   VS Code stops the container when its window closes, with whatever runs in it
                   "shutdownAction": "none" leaves it running

          ds01 devcontainer check --fix   changes what can be changed; comments stay
        exit 1
    "#]]
    .assert_eq(&at(&fake, &home, "devcontainer-check thesis").text());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), bad, "looking changes nothing");

    let mended = at(&fake, &home, "ds01 devcontainer check --fix --file ../.devcontainer.json --json");
    assert_eq!(mended.code, Some(0), "{mended:?}");
    let said: Value = serde_json::from_str(&mended.out).unwrap();
    assert_eq!(said["fixed"].as_array().unwrap().len(), 3, "{said}");
    assert_eq!(said["findings"][0]["effect"], "doubtful");
    expect![[r#"
        {
          "image": "x", // mine
          "mounts": ["type=bind,source=/srv,target=/srv"],
          "shutdownAction": "none"
        }
    "#]]
    .assert_eq(&std::fs::read_to_string(&file).unwrap());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_told() {
    let (fake, home) = (lab(), home());
    for (line, code, words) in [
        ("ds01 devcontainer check", 4, "hint: ds01 devcontainer init writes one"),
        ("ds01 devcontainer check nothing", 4, "project init nothing makes one"),
        ("ds01 devcontainer check --file nothing.json", 4, "nothing.json: No such file"),
        ("ds01 devcontainer init --gpu --gpu-on-demand", 2, "cannot be used with"),
    ] {
        let run = at(&fake, &home, line);
        assert!(run.code == Some(code) && run.err.contains(words), "{line}: {run:?}");
    }
    std::fs::write(home.join("workspace/thesis/.devcontainer.json"), "{\"image\": }").unwrap();
    let run = at(&fake, &home, "ds01 devcontainer check --fix");
    assert!(run.code == Some(1) && run.err.contains("cannot be read"), "{run:?}");
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn the_program_is_put_where_containers_find_it() {
    let (fake, home) = (lab(), home());
    let copy = home.join(".local/share/ds01/ds01");
    assert_eq!(at(&fake, &home, "ds01 devcontainer prepare").code, Some(0));
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(program()).unwrap());
    std::fs::write(&copy, "an older one").unwrap();
    assert_eq!(at(&fake, &home, "ds01 devcontainer prepare").code, Some(0));
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o755);
    let again = at(&fake, &home, "ds01 devcontainer prepare");
    assert_eq!((again.code, again.err.as_str()), (Some(0), ""), "nothing to do");
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn compose_files_are_looked_at_and_exemptions_are_known() {
    let home = home();
    let folder = home.join("workspace/thesis/.devcontainer");
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let main = r#"{ "dockerComposeFile": "../compose.yml", "service": "app" } // mine
"#;
    file("devcontainer.json", main);
    let compose = "services:\n  app:\n    image: ds01-python\n    gpus: all # fast\n    # the net\n    network_mode: host\n";
    file("../compose.yml", compose);
    let plain = lab();
    let mut seen = at(&plain, &home, "devcontainer-check").text();
    let exempt = Fake::new(|request| match request.line.as_str() {
        "GET /ds01/v1/whoami" => Reply::ok(json!({
            "uid": 1000, "name": "alice", "docker_name": "alice", "group": "student", "unix_groups": [],
            "admin": false, "via": { "kind": "host" },
        })),
        "GET /ds01/v1/exemptions" => Reply::ok(json!({ "exemptions": [{
            "user": "alice", "until": 4_102_444_800_i64, "left_seconds": 60, "reason": "a paper", "by": "root",
        }] })),
        _ => Reply::Json(404, error("image.not-found")),
    });
    seen += &at(&exempt, &home, "devcontainer-check --fix").text();
    seen += &std::fs::read_to_string(home.join("workspace/thesis/compose.yml")).unwrap();
    seen += &at(&plain, &home, "devcontainer-check --fix").text();
    seen += &std::fs::read_to_string(home.join("workspace/thesis/compose.yml")).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("devcontainer.json")).unwrap(), main);
    file("../compose.yml", "services: [\n");
    seen += &at(&plain, &home, "devcontainer-check").text();
    std::fs::remove_file(home.join("workspace/thesis/compose.yml")).unwrap();
    seen += &at(&plain, &home, "devcontainer-check").text();
    expect![[r#"
        ~/workspace/thesis/.devcontainer/devcontainer.json
          stopped  ../compose.yml: app: gpus
                   asks for a GPU: the container is stopped when that is idle for too long, and after a week
                   without it the container is permanent; ds01 run borrows a GPU for one command
          refused  ../compose.yml: app: network_mode
                   would show the container the host itself
                   leave it out; ports are forwarded without it

          ds01 devcontainer check --fix   changes what can be changed; comments stay
        exit 1
        changed ../compose.yml: app: network_mode
        ~/workspace/thesis/.devcontainer/devcontainer.json
          exempt   ../compose.yml: app: gpus
                   asks for a GPU, and is not stopped for that: you are exempt until 2100-01-01 00:00 (a paper)
                   leave it; afterwards the container is stopped when the GPU is idle
        exit 0
        services:
          app:
            image: ds01-python
            gpus: all # fast
            # the net
        changed ../compose.yml: app: gpus
        ~/workspace/thesis/.devcontainer/devcontainer.json: a container of it is permanent here.
        exit 0
        services:
          app:
            image: ds01-python
            # the net
        error: ~/workspace/thesis/compose.yml cannot be read: unclosed bracket '[' at char 10 line 1 column 11
        hint: docker compose config tells more
        exit 1
        error: ~/workspace/thesis/.devcontainer/devcontainer.json names ../compose.yml, which cannot be found
        hint: it is looked for from that file's directory on
        exit 4
    "#]].assert_eq(&seen);
    std::fs::remove_dir_all(home).unwrap();
}
