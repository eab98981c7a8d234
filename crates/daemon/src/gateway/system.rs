//! The Engine as a whole, as one user may see it: ping, version, info, disk usage.

use ds01_docker::present::{self, ContainerCounts, DfView, InfoView};
use ds01_domain::Uid;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::http::{self, Body, Refusal};
use super::{Call, Visit, forward, images, own};

const API_VERSION: HeaderName = HeaderName::from_static("api-version");
const BUILDER_VERSION: HeaderName = HeaderName::from_static("builder-version");

/// What every reply says of the Engine: the newest API that the door serves, and the builder that it lets in.
pub(super) fn stamp(headers: &mut HeaderMap, visit: &Visit) {
    if let Some(said) = headers.get(&API_VERSION).and_then(|v| v.to_str().ok()) {
        if let Ok(value) = HeaderValue::from_str(&present::ping_api_version(said)) {
            headers.insert(API_VERSION, value);
        }
    } else if let Some(facts) = visit.door.known_engine_facts()
        && let Ok(value) = HeaderValue::from_str(&present::ping_api_version(&facts.api.to_string()))
    {
        headers.insert(API_VERSION, value);
    }
    if headers.contains_key(&BUILDER_VERSION) {
        // BuildKit's session is a second door to the host; the classic builder is judged.
        headers.insert(BUILDER_VERSION, HeaderValue::from_static("1"));
    }
}

/// `GET` and `HEAD /_ping`.
pub(super) async fn ping(call: Call) -> Result<Response<Body>, Refusal> {
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    Ok(forward::reply(forward::bare(&call, &target).await?))
}

/// `GET /version`.
pub(super) async fn version(call: Call) -> Result<Response<Body>, Refusal> {
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let (status, reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    Ok(http::json(status, &present::version(reply)?))
}

/// `GET /info`.
pub(super) async fn info(call: Call) -> Result<Response<Body>, Refusal> {
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let (status, reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    if call.caller.admin {
        return Ok(http::json(status, &reply));
    }
    let counts = counts(&call).await?;
    let images = reply.get("Images").and_then(serde_json::Value::as_u64).unwrap_or(0);
    let config = call.door.config();
    let view = InfoView {
        gpus: call.door.inventory.may_have_gpus(),
        hinge_runtime: &config.engine.runtime,
        containers: counts,
        images,
    };
    Ok(http::json(status, &present::info(reply, &view)?))
}

async fn counts(call: &Call) -> Result<ContainerCounts, Refusal> {
    let version = call.upstream_version().await?;
    let mut list = ds01_docker::route::find("GET", &format!("/v{version}/containers/json?all=1"))?;
    let mut filters = ds01_docker::query::Filters::default();
    filters.add("label", format!("{}={}", super::create::OWNER_LABEL, call.caller.uid));
    list.query.set_filters(filters);
    let reply = call.door.engine.ask(hyper::Method::GET, &list.upstream_target(version, None), None).await?;
    let mut counts = ContainerCounts::default();
    for state in
        reply.as_array().into_iter().flatten().filter_map(|e| e.get("State").and_then(|s| s.as_str()))
    {
        match state {
            "running" => counts.running += 1,
            "paused" => counts.paused += 1,
            _ => counts.stopped += 1,
        }
    }
    Ok(counts)
}

/// `GET /system/df`, cut down to what is the caller's.
pub(super) async fn disk_usage(call: Call) -> Result<Response<Body>, Refusal> {
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let (status, reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    if call.caller.admin {
        return Ok(http::json(status, &reply));
    }
    let containers = own::visible_ids(&call.door, &call.caller).await?.unwrap_or_default();
    let volumes = super::volumes::owners(&call.door).await?;
    let tags = images::Sight::of(&call.door, &call.caller).await?;
    let uid = Uid(call.caller.uid);
    let view = DfView {
        owns_container: &|id| containers.contains(id),
        owns_volume: &|name| volumes.get(name) == Some(&uid.0),
        sees_tag: &|tag| tags.sees(tag),
        sees_image: &|id| tags.owns_unnamed(id),
    };
    Ok(http::json(StatusCode::OK, &present::system_df(reply, &view)?))
}
