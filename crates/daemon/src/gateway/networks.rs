//! Networks: the shared bridge, and those that a user made.

use std::collections::{HashMap, HashSet};

use ds01_docker::{body, present};
use hyper::{Method, Response, StatusCode};
use serde_json::Value;

use super::http::{self, Body, Refusal};
use super::{Call, Door, forward, own};
use crate::coordinator::Fault;
use crate::ledger::ObjectKind;

/// Networks that everybody may use and nobody may change.
const SHARED: [&str; 3] = ["bridge", "none", "default"];

pub(super) async fn owners(door: &Door) -> Result<HashMap<String, u32>, Refusal> {
    let owned =
        door.coordinator.ledger(|ledger| ledger.owned(ObjectKind::Network)).await?.map_err(Fault::from)?;
    Ok(owned.into_iter().map(|o| (o.name, o.uid)).collect())
}

/// Who owns which network, once the ledger says the same as the Engine's whole list: a network whose create nobody heard
/// the end of is found by the label that only the door writes, and one that went with a daemon's end is forgotten. The
/// owners must have been read before the list was: then what the list lacks is gone.
async fn settled(
    door: &Door,
    mut owners: HashMap<String, u32>,
    list: &Value,
) -> Result<HashMap<String, u32>, Refusal> {
    let listed = || list.as_array().into_iter().flatten().filter_map(|n| Some((n.get("Id")?.as_str()?, n)));
    let found: Vec<(String, u32)> = listed()
        .filter(|(id, _)| !owners.contains_key(*id))
        .filter_map(|(id, n)| {
            let label = n.get("Labels")?.get(super::OWNER_LABEL)?.as_str()?;
            Some((id.to_owned(), label.parse().ok()?))
        })
        .collect();
    let there: HashSet<&str> = listed().map(|(id, _)| id).collect();
    let gone: Vec<String> = owners.keys().filter(|id| !there.contains(id.as_str())).cloned().collect();
    if found.is_empty() && gone.is_empty() {
        return Ok(owners);
    }
    owners.retain(|id, _| there.contains(id.as_str()));
    owners.extend(found.iter().cloned());
    door.coordinator
        .ledger(move |ledger| {
            for id in &gone {
                ledger.disown(ObjectKind::Network, id)?;
            }
            found.iter().try_for_each(|(id, uid)| ledger.own(ObjectKind::Network, id, *uid).map(drop))
        })
        .await?
        .map_err(Fault::from)?;
    Ok(owners)
}

fn absent(name: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("network {name} not found"))
}

/// Whether a network, by full id, concerns the caller.
pub(super) async fn sees(call: &Call, id: &str) -> bool {
    call.caller.admin || owners(&call.door).await.is_ok_and(|o| o.get(id) == Some(&call.caller.uid))
}

/// Resolves a network that a create body or a path names to what may be sent upstream: a shared name or an own id.
pub(super) async fn resolve(call: &Call, name: &str) -> Result<String, Refusal> {
    if SHARED.contains(&name) {
        return Ok(name.to_owned());
    }
    let owners = owners(&call.door).await?;
    let reply = call.door.engine.ask(Method::GET, "/v1.40/networks", None).await?;
    let owners = settled(&call.door, owners, &reply).await?;
    let own = reply.as_array().into_iter().flatten().filter_map(|n| {
        let (id, called) = (n.get("Id")?.as_str()?, n.get("Name")?.as_str()?);
        let may = call.caller.admin || owners.get(id) == Some(&call.caller.uid) || SHARED.contains(&called);
        may.then_some((id, called))
    });
    let own: Vec<_> = own.collect();
    let by = |test: &dyn Fn(&str, &str) -> bool| {
        let mut found = own.iter().filter(|(id, called)| test(id, called));
        match (found.next(), found.next()) {
            (Some((id, called)), None) => {
                Some(if SHARED.contains(called) { *called } else { *id }.to_owned())
            }
            _ => None,
        }
    };
    by(&|id, _| id == name)
        .or_else(|| by(&|_, called| called == name))
        .or_else(|| by(&|id, _| id.starts_with(name)))
        .ok_or_else(|| absent(name))
}

/// The own network that the path names, by full id.
async fn own_network(call: &Call) -> Result<String, Refusal> {
    let name = call.route.network().ok_or_else(|| Refusal::fault("the route names no network"))?.as_str();
    resolve(call, name).await
}

