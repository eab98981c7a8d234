//! DS01's own API under `/ds01/v1/`, on the same socket and for the same callers as Docker's.

mod deploy;
mod exempt;
mod frameworks;
mod journal;
mod limits;
mod list;
mod machine;
mod queue;
mod repair;
mod retire;
mod sharing;
mod start;
mod stats;
mod using;
mod why;

pub(crate) use journal::event_line;

use std::sync::Arc;

use ds01_api::{ApiError, codes, paths};
use ds01_domain::Denial;
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::http::{self, Body, Refusal};
use super::own::{self, Own};
use super::share::Share;
use super::start::StartRefusal;
use super::unread::Unread;
use super::{Door, Visit};
use crate::identity::Caller;

/// An error of this API with its HTTP status.
pub(crate) struct Fault {
    status: StatusCode,
    error: ApiError,
}

impl Fault {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, error: ApiError::new(code, message) }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.with_hint(hint);
        self
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => codes::REQUEST_INVALID,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => codes::NOT_PERMITTED,
            StatusCode::NOT_FOUND => codes::CONTAINER_NOT_FOUND,
            StatusCode::CONFLICT => codes::CONTAINER_CONFLICT,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => codes::ENGINE_UNAVAILABLE,
            _ => codes::INTERNAL,
        };
        Self::new(refusal.status, code, refusal.message)
    }
}

impl From<crate::coordinator::Fault> for Fault {
    fn from(fault: crate::coordinator::Fault) -> Self {
        Refusal::from(fault).into()
    }
}

impl From<crate::engine::EngineError> for Fault {
    fn from(error: crate::engine::EngineError) -> Self {
        Refusal::from(error).into()
    }
}

/// A denial as this API says it: the code is the rules' own.
fn denied(denial: &Denial) -> ApiError {
    let error = ApiError::new(denial.code(), denial.to_string());
    match denial.hint() {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn refused_start(refusal: StartRefusal) -> ApiError {
    match refusal {
        StartRefusal::Denied(denial) => denied(&denial),
        StartRefusal::Cancelled => ApiError::new(codes::GPU_CANCELLED, "the wait for a GPU was cancelled"),
        StartRefusal::Other(refusal) => match refusal
            .message
            .split_once(": bind source path does not exist: ")
        {
            Some((_, path)) => ApiError::new(
                codes::BIND_NOT_FOUND,
                format!("{path} is not there, and the container needs it"),
            )
            .with_hint(format!(
                "bring it back, from a repository or a backup, or begin with an empty one: mkdir -p {path}"
            )),
            None => Fault::from(refusal).error,
        },
    }
}

/// One request of this API.
pub(crate) struct Ask {
    door: Arc<Door>,
    caller: Arc<Caller>,
    request: Request<()>,
    body: Unread,
}

impl Ask {
    async fn read<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let mut share = Share::of(self.caller.uid);
        let bytes = self.body.whole(super::JSON_BODY_BYTES_MAX, &mut share).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Fault::new(
                StatusCode::BAD_REQUEST,
                codes::REQUEST_INVALID,
                format!("the request cannot be read: {e}"),
            )
        })
    }

    fn query(&self, key: &str) -> Option<String> {
        self.request.uri().query()?.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == key).then(|| percent_decode_str(value).decode_utf8_lossy().into_owned())
        })
    }

    /// The caller's container by project, name, id or prefix.
    async fn container(&self, typed: &str) -> Result<Own, Fault> {
        for candidate in ds01_api::names::candidates(typed, &self.caller.name) {
            match own::find_own(&self.door, &self.caller, &candidate).await {
                Ok(own) => return Ok(own),
                Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(Fault::new(
            StatusCode::NOT_FOUND,
            codes::CONTAINER_NOT_FOUND,
            format!("you have no container {typed}"),
        )
        .hint("container list --all shows those you have"))
    }
}

/// Answers one request of this API.
pub(super) async fn handle(
    visit: &Arc<Visit>,
    caller: Arc<Caller>,
    request: Request<()>,
    body: Unread,
) -> Result<Response<Body>, Refusal> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let ask = Ask { door: visit.door.clone(), caller, request, body };
    Ok(match route(&method, &path, ask).await {
        Ok(response) => response,
        Err(fault) => http::json(fault.status, &fault.error),
    })
}

async fn route(method: &Method, path: &str, ask: Ask) -> Result<Response<Body>, Fault> {
    let get = method == Method::GET;
    let post = method == Method::POST;
    match path {
        paths::WHOAMI if get => return machine::whoami(ask).await,
        paths::MACHINE if get => return machine::machine(ask).await,
        paths::CONTAINERS if get => return list::containers(ask).await,
        paths::LIMITS if get => return limits::limits(ask).await,
        paths::QUEUE if get => return queue::queue(ask).await,
        paths::EVENTS if get => return journal::events(ask).await,
        paths::HISTORY if get => return journal::history(ask).await,
        paths::EXEMPTIONS if get => return exempt::list(ask).await,
        paths::EXEMPTIONS if post => return exempt::exempt(ask).await,
        paths::STATS if get => return stats::stats(ask).await,
        paths::DEPLOY if post => return deploy::deploy(ask).await,
        paths::FRAMEWORKS if get => return Ok(frameworks::frameworks(&ask)),
        paths::GPU_RELEASE if post => return machine::release(ask).await,
        paths::SHARES if get => return sharing::list(&ask).await,
        paths::SHARES if post => return sharing::change(ask).await,
        paths::REPAIR if post => return repair::repair(ask).await,
        paths::RETIRE if post => return retire::retire(ask).await,
        _ => {}
    }
    if post && let Some(name) = named(path, paths::START) {
        return start::start(ask, &name).await;
    }
    if post && let Some(name) = named(path, paths::KEEP) {
        return using::keep(ask, &name).await;
    }
    if get && let Some(name) = named(path, paths::WHY) {
        return why::why(ask, &name).await;
    }
    if get && let Some(name) = named(path, paths::CONTAINER) {
        return list::container(ask, &name).await;
    }
    Err(Fault::new(StatusCode::NOT_FOUND, codes::REQUEST_INVALID, format!("DS01 has no {method} {path}"))
        .hint("is the command line newer than ds01d? ds01 --version"))
}

/// The `{name}` of a path that fits a template, decoded.
fn named(path: &str, template: &str) -> Option<String> {
    let (before, after) = template.split_once("{name}")?;
    let name = path.strip_prefix(before)?.strip_suffix(after)?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    percent_decode_str(name).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
