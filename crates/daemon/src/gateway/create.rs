//! Creating a container: judged, resolved, planned in the ledger, staged, forwarded, and remembered before the reply.

use std::sync::Arc;

use bytes::Bytes;
use ds01_docker::body::{self, ContainerRole, JudgedCreate, KindHint, Restart, Rules};
use ds01_docker::gpu::{GpuAsk, GpuId, GpuKind};
use ds01_domain::{
    ContainerId, Denial, Event, Kind, Person, RestartPolicy, Selector, Time, Token, Uid, Want,
};
use hyper::{Method, Response, StatusCode};
use serde_json::Value;

use super::http::{self, Body, Refusal};
use super::made::{self, abandon, keep};
use super::{Call, Door, binds, images, networks, own, quota, rules_of_create, volumes};
use crate::coordinator::Planned;
use crate::engine::{EngineError, ImageFacts};
use crate::identity::Caller;
use crate::ledger::Record;
use crate::words;

/// The label by which the Engine's own filters find a user's containers; ours decide.
pub const OWNER_LABEL: &str = "ds01.owner";
/// The shortest time between two health checks, as for a request.
const HEALTH_INTERVAL_NS_MIN: i64 = 1_000_000_000;
/// The internal label by which a create whose answer was lost is found again.
pub(crate) const TOKEN_LABEL: &str = crate::engine::TOKEN_LABEL;

/// Volumes that are nowhere in the container to be written to.
fn read_only_volumes(judged: &JudgedCreate) -> Vec<String> {
    let (read, written): (Vec<_>, Vec<_>) = judged.volumes().iter().partition(|volume| volume.read_only);
    let written: Vec<_> = written.into_iter().filter_map(|volume| volume.name.as_deref()).collect();
    let names = read.into_iter().filter_map(|volume| volume.name.clone());
    names.filter(|name| !written.contains(&name.as_str())).collect()
}

/// A container to be made, whoever asked in whatever dialect.
pub(crate) struct Making {
    pub(crate) caller: Arc<Caller>,
    pub(crate) person: Person,
    pub(crate) rules: Rules,
    pub(crate) name: Option<String>,
    pub(crate) judged: JudgedCreate,
    /// The create path upstream with its query, without a name.
    pub(crate) target: String,
    /// `Some` for `container deploy`.
    pub(crate) deploy: Option<DeployFacts>,
}

/// What only `container deploy` knows of its container.
#[derive(Debug, Clone)]
pub(crate) struct DeployFacts {
    pub(crate) project: String,
    pub(crate) workspace: std::path::PathBuf,
    /// Its GPUs, which Docker's fields cannot say whole.
    pub(crate) gpu: Want,
}

/// A container that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) id: ContainerId,
    pub(crate) status: StatusCode,
    pub(crate) reply: Value,
    pub(crate) warnings: Vec<String>,
}

/// Why a container was not made.
#[derive(Debug)]
pub(crate) enum MakeRefusal {
    /// The rules say no.
    Denied(Box<Denial>),
    /// Everything else.
    Other(Refusal),
}

impl From<Refusal> for MakeRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal)
    }
}

impl From<MakeRefusal> for Refusal {
    fn from(refusal: MakeRefusal) -> Self {
        match refusal {
            MakeRefusal::Denied(denial) => Self::conflict(words::denial(&denial)),
            MakeRefusal::Other(refusal) => refusal,
        }
    }
}

/// `POST /containers/create`.
pub(super) async fn create(mut call: Call) -> Result<Response<Body>, Refusal> {
    let bytes = call.json_body().await?;
    let rules = rules_of_create(&call.door, &call.caller).await?;
    let mut judged = body::judge_create(&bytes, &rules)?;
    quota::few_enough(&judged)?;
    let name = call.route.query.chosen_name();
    if let Some(name) = &name {
        judge_name(&call.caller, name.as_str())?;
    }
    for network in judged.networks().to_vec() {
        let resolved = networks::resolve(&call, &network).await.map_err(named_in_a_create)?;
        judged.set_network(&network, &resolved);
    }
    for asked in judged.containers().to_vec() {
        let own = own::find_own(&call.door, &call.caller, &asked.name).await;
        if let (Ok(own), ContainerRole::VolumesFrom | ContainerRole::Pid) = (&own, asked.role) {
            keeps_to_itself(&call, own, &asked.name).await?;
        }
        let own = own.map_err(|refusal| match asked.role {
            ContainerRole::Link if refusal.status == StatusCode::NOT_FOUND => {
                Refusal::bad(format!("could not get container for {}: {}", asked.name, refusal.message))
            }
            _ => named_in_a_create(refusal),
        })?;
        judged.set_container(asked.slot, own.id.as_str());
    }
    call.route.query.remove("name");
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let making = Making {
        caller: call.caller.clone(),
        person: call.person(),
        rules,
        name: name.map(|n| n.as_str().to_owned()),
        judged,
        target,
        deploy: None,
    };
    let made = make(&call.door, making).await?;
    let shown = ds01_docker::present::with_warnings(made.reply, made.warnings)?;
    Ok(http::json(made.status, &shown))
}

