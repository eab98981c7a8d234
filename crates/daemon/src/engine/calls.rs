//! The questions and orders of the daemon's own that go to the Engine, as typed calls.
//!
//! Replies are read as far as the daemon needs them; whole replies never become types (they would lose fields).

use std::time::Duration;

use bytes::Bytes;
use ds01_docker::body;
use ds01_domain::{ContainerId, Token};
use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Engine, EngineError, QUESTION_TIME_MAX};

/// The API version of the daemon's own calls: the oldest that the door serves, so every Engine knows it.
const OWN_API: &str = "/v1.40";
/// The internal label by which a create whose answer was lost is found again.
pub const TOKEN_LABEL: &str = "ds01.token";

/// What the Engine says of a container's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Never started.
    Created,
    /// Process 1 runs.
    Running,
    /// Frozen; its memory stays on the GPU.
    Paused,
    /// Ended, with its exit code.
    Exited(i32),
    /// Half-way between two states; look again.
    Unsettled,
}

/// One look at one container.
#[derive(Debug, Clone)]
pub struct ContainerLook {
    /// What its process does.
    pub state: RunState,
    /// Process 1 as the host counts, 0 when it does not run.
    pub pid: i32,
    /// Its name without the leading slash.
    pub name: String,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The whole reply, for what is shown to the user.
    pub reply: Value,
}

/// One entry of the list of all containers.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Full id.
    pub id: ContainerId,
    /// The create token, where the container came through the door.
    pub token: Option<Token>,
    /// Name without the leading slash.
    pub name: String,
    /// What its process does, as far as a list tells; exit codes are read from `Status`.
    pub state: RunState,
    /// The image as it was named at create.
    pub image: String,
    /// When it was created, in Unix seconds.
    pub created: i64,
    /// For how many seconds it has run, or not, as roughly as a list tells.
    pub state_seconds: Option<u64>,
}

/// Containers that are listed at once where the whole list is too long: with the largest create that an Engine takes
/// from the door they stay far below what is read of a reply.
const PAGE_CONTAINERS: usize = 8;

/// What the door must know of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Content id, `sha256:…`.
    pub id: String,
    /// The user its processes run as, as the image says it; empty is root.
    pub user: String,
    /// Its working directory.
    pub working_dir: String,
    /// What its label tells dev container clients; empty if it has none.
    pub dev_container: String,
    /// Every tag that points at it.
    pub tags: Vec<String>,
    /// How many volumes every container of it gets.
    pub volumes: usize,
    /// How many ports it says that its containers serve.
    pub ports: usize,
    /// Bytes of the longest of its variables.
    pub longest_env: usize,
    /// Bytes of its labels and its command.
    pub listed_bytes: usize,
    /// The instructions that run in every build on it.
    pub on_build: Vec<String>,
    /// The shortest time between two health checks that it asks for, in nanoseconds; 0 is the Engine's own.
    pub health_interval_ns: i64,
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// How many members an object within a reply has.
fn members(reply: &Value, pointer: &str) -> usize {
    reply.pointer(pointer).and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn run_state(status: &str, exit: i64) -> RunState {
    match status {
        "created" => RunState::Created,
        "running" => RunState::Running,
        "paused" => RunState::Paused,
        "exited" | "dead" => RunState::Exited(i32::try_from(exit).unwrap_or(-1)),
        _ => RunState::Unsettled,
    }
}

fn look_of(reply: Value) -> ContainerLook {
    let exit = reply.pointer("/State/ExitCode").and_then(Value::as_i64).unwrap_or(0);
    ContainerLook {
        state: run_state(text(&reply, "/State/Status"), exit),
        pid: reply
            .pointer("/State/Pid")
            .and_then(Value::as_i64)
            .and_then(|p| i32::try_from(p).ok())
            .unwrap_or(0),
        name: text(&reply, "/Name").trim_start_matches('/').to_owned(),
        tty: reply.pointer("/Config/Tty").and_then(Value::as_bool).unwrap_or(false),
        reply,
    }
}

/// The exit code in a list's `Exited (137) 3 seconds ago`; 0 where it says nothing.
fn exit_in_status(status: &str) -> i64 {
    status
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(n, _)| n.parse().ok())
        .unwrap_or(0)
}

