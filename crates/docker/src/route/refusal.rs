//! Why a request line is refused, with the status and the words that Docker's clients understand.

use super::Op;
use crate::query::QueryRefusal;
use crate::version::ApiVersion;

/// A refused request line. The sentence goes to the user as `{"message": …}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RouteRefusal {
    status: u16,
    message: String,
    op: Option<Op>,
}

impl RouteRefusal {
    /// The HTTP status: 400 malformed or wrong version, 403 refused to everybody, 404 no such route, 414 too long.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The operation, where the request line was understood and is refused as such.
    pub fn op(&self) -> Option<Op> {
        self.op
    }

    /// What to answer to a user's request for a row of class [`Class::Admin`](super::Class::Admin): 403, or 404 where
    /// clients ask without their user having meant it.
    pub fn admin_only(op: Op) -> Self {
        // `docker inspect NAME` tries every kind of object in turn, and goes on only after a 404.
        if op == Op::PluginInspect {
            return Self { status: 404, message: "plugin not found".to_owned(), op: Some(op) };
        }
        let message = "Only an administrator may ask this on this machine.";
        Self { status: 403, message: message.to_owned(), op: Some(op) }
    }

    pub(super) fn not_found() -> Self {
        Self { status: 404, message: "page not found".to_owned(), op: None }
    }

    pub(super) fn refused(op: Op, sentence: &'static str) -> Self {
        // True of this machine, and what clients that tidy up after themselves take for an answer.
        if op == Op::SwarmLeave {
            return Self {
                status: 503,
                message: "This node is not part of a swarm".to_owned(),
                op: Some(op),
            };
        }
        Self { status: 403, message: sentence.to_owned(), op: Some(op) }
    }

    pub(super) fn too_old(version: ApiVersion) -> Self {
        Self::bad_request(format!(
            "client version {version} is too old. Minimum supported API version is {}, \
             please upgrade your client to a newer version",
            ApiVersion::OLDEST
        ))
    }

    pub(super) fn too_new(version: ApiVersion) -> Self {
        Self::bad_request(format!(
            "client version {version} is too new. Maximum supported API version is {}",
            ApiVersion::NEWEST
        ))
    }

    pub(super) fn too_long(bytes_max: usize) -> Self {
        let message =
            format!("The request target is longer than {bytes_max} bytes; send fewer or shorter arguments.");
        Self { status: 414, message, op: None }
    }

    pub(super) fn malformed(what: &str) -> Self {
        Self::bad_request(format!("malformed request: {what}"))
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self { status: 400, message, op: None }
    }

    /// A word that cannot name an object: nothing of that name exists, and the grammar says why.
    pub(super) fn bad_name(raw: &str) -> Self {
        let shown: String = raw.chars().take(80).collect();
        let message = format!(
            "page not found: `{shown}` is no name or id; these are made of [a-zA-Z0-9][a-zA-Z0-9_.-]*, not encoded"
        );
        Self { status: 404, message, op: None }
    }
}

impl From<QueryRefusal> for RouteRefusal {
    fn from(refusal: QueryRefusal) -> Self {
        Self::bad_request(refusal.to_string())
    }
}

/// Refuses a form body, which the Engine would prefer to the query that was judged.
///
/// `content_type` is the request's header; call it where the request has a body of at least one byte. JSON and
/// archives pass.
///
/// # Errors
/// 400 for `application/x-www-form-urlencoded` and `multipart/form-data`.
pub fn refuse_form_body(content_type: &str) -> Result<(), RouteRefusal> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let form = ["application/x-www-form-urlencoded", "multipart/form-data"];
    if form.iter().any(|form| media.eq_ignore_ascii_case(form)) {
        return Err(RouteRefusal::bad_request(
            "Form bodies are not accepted; send arguments in the query and a body as application/json."
                .to_owned(),
        ));
    }
    Ok(())
}
