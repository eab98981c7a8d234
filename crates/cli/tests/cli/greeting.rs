//! `ds01 greeting`: a login is told something, or not held up.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use expect_test::expect;
use serde_json::json;

use crate::support::*;

#[test]
fn a_login_is_told_in_one_look() {
    let fake = Fake::new(|request| match request.line.as_str() {
        "GET /ds01/v1/machine" => Reply::ok(json!({
            "host": "dgx1", "simulated": false, "free_units": 1, "total_units": 2, "waiting": 1, "cards": []})),
        "GET /ds01/v1/containers" => Reply::ok(json!({"containers": [container("train", "running")]})),
        other => panic!("{other}"),
    });
    expect![[r#"
        dgx1: 1 of 2 GPU units free, 1 start waits in line.
        Yours: train on GPU 1:1 2g.20gb
        dashboard shows it all, container list what is yours.
        exit 0
    "#]]
    .assert_eq(&fake.run("ds01 greeting").text());
    let json: serde_json::Value = serde_json::from_str(&fake.run("ds01 greeting --json").out).unwrap();
    assert_eq!(
        (&json["machine"]["free_units"], &json["containers"][0]["project"]),
        (&json!(1), &json!("train"))
    );
}

#[test]
fn a_login_is_not_held_up() {
    // It takes connections and never answers.
    let dir = fresh_dir();
    let deaf = UnixListener::bind(dir.join("door.sock")).unwrap();
    let silent = "exit 0\n";
    for host in [
        format!("unix://{}", dir.join("door.sock").display()),
        "unix:///no/such/socket".to_owned(),
        "tcp://192.0.2.1:2375".to_owned(),
    ] {
        let begun = Instant::now();
        let run = run(command("ds01 greeting").env("DOCKER_HOST", &host));
        assert_eq!(run.text(), silent, "{host}");
        // The third of a second, and a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(3), "{host}: {:?}", begun.elapsed());
    }
    let angry = Fake::new(|_| Reply::Json(503, error("engine.unavailable")));
    assert_eq!(angry.run("ds01 greeting").text(), silent);
    let told = angry.run("ds01 greeting --json");
    assert_eq!((told.code, told.err.contains("engine.unavailable")), (Some(1), true), "a script is told");
    drop(deaf);
    let _ = std::fs::remove_dir_all(dir);
}
