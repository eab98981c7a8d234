//! The stream of a start, line by line. Dropping it hangs up, which cancels a wait.

use std::time::Duration;

use ds01_api::{StartEvent, paths};
use hyper::Method;

use super::lines::Lines;
use super::{Bytes, ClientError, Door};

/// The daemon says something every ten seconds; after this much silence it is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A start under way.
#[derive(Debug)]
pub(crate) struct StartStream(Lines);

impl Door {
    /// Asks for a start; `wait` is how long to stay in line, `None` leaves that to the policy.
    pub(crate) async fn start(&self, name: &str, wait: Option<Duration>) -> Result<StartStream, ClientError> {
        let mut path = paths::with_name(paths::START, name);
        if let Some(wait) = wait {
            path.push_str(&format!("?wait={}", wait.as_secs()));
        }
        let response = self.send(Method::POST, &path, Bytes::new(), None).await?;
        Ok(StartStream(Lines::of(response.into_body(), SILENCE_MAX)))
    }
}

impl StartStream {
    /// The next event; an error if the stream ends without one.
    pub(crate) async fn next(&mut self) -> Result<StartEvent, ClientError> {
        self.0.next().await?.ok_or_else(|| ClientError::broken("the start was not settled"))
    }
}
