//! What a container has written, through Docker's own route. Bytes are passed on as they came; it must never print.

use bytes::Bytes;
use ds01_api::{Container, paths};
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use serde_json::Value;

use super::{ANSWER_MAX, ClientError, Door, within};

/// Which part of a log is wanted, as Docker's query has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogsWanted {
    /// To stay for what is written from now on.
    pub(crate) follow: bool,
    /// So many lines from the end, or `all`.
    pub(crate) tail: String,
    /// `SECONDS.NANOSECONDS` since 1970.
    pub(crate) since: Option<String>,
    /// The same, for the end.
    pub(crate) until: Option<String>,
    /// Whether each line begins with its time.
    pub(crate) timestamps: bool,
}

/// A log on its way. Dropping it hangs up.
#[derive(Debug)]
pub(crate) struct Log {
    /// Whether it is a terminal's, and so without frames.
    pub(crate) raw: bool,
    body: Incoming,
}

impl Door {
    /// Asks for a container's log.
    pub(crate) async fn logs(&self, container: &Container, wanted: &LogsWanted) -> Result<Log, ClientError> {
        // The answer itself tells only on newer Engines whether there are frames in it.
        let inspect: Value = self.get(&paths::with_name("/containers/{name}/json", &container.id)).await?;
        let raw = inspect["Config"]["Tty"].as_bool().unwrap_or(false);
        let path = paths::with_name("/containers/{name}/logs", &container.id) + &query(wanted);
        let response = within(ANSWER_MAX, self.send(Method::GET, &path, Bytes::new(), None)).await?;
        Ok(Log { raw, body: response.into_body() })
    }
}

impl Log {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.map_err(ClientError::broken)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

fn query(wanted: &LogsWanted) -> String {
    let mut query = format!("?stdout=1&stderr=1&tail={}", wanted.tail);
    for (key, set) in [("follow", wanted.follow), ("timestamps", wanted.timestamps)] {
        if set {
            query += &format!("&{key}=1");
        }
    }
    for (key, moment) in [("since", &wanted.since), ("until", &wanted.until)] {
        if let Some(moment) = moment {
            query += &format!("&{key}={moment}");
        }
    }
    query
}
