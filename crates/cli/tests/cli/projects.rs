//! `project init`, `list` and `status` against a fake `ds01d` and a home of their own: what is made, what is asked, what is left.

use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use crate::pty::Session;
use crate::support::*;

/// A home that goes with the test.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        Self(fresh_dir())
    }

    fn workspace(&self) -> PathBuf {
        self.0.join("workspace")
    }

    fn run(&self, fake: &Fake, line: &str) -> Run {
        let mut command = fake.command(line);
        let run = run(command.env("HOME", &self.0));
        Run {
            out: run.out.replace(&self.0.display().to_string(), "~"),
            err: run.err.replace(&self.0.display().to_string(), "~"),
            ..run
        }
    }

    /// What lies in the workspace, hidden files too.
    fn projects(&self) -> Vec<String> {
        names_in(&self.workspace())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn git(directory: &Path, words: &str) -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(words.split_whitespace()).env("HOME", "/nonexistent");
    String::from_utf8(git.output().unwrap().stdout).unwrap()
}

fn lab() -> Fake {
    Fake::new(|request| match request.line.as_str() {
        "GET /ds01/v1/frameworks" => Reply::ok(json!({ "frameworks": [
            { "name": "pytorch", "image": "lab/pytorch:2.8" },
            { "name": "tensorflow", "image": "lab/tensorflow:2.16" },
        ]})),
        "GET /ds01/v1/containers?all=1" => {
            Reply::ok(json!({ "containers": [container("thesis", "running"), container("old", "stopped")] }))
        }
        "GET /ds01/v1/whoami" => Reply::ok(json!({
            "uid": 1000, "name": "alice", "docker_name": "alice", "group": "student", "unix_groups": [],
            "admin": false, "via": { "kind": "host" },
        })),
        "GET /images/ds01-alice%2Fthesis%3Alatest/json" => {
            Reply::ok(json!({ "Size": 5_368_709_120_u64, "Created": "2020-01-01T00:00:00.123456789Z" }))
        }
        _ => Reply::Json(404, error("image.not-found")),
    })
}

