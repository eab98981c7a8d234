//! Bodies as the door judges them: one function for all kinds, and the daemon's answers as in its place.
//!
//! It must never answer a question as no daemon would: a bind goes to a staged path, a container to a full id.

use ds01_docker::body::{self, JudgedCreate, Profile, Refusal, Rules};

/// A kind of JSON body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of the operations")]
pub enum Kind {
    Create,
    Update,
    Exec,
    ExecStart,
    Commit,
    Volume,
    Network,
    Connect,
    Disconnect,
    Auth,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::Update,
        Self::Exec,
        Self::ExecStart,
        Self::Commit,
        Self::Volume,
        Self::Network,
        Self::Connect,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The name of the target and of its folder of seeds.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Exec => "exec",
            Self::ExecStart => "exec-start",
            Self::Commit => "commit",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Auth => "auth",
        }
    }

    /// The operation as the route table writes it.
    #[must_use]
    pub fn operation(self) -> &'static str {
        match self {
            Self::Create => "POST /containers/create",
            Self::Update => "POST /containers/{container}/update",
            Self::Exec => "POST /containers/{container}/exec",
            Self::ExecStart => "POST /exec/{exec}/start",
            Self::Commit => "POST /commit",
            Self::Volume => "POST /volumes/create",
            Self::Network => "POST /networks/create",
            Self::Connect => "POST /networks/{network}/connect",
            Self::Disconnect => "POST /networks/{network}/disconnect",
            Self::Auth => "POST /auth",
        }
    }
}

/// What a body became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What the Engine is sent.
    pub body: Vec<u8>,
    /// What the daemon was asked, in words: binds, volumes, containers, networks, images, GPUs.
    pub asked: Vec<String>,
    /// Whether GPUs were asked for.
    pub has_gpus: bool,
}

/// The full id that every name of a container stands for.
pub const CONTAINER_ID: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
/// Where binds are staged.
pub const STAGES: &str = "/run/ds01/binds/";
/// Under which every container of the student lies.
pub const CGROUP_PARENT: &str = "/ds01/20001";

/// A student with the limits of a group.
#[must_use]
pub fn student() -> Rules {
    let mut rules = Rules::lab(20001, 20001, vec![20001, 20100]);
    rules.limits.memory_bytes = Some(64 << 30);
    rules.limits.cpus_milli = Some(8_000);
    rules.limits.shm_bytes = Some(16 << 30);
    rules.limits.pids = Some(4096);
    CGROUP_PARENT.clone_into(&mut rules.cgroup_parent);
    rules.log_bytes = Some(100 << 20);
    rules
}

/// A student in a group without limits: what is asked for is sent on as it is.
#[must_use]
pub fn unlimited() -> Rules {
    Rules::lab(20001, 20001, vec![20001, 20100])
}

/// A student in a group of the strict profile.
#[must_use]
pub fn strict() -> Rules {
    Rules { profile: Profile::Strict, ..student() }
}

/// An administrator.
#[must_use]
pub fn admin() -> Rules {
    Rules { admin: true, ..unlimited() }
}

/// Judges a body of this kind, and answers what it asks.
///
/// # Errors
/// The refusal.
pub fn judge(kind: Kind, bytes: &[u8], rules: &Rules) -> Result<Judged, Refusal> {
    let plain = |body: Vec<u8>| Judged { body, asked: Vec::new(), has_gpus: false };
    Ok(match kind {
        Kind::Create => return create(bytes, rules),
        Kind::Update => plain(body::judge_update(bytes, rules)?.into_body(false)),
        Kind::Exec => plain(body::judge_exec(bytes, rules)?.into_body()),
        Kind::ExecStart => plain(body::judge_exec_start(bytes, rules)?.into_body()),
        Kind::Commit => plain(body::judge_commit(bytes, rules)?.into_body()),
        Kind::Volume => plain(body::judge_volume(bytes, rules)?.into_body()),
        Kind::Network => plain(body::judge_network(bytes, rules)?.into_body()),
        Kind::Connect => {
            let judged = body::judge_connect(bytes, rules)?;
            let asked = vec![format!("container {}", judged.container())];
            Judged { asked, ..plain(judged.into_body(CONTAINER_ID)) }
        }
        Kind::Disconnect => {
            let judged = body::judge_disconnect(bytes, rules)?;
            let asked = vec![format!("container {}", judged.container())];
            Judged { asked, ..plain(judged.into_body(CONTAINER_ID)) }
        }
        Kind::Auth => {
            let judged = body::judge_login(bytes, rules)?;
            let asked = vec![format!("registry {:?}", judged.registry())];
            Judged { asked, ..plain(judged.into_body()) }
        }
    })
}

fn create(bytes: &[u8], rules: &Rules) -> Result<Judged, Refusal> {
    let mut judged = body::judge_create(bytes, rules)?;
    let asked = questions(&judged);
    let has_gpus = judged.gpu().is_some();
    // Each is told what it is shown again as, too.
    let _ = judged.original();
    answer(&mut judged);
    match judged.into_body() {
        Ok(body) => Ok(Judged { body, asked, has_gpus }),
        Err(twice @ ds01_docker::body::Unresolved::NetworkTwice(_)) => {
            Err(Refusal { status: 400, message: twice.to_string() })
        }
        Err(open) => panic!("a question was never asked: {open}"),
    }
}

fn questions(judged: &JudgedCreate) -> Vec<String> {
    let mut asked = vec![
        format!("image {:?}", judged.image()),
        format!("gpu {:?}", judged.gpu()),
        format!("user {:?}", judged.user()),
        format!("restart {:?} {}", judged.restart(), judged.auto_remove()),
        format!("networks {:?}", judged.networks()),
        format!("images {:?}", judged.images()),
        format!("labels {:?}", judged.labels()),
        format!("kind {:?}", judged.kind_hint()),
        format!(
            "counts {} {} {}",
            judged.nameless_volumes(),
            judged.published_ports(0),
            judged.memory_mounts()
        ),
    ];
    asked.extend(judged.binds().iter().map(|bind| format!("{bind:?}")));
    asked.extend(judged.volumes().iter().map(|volume| format!("{volume:?}")));
    asked.extend(judged.containers().iter().map(|other| format!("{:?} {}", other.role, other.name)));
    asked
}

/// Answers as the daemon would where everything is the caller's own.
fn answer(judged: &mut JudgedCreate) {
    for bind in judged.binds().to_vec() {
        judged.set_bind(bind.slot, &format!("{STAGES}{}/{}", "t", bind.slot));
    }
    for other in judged.containers().to_vec() {
        judged.set_container(other.slot, CONTAINER_ID);
    }
    for network in judged.networks().to_vec() {
        judged.set_network(&network, &network);
    }
    if judged.gpu().is_some() {
        judged.set_gpu(Some("ds01"));
    }
}
