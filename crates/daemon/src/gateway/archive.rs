//! `docker cp` into a container: the Engine unpacks as root, through binds as well.
//!
//! What it is given holds no device, no attribute of the host's security, and where a bind could be reached no set-id
//! bit; what goes into a bind belongs to the container's user, who is the caller outside.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use ds01_docker::query::Query;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use serde_json::Value;

use super::http::{Body, Refusal, boxed};
use super::own::Remembered;
use super::tarball::{self, Content, Entry, Judge, Kind};
use super::{Call, forward};

/// All but set-user-id and set-group-id.
const MODE_WITHOUT_SET_ID: u32 = 0o1777;
/// The only attributes that no part of the system obeys.
const PLAIN_ATTRIBUTE: &str = "user.";

/// `PUT /containers/{id}/archive`.
pub(super) async fn put(mut call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let remembered = call.door.records.one(&call.door, own.token()).await?;
    by_the_host_itself(&call, &remembered)?;
    if let Some(token) = own.token() {
        // A container that never ran after a reboot has empty stages: what is copied must not land beside the bind.
        super::binds::ensure_staged(&call.door, token, &remembered.record).await?;
    }
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let (id, asked) = (own.id.to_string(), call.asked_container().to_owned());
    if call.caller.admin {
        return forward::reply_as_asked(forward::upload(call, &target).await?, &id, &asked).await;
    }
    let look = call.door.engine.look(&own.id).await?;
    let copy = Copy::into_container(&look.reply, &remembered, &call.route.query);
    let mut request = forward::upstream_request(&call, &target, super::http::empty())?;
    let mut refusal = None;
    if let Some(body) = call.body.take() {
        let filtered = tarball::filter(call.caller.uid, body, copy)?;
        *request.body_mut() = boxed(filtered.body);
        refusal = Some(filtered.refusal);
    }
    // The reply comes when everything has arrived: whoever waits for it may as well carry the bytes.
    let answer = call.door.engine.send_along(request).await;
    if let Some(refusal) = refusal.as_ref().and_then(|told| told.get()) {
        return Err(refusal.clone());
    }
    forward::reply_as_asked(answer?, &id, &asked).await
}

/// `GET` and `HEAD /containers/{id}/archive`.
pub(super) async fn get(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let remembered = call.door.records.one(&call.door, own.token()).await?;
    by_the_host_itself(&call, &remembered)?;
    super::containers::act(call, super::containers::After::Nothing).await
}

/// The Engine copies as root, and in a directory whose owners are not translated it would be root.
fn by_the_host_itself(call: &Call, remembered: &Remembered) -> Result<(), Refusal> {
    match remembered.record.plain_bind().filter(|_| !call.caller.admin) {
        None => Ok(()),
        Some(bind) => Err(Refusal::forbidden(format!(
            "docker cp is not available for this container: {} in it lies on a file system that cannot translate owners; \
             copy on the host, or with `docker exec NAME cat FILE`",
            bind.source.display()
        ))),
    }
}

/// The rules for one copy.
struct Copy {
    /// Some path in the container leads to the host.
    has_binds: bool,
    /// The container's own user, where what is copied goes into a bind.
    owner: Option<(u32, u32)>,
}

impl Copy {
    /// `inspect` is the Engine's word on the container: mounts that it took from another one are there as well.
    fn into_container(inspect: &Value, remembered: &Remembered, query: &Query) -> Self {
        let targets: Vec<&str> = inspect
            .pointer("/Mounts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("bind"))
            .filter_map(|mount| mount.get("Destination").and_then(Value::as_str))
            .collect();
        let path = std::path::Path::new(query.text("path").unwrap_or("/"));
        let into_bind = targets.iter().any(|target| path.starts_with(target));
        let owner = remembered.record.binds.first().map(|bind| bind.effective).filter(|_| into_bind);
        Self { has_binds: !targets.is_empty(), owner }
    }
}

impl Judge for Copy {
    fn entry(&mut self, entry: &mut Entry) -> Result<Content, Refusal> {
        if matches!(entry.kind, Kind::Special(_)) {
            return Err(tarball::special(entry));
        }
        entry.attributes.retain(|(name, _)| name.starts_with(PLAIN_ATTRIBUTE));
        if self.has_binds {
            // Also where the path is not a bind's: a link inside may lead there.
            entry.mode &= MODE_WITHOUT_SET_ID;
        }
        if let Some((uid, gid)) = self.owner {
            (entry.uid, entry.gid) = (uid.into(), gid.into());
        }
        Ok(Content::Stream)
    }
}

/// What the Engine gets of an archive that is copied into a bind of this owner's; or why it gets nothing.
///
/// For those who try the filter with archives of their own making, without an Engine and without a container.
///
/// # Errors
/// The sentence that the client is told.
#[doc(hidden)]
pub fn copied(archive: &[u8], owner: (u32, u32)) -> Result<Vec<u8>, String> {
    const PIECE_BYTES: usize = 700;
    // Nobody's uploads count as another's.
    static UID: AtomicU32 = AtomicU32::new(0);
    let pieces: Vec<_> = archive
        .chunks(PIECE_BYTES)
        .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    let copy = Copy { has_binds: true, owner: Some(owner) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let body = StreamBody::new(tokio_stream::iter(pieces));
        let filtered = tarball::filter(UID.fetch_add(1, Ordering::Relaxed), body, copy)
            .map_err(|refusal| refusal.to_string())?;
        let told = filtered.refusal;
        let collected = filtered.body.collect().await;
        collected.map(|all| all.to_bytes().to_vec()).map_err(|error| match told.get() {
            Some(refusal) => refusal.to_string(),
            None => error.to_string(),
        })
    })
}