#[test]
fn a_project_is_begun_whole() {
    let (fake, home) = (lab(), Home::new());
    expect![[r#"
        thesis is begun.
          directory  ~/workspace/thesis
          image      from lab/pytorch:2.8; the packages are in requirements.txt
          git        with a first commit

          cd ~/workspace/thesis          what is there: README.md tells
          project launch thesis --open   build its image, and a shell with a GPU
        exit 0
    "#]]
    .assert_eq(&home.run(&fake, "project init thesis --type nlp").text());
    let thesis = home.workspace().join("thesis");
    assert!(std::fs::read_to_string(thesis.join("requirements.txt")).unwrap().contains("transformers"));
    assert!(std::fs::read_to_string(thesis.join("Dockerfile")).unwrap().contains("FROM lab/pytorch:2.8"));
    assert_eq!(git(&thesis, "log --format=%s"), "Begin the project\n");
    assert_eq!(git(&thesis, "status --short"), "", "everything that is to be kept is kept");
    std::fs::write(thesis.join("data/raw/large.csv"), "1").unwrap();
    std::fs::write(thesis.join("models/checkpoint.pt"), "1").unwrap();
    assert_eq!(git(&thesis, "status --short"), "", "what is large is not");
    assert_eq!(home.projects(), ["thesis"], "nothing else is left");
}

#[test]
fn what_is_there_stays_as_it_is() {
    let (fake, home) = (lab(), Home::new());
    std::fs::create_dir_all(home.workspace().join("thesis")).unwrap();
    std::fs::write(home.workspace().join("thesis/train.py"), "mine").unwrap();
    std::fs::write(home.workspace().join("file"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", home.workspace().join("link")).unwrap();
    for name in ["thesis", "file", "link"] {
        let run = home.run(&fake, &format!("ds01 project init {name} --quick"));
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(
            run.err.contains(&format!("~/workspace/{name} is there already, and stays as it is")),
            "{run:?}"
        );
    }
    assert_eq!(names_in(&home.workspace().join("thesis")), ["train.py"]);
    assert_eq!(home.projects(), ["file", "link", "thesis"]);
    assert_eq!(fake.lines(), [""; 0], "a name that is taken is told before anybody is asked");
}

#[test]
fn an_empty_directory_is_filled_and_stays_the_same_directory() {
    use std::os::unix::fs::MetadataExt as _;
    let (fake, home) = (lab(), Home::new());
    let notes = home.workspace().join("notes");
    std::fs::create_dir_all(&notes).unwrap();
    let before = std::fs::metadata(&notes).unwrap().ino();
    let run = home.run(&fake, "project-init notes --blank --no-git --base busybox --json");
    assert_eq!(run.code, Some(0), "{run:?}");
    let said: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((said["git"].as_bool(), said["base"].as_str()), (Some(false), Some("busybox")));
    assert_eq!(std::fs::metadata(&notes).unwrap().ino(), before, "a container may have it mounted");
    assert!(!notes.join(".git").exists() && notes.join("Dockerfile").exists());
    assert_eq!(home.projects(), ["notes"]);
}

#[test]
fn what_cannot_be_begun_is_told() {
    let (fake, home) = (lab(), Home::new());
    for (line, code, words) in [
        ("project init", 2, "hint: project init my-project"),
        ("project init MyThesis", 2, "hint: call it mythesis"),
        ("project init a --framework caffe", 4, "hint: there are: pytorch, tensorflow; or --base IMAGE"),
        ("project init a --blank --type ml", 2, "cannot be used with"),
        ("project init a --type physics", 2, "[possible values: ml, cv, nlp, rl, audio, ts, llm]"),
    ] {
        let run = home.run(&fake, line);
        assert!(run.code == Some(code) && run.err.contains(words), "{line}: {run:?}");
    }
    assert_eq!(home.projects(), [""; 0]);
    let run = run(command("project init a").env("HOME", &home.0).env("DOCKER_HOST", "unix:///nonexistent/s"));
    assert!(run.code == Some(1) && run.err.contains("--base IMAGE"), "{run:?}");
}

#[test]
fn questions_on_a_terminal() {
    let (fake, home) = (lab(), Home::new());
    let at_home = [("HOME", home.0.to_str().unwrap())];
    let mut session = Session::with(&fake, "project init", &at_home);
    session.await_text("Project");
    session.type_in("My Thesis\r");
    session.await_text("upper-case letters");
    session.type_in(&format!("{}speech\r", "\u{7f}".repeat("My Thesis".len())));
    session.await_text("What is it about?");
    session.type_in("audio\r");
    session.await_text("A git repository?");
    session.type_in("n\r");
    let (code, seen) = session.end();
    assert_eq!(code, Some(0), "{seen}");
    let speech = home.workspace().join("speech");
    assert!(std::fs::read_to_string(speech.join("requirements.txt")).unwrap().contains("librosa"));
    assert!(!speech.join(".git").exists());
}

#[test]
fn ctrl_c_at_a_question_leaves_nothing() {
    let (fake, home) = (lab(), Home::new());
    let at_home = [("HOME", home.0.to_str().unwrap())];
    let mut session = Session::with(&fake, "project init thesis", &at_home);
    session.await_text("What is it about?");
    session.type_in("\u{3}");
    session.await_text("broken off; nothing was changed");
    let (code, seen) = session.end();
    assert_eq!(code, Some(130), "{seen}");
    assert_eq!(home.projects(), [""; 0]);
}

#[test]
fn a_signal_half_way_leaves_nothing() {
    let (fake, home) = (lab(), Home::new());
    // A git that tells that it is at work and then takes for ever.
    let bin = home.0.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script = format!("#!/bin/sh\n: >{}\nexec sleep 600\n", home.0.join("at-work").display());
    std::fs::write(bin.join("git"), script).unwrap();
    std::fs::set_permissions(bin.join("git"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let mut command = fake.command("project init thesis --quick");
    let mut child = command.env("HOME", &home.0).env("PATH", path).spawn().unwrap();
    await_that("git at work", || home.0.join("at-work").exists());
    assert_eq!(home.projects().len(), 1, "what is made is beside: {:?}", home.projects());
    assert!(!home.workspace().join("thesis").exists(), "and not in its place");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(home.projects(), [""; 0]);
}

#[test]
fn projects_are_listed_by_what_is_known_of_them() {
    let (fake, home) = (lab(), Home::new());
    assert_eq!(home.run(&fake, "project init thesis --quick").code, Some(0));
    std::fs::create_dir(home.workspace().join("Not A Project")).unwrap();
    std::fs::write(home.workspace().join("file"), "").unwrap();
    expect![[r#"
        PROJECT   CONTAINER            IMAGE   LAST USED        DIRECTORY
        old       stopped 2 h 10 min   -       2 h 10 min ago   -
        thesis    running 2 h 10 min   5 GiB   now              ~/workspace/thesis
        exit 0
    "#]]
    .assert_eq(&home.run(&fake, "project-list").text());
    let run = home.run(&fake, "project ls --json");
    let list: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(list["projects"][1]["image"]["name"], "ds01-alice/thesis:latest");
    assert_eq!(list["projects"][1]["unused_seconds"], 0);
}

#[test]
fn launch_is_deploy_after_a_build() {
    let fake = || {
        Fake::new(|request| match request.line.as_str() {
            "GET /ds01/v1/whoami" => Reply::ok(json!({
                "uid": 1000, "name": "alice", "docker_name": "alice", "group": "student", "unix_groups": [],
                "admin": false, "via": { "kind": "host" },
            })),
            "GET /images/ds01-alice%2Fmy-project%3Alatest/json" => Reply::ok(json!({ "Id": "sha256:1" })),
            "POST /ds01/v1/deploy" => Reply::ok(deployed()),
            line if line.starts_with(&format!("POST /ds01/v1/containers/{}/start", id())) => {
                Reply::stream(vec![started()])
            }
            _ => Reply::Json(404, error("container.not-found")),
        })
    };
    let home = Home::new();
    for flags in [
        "",
        "--background --wait 2h --gpus 2",
        "--no-wait --full-gpu",
        "--gpu-memory 30g --gpu h100",
        "--cpu-only --workspace=/srv/w --data /srv/a --force",
        "--image busybox --json",
        "--framework pytorch",
        "--project my-project",
        "--dry-run",
    ] {
        let (deploy, launch) = (fake(), fake());
        let one = home.run(&deploy, &format!("container deploy my-project {flags}"));
        let other = home.run(&launch, &format!("project launch my-project {flags}"));
        assert_eq!((one.code, &one.out), (other.code, &other.out), "{flags}: {} {}", one.err, other.err);
        let asked = |fake: &Fake| fake.body_of("POST /ds01/v1/deploy").unwrap();
        assert_eq!(asked(&deploy), asked(&launch), "{flags}");
        let start = |fake: &Fake| fake.lines().into_iter().find(|line| line.contains("/start"));
        assert_eq!(start(&deploy), start(&launch), "{flags}");
        let looked = launch.lines().iter().any(|line| line.starts_with("GET /images/"));
        let elsewhere = ["--image", "--framework", "--dry-run"].iter().any(|flag| flags.contains(flag));
        assert_eq!(looked, !elsewhere, "{flags}: whether the image is looked at");
    }
    let none = home.run(&fake(), "project-launch nothing --open");
    assert!(none.code == Some(4) && none.err.contains("there is no project nothing"), "{none:?}");
    std::fs::create_dir_all(home.workspace().join("bare")).unwrap();
    let bare = home.run(&fake(), "project launch bare");
    assert!(bare.code == Some(4) && bare.err.contains("no Dockerfile to build one from"), "{bare:?}");
}

#[test]
fn how_one_stands() {
    let (fake, home) = (lab(), Home::new());
    assert_eq!(home.run(&fake, "project init thesis --no-git --quick").code, Some(0));
    std::fs::write(home.workspace().join("thesis/data/raw/a"), vec![1; 3 * 1024 * 1024]).unwrap();
    let run = home.run(&fake, "project status thesis");
    assert_eq!(run.code, Some(0), "{run:?}");
    for words in [
        "directory  ~/workspace/thesis\n",
        ": data 3 MiB\n",
        "(5 GiB, built ",
        "container  running 2 h 10 min",
    ] {
        assert!(run.out.contains(words), "{words}: {}", run.out);
    }
    let run = home.run(&fake, "project status --json");
    let status: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(status["projects"][1]["disk"]["complete"], true);
    assert_eq!(status["projects"][0].get("disk"), None, "there is no directory to count");
    let here = home.workspace().join("thesis/data");
    let text =
        Run::from(fake.command("project status").env("HOME", &home.0).current_dir(here).output().unwrap());
    assert!(text.out.starts_with("thesis\n") && !text.out.contains("\nold"), "{text:?}");
    let run = home.run(&fake, "project status nothing");
    assert!(run.code == Some(4) && run.err.contains("project init nothing makes one"), "{run:?}");
}