/// A directory whose owners are not translated belongs to the container that is confined for it: through its processes
/// or mounts, root of another container would be root there.
async fn keeps_to_itself(call: &Call, own: &own::Own, name: &str) -> Result<(), Refusal> {
    let remembered = call.door.records.one(&call.door, own.token()).await?;
    match remembered.record.plain_bind().filter(|_| !call.caller.admin) {
        None => Ok(()),
        Some(bind) => Err(Refusal::forbidden(format!(
            "{name} has {} on a file system that cannot translate owners, so its mounts and processes are not shared; \
             mount the directory itself",
            bind.source.display()
        ))),
    }
}

/// A 404 at create means to Docker's client that the image is missing, and it would pull: another object that is
/// missing is the request's mistake.
fn named_in_a_create(refusal: Refusal) -> Refusal {
    match refusal.status {
        StatusCode::NOT_FOUND => Refusal::bad(refusal.message),
        _ => refusal,
    }
}

/// Names with `._.` in them belong to the user whose name follows.
pub(super) fn judge_name(caller: &Caller, name: &str) -> Result<(), Refusal> {
    let foreign = ds01_api::names::split_container(name)
        .is_some_and(|(_, user)| user != ds01_api::names::user_part(&caller.name));
    if foreign && !caller.admin {
        return Err(Refusal::bad(format!(
            "the name {name} is of the form PROJECT._.USER with another's user name; choose another"
        )));
    }
    Ok(())
}

/// Docker's words for a name that is taken, without the id of the container that has it: it may be another's.
pub(super) fn name_in_use(name: &str) -> Refusal {
    Refusal::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use. You have to remove (or rename) that container to \
         be able to reuse that name, or choose another."
    ))
}

/// A restart policy as the rules know it.
pub(super) fn restart_of(restart: Restart) -> RestartPolicy {
    match restart {
        Restart::No => RestartPolicy::No,
        Restart::Always => RestartPolicy::Always,
        Restart::UnlessStopped => RestartPolicy::UnlessStopped,
        Restart::OnFailure { max } => RestartPolicy::OnFailure { max },
    }
}

/// A GPU ask in any dialect as a want.
fn want_of(ask: &GpuAsk) -> Want {
    let capabilities = ask.capabilities.clone();
    if ask.ids.is_empty() {
        let GpuKind { memory_mib, model, full } = ask.kind.clone();
        return Want { min_memory_mib: memory_mib, full, model, capabilities, ..Want::count(ask.units()) };
    }
    let selectors = ask.ids.iter().map(|id| match id {
        GpuId::Index(index) => Selector::Index(*index),
        GpuId::Slice(card, ordinal) => Selector::Slice(*card, *ordinal),
        GpuId::Uuid(uuid) => Selector::Uuid(uuid.clone()),
    });
    Want { capabilities, ..Want::named(selectors.collect()) }
}

fn kind_of(judged: &JudgedCreate, deploy: bool) -> Kind {
    if deploy {
        return Kind::Ds01;
    }
    match judged.kind_hint() {
        KindHint::DevContainer { .. } => Kind::DevContainer,
        KindHint::Compose { .. } => Kind::Compose,
        KindHint::Infrastructure => Kind::Infrastructure,
        KindHint::Docker => Kind::Docker,
    }
}

/// Makes a container. Once it is planned in the ledger, a client that hangs up changes nothing any more.
pub(crate) async fn make(door: &Arc<Door>, mut making: Making) -> Result<Made, MakeRefusal> {
    quota::few_enough(&making.judged)?;
    let image_name = making.judged.image().to_owned();
    // Two questions that do not wait for each other's answer.
    let (image, running) = tokio::join!(
        images::visible(door, &making.caller, &image_name),
        super::running_containers(door, making.caller.uid)
    );
    let image = image?;
    judge_image(&image)?;
    quota::few_enough_with(&making.judged, &image)?;
    for other in making.judged.images().to_vec() {
        images::visible(door, &making.caller, &other).await?;
    }
    for volume in making.judged.volumes().to_vec() {
        if let Some(name) = &volume.name {
            let access = volumes::claim(door, making.caller.uid, making.caller.admin, name).await?;
            if access == volumes::Access::Read && !volume.read_only {
                making.judged.set_volume_read_only(volume.slot);
                making.judged.warn(&format!(
                    "The volume {name} is shared with you for reading: it is read-only here."
                ));
            }
        }
    }
    quota::may_create(door, &making.caller).await?;
    if image.volumes > 0 || making.judged.nameless_volumes() > 0 {
        quota::may_create_volume(door, making.caller.uid, making.caller.admin).await?;
    }
    let token = crate::random_token();
    making.judged.set_label(OWNER_LABEL, &making.caller.uid.to_string());
    making.judged.set_label(TOKEN_LABEL, token.as_str());
    let (door, running) = (door.clone(), running?);
    match tokio::spawn(async move { planned(&door, making, token, image, running).await }).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(%error, "a create's task failed");
            Err(Refusal::fault("DS01 met a fault of its own; tell an admin what you did").into())
        }
    }
}

