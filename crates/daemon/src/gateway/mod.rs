//! The door: every request, who asks, what it means, whether it may, what goes on to the Engine.
//!
//! Handlers judge with the pure crates, ask the coordinator for decisions, and forward. They must never keep state of
//! their own that a restart would miss, and never forward a byte that was not judged.

pub mod deeds;
pub mod http;
pub mod serve;
pub mod terminals;
pub mod tunnel;

mod archive;
mod binds;
mod build;
mod built;
mod carrier;
mod containers;
mod context;
mod control;
mod create;
mod events;
mod exec;
mod forward;
mod images;
mod load;
mod made;
mod networks;
mod outlook;
mod own;
mod prune;
mod quota;
mod registries;
mod saved;
mod share;
mod start;
mod system;
mod tarball;
mod unread;
mod volumes;

#[doc(hidden)]
pub use archive::copied;

use std::sync::{Arc, RwLock};

use bytes::Bytes;
use ds01_docker::body::{Profile, Rules};
use ds01_docker::route::{self, BodyRule, Class, Op, Route, RouteRefusal};
use ds01_docker::version::ApiVersion;
use ds01_domain::{Limits, Person, Uid};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tokio::sync::Mutex;

use crate::config::Config;
use crate::coordinator::{Coordinator, Fault};
use crate::deploy::account::AccountFiles;
use crate::engine::{Connection, Engine, EngineError, EngineFacts};
use crate::identity::{Account, Caller, Identity, Peer, Place};
use crate::staging::Stage;
use crate::totals;

pub use binds::Turns;
pub(crate) use binds::ensure_staged;
pub(crate) use control::event_line;
pub use create::OWNER_LABEL;
pub(crate) use made::found_again;
pub use own::Records;
pub(crate) use quota::bound_everybody;
pub use start::{Cause, StartRefusal, Started, start_container};

use http::{Body, Refusal};

/// The largest JSON body that is read: Docker's own bodies are a few KiB.
pub const JSON_BODY_BYTES_MAX: usize = ds01_docker::json::JSON_BODY_BYTES_MAX;

/// What every request may use.
#[derive(Debug)]
pub struct Door {
    /// The Engine behind the door.
    pub engine: Engine,
    /// The owner of the state.
    pub coordinator: Coordinator,
    /// Who people are.
    pub identities: Identity,
    /// Terminals that wait with their containers.
    pub terminals: terminals::Terminals,
    /// Staged bind mounts.
    pub stage: Arc<Stage>,
    /// Whose turn it is to stage them.
    pub turns: Turns,
    /// What is remembered of containers.
    pub records: Records,
    /// What was last done to containers that do not run.
    pub deeds: deeds::Deeds,
    /// The account files of images, read once each.
    pub account_files: AccountCache,
    /// The running configuration, replaced as one value.
    pub config: RwLock<Arc<Config>>,
    /// What the Engine is, once it has answered.
    pub engine_facts: RwLock<Option<EngineFacts>>,
    /// Asks the enforcer to look at a container.
    pub looks: crate::enforcer::Looks,
    /// What GPUs there are, for what is told of them.
    pub inventory: Arc<crate::inventory::Inventory>,
    /// What running containers do with their units.
    pub board: crate::activity::Board,
}

impl Door {
    /// A person by number, for acts on his behalf when he is not there.
    pub async fn person(&self, uid: u32, name: &str) -> Person {
        let known = self.identities.names().lookup(uid).await;
        match known.account() {
            Some(account) => self.person_of(uid, account),
            None => self.person_named(uid, name.to_owned(), Vec::new()),
        }
    }

    /// Everybody that a user may be, by what is known at once: one person, unless the directory of users has not told, or
    /// has said only lately that there is no such user.
    #[must_use]
    pub fn who_it_may_be(&self, uid: u32, name: &str) -> Vec<Person> {
        let names = self.identities.names();
        match names.recall(uid).account() {
            Some(account) => vec![self.person_of(uid, account)],
            None if names.is_nobody(uid) => vec![self.person_named(uid, name.to_owned(), Vec::new())],
            None => self.config().policy.who_it_may_be(Uid(uid), name),
        }
    }

