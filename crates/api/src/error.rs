//! The one error shape, and the exit code that each error ends in. It must never choose words: the daemon does.

use serde::{Deserialize, Serialize};

use crate::codes;

/// An error or a refusal, as every endpoint answers it and as the last line of a start stream carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// A stable code from [`codes`], for scripts.
    pub code: String,
    /// What happened, as a sentence for the user.
    pub message: String,
    /// The next step, if there is one to suggest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ApiError {
    /// An error without a hint.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: None }
    }

    /// The same error with the next step.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code of a command that ended in this error, which came with the HTTP status `status`.
    pub fn exit(&self, status: u16) -> Exit {
        Exit::of(status, &self.code)
    }
}

/// What a command's exit code says; the numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: it was tried and failed.
    Failed,
    /// 2: the command line, or a value in it, is wrong; nothing was tried.
    Usage,
    /// 3: no GPU or no container to be had now: quota, or the wait ended.
    NoResources,
    /// 4: no such container, image or unit.
    NotFound,
    /// 5: not permitted.
    NotPermitted,
    /// 130: the user broke it off with Ctrl-C.
    Interrupted,
}

impl Exit {
    /// Every one, by its number.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NoResources,
        Self::NotFound,
        Self::NotPermitted,
        Self::Interrupted,
    ];

    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoResources => 3,
            Self::NotFound => 4,
            Self::NotPermitted => 5,
            Self::Interrupted => 130,
        }
    }

    /// The exit for an answer: the code says most; where it says nothing, the HTTP status does.
    pub fn of(status: u16, code: &str) -> Self {
        match code {
            codes::GPU_QUOTA
            | codes::GPU_SLOTS
            | codes::GPU_NEVER
            | codes::GPU_TIMEOUT
            | codes::GPU_CANCELLED
            | codes::KEEP_BUDGET
            | codes::CONTAINERS_QUOTA => Self::NoResources,
            codes::GPU_FULL | codes::NOT_PERMITTED | codes::WORKSPACE_DENIED => Self::NotPermitted,
            codes::GPU_UNKNOWN_UNIT
            | codes::CONTAINER_NOT_FOUND
            | codes::EXEMPTION_NOT_FOUND
            | codes::USER_NOT_FOUND
            | codes::IMAGE_NOT_FOUND
            | codes::BIND_NOT_FOUND
            | codes::FRAMEWORK_UNKNOWN => Self::NotFound,
            codes::NAME_INVALID | codes::REQUEST_INVALID => Self::Usage,
            codes::CONTAINER_CONFLICT
            | codes::CONTAINER_RUNNING
            | codes::CONTAINER_NOT_RUNNING
            | codes::ENGINE_UNAVAILABLE
            | codes::INTERNAL => Self::Failed,
            _ => match status {
                200..=299 => Self::Done,
                400 => Self::Usage,
                401 | 403 => Self::NotPermitted,
                404 => Self::NotFound,
                _ => Self::Failed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_before_the_status() {
        assert_eq!(Exit::of(403, codes::GPU_QUOTA), Exit::NoResources);
        assert_eq!(Exit::of(503, codes::ENGINE_UNAVAILABLE), Exit::Failed);
        assert_eq!(Exit::of(409, "new.code"), Exit::Failed);
        assert_eq!(Exit::of(404, ""), Exit::NotFound);
        assert_eq!(Exit::of(403, ""), Exit::NotPermitted);
        assert_eq!(Exit::of(400, ""), Exit::Usage);
    }

    #[test]
    fn the_numbers_are_a_promise() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 130]);
    }

    #[test]
    fn an_error_without_a_hint_has_no_hint_field() {
        let plain = ApiError::new(codes::INTERNAL, "it broke");
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"code":"internal","message":"it broke"}"#);
        let read: ApiError =
            serde_json::from_str(r#"{"code":"a","message":"b","hint":"c","later":1}"#).unwrap();
        assert_eq!(read.hint.as_deref(), Some("c"));
    }
}
