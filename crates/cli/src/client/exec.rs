//! A shell through Docker's exec: create, start with the connection taken over, resize, ask how it ended.
//!
//! This module answers for the protocol; bytes are pumped elsewhere. It must never touch the terminal.

use ds01_api::{Container, paths};
use hyper::Method;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::{ANSWER_MAX, Bytes, ClientError, Door, json as body, read_json, within};

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
    /// What the shell writes and reads; raw with a terminal, in Docker's frames without.
    pub(crate) stream: UnixStream,
    /// What came in the same packet as the answer's head, before anything of `stream`.
    pub(crate) early: Bytes,
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
        let response = within(ANSWER_MAX, self.send(Method::POST, &path, start, Some("tcp"))).await?;
        let upgraded = hyper::upgrade::on(response).await.map_err(ClientError::broken)?;
        let parts = upgraded
            .downcast::<TokioIo<UnixStream>>()
            .map_err(|_| ClientError::broken("the connection is not ours to take over"))?;
        Ok(ExecSession { door: self.clone(), id, stream: parts.io.into_inner(), early: parts.read_buf })
    }
}

impl ExecSession {
    /// A handle for questions about this exec while its stream is lent out.
    pub(crate) fn handle(&self) -> ExecHandle {
        ExecHandle { door: self.door.clone(), id: self.id.clone() }
    }
}

/// Asks and tells about an exec on connections of its own.
#[derive(Debug, Clone)]
pub(crate) struct ExecHandle {
    door: Door,
    id: String,
}

impl ExecHandle {
    /// Tells the shell's terminal its size.
    pub(crate) async fn resize(&self, columns: u16, rows: u16) -> Result<(), ClientError> {
        let path = paths::with_name("/exec/{name}/resize", &self.id) + &format!("?h={rows}&w={columns}");
        within(ANSWER_MAX, self.door.send(Method::POST, &path, Bytes::new(), None)).await.map(drop)
    }

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