    fn person_of(&self, uid: u32, account: &Account) -> Person {
        self.person_named(uid, account.name.clone(), account.unix_groups.clone())
    }

    fn person_named(&self, uid: u32, name: String, unix_groups: Vec<String>) -> Person {
        let admins = &self.config().admins;
        let admin = uid == 0
            || admins.users.contains(&name)
            || unix_groups.iter().any(|group| admins.groups.contains(group));
        Person { uid: Uid(uid), name, unix_groups, admin }
    }

    /// The configuration as it stands.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// What the Engine is; asked once, then remembered until the Engine is seen to restart.
    ///
    /// # Errors
    /// When the Engine does not answer.
    pub async fn engine_facts(&self) -> Result<EngineFacts, EngineError> {
        if let Some(known) = self.known_engine_facts() {
            return Ok(known);
        }
        let facts = self.engine.facts().await?;
        *self.engine_facts.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(facts);
        Ok(facts)
    }

    /// What the Engine is, if it has said so already.
    fn known_engine_facts(&self) -> Option<EngineFacts> {
        *self.engine_facts.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The control group above a user's containers.
    ///
    /// # Errors
    /// When the Engine does not answer: it says who makes control groups, and that decides their names.
    pub(crate) async fn group_of(&self, uid: u32) -> Result<totals::Group, EngineError> {
        let driver = self.engine_facts().await?.cgroup_driver;
        Ok(totals::Group::of_user(&self.config().engine.cgroup_parent, uid, driver))
    }
}

/// One client connection: who it is, and its own connection to the Engine.
#[derive(Debug)]
pub struct Visit {
    door: Arc<Door>,
    peer: Peer,
    /// Where the peer runs; it holds for the whole connection.
    place: tokio::sync::OnceCell<Place>,
    upstream: Mutex<Option<Connection>>,
    /// Counts the connection for as long as anything of it lives.
    _seat: serve::Seat,
}

impl Visit {
    /// A new connection.
    fn new(door: Arc<Door>, peer: Peer, seat: serve::Seat) -> Self {
        Self { door, peer, place: tokio::sync::OnceCell::new(), upstream: Mutex::new(None), _seat: seat }
    }
}

/// One request that was understood: who, what, and the rest of it.
pub(crate) struct Call {
    visit: Arc<Visit>,
    door: Arc<Door>,
    caller: Arc<Caller>,
    route: Route,
    request: Request<()>,
    body: unread::Unread,
    /// What the body takes of the caller's share of memory.
    share: share::Share,
}

impl Call {
    /// The person as the rules know him.
    fn person(&self) -> Person {
        person_of(&self.caller)
    }

    /// What holds for the person.
    fn limits(&self) -> Limits {
        self.door.config().policy.resolve(&self.person())
    }

    /// The API version to speak upstream.
    async fn upstream_version(&self) -> Result<ApiVersion, Refusal> {
        Ok(ApiVersion::upstream(self.route.version, self.door.engine_facts().await?.api))
    }

    /// Reads the JSON body whole.
    async fn json_body(&mut self) -> Result<Bytes, Refusal> {
        self.body.whole(JSON_BODY_BYTES_MAX, &mut self.share).await
    }