/// What an image says of its containers is judged as if it were asked for: a working directory under `/proc` reaches
/// the host, and every health check is an exec.
fn judge_image(image: &ImageFacts) -> Result<(), Refusal> {
    let path = std::path::Path::new(&image.working_dir);
    let inside = path.components().all(|c| !matches!(c, std::path::Component::ParentDir));
    let sound = image.working_dir.is_empty()
        || (path.is_absolute() && inside && !path.starts_with("/proc") && !path.starts_with("/sys"));
    if !sound {
        return Err(Refusal::bad(format!(
            "the image's working directory {} is not allowed; build an image with another WORKDIR",
            image.working_dir
        )));
    }
    if (1..HEALTH_INTERVAL_NS_MIN).contains(&image.health_interval_ns) {
        return Err(Refusal::bad(
            "the image checks its health more than once a second; build an image with a longer HEALTHCHECK --interval",
        ));
    }
    Ok(())
}

/// The part that runs to its end: permit, stage, forward, remember.
async fn planned(
    door: &Arc<Door>,
    mut making: Making,
    token: Token,
    image: ImageFacts,
    running_containers: u32,
) -> Result<Made, MakeRefusal> {
    let remote = making.judged.remote_user(&image.dev_container).filter(|_| !making.judged.is_confined());
    let user = remote.unwrap_or_else(|| making.judged.user().unwrap_or(&image.user).to_owned());
    let effective = binds::numeric(&user);
    let asked = making.judged.gpu().map(want_of);
    let want = asked.map(|want| making.deploy.as_ref().map_or(want, |facts| facts.gpu.clone()));
    let record = Record {
        tty: making.judged.tty(),
        volumes: making.judged.volumes().iter().filter_map(|v| v.name.clone()).collect(),
        read_only_volumes: read_only_volumes(&making.judged),
        uid: making.caller.uid,
        gid: making.caller.gid,
        admin: making.caller.admin,
        image_id: image.id,
        // A name is looked up once there is a container to look into; until then root stands for it.
        user: effective.is_none().then_some(user),
        project: making.deploy.as_ref().map(|d| d.project.clone()),
        workspace: making.deploy.as_ref().map(|d| d.workspace.clone()),
        image: making.judged.image().to_owned(),
        ..Record::default()
    };
    let gpu = want.is_some();
    let event = Event::CreatePlanned {
        token: token.clone(),
        owner: Uid(making.caller.uid),
        owner_name: making.caller.name.clone(),
        name: making.name.clone().unwrap_or_default(),
        kind: kind_of(&making.judged, making.deploy.is_some()),
        want,
        restart: restart_of(making.judged.restart()),
        auto_remove: making.judged.auto_remove(),
        at: Time(0),
    };
    let plan = Planned { person: making.person.clone(), event, running_containers };
    let _permit = match door.coordinator.plan_create(plan).await.map_err(Refusal::from)? {
        Ok(permit) => permit,
        Err(denial) => return Err(MakeRefusal::Denied(denial)),
    };
    making.judged.set_gpu(gpu.then_some(making.rules.gpu_runtime.as_str()));
    match forward(door, &mut making, &token, effective.unwrap_or((0, 0)), record).await {
        Ok(Forwarded { id, status, reply, record }) => {
            let made = Made { id, status, reply, warnings: making.judged.warnings().to_vec() };
            if record.user.is_some() {
                binds::stage_for_user(door, &token, &made.id, &record, binds::Rights::of(&making.caller))
                    .await?;
            }
            Ok(made)
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// A create that the Engine has carried out, written down.
struct Forwarded {
    id: ContainerId,
    status: StatusCode,
    reply: Value,
    record: Record,
}

/// Stages the binds. Where a file system cannot translate owners, the container is confined to the caller himself and
/// told so: never is root inside root on such a directory.
async fn staged(
    door: &Arc<Door>,
    making: &mut Making,
    token: &Token,
    effective: (u32, u32),
    record: &mut Record,
) -> Result<(), Refusal> {
    let wanted = making.judged.binds().iter().map(|b| binds::Wanted {
        slot: slot_number(b.slot),
        source: b.source.clone().into(),
        read_only: b.read_only,
        create: b.create_source,
    });
    let wanted: Vec<_> = wanted.collect();
    let rights = binds::Rights::of(&making.caller);
    let confined = making.judged.is_confined();
    let inside = binds::Inside { user: effective, confined };
    let first = binds::stage(door, token, rights.clone(), inside, wanted.clone()).await;
    record.binds = match first {
        Err(binds::NotStaged::CannotIdmap { path, file_system }) if !confined && making.caller.uid != 0 => {
            making.judged.confine();
            making.judged.warn(&format!(
                "{} lies on {file_system}, which cannot translate owners: everything in this container runs as you, and \
                 nothing in it can become root.",
                path.display()
            ));
            let user = making.judged.user().and_then(binds::numeric).unwrap_or((record.uid, record.gid));
            record.user = None;
            binds::stage(door, token, rights, binds::Inside { user, confined: true }, wanted).await?
        }
        other => other?,
    };
    record.confined = making.judged.is_confined();
    Ok(())
}

/// Stages the binds and sends the create; whatever fails is undone, unless nobody knows whether it worked.
async fn forward(
    door: &Arc<Door>,
    making: &mut Making,
    token: &Token,
    effective: (u32, u32),
    mut record: Record,
) -> Result<Forwarded, Refusal> {
    if let Err(refusal) = staged(door, making, token, effective, &mut record).await {
        abandon(door, token).await;
        return Err(refusal);
    }
    for bind in making.judged.binds().to_vec() {
        let staged = record.binds.iter().find(|b| b.slot == slot_number(bind.slot));
        if !bind.read_only && staged.is_some_and(|b| b.read_only) {
            making.judged.warn(&format!("{} is not your own: it is read-only in the container", bind.source));
        }
    }
    for slot in making.judged.binds().iter().map(|b| b.slot).collect::<Vec<_>>() {
        making.judged.set_bind(slot, &door.stage.path(token, slot_number(slot)).display().to_string());
    }
    record.original = serde_json::to_value(making.judged.original()).unwrap_or_default();
    // Before the Engine is asked: a container whose answer is lost is found again with all that belongs to it.
    if let Err(refusal) = keep(door, token, &record).await {
        abandon(door, token).await;
        return Err(refusal);
    }
    let answer = match making.judged.clone().into_body() {
        Ok(body) => send(door, making, body).await,
        Err(body::Unresolved::NetworkTwice(name)) => {
            Err(Refusal::bad(format!("the network {name} is named twice; name it once")))
        }
        Err(unresolved) => {
            tracing::error!(error = %unresolved, "a create body was sent on unresolved");
            Err(Refusal::fault("DS01 met a fault of its own; tell an admin what you did"))
        }
    };
    match answer {
        Ok((status, reply)) => {
            let id = reply
                .get("Id")
                .and_then(Value::as_str)
                .and_then(ContainerId::new)
                .ok_or_else(|| Refusal::from(EngineError::Rubbish { what: "a create".to_owned() }))?;
            made::write_down(door, token, &id, &record, making.name.is_some()).await?;
            Ok(Forwarded { id, status, reply, record })
        }
        // Nobody knows: the enforcer looks for the token and settles it.
        Err(refusal) if refusal.status == StatusCode::BAD_GATEWAY => Err(refusal),
        Err(refusal) => {
            abandon(door, token).await;
            let taken = refusal.status == StatusCode::CONFLICT && refusal.message.contains("already in use");
            Err(match &making.name {
                // The Engine's words tell the id of the container that has the name: only its owner hears them.
                Some(name) if taken && own::find_own(door, &making.caller, name).await.is_err() => {
                    name_in_use(name)
                }
                _ => refusal,
            })
        }
    }
}

fn slot_number(slot: usize) -> u32 {
    u32::try_from(slot).unwrap_or(u32::MAX)
}

async fn send(door: &Arc<Door>, making: &Making, body: Vec<u8>) -> Result<(StatusCode, Value), Refusal> {
    let mut target = making.target.clone();
    if let Some(name) = &making.name {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&format!("name={name}"));
    }
    let deadline = crate::engine::QUESTION_TIME_MAX;
    let (status, bytes) =
        door.engine.ask_raw(Method::POST, &target, Bytes::from(body), "application/json", deadline).await?;
    let reply = serde_json::from_slice(&bytes)
        .map_err(|_| Refusal::from(EngineError::Rubbish { what: "a create".to_owned() }))?;
    Ok((status, reply))
}
