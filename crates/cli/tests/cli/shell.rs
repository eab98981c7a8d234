//! Shells: on pipes, and on a real pseudo-terminal.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use expect_test::expect;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use crate::pty::Session;
use crate::support::*;

const SWITCHING: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

/// A lab with one container in `state`, whose shell is `shell` and ends with 7. A start makes it run.
fn lab(state: &'static str, shell: impl Fn(UnixStream) + Send + Sync + 'static) -> Fake {
    let shell = Arc::new(shell);
    let state = Arc::new(Mutex::new(state));
    Fake::new(move |request| match request.line.as_str() {
        "POST /exec/e1/start" => {
            assert!(request.upgrade);
            let shell = Arc::clone(&shell);
            Reply::Connection(Box::new(move |connection| shell(connection)))
        }
        "GET /exec/e1/json" => Reply::ok(json!({ "Running": false, "ExitCode": 7 })),
        line if line.starts_with("POST /exec/e1/resize") => Reply::ok(Value::Null),
        line if line == format!("POST /containers/{}/exec", id()) => Reply::Json(201, json!({ "Id": "e1" })),
        "POST /ds01/v1/deploy" => Reply::ok(deployed()),
        line if line == format!("POST /ds01/v1/containers/{}/start", id()) => {
            *state.lock().unwrap() = "running";
            Reply::stream(vec![waiting(1), started()])
        }
        "GET /ds01/v1/containers/none" => Reply::Json(404, error("container.not-found")),
        line if line.starts_with("GET /ds01/v1/containers/") => {
            Reply::ok(container("my-project", *state.lock().unwrap()))
        }
        _ => Reply::Json(404, error("container.not-found")),
    })
}

/// One frame of an output without a terminal.
fn frame(output: u8, text: &str) -> Vec<u8> {
    let mut frame = vec![output, 0, 0, 0];
    frame.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    frame.extend(text.as_bytes());
    frame
}

