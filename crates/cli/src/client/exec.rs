//! A shell through Docker's exec: create, start with the connection taken over, ask how it ended.
//!
//! This module answers for the protocol; bytes are pumped elsewhere. It must never touch the terminal.

use std::time::Duration;

use ds01_api::{Container, paths};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::frames::split;

use super::{ANSWER_MAX, Bytes, ClientError, Door, Line, json as body, read_json, within};

/// Prefers bash, and does with sh: an image need not have more.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"];
/// Docker's own keys to detach are Ctrl-P Ctrl-Q, which would hold back every Ctrl-P that is typed to the shell. Leaving
/// the shell is the way out here; a sequence that nobody types stands in their place.
const DETACH_KEYS: &str = "ctrl-],ctrl-^,ctrl-],ctrl-^";

/// What is read of something short: a page or two.
const SAID_BYTES_MAX: u64 = 1024 * 1024;
/// How often it is asked how something ended whose output has, and how long in between.
const SETTLE_TRIES: u32 = 20;
const SETTLE_PAUSE: Duration = Duration::from_millis(25);

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
        let id = self.make_exec(&container.id, &create).await?;
        let start = body(&json!({ "Detach": false, "Tty": tty }))?;
        let path = paths::with_name("/exec/{name}/start", &id);
        let line = self.take_over(&path, start, paths::with_name("/exec/{name}/resize", &id)).await?;
        Ok(ExecSession { door: self.clone(), id, line })
    }

    /// Starts something in a container and leaves it to itself.
    pub(crate) async fn run_detached(
        &self,
        container: &str,
        words: &[&str],
        environment: &[String],
    ) -> Result<(), ClientError> {
        let id = self.make_exec(container, &json!({ "Cmd": words, "Env": environment })).await?;
        let path = paths::with_name("/exec/{name}/start", &id);
        let start = body(&json!({ "Detach": true, "Tty": false }))?;
        within(ANSWER_MAX, async { self.send(Method::POST, &path, start, None).await.map(drop) }).await
    }

    /// Runs something short in a container; what it said on its two outputs, at most [`SAID_BYTES_MAX`] of it.
    pub(crate) async fn run_in(&self, container: &str, words: &[&str]) -> Result<Said, ClientError> {
        let create = json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": words });
        let id = self.make_exec(container, &create).await?;
        let start = body(&json!({ "Detach": false, "Tty": false }))?;
        let path = paths::with_name("/exec/{name}/start", &id);
        let line = self.take_over(&path, start, paths::with_name("/exec/{name}/resize", &id)).await?;
        let read = async {
            let mut bytes = line.early.to_vec();
            let mut rest = line.stream.take(SAID_BYTES_MAX);
            rest.read_to_end(&mut bytes).await.map_err(ClientError::broken)?;
            Ok(bytes)
        };
        let (out, err) = split(&within(ANSWER_MAX, read).await?);
        let handle = ExecHandle { door: self.clone(), id };
        let mut exit = handle.exit().await?;
        for _ in 0..SETTLE_TRIES {
            if !exit.running {
                break;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
            exit = handle.exit().await?;
        }
        Ok(Said { code: exit.exit_code, out, err })
    }

    async fn make_exec(&self, container: &str, wanted: &Value) -> Result<String, ClientError> {
        let path = paths::with_name("/containers/{name}/exec", container);
        let made: Value = self.exchange(Method::POST, &path, body(wanted)?, ANSWER_MAX).await?;
        made["Id"].as_str().map(str::to_owned).ok_or_else(|| ClientError::broken("an exec without an id"))
    }
}

/// What something short in a container said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit code, if it has ended.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
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
