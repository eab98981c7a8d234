//! Containers that exist: looking at them, acting on them, putting them away.

use std::collections::HashMap;
use std::sync::Arc;

use ds01_docker::present;
use ds01_domain::{ContainerId, Event, RestartPolicy, Uid};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::Call;
use super::deeds::Deed;
use super::forward::{self, to_the_end};
use super::http::{self, Body, Refusal};
use super::own::{self, Own, Remembered};
use crate::engine::send_on;

/// What follows an act that went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    /// Somebody looks at the container: it may hold units that it needs no more.
    Look,
}

/// Lists the caller's containers as he made them.
pub(super) async fn list(mut call: Call) -> Result<Response<Body>, Refusal> {
    if !call.caller.admin {
        name_own_in_filters(&mut call).await?;
        // The Engine's own filter keeps the reply small; what may be seen is decided below, from our own books.
        let mut filters = call.route.query.filters().clone();
        filters.add("label", format!("{}={}", super::create::OWNER_LABEL, call.caller.uid));
        call.route.query.set_filters(filters);
    }
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let reply = forward::read_whole(forward::bare(&call, &target).await?).await?;
    let listed = present::ContainerList::read(&reply)?;
    let (uid, admin) = (Uid(call.caller.uid), call.caller.admin);
    let ids: Vec<_> = listed.ids().filter_map(ContainerId::new).collect();
    let tokens: HashMap<String, Option<ds01_domain::Token>> = call
        .door
        .coordinator
        .read(move |state, _, _| {
            let known = ids.iter().filter_map(|id| state.container(id));
            let seen = known.filter(|c| c.exists() && (admin || c.owner == uid));
            seen.map(|c| (c.id.to_string(), c.token.clone())).collect()
        })
        .await?;
    let records = call.door.records.of(&call.door, tokens.values().flatten().cloned()).await?;
    let original = |id: &str| {
        let token = tokens.get(id)?.as_ref()?;
        records.get(token).map(|r| &r.original)
    };
    let shown = listed.show(|id| admin || tokens.contains_key(id), original)?;
    Ok(http::json_text(StatusCode::OK, shown))
}

/// Lists before or since a container: one of the caller's own, else the reply would tell that there is another's.
async fn name_own_in_filters(call: &mut Call) -> Result<(), Refusal> {
    let mut filters = call.route.query.filters().clone();
    for key in ["before", "since"] {
        for asked in filters.remove(key) {
            let own = own::find_own(&call.door, &call.caller, asked.trim_start_matches('/')).await?;
            filters.add(key, own.id.to_string());
        }
    }
    call.route.query.set_filters(filters);
    Ok(())
}

/// Shows one container as its owner made it.
pub(super) async fn inspect(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let (status, mut reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    if let Some(container) = own.container.as_ref().filter(|c| c.want.is_some()) {
        reply = present::with_restart_count(reply, container.restarts.tries)?;
    }
    let record = call.door.records.one(&call.door, own.token()).await?;
    let original = own.token().map(|_| &record.original);
    Ok(http::json(status, &present::container_inspect(reply, original)?))
}

/// Sends an act on an own container on with its full id; replies stream.
pub(super) async fn act(call: Call, after: After) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    // A connection of its own: logs, stats and wait may be left at any time.
    let request = forward::upstream_request(&call, &target, http::empty())?;
    let response = call.door.engine.send_along(request).await?;
    if after == After::Look {
        call.door.looks.at(&own.id);
    }
    forward::reply_as_asked(response, own.id.as_str(), call.asked_container()).await
}

/// Stops or kills an own container. One that waits in the line leaves it.
pub(super) async fn stop(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    // Reached first: an Engine that is down ends nothing, and an end of another day was not asked for.
    let engine = call.door.engine.connect().await;
    let ends = ends_the_container(&call);
    if waited(&call.door, &own, engine.is_ok() && ends).await? {
        return Ok(http::status(StatusCode::NO_CONTENT));
    }
    let mut engine = engine?;
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let request = forward::upstream_request(&call, &target, http::empty())?;
    let response = send_on(&mut engine, request).await?;
    // 304 and 409: it did not run.
    if ends && response.status() == StatusCode::NO_CONTENT {
        call.door.deeds.put(&own.id, Deed::Stopped);
    }
    call.door.looks.at(&own.id);
    forward::reply_as_asked(response, own.id.as_str(), call.asked_container()).await
}

/// Takes a container out of the line; whether it was in it. What is to end is told to end, so that its restart policy
/// leaves it so.
async fn waited(door: &super::Door, own: &Own, ends: bool) -> Result<bool, Refusal> {
    if ends && own.holds_want() {
        return Ok(door.coordinator.stop_asked(&own.id).await?);
    }
    Ok(door.coordinator.cancel_wait(&own.id).await?)
}

