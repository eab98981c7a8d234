//! `container retire --save-files`: what lies outside /workspace is in it before the container goes, or the container stays.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use crate::support::*;

/// An archive as the Engine packs it: a directory that may not be written to, with a file and a way out of it.
fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut append = |path: &str, kind, mode, content: &[u8]| {
        let mut head = tar::Header::new_gnu();
        head.set_entry_type(kind);
        head.set_mode(mode);
        head.set_size(content.len() as u64);
        // Past the checks of the library that packs: an Engine may be lied to.
        head.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        head.set_cksum();
        archive.append(&head, content).unwrap();
    };
    append("runs/", tar::EntryType::Directory, 0o555, b"");
    append("runs/model.pt", tar::EntryType::Regular, 0o644, b"weights");
    append("runs/../../../../escaped", tar::EntryType::Regular, 0o644, b"out");
    append("runs/tty", tar::EntryType::Char, 0o666, b"");
    archive.into_inner().unwrap()
}

/// A door with one container, whose archive is cut off after so many bytes.
fn door(workspace: &Path, cut: usize) -> Fake {
    let workspace = workspace.to_owned();
    Fake::new(move |request| {
        let changed = format!("GET /containers/{}/changes", id());
        let path = request.line.as_str();
        if path == "POST /ds01/v1/retire" {
            return Reply::ok(retired());
        } else if path == changed {
            let new = |path: &str| json!({ "Path": path, "Kind": 1 });
            return Reply::ok(json!([
                new("/home/alice"),
                new("/home/alice/runs"),
                new("/home/alice/runs/model.pt"),
                new("/home/alice/runs/tty")
            ]));
        } else if path.contains("/archive?path=") {
            let whole = archive();
            let sent = whole[..cut.min(whole.len())].to_vec();
            return Reply::Connection(Box::new(move |mut connection| {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", whole.len());
                let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&sent));
            }));
        }
        let mut container = container("my-project", "running");
        container["workspace"] = workspace.to_str().unwrap().into();
        Reply::ok(container)
    })
}

#[test]
fn what_is_outside_is_in_the_workspace_before_the_container_goes() {
    let directory = fresh_dir();
    let workspace = directory.join("a/b/c/workspace");
    std::fs::create_dir_all(workspace.join("rescued")).unwrap();
    let fake = door(&workspace, usize::MAX);
    let run = fake.run("container retire my-project --save-files --json");
    assert_eq!(run.code, Some(0), "{}", run.text());
    let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let rescued = workspace.join("rescued-2");
    assert_eq!(report["rescued"]["my-project"], rescued.to_str().unwrap(), "the first is somebody else's");
    let runs = rescued.join("home/alice/runs");
    assert_eq!(std::fs::read_to_string(runs.join("model.pt")).unwrap(), "weights");
    let beside: Vec<_> = std::fs::read_dir(&runs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["model.pt"], "devices are nobody's work");
    let escaped = ["a/escaped", "a/b/escaped", "a/b/c/escaped", "escaped", "a/b/c/workspace/escaped"];
    assert!(escaped.iter().all(|path| !directory.join(path).exists()), "a way out was taken");
    let told = door(&workspace, usize::MAX).run("container retire my-project --save-files");
    assert!(told.err.contains("/home/alice/runs (2 files)"), "{}", told.text());
    std::process::Command::new("chmod").args(["-R", "u+w"]).arg(&directory).status().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn what_cannot_be_copied_keeps_the_container() {
    let directory = fresh_dir();
    let fake = door(&directory, 1030);
    let run = fake.run("container retire my-project --save-files");
    assert_eq!(run.code, Some(1), "{}", run.text());
    assert!(!fake.lines().iter().any(|line| line == "POST /ds01/v1/retire"), "{:?}", fake.lines());
    let gone = door(&directory.join("none"), usize::MAX);
    let run = gone.run("container retire my-project --save-files");
    assert!(run.err.contains("my-project stays"), "{}", run.text());
    assert!(!gone.lines().iter().any(|line| line == "POST /ds01/v1/retire"), "{:?}", gone.lines());
    std::process::Command::new("chmod").args(["-R", "u+w"]).arg(&directory).status().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}
