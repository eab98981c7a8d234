//! The daemon's side of the hinge: a root-only unix socket on which `ds01-runtime` asks what a starting container is
//! bound to.
//!
//! The Engine is blocked while a runtime asks, so nothing here may ask the Engine, wait without a limit, or let one
//! caller hold up another. Who asks is the kernel's word: root, in this process's own pid namespace, nobody else.

use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ds01_runtime::protocol::{LINE_BYTES_MAX, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// How many runtimes are served at once; the next ones wait in the socket's backlog.
pub const CONNECTIONS_MAX: usize = 64;

/// How long one connection may last, reading, answering and writing together. The runtime itself gives up then.
pub const CONNECTION_DEADLINE: Duration = Duration::from_secs(2);

/// How long the answer may take. Shorter than the connection, so that a busy daemon can still say that it is busy.
pub const ANSWER_DEADLINE: Duration = Duration::from_millis(1500);

/// Room for a usual question, in bytes.
const LINE_BYTES_USUAL: usize = 4096;

/// How long to wait after a failed accept (the process is out of file descriptors, usually).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const BUSY: &str =
    "the GPU daemon is too busy to say which GPU this container has; start the container again in a moment";

/// Why the hinge cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum HingeError {
    /// Somebody else could put a socket of his own there.
    #[error("directory {0} must belong to root and be writable by nobody else")]
    Directory(PathBuf),
    /// Another daemon answers there.
    #[error("another daemon listens on {0}")]
    InUse(PathBuf),
    /// Something that is not a socket stands there.
    #[error("{0} is in the way and is not a socket")]
    NotASocket(PathBuf),
    /// A system call failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> HingeError + 'a {
    move |source| HingeError::Io { action, path: path.to_owned(), source }
}

/// Opens the hinge's socket, mode 0600, in place of one that a dead daemon left behind.
///
/// The socket is made under another name and renamed, so that it is never there with a wider mode and a runtime that
/// connects meets either the old listener or the new one.
///
/// # Errors
/// When the directory is not safe, another daemon listens, or the system refuses. Needs a tokio runtime.
pub fn bind(path: &Path) -> Result<UnixListener, HingeError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let found = std::fs::metadata(directory).map_err(failed("look at", directory))?;
    if found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(HingeError::Directory(directory.to_owned()));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(HingeError::NotASocket(path.to_owned())),
        Ok(_) if is_answered(path) => return Err(HingeError::InUse(path.to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at", path)(error)),
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &temporary)(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&temporary).map_err(failed("listen on", &temporary))?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o600))
        .map_err(failed("set the mode of", &temporary))?;
    std::fs::rename(&temporary, path).map_err(failed("rename into place", path))?;
    Ok(listener)
}

fn is_answered(path: &Path) -> bool {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::ConnectionRefused,
    }
}

/// Answers runtimes until `shutdown` is ready; answers under way are then finished, which takes at most
/// [`CONNECTION_DEADLINE`].
///
/// `answer` gets at most [`ANSWER_DEADLINE`] and is dropped then, so it should only wait for somebody else's work. It
/// must not ask the Engine.
pub async fn serve<A, F>(listener: UnixListener, answer: A, shutdown: impl Future<Output = ()>)
where
    A: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::pin!(shutdown);
    loop {
        let place = tokio::select! {
            biased;
            () = &mut shutdown => break,
            place = Arc::clone(&places).acquire_owned() => place.expect("the hinge's semaphore is never closed"),
        };
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "the hinge cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let answer = answer.clone();
        tokio::spawn(async move {
            match timeout(CONNECTION_DEADLINE, converse(stream, answer)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "a conversation at the hinge failed"),
                Err(_) => warn!("a caller at the hinge was too slow"),
            }
            drop(place);
        });
    }
    drop(listener);
    let everyone = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = timeout(CONNECTION_DEADLINE, places.acquire_many(everyone)).await;
}