    /// The rules by which this person's bodies are judged, but for creates.
    fn rules(&self) -> Rules {
        rules_of(&self.door, &self.caller)
    }
}

/// The rules by which what a person creates is judged: it lies in his group.
async fn rules_of_create(door: &Door, caller: &Caller) -> Result<Rules, EngineError> {
    let mut rules = rules_of(door, caller);
    door.group_of(caller.uid).await?.name().clone_into(&mut rules.cgroup_parent);
    Ok(rules)
}

/// The rules by which a person's bodies are judged.
fn rules_of(door: &Door, caller: &Caller) -> Rules {
    let config = door.config();
    let limits = config.policy.resolve(&person_of(caller));
    let mut rules = Rules::lab(caller.uid, caller.gid, caller.groups.clone());
    let host_cpus_milli = std::thread::available_parallelism().map_or(1, |n| n.get() as u64) * 1000;
    rules.admin = caller.admin;
    // The Engine refuses more than there is; less than the group's limit is no harm.
    rules.limits.cpus_milli = limits.max_cpus_milli.map(|c| c.min(host_cpus_milli));
    rules.limits.memory_bytes = limits.memory_bytes;
    rules.limits.memory_swap_bytes = limits.memory_swap_bytes;
    rules.limits.shm_bytes = limits.shm_bytes;
    rules.limits.pids = limits.pids_limit;
    rules.gpu_runtime.clone_from(&config.engine.runtime);
    rules.host_ports = config.ports.lowest..=config.ports.highest;
    rules.host_ip = Some(config.ports.address.to_string());
    rules.profile = match limits.profile {
        ds01_domain::Profile::Lab => Profile::Lab,
        ds01_domain::Profile::Strict => Profile::Strict,
    };
    rules.host_network = limits.host_network;
    rules
}

/// How many of a user's containers run.
async fn running_containers(door: &Door, uid: u32) -> Result<u32, Refusal> {
    Ok(u32::try_from(quota::running(door, Uid(uid)).await?.len()).unwrap_or(u32::MAX))
}

/// The account files of an image and the shell it has.
#[derive(Debug, Clone)]
pub struct ImageAccounts {
    /// passwd and group.
    pub files: AccountFiles,
    /// `/bin/bash` where there is one.
    pub shell: String,
}

/// Account files by image id; an image never changes under its id.
#[derive(Debug, Default)]
pub struct AccountCache {
    known: std::sync::Mutex<std::collections::HashMap<String, ImageAccounts>>,
}

impl AccountCache {
    /// Images remembered at most; beyond, all are read anew.
    const IMAGES_MAX: usize = 256;

    fn get(&self, image: &str) -> Option<ImageAccounts> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(image).cloned()
    }

    fn put(&self, image: String, accounts: ImageAccounts) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() >= Self::IMAGES_MAX {
            known.clear();
        }
        known.insert(image, accounts);
    }
}

/// A caller as the rules know him.
#[must_use]
pub fn person_of(caller: &Caller) -> Person {
    Person {
        uid: Uid(caller.uid),
        name: caller.name.clone(),
        unix_groups: caller.unix_groups.clone(),
        admin: caller.admin,
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        tracing::error!(error = %crate::Chain(&fault), "a request could not be decided");
        let sentence = match fault {
            Fault::Ledger(_) => {
                "DS01 cannot write its ledger (is the disk full?): nothing new is created or started until it can. \
                 Running containers go on; stopping and removing works. Tell an admin"
            }
            Fault::Blind => {
                "DS01 has just started, and the Docker Engine has not told it yet which containers run; nothing is \
                 started before that. Try again in a minute, or tell an admin"
            }
            Fault::Stopping => "DS01 is restarting; try again in a few seconds",
            Fault::Confused => "DS01 met a fault of its own; tell an admin what you did",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
    }
}

impl From<RouteRefusal> for Refusal {
    fn from(refusal: RouteRefusal) -> Self {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
        Self::new(status, refusal.to_string())
    }
}

impl From<ds01_docker::present::Unreadable> for Refusal {
    fn from(error: ds01_docker::present::Unreadable) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, format!("{error}; try again in a minute, or tell an admin"))
    }
}

/// Answers one request.
async fn handle(visit: &Arc<Visit>, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let (request, body) = (Request::from_parts(parts, ()), unread::Unread::new(body));
    let door = visit.door.clone();
    let caller = Arc::new(own::judge_caller(visit).await?);
    let target = request.uri().to_string();
    if target.starts_with(ds01_api::paths::PREFIX) {
        return control::handle(visit, caller, request, body).await;
    }
    let route = route::find(request.method().as_str(), &target)?;
    if route.class == Class::Admin && !caller.admin {
        return Err(RouteRefusal::admin_only(route.op).into());
    }
    let has_body = !body.is_empty();
    if has_body {
        for kind in request.headers().get_all(hyper::header::CONTENT_TYPE) {
            // The Engine reads the part before the first semicolon, whatever bytes come after it.
            route::refuse_form_body(&String::from_utf8_lossy(kind.as_bytes()))?;
        }
    }
    tracing::debug!(principal = %caller.name, route = route.pattern(), "request");
    let share = share::Share::of(caller.uid);
    let mut call = Call { visit: visit.clone(), door, caller, route, request, body, share };
    if call.route.body == BodyRule::None && has_body {
        // Read and forgotten: Docker ignores such bodies, or worse, honours them (start).
        call.json_body().await?;
        call.share = share::Share::of(call.caller.uid);
    }
    dispatch(call).await
}

