//! Real processes at the other end of a real socket: on the host, in namespaces, in cgroups, dead.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use ds01_domain::ContainerId;

use super::super::cgroup::mounts;
use super::super::{Account, Admins, Caller, ContainerFacts, Directory, Identity, Peer, Place, Refusal};
use super::container;

const BOB: u32 = 20_002;
const LAB: u32 = 25_000;
/// Connects, says its last words, waits for the other end to hang up.
const CLIENT: &str = r#"use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0) or die; connect(S, sockaddr_un($ARGV[0])) or die; sysread(S, $b, 1);"#;

#[derive(Debug)]
struct People;

impl Directory for People {
    fn account(&self, uid: u32) -> io::Result<Option<Account>> {
        let (name, unix_groups) = match uid {
            0 => ("root", vec!["root".to_owned()]),
            BOB => ("bob", vec!["bob".to_owned(), "ds01-admin".to_owned()]),
            _ => return Ok(None),
        };
        let home = PathBuf::from(format!("/home/{name}"));
        Ok(Some(Account { name: name.to_owned(), gid: uid, home, groups: vec![uid, LAB], unix_groups }))
    }

    fn subordinate_of(&self, uid: u32) -> Option<String> {
        (uid == 100_000).then(|| "alice".to_owned())
    }
}

/// A socket with a client process at its other end.
struct Lab {
    directory: PathBuf,
    listener: UnixListener,
    cgroup: Option<PathBuf>,
}

struct Connected {
    child: Child,
    stream: UnixStream,
    peer: Peer,
}

impl Drop for Connected {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}