/// Whether the request asks for the container's end: every stop does, and every kill but a mere signal.
fn ends_the_container(call: &Call) -> bool {
    if call.route.op == ds01_docker::route::Op::ContainerStop {
        return true;
    }
    let signal = call.route.query.text("signal").unwrap_or("KILL").to_ascii_uppercase();
    matches!(signal.trim_start_matches("SIG"), "" | "KILL" | "TERM" | "INT" | "QUIT" | "9" | "15" | "2" | "3")
}

/// Removes an own container; one that waits leaves the line first.
pub(super) async fn delete(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let mut engine = call.door.engine.connect().await?;
    // By force it is killed first, and its policy must not start it while it goes.
    waited(&call.door, &own, call.route.query.bool("force")).await?;
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let request = forward::upstream_request(&call, &target, http::empty())?;
    let door = call.door.clone();
    to_the_end(async move {
        let response = send_on(&mut engine, request).await?;
        if response.status().is_success() {
            forget(&door, &own).await;
        }
        Ok(forward::reply(response))
    })
    .await
}

/// Writes that a container is gone, and clears what stood for it on the host.
pub(crate) async fn forget(door: &Arc<super::Door>, own: &Own) {
    // At once: its name may be another container's with the next request.
    if own.container.is_some()
        && let Ok(at) = door.coordinator.now().await
    {
        door.coordinator.try_record(vec![Event::Removed { container: own.id.clone(), at }]).await;
    }
    door.looks.at(&own.id);
    door.deeds.forget(&own.id);
    if let Some(token) = own.token() {
        super::binds::unstage(door, token).await;
        door.records.forget(token);
    }
}

/// Renames an own container.
pub(super) async fn rename(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let name = call
        .route
        .query
        .chosen_name()
        .ok_or_else(|| Refusal::bad("a new name is needed: docker rename OLD NEW"))?;
    super::create::judge_name(&call.caller, name.as_str())?;
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let request = forward::upstream_request(&call, &target, http::empty())?;
    let door = call.door.clone();
    to_the_end(async move {
        let response = door.engine.send(request).await?;
        if response.status().is_success() && own.container.is_some() {
            door.coordinator
                .try_record(vec![Event::Renamed { container: own.id, name: name.as_str().to_owned() }])
                .await;
        }
        if response.status() == StatusCode::CONFLICT {
            return Err(super::create::name_in_use(name.as_str()));
        }
        Ok(forward::reply(response))
    })
    .await
}

/// Changes limits of an own container, within the group's; a GPU container's restart policy stays ours, and whichever
/// policy was asked is the one that is shown.
pub(super) async fn update(mut call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let body = call.json_body().await?;
    let mut judged = ds01_docker::body::judge_update(&body, &call.rules())?;
    if judged.has_cpu_quota() {
        let look = call.door.engine.look(&own.id).await?;
        if look.reply.pointer("/HostConfig/NanoCpus").and_then(Value::as_i64).is_some_and(|nano| nano > 0) {
            judged.say_quota_as_cpus();
        }
    }
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let gpu = own.holds_want();
    let asked = judged.restart();
    let removes_itself = own.container.as_ref().is_some_and(|container| container.auto_remove);
    if removes_itself && asked.is_some_and(|policy| policy != ds01_docker::body::Restart::No) {
        return Err(Refusal::conflict(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ));
    }
    let warnings = judged.warnings().to_vec();
    let sent = judged.into_body(gpu);
    let (status, reply) = forward::read_json(forward::with_json(&call, &target, sent).await?).await?;
    if own.container.is_some()
        && let Some(policy) = asked
    {
        let restart = super::create::restart_of(policy);
        call.door
            .coordinator
            .record(vec![Event::RestartChanged { container: own.id.clone(), restart }])
            .await?;
        remember_restart(&call, &own, restart).await?;
    }
    Ok(http::json(status, &present::with_warnings(reply, warnings)?))
}

async fn remember_restart(call: &Call, own: &Own, restart: RestartPolicy) -> Result<(), Refusal> {
    let Some(token) = own.token().cloned() else { return Ok(()) };
    let remembered: Arc<Remembered> = call.door.records.one(&call.door, Some(&token)).await?;
    let mut original = remembered.original.clone();
    original.remember("RestartPolicy", restart_shown(restart));
    let mut record = remembered.record.clone();
    record.original = serde_json::to_value(&original).unwrap_or_default();
    super::made::keep(&call.door, &token, &record).await
}

/// A restart policy as Docker shows it.
fn restart_shown(restart: RestartPolicy) -> Value {
    let (name, count) = match restart {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
        RestartPolicy::OnFailure { max } => ("on-failure", max),
    };
    json!({ "Name": name, "MaximumRetryCount": count })
}
