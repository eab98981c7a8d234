//! The journal, line by line. Dropping it hangs up.

use std::time::Duration;

use ds01_api::{EventLine, paths};
use hyper::Method;

use super::lines::Lines;
use super::{ANSWER_MAX, Bytes, ClientError, Door, within};

/// The daemon says something every ten seconds; after this much silence it is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Lines of the journal on their way.
#[derive(Debug)]
pub(crate) struct EventStream(Lines);

impl Door {
    /// Asks for the journal from and up to a moment, in Unix seconds; `follow` stays for what comes.
    pub(crate) async fn events(
        &self,
        since: i64,
        until: Option<i64>,
        follow: bool,
    ) -> Result<EventStream, ClientError> {
        let mut path = format!("{}?since={since}", paths::EVENTS);
        if let Some(until) = until {
            path += &format!("&until={until}");
        }
        if follow {
            path += "&follow=1";
        }
        let response = within(ANSWER_MAX, self.send(Method::GET, &path, Bytes::new(), None)).await?;
        Ok(EventStream(Lines::of(response.into_body(), SILENCE_MAX)))
    }
}

impl EventStream {
    /// The next line; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<EventLine>, ClientError> {
        self.0.next().await
    }
}