#[test]
fn on_pipes_the_shell_reads_commands_and_keeps_its_outputs_apart() {
    let fake = lab("running", |mut connection| {
        // The first words come in one packet with the head.
        connection.write_all(&[SWITCHING, &frame(1, "early ")].concat()).unwrap();
        let mut read = String::new();
        connection.read_to_string(&mut read).unwrap();
        connection.write_all(&frame(1, &format!("got {read}"))).unwrap();
        connection.write_all(&frame(2, "to stderr\n")).unwrap();
    });
    let mut command = fake.command("container-attach my-project");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"nvidia-smi\n").unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    expect![[r#"
        early got nvidia-smi
        to stderr
        exit 7
    "#]]
    .assert_eq(&run.text());
    expect![[r#"{"AttachStdin":true,"AttachStdout":true,"AttachStderr":true,"Tty":false,"Cmd":["/bin/sh","-c","command -v bash >/dev/null 2>&1 && exec bash || exec sh"],"WorkingDir":"/workspace"}"#]].assert_eq(&fake.body_of(&format!("POST /containers/{}/exec", id())).unwrap().to_string());
}

#[test]
fn much_goes_through_unchanged() {
    const BYTES: usize = 3_000_000;
    let fake = lab("running", |mut connection| {
        connection.write_all(SWITCHING).unwrap();
        let mut read = Vec::new();
        connection.read_to_end(&mut read).unwrap();
        for chunk in read.chunks(70_000) {
            let mut frame = vec![1, 0, 0, 0];
            frame.extend(u32::try_from(chunk.len()).unwrap().to_be_bytes());
            frame.extend(chunk);
            connection.write_all(&frame).unwrap();
        }
    });
    let sent: Vec<u8> = (0..BYTES).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let mut command = fake.command("container attach my-project");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&copy).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(output.stdout == sent, "{} of {BYTES} bytes", output.stdout.len());
}

#[test]
fn attach_opens_only_what_runs() {
    let all: Vec<String> = ["stopped", "created", "waiting", "paused", "starting"]
        .into_iter()
        .map(|state| lab(state, |_| panic!("no shell is to be had")).run("container attach my-project"))
        .map(|run| run.text())
        .collect();
    expect![[r#"
        error: my-project is not running
        hint: container run my-project starts it and opens a shell
        exit 1

        error: my-project is not running
        hint: container run my-project starts it and opens a shell
        exit 1

        error: my-project still waits for a GPU
        hint: ds01 why my-project tells for which
        exit 1

        error: my-project is paused
        hint: container unpause my-project lets it go on
        exit 1

        error: my-project is between running and stopped
        hint: try again in a moment
        exit 1
    "#]]
    .assert_eq(&all.join("\n"));
    let fake = lab("running", |_| panic!("no shell is to be had"));
    assert_eq!(fake.run("container attach none").code, Some(4));
    expect![[r#"
        error: it is container.not-found
        hint: container deploy none makes one
        exit 4
    "#]]
    .assert_eq(&fake.run("container run none").text());
}

#[test]
fn run_starts_what_has_stopped() {
    let fake = lab("stopped", |mut connection| connection.write_all(SWITCHING).unwrap());
    let run = fake.run("container run my-project");
    expect![[r#"
        waiting for a GPU, 1 of 2: both units are held; held by bob 1:1 for 10 min
        exit 7
    "#]]
    .assert_eq(&run.text());
}

/// A shell that prompts, shows what it reads, and ends at `exit`.
fn echoing(keys: &Arc<Mutex<Vec<u8>>>) -> impl Fn(UnixStream) + Send + Sync + 'static {
    let keys = Arc::clone(keys);
    move |mut connection| {
        connection.write_all(&[SWITCHING, b"alice@my-project:/workspace$ "].concat()).unwrap();
        let mut bytes = [0; 256];
        while let Ok(read @ 1..) = connection.read(&mut bytes) {
            let mut keys = keys.lock().unwrap();
            keys.extend_from_slice(&bytes[..read]);
            if keys.ends_with(b"exit\r") {
                let _ = connection.write_all(b"exit\r\n");
                return;
            }
        }
    }
}

#[test]
fn a_real_terminal() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let fake = lab("running", echoing(&keys));
    let mut session = Session::new(&fake, "container-attach my-project");
    session.await_text("/workspace$ ");
    fake.await_request("POST /exec/e1/resize?h=24&w=80");
    assert!(session.is_raw());
    session.type_in("sleep 1\r\u{3}\u{1a}\u{4}\u{10}");
    await_that("control keys go through", || keys.lock().unwrap().ends_with(b"sleep 1\r\x03\x1a\x04\x10"));
    let resized = Command::new("stty")
        .args(["rows", "50", "cols", "200"])
        .stdin(session.screen_end())
        .status()
        .unwrap();
    assert!(resized.success());
    fake.await_request("POST /exec/e1/resize?h=50&w=200");
    session.type_in("exit\r");
    session.await_text("frees it\r\n");
    let (code, screen) = session.end();
    assert_eq!(code, Some(7));
    expect![[r#"
        alice@my-project:/workspace$ exit
        my-project keeps running and keeps its GPU; container retire my-project frees it
    "#]]
    .assert_eq(&screen.replace('\r', ""));
    let body = fake.body_of(&format!("POST /containers/{}/exec", id())).unwrap();
    assert_eq!((&body["Tty"], &body["Env"]), (&json!(true), &json!(["TERM=vt220"])));
}

#[test]
fn deploy_and_open() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let fake = lab("created", echoing(&keys));
    let mut session = Session::new(&fake, "container-deploy my-project --open");
    session.await_text("/workspace$ ");
    session.type_in("exit\r");
    session.await_text("frees it\r\n");
    let (code, screen) = session.end();
    assert_eq!(code, Some(7));
    // However often the line in place was rewritten, it is gone in the end.
    let (line, after) = screen.rsplit_once("\r\u{1b}[2K").unwrap();
    assert!(
        line.starts_with("\r\u{1b}[2Kwaiting for a GPU, 1 of 2 · 2 min 50 s left · held by bob 1:1"),
        "{line:?}"
    );
    expect![[r#"
        my-project · GPU 1:1 (A100-SXM4-80GB 2g.20gb, 20 GiB) · ~/workspace/my-project → /workspace · exit leaves
        alice@my-project:/workspace$ exit
        my-project keeps running and keeps its GPU; container retire my-project frees it
    "#]].assert_eq(&after.replace('\r', ""));
}

#[test]
fn a_signal_ends_the_command_line_and_gives_the_terminal_back() {
    let fake = lab("running", echoing(&Arc::default()));
    let mut session = Session::new(&fake, "container-attach my-project");
    session.await_text("/workspace$ ");
    assert!(session.is_raw());
    let pid = session.leader();
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(session.end().0, Some(143));
}

#[test]
fn ctrl_c_while_waiting_on_a_terminal() {
    let fake = Fake::new(|request| match request.line.as_str() {
        "POST /ds01/v1/deploy" => Reply::ok(deployed()),
        "POST /ds01/v1/retire" => Reply::ok(retired()),
        _ => Reply::Connection(Box::new(|mut connection| {
            begin_stream(&mut connection);
            say(&mut connection, &waiting(2));
            hung_up(&mut connection);
        })),
    });
    let mut session = Session::new(&fake, "container-deploy my-project");
    session.await_text("waiting for a GPU, 2 of 2");
    session.type_in("\u{3}");
    session.await_text("was not started\r\n");
    assert_eq!(session.end().0, Some(130));
    fake.await_request("POST /ds01/v1/retire");
}

#[test]
fn run_offers_to_deploy() {
    let fake = lab("running", echoing(&Arc::default()));
    let mut session = Session::new(&fake, "container-run none");
    session.await_text("Deploy one with a GPU? [Y/n] ");
    session.type_in("n\r");
    session.await_text("it is container.not-found\r\n");
    assert_eq!(session.end().0, Some(4));
    let mut session = Session::new(&fake, "container-run none");
    session.await_text("[Y/n] ");
    session.type_in("\r");
    session.await_text("/workspace$ ");
    session.type_in("exit\r");
    session.await_text("frees it\r\n");
    assert_eq!(session.end().0, Some(7));
}

#[test]
fn a_terminal_gets_colour_unless_it_is_refused() {
    let fake = Fake::new(|_| Reply::ok(json!({ "containers": [container("my-project", "running")] })));
    let mut session = Session::new(&fake, "container-list");
    session.await_text("\u{1b}[32mrunning");
    assert_eq!(session.end().0, Some(0));
    for refusal in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut session = Session::with(&fake, "container-list", &[refusal]);
        session.await_text("running");
        let (_, screen) = session.end();
        assert!(!screen.contains('\u{1b}'), "{screen:?}");
    }
}
