//! `container stats` and `gpu-status` against a fake door: what is asked, what is shown, what is left out.

use std::sync::atomic::{AtomicU32, Ordering};

use expect_test::expect;
use serde_json::{Value, json};

use crate::pty::Session;
use crate::support::*;

/// What the Engine says of a container that keeps half a CPU busy.
fn sample() -> Value {
    json!({
        "cpu_stats": {"cpu_usage": {"total_usage": 3_000}, "system_cpu_usage": 20_000, "online_cpus": 2},
        "precpu_stats": {"cpu_usage": {"total_usage": 1_000}, "system_cpu_usage": 12_000},
        "memory_stats": {"usage": 3_145_728, "limit": 8_589_934_592_u64, "stats": {"inactive_file": 1_048_576}},
        "pids_stats": {"current": 3}, "networks": {"eth0": {"rx_bytes": 876, "tx_bytes": 0}},
        "blkio_stats": {"io_service_bytes_recursive": null},
    })
}

/// A lab with a running container and one that waits; a third is there by name and has stopped, and a fourth ends
/// while it is asked about.
fn lab() -> Fake {
    Fake::new(|request| match request.line.as_str() {
        "GET /ds01/v1/containers" => {
            let mut ends = container("ends", "running");
            ends["id"] = "cd".repeat(32).into();
            let all = [container("train", "running"), container("next", "waiting"), ends];
            Reply::ok(json!({ "containers": all, "hidden": 1 }))
        }
        "GET /ds01/v1/containers/old" => Reply::ok(container("old", "stopped")),
        "GET /ds01/v1/containers/train" => Reply::ok(container("train", "running")),
        "GET /ds01/v1/stats" => {
            let mut unit = unit();
            unit["memory_used_mib"] = 900.into();
            unit["own_memory_mib"] = 700.into();
            unit["processes"] = 1.into();
            Reply::ok(json!({ "age_seconds": 1, "containers": [{ "id": id(), "units": [unit] }] }))
        }
        line if line == format!("GET /containers/{}/stats?stream=0", id()) => Reply::ok(sample()),
        _ => Reply::Json(404, error("container.not-found")),
    })
}

#[test]
fn what_runs_is_shown_and_what_ends_meanwhile_is_not() {
    let fake = lab();
    expect![[r#"
        NAME    CPU     MEMORY           NET IN / OUT   DISK READ / WRITTEN   PIDS
        train   50.0%   2 MiB of 8 GiB   876 B / 0 B    0 B / 0 B             3
        exit 0
    "#]]
    .assert_eq(&fake.run("container stats").text());
    assert!(!fake.lines().contains(&"GET /ds01/v1/stats".to_owned()), "nobody asked for GPUs");
    expect![[r#"
        NAME    CPU     MEMORY           NET IN / OUT   DISK READ / WRITTEN   PIDS   GPU           BUSY   GPU MEMORY
        train   50.0%   2 MiB of 8 GiB   876 B / 0 B    0 B / 0 B             3      1:1 2g.20gb   -      700 MiB of 20 GiB
        error: old is not running
        hint: ds01 why old tells why
        exit 1
    "#]].assert_eq(&fake.run("ds01 container-stats train old --gpu --no-stream").text());
    expect![[r#"
        error: old is not running
        hint: ds01 why old tells why
        exit 1
    "#]]
    .assert_eq(&fake.run("container stats old").text());
    assert_eq!(fake.run("container stats none").code, Some(4));
}

#[test]
fn as_json() {
    let json: Value = serde_json::from_str(&lab().run("container-stats --gpu --json").out).unwrap();
    expect![[r#"{"containers":[{"id":"abababababababababababababababababababababababababababababababab","name":"train._.alice","project":"train","owner":"alice","mine":true,"cpu_percent":50.0,"memory_bytes":2097152,"memory_limit_bytes":8589934592,"pids":3,"network_in_bytes":876,"network_out_bytes":0,"disk_read_bytes":0,"disk_written_bytes":0,"gpus":[{"id":"MIG-1","address":"1:1","model":"NVIDIA A100-SXM4-80GB","profile":"2g.20gb","memory_mib":20480,"weight_milli":286,"memory_used_mib":900,"processes":1,"own_memory_mib":700}]}],"gpu_age_seconds":1}"#]].assert_eq(&json.to_string());
}

#[test]
fn watching_needs_a_terminal() {
    let fake = lab();
    let run = fake.run("container stats --watch=5");
    assert_eq!((run.code, run.out), (Some(2), fake.run("container stats").out), "it is printed once");
    expect![[r#"
        error: --watch needs a terminal to draw on: this was printed once
        hint: in a script, ask again in a loop, without --watch
    "#]]
    .assert_eq(&run.err);
    for line in
        ["container stats --watch --json", "container stats --watch=0", "container stats --watch --no-stream"]
    {
        assert_eq!(fake.run(line).code, Some(2), "{line}");
    }
}

#[test]
fn a_watched_table_is_drawn_in_place_until_ctrl_c() {
    let looks = AtomicU32::new(0);
    let fake = Fake::new(move |request| {
        if request.line.starts_with("GET /ds01/") {
            // The door is away for a moment.
            return match looks.fetch_add(1, Ordering::Relaxed) {
                1 => Reply::Json(503, error("engine.unavailable")),
                _ => Reply::ok(json!({ "containers": [container("train", "running")] })),
            };
        }
        Reply::ok(sample())
    });
    for (refused, title) in [(("LANG", "C"), "\u{1b}[1mNAME\u{1b}[0m"), (("NO_COLOR", "1"), "NAME    CPU")] {
        let mut session = Session::with(&fake, "container-stats --watch=1", &[refused]);
        session.await_text("every 1 s; Ctrl-C ends it");
        assert!(session.seen.starts_with("\u{1b}[2J\u{1b}[H"), "{:?}", session.seen);
        assert!(session.seen.contains(title), "{:?}", session.seen);
        if refused.0 == "LANG" {
            session.await_text("\u{1b}[H\u{1b}[1m\u{1b}[31merror:\u{1b}[0m it is engine.unavailable");
            session.seen.clear();
        }
        session.await_text("50.0%");
        session.type_in("\u{3}");
        assert_eq!(session.end().0, Some(130));
    }
    let mut session = Session::with(&fake, "container-stats --watch", &[("TERM", "dumb")]);
    session.await_text("needs a terminal");
    assert_eq!(session.end().0, Some(2));
}
