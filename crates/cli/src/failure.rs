//! How a command fails: a sentence, the next step, a code for scripts, and the exit code. It must never print.

use ds01_api::{ApiError, Exit, Refusal};
use serde::Serialize;

use crate::client::ClientError;

/// Why a command did not do what it was asked.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(flatten)]
    pub(crate) error: ApiError,
    /// What the process ends with.
    pub(crate) exit: u8,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { error: ApiError::new(code, message), exit: exit.code() }
    }

    #[must_use]
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { error: self.error.with_hint(hint), ..self }
    }

    /// The command line is wrong in a way that only its values show.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (code, exit) = (error.code().to_owned(), error.exit().code());
        let mut message = error.to_string();
        if let ClientError::Connect { source, .. } = &error {
            message = format!("{message}: {source}");
        }
        Self { error: ApiError { code, message, hint: error.hint() }, exit }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        // A refusal that claims to be a success would let a script go on.
        Self { error: refusal.error, exit: refusal.exit.max(Exit::Failed.code()) }
    }
}