/// `GET /networks`.
pub(super) async fn list(call: Call) -> Result<Response<Body>, Refusal> {
    let owners = owners(&call.door).await?;
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let (status, reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    let owners = match call.route.query.filters().is_empty() {
        true => settled(&call.door, owners, &reply).await?,
        false => owners,
    };
    if call.caller.admin {
        return Ok(http::json(status, &reply));
    }
    let mine = own::visible_ids(&call.door, &call.caller).await?.unwrap_or_default();
    let shown = present::network_list(
        reply,
        |id, name| SHARED.contains(&name) || owners.get(id) == Some(&call.caller.uid),
        |id| mine.contains(id),
    )?;
    Ok(http::json(status, &shown))
}

/// `GET /networks/{id}`.
pub(super) async fn inspect(call: Call) -> Result<Response<Body>, Refusal> {
    let id = own_network(&call).await?;
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&forward::full(&id)?));
    let (status, reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    let mine = own::visible_ids(&call.door, &call.caller).await?;
    let owns = |id: &str| mine.as_ref().is_none_or(|m| m.contains(id));
    Ok(http::json(status, &present::network_inspect(reply, owns)?))
}

/// `POST /networks/create`.
pub(super) async fn create(mut call: Call) -> Result<Response<Body>, Refusal> {
    let bytes = call.json_body().await?;
    let mut judged = body::judge_network(&bytes, &call.rules())?;
    judged.set_label(super::OWNER_LABEL, &call.caller.uid.to_string());
    let name = judged.name().to_owned();
    super::quota::may_create_network(&call.door, &call.caller).await?;
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let request = forward::upstream_request(
        &call,
        &target,
        http::boxed(http_body_util::Full::new(bytes::Bytes::from(judged.into_body()))),
    )?;
    let (door, uid) = (call.door.clone(), call.caller.uid);
    super::forward::to_the_end(async move {
        let mut request = request;
        request
            .headers_mut()
            .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        let response = door.engine.send(request).await?;
        if response.status() == StatusCode::CONFLICT {
            return Err(Refusal::conflict(format!("network with name {name} already exists")));
        }
        let (status, reply) = forward::read_json(response).await?;
        let id = reply.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned();
        door.coordinator.ledger(move |l| l.own(ObjectKind::Network, &id, uid)).await?.map_err(Fault::from)?;
        Ok(http::json(status, &reply))
    })
    .await
}

/// `DELETE /networks/{id}`.
pub(super) async fn delete(call: Call) -> Result<Response<Body>, Refusal> {
    let id = own_network(&call).await?;
    if SHARED.contains(&id.as_str()) {
        return Err(Refusal::forbidden(format!("{id} is a pre-defined network and cannot be removed")));
    }
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&forward::full(&id)?));
    let request = forward::upstream_request(&call, &target, http::empty())?;
    let door = call.door.clone();
    super::forward::to_the_end(async move {
        let response = door.engine.send(request).await?;
        if response.status().is_success() {
            disown(&door, &id).await?;
        }
        Ok(forward::reply(response))
    })
    .await
}

/// Forgets whose a network was that is gone.
pub(super) async fn disown(door: &Door, id: &str) -> Result<(), Refusal> {
    let id = id.to_owned();
    door.coordinator.ledger(move |l| l.disown(ObjectKind::Network, &id)).await?.map_err(Fault::from)?;
    Ok(())
}

/// Connecting an own container to an own network, or taking it off.
pub(super) async fn connect(mut call: Call) -> Result<Response<Body>, Refusal> {
    let network = own_network(&call).await?;
    let bytes = call.json_body().await?;
    let rules = call.rules();
    let body = if call.route.op == ds01_docker::route::Op::NetworkConnect {
        let judged = body::judge_connect(&bytes, &rules)?;
        let own = own::find_own(&call.door, &call.caller, judged.container()).await?;
        judged.into_body(own.id.as_str())
    } else {
        let judged = body::judge_disconnect(&bytes, &rules)?;
        let own = own::find_own(&call.door, &call.caller, judged.container()).await?;
        judged.into_body(own.id.as_str())
    };
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&forward::full(&network)?));
    Ok(forward::reply(forward::with_json(&call, &target, body).await?))
}