/// The span in a list's `Up About an hour (Paused)` or `Exited (0) 2 days ago`, in seconds.
fn span_in_status(status: &str) -> Option<u64> {
    let words = status.strip_prefix("Up ").or_else(|| status.split_once(") ").map(|(_, span)| span))?;
    let mut words = words.split_whitespace();
    let mut number = match words.next()? {
        "Less" => return Some(0),
        "About" => words.next()?,
        number => number,
    };
    if matches!(number, "a" | "an") {
        number = "1";
    }
    let unit = match words.next()?.trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        "week" => 7 * 24 * 60 * 60,
        "month" => 30 * 24 * 60 * 60,
        "year" => 365 * 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn listed(entry: &Value) -> Option<Listed> {
    let id = ContainerId::new(text(entry, "/Id"))?;
    let token = entry.pointer("/Labels").and_then(|l| l.get(TOKEN_LABEL)).and_then(Value::as_str);
    Some(Listed {
        id,
        token: token.and_then(Token::new),
        name: text(entry, "/Names/0").trim_start_matches('/').to_owned(),
        state: run_state(text(entry, "/State"), exit_in_status(text(entry, "/Status"))),
        image: text(entry, "/Image").to_owned(),
        created: entry.pointer("/Created").and_then(Value::as_i64).unwrap_or(0),
        state_seconds: span_in_status(text(entry, "/Status")),
    })
}

/// A list of containers, read whole or not at all: a container that is missing in it counts as removed.
fn all_listed(reply: &Value) -> Result<Vec<Listed>, EngineError> {
    reply
        .as_array()
        .and_then(|entries| entries.iter().map(listed).collect())
        .ok_or_else(|| EngineError::Rubbish { what: "GET /containers/json".to_owned() })
}

impl Engine {
    /// Looks at one container by full id.
    ///
    /// # Errors
    /// Every [`EngineError`]; [`EngineError::is_not_found`] when it is gone.
    pub async fn look(&self, id: &ContainerId) -> Result<ContainerLook, EngineError> {
        let reply = self.ask(Method::GET, &format!("{OWN_API}/containers/{id}/json"), None).await?;
        // What tells of no container, or of another, tells nothing of this one.
        if text(&reply, "/Id") != id.as_str() {
            return Err(EngineError::Rubbish { what: format!("GET /containers/{id}/json") });
        }
        Ok(look_of(reply))
    }

    /// Finds a container by whatever Docker takes for a reference; the id in the answer is the full one.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn resolve(&self, reference: &str) -> Result<(ContainerId, ContainerLook), EngineError> {
        let path = format!("{OWN_API}/containers/{}/json", encoded(reference));
        let look = look_of(self.ask(Method::GET, &path, None).await?);
        let id = ContainerId::new(text(&look.reply, "/Id"))
            .ok_or_else(|| EngineError::Rubbish { what: format!("inspect {reference}") })?;
        Ok((id, look))
    }

    /// Every container there is, running or not.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn list_all(&self) -> Result<Vec<Listed>, EngineError> {
        match self.ask(Method::GET, &format!("{OWN_API}/containers/json?all=1"), None).await {
            // It may be longer than what is read at once: what people write on their containers is in it.
            Err(EngineError::Unknown { .. }) => self.list_in_pages().await,
            reply => all_listed(&reply?),
        }
    }

    /// The list in small parts, newest first. What is created meanwhile is newer than all of it.
    async fn list_in_pages(&self) -> Result<Vec<Listed>, EngineError> {
        let mut listed: Vec<Listed> = Vec::new();
        loop {
            let mut path = format!("{OWN_API}/containers/json?all=1&limit={PAGE_CONTAINERS}");
            if let Some(last) = listed.last() {
                let filters = json!({ "before": [last.id.to_string()] }).to_string();
                path.push_str(&format!("&filters={}", encoded(&filters)));
            }
            let page = all_listed(&self.ask(Method::GET, &path, None).await?)?;
            let is_last = page.len() < PAGE_CONTAINERS;
            listed.extend(page);
            if is_last {
                return Ok(listed);
            }
        }
    }

    /// One entry of the list of containers.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn listed(&self, id: &ContainerId) -> Result<Option<Listed>, EngineError> {
        self.first_with("id", id.as_str()).await
    }

    /// Whether a path exists in a container's file system.
    ///
    /// # Errors
    /// Every [`EngineError`] but "not found".
    pub async fn has_path(&self, id: &ContainerId, path: &str) -> Result<bool, EngineError> {
        let path = format!("{OWN_API}/containers/{id}/archive?path={}", encoded(path));
        match self.ask_raw(Method::HEAD, &path, Bytes::new(), "", QUESTION_TIME_MAX).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn first_with(&self, filter: &str, value: &str) -> Result<Option<Listed>, EngineError> {
        let filters = json!({ filter: [value] }).to_string();
        let path = format!("{OWN_API}/containers/json?all=1&filters={}", encoded(&filters));
        let reply = self.ask(Method::GET, &path, None).await?;
        Ok(all_listed(&reply)?.into_iter().next())
    }

    /// The container that carries a create token, if there is one.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn find_token(&self, token: &Token) -> Result<Option<Listed>, EngineError> {
        self.first_with("label", &format!("{TOKEN_LABEL}={token}")).await
    }

    /// What the door must know of an image.
    ///
    /// # Errors
    /// Every [`EngineError`]; [`EngineError::is_not_found`] when it is not on the machine.
    pub async fn image(&self, reference: &str) -> Result<ImageFacts, EngineError> {
        let reply =
            self.ask(Method::GET, &format!("{OWN_API}/images/{}/json", encoded(reference)), None).await?;
        Ok(ImageFacts {
            id: text(&reply, "/Id").to_owned(),
            user: text(&reply, "/Config/User").to_owned(),
            working_dir: text(&reply, "/Config/WorkingDir").to_owned(),
            dev_container: text(&reply, &format!("/Config/Labels/{}", body::METADATA_LABEL)).to_owned(),
            tags: reply
                .pointer("/RepoTags")
                .and_then(Value::as_array)
                .map(|tags| tags.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default(),
            health_interval_ns: ["Interval", "StartInterval"]
                .iter()
                .filter_map(|key| reply.pointer("/Config/Healthcheck")?.get(*key)?.as_i64())
                .filter(|interval| *interval > 0)
                .min()
                .unwrap_or(0),
            on_build: reply
                .pointer("/Config/OnBuild")
                .and_then(Value::as_array)
                .map(|triggers| triggers.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default(),
            volumes: members(&reply, "/Config/Volumes"),
            ports: members(&reply, "/Config/ExposedPorts"),
            longest_env: reply
                .pointer("/Config/Env")
                .and_then(Value::as_array)
                .and_then(|env| env.iter().filter_map(Value::as_str).map(str::len).max())
                .unwrap_or(0),
            listed_bytes: ["/Config/Labels", "/Config/Cmd", "/Config/Entrypoint"]
                .iter()
                .filter_map(|field| reply.pointer(field))
                .map(|value| value.to_string().len())
                .sum(),
        })
    }

    /// Starts a container. "Already started" counts as success.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.ask(Method::POST, &format!("{OWN_API}/containers/{id}/start"), None).await.map(drop)
    }

    /// Stops a container: its stop signal, then SIGKILL after the grace period.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), EngineError> {
        let path = format!("{OWN_API}/containers/{id}/stop?t={}", grace.as_secs());
        self.ask_within(Method::POST, &path, None, grace + QUESTION_TIME_MAX).await.map(drop)
    }

    /// Lets a frozen container go on.
    ///
    /// # Errors
    /// Every [`EngineError`]; one for a container that is not frozen.
    pub async fn unpause(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.ask(Method::POST, &format!("{OWN_API}/containers/{id}/unpause"), None).await.map(drop)
    }

    /// Begins a command in a container, as the user that it has; answers the command's id.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn run_in(&self, id: &ContainerId, command: &[&str]) -> Result<String, EngineError> {
        let body = serde_json::json!({ "Cmd": command });
        let made = self.ask(Method::POST, &format!("{OWN_API}/containers/{id}/exec"), Some(body)).await?;
        let exec = made.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = serde_json::json!({ "Detach": true });
        self.ask(Method::POST, &format!("{OWN_API}/exec/{exec}/start"), Some(body)).await?;
        Ok(exec)
    }

    /// Whether a command that was begun in a container runs still.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn exec_runs(&self, exec: &str) -> Result<bool, EngineError> {
        let look = self.ask(Method::GET, &format!("{OWN_API}/exec/{exec}/json"), None).await?;
        Ok(look.get("Running").and_then(Value::as_bool).unwrap_or(false))
    }

    /// Removes a container, running or not, with its anonymous volumes. Absent counts as removed.
    ///
    /// # Errors
    /// Every other [`EngineError`].
    pub async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.remove_forced(id, true).await
    }

    /// As [`Engine::remove`], with or without its anonymous volumes.
    ///
    /// # Errors
    /// As [`Engine::remove`].
    pub async fn remove_forced(&self, id: &ContainerId, volumes: bool) -> Result<(), EngineError> {
        let path = format!("{OWN_API}/containers/{id}?force=1&v={}", u8::from(volumes));
        match self.ask(Method::DELETE, &path, None).await {
            Err(error) if error.is_not_found() => Ok(()),
            // 409 "removal already in progress": someone else is doing just that.
            Err(EngineError::Refused { status: StatusCode::CONFLICT, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Removes a container that does not run, with or without its anonymous volumes. Absent counts as removed.
    ///
    /// # Errors
    /// Every other [`EngineError`]: 409 for one that runs, or that somebody else removes this moment.
    pub async fn remove_unforced(&self, id: &ContainerId, volumes: bool) -> Result<(), EngineError> {
        let path = format!("{OWN_API}/containers/{id}?v={}", u8::from(volumes));
        match self.ask(Method::DELETE, &path, None).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Removes a container that does not run, with its anonymous volumes; one that runs stays. Absent counts as removed.
    ///
    /// # Errors
    /// Every other [`EngineError`].
    pub async fn remove_stopped(&self, id: &ContainerId) -> Result<(), EngineError> {
        match self.remove_unforced(id, true).await {
            // It runs, or someone else removes it this moment.
            Err(EngineError::Refused { status: StatusCode::CONFLICT, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Reads a path inside a container as a tar archive.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn archive_of(&self, id: &ContainerId, path: &str) -> Result<Bytes, EngineError> {
        let path = format!("{OWN_API}/containers/{id}/archive?path={}", encoded(path));
        self.ask_raw(Method::GET, &path, Bytes::new(), "", QUESTION_TIME_MAX).await.map(|(_, bytes)| bytes)
    }

    /// Unpacks a tar archive at the root of a container.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn unpack_at_root(&self, id: &ContainerId, tar: Bytes) -> Result<(), EngineError> {
        let path = format!("{OWN_API}/containers/{id}/archive?path=%2F");
        self.ask_raw(Method::PUT, &path, tar, "application/x-tar", QUESTION_TIME_MAX).await.map(drop)
    }

    /// The Engine's own API version, such as `1.41`, and its answer in full.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn version(&self) -> Result<Value, EngineError> {
        self.ask(Method::GET, "/version", None).await
    }

    /// What `docker info` answers.
    ///
    /// # Errors
    /// Every [`EngineError`].
    pub async fn info(&self) -> Result<Value, EngineError> {
        self.ask(Method::GET, &format!("{OWN_API}/info"), None).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_exit_codes() {
        assert_eq!(exit_in_status("Exited (137) 3 seconds ago"), 137);
        assert_eq!(exit_in_status("Up 3 seconds"), 0);
    }

    #[test]
    fn a_list_tells_roughly_since_when() {
        for (status, seconds) in [
            ("Up 3 seconds", Some(3)),
            ("Up Less than a second", Some(0)),
            ("Up About a minute (Paused)", Some(60)),
            ("Up About an hour", Some(3600)),
            ("Up 5 hours (healthy)", Some(18_000)),
            ("Exited (137) 2 weeks ago", Some(1_209_600)),
            ("Exited (0) Less than a second ago", Some(0)),
            ("Created", None),
            ("Removal In Progress", None),
        ] {
            assert_eq!(span_in_status(status), seconds, "{status}");
        }
    }
}
