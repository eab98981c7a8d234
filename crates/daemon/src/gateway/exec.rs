//! Streams into containers: attach, and execs, which belong to whoever owns their container.

use ds01_docker::body;
use hyper::{Method, Response, StatusCode};
use serde_json::Value;

use super::Call;
use super::forward;
use super::http::{Body, Refusal};
use super::own::{self, Own};

/// The largest body of an exec. The Engine keeps it until the container ends, and the kernel takes no argument that is
/// longer than a quarter of this.
const EXEC_BYTES_MAX: usize = 512 * 1024;

/// `POST /containers/{id}/attach` and its websocket form.
pub(super) async fn attach(call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    if call.route.query.bool("stdin") && !forward::wants_upgrade(&call) {
        return Err(needs_upgrade());
    }
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    let terminal = match own.token() {
        Some(token) if own.holds_want() => {
            let remembered = call.door.records.one(&call.door, Some(token)).await?;
            Some(call.door.terminals.attach(&own.id, remembered.record.tty))
        }
        _ => None,
    };
    forward::hijack(call, &target, bytes::Bytes::new(), terminal).await
}

fn needs_upgrade() -> Refusal {
    Refusal::bad(
        "this client sends stdin over a connection that it did not ask to upgrade; DS01 needs the headers \
         `Connection: Upgrade` and `Upgrade: tcp`, as docker and docker-py send them",
    )
}

/// `POST /containers/{id}/exec`: the same judgement as create, and the binding that the container has now.
pub(super) async fn create(mut call: Call) -> Result<Response<Body>, Refusal> {
    let own = call.own_container().await?;
    let bytes = call.body.whole(EXEC_BYTES_MAX, &mut call.share).await?;
    let mut judged = body::judge_exec(&bytes, &call.rules())?;
    let remembered = call.door.records.one(&call.door, own.token()).await?;
    if let Some(user) = remembered.record.only_user() {
        judged.confine(user)?;
    }
    super::quota::may_exec(&call.door.engine.look(&own.id).await?.reply)?;
    call.door.board.enter(&own.id);
    judged.set_visible_devices(Some(&visible_devices(&call, &own).await?));
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&own.object()?));
    Ok(forward::reply(forward::with_json(&call, &target, judged.into_body()).await?))
}

/// The value of `NVIDIA_VISIBLE_DEVICES` that is true for a container now.
async fn visible_devices(call: &Call, own: &Own) -> Result<String, Refusal> {
    let id = own.id.clone();
    let units = call
        .door
        .coordinator
        .read(move |state, _, _| {
            state.holding(&id).map(|h| h.units.iter().map(ToString::to_string).collect::<Vec<_>>())
        })
        .await?;
    Ok(units.filter(|u| !u.is_empty()).map_or_else(|| "void".to_owned(), |u| u.join(",")))
}

/// Finds an exec's container and makes sure that it is the caller's; a stranger's exec does not exist.
async fn own_exec(call: &Call) -> Result<String, Refusal> {
    let reference = call.route.exec().ok_or_else(|| Refusal::fault("the route names no exec"))?;
    let absent =
        || Refusal::new(StatusCode::NOT_FOUND, format!("No such exec instance: {}", reference.as_str()));
    if !reference.is_full_id() {
        // Docker takes no prefixes here either.
        return Err(absent());
    }
    let path = format!("/v1.40/exec/{}/json", reference.as_str());
    let reply = match call.door.engine.ask(Method::GET, &path, None).await {
        Ok(reply) => reply,
        Err(error) if error.is_not_found() => return Err(absent()),
        Err(error) => return Err(error.into()),
    };
    let container = reply.get("ContainerID").and_then(Value::as_str).unwrap_or_default();
    own::find_own(&call.door, &call.caller, container).await.map_err(|_| absent())?;
    Ok(reference.as_str().to_owned())
}

/// `POST /exec/{id}/start`.
pub(super) async fn start(mut call: Call) -> Result<Response<Body>, Refusal> {
    let exec = own_exec(&call).await?;
    let bytes = call.json_body().await?;
    let judged = body::judge_exec_start(&bytes, &call.rules())?;
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&forward::full(&exec)?));
    if judged.detach() {
        return Ok(forward::reply(forward::with_json(&call, &target, judged.into_body()).await?));
    }
    if !forward::wants_upgrade(&call) {
        // Output only: Docker's 200 stream. Whether stdin is attached was settled at create; its bytes cannot come.
        let sent = judged.into_body();
        return Ok(forward::reply(forward::with_json(&call, &target, sent).await?));
    }
    forward::hijack(call, &target, judged.into_body().into(), None).await
}

/// Looking at an exec, resizing its terminal.
pub(super) async fn act(call: Call) -> Result<Response<Body>, Refusal> {
    let exec = own_exec(&call).await?;
    let target = call.route.upstream_target(call.upstream_version().await?, Some(&forward::full(&exec)?));
    Ok(forward::reply(forward::bare(&call, &target).await?))
}
