//! Builds with the classic builder, within the caller's limits and to his own tags.

use ds01_docker::query::build::{self as judged, BuildBounds, BuildNetwork};
use ds01_domain::Aggregate;
use hyper::{Response, StatusCode};

use super::built::Built;
use super::context::Context;
use super::http::{Body, Refusal, boxed};
use super::{Call, forward, images, networks, tarball};

/// `POST /build`.
pub(super) async fn build(mut call: Call) -> Result<Response<Body>, Refusal> {
    let bad = |e: ds01_docker::query::QueryRefusal| Refusal::bad(e.to_string());
    for tag in judged::tags(&call.route.query).map_err(bad)? {
        images::claim(&call, &tag).await?;
    }
    let mut cached = Vec::new();
    for image in judged::cache_sources(&call.route.query).map_err(bad)? {
        match images::visible(&call.door, &call.caller, image.as_str()).await {
            Ok(_) => cached.push(image.as_str().to_owned()),
            // The Engine passes over an image that is not there, as the first build of a pipeline has none.
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {}
            Err(refusal) => return Err(refusal),
        }
    }
    judged::set_cache_sources(&mut call.route.query, &cached);
    if let BuildNetwork::Named(name) = judged::network(&call.route.query).map_err(bad)? {
        let resolved = networks::resolve(&call, name.as_str()).await?;
        call.route.query.set("networkmode", resolved);
    }
    super::quota::bound_together(&call.door, &call.person()).await;
    let own_view = judged::has_own_view(&call.route.query);
    let limits = call.limits();
    let bounds = BuildBounds {
        cgroup_parent: group_of_builds(&call, limits.pids_limit).await?,
        memory_bytes: signed(limits.memory_bytes),
        memory_swap_bytes: signed(limits.memory_swap_bytes),
        cpus_milli: signed(limits.max_cpus_milli),
        shm_bytes: signed(limits.shm_bytes),
        labels: std::collections::BTreeMap::new(),
    };
    judged::bound(&mut call.route.query, &bounds);
    // Only BuildKit's builds can be called by it.
    call.route.query.remove("buildid");
    if call.caller.admin {
        let target = call.route.upstream_target(call.upstream_version().await?, None);
        return forward::stream(call, &target).await;
    }
    judged_context(call, own_view).await
}

/// Where the steps of a user's builds run: in a group that bounds their processes, where there is such a bound.
async fn group_of_builds(call: &Call, pids_max: Option<u64>) -> Result<String, Refusal> {
    let parent = call.door.group_of(call.caller.uid).await?;
    let Some(pids_max) = pids_max else { return Ok(parent.name().to_owned()) };
    let group = parent.of_builds();
    let bound = Aggregate { pids: Some(pids_max), ..Aggregate::default() };
    Ok(match group.bound(&bound).await {
        Ok(()) => group.name().to_owned(),
        Err(error) => {
            tracing::warn!(%error, group = group.name(), "the processes of builds cannot be bounded on this machine");
            parent.name().to_owned()
        }
    })
}

/// Sends a user's build on: its Dockerfile takes nothing that is not his, and leaves no container behind.
async fn judged_context(mut call: Call, own_view: bool) -> Result<Response<Body>, Refusal> {
    let query = &mut call.route.query;
    if query.bool("pull") {
        return Err(Refusal::bad(
            "--pull fetches images that nobody has looked at; fetch the base image first, then build without it: \
             docker pull IMAGE",
        ));
    }
    // Nobody could remove the containers of its steps: they belong to no one.
    query.set("rm", "1");
    query.set("forcerm", "1");
    let build_args = judged::build_args(query).map_err(|e| Refusal::bad(e.to_string()))?;
    // Steps that find another world than everybody's must not be taken for everybody's when they are built again.
    let line = own_view.then(|| format!("LABEL {}={}", super::OWNER_LABEL, call.caller.uid));
    let dockerfile = query.text("dockerfile").unwrap_or_default().to_owned();
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let mut request = forward::upstream_request(&call, &target, super::http::empty())?;
    let context = Context::new(call.door.clone(), call.caller.clone(), &dockerfile, build_args, line)?;
    let mut refusal = None;
    if let Some(body) = call.body.take() {
        let filtered = tarball::filter(call.caller.uid, body, context)?;
        *request.body_mut() = boxed(filtered.body);
        refusal = Some(filtered.refusal);
    }
    let answer = call.door.engine.send(request).await;
    if let Some(refusal) = refusal.as_ref().and_then(|told| told.get()) {
        return Err(refusal.clone());
    }
    let answer = answer?;
    if call.route.query.text("t").is_some_and(|tag| !tag.is_empty()) {
        return Ok(forward::reply(answer));
    }
    let quiet = call.route.query.bool("q");
    let (door, caller) = (call.door.clone(), call.caller.clone());
    let own = move |id: String| {
        let (door, caller) = (door.clone(), caller.clone());
        // A task of its own: the image is there whether or not the client stays.
        tokio::spawn(async move {
            if let Err(refusal) = images::own_built(door, caller, id).await {
                tracing::warn!(%refusal, "whose an image without a name is could not be written");
            }
        })
    };
    Ok(forward::reply(answer.map(|reply| Built::new(reply, quiet, own))))
}

/// A limit as the Engine's query has it.
fn signed(limit: Option<u64>) -> Option<i64> {
    limit.and_then(|n| i64::try_from(n).ok())
}

/// `POST /build/cancel`: it cancels BuildKit's builds, of which there are none; others end with their connection.
pub(super) fn cancel(call: &Call) -> Result<Response<Body>, Refusal> {
    let id = call.route.query.text("id").ok_or_else(|| Refusal::bad("the build to cancel is missing"))?;
    Err(Refusal::no_such("build", id))
}
