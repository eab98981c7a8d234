//! `container logs` against a fake door: what is asked for, and that every byte comes out where it belongs.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::*;

/// A container whose log is what `say` says.
fn lab(tty: bool, say: impl Fn(&mut UnixStream) + Send + Sync + Clone + 'static) -> Fake {
    Fake::new(move |request| match request.line.as_str() {
        "GET /ds01/v1/containers/none" => Reply::Json(404, error("container.not-found")),
        line if line.starts_with("GET /ds01/v1/containers/") => Reply::ok(container("train", "running")),
        line if line == format!("GET /containers/{}/json", id()) => {
            Reply::ok(json!({ "Config": { "Tty": tty } }))
        }
        line if line.starts_with(&format!("GET /containers/{}/logs?", id())) => {
            let say = say.clone();
            Reply::Connection(Box::new(move |mut connection| {
                connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
                say(&mut connection);
            }))
        }
        _ => Reply::Json(500, error("internal")),
    })
}

/// One chunk of an answer. Whoever reads may have left.
fn chunk(connection: &mut UnixStream, bytes: &[u8]) -> bool {
    let head = format!("{:x}\r\n", bytes.len());
    connection.write_all(&[head.as_bytes(), bytes, b"\r\n"].concat()).is_ok()
}

/// A frame of one of the two outputs.
fn frame(output: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[output, 0, 0, 0], length.as_slice(), bytes].concat()
}

fn end(connection: &mut UnixStream) {
    let _ = connection.write_all(b"0\r\n\r\n");
}

#[test]
fn the_two_outputs_stay_apart_and_unchanged() {
    let fake = lab(false, |connection| {
        let whole = [frame(1, b"\x1b[31mred\x07\n"), frame(2, b"warning\n"), frame(1, b"end")].concat();
        for piece in whole.chunks(5) {
            chunk(connection, piece);
        }
        end(connection);
    });
    let run = fake.run("container logs train");
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (Some(0), "\x1b[31mred\x07\nend", "warning\n")
    );
}

#[test]
fn a_terminals_log_has_no_frames() {
    let fake = lab(true, |connection| {
        chunk(connection, b"\x01\0\0\0\0\0\0\x05hello\r\n");
        end(connection);
    });
    assert_eq!(fake.run("container-logs train").out, "\x01\0\0\0\0\0\0\x05hello\r\n");
}

#[test]
fn every_flag_is_asked_for() {
    let fake = lab(false, end);
    let line = "ds01 container logs train -f -t -n 5 --since 1769868000.5 --until 2026-01-31T14:00:01Z";
    assert_eq!(fake.run(line).text(), "exit 0\n");
    let asked = format!(
        "GET /containers/{}/logs?stdout=1&stderr=1&tail=5&follow=1&timestamps=1&since=1769868000.500000000&until=1769868001.000000000",
        id()
    );
    assert!(fake.lines().contains(&asked), "{:?}", fake.lines());
    assert_eq!(fake.run("container logs train --tail few").code, Some(2));
    assert_eq!(fake.run("container logs none").code, Some(4));
}

#[test]
fn ctrl_c_ends_it_quietly() {
    let fake = lab(false, |connection| {
        chunk(connection, &frame(1, b"one\n"));
        assert!(hung_up(connection));
    });
    let mut child = fake
        .command("container logs train --follow")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 4];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert_eq!(&first, b"one\n");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.text(), "exit 130\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let fake = lab(false, |connection| while chunk(connection, &frame(1, &[b'x'; 4000])) {});
    let mut child =
        fake.command("container logs train").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(Run::from(child.wait_with_output().unwrap()).text(), "exit 0\n");
}

#[test]
fn a_log_that_breaks_off_is_told() {
    let fake = lab(false, |connection| {
        chunk(connection, &frame(1, b"half\n"));
    });
    let run = fake.run("container logs train");
    assert_eq!((run.code, run.out.as_str()), (Some(1), "half\n"));
    assert!(run.err.contains("the log broke off"), "{}", run.err);
    assert!(run.err.contains("container logs train --since 1m"), "{}", run.err);
}
