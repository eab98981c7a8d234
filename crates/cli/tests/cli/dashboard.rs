//! `dashboard` on a real pseudo-terminal: it takes the screen, does what keys say, and gives the screen back.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use expect_test::expect;
use serde_json::json;

use crate::pty::Session;
use crate::support::*;

const ENTER_SCREEN: &str = "\u{1b}[?1049h";
const LEAVE_SCREEN: &str = "\u{1b}[?1049l";
const UTF8: (&str, &str) = ("LANG", "C.UTF-8");

/// A door with one running container, that tells of an event when it is asked to, and may be taken away.
struct Lab {
    fake: Fake,
    tell: mpsc::Sender<&'static str>,
    away: Arc<AtomicBool>,
}

fn lab() -> Lab {
    let (tell, told) = mpsc::channel::<&'static str>();
    let told = std::sync::Mutex::new(told);
    let told = Arc::new(told);
    let away = Arc::new(AtomicBool::new(false));
    let is_away = Arc::clone(&away);
    let fake = Fake::new(move |request| {
        if is_away.load(Ordering::Relaxed) && request.line.starts_with("GET /ds01/v1/machine") {
            return Reply::Json(503, error("engine.unavailable"));
        }
        match request.line.split([' ', '?']).nth(1).unwrap_or_default() {
            "/ds01/v1/machine" => Reply::ok(json!({
                "host": "dgx1", "simulated": true, "free_units": 1, "total_units": 2, "waiting": 0, "cards": []})),
            "/ds01/v1/containers" => Reply::ok(json!({"containers": [container("train", "running")]})),
            "/ds01/v1/queue" => Reply::ok(json!({"waiting": [], "free_units": 1})),
            "/ds01/v1/stats" => Reply::ok(json!({"containers": []})),
            "/ds01/v1/events" => {
                let told = Arc::clone(&told);
                Reply::Connection(Box::new(move |mut connection| {
                    begin_stream(&mut connection);
                    while let Ok(text) = told.lock().unwrap().recv() {
                        say(&mut connection, &json!({"at": 1_800_000_000, "event": "granted", "text": text}));
                    }
                }))
            }
            path if path.starts_with("/ds01/v1/why/") => Reply::ok(json!({
                "name": "train._.alice", "verdict": "train runs", "facts": [{"label": "GPU", "text": "1:1 since noon"}]})),
            path if path.ends_with("/keep") => Reply::ok(json!({"seconds": 7200, "until": 1_800_000_000})),
            path if path.ends_with("/stop") => Reply::Json(204, json!(null)),
            path if path.ends_with("/stats") => Reply::ok(json!({"memory_stats": {"usage": 3 << 20}})),
            other => panic!("{other}"),
        }
    });
    Lab { fake, tell, away }
}

#[test]
fn keys_are_done_and_the_screen_is_given_back() {
    let lab = lab();
    let mut session = Session::with(&lab.fake, "dashboard", &[UTF8]);
    session.await_shown("train");
    assert!(session.seen.starts_with(ENTER_SCREEN), "{:?}", session.seen);
    assert!(session.is_raw());
    let id = id();
    session.type_in("w");
    session.await_shown("1:1 since noon");
    session.type_in("q");
    session.type_in("K\r");
    session.await_shown("not stopped for an idle GPU for 2 h");
    assert_eq!(
        lab.fake.body_of(&format!("POST /ds01/v1/containers/{id}/keep")),
        Some(json!({"seconds": 7200}))
    );
    session.type_in("xn");
    session.type_in("xy");
    session.await_shown("container start train");
    let stops =
        lab.fake.lines().iter().filter(|line| **line == format!("POST /containers/{id}/stop")).count();
    assert_eq!(stops, 1, "no is no");
    lab.tell.send("told as it happens").unwrap();
    session.await_shown("told as it happens");
    // What it uses is asked of the container that is seen.
    session.await_shown("3 MiB");
    session.type_in("q");
    let (code, seen) = session.end();
    assert_eq!((code, seen.matches(LEAVE_SCREEN).count()), (Some(0), 1));
}

#[test]
fn a_window_that_changes_and_a_door_that_comes_and_goes() {
    let lab = lab();
    let mut session = Session::with(&lab.fake, "ds01 dashboard", &[UTF8]);
    session.await_shown("train");
    assert!(!session.seen.contains("ds01-alice/train"), "no room for images");
    let resized = Command::new("stty")
        .args(["rows", "50", "cols", "200"])
        .stdin(Stdio::from(session.screen_end()))
        .status()
        .unwrap();
    assert!(resized.success());
    session.await_shown("ds01-alice/train");
    lab.away.store(true, Ordering::Relaxed);
    session.type_in("r");
    session.await_shown("engine.unavailable");
    lab.away.store(false, Ordering::Relaxed);
    session.type_in("r");
    session.await_gone("engine.unavailable");
    session.type_in("\u{3}");
    let (code, seen) = session.end();
    assert_eq!((code, seen.matches(LEAVE_SCREEN).count()), (Some(130), 1));
}

#[test]
fn signals_end_it_with_the_screen_given_back() {
    let lab = lab();
    for (signal, expected) in [("TERM", 143), ("HUP", 129)] {
        let mut session = Session::with(&lab.fake, "dashboard", &[]);
        session.await_shown("train");
        let told = Command::new("kill").args([&format!("-{signal}"), &session.leader().to_string()]).status();
        assert!(told.unwrap().success());
        let (code, seen) = session.end();
        assert_eq!(code, Some(expected), "{signal}");
        assert!(seen.contains(LEAVE_SCREEN), "{signal}");
    }
}

#[test]
fn what_a_terminal_cannot_show_is_left_out() {
    let lab = lab();
    let mut session = Session::with(&lab.fake, "dashboard", &[("NO_COLOR", "1"), ("LC_ALL", "C")]);
    session.await_shown("- GPUs ---");
    session.await_shown("? help");
    assert!(session.seen.is_ascii(), "{:?}", session.seen);
    assert!(!session.seen.contains("\u{1b}[38;"), "no colour: {:?}", session.seen);
    session.type_in("q");
    assert_eq!(session.end().0, Some(0));
}

#[test]
fn without_a_screen_there_is_one_sentence() {
    let lab = lab();
    expect![[r#"
        error: the dashboard needs a terminal to draw on
        hint: gpu-status, container list, ds01 queue and ds01 events print what is in it, with --json for scripts
        exit 2
    "#]]
    .assert_eq(&lab.fake.run("dashboard").text());
    let mut session = Session::with(&lab.fake, "dashboard", &[("TERM", "dumb")]);
    session.await_text("needs a terminal");
    let (code, seen) = session.end();
    assert_eq!(code, Some(2));
    assert!(!seen.contains('\u{1b}') || !seen.contains(ENTER_SCREEN), "{seen:?}");
}

#[test]
fn a_door_that_does_not_answer_at_first_is_told_of_as_ever() {
    let lab = lab();
    lab.away.store(true, Ordering::Relaxed);
    let mut session = Session::with(&lab.fake, "dashboard", &[]);
    session.await_text("it is engine.unavailable");
    let (code, seen) = session.end();
    assert_eq!(code, Some(1));
    assert!(!seen.contains(ENTER_SCREEN), "{seen:?}");
}
