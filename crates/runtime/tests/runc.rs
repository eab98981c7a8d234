//! The program as the Engine meets it: runc's command line, a bundle, a hinge that is played by the test, and the real
//! runc behind it. The tests that start containers need root, runc and a static busybox.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its stage has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ds01_runtime::protocol::{Access, Bound, DEADLINE, DeviceKind, DeviceNode, Request, Response};
use ds01_runtime::receipt;
use serde_json::{Value, json};

const NOBODY: u32 = 65534;
/// Names the socket on which the helper below listens.
const HELPER_SOCKET: &str = "DS01_TEST_HELPER_SOCKET";

/// A directory with a copy of the program, its settings and a bundle; all of it gone at the end.
struct Lab {
    dir: PathBuf,
    id: String,
}

impl Lab {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ds01-runtime-test-{}-{number}", std::process::id());
        let id = format!("{:08x}{number:08x}{}", std::process::id(), "a".repeat(48));
        let lab = Self { dir: std::env::temp_dir().join(&name), id };
        fs::create_dir_all(lab.bundle().join("rootfs/bin")).unwrap();
        fs::set_permissions(&lab.dir, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(copy(env!("CARGO_BIN_EXE_ds01-runtime"), &lab.program()));
        lab.set(&json!({"socket": lab.socket(), "receipts": lab.receipts()}));
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["/bin/sh", "-c", SCRIPT],
                "env": ["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES=0"],
                "cwd": "/",
                "oomScoreAdj": 0,
            },
            "root": {"path": "rootfs"},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            ],
            "linux": {
                "cgroupsPath": format!("/{name}"),
                "devices": [{"path": "/dev/hers", "type": "b", "major": 7, "minor": 1, "fileMode": 0o666}],
                "resources": {"devices": [{"allow": false, "access": "rwm"}]},
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "network"}],
            },
        });
        fs::write(lab.bundle().join("config.json"), config.to_string()).unwrap();
        lab
    }

    fn program(&self) -> PathBuf {
        self.dir.join("ds01-runtime")
    }

    fn bundle(&self) -> PathBuf {
        self.dir.join("bundle")
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("hinge.sock")
    }

    fn receipts(&self) -> PathBuf {
        self.dir.join("receipts")
    }

    fn set(&self, settings: &Value) {
        fs::write(self.dir.join("ds01-runtime.json"), settings.to_string()).unwrap();
    }

    /// The program with the options that containerd writes before the verb.
    fn runtime(&self) -> Command {
        let mut command = Command::new(self.program());
        command.arg("--root").arg(self.dir.join("state")).arg("--log").arg(self.dir.join("log.json"));
        command.args(["--log-format", "json"]);
        command
    }

    fn create(&self) -> Command {
        let mut command = self.runtime();
        command.arg("create").arg("--bundle").arg(self.bundle()).arg(&self.id);
        command
    }

    fn listen(&self) -> UnixListener {
        let listener = UnixListener::bind(self.socket()).unwrap();
        fs::set_permissions(self.socket(), fs::Permissions::from_mode(0o600)).unwrap();
        listener
    }

    /// Answers the next question with this line, as a daemon would; returns what was asked.
    fn answer(&self, line: Vec<u8>) -> std::thread::JoinHandle<Request> {
        let listener = self.listen();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            BufReader::new(&stream).read_until(b'\n', &mut asked).unwrap();
            // A runtime that has read enough to refuse may be gone already.
            let _ = stream.write_all(&line);
            Request::from_line(&asked).unwrap()
        })
    }

    /// What the Engine would tell the user: the message of the last line of the log.
    fn told(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log.json")).unwrap();
        let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(line["level"], "error");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
        line["msg"].as_str().unwrap().to_owned()
    }

    /// Nothing was started, recorded or changed.
    fn assert_untouched(&self) {
        assert!(!self.dir.join("state").join(&self.id).exists(), "no container");
        assert!(receipt::read_all(&self.receipts()).unwrap().sound.is_empty(), "no receipt");
        let config = fs::read_to_string(self.bundle().join("config.json")).unwrap();
        assert!(config.contains("NVIDIA_VISIBLE_DEVICES=all"), "the bundle is as it was");
    }

    fn refused(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = self.told();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("{told}\n"));
        assert!(!told.contains('\n'), "one sentence");
        self.assert_untouched();
        told
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.dir.join("state").join(&self.id).exists() {
            let state = self.dir.join("state");
            let _ = Command::new("runc").arg("--root").arg(state).args(["delete", "-f", &self.id]).output();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Copies a program by another process: a test that forks meanwhile would inherit our open file, and a program that is
/// open for writing cannot be run.
fn copy(from: impl AsRef<Path>, to: &Path) -> bool {
    Command::new("cp").arg(from.as_ref()).arg(to).output().is_ok_and(|output| output.status.success())
}

/// What the container does: says what it sees, then tries both devices.
const SCRIPT: &str = "/bin/busybox env | /bin/busybox grep NVIDIA
for device in nvidia0 hers; do /bin/busybox head -c 1 /dev/$device 2>&1 && echo $device opened; done
/bin/busybox stat -c '%a %u:%g %t:%T' /dev/nvidia0";

fn bound() -> Bound {
    Bound {
        epoch: 7,
        units: vec!["GPU-1".to_owned()],
        env: vec!["NVIDIA_VISIBLE_DEVICES=GPU-1".to_owned()],
        devices: vec![DeviceNode {
            path: "/dev/nvidia0".to_owned(),
            kind: DeviceKind::Block,
            major: 7,
            minor: 0,
            mode: Access::ReadWrite,
        }],
        runtime: "runc".to_owned(),
    }
}

fn line(bound: Bound) -> Vec<u8> {
    Response::Bound(bound).to_line().unwrap()
}

/// Whether containers can be started here; says so when not.
fn can_run(lab: &Lab) -> bool {
    let root = nix::unistd::geteuid().is_root();
    let copied = copy("/bin/busybox", &lab.bundle().join("rootfs/bin/busybox"));
    let _ = fs::hard_link(lab.bundle().join("rootfs/bin/busybox"), lab.bundle().join("rootfs/bin/sh"));
    let runc = Command::new("runc").arg("--version").output().is_ok();
    if !(root && copied && runc) {
        eprintln!("skipped: needs root ({root}), busybox ({copied}), runc ({runc})");
    }
    root && copied && runc
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_container_starts_with_its_unit_and_no_other() {
    let lab = Lab::new();
    if !can_run(&lab) {
        return;
    }
    let config = lab.bundle().join("config.json");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    chown(&config, Some(0), Some(NOBODY)).unwrap();
    let hinge = lab.answer(line(bound()));
    let mut create = lab.create().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let created = create.wait().unwrap();
    let mut output = create.stdout.take().unwrap();
    if !created.success() {
        let mut error = String::new();
        create.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        panic!("create: {error}");
    }

    let asked = hinge.join().unwrap();
    assert_eq!(asked.container, lab.id);
    assert_eq!(asked.bundle, lab.bundle().to_str().unwrap());
    assert!(asked.cgroups_path.starts_with("/ds01-runtime-test-"));
    let receipts = receipt::read_all(&lab.receipts()).unwrap().sound;
    assert_eq!((receipts[0].epoch, &receipts[0].units[..]), (7, &["GPU-1".to_owned()][..]));
    assert_eq!(receipts[0].boot_id, receipt::boot_id().unwrap());
    let found = fs::metadata(&config).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o640, "the bundle's file keeps its mode");
    assert_eq!(std::os::unix::fs::MetadataExt::gid(&found), NOBODY, "and its group");
    let names = fs::read_dir(lab.bundle()).unwrap().count();
    assert_eq!(names, 2, "config.json and rootfs, nothing left over");

    let started = lab.runtime().args(["start", &lab.id]).output().unwrap();
    assert!(started.status.success(), "{started:?}");
    let mut seen = String::new();
    output.read_to_string(&mut seen).unwrap();
    assert_eq!(
        seen,
        "NVIDIA_VISIBLE_DEVICES=GPU-1\nnvidia0 opened\nhead: /dev/hers: Operation not permitted\n666 0:0 7:0\n"
    );
    let deleted = lab.runtime().args(["delete", "--force", &lab.id]).output().unwrap();
    assert!(deleted.status.success(), "{deleted:?}");
    let left = receipt::read_all(&lab.receipts()).unwrap().sound;
    assert_eq!(left, receipts, "the daemon removes receipts, when it has looked");
}

#[test]
fn run_is_bound_like_create() {
    let lab = Lab::new();
    if !can_run(&lab) {
        return;
    }
    let hinge = lab.answer(line(bound()));
    let mut run = lab.runtime();
    run.arg("run").arg(format!("--bundle={}", lab.bundle().display())).arg(&lab.id);
    let output = run.output().unwrap();
    assert!(text(&output).contains("NVIDIA_VISIBLE_DEVICES=GPU-1\nnvidia0 opened\n"), "{}", text(&output));
    assert_eq!(hinge.join().unwrap().container, lab.id);
}

#[test]
fn what_runc_refuses_is_told_by_runc() {
    let lab = Lab::new();
    if !can_run(&lab) {
        return;
    }
    fs::remove_dir_all(lab.bundle().join("rootfs")).unwrap();
    let hinge = lab.answer(line(bound()));
    let output = lab.create().output().unwrap();
    assert!(!output.status.success());
    assert!(lab.told().contains("rootfs"), "{}", lab.told());
    hinge.join().unwrap();
    assert_eq!(
        receipt::read_all(&lab.receipts()).unwrap().sound.len(),
        1,
        "it may have run: the daemon looks"
    );
}

#[test]
fn a_refusal_is_told_in_the_daemon_s_words() {
    let lab = Lab::new();
    let sentence = "all 2 GPUs are taken (alice: train); wait for one: docker start proj";
    let hinge = lab.answer(Response::Refused(sentence.to_owned()).to_line().unwrap());
    assert_eq!(lab.refused(&mut lab.create()), sentence);
    hinge.join().unwrap();
}

#[test]
fn a_daemon_that_is_not_there_is_told_at_once() {
    let lab = Lab::new();
    let began = Instant::now();
    let absent = lab.refused(&mut lab.create());
    assert!(absent.contains("ds01d") && absent.contains("again"), "{absent}");
    drop(lab.listen());
    let dead = lab.refused(&mut lab.create());
    assert!(dead.contains("Connection refused") && dead.contains("again"), "{dead}");
    assert!(began.elapsed() < DEADLINE);
}

fn assert_gives_up_in_time(lab: &Lab) {
    let began = Instant::now();
    let told = lab.refused(&mut lab.create());
    let took = began.elapsed();
    assert!(told.contains("within 2 s"), "{told}");
    assert!(took >= DEADLINE && took < DEADLINE + Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_silent_daemon_is_given_up_at_the_deadline() {
    let lab = Lab::new();
    let _listener = lab.listen();
    assert_gives_up_in_time(&lab);
}

#[test]
fn a_daemon_that_dribbles_is_given_up_at_the_deadline() {
    let lab = Lab::new();
    let listener = lab.listen();
    let dribble = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // One byte now and then, so that no single wait is long; ends when the runtime hangs up.
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    assert_gives_up_in_time(&lab);
    dribble.join().unwrap();
}

#[test]
fn a_daemon_that_accepts_nobody_is_given_up_at_the_deadline() {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
    };
    use std::os::fd::AsRawFd;

    let lab = Lab::new();
    let address = UnixAddr::new(&lab.socket()).unwrap();
    let stream = |flags| socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
    let listener = stream(SockFlag::SOCK_CLOEXEC);
    bind(listener.as_raw_fd(), &address).unwrap();
    fs::set_permissions(lab.socket(), fs::Permissions::from_mode(0o600)).unwrap();
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = stream(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK);
        if connect(client.as_raw_fd(), &address).is_err() {
            break;
        }
        waiting.push(client);
    }
    assert_gives_up_in_time(&lab);
}

#[test]
fn answers_that_are_none_start_nothing() {
    let with = |change: fn(&mut Bound)| {
        let mut bound = bound();
        change(&mut bound);
        line(bound)
    };
    for (answer, expected) in [
        (Vec::new(), "hung up"),
        (b"hello\n".to_vec(), "hinge message"),
        (b"{\"v\":2,\"refused\":\"x\"}\n".to_vec(), "version 2"),
        (b"{\"v\":1}\n".to_vec(), "bound or refused"),
        (vec![b'x'; 70_000], "longer than"),
        (with(|bound| bound.env.clear()), "NVIDIA_VISIBLE_DEVICES"),
        (with(|bound| bound.devices[0].path = "/etc/shadow".to_owned()), "device path"),
        (with(|bound| bound.runtime = "/tmp/mine".to_owned()), "name no runtime"),
        (with(|bound| bound.runtime = "crun".to_owned()), "name no runtime"),
    ] {
        let lab = Lab::new();
        let hinge = lab.answer(answer);
        let told = lab.refused(&mut lab.create());
        assert!(told.contains(expected), "{expected}: {told}");
        hinge.join().unwrap();
    }
}

#[test]
fn a_bundle_that_asks_behind_the_door_s_back_starts_nothing() {
    let lab = Lab::new();
    let path = lab.bundle().join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config["annotations"] = json!({"cdi.k8s.io/gpu": "nvidia.com/gpu=all"});
    fs::write(&path, config.to_string()).unwrap();
    let hinge = lab.answer(line(bound()));
    let told = lab.refused(&mut lab.create());
    assert!(told.contains("the annotation cdi.k8s.io/gpu"), "{told}");
    hinge.join().unwrap();
}

#[test]
fn command_lines_that_are_not_understood_start_nothing() {
    let lab = Lab::new();
    let restored = lab.refused(lab.runtime().args(["restore", &lab.id]));
    assert!(restored.contains("checkpoint"), "{restored}");
    let unknown = lab.refused(lab.create().arg("--new-option"));
    assert!(unknown.contains("--new-option"), "{unknown}");
    let unnamed = lab.refused(lab.runtime().args(["create", "web"]));
    assert!(unnamed.contains("\"web\""), "{unnamed}");
}

#[test]
fn its_own_version_is_told_and_the_real_one_s_is_not_in_the_way() {
    let lab = Lab::new();
    // Without a runtime to become: the question is not passed on.
    lab.set(&json!({"runtimes": {"runc": "/nowhere/runc"}}));
    let own = Command::new(lab.program()).arg("--ds01-version").output().unwrap();
    assert_eq!(text(&own), format!("ds01-runtime {}\n", env!("CARGO_PKG_VERSION")));
    assert!(own.status.success());
    let real = Command::new(lab.program()).arg("--version").output().unwrap();
    assert!(!real.status.success() && text(&real).contains("/nowhere/runc"), "{real:?}");
}

#[test]
fn settings_that_others_can_write_are_not_used() {
    let lab = Lab::new();
    let settings = lab.dir.join("ds01-runtime.json");
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o666)).unwrap();
    let told = lab.refused(&mut lab.create());
    assert!(told.contains("writable by nobody else"), "{told}");
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&settings, "{").unwrap();
    assert!(lab.refused(&mut lab.create()).contains("not valid"));
    if can_run(&lab) {
        let version = lab.runtime().arg("--version").output().unwrap();
        assert!(text(&version).contains("runc version"), "stopping and removing still works: {version:?}");
    }
}

