//! Volumes: a name is its first user's; volumes are `local` without options.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ds01_docker::{body, present};
use ds01_domain::Person;
use hyper::{Method, Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::http::{self, Body, Refusal};
use super::{Call, Door, forward};
use crate::coordinator::Fault;
use crate::engine::ContainerLook;
use crate::ledger::{ObjectKind, Record};

/// Who owns which volume.
pub(super) async fn owners(door: &Door) -> Result<HashMap<String, u32>, Refusal> {
    let owned =
        door.coordinator.ledger(|ledger| ledger.owned(ObjectKind::Volume)).await?.map_err(Fault::from)?;
    Ok(owned.into_iter().map(|o| (o.name, o.uid)).collect())
}

/// What somebody may do with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everything inside a container; also remove it, where it is his own.
    Write,
    /// Read: its owner has shared it so.
    Read,
}

/// What others share with a person of their volumes, by name.
pub(super) async fn shared_with(door: &Door, uid: u32) -> Result<HashMap<String, Access>, Refusal> {
    let shared =
        door.coordinator.ledger(|ledger| ledger.shared(ObjectKind::Volume)).await?.map_err(Fault::from)?;
    let mut found = HashMap::new();
    for share in shared.into_iter().filter(|share| share.taker.is(uid)) {
        let access = found.entry(share.name).or_insert(Access::Read);
        if share.writes {
            *access = Access::Write;
        }
    }
    Ok(found)
}

/// Claims a volume name for a person, or refuses where it is somebody else's and not shared with him.
///
/// A volume that exists and that nobody owns was made on the Engine's own socket: it is an admin's to hand out.
pub(super) async fn claim(door: &Door, uid: u32, admin: bool, name: &str) -> Result<Access, Refusal> {
    let key = name.to_owned();
    let owner = door
        .coordinator
        .ledger(move |ledger| ledger.owner_of(ObjectKind::Volume, &key))
        .await?
        .map_err(Fault::from)?;
    if admin || owner == Some(uid) {
        if owner.is_some() {
            return Ok(Access::Write);
        }
    } else if let Some(access) = shared_with(door, uid).await?.get(name) {
        return Ok(*access);
    } else if owner.is_some() {
        return Err(taken(name));
    }
    let exists = match door.engine.ask(Method::GET, &format!("/v1.40/volumes/{name}"), None).await {
        Ok(_) => true,
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(error.into()),
    };
    if exists && !admin {
        return Err(taken(name));
    }
    super::quota::may_create_volume(door, uid, admin).await?;
    let key = name.to_owned();
    let owner = door
        .coordinator
        .ledger(move |ledger| ledger.own(ObjectKind::Volume, &key, uid))
        .await?
        .map_err(Fault::from)?;
    if owner == uid || admin { Ok(Access::Write) } else { Err(taken(name)) }
}

fn taken(name: &str) -> Refusal {
    Refusal::conflict(format!(
        "the volume name {name} is taken; choose another, such as one with your user name in it"
    ))
}

/// Rows of anonymous volumes that a user may have before those of volumes that are gone are looked for.
const ANONYMOUS_ROWS_MAX: usize = 64;

