//! `container list` in all its forms against a fake `ds01d`.

use std::io::Read as _;
use std::process::Stdio;

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::*;

fn lab() -> Fake {
    Fake::new(|request| {
        let all = request.line.ends_with("?all=1");
        let mut list = vec![container("my-project", "running"), container("exp-a", "paused")];
        list.extend(all.then(|| container("old", "stopped")));
        Reply::ok(json!({ "containers": list, "hidden": u32::from(!all) }))
    })
}

#[test]
fn forms() {
    let mut seen = String::new();
    for line in [
        "list -q",
        "ls -aq",
        "list --format json",
        "list --detailed --filter project=exp-a",
        "list --filter status=exited",
    ] {
        seen += &format!("$ container {line}\n{}", lab().run(&format!("container {line}")).text());
    }
    expect![[r#"
        $ container list -q
        abababababab
        abababababab
        exit 0
        $ container ls -aq
        abababababab
        abababababab
        abababababab
        exit 0
        $ container list --format json
        {"ID":"abababababab","Name":"my-project._.alice","Project":"my-project","User":"alice","Status":"running 2 h 10 min","State":"running","GPU":"1:1 2g.20gb","Want":"1 GPU","Image":"ds01-alice/my-project:latest","Kind":"ds01","Workspace":"/home/alice/workspace/my-project","RunningFor":"2 h 11 min ago"}
        {"ID":"abababababab","Name":"exp-a._.alice","Project":"exp-a","User":"alice","Status":"paused 2 h 10 min","State":"paused","GPU":"(1 GPU)","Want":"1 GPU","Image":"ds01-alice/exp-a:latest","Kind":"ds01","Workspace":"/home/alice/workspace/exp-a","RunningFor":"2 h 11 min ago"}
        exit 0
        $ container list --detailed --filter project=exp-a
        exp-a._.alice
          id         abababababab
          project    exp-a
          status     paused 2 h 10 min
          asks for   1 GPU
          image      ds01-alice/exp-a:latest
          workspace  /home/alice/workspace/exp-a → /workspace
          made by    ds01
          created    2 h 11 min ago
        exit 0
        $ container list --filter status=exited
        NAME          PROJECT   STATUS               GPU       IMAGE                   CREATED
        old._.alice   old       stopped 2 h 10 min   (1 GPU)   ds01-alice/old:latest   2 h 11 min ago
        exit 0
    "#]]
    .assert_eq(&seen);
    let templated = |template: &str, more: &[&str]| {
        let fake = lab();
        let mut command = fake.command("container list --format");
        run(command.arg(template).args(more)).text()
    };
    expect![[r#"
        PROJECT      STATE
        my-project   running
        exp-a        paused
        old          stopped
        exit 0
    "#]]
    .assert_eq(&templated(r"table {{.Project}}\t{{.State}}", &["--all"]));
    assert_eq!(templated("{{.ID}}", &["--no-trunc"]), format!("{0}\n{0}\nexit 0\n", id()));
    expect![[r#"
        error: invalid value '{{.Nmae}}' for '--format <TEMPLATE>': there is no field .Nmae; there are .ID .Name .Project .User .Status .State .GPU .Want .Image .Kind .Workspace .RunningFor

        hint: container list --help shows what it takes
        exit 2
    "#]]
    .assert_eq(&templated("{{.Nmae}}", &[]));
}

#[test]
fn watch_without_a_terminal_shows_once() {
    let fake = lab();
    let run = fake.run("container list --watch -q");
    assert_eq!((run.code, run.out.as_str()), (Some(2), "abababababab\nabababababab\n"));
    assert!(run.err.starts_with("error: --watch needs a terminal"), "{}", run.err);
    assert_eq!(fake.lines().len(), 1);
}

#[test]
fn watch_redraws_until_ctrl_c() {
    let states = std::sync::Mutex::new(vec!["stopping", "running", "created"]);
    let fake = Fake::new(move |_| {
        let mut states = states.lock().unwrap();
        let state = if states.len() > 1 { states.pop().unwrap() } else { states[0] };
        Reply::ok(json!({ "containers": [container("my-project", state)] }))
    });
    let pty = nix::pty::openpty(None, None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut child =
        fake.command("container list --watch=1").stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(pty.slave);
    let mut screen = std::fs::File::from(pty.master);
    let mut seen = String::new();
    let mut read_until = |word: &str| {
        while !seen.contains(word) {
            let mut chunk = [0; 4096];
            let read = screen.read(&mut chunk).unwrap();
            seen.push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
        seen.clone()
    };
    let shown = read_until("stopping");
    // Each frame begins at the screen's upper left, over the one before.
    let frames = |word: &str| shown.split("\u{1b}[H").filter(|frame| frame.contains(word)).count();
    assert_eq!((frames("created"), frames("running"), frames("stopping")), (1, 1, 1), "{shown:?}");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn json_is_whole() {
    let json: Value =
        serde_json::from_str(&lab().run("container list --json --filter name=exp").out).unwrap();
    assert_eq!(json["containers"].as_array().unwrap().len(), 1);
    assert_eq!((&json["containers"][0]["state"], &json["hidden"]), (&json!("paused"), &json!(0)));
}