#[test]
fn a_runtime_that_others_can_write_is_not_used() {
    let lab = Lab::new();
    let mine = lab.dir.join("runc");
    assert!(copy("/bin/true", &mine));
    fs::set_permissions(&mine, fs::Permissions::from_mode(0o777)).unwrap();
    lab.set(&json!({"socket": lab.socket(), "receipts": lab.receipts(), "runtimes": {"runc": mine}}));
    let hinge = lab.answer(line(bound()));
    let told = lab.refused(&mut lab.create());
    assert!(told.contains("others than root can write"), "{told}");
    hinge.join().unwrap();
}

#[test]
fn a_hinge_that_is_not_root_s_is_not_believed() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let lab = Lab::new();
    let _listener = lab.listen();
    chown(lab.socket(), Some(NOBODY), None).unwrap();
    let told = lab.refused(&mut lab.create());
    assert!(told.contains("others than root can write"), "{told}");
    fs::remove_file(lab.socket()).unwrap();

    // The socket is root's, but the process behind it is not.
    let open = lab.dir.join("open");
    fs::create_dir(&open).unwrap();
    chown(&open, Some(NOBODY), None).unwrap();
    fs::set_permissions(&lab.dir, fs::Permissions::from_mode(0o755)).unwrap();
    let helper_program = lab.dir.join("helper");
    assert!(copy(std::env::current_exe().unwrap(), &helper_program));
    let mut helper = Command::new(helper_program)
        .args(["--exact", "helper_that_listens", "--nocapture"])
        .env(HELPER_SOCKET, open.join("hinge.sock"))
        .uid(NOBODY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = BufReader::new(helper.stdout.take().unwrap()).lines();
    assert!(ready.any(|line| line.unwrap().contains("listening")));
    fs::rename(open.join("hinge.sock"), lab.socket()).unwrap();
    chown(lab.socket(), Some(0), None).unwrap();
    fs::set_permissions(lab.socket(), fs::Permissions::from_mode(0o600)).unwrap();
    let told = lab.refused(&mut lab.create());
    assert!(told.contains("uid 65534 listens"), "{told}");
    drop(helper.stdin.take());
    helper.wait().unwrap();
}

/// Not a test: the process behind the socket of the test above. Listens until its standard input ends.
#[test]
fn helper_that_listens() {
    let Some(path) = std::env::var_os(HELPER_SOCKET) else { return };
    let _listener = UnixListener::bind(Path::new(&path)).unwrap();
    println!("listening");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