async fn converse<A, F>(mut stream: UnixStream, answer: A) -> io::Result<()>
where
    A: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    if let Err(why) = judge_peer(&stream) {
        warn!(%why, "a caller at the hinge was turned away");
        return Ok(());
    }
    let line = read_line(&mut stream).await?;
    let response = match Request::from_line(&line) {
        Ok(request) => match timeout(ANSWER_DEADLINE, answer(request)).await {
            Ok(response) => response,
            Err(_) => Response::Refused(BUSY.to_owned()),
        },
        Err(error) => {
            warn!(%error, "a question at the hinge was not understood");
            Response::Refused(format!(
                "the GPU daemon does not understand ds01-runtime ({error}); ask an administrator to restart it \
                 after the update"
            ))
        }
    };
    let line = response.to_line().map_err(io::Error::other)?;
    stream.write_all(&line).await?;
    stream.shutdown().await
}

/// Reads up to the first newline or the end, and at most one byte more than a line may have.
async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(LINE_BYTES_USUAL);
    let mut input = stream.take(LINE_BYTES_MAX as u64 + 1);
    while input.read_buf(&mut line).await? > 0 {
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            // What follows the line is not the protocol; leaving it in makes the reading of the line fail.
            if end + 1 == line.len() {
                line.truncate(end);
            }
            break;
        }
    }
    Ok(line)
}

