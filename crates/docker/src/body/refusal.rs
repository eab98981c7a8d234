//! Answers for: how a body is refused, in words a person can act on.
//!
//! Must never: name another person's object, or print the value of a secret.

use crate::json::JsonError;

/// A body that is not sent on: the HTTP status, and a sentence that names the field and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// 400 (cannot be read or makes no sense), 403 (not allowed here) or 413 (too large).
    pub status: u16,
    /// The sentence for the client's `{"message": …}`.
    pub message: String,
}

impl Refusal {
    /// The body cannot be understood.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Refusal { status: 400, message: message.into() }
    }

    /// The body is understood and not allowed.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Refusal { status: 403, message: message.into() }
    }

    /// What the body asks for does not exist on this machine.
    pub(crate) fn absent(message: impl Into<String>) -> Self {
        Refusal { status: 404, message: message.into() }
    }

    /// A field that DS01 has no row for.
    pub(crate) fn unknown_field(path: &str) -> Self {
        Refusal::bad(format!("\"{path}\" is not known to DS01; ask the admin"))
    }

    /// A field with a value of the wrong kind.
    pub(crate) fn wrong_kind(path: &str, wanted: &str, got: &str) -> Self {
        Refusal::bad(format!("\"{path}\" must be {wanted}, not {got}"))
    }
}

impl From<JsonError> for Refusal {
    fn from(error: JsonError) -> Self {
        let status = match error {
            JsonError::TooLarge { .. } | JsonError::TooMany { .. } => 413,
            _ => 400,
        };
        Refusal { status, message: format!("the request was not understood: {error}") }
    }
}
