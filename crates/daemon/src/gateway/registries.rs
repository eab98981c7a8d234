//! Registries: the Engine asks them as root, from this machine's place on the network, so it asks those that are known.

use bytes::Bytes;
use ds01_docker::body::judge_login;
use ds01_docker::registry;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

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

/// `POST /auth`. What is in it is written nowhere.
pub(super) async fn login(mut call: Call) -> Result<Response<Body>, Refusal> {
    let bytes = call.json_body().await?;
    let login = judge_login(&bytes, &call.rules())?;
    let domain = login.registry().ok_or_else(|| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "the server address of the login is none; docker login REGISTRY",
        )
    })?;
    judge(&call, &domain)?;
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let body = boxed(Full::new(Bytes::from(login.into_body())));
    let mut request = forward::upstream_request(&call, &target, body)?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(forward::reply(call.door.engine.send(request).await?))
}
