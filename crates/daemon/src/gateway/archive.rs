//! `docker cp` into a container.
//!
//! Binds are staged with their owner's identity, so what the Engine writes through them as root belongs to the owner
//! and carries neither set-id power nor device nodes: the mount forbids both.

use hyper::Response;

use super::Call;
use super::forward;
use super::http::{Body, Refusal};

/// `PUT /containers/{id}/archive`.
pub(super) async fn put(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    if let Some(token) = own.token() {
        // A container that never ran after a reboot has empty stages: what is copied must not land beside the bind.
        let remembered = call.door.records.one(&call.door, Some(token)).await?;
        super::create::ensure_staged(&call.door, token, &remembered.record).await?;
    }
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let (id, asked) = (own.id.to_string(), call.asked_container().to_owned());
    forward::reply_as_asked(forward::upload(call, &target).await?, &id, &asked).await
}
