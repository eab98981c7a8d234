//! Builds with the classic builder, within the caller's limits and to his own tags.

use ds01_docker::query::build::{self as judged, BuildBounds, BuildNetwork};
use hyper::Response;

use super::http::{Body, Refusal};
use super::{Call, forward, images, networks};

/// `POST /build`.
pub(super) async fn build(mut call: Call) -> Result<Response<Body>, Refusal> {
    let bad = |e: ds01_docker::query::QueryRefusal| Refusal::bad(e.to_string());
    for tag in judged::tags(&call.route.query).map_err(bad)? {
        images::claim(&call, &tag).await?;
    }
    for image in judged::cache_sources(&call.route.query).map_err(bad)? {
        images::visible(&call.door, &call.caller, image.as_str()).await?;
    }
    if let BuildNetwork::Named(name) = judged::network(&call.route.query).map_err(bad)? {
        let resolved = networks::resolve(&call, name.as_str()).await?;
        call.route.query.set("networkmode", resolved);
    }
    let limits = call.limits();
    let config = call.door.config();
    let bounds = BuildBounds {
        cgroup_parent: super::cgroup_parent(&config, call.caller.uid),
        memory_bytes: signed(limits.memory_bytes),
        memory_swap_bytes: signed(limits.memory_swap_bytes),
        cpus_milli: signed(limits.max_cpus_milli),
        shm_bytes: signed(limits.shm_bytes),
        labels: std::collections::BTreeMap::new(),
    };
    judged::bound(&mut call.route.query, &bounds);
    if let Some(id) = call.route.query.text("buildid").map(str::to_owned) {
        // Build ids are chosen by clients: the caller's own prefix keeps others from cancelling his.
        let own = own_build(&call, &id);
        call.route.query.set("buildid", own);
    }
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    forward::stream(call, &target).await
}

/// A limit as the Engine's query has it.
fn signed(limit: Option<u64>) -> Option<i64> {
    limit.and_then(|n| i64::try_from(n).ok())
}

fn own_build(call: &Call, id: &str) -> String {
    format!("{}-{id}", call.caller.uid)
}

/// `POST /build/cancel`.
pub(super) async fn cancel(mut call: Call) -> Result<Response<Body>, Refusal> {
    let id =
        call.route.query.text("id").ok_or_else(|| Refusal::bad("the build to cancel is missing"))?.to_owned();
    let own = own_build(&call, &id);
    call.route.query.set("id", own);
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    Ok(forward::reply(forward::bare(&call, &target).await?))
}