impl Lab {
    /// `None`, with the reason printed, where it cannot be tried.
    fn new(test: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let there = |tool: &str| Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok();
        if !nix::unistd::geteuid().is_root() || !["perl", "unshare", "setpriv"].into_iter().all(there) {
            eprintln!("{test}: passed over, it needs root, perl, unshare and setpriv");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("ds01-{test}-{}-{number}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let listener = UnixListener::bind(directory.join("socket")).unwrap();
        fs::set_permissions(directory.join("socket"), fs::Permissions::from_mode(0o666)).unwrap();
        Some(Self { directory, listener, cgroup: None })
    }

    /// Runs the client behind the words of `wrapper` and accepts its connection. `None` if it cannot run here.
    fn connect(&self, wrapper: &[&str]) -> Option<Connected> {
        let words: Vec<_> = wrapper.iter().copied().chain(["perl", "-e", CLIENT]).collect();
        let mut command = Command::new(words[0]);
        let mut child = command.args(&words[1..]).arg(self.directory.join("socket")).spawn().unwrap();
        // The child may have died instead of connecting: do not wait for what never comes.
        self.listener.set_nonblocking(true).unwrap();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let peer = Peer::of(stream.as_fd()).unwrap();
                    return Some(Connected { child, stream, peer });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if child.try_wait().unwrap().is_some() {
                        eprintln!("passed over: {wrapper:?} does not work here");
                        return None;
                    }
                    std::thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A cgroup named after `id`, in whatever hierarchy lets us make one.
    fn cgroup(&mut self, id: &ContainerId) -> Option<PathBuf> {
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for mount in mounts(&text) {
            let top = Path::new(&mount.at).join(self.directory.file_name().unwrap());
            if fs::create_dir(&top).is_ok() {
                self.cgroup = Some(top.clone());
                let path = top.join(id.to_string());
                fs::create_dir(&path).unwrap();
                // cpuset, for one, takes nobody before it is set up.
                if Command::new("sh")
                    .args(["-c", "echo $$ > \"$0\"/cgroup.procs"])
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
                {
                    return Some(path);
                }
                remove_cgroup(&top);
                self.cgroup = None;
            }
        }
        eprintln!("passed over: no cgroup can be made here");
        None
    }
}

/// Removes a cgroup tree, which has only directories that can be removed.
fn remove_cgroup(top: &Path) {
    for entry in fs::read_dir(top).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroup(&entry.path());
    }
    let _ = fs::remove_dir(top);
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            remove_cgroup(cgroup);
            if !std::thread::panicking() {
                assert!(!cgroup.exists(), "{} is left", cgroup.display());
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn admins() -> Admins {
    Admins { users: vec![], groups: vec!["ds01-admin".to_owned()] }
}

async fn judge(peer: &Peer, place: &Place) -> Result<Caller, Refusal> {
    Identity::new(Arc::new(People)).judge(peer, place, |_| Some(BOB), &admins()).await
}

#[tokio::test]
async fn root_on_the_host_is_an_administrator() {
    let Some(lab) = Lab::new("root") else { return };
    let client = lab.connect(&["setpriv"]).unwrap();
    let place = client.peer.place(&[]);
    assert_eq!(place, Place::Host);
    let caller = judge(&client.peer, &place).await.unwrap();
    assert!(caller.admin && caller.known);
    assert_eq!((caller.uid, caller.name.as_str(), caller.pid), (0, "root", client.child.id().cast_signed()));
}

#[tokio::test]
async fn a_user_on_the_host_has_the_groups_of_his_process() {
    let Some(lab) = Lab::new("user") else { return };
    let wrapper = ["setpriv", "--reuid", "20002", "--regid", "20002", "--groups", "27,25000"];
    let client = lab.connect(&wrapper).unwrap();
    let place = client.peer.place(&[]);
    let caller = judge(&client.peer, &place).await.unwrap();
    assert_eq!((caller.uid, caller.gid, caller.groups.as_slice()), (BOB, BOB, &[27, LAB][..]));
    assert_eq!((caller.name.as_str(), caller.home.as_path()), ("bob", Path::new("/home/bob")));
    assert!(caller.admin, "a member of the administrators' group");
    assert_eq!(caller.credentials().groups, [27, LAB]);
    let nobody = Admins::default();
    let judged = Identity::new(Arc::new(People)).judge(&client.peer, &place, |_| None, &nobody).await;
    assert!(!judged.unwrap().admin);
}

#[tokio::test]
async fn who_is_gone_is_nobody_s_administrator() {
    let Some(lab) = Lab::new("gone") else { return };
    let mut client = lab.connect(&["setpriv"]).unwrap();
    let place = client.peer.place(&[]);
    assert!(client.peer.is_alive() && judge(&client.peer, &place).await.unwrap().admin);
    client.child.kill().unwrap();
    client.child.wait().unwrap();
    assert!(!client.peer.is_alive());
    assert_eq!(client.peer.place(&[]), Place::Host, "where it was is still known");
    assert!(!judge(&client.peer, &place).await.unwrap().admin);
}

#[tokio::test]
async fn who_was_gone_before_we_looked_is_nobody() {
    let Some(lab) = Lab::new("early") else { return };
    let mut hasty = Command::new("perl");
    hasty.args(["-e", &CLIENT.replace("sysread", "0 && sysread")]).arg(lab.directory.join("socket"));
    assert!(hasty.status().unwrap().success());
    let (stream, _) = lab.listener.accept().unwrap();
    let peer = Peer::of(stream.as_fd()).unwrap();
    assert!(!peer.is_alive());
    assert_eq!(peer.place(&[]), Place::Unknown);
    assert_eq!(judge(&peer, &Place::Unknown).await.unwrap_err(), Refusal::UnknownPlace);
}

#[tokio::test]
async fn root_in_namespaces_that_nobody_knows_is_refused() {
    let Some(lab) = Lab::new("unshared") else { return };
    let client = lab.connect(&["unshare", "--pid", "--fork"]).unwrap();
    assert_eq!(client.peer.uid(), 0);
    let place = client.peer.place(&[]);
    assert_eq!(place, Place::Unknown);
    let refusal = judge(&client.peer, &place).await.unwrap_err();
    assert!(refusal.to_string().starts_with("DS01 cannot tell who you are"), "{refusal}");
    // Nor does a sandbox within them help, where a user id may be anybody's.
    let wrapper = ["unshare", "--pid", "--fork", "setpriv", "--reuid", "20002", "--clear-groups"];
    let wrapper: Vec<_> = wrapper.into_iter().chain(["unshare", "-r", "--pid", "--fork"]).collect();
    let Some(client) = lab.connect(&wrapper) else { return };
    assert_eq!((client.peer.uid(), client.peer.place(&[])), (BOB, Place::Unknown));
}

#[tokio::test]
async fn a_user_s_own_sandbox_is_himself_and_no_administrator() {
    let Some(lab) = Lab::new("sandbox") else { return };
    let wrapper = ["setpriv", "--reuid", "20002", "--regid", "20002", "--clear-groups"];
    let inner: Vec<_> = wrapper.into_iter().chain(["unshare", "-r", "--pid", "--fork"]).collect();
    let Some(client) = lab.connect(&inner) else { return };
    let place = client.peer.place(&[]);
    assert_eq!(place, Place::Sandbox);
    let caller = judge(&client.peer, &place).await.unwrap();
    assert_eq!((caller.uid, caller.admin), (BOB, false));
    // In our pid namespace but as "root" of a user namespace of his own: on the host, himself, no administrator.
    let mapped: Vec<_> = wrapper.into_iter().chain(["unshare", "-r"]).collect();
    let Some(client) = lab.connect(&mapped) else { return };
    let place = client.peer.place(&[]);
    let caller = judge(&client.peer, &place).await.unwrap();
    assert_eq!((place, caller.uid, caller.admin), (Place::Host, BOB, false));
}

#[tokio::test]
async fn a_process_in_a_known_container_is_its_owner() {
    let Some(mut lab) = Lab::new("container") else { return };
    let id = container('c');
    let Some(cgroup) = lab.cgroup(&id) else { return };
    let enter = "echo $$ > \"$0\"/cgroup.procs && exec \"$@\"";
    let place = cgroup.to_str().unwrap().to_owned();
    let inside = ["sh", "-c", enter, &place, "unshare", "--pid", "--fork"];
    let init = lab.connect(&inside).unwrap();
    assert_eq!(init.peer.candidates(), std::slice::from_ref(&id));
    let facts = [ContainerFacts { id: id.clone(), init_pid: init.peer.pid() }];
    assert_eq!(init.peer.place(&[]), Place::Unknown, "named but not known");
    assert_eq!(init.peer.place(&facts), Place::Container(id.clone()));
    let caller = judge(&init.peer, &Place::Container(id.clone())).await.unwrap();
    assert_eq!((caller.uid, caller.name.as_str(), caller.admin, caller.process_uid), (BOB, "bob", false, 0));
    assert_eq!((caller.gid, caller.groups.as_slice(), caller.login_uid), (BOB, &[BOB, LAB][..], None));
    let ownerless =
        Identity::new(Arc::new(People)).judge(&init.peer, &facts_place(&id), |_| None, &admins()).await;
    assert_eq!(ownerless.unwrap_err(), Refusal::NoOwner(id.clone()));

    // Another process of the same cgroup, deeper, whatever its pid namespace.
    let deeper = cgroup.join("init.scope");
    fs::create_dir(&deeper).unwrap();
    let second = lab.connect(&["sh", "-c", enter, deeper.to_str().unwrap()]).unwrap();
    assert_eq!(second.peer.place(&facts), Place::Container(id.clone()));
    assert_eq!(second.peer.named_container(), Some(&id));
    assert_eq!(second.peer.place(&[]), Place::Unknown, "in our pid namespace, and not the host all the same");
    // News that are out of date prove nothing: that process is another one by now.
    let stale = [ContainerFacts { id: id.clone(), init_pid: std::process::id().cast_signed() }];
    assert_eq!(init.peer.place(&stale), Place::Unknown);
    // A cgroup of that name which is not root's proves nothing either.
    chown(&cgroup, Some(BOB), Some(BOB)).unwrap();
    assert_eq!(init.peer.place(&facts), Place::Unknown);
    assert_eq!(second.peer.place(&facts), Place::Host);
    // Nor does who connects from it take the share of the container that it is named after.
    assert_eq!((second.peer.candidates(), second.peer.named_container()), (std::slice::from_ref(&id), None));
    drop((init, second));
}

fn facts_place(id: &ContainerId) -> Place {
    Place::Container(id.clone())
}

#[tokio::test]
async fn a_subordinate_id_is_refused() {
    let Some(lab) = Lab::new("subid") else { return };
    let client =
        lab.connect(&["setpriv", "--reuid", "100000", "--regid", "100000", "--clear-groups"]).unwrap();
    let refusal = judge(&client.peer, &client.peer.place(&[])).await.unwrap_err();
    assert_eq!(refusal, Refusal::Subordinate { uid: 100_000, owner: "alice".to_owned() });
}

#[tokio::test]
async fn judging_is_quick() {
    const MANY: u32 = 1000;
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"x").unwrap();
    let start = Instant::now();
    for _ in 0..MANY {
        Peer::of(ours.as_fd()).unwrap();
    }
    let reading = start.elapsed() / MANY;
    let peer = Peer::of(ours.as_fd()).unwrap();
    let (identity, place, admins) = (Identity::new(Arc::new(People)), peer.place(&[]), admins());
    let judged = identity.judge(&peer, &place, |_| None, &admins).await;
    assert!(judged.is_ok());
    let start = Instant::now();
    for _ in 0..MANY {
        identity.judge(&peer, &place, |_| None, &admins).await.unwrap();
    }
    eprintln!("per connection {reading:?}, per request {:?}", start.elapsed() / MANY);
}
