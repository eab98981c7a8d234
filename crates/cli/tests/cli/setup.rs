//! `ssh-setup`, `vscode-setup` and `user-setup` in a home of their own: what is made, what is said, what stays.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::pty::Session;
use crate::support::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJv0000000000000000000000000000000000000000000 me@laptop";

fn lab() -> Fake {
    Fake::new(|request| match request.line.as_str() {
        "GET /ds01/v1/whoami" => Reply::ok(json!({
            "uid": 1000, "name": "alice", "docker_name": "alice", "group": "student", "unix_groups": [],
            "admin": false, "via": { "kind": "host" },
        })),
        _ => Reply::Json(404, error("container.not-found")),
    })
}

fn at(home: &Path, line: &str, words: &[&str]) -> Run {
    let mut command = command(line);
    let run = run(command.args(words).env("HOME", home).env("SHELL", "/bin/bash"));
    Run { out: run.out.replace(&home.display().to_string(), "~"), ..run }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_key_is_made_once_and_never_replaced() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        return;
    }
    let home = fresh_dir();
    let dry = at(&home, "ssh-setup --dry-run", &[]);
    assert!(dry.code == Some(0) && dry.out.contains("A key would be made: ~/.ssh/id_ed25519.pub"), "{dry:?}");
    assert!(!home.join(".ssh").exists(), "nothing is made for show");
    let first = at(&home, "ssh-setup", &[]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let key = read(&home.join(".ssh/id_ed25519.pub"));
    assert!(key.starts_with("ssh-ed25519 ") && first.out.contains(key.trim()), "{first:?}");
    let mode = |path: &str| std::fs::metadata(home.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".ssh"), mode(".ssh/id_ed25519")), (0o700, 0o600));
    let again = at(&home, "ds01 ssh-setup", &[]);
    assert!(again.out.contains("You have a key: ~/.ssh/id_ed25519.pub"), "{again:?}");
    assert_eq!(read(&home.join(".ssh/id_ed25519.pub")), key);
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn a_key_of_another_computer_is_let_in_once() {
    let home = fresh_dir();
    std::fs::create_dir(home.join(".ssh")).unwrap();
    // One that is there, of a kind that is not made any more, and a file without an end.
    std::fs::write(home.join(".ssh/id_rsa.pub"), "ssh-rsa AAAA me\n").unwrap();
    std::fs::write(home.join(".ssh/authorized_keys"), "ssh-rsa BBBB old").unwrap();
    let let_in = at(&home, "ssh-setup", &["--authorize", KEY]);
    assert!(let_in.code == Some(0) && let_in.out.contains("That key is let in: a line more"), "{let_in:?}");
    let keys = format!("ssh-rsa BBBB old\n{KEY}\n");
    assert_eq!(read(&home.join(".ssh/authorized_keys")), keys);
    assert!(at(&home, "ssh-setup", &["--authorize", KEY]).out.contains("That key is let in already"));
    for bad in [
        "",
        "hello",
        "command=\"sh\" ssh-ed25519 AAAA",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "ssh-rsa short",
    ] {
        let run = at(&home, "ssh-setup", &[&format!("--authorize={bad}")]);
        assert!(run.code == Some(2) && run.err.contains("that is no public key"), "{bad}: {run:?}");
    }
    assert_eq!(read(&home.join(".ssh/authorized_keys")), keys);
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn what_stands_in_the_way_of_an_editor() {
    let (fake, home) = (lab(), fresh_dir());
    let bin = home.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(home.join(".docker/cli-plugins")).unwrap();
    let look = || {
        let mut command = fake.command("vscode-setup");
        run(command.env("HOME", &home).env("PATH", &bin))
    };
    let bare = look();
    assert!(bare.code == Some(0) && bare.out.contains("!!  there is no docker program"), "{bare:?}");
    std::fs::write(bin.join("docker"), "").unwrap();
    assert!(look().out.contains("ok  the docker program is there"));
    std::fs::write(home.join(".docker/cli-plugins/docker-buildx"), "").unwrap();
    assert!(look().out.contains("!!  docker buildx is there"));
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn the_way_is_shown_where_nobody_can_be_asked() {
    let home = fresh_dir();
    for line in ["user-setup", "ds01 user-setup --dry-run"] {
        let shown = at(&home, line, &["--project", "thesis", "--base", "busybox"]);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        for step in [
            "  check-limits\n",
            "  ds01 ssh-setup\n",
            "  echo 'source <(ds01 completion bash)' >>~/.bashrc\n",
            "  project init thesis --quick --base busybox\n",
            "  project launch thesis\n",
        ] {
            assert!(shown.out.contains(step), "{step}: {}", shown.out);
        }
    }
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0, "nothing was done");
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn every_step_can_be_passed_over_and_the_way_broken_off() {
    let (fake, home) = (lab(), fresh_dir());
    let environment = [("HOME", home.to_str().unwrap()), ("SHELL", "/bin/zsh")];
    let mut session = Session::with(&fake, "user-setup --project thesis", &environment);
    // The first step only looks, and fails here: the way goes on.
    for (step, answer) in [("A key for ssh", "n\r"), ("Tab completes", "y\r"), ("A project", "\u{3}")] {
        session.await_text(step);
        // What was asked before is above.
        let at = session.seen.find(step).unwrap();
        session.seen.drain(..at);
        session.await_text("Do it?");
        session.type_in(answer);
    }
    session.await_text("broken off; what was done stays");
    let (code, seen) = session.end();
    assert_eq!(code, Some(130), "{seen}");
    assert_eq!(read(&home.join(".zshrc")), "source <(ds01 completion zsh)\n");
    assert!(!home.join(".ssh").exists() && !home.join("workspace").exists());
    std::fs::remove_dir_all(home).unwrap();
}