/// A name that only the Engine gives.
pub(super) fn is_anonymous(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Writes down whose the volumes are that the Engine made for a new container.
pub(super) async fn own_anonymous(door: &Door, uid: u32, look: &ContainerLook) -> Result<(), Refusal> {
    let mounts = look.reply.get("Mounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> = mounts
        .iter()
        .filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("volume"))
        .filter_map(|mount| mount.get("Name").and_then(Value::as_str))
        .filter(|name| is_anonymous(name))
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    door.coordinator
        .ledger(move |ledger| names.iter().try_for_each(|n| ledger.own(ObjectKind::Volume, n, uid).map(drop)))
        .await?
        .map_err(Fault::from)?;
    let owners = owners(door).await?;
    if owners.iter().filter(|(name, owner)| **owner == uid && is_anonymous(name)).count() > ANONYMOUS_ROWS_MAX
    {
        let reply = door.engine.ask(Method::GET, "/v1.40/volumes", None).await?;
        sweep(door, &owners, &reply).await?;
    }
    Ok(())
}

/// Forgets the owners of anonymous volumes that went with their containers. The owners must have been read before the
/// list was: then what the list lacks is gone. Names that people choose are kept, because they are claimed before
/// there is a volume.
async fn sweep(door: &Door, owners: &HashMap<String, u32>, list: &Value) -> Result<(), Refusal> {
    let listed: HashSet<&str> = names(list).collect();
    let gone: Vec<String> =
        owners.keys().filter(|n| is_anonymous(n) && !listed.contains(n.as_str())).cloned().collect();
    if gone.is_empty() {
        return Ok(());
    }
    door.coordinator
        .ledger(move |ledger| gone.iter().try_for_each(|n| ledger.disown(ObjectKind::Volume, n)))
        .await?
        .map_err(Fault::from)?;
    Ok(())
}

/// The names in the Engine's list of volumes.
fn names(list: &Value) -> impl Iterator<Item = &str> {
    let volumes = list.get("Volumes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    volumes.iter().filter_map(|volume| volume.get("Name").and_then(Value::as_str))
}

/// Looks again, at a start, whether the volumes of a container are still its owner's.
pub(super) async fn still_own(door: &Arc<Door>, person: &Person, record: &Record) -> Result<(), Refusal> {
    if record.volumes.is_empty() || person.admin {
        return Ok(());
    }
    let owners = owners(door).await?;
    let shared = shared_with(door, person.uid.0).await?;
    for name in &record.volumes {
        if owners.get(name).is_none_or(|uid| *uid == person.uid.0) {
            continue;
        }
        match shared.get(name) {
            Some(Access::Write) => {}
            Some(Access::Read) if record.read_only_volumes.contains(name) => {}
            Some(Access::Read) => {
                return Err(Refusal::conflict(format!(
                    "the volume {name} is shared with you for reading only now; create the container again"
                )));
            }
            None => {
                return Err(Refusal::conflict(format!(
                    "the volume {name} has another owner now, or is no longer shared with you; create the container \
                     again with a volume of your own"
                )));
            }
        }
    }
    Ok(())
}

/// The volume that the path names, if it is the caller's.
async fn own(call: &Call) -> Result<String, Refusal> {
    let name =
        call.route.volume().ok_or_else(|| Refusal::fault("the route names no volume"))?.as_str().to_owned();
    if call.caller.admin || owners(&call.door).await?.get(&name) == Some(&call.caller.uid) {
        return Ok(name);
    }
    // Docker's own words for a volume that does not exist.
    Err(Refusal::new(StatusCode::NOT_FOUND, format!("get {name}: no such volume")))
}

/// The volume that the path names, if the caller may look at it.
async fn seen(call: &Call) -> Result<(), Refusal> {
    let own = own(call).await;
    let name = call.route.volume().map(|name| name.as_str().to_owned()).unwrap_or_default();
    if own.is_err() && shared_with(&call.door, call.caller.uid).await?.contains_key(&name) {
        return Ok(());
    }
    own.map(drop)
}

/// `GET /volumes`.
pub(super) async fn list(call: Call) -> Result<Response<Body>, Refusal> {
    let owners = owners(&call.door).await?;
    let shared = shared_with(&call.door, call.caller.uid).await?;
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let (status, reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    if call.route.query.filters().is_empty() {
        sweep(&call.door, &owners, &reply).await?;
    }
    if call.caller.admin {
        return Ok(http::json(status, &reply));
    }
    let shown = present::volume_list(reply, |name| {
        owners.get(name) == Some(&call.caller.uid) || shared.contains_key(name)
    })?;
    Ok(http::json(status, &shown))
}

/// `POST /volumes/create`. Creating a name that exists returns it: whose it is, is looked at first.
pub(super) async fn create(mut call: Call) -> Result<Response<Body>, Refusal> {
    let bytes = call.json_body().await?;
    let judged = body::judge_volume(&bytes, &call.rules())?;
    let named = judged.name().map(str::to_owned);
    if let Some(name) = &named {
        claim(&call.door, call.caller.uid, call.caller.admin, name).await?;
    }
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let (status, reply) =
        forward::read_json(forward::with_json(&call, &target, judged.into_body()).await?).await?;
    if named.is_none()
        && let Some(name) = reply.get("Name").and_then(Value::as_str).map(str::to_owned)
    {
        let uid = call.caller.uid;
        call.door
            .coordinator
            .ledger(move |l| l.own(ObjectKind::Volume, &name, uid))
            .await?
            .map_err(Fault::from)?;
    }
    Ok(http::json(status, &reply))
}

/// `GET /volumes/{name}`.
pub(super) async fn inspect(call: Call) -> Result<Response<Body>, Refusal> {
    seen(&call).await?;
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    Ok(forward::reply(forward::bare(&call, &target).await?))
}

/// `DELETE /volumes/{name}`. By force, a volume that nobody has is gone as asked; another's is refused.
pub(super) async fn delete(call: Call) -> Result<Response<Body>, Refusal> {
    let name = match own(&call).await {
        Err(refusal) if call.route.query.bool("force") => {
            return if is_nobodys(&call).await? {
                Ok(http::status(StatusCode::NO_CONTENT))
            } else {
                Err(refusal)
            };
        }
        looked => looked?,
    };
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let request = forward::upstream_request(&call, &target, http::empty())?;
    let door = call.door.clone();
    super::forward::to_the_end(async move {
        let response = door.engine.send(request).await?;
        if response.status().is_success() {
            disown(&door, &name).await?;
        }
        Ok(forward::reply(response))
    })
    .await
}

/// Whether the Engine has no volume of the name in the path. That a name is taken is told to whoever asks for it, too.
async fn is_nobodys(call: &Call) -> Result<bool, Refusal> {
    let name = call.route.volume().ok_or_else(|| Refusal::fault("the route names no volume"))?.as_str();
    let path = format!("/v1.40/volumes/{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    match call.door.engine.ask(Method::GET, &path, None).await {
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(false),
    }
}

/// Forgets whose a volume was that is gone.
pub(super) async fn disown(door: &Door, name: &str) -> Result<(), Refusal> {
    let key = name.to_owned();
    door.coordinator
        .ledger(move |ledger| ledger.disown(ObjectKind::Volume, &key))
        .await?
        .map_err(Fault::from)?;
    Ok(())
}
