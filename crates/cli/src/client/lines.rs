//! An answer that comes as one JSON value a line, for as long as it takes. Dropping it hangs up.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::{ANSWER_BYTES_MAX, ClientError, parse};

/// The lines of an answer.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    unread: BytesMut,
    /// After so much silence the other side is taken for dead.
    silence_max: Duration,
}

impl Lines {
    pub(super) fn of(body: Incoming, silence_max: Duration) -> Self {
        Self { body, unread: BytesMut::new(), silence_max }
    }

    /// The next value; `None` at the end.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        self.next_line().await?.map(|line| parse(&line)).transpose()
    }

    /// The next value with its control characters: for what a program printed, which has its own ways of being cleaned.
    pub(super) async fn next_printed<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        let line = self.next_line().await?;
        line.map(|line| serde_json::from_slice(&line).map_err(ClientError::broken)).transpose()
    }

    async fn next_line(&mut self) -> Result<Option<BytesMut>, ClientError> {
        loop {
            while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line = self.unread.split_to(end);
                self.unread.advance(1);
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.unread.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::broken("a line without end"));
            }
            match tokio::time::timeout(self.silence_max, self.body.frame()).await {
                Err(_) => return Err(ClientError::Late(self.silence_max.as_secs())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.unread.extend_from_slice(&data);
                    }
                }
                Ok(Some(Err(error))) => return Err(ClientError::broken(error)),
                Ok(None) if self.unread.is_empty() => return Ok(None),
                Ok(None) => self.unread.extend_from_slice(b"\n"),
            }
        }
    }
}
