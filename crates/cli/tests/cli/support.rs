//! A fake `ds01d`: a real unix socket with real HTTP on it and answers that a test gives. It must never know more of the
//! product than the test that uses it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// After this a test that still waits has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and target: `GET /ds01/v1/limits`.
    pub(crate) line: String,
    /// The body.
    pub(crate) body: Value,
    /// Whether it asks to take the connection over.
    pub(crate) upgrade: bool,
}

/// What a test answers with.
pub(crate) enum Reply {
    /// A status and a JSON body.
    Json(u16, Value),
    /// The connection, for whatever comes next; nothing has been written to it.
    Connection(Box<dyn FnOnce(UnixStream) + Send>),
}

impl Reply {
    /// 200 with a body.
    pub(crate) fn ok(body: Value) -> Self {
        Self::Json(200, body)
    }

    /// A start's stream that says these lines and ends.
    pub(crate) fn stream(lines: Vec<Value>) -> Self {
        Self::Connection(Box::new(move |mut connection| {
            begin_stream(&mut connection);
            for line in &lines {
                say(&mut connection, line);
            }
            let _ = connection.write_all(b"0\r\n\r\n");
        }))
    }
}

/// The head of a stream of lines.
pub(crate) fn begin_stream(connection: &mut UnixStream) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
}

/// One line of a stream.
pub(crate) fn say(connection: &mut UnixStream, line: &Value) {
    let text = format!("{line}\n");
    connection.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).unwrap();
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// The fake, with its socket in a directory of its own.
pub(crate) struct Fake {
    dir: PathBuf,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    /// Listens, and has `answer` answer each request on a thread of its own.
    pub(crate) fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let dir = fresh_dir();
        let listener = UnixListener::bind(dir.join("door.sock")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Answer> = Arc::new(answer);
        let record = Arc::clone(&seen);
        // Ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
                thread::spawn(move || serve(connection, &record, answer.as_ref()));
            }
        });
        Self { dir, seen }
    }

    /// `DOCKER_HOST` for this fake.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.dir.join("door.sock").display())
    }

    /// A command that talks to this fake; the first word is the name that it is called by.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = command(line);
        command.env("DOCKER_HOST", self.host());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, line: &str) -> Run {
        run(&mut self.command(line))
    }

    /// The request lines so far, sorted: requests on different connections have no order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|request| request.line.clone()).collect()
    }

    /// The body of the first request with this line.
    pub(crate) fn body_of(&self, line: &str) -> Option<Value> {
        let seen = self.seen.lock().unwrap();
        seen.iter().find(|request| request.line == line).map(|request| request.body.clone())
    }

    /// The bodies of every request with this line.
    pub(crate) fn bodies_of(&self, line: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|request| request.line == line).map(|request| request.body.clone()).collect()
    }

    /// Waits until a request line begins like this.
    pub(crate) fn await_request(&self, line: &str) {
        await_that(line, || self.lines().iter().any(|seen| seen.starts_with(line)));
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Waits until something is so.
pub(crate) fn await_that(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "it never came: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A directory that nobody else has.
pub(crate) fn fresh_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("ds01-cli-{}-{count}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

/// The program under the name that `line` begins with, in an environment without surprises.
pub(crate) fn command(line: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut words = line.split_whitespace();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ds01"));
    command.arg0(words.next().unwrap()).args(words);
    command.env_clear().env("HOME", "/home/alice").env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(std::process::Stdio::null());
    command
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Run {
    /// Code and both outputs in one text, for a snapshot.
    pub(crate) fn text(&self) -> String {
        format!(
            "{}{}exit {}\n",
            self.out,
            self.err,
            self.code.map_or("signal".to_owned(), |code| code.to_string())
        )
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    command.output().unwrap().into()
}

fn serve(connection: UnixStream, record: &Mutex<Vec<Request>>, answer: &Answer) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let (mut length, mut upgrade) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        upgrade |= header == "upgrade: tcp";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = Request {
        line: first.trim().strip_suffix(" HTTP/1.1").unwrap().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        upgrade,
    };
    record.lock().unwrap().push(request.clone());
    match answer(&request) {
        Reply::Json(status, body) => {
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
            let mut connection = connection;
            let _ = connection.write_all(format!("{head}{body}").as_bytes());
        }
        Reply::Connection(with) => with(connection),
    }
}

/// The id of the container in [`container`].
pub(crate) fn id() -> String {
    "ab".repeat(32)
}

/// A container of alice's, in this state.
pub(crate) fn container(project: &str, state: &str) -> Value {
    let units = if state == "running" { json!([unit()]) } else { json!([]) };
    json!({
        "id": id(), "name": format!("{project}._.alice"), "project": project, "owner": "alice", "mine": true,
        "kind": "ds01", "state": state, "image": format!("ds01-alice/{project}:latest"), "units": units,
        "want": "1 GPU", "workspace": format!("/home/alice/workspace/{project}"), "created": 1_800_000_000,
        "age_seconds": 7900, "state_seconds": 7800,
    })
}

/// A slice.
pub(crate) fn unit() -> Value {
    json!({
        "id": "MIG-1", "address": "1:1", "model": "NVIDIA A100-SXM4-80GB", "profile": "2g.20gb",
        "memory_mib": 20_480, "weight_milli": 286,
    })
}

/// The answer to a deploy of `my-project`.
pub(crate) fn deployed() -> Value {
    json!({
        "id": id(), "name": "my-project._.alice", "project": "my-project", "image": "ds01-alice/my-project:latest",
        "gpus": 1, "workspace": "/home/alice/workspace/my-project", "state": "created",
    })
}

/// The answer to a retirement of `my-project`.
pub(crate) fn retired() -> Value {
    json!({
        "name": "my-project._.alice", "project": "my-project", "stopped": true, "released": [unit()],
        "workspace": "/home/alice/workspace/my-project", "image": "ds01-alice/my-project:latest",
    })
}

/// A place in line.
pub(crate) fn waiting(position: u32) -> Value {
    json!({
        "event": "waiting", "position": position, "of": 2, "reason": "both units are held",
        "holders": [{ "owner": "bob", "mine": false, "units": ["1:1"], "held_seconds": 600 }],
        "waited_seconds": 0, "left_seconds": 170,
    })
}

/// The last line of a start that came through.
pub(crate) fn started() -> Value {
    json!({ "event": "started", "units": [unit()], "already": false })
}

/// An error of the daemon's.
pub(crate) fn error(code: &str) -> Value {
    json!({ "code": code, "message": format!("it is {code}"), "hint": "do something else" })
}

/// Whether the other side has hung up, waited for.
pub(crate) fn hung_up(connection: &mut UnixStream) -> bool {
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    matches!(connection.read(&mut [0; 1]), Ok(0))
}

/// Where the program under test lies.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ds01"))
}
