//! A container of one's own making through Docker's routes: created, attached to, waited for, told a signal.
//!
//! It must never decide what is in the container: the body is the caller's, and the door judges it.

use ds01_api::paths;
use hyper::Method;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use super::{ACT_MAX, ANSWER_MAX, Bytes, ClientError, Door, Line, json as body, read_json, within};

/// A container that has been made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreatedContainer {
    pub(crate) id: String,
    /// What was asked for and not given in full.
    #[serde(default)]
    pub(crate) warnings: Option<Vec<String>>,
}

/// The end of a container, waited for since before its start.
#[derive(Debug)]
pub(crate) struct Waited(Incoming);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ended {
    status_code: i64,
}

impl Door {
    /// Creates a container.
    pub(crate) async fn create(&self, name: &str, wanted: &Value) -> Result<CreatedContainer, ClientError> {
        let path = format!("/containers/create?name={}", paths::encode(name));
        self.exchange(Method::POST, &path, body(wanted)?, ACT_MAX).await
    }

    /// What a container was made of, as `docker inspect` shows it.
    pub(crate) async fn inspect(&self, name: &str) -> Result<Value, ClientError> {
        self.get(&paths::with_name("/containers/{name}/json", name)).await
    }

    /// Takes over the connection to a container that is to be started.
    pub(crate) async fn attach(&self, id: &str) -> Result<Line, ClientError> {
        let path = paths::with_name("/containers/{name}/attach", id) + "?stream=1&stdin=1&stdout=1&stderr=1";
        self.take_over(&path, Bytes::new(), paths::with_name("/containers/{name}/resize", id)).await
    }

    /// Begins to wait for a container's next end. The Engine waits once this has returned.
    pub(crate) async fn wait(&self, id: &str) -> Result<Waited, ClientError> {
        let path = paths::with_name("/containers/{name}/wait", id) + "?condition=next-exit";
        let response = within(ANSWER_MAX, self.send(Method::POST, &path, Bytes::new(), None)).await?;
        Ok(Waited(response.into_body()))
    }

    /// Sends a signal to a container's command.
    pub(crate) async fn kill(&self, id: &str, signal: &str) -> Result<(), ClientError> {
        self.act(id, &format!("kill?signal={signal}"), ANSWER_MAX).await
    }
}

impl Waited {
    /// The exit code of the container's command, once it has ended.
    pub(crate) async fn exit(self) -> Result<i64, ClientError> {
        read_json::<Ended>(self.0).await.map(|ended| ended.status_code)
    }
}
