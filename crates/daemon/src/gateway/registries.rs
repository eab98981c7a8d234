//! Registries: the Engine asks them as root, from this machine's place on the network, so it asks those that are known.

use bytes::Bytes;
use ds01_docker::registry;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::http::{Body, Refusal, boxed};
use super::{Call, forward};

/// Makes sure that the Engine may be sent to a registry on the caller's behalf.
pub(super) fn judge(call: &Call, domain: &str) -> Result<(), Refusal> {
    if call.caller.admin || registry::is_allowed(domain, &call.door.config().registries) {
        return Ok(());
    }
    Err(Refusal::forbidden(format!(
        "{domain} is not among the registries that this machine speaks to; take an image from a public one, or ask the \
         admin to add it under `registries` in the configuration"
    )))
}

/// `GET /distribution/{name}/json`.
pub(super) async fn distribution(call: Call) -> Result<Response<Body>, Refusal> {
    let image = call.route.image().ok_or_else(|| Refusal::fault("the route names no image"))?;
    judge(&call, image.domain())?;
    forward::pass(call).await
}

/// A login, with the fields that clients send.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Login {
    username: String,
    password: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    auth: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    email: String,
    serveraddress: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    identitytoken: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    registrytoken: String,
}

/// `POST /auth`. What is in it is written nowhere.
pub(super) async fn login(mut call: Call) -> Result<Response<Body>, Refusal> {
    let bytes = call.json_body().await?;
    let login: Login = serde_json::from_slice(&bytes).map_err(|_| {
        Refusal::bad(
            "the login cannot be read; it is an object of texts: username, password, serveraddress, identitytoken",
        )
    })?;
    let domain = registry::of_address(&login.serveraddress).ok_or_else(|| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "the server address of the login is none; docker login REGISTRY",
        )
    })?;
    judge(&call, &domain)?;
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let body = serde_json::to_vec(&login).map_err(|_| Refusal::fault("the login cannot be written"))?;
    let mut request = forward::upstream_request(&call, &target, boxed(Full::new(Bytes::from(body))))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(forward::reply(call.door.engine.send(request).await?))
}
