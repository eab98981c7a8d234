//! The stream of a start, line by line. Dropping it hangs up, which cancels a wait.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use ds01_api::{StartEvent, paths};
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;

use super::{ANSWER_BYTES_MAX, Bytes, ClientError, Door, parse};

/// The daemon says something every ten seconds; after this much silence it is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A start under way.
#[derive(Debug)]
pub(crate) struct StartStream {
    body: Incoming,
    unread: BytesMut,
}

impl Door {
    /// Asks for a start; `wait` is how long to stay in line, `None` leaves that to the policy.
    pub(crate) async fn start(&self, name: &str, wait: Option<Duration>) -> Result<StartStream, ClientError> {
        let mut path = paths::with_name(paths::START, name);
        if let Some(wait) = wait {
            path.push_str(&format!("?wait={}", wait.as_secs()));
        }
        let response = self.send(Method::POST, &path, Bytes::new(), None).await?;
        Ok(StartStream { body: response.into_body(), unread: BytesMut::new() })
    }
}

impl StartStream {
    /// The next event; an error if the stream ends without one.
    pub(crate) async fn next(&mut self) -> Result<StartEvent, ClientError> {
        loop {
            while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line = self.unread.split_to(end);
                self.unread.advance(1);
                if !line.trim_ascii().is_empty() {
                    return parse(&line);
                }
            }
            if self.unread.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::broken("a line without end"));
            }
            match tokio::time::timeout(SILENCE_MAX, self.body.frame()).await {
                Err(_) => return Err(ClientError::Late(SILENCE_MAX.as_secs())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.unread.extend_from_slice(&data);
                    }
                }
                Ok(Some(Err(error))) => return Err(ClientError::broken(error)),
                Ok(None) if self.unread.is_empty() => {
                    return Err(ClientError::broken("the start was not settled"));
                }
                Ok(None) => self.unread.extend_from_slice(b"\n"),
            }
        }
    }
}