/// Whether the peer may ask: root, and a process of our own pid namespace. Says why not.
fn judge_peer(stream: &UnixStream) -> Result<(), String> {
    let peer = stream.peer_cred().map_err(|error| format!("its credentials are unknown: {error}"))?;
    if peer.uid() != nix::unistd::geteuid().as_raw() {
        return Err(format!("uid {} is not root", peer.uid()));
    }
    let pid = peer.pid().filter(|pid| *pid > 0).ok_or("it is in a pid namespace that is not visible here")?;
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/pid"));
    match (namespace("self"), namespace(&pid.to_string())) {
        (Ok(ours), Ok(theirs)) if ours == theirs => Ok(()),
        (Ok(_), Ok(_)) => Err(format!("process {pid} is in another pid namespace")),
        (Err(error), _) | (_, Err(error)) => {
            Err(format!("the pid namespace of process {pid} is unknown: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

    use ds01_runtime::protocol::Bound;
    use tokio::sync::oneshot;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("ds01-hinge-{}-{number}", std::process::id()));
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
            Self(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("hinge.sock")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn request() -> Request {
        Request { container: "a".repeat(64), cgroups_path: "/x".to_owned(), bundle: "/b".to_owned() }
    }

    fn bound() -> Response {
        Response::Bound(Bound {
            epoch: 7,
            units: vec!["GPU-1".to_owned()],
            env: vec!["NVIDIA_VISIBLE_DEVICES=GPU-1".to_owned()],
            devices: Vec::new(),
            runtime: "runc".to_owned(),
        })
    }

    async fn say(path: &Path, line: &[u8]) -> Vec<u8> {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(line).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_runtime_asks_and_is_answered_until_the_shutdown() {
        let scratch = Scratch::new();
        let listener = bind(&scratch.socket()).unwrap();
        assert_eq!(std::fs::metadata(scratch.socket()).unwrap().mode() & 0o777, 0o600);
        let (stop, stopped) = oneshot::channel::<()>();
        let answer = |asked: Request| async move {
            assert_eq!(asked, request());
            bound()
        };
        let server = tokio::spawn(serve(listener, answer, async move {
            let _ = stopped.await;
        }));
        for _ in 0..3 {
            let line = say(&scratch.socket(), &request().to_line().unwrap()).await;
            assert_eq!(Response::from_line(&line).unwrap(), bound());
        }
        stop.send(()).unwrap();
        server.await.unwrap();
        assert!(UnixStream::connect(scratch.socket()).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn rubbish_is_answered_with_a_sentence() {
        let scratch = Scratch::new();
        let listener = bind(&scratch.socket()).unwrap();
        let server = tokio::spawn(serve(listener, |_| async { bound() }, std::future::pending()));
        let twice = [request().to_line().unwrap(), request().to_line().unwrap()].concat();
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        for line in [b"what?\n".to_vec(), b"{\"v\":2}\n".to_vec(), twice, long] {
            let answer = Response::from_line(&say(&scratch.socket(), &line).await).unwrap();
            assert!(matches!(answer, Response::Refused(sentence) if sentence.contains("understand")));
        }
        server.abort();
    }

    #[tokio::test]
    async fn a_silent_daemon_still_says_that_it_is_busy() {
        let scratch = Scratch::new();
        let listener = bind(&scratch.socket()).unwrap();
        let server = tokio::spawn(serve(listener, |_| std::future::pending(), std::future::pending()));
        let answer = say(&scratch.socket(), &request().to_line().unwrap()).await;
        assert_eq!(Response::from_line(&answer).unwrap(), Response::Refused(BUSY.to_owned()));
        server.abort();
    }

    #[tokio::test]
    async fn callers_who_say_nothing_hold_up_nobody_for_long() {
        let scratch = Scratch::new();
        let listener = bind(&scratch.socket()).unwrap();
        static SERVED: AtomicUsize = AtomicUsize::new(0);
        let answer = |_| async {
            SERVED.fetch_add(1, Ordering::Relaxed);
            bound()
        };
        let server = tokio::spawn(serve(listener, answer, std::future::pending()));
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            silent.push(UnixStream::connect(scratch.socket()).await.unwrap());
        }
        let began = tokio::time::Instant::now();
        let line = say(&scratch.socket(), &request().to_line().unwrap()).await;
        assert_eq!(Response::from_line(&line).unwrap(), bound());
        assert!(began.elapsed() <= CONNECTION_DEADLINE + Duration::from_secs(1));
        assert_eq!(SERVED.load(Ordering::Relaxed), 1);
        server.abort();
    }

    /// Asks from another process, started by `command` (its last arguments are added here); returns what was answered.
    async fn ask_from(mut command: tokio::process::Command, program: &Path, socket: &Path) -> String {
        let module = module_path!().split_once("::").map_or("", |(_, module)| module);
        command.arg(program);
        command.args(["--exact", &format!("{module}::helper_that_asks"), "--nocapture"]);
        let output = command.env(HELPER_SOCKET, socket).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Names the socket at which the helper below asks.
    const HELPER_SOCKET: &str = "DS01_TEST_HINGE_SOCKET";

    /// Not a test: the process that asks in the test below.
    #[test]
    fn helper_that_asks() {
        use std::io::{Read, Write};

        let Some(path) = std::env::var_os(HELPER_SOCKET) else { return };
        let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        // The daemon may have hung up already.
        let _ = stream.write_all(&request().to_line().unwrap());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        println!("answer: {answer:?}");
    }

    #[tokio::test]
    async fn only_root_in_our_own_pid_namespace_is_answered() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let scratch = Scratch::new();
        let listener = bind(&scratch.socket()).unwrap();
        // Open on purpose: what is tried here is the second wall.
        std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(scratch.socket(), std::fs::Permissions::from_mode(0o666)).unwrap();
        let server = tokio::spawn(serve(listener, |_| async { bound() }, std::future::pending()));
        let command = |line: &str| {
            let mut words = line.split(' ');
            let mut command = tokio::process::Command::new(words.next().unwrap());
            command.args(words);
            command
        };
        // A checkout may stand where nobody else can look. Copied by another process: a test that forks meanwhile
        // would inherit our open file, and a program that is open for writing cannot be run.
        let program = scratch.0.join("helper");
        let mut copy = command("cp");
        copy.arg(std::env::current_exe().unwrap()).arg(&program);
        assert!(copy.status().await.unwrap().success());
        let root = ask_from(command("env"), &program, &scratch.socket()).await;
        assert!(root.contains("GPU-1"), "{root}");
        for other in ["setpriv --reuid 65534 --regid 65534 --clear-groups", "unshare --pid --fork"] {
            let answer = ask_from(command(other), &program, &scratch.socket()).await;
            assert!(answer.contains("answer: \"\""), "{other}: {answer}");
        }
        server.abort();
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let scratch = Scratch::new();
        let first = bind(&scratch.socket()).unwrap();
        assert!(matches!(bind(&scratch.socket()), Err(HingeError::InUse(_))));
        drop(first);
        let second = bind(&scratch.socket()).unwrap();
        drop(second);
        std::fs::remove_file(scratch.socket()).unwrap();
        std::fs::write(scratch.socket(), "").unwrap();
        assert!(matches!(bind(&scratch.socket()), Err(HingeError::NotASocket(_))));
        std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(bind(&scratch.socket()), Err(HingeError::Directory(_))));
    }
}