async fn dispatch(call: Call) -> Result<Response<Body>, Refusal> {
    match call.route.op {
        Op::Options => Ok(http::status(StatusCode::OK)),
        Op::Ping | Op::PingHead => system::ping(call).await,
        Op::Version => system::version(call).await,
        Op::Info => system::info(call).await,
        Op::SystemDf => system::disk_usage(call).await,
        Op::Events => events::events(call).await,
        Op::Auth => registries::login(call).await,
        Op::Distribution => registries::distribution(call).await,
        Op::ImageSearch => forward::pass(call).await,

        Op::ContainerCreate => create::create(call).await,
        Op::ContainerList => containers::list(call).await,
        Op::ContainerPrune => forward::to_the_end(prune::containers(call)).await,
        Op::ContainerInspect => containers::inspect(call).await,
        Op::ContainerStart => start::start(call).await,
        Op::ContainerRestart => start::restart(call).await,
        Op::ContainerUnpause => containers::act(call, containers::After::Look).await,
        Op::ContainerStop | Op::ContainerKill => containers::stop(call).await,
        Op::ContainerDelete => containers::delete(call).await,
        Op::ContainerRename => containers::rename(call).await,
        Op::ContainerUpdate => containers::update(call).await,
        Op::ContainerAttach | Op::ContainerAttachWs => exec::attach(call).await,
        Op::ContainerTop
        | Op::ContainerLogs
        | Op::ContainerChanges
        | Op::ContainerExport
        | Op::ContainerStats
        | Op::ContainerResize
        | Op::ContainerPause
        | Op::ContainerWait => containers::act(call, containers::After::Nothing).await,
        Op::ArchiveGet | Op::ArchiveHead => archive::get(call).await,
        Op::ArchivePut => archive::put(call).await,

        Op::ExecCreate => exec::create(call).await,
        Op::ExecStart => exec::start(call).await,
        Op::ExecInspect | Op::ExecResize => exec::act(call).await,

        Op::ImageList => images::list(call).await,
        Op::ImageInspect | Op::ImageHistory | Op::ImageExport | Op::ImageAttestations => {
            images::look(call).await
        }
        Op::ImagesExport => images::export(call).await,
        Op::ImageCreate => images::create(call).await,
        Op::ImageTag => images::tag(call).await,
        Op::ImageDelete => images::delete(call).await,
        Op::ImagePush => images::push(call).await,
        Op::ImageLoad => load::load(call).await,
        Op::Commit => images::commit(call).await,
        Op::Build => build::build(call).await,
        Op::BuildCancel => build::cancel(&call),
        Op::ImagePrune => forward::to_the_end(prune::images(call)).await,
        Op::BuildPrune => prune::build(call).await,

        Op::NetworkList => networks::list(call).await,
        Op::NetworkCreate => networks::create(call).await,
        Op::NetworkPrune => forward::to_the_end(prune::networks(call)).await,
        Op::NetworkInspect => networks::inspect(call).await,
        Op::NetworkDelete => networks::delete(call).await,
        Op::NetworkConnect | Op::NetworkDisconnect => networks::connect(call).await,

        Op::VolumeList => volumes::list(call).await,
        Op::VolumeCreate => volumes::create(call).await,
        Op::VolumePrune => forward::to_the_end(prune::volumes(call)).await,
        Op::VolumeInspect => volumes::inspect(call).await,
        Op::VolumeDelete => volumes::delete(call).await,

        Op::PluginList | Op::PluginPrivileges | Op::PluginInspect => forward::pass(call).await,
        // The table refuses the rest before it comes here; a row that is forgotten here is refused as well.
        other => Err(Refusal::forbidden(format!("{other:?} is not served by DS01; ask the admin"))),
    }
}
