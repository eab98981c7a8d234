//! A shell through Docker's exec: create, start with the connection taken over, ask how it ended.
//!
//! This module answers for the protocol; bytes are pumped elsewhere. It must never touch the terminal.

use ds01_api::{Container, paths};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ANSWER_MAX, Bytes, ClientError, Door, Line, json as body, read_json, within};

/// Prefers bash, and does with sh: an image need not have more.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"];
/// Docker's own keys to detach are Ctrl-P Ctrl-Q, which would hold back every Ctrl-P that is typed to the shell. Leaving
/// the shell is the way out here; a sequence that nobody types stands in their place.
const DETACH_KEYS: &str = "ctrl-],ctrl-^,ctrl-],ctrl-^";

/// A shell that has been started.
#[derive(Debug)]
pub(crate) struct ExecSession {
    door: Door,
    id: String,
    /// What the shell writes and reads.
    pub(crate) line: Line,
}

/// How an exec stands after its stream has ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExecExit {
    /// Whether it still runs.
    #[serde(default)]
    pub(crate) running: bool,
    /// Its exit code, once it has ended.
    pub(crate) exit_code: Option<i32>,
}

impl Door {
    /// Starts a shell in `container`, on a terminal of the kind `term` or on pipes.
    pub(crate) async fn shell(
        &self,
        container: &Container,
        term: Option<&str>,
    ) -> Result<ExecSession, ClientError> {
        let tty = term.is_some();
        let mut create = json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true,
            "Tty": tty, "Cmd": SHELL,
        });
        // Only a container that has a workspace is sure to have the directory.
        if container.workspace.is_some() {
            create["WorkingDir"] = "/workspace".into();
        }
        if let Some(term) = term {
            create["DetachKeys"] = DETACH_KEYS.into();
            create["Env"] = json!([format!("TERM={term}")]);
        }
        let path = paths::with_name("/containers/{name}/exec", &container.id);
        let made: Value = self.exchange(Method::POST, &path, body(&create)?, ANSWER_MAX).await?;
        let id = made["Id"].as_str().ok_or_else(|| ClientError::broken("an exec without an id"))?.to_owned();

        let start = body(&json!({ "Detach": false, "Tty": tty }))?;
        let path = paths::with_name("/exec/{name}/start", &id);
        let line = self.take_over(&path, start, paths::with_name("/exec/{name}/resize", &id)).await?;
        Ok(ExecSession { door: self.clone(), id, line })
    }
}

impl ExecSession {
    /// A handle for questions about this exec while its stream is lent out.
    pub(crate) fn handle(&self) -> ExecHandle {
        ExecHandle { door: self.door.clone(), id: self.id.clone() }
    }
}

/// Asks about an exec on connections of its own.
#[derive(Debug, Clone)]
pub(crate) struct ExecHandle {
    door: Door,
    id: String,
}

impl ExecHandle {
    /// How it ended.
    pub(crate) async fn exit(&self) -> Result<ExecExit, ClientError> {
        let path = paths::with_name("/exec/{name}/json", &self.id);
        within(ANSWER_MAX, async {
            let response = self.door.send(Method::GET, &path, Bytes::new(), None).await?;
            read_json(response.into_body()).await
        })
        .await
    }
}
